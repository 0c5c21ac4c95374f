/* `chancery gateway`: the check beside a gateway, against a live issuer from which it has nothing but its URL. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { api, binary, certificateShown, exchange, freePort, makeCertificate, Server, until } from './helpers.mjs';

let server, shop, sidecar;
const children = new Set();
process.on('exit', () => { for (const child of children) child.kill('SIGKILL'); });

/* Started, and able to judge unless `ready` is false; `secure` is what makeCertificate() made. */
async function start(issuer, { options = [], ready = true, secure } = {}) {
	const port = await freePort();
	const pair = secure ? ['--set', `gateway.tls.certificate=${secure.certificate}`,
		'--set', `gateway.tls.key=${secure.key}`] : [];
	const child = spawn(binary, [...pair, 'gateway', '--issuer', issuer, '--listen', `127.0.0.1:${port}`,
		'--audience', `orders=${api}`, ...options], { stdio: ['ignore', 'ignore', 'pipe'],
		env: { ...process.env, ...(secure && { SSL_CERT_FILE: secure.ca }) } });
	const made = { child, port, url: `${secure ? 'https' : 'http'}://127.0.0.1:${port}`, log: '' };
	const ca = secure && fs.readFileSync(secure.ca);
	child.stderr.on('data', (text) => { made.log += text; });
	children.add(child);
	made.exited = new Promise((done) => child.once('exit', (status) => { children.delete(child); done(status); }));
	made.ask = (token, target = '/gateway/verify/orders/x') => exchange(made.url + target,
		{ ca, headers: token ? { authorization: `Bearer ${token}` } : {} });
	made.status = async (where) => {
		try {
			return (await exchange(made.url + where, { ca })).status;
		} catch {
			return 0;
		}
	};
	made.stop = async () => {
		child.kill('SIGTERM');
		return made.exited;
	};
	await until(async () => (await made.status(ready ? '/readyz' : '/livez')) === 200, 'the sidecar');
	return made;
}

before(async () => {
	server = await Server.make();
	shop = server.furnish();
	sidecar = await start(server.issuer);
});
after(async () => {
	await sidecar.stop();
	await server.done();
	/* what a failed test leaves behind would hold this program */
	for (const child of children)
		child.kill('SIGKILL');
});

const machine = async () =>
	(await server.token({ grant_type: 'client_credentials' }, shop)).json.access_token;

test('it_answers_as_the_servers_own_listener_does', async () => {
	const { access_token: token } = await server.login(shop);
	const answer = await sidecar.ask(token, `/gateway/verify?audience=${api}&scope=orders.read`);
	assert.equal(answer.status, 200);
	assert.equal(answer.headers['x-user-id'], server.json('user', 'show', 'alice').id);
	assert.equal(answer.headers['x-client-id'], 'shop');
	assert.equal((await sidecar.ask(token)).status, 200);
	const none = await sidecar.ask();
	assert.equal(none.status, 401);
	assert.equal(none.headers['www-authenticate'], 'Bearer realm="chancery"');
	assert.equal((await sidecar.ask(`${token}x`)).status, 401);
	assert.equal((await sidecar.ask(token, `/gateway/verify?audience=${api}&scope=more`)).status, 403);
	assert.equal((await sidecar.ask(token, '/gateway/verify/other')).status, 400);
	for (const target of ['/metrics', '/.well-known/jwks.json', '/oauth2/revocations', '/gateway/jwks.json'])
		assert.equal(await sidecar.status(target), 404, target);
});

test('what_is_revoked_is_refused_within_seconds_also_if_it_was_just_verified', async () => {
	const token = await machine();
	assert.equal((await sidecar.ask(token)).status, 200);
	await server.post('/oauth2/revoke', { token }, shop);
	await until(async () => (await sidecar.ask(token)).status === 401, 'refused', 20_000);
	assert.equal((await sidecar.ask(await machine())).status, 200);
});

test('a_rotation_is_one_without_a_wrong_answer_and_a_revoked_key_ends_its_tokens', async () => {
	const old = await machine();
	server.json('--yes', 'key', 'rotate');
	const fresh = await machine();
	assert.equal((await sidecar.ask(old)).status, 200);
	assert.equal((await sidecar.ask(fresh)).status, 200);
	const { kid } = JSON.parse(Buffer.from(old.split('.')[0], 'base64url'));
	assert.equal(server.cli('--yes', 'key', 'revoke', kid).status, 0);
	await until(async () => (await sidecar.ask(old)).status === 401, 'refused', 20_000);
	assert.equal((await sidecar.ask(fresh)).status, 200);
});

test('it_judges_while_the_issuer_is_away_and_begins_without_it', async () => {
	const issuer = await Server.make();
	const client = issuer.furnish();
	const { json: { access_token: token } } = await issuer.token({ grant_type: 'client_credentials' }, client);
	const without = await start(issuer.issuer, { options: ['--feed', 'off'] });
	await issuer.stop();
	assert.equal((await without.ask(token)).status, 200);
	const late = await start(issuer.issuer, { ready: false });
	assert.equal((await late.ask(token)).status, 503);
	assert.equal(await late.status('/readyz'), 503);
	await issuer.start();
	await until(async () => (await late.ask(token)).status === 200, 'it has the keys', 60_000);
	assert.equal(await without.stop(), 0);
	assert.equal(await late.stop(), 0);
	await issuer.done();
});

test('with_the_feed_of_the_gateway_listener_a_disabled_client_is_refused_too', async () => {
	const issuer = await Server.make({ start: false });
	const made = makeCertificate(issuer.folder);
	const port = await freePort();
	Object.assign(issuer.settings, { 'gateway.address': `127.0.0.1:${port}`,
		'gateway.tls.certificate': made.certificate, 'gateway.tls.key': made.key });
	await issuer.start();
	const client = issuer.furnish();
	const { json: { access_token: token } } = await issuer.token({ grant_type: 'client_credentials' }, client);
	const near = await start(issuer.issuer, { secure: made,
		options: ['--feed', `https://127.0.0.1:${port}/oauth2/revocations`] });
	const anonymous = await start(issuer.issuer);
	for (const one of [near, anonymous])
		assert.equal((await one.ask(token)).status, 200);
	issuer.json('client', 'update', client.client_id, '--disable');
	await until(async () => (await near.ask(token)).status === 401, 'refused', 20_000);
	/* strangers are told of no client (docs/revocations.md) */
	assert.equal((await anonymous.ask(token)).status, 200);
	assert.equal(await near.stop(), 0);
	assert.equal(await anonymous.stop(), 0);
	await issuer.done();
});

test('sighup_takes_a_new_certificate_and_keeps_the_old_one_for_nonsense', async () => {
	const folder = path.join(server.folder, 'pair');
	fs.mkdirSync(folder);
	const made = makeCertificate(folder);
	const secure = await start(server.issuer, { secure: made });
	const old = await certificateShown(secure.port);
	const good = fs.readFileSync(made.certificate);
	fs.writeFileSync(made.certificate, 'nonsense');
	secure.child.kill('SIGHUP');
	await until(() => secure.log.includes('certificates were not taken'), 'the refusal');
	assert.equal(await certificateShown(secure.port), old);
	fs.writeFileSync(made.certificate, good);
	makeCertificate(folder);
	secure.child.kill('SIGHUP');
	await until(async () => (await certificateShown(secure.port)) !== old, 'the new certificate');
	/* it was issued by another authority: one that resumes no session and knows that one */
	const answer = await exchange(`${secure.url}/readyz`, { ca: fs.readFileSync(made.ca), agent: false });
	assert.equal(answer.status, 200);
	assert.equal(await secure.stop(), 0);
});

test('a_socket_does_as_well_and_is_gone_afterwards', async () => {
	const socketPath = path.join(server.folder, 'sidecar.sock');
	const child = spawn(binary, ['gateway', '--issuer', server.issuer, '--listen', socketPath, '--audience', api],
		{ stdio: 'ignore' });
	children.add(child);
	const exited = new Promise((done) => child.once('exit', done));
	await until(async () => fs.existsSync(socketPath), 'the socket');
	child.kill('SIGTERM');
	assert.equal(await exited, 0);
	children.delete(child);
	assert.ok(!fs.existsSync(socketPath));
});

test('what_it_cannot_do_is_refused_before_it_listens', async () => {
	const refusals = [
		[[], /--issuer/],
		[['--issuer', 'https://id.example.com', '--listen', '127.0.0.1:1'], /--audience/],
		[['--issuer', 'https://id.example.com', '--listen', '0.0.0.0:1', '--audience', api], /is not loopback/],
		[['--issuer', 'http://id.example.com', '--listen', '127.0.0.1:1', '--audience', api], /http is for loopback/],
		[['--issuer', 'https://id.example.com', '--listen', '127.0.0.1:1', '--audience', 'orders'], /not a URI/],
		[['--issuer', 'https://id.example.com', '--listen', '127.0.0.1:1', '--audience', api, '--max-staleness', '1s'],
			/10s to 24h/],
	];
	for (const [args, why] of refusals) {
		const done = server.cli('gateway', ...args);
		assert.equal(done.status, 1, args.join(' '));
		assert.match(done.stderr, why);
	}
});
