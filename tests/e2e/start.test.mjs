/* What `init` and `serve` refuse, with the sentence that helps, and what registration settles. Nothing here
 * may leave a half-made directory or a server behind. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { Server, api, binary, freePort } from './helpers.mjs';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chy-start-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
let count = 0;

const run = (...args) => spawnSync(binary, args, { encoding: 'utf8', timeout: 20_000 });

function made(issuer = 'http://127.0.0.1:8080') {
	const data = path.join(folder, `data${count++}`);
	const done = run('--data', data, 'init', '--issuer', issuer);
	assert.equal(done.status, 0, done.stderr);
	return data;
}

async function refuses(data, settings, ...words) {
	const sets = Object.entries({ 'server.address': `127.0.0.1:${await freePort()}`, 'admin.address': 'off', ...settings })
		.flatMap(([name, value]) => ['--set', `${name}=${value}`]);
	const done = run('--data', data, ...sets, 'serve');
	assert.equal(done.signal, null, 'it started');
	assert.equal(done.status, 1, done.stderr);
	for (const word of words)
		assert.ok(done.stderr.includes(word), `"${word}" in: ${done.stderr}`);
}

test('an_address_off_loopback_needs_tls_or_a_proxy', async () => {
	const data = made('https://id.example.com');
	await refuses(data, { 'server.address': '0.0.0.0:18080' }, 'server.tls', 'trusted_proxies');
	await refuses(data, { 'server.address': '[::]:18080' }, 'server.tls');
	await refuses(data, { 'admin.address': '0.0.0.0:18081' }, 'admin');
});

test('an_http_issuer_off_loopback_is_refused', async () => {
	for (const issuer of ['http://id.example.com', 'ftp://id.example.com', 'https://id.example.com/?q', 'https://id.example.com/#f',
		'https://user@id.example.com', 'https://id.example.com/', 'id.example.com', ''])
		assert.equal(run('--data', path.join(folder, 'never'), 'init', '--issuer', issuer).status, 1, issuer);
	assert.ok(!fs.existsSync(path.join(folder, 'never')));
});

test('keys_that_turn_over_faster_than_caches_are_refused', async () => {
	await refuses(made(), { 'keys.rotate_every': '20m', 'keys.jwks_max_age': '15m' }, 'rotate_every', 'jwks_max_age (15m)',
		'write "rotate_every: 30m"');
});

test('an_unknown_option_is_refused_with_the_nearest_name', async () => {
	const data = made();
	fs.appendFileSync(path.join(data, 'chancery.yaml'), '\ntokens:\n  acess_ttl: 5m\n');
	await refuses(data, {}, 'tokens.acess_ttl', 'access_ttl');
	await refuses(made(), { 'tokens.access_ttl': 'soon' }, 'tokens.access_ttl');
});

test('a_master_key_that_others_may_read_is_refused_and_a_missing_one_is_not_made_again', async () => {
	const data = made();
	const key = path.join(data, 'master.key');
	assert.equal(fs.statSync(data).mode & 0o777, 0o700);
	assert.equal(fs.statSync(key).mode & 0o777, 0o600);
	fs.chmodSync(key, 0o644);
	await refuses(data, {}, 'master.key');
	fs.chmodSync(key, 0o600);
	const kept = fs.readFileSync(key);
	fs.writeFileSync(key, kept.subarray(0, 31));
	await refuses(data, {}, 'master.key');
	fs.writeFileSync(key, Buffer.alloc(32, 7));
	await refuses(data, {});
	fs.unlinkSync(key);
	await refuses(data, {}, 'master.key');
	assert.equal(run('--data', data, 'init', '--issuer', 'http://127.0.0.1:8080').status, 1);
	assert.ok(!fs.existsSync(key));
});

test('init_again_changes_nothing_and_says_so', () => {
	const data = made();
	const before = fs.readFileSync(path.join(data, 'master.key'));
	const again = run('--data', data, 'init', '--issuer', 'http://127.0.0.1:8080');
	assert.equal(again.status, 0, again.stderr);
	assert.notEqual(again.stderr, '');
	assert.deepEqual(fs.readFileSync(path.join(data, 'master.key')), before);
});

/* A value of an option is no word of the command, even when it is spelt as one. */
test('completion_keeps_its_place_after_an_option_with_a_value', async (t) => {
	const script = (shell) => {
		const file = path.join(folder, `completion.${shell}`);
		fs.writeFileSync(file, run('completion', shell).stdout);
		return file;
	};
	const lines = [
		['--data user client secr', ['secret']],
		['-o client user set-', ['set-password']],
		['client create show --scope list --auth-', ['--auth-method']],
	];
	for (const [line, expected] of lines) {
		const words = ['chancery', ...line.split(' ')];
		const done = spawnSync('bash', ['-c', `source ${script('bash')}; COMP_WORDS=(${words.join(' ')}); ` +
			`COMP_CWORD=${words.length - 1}; _chancery; printf '%s\\n' "\${COMPREPLY[@]}"`], { encoding: 'utf8' });
		assert.deepEqual(done.stdout.trim().split('\n'), expected, `bash: ${line}: ${done.stderr}`);
	}
	if (spawnSync('fish', ['--version']).error) {
		t.diagnostic('no fish here');
		return;
	}
	for (const [line, expected] of lines) {
		const done = spawnSync('fish', ['-c', `source ${script('fish')}; complete -C 'chancery ${line}'`],
			{ encoding: 'utf8' });
		assert.deepEqual(done.stdout.trim().split('\n').map((found) => found.split('\t')[0]), expected,
			`fish: ${line}: ${done.stderr}`);
	}
});

test('serve_without_init_says_what_to_do', async () => {
	await refuses(path.join(folder, 'nothing-here'), {}, 'chancery init');
});

test('rfc6749_2_registration_fixes_type_grants_and_audience', async () => {
	const server = await Server.make();
	try {
		const create = (...args) => server.cli('-o', 'json', 'client', 'create', ...args);
		const unknown = create('x', '--grant', 'client_credentials', '--scope', 's', '--audience', api);
		assert.equal(unknown.status, 1);
		assert.match(unknown.stderr, /api create/);
		server.json('api', 'create', api, '--scope', 'orders.read');
		assert.equal(create('x', '--grant', 'no_such_grant', '--audience', api).status, 1);
		assert.equal(create('bad\u0001id', '--grant', 'client_credentials', '--audience', api).status, 1);
		const client = server.json('client', 'create', 'x', '--grant', 'client_credentials', '--scope', 'orders.read', '--audience', api);
		assert.match(client.client_secret, /^chy_cs_[A-Za-z0-9_-]{40,}$/);
		assert.equal(create('x', '--grant', 'client_credentials', '--audience', api).status, 4);
		const shown = server.json('client', 'show', 'x');
		assert.equal(shown.client_secret, undefined);
		const open = server.json('client', 'create', 'open', '--public', '--grant', 'refresh_token', '--scope', 'orders.read', '--audience', api);
		assert.equal(open.client_secret, undefined);
	} finally {
		await server.done();
	}
});
