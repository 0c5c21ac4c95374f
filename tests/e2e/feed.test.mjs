/* The revocation feed to those who read it: jose verifies it, and a verifier of forty lines that polls it
 * enforces what it says, through everything that happens to a server meanwhile. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as jose from 'jose';
import { Server, api, basic, until } from './helpers.mjs';

const feedPath = '/oauth2/revocations';
const cc = { grant_type: 'client_credentials' };

let server, shop;

before(async () => {
	server = await Server.make({ settings: { 'log.access': 'errors' } });
	shop = server.furnish();
});
after(async () => server?.done());

const feedKeys = () => jose.createRemoteJWKSet(new URL(`${server.issuer}${feedPath}/jwks.json`), { cooldownDuration: 0 });

async function verified(text, keys) {
	const { payload, protectedHeader } = await jose.jwtVerify(text, keys,
		{ issuer: server.issuer, typ: 'revocations+jwt', algorithms: ['ES256'] });
	return { payload, kid: protectedHeader.kid };
}

/* What a service would do: poll with its cursor and validator, verify, keep, ask for each token. */
class Reader {
	keys = feedKeys();
	entries = new Map();
	seen = { full: 0, delta: 0, held: 0 };

	constructor(client) {
		this.authorization = client && basic(client.client_id, client.client_secret);
	}

	async poll() {
		const query = this.cursor ? `?since=${encodeURIComponent(this.cursor)}` : '';
		const headers = { ...(this.authorization && { authorization: this.authorization }) };
		if (this.etag && this.asked === query)
			headers['if-none-match'] = this.etag;
		const answer = await server.get(feedPath + query, headers);
		if (answer.status === 304) {
			this.seen.held++;
			return true;
		}
		if (answer.status !== 200)
			return false;
		const { payload, kid } = await verified(answer.text, this.keys);
		Object.assign(this, { etag: answer.headers.etag, asked: query, cursor: payload.cursor, kid });
		this.seen[payload.full ? 'full' : 'delta']++;
		if (payload.full)
			this.entries.clear();
		for (const entry of payload.entries)
			this.entries.set(`${entry.kind} ${entry.value}`, entry);
		return true;
	}

	refuses(token) {
		const claims = jose.decodeJwt(token), { kid } = jose.decodeProtectedHeader(token);
		const names = { jti: claims.jti, sid: claims.sid, client: claims.client_id, user: claims.sub, kid };
		return [...Object.entries(names), ...[claims.aud].flat().map((aud) => ['api', aud])].some(([kind, value]) => {
			const entry = this.entries.get(`${kind} ${value}`);
			return entry !== undefined && claims.iat <= (entry.before ?? Infinity);
		});
	}

	/* Polls until it refuses the token. */
	enforces(token, what) {
		return until(async () => await this.poll() && this.refuses(token), what);
	}
}

const machine = async (client = shop) => (await server.token(cc, client)).json.access_token;
const revoke = async (token, client = shop) => (await server.post('/oauth2/revoke', { token }, client)).status;

test('jose_verifies_the_feed_by_its_own_keys_and_not_by_the_tokens', async () => {
	const metadata = (await server.get('/.well-known/openid-configuration')).json;
	assert.equal(metadata.revocations_uri, server.issuer + feedPath);
	const answer = await server.get(feedPath);
	assert.equal(answer.headers['content-type'], 'application/jwt');
	assert.equal(answer.headers['cache-control'], 'no-cache');
	const { payload } = await verified(answer.text, feedKeys());
	assert.deepEqual([payload.full, payload.entries], [true, []]);
	const tokenKeys = jose.createRemoteJWKSet(new URL(metadata.jwks_uri));
	await assert.rejects(verified(answer.text, tokenKeys), { code: 'ERR_JWKS_NO_MATCHING_KEY' });
	await assert.rejects(jose.jwtVerify(await machine(), feedKeys()), { code: 'ERR_JWKS_NO_MATCHING_KEY' });
});

test('a_reader_that_polls_enforces_each_kind_of_revocation', async () => {
	const stranger = new Reader(), friend = new Reader(shop);
	const token = await machine(), good = await machine(), login = await server.login(shop);
	await Promise.all([stranger.poll(), friend.poll()]);
	assert.equal(await revoke(token), 200);
	await Promise.all([stranger.enforces(token, 'a token'), friend.enforces(token, 'a token')]);
	assert.equal(await revoke(login.refresh_token), 200);
	await Promise.all([stranger.enforces(login.access_token, 'a login'), friend.enforces(login.access_token, 'a login')]);
	assert.ok(!stranger.refuses(good) && !friend.refuses(good));
	assert.ok(stranger.seen.full === 1 && stranger.seen.delta >= 2, 'the list was fetched whole once');

	const other = server.client('other', 'client_credentials');
	const lost = await machine(other);
	server.json('client', 'update', 'other', '--disable');
	await friend.enforces(lost, 'a client');
	await stranger.poll();
	assert.ok(!stranger.refuses(lost), 'names of clients are not told to strangers');
});

test('most_polls_are_a_304', async () => {
	const reader = new Reader();
	for (let i = 0; i < 20; i++)
		assert.ok(await reader.poll());
	/* the whole list, the first answer to its cursor, and what a slow machine's second may add */
	assert.ok(reader.seen.held >= 15, JSON.stringify(reader.seen));
});

test('a_list_of_many_frames_verifies', async () => {
	const reader = new Reader(), tokens = [];
	for (let i = 0; i < 25; i++)
		tokens.push(...await Promise.all(Array.from({ length: 16 }, () => machine())));
	for (let i = 0; i < tokens.length; i += 16)
		assert.deepEqual([...new Set(await Promise.all(tokens.slice(i, i + 16).map((token) => revoke(token))))], [200]);
	await until(async () => await reader.poll() && tokens.every((token) => reader.refuses(token)), 'all 400');
	const answer = await server.get(feedPath);
	assert.ok(answer.text.length > 3 * 12288, 'longer than a frame between server and signer');
	const { payload } = await verified(answer.text, reader.keys);
	assert.ok(payload.entries.length >= 400);
});

test('doubled_and_unknown_parameters_are_400', async () => {
	for (const query of ['?since=a&since=b', '?x=1', '?since=a&x=1'])
		assert.equal((await server.get(feedPath + query)).status, 400, query);
	assert.equal((await server.get(`${feedPath}?since=made-up`)).status, 200);
});

test('another_signer_signs_with_the_same_keys', async () => {
	const reader = new Reader();
	await reader.poll();
	const { kid } = reader, token = await machine();
	assert.ok(server.strike('signer'));
	await until(() => server.logText().includes('the signer was restarted'), 'a new signer');
	await until(async () => await revoke(token) === 200, 'a revocation');
	await reader.enforces(token, 'a revocation after it');
	assert.equal(reader.kid, kid);
});

test('a_rotation_of_the_tokens_keys_leaves_the_feed_alone', async () => {
	const reader = new Reader(), token = await machine();
	await reader.poll();
	const set = (await server.get(`${feedPath}/jwks.json`)).text;
	server.json('--yes', 'key', 'rotate', '--force');
	assert.equal((await server.get(`${feedPath}/jwks.json`)).text, set);
	assert.equal(await revoke(token), 200);
	await reader.enforces(token, 'a token of the key before');
});

test('a_restart_forgets_cursors_and_no_revocation', async () => {
	const reader = new Reader(), token = await machine();
	assert.equal(await revoke(token), 200);
	await reader.enforces(token, 'a token');
	const { cursor, kid } = reader;
	await server.stop();
	await server.start();
	assert.ok(await reader.poll());
	assert.ok(reader.seen.full === 2 && reader.cursor !== cursor);
	assert.ok(reader.refuses(token));
	assert.equal(reader.kid, kid, 'the key is derived, not made');
});

test('a_revoked_key_is_told_and_one_new_root_makes_new_keys', async () => {
	const reader = new Reader(), before = await machine();
	const old = jose.createLocalJWKSet((await server.get(`${feedPath}/jwks.json`)).json);
	await reader.poll();
	server.json('--yes', 'key', 'revoke', '--all');
	server.agent.destroy();
	const polls = async () => {
		try {
			return await reader.poll() && reader.refuses(before) && (await server.token(cc, shop)).status === 200;
		} catch {
			return false; /* between two processes */
		}
	};
	await until(polls, 'the feed of the next process', 30_000);
	const text = (await server.get(feedPath)).text;
	await verified(text, feedKeys());
	await assert.rejects(verified(text, old), { code: 'ERR_JWKS_NO_MATCHING_KEY' });
	const after = await machine();
	assert.equal(reader.refuses(after), false);
	assert.equal(jose.decodeJwt(after).aud, api);
});
