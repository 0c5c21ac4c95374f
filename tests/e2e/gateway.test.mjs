/* /gateway/verify over real HTTP, as a gateway asks it: who passes, what is told, and that nothing a client
 * sends decides or comes back. */
import assert from 'node:assert/strict';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { createLocalJWKSet, jwtVerify } from 'jose';

import { api, freePort, Server } from './helpers.mjs';

let server, shop, gateway;
const names = ['x-user-id', 'x-user-role', 'x-scope', 'x-client-id', 'x-token-id'];
const question = `/gateway/verify?audience=${encodeURIComponent(api)}`;

before(async () => {
	const port = await freePort();
	gateway = `http://127.0.0.1:${port}`;
	server = await Server.make({ settings: { 'gateway.address': `127.0.0.1:${port}`, 'gateway.identity': 'on' } });
	shop = server.furnish();
	server.json('user', 'update', 'alice', '--add-role', 'buyer', '--add-role', 'clerk');
});
after(() => server.done());

/* The answer, with raw header fields: an empty one must be there and be empty. */
function ask(target, { token, method = 'GET', headers = {}, body, socketPath } = {}) {
	return new Promise((done, fail) => {
		const url = new URL(gateway + target);
		const request = http.request({ host: url.hostname, port: url.port, path: target, socketPath, method,
			headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers } }, (response) => {
			let text = '';
			response.on('data', (part) => { text += part; });
			response.on('end', () => done({ status: response.statusCode, headers: response.headers, text }));
		});
		request.on('error', fail);
		request.end(body);
	});
}

const machine = async () =>
	(await server.token({ grant_type: 'client_credentials' }, shop)).json.access_token;

function refused(answer, status, challenge) {
	assert.equal(answer.status, status);
	assert.equal(answer.headers['www-authenticate'], challenge);
	assert.equal(answer.headers['cache-control'], 'no-store');
	for (const name of [...names, 'x-identity'])
		assert.equal(answer.headers[name], undefined, name);
}

test('a_users_token_passes_and_says_whose_it_is', async () => {
	const { access_token: token } = await server.login(shop);
	const answer = await ask(`${question}&scope=orders.read&role=buyer`, { token });
	assert.equal(answer.status, 200);
	assert.equal(answer.headers['x-user-id'], server.json('user', 'show', 'alice').id);
	assert.equal(answer.headers['x-user-role'], 'buyer,clerk');
	assert.equal(answer.headers['x-scope'], 'orders.read orders.write');
	assert.equal(answer.headers['x-client-id'], 'shop');
	assert.ok(answer.headers['x-token-id'].length > 20);
	assert.equal(answer.headers['cache-control'], 'no-store');
});

test('a_clients_own_token_has_all_headers_and_two_are_empty', async () => {
	const answer = await ask(question, { token: await machine() });
	assert.equal(answer.status, 200);
	for (const name of names)
		assert.notEqual(answer.headers[name], undefined, name);
	assert.equal(answer.headers['x-user-id'], '');
	assert.equal(answer.headers['x-user-role'], '');
	assert.equal(answer.headers['x-client-id'], 'shop');
});

test('every_method_and_its_body_is_the_same_question', async () => {
	const token = await machine();
	for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
		const body = 'x'.repeat(100_000);
		const headers = { 'content-length': body.length };
		assert.equal((await ask(question, { token, method, headers, body })).status, 200, method);
		assert.equal((await ask(question, { method, headers, body })).status, 401, method);
	}
});

test('refusals_are_challenges', async () => {
	const token = await machine();
	refused(await ask(question), 401, 'Bearer realm="chancery"');
	refused(await ask(question, { token: 'x' }), 401, 'Bearer realm="chancery", error="invalid_token"');
	refused(await ask(`${question}&scope=orders.read+more`, { token }), 403,
		'Bearer realm="chancery", error="insufficient_scope", scope="orders.read more"');
	refused(await ask(`${question}&role=buyer`, { token }), 403, 'Bearer realm="chancery", error="insufficient_scope"');
	refused(await ask('/gateway/verify', { token }), 400, undefined);
	refused(await ask(`${question}&audience=${api}`, { token }), 400, undefined);
	refused(await ask(`${question}&x=1`, { token }), 400, undefined);
});

test('envoys_form_takes_the_audience_from_the_api_and_nothing_from_its_client', async () => {
	const { slug: id } = server.json('api', 'list').items.find((one) => one.uri === api);
	const token = await machine();
	for (const tail of ['', '/', '/orders/7?audience=https://other.example&scope=none', '/../../admin', '/%2e%2e/a', '//a'])
		assert.equal((await ask(`/gateway/verify/${id}${tail}`, { token })).status, 200, tail);
	assert.equal((await ask(`/gateway/verify/other/${id}?audience=${api}`, { token })).status, 400);
	assert.equal((await ask(`/gateway/verify/${id}/public`)).status, 401);
});

test('what_a_client_sends_neither_decides_nor_comes_back', async () => {
	const spoofed = {
		'x-user-id': 'root', 'X_User_Id': 'root', 'x-user-role': 'root', 'x-scope': 'root', 'x-client-id': 'root',
		'x-token-id': 'root', 'x-identity': 'root', 'x-forwarded-for': '192.0.2.7', 'x-forwarded-uri': '/root',
		'x-original-uri': '/root', 'x-forwarded-method': 'OPTIONS', 'user-agent': 'GoogleHC/1.0', cookie: 'root=root',
	};
	const answer = await ask(question, { token: await machine(), headers: spoofed });
	assert.equal(answer.status, 200);
	assert.doesNotMatch(JSON.stringify(answer.headers), /root/);
	assert.equal(answer.headers['x-user-id'], '');
	refused(await ask(question, { headers: spoofed }), 401, 'Bearer realm="chancery"');
	assert.doesNotMatch(server.logText(), /192\.0\.2\.7/);
});

test('a_revoked_token_is_refused_by_the_next_question', async () => {
	const token = await machine();
	assert.equal((await ask(question, { token })).status, 200);
	await server.post('/oauth2/revoke', { token }, shop);
	refused(await ask(question, { token }), 401, 'Bearer realm="chancery", error="invalid_token"');
});

test('an_api_lets_its_gateway_keep_good_answers_for_seconds', async () => {
	const { slug: id } = server.json('api', 'list').items.find((one) => one.uri === api);
	assert.equal(server.cli('api', 'update', id, '--gateway-cache', '11s').status, 1);
	assert.equal(server.json('api', 'update', id, '--gateway-cache', '3s').gateway_cache, 3);
	const token = await machine();
	const { headers } = await ask(question, { token });
	assert.equal(headers['cache-control'], 'private, max-age=3');
	assert.equal(headers.vary, 'Authorization');
	refused(await ask(question), 401, 'Bearer realm="chancery"');
	server.json('api', 'update', id, '--gateway-cache', 'default');
	assert.equal((await ask(question, { token })).headers['cache-control'], 'no-store');
});

test('a_rotation_changes_no_answer_and_a_revoked_key_ends_its_tokens', async () => {
	const old = await machine();
	server.json('--yes', 'key', 'rotate');
	const fresh = await machine();
	assert.equal((await ask(question, { token: old })).status, 200);
	assert.equal((await ask(question, { token: fresh })).status, 200);
	const { kid } = JSON.parse(Buffer.from(old.split('.')[0], 'base64url'));
	const revoked = server.cli('--yes', 'key', 'revoke', kid);
	assert.equal(revoked.status, 0, revoked.stderr);
	assert.equal((await ask(question, { token: old })).status, 401);
	assert.equal((await ask(question, { token: fresh })).status, 200);
});

test('x_identity_verifies_under_the_keys_of_the_gateway_listener', async () => {
	const { access_token: token } = await server.login(shop);
	const answer = await ask(question, { token });
	const keys = createLocalJWKSet(JSON.parse((await ask('/gateway/jwks.json')).text));
	const { payload } = await jwtVerify(answer.headers['x-identity'], keys, {
		issuer: server.issuer, audience: `${server.issuer}/gateway`, typ: 'identity+jwt', algorithms: ['ES256'],
		requiredClaims: ['sub', 'exp', 'iat'],
	});
	assert.equal(payload.api, api);
	assert.equal(payload.sub, answer.headers['x-user-id']);
	assert.deepEqual(payload.roles, ['buyer', 'clerk']);
	assert.ok(payload.exp - payload.iat <= 60);
	refused(await ask(question, { token: answer.headers['x-identity'] }), 401,
		'Bearer realm="chancery", error="invalid_token"');
});

test('nothing_else_is_served_there_and_it_is_served_nowhere_else', async () => {
	const token = await machine();
	for (const target of ['/livez', '/metrics', '/.well-known/jwks.json', '/oauth2/token', '/admin/v1/clients'])
		assert.equal((await ask(target, { token })).status, 404, target);
	assert.equal((await server.get(question, { authorization: `Bearer ${token}` })).status, 404);
});

test('a_socket_does_as_well_and_is_gone_afterwards', async () => {
	const second = await Server.make({ start: false });
	const socketPath = path.join(second.folder, 'gateway.sock');
	second.settings['gateway.socket'] = socketPath;
	await second.start();
	const client = second.furnish();
	const token = (await second.token({ grant_type: 'client_credentials' }, client)).json.access_token;
	assert.equal((await ask(question, { token, socketPath })).status, 200);
	assert.equal((await ask(question, { socketPath })).status, 401);
	await second.stop();
	await assert.rejects(ask(question, { token, socketPath }), { code: 'ENOENT' });
	await second.done();
});
