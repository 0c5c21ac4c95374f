/* Keys change while requests run, and every token, old and new, verifies: for a verifier that fetches the
 * set when it meets an unknown kid, and for one that goes by max-age alone. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as jose from 'jose';
import { Server, api, long, sleep } from './helpers.mjs';

let server, shop;

before(async () => {
	server = await Server.make({ settings: { 'log.access': 'errors' } });
	shop = server.furnish();
});
after(async () => server?.done());

const keySet = async () => (await server.get('/.well-known/jwks.json')).json;

test('key_rotate_under_load_breaks_no_token', async () => {
	const tokens = [];
	let running = true, shed = 0;
	const load = Array.from({ length: 8 }, async () => {
		while (running) {
			const answer = await server.token({ grant_type: 'client_credentials' }, shop);
			if (answer.status === 503) { /* a machine so busy that the signer was late: promised, and rare */
				shed++;
				await sleep(10);
				continue;
			}
			assert.equal(answer.status, 200, answer.text);
			tokens.push(answer.json.access_token);
		}
	});
	const eager = jose.createRemoteJWKSet(new URL(`${server.issuer}/.well-known/jwks.json`), { cooldownDuration: 0 });
	/* fetched once, before: the standby that will sign is already in it */
	const cached = jose.createLocalJWKSet(await keySet());

	await sleep(200);
	const active = () => server.json('key', 'list').items
		.filter((key) => key.alg === 'ES256' && key.state === 'active').map((key) => key.kid);
	const [before] = active();
	server.json('--yes', 'key', 'rotate', '--alg', 'ES256');
	const [then] = active();
	assert.notEqual(then, before);
	const switched = tokens.length;
	const next = await server.token({ grant_type: 'client_credentials' }, shop);
	assert.equal(jose.decodeProtectedHeader(next.json.access_token).kid, then, 'the next token carries the new kid');
	await sleep(long ? 5000 : 500);
	running = false;
	await Promise.all(load);
	assert.ok(tokens.length > switched && switched > 0);
	assert.ok(shed * 20 < tokens.length, `${shed} of ${tokens.length} were shed`);

	const kids = new Set();
	for (const token of [...tokens, next.json.access_token]) {
		for (const keys of [eager, cached]) {
			const { protectedHeader } = await jose.jwtVerify(token, keys,
				{ issuer: server.issuer, audience: api, typ: 'at+jwt' });
			kids.add(protectedHeader.kid);
		}
	}
	assert.deepEqual([...kids].sort(), [before, then].sort());
	console.log(`# ${tokens.length} tokens across the rotation`);
});

test('a_second_rotation_waits_until_verifiers_know_the_standby', async () => {
	const refused = server.cli('-o', 'json', '--yes', 'key', 'rotate', '--alg', 'ES256');
	assert.equal(refused.status, 4, refused.stderr);
	server.json('--yes', 'key', 'rotate', '--alg', 'ES256', '--force');
	const states = server.json('key', 'list').items.filter((key) => key.alg === 'ES256').map((key) => key.state);
	assert.equal(states.filter((state) => state === 'active').length, 1);
	assert.equal(states.filter((state) => state === 'standby').length, 1);
	assert.equal(states.filter((state) => state === 'retiring').length, 2);
});

test('keys_and_tokens_survive_a_restart', async () => {
	const token = (await server.token({ grant_type: 'client_credentials' }, shop)).json.access_token;
	const set = await keySet();
	await server.stop();
	await server.start();
	assert.deepEqual(await keySet(), set);
	await jose.jwtVerify(token, jose.createLocalJWKSet(await keySet()), { issuer: server.issuer, audience: api });
	assert.equal((await server.introspect(token, shop)).active, true);
});
