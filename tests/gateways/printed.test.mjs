/* Of the gateways that Debian does not have: is what we print a document of the form that they read? They
 * are not run here, and docs say so. The form is checked as far as it decides who passes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { api, binary } from '../e2e/helpers.mjs';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chy-printed-'));
after(() => fs.rmSync(folder, { recursive: true }));

const issuer = 'https://id.example.com';
const identity = ['X-User-Id', 'X-User-Role', 'X-Scope', 'X-Client-Id', 'X-Token-Id', 'X-Identity'];
const question = `https://id.example.com:8082/gateway/verify?audience=${encodeURIComponent(api)}`;

/* The YAML documents, as PyYAML reads them: doubled keys, tabs and the like are faults. */
function print(kind, ...options) {
	const done = spawnSync(binary, ['gateway-config', kind, '--issuer', issuer, '--audience', api, '--listen',
		'127.0.0.1:8000', '--upstream', '[::1]:3000', ...options], { encoding: 'utf8' });
	assert.equal(done.status, 0, done.stderr);
	const read = spawnSync('python3', ['-c', `
import json, sys, yaml
class Loader(yaml.SafeLoader): pass
def mapping(loader, node):
    keys = [loader.construct_object(key) for key, value in node.value]
    if len(keys) != len(set(keys)): raise ValueError("a key twice: %r" % keys)
    return loader.construct_mapping(node, True)
Loader.add_constructor("tag:yaml.org,2002:map", mapping)
json.dump(list(yaml.load_all(sys.stdin.read(), Loader)), sys.stdout)`], { input: done.stdout, encoding: 'utf8' });
	assert.equal(read.status, 0, read.stderr);
	return JSON.parse(read.stdout);
}

/* Compiled, not run: HAProxy has a Lua inside. */
function checkLua(text) {
	const lua = path.join(folder, 'code.lua'), main = path.join(folder, 'lua.cfg');
	fs.writeFileSync(lua, `local function compiled()\n${text}\nend\n`);
	fs.writeFileSync(main, `global\n    lua-load ${lua}\n`);
	const done = spawnSync('haproxy', ['-c', '-f', main], { encoding: 'utf8',
		env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } });
	assert.doesNotMatch(done.stdout + done.stderr, /lua|Lua/, text);
}

const all = (value, name) => value === null || typeof value !== 'object' ? []
	: Object.entries(value).flatMap(([key, inner]) => [...(key === name ? [inner] : []), ...all(inner, name)]);

test('envoy_reads_one_document_that_verifies_and_clears', () => {
	const [root, ...more] = print('envoy', '--max-age', '15m');
	assert.equal(more.length, 0);
	const [manager] = all(root, 'filters')[0];
	const { http_filters: filters, common_http_protocol_options: common } = manager.typed_config;
	assert.deepEqual(filters.map(({ name }) => name.split('.').at(-1)), ['jwt_authn', 'lua', 'router']);
	assert.equal(common.headers_with_underscores_action, 'DROP_HEADER');
	const jwt = filters[0].typed_config;
	const { chancery } = jwt.providers;
	assert.equal(chancery.issuer, issuer);
	assert.deepEqual(chancery.audiences, [api]);
	assert.equal(chancery.remote_jwks.http_uri.uri, `${issuer}/.well-known/jwks.json`);
	assert.equal(chancery.remote_jwks.cache_duration.seconds, 900);
	assert.deepEqual(jwt.rules, [{ match: { prefix: '/' }, requires: { provider_name: 'chancery' } }]);
	const lua = filters[1].typed_config.default_source_code.inline_string;
	checkLua(lua);
	for (const name of identity)
		assert.ok(lua.includes(`"${name}"`));
	const [upstream, office] = root.static_resources.clusters;
	assert.deepEqual(all(upstream, 'socket_address'), [{ address: '::1', port_value: 3000 }]);
	assert.deepEqual(all(office, 'socket_address'), [{ address: 'id.example.com', port_value: 443 }]);
	assert.deepEqual(all(office, 'trusted_ca'), [{ filename: '/etc/ssl/certs/ca-certificates.crt' }]);
	assert.deepEqual(all(office, 'match_typed_subject_alt_names'), [[{ san_type: 'DNS',
		matcher: { exact: 'id.example.com' } }]]);
});

test('traefik_reads_one_document_that_clears_before_it_asks', () => {
	const [{ http }, ...more] = print('traefik', '--gateway', 'https://id.example.com:8082');
	assert.equal(more.length, 0);
	assert.deepEqual(http.routers.chancery.middlewares, ['chancery-clear', 'chancery-verify']);
	const cleared = http.middlewares['chancery-clear'].headers.customRequestHeaders;
	assert.ok(Object.values(cleared).every((value) => value === ''));
	for (const name of [...identity, 'X_User_Id', 'X-User_Id', 'X_User-Id', 'X_Identity'])
		assert.ok(name in cleared, name);
	const { forwardAuth } = http.middlewares['chancery-verify'];
	assert.equal(forwardAuth.address, question);
	assert.equal(forwardAuth.trustForwardHeader, false);
	assert.deepEqual(forwardAuth.authResponseHeaders, identity);
	assert.ok(forwardAuth.tls.ca);
});

test('kong_reads_one_document_whose_code_compiles', () => {
	const [root, ...more] = print('kong', '--gateway', 'https://id.example.com:8082');
	assert.equal(more.length, 0);
	assert.equal(root._format_version, '3.0');
	const [plugin] = root.services[0].plugins;
	assert.equal(plugin.name, 'pre-function');
	const [code] = plugin.config.access;
	checkLua(code);
	assert.ok(code.includes(question));
	for (const name of identity)
		assert.ok(code.includes(`"${name}"`));
});

test('istio_reads_three_documents', () => {
	const documents = print('istio', '--max-age', '15m');
	assert.deepEqual(documents.map(({ kind }) => kind), ['RequestAuthentication', 'AuthorizationPolicy', 'EnvoyFilter']);
	const [authentication, policy, filter] = documents.map(({ spec }) => spec);
	const [rule] = authentication.jwtRules;
	assert.equal(rule.issuer, issuer);
	assert.deepEqual(rule.audiences, [api]);
	assert.deepEqual(policy.rules, [{ from: [{ source: { requestPrincipals: [`${issuer}/*`] } }] }]);
	assert.deepEqual(authentication.selector, policy.selector);
	assert.deepEqual(all(filter, 'remove'), identity);
	assert.deepEqual(all(filter, 'headers_with_underscores_action'), ['DROP_HEADER']);
});
