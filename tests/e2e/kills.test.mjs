/* The server is killed at every step of every change of keys, started again, and must be whole: the steps are
 * the failpoints that its source names, so that a new one is covered or complained about by itself. */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import * as jose from 'jose';
import { Server, api, top, until } from './helpers.mjs';

const algs = ['ES256', 'RS256'];
const cc = { grant_type: 'client_credentials' };
let server, clients;

/* ---- which failpoints there are, and what reaches them ---- */

function failpoints() {
	const found = new Set();
	for (const room of ['server/state', 'keys'])
		for (const name of fs.readdirSync(path.join(top, room)).filter((file) => file.endsWith('.c')))
			for (const match of fs.readFileSync(path.join(top, room, name), 'utf8').matchAll(/FAILPOINT\("(key\.[^"]+)"\)/g))
				found.add(match[1]);
	return [...found].sort();
}

const kidsIn = (...wanted) => server.json('key', 'list').items.filter((key) => wanted.includes(key.state));

/* `command` is what the failpoint lies in; `revokes` gives the kids that it must leave revoked, finished or not. */
const rotate = { command: () => ['key', 'rotate', '--alg', 'ES256', '--force'] };
/* Nobody asks for it: a step of the bound later it is due at the start. */
const raise = { clock: 3700 };
const signing = () => kidsIn('active').find((key) => key.alg === 'ES256').kid;
const revoke = { revokes: () => [signing()], command: () => ['key', 'revoke', signing()] };
/* A new root: no login is promised to outlive it. */
const revokeAll = {
	endsLogins: true,
	revokes: () => kidsIn('active', 'standby', 'retiring').map((key) => key.kid),
	command: () => ['key', 'revoke', '--all'],
};
const rewrap = { command: () => ['key', 'rewrap'] };
const bring = {
	command: () => {
		const file = path.join(server.folder, 'former.pem');
		const { privateKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
		fs.writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
		return ['key', 'import', '--state', 'active', '--kid', 'former', file];
	},
};

const rows = {
	'key.bound.committed': raise,
	'key.rotate.generated': rotate,
	'key.rotate.loaded': rotate,
	'key.rotate.committed': rotate,
	'key.rotate.activated': rotate,
	'key.rotate.settled': rotate,
	'key.revoke.listed': revoke,
	'key.revoke.committed': revoke,
	'key.revoke.switched': revoke,
	'key.revoke.published': revoke,
	'key.revoke_all.listed': revokeAll,
	'key.revoke_all.committed': revokeAll,
	'key.rewrap.prepared': rewrap,
	'key.rewrap.committed': rewrap,
	'key.import.committed': bring,
};

/* ---- what must hold whenever the server runs ---- */

const expected = () => ({ issuer: server.issuer, audience: api,
	currentDate: new Date(Date.now() + server.offset * 1000) });
const keySet = async () => (await server.get('/.well-known/jwks.json')).json;
const states = (keys, alg, state) => keys.filter((key) => key.alg === alg && key.state === state);

async function newToken(alg) {
	const answer = await until(async () => {
		const got = await server.token(cc, clients[alg]);
		assert.ok([200, 503].includes(got.status), got.text);
		return got.status === 200 && got;
	}, `a token by ${alg}`);
	return answer.json.access_token;
}

/* Right after an emergency an algorithm may be without keys for the moment it takes to make them. */
const wholeList = () => until(() => {
	const { items } = server.json('key', 'list');
	return algs.every((alg) => states(items, alg, 'active').length && states(items, alg, 'standby').length) && items;
}, 'an active and a standby key of each algorithm');

async function everythingHolds() {
	const keys = await wholeList();
	for (const alg of algs) {
		assert.equal(states(keys, alg, 'active').length, 1);
		assert.equal(states(keys, alg, 'standby').length, 1);
	}
	const published = keys.filter((key) => ['active', 'standby', 'retiring'].includes(key.state)).map((key) => key.kid);
	await until(async () => {
		const set = (await keySet()).keys.map((key) => key.kid);
		return set.length === published.length && published.every((kid) => set.includes(kid));
	}, 'the key set is what the list says');
	const verifier = jose.createLocalJWKSet(await keySet());
	for (const alg of algs) {
		const { protectedHeader } = await jose.jwtVerify(await newToken(alg), verifier, expected());
		assert.equal(protectedHeader.kid, states(keys, alg, 'active')[0].kid);
	}
	const lint = server.cli('key', 'lint');
	assert.equal(lint.status, 0, lint.stdout + lint.stderr);
}

/* What was issued before goes on being good, unless its key was revoked. */
async function stillGood(before, row, revoked) {
	const verifier = jose.createLocalJWKSet(await keySet());
	for (const text of before.tokens) {
		const good = !revoked.includes(jose.decodeProtectedHeader(text).kid);
		const verified = await jose.jwtVerify(text, verifier, expected()).then(() => true, () => false);
		assert.equal(verified, good, 'for a verifier');
		assert.equal((await server.introspect(text, clients.ES256)).active, good, 'for us');
	}
	const states = new Map(server.json('key', 'list').items.map((key) => [key.kid, key.state]));
	for (const kid of revoked)
		assert.equal(states.get(kid), 'revoked', kid);
	if (row.endsLogins)
		return;
	assert.equal((await server.refresh(before.refresh, clients.ES256)).status, 200, 'a login from before');
}

/* ---- the kill ---- */

async function killedAt(name, row) {
	const logged = server.logText().length;
	await server.stop();
	if (row.clock)
		server.moveClock(server.offset += row.clock);
	server.launch({ env: { CHANCERY_FAILPOINTS: `${name}:1:abort` } });
	const died = () => server.logText().slice(logged).includes('server died');
	if (row.command)
		await server.ready();
	const revoked = row.revokes?.() ?? [];
	const done = row.command && server.cli('--yes', ...row.command());
	await until(died, `dead at ${name}: ${done?.stderr}`);
	server.kill(); /* all of it, as when the power goes */
	await server.stop();
	await server.start();
	return revoked;
}

before(async () => {
	server = await Server.make({ clock: true, settings: { 'log.access': 'errors' } });
	server.offset = 0;
	server.json('api', 'create', api, '--scope', 'orders.read', '--scope', 'orders.write');
	server.user('alice');
	clients = Object.fromEntries(algs.map((alg) =>
		[alg, server.client(alg, 'client_credentials', 'password', 'refresh_token', `--alg=${alg}`)]));
});
after(async () => server?.done());

test('every_row_is_of_a_failpoint', () => {
	assert.deepEqual(Object.keys(rows).filter((name) => !failpoints().includes(name)), []);
});

for (const name of failpoints()) {
	test(`killed_at_${name}_and_whole_again`, async () => {
		const row = rows[name];
		assert.ok(row, `no row says what reaches ${name}`);
		const login = await server.login(clients.ES256);
		const before = { refresh: login.refresh_token,
			tokens: [login.access_token, await newToken('ES256'), await newToken('RS256')] };
		const revoked = await killedAt(name, row);
		await everythingHolds();
		if (!row.clock) /* moved by more than a token lives */
			await stillGood(before, row, revoked);
	});
}
