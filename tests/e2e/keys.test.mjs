/* The signing keys from the command line: what is told of them, emergencies, keys that come from elsewhere,
 * tokens that a thief makes, another master key, and everything anew. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, randomUUID, sign as signBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import * as jose from 'jose';
import { Server, api, binary, until } from './helpers.mjs';

const reveal = path.join(path.dirname(binary), 'tests', 'reveal');
const cc = { grant_type: 'client_credentials' };
let server, shop;

before(async () => {
	server = await Server.make({ settings: { 'keys.algs': 'ES256,RS256' } });
	shop = server.furnish();
});
after(async () => server?.done());

const keySet = async () => (await server.get('/.well-known/jwks.json')).json;
const kids = async () => (await keySet()).keys.map((key) => key.kid);
const list = () => server.json('key', 'list').items;
const kidIn = (state, alg = 'ES256') => list().filter((key) => key.state === state && key.alg === alg).at(-1).kid;
const kidOf = (token) => jose.decodeProtectedHeader(token).kid;
const inFile = (name, text) => {
	const file = path.join(server.folder, name);
	fs.writeFileSync(file, text, { mode: 0o600 });
	return file;
};

async function token() {
	const answer = await server.token(cc, shop);
	assert.equal(answer.status, 200, answer.text);
	return answer.json.access_token;
}

async function isActive(text) {
	return (await server.introspect(text, shop)).active;
}

/* As any verifier does it, with the set as it is served now. */
async function verifies(text) {
	try {
		await jose.jwtVerify(text, jose.createLocalJWKSet(await keySet()), { issuer: server.issuer, audience: api });
		return true;
	} catch (e) {
		assert.ok(e instanceof jose.errors.JOSEError, e);
		return false;
	}
}

async function restart() {
	await server.stop();
	await server.start();
}

/* After an emergency a standby that the signer was too busy to make at once is made a moment later; nothing
 * else may be wrong. */
async function assertRules() {
	let faults;
	await until(() => {
		const done = server.cli('-o', 'json', 'key', 'lint');
		const answer = JSON.parse(done.stdout);
		assert.equal(done.status, answer.ok ? 0 : 3);
		faults = answer.faults;
		return !faults.some((fault) => fault.endsWith('no standby'));
	}, 'a standby');
	assert.deepEqual(faults, []);
}

const audit = (event) => server.json('audit', 'list').items.filter((row) => row.event === event);

/* ---- looking ---- */

test('plan_lint_and_drill_tell_how_it_stands', () => {
	const plan = server.json('key', 'plan').items;
	for (const event of ['activate', 'retire', 'publish', 'raise_bound'])
		assert.ok(plan.some((row) => row.event === event), event);
	assert.deepEqual(plan.map((row) => row.at), plan.map((row) => row.at).sort());
	assert.deepEqual(server.json('key', 'lint'), { ok: true, faults: [] });
	const drill = server.json('key', 'drill');
	assert.ok(drill.ok, JSON.stringify(drill));
	for (const name of ['rules', 'clock', 'standby_opens_ES256', 'standby_opens_RS256', 'reachable', 'standby_keys'])
		assert.ok(drill.checks.some((check) => check.name === name && check.ok), name);
	assert.equal(audit('key.drill').length, 1);
});

/* ---- emergencies ---- */

test('a_revoked_standby_is_replaced', async () => {
	const bad = kidIn('standby');
	const answer = server.json('--yes', 'key', 'revoke', bad);
	assert.equal(answer.outstanding_tokens, 0);
	assert.equal(answer.latest_expiry, null);
	assert.equal(answer.signs_now, kidIn('active'));
	assert.ok(!(await kids()).includes(bad));
	assert.notEqual(kidIn('standby'), bad);
});

test('a_revoked_active_key_ends_with_its_tokens_and_does_not_come_back', async () => {
	const old = await token();
	const bad = kidOf(old), standby = kidIn('standby');
	assert.ok(await isActive(old) && await verifies(old));
	const database = path.join(server.data, 'db', 'chancery.db');
	const copied = spawnSync('sqlite3', ['-cmd', '.timeout 5000', database, `.backup '${database}.copy'`],
		{ encoding: 'utf8' });
	assert.equal(copied.status, 0, copied.stderr);

	const answer = server.json('--yes', 'key', 'revoke', bad);
	assert.equal(answer.kid, bad);
	assert.equal(answer.signs_now, standby);
	assert.ok(Date.parse(answer.cached_until) > Date.now());
	const next = await token();
	assert.equal(kidOf(next), standby, 'the next token carries the new kid');
	assert.equal(await isActive(old), false);
	assert.ok(await isActive(next) && await verifies(next));
	assert.ok(!(await kids()).includes(bad));
	assert.equal(await verifies(old), false);
	await assertRules();

	await restart();
	assert.equal(await isActive(old), false);
	assert.ok(!(await kids()).includes(bad));

	await server.stop();
	for (const end of ['-wal', '-shm'])
		fs.rmSync(database + end, { force: true });
	fs.copyFileSync(`${database}.copy`, database);
	await server.start();
	assert.equal(list().find((key) => key.kid === bad).state, 'revoked');
	assert.ok(!(await kids()).includes(bad));
	assert.equal(await isActive(old), false);
	assert.ok(await verifies(await token()));
	await assertRules();
});

/* ---- keys of a former server ---- */

const formerToken = (key, kid, alg) => new jose.SignJWT({ client_id: 'shop', scope: 'orders.read' })
	.setProtectedHeader({ alg, kid, typ: 'at+jwt' }).setIssuer(server.issuer).setAudience(api).setSubject('shop')
	.setIssuedAt().setExpirationTime('10m').setJti(randomUUID()).sign(key);

test('an_imported_pem_signs_on_under_its_kid', async () => {
	const { privateKey, publicKey } = await jose.generateKeyPair('ES256', { extractable: true });
	const former = await formerToken(privateKey, 'former-es', 'ES256');
	const before = await token();
	const made = server.json('key', 'import', inFile('former.pem', await jose.exportPKCS8(privateKey)),
		'--kid', 'former-es', '--state', 'active');
	assert.equal(made.origin, 'import');
	const next = await token();
	assert.equal(kidOf(next), 'former-es');
	/* those who know the former server's key only, and those who fetch ours */
	await jose.jwtVerify(next, publicKey, { issuer: server.issuer, audience: api, typ: 'at+jwt' });
	for (const text of [before, former, next])
		assert.ok(await verifies(text));
	assert.ok(await isActive(before) && await isActive(next));
	await assertRules();
	assert.equal(audit('token.forged').length, 0);
	await restart();
	assert.equal(kidOf(await token()), 'former-es');
});

test('an_imported_jwk_retires_and_verifies_until_then', async () => {
	const { privateKey, publicKey } = await jose.generateKeyPair('RS256', { extractable: true });
	const former = await formerToken(privateKey, 'former-rs', 'RS256');
	const set = { keys: [
		{ ...await jose.exportJWK((await jose.generateKeyPair('ES256')).publicKey), kid: 'other' },
		{ ...await jose.exportJWK(publicKey), kid: 'former-rs', alg: 'RS256', use: 'sig' },
	] };
	assert.equal(await verifies(former), false);
	const made = server.json('key', 'import', inFile('former.json', JSON.stringify(set)), '--kid', 'former-rs',
		'--state', 'retiring', '--for', '1h');
	assert.equal(made.state, 'retiring');
	assert.equal(await verifies(former), true);
	assert.notEqual(kidIn('active', 'RS256'), 'former-rs');
	const again = server.cli('key', 'import', inFile('former.jwk', JSON.stringify(await jose.exportJWK(privateKey))),
		'--kid', 'former-rs', '--state', 'active');
	assert.equal(again.status, 4, again.stderr);
});

test('an_imported_private_jwk_signs_too', async () => {
	const { privateKey } = await jose.generateKeyPair('RS256', { extractable: true });
	const jwk = { ...await jose.exportJWK(privateKey), kid: 'former-rs-2' };
	server.json('key', 'import', inFile('former-2.jwk', JSON.stringify(jwk)), '--state', 'active');
	assert.equal(kidIn('active', 'RS256'), 'former-rs-2');
	/* its own server's tokens are not ours to vouch for, and no alarm */
	const former = await formerToken(privateKey, 'former-rs-2', 'RS256');
	assert.equal(await isActive(former), false);
	assert.equal(server.json('key', 'tripwire', inFile('former.txt', former)).items[0].verdict, 'unproven');
	assert.equal(audit('token.forged').length, 0);
	/* a key of our own again, so that what follows is about keys that we made */
	for (const alg of ['ES256', 'RS256'])
		server.json('--yes', 'key', 'rotate', '--alg', alg, '--force');
});

/* ---- a thief ---- */

function stolenKey(kid) {
	const query = "SELECT 'root ' || version || ' ' || hex(sealed) FROM roots;" +
		"SELECT 'key ' || kid || ' ' || alg || ' ' || hex(sealed) FROM keys WHERE length(sealed) > 0;";
	const rows = spawnSync('sqlite3', [path.join(server.data, 'db', 'chancery.db'), query], { encoding: 'utf8' });
	assert.equal(rows.status, 0, rows.stderr);
	const done = spawnSync(reveal, [path.join(server.data, 'master.key')], { input: rows.stdout, encoding: 'utf8' });
	assert.equal(done.status, 0, done.stderr);
	const line = done.stdout.split('\n').find((text) => text.startsWith(`${kid} `));
	return Buffer.from(line.split(' ')[1].padStart(64, '0'), 'hex');
}

/* Byte for byte as given: what a JWT library would change is the point. */
function signOutside(key, header, payload) {
	const input = [header, payload].map((part) => Buffer.from(part).toString('base64url')).join('.');
	return `${input}.${signBytes('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

test('a_token_signed_with_a_stolen_key_is_caught', async () => {
	const genuine = await token();
	const kid = kidOf(genuine);
	const jwk = (await keySet()).keys.find((key) => key.kid === kid);
	const key = createPrivateKey({ format: 'jwk', key: { ...jwk, d: stolenKey(kid).toString('base64url') } });
	const [header, payload] = genuine.split('.').slice(0, 2).map((part) => Buffer.from(part, 'base64url').toString());
	assert.match(payload, /"jti":"[^"]{28}"\}$/);
	const stranger = payload.replace(/"jti":"[^"]*"/, `"jti":"${'A'.repeat(28)}"`);
	const forgeries = {
		'another jti': stranger,
		'another sub': payload.replace('"sub":"shop"', '"sub":"shoq"'),
		'another scope': payload.replace('orders.write', 'orders.wrote'),
		'another exp': payload.replace(/"exp":(\d+)/, (_, exp) => `"exp":${Number(exp) + 3600}`),
		'no jti': payload.replace(/,"jti":"[^"]*"/, ''),
	};
	for (const [what, text] of Object.entries(forgeries)) {
		assert.notEqual(text, payload, what);
		const forged = signOutside(key, header, text);
		/* a verifier that only checks signatures takes it: that is the theft */
		await jose.jwtVerify(forged, createPublicKey(key), {});
		assert.equal(await isActive(forged), false, what);
		const done = server.cli('-o', 'json', 'key', 'tripwire', inFile('forged.log', `GET / 200 "Bearer ${forged}"\n`));
		assert.equal(done.status, 3, done.stdout + done.stderr);
		assert.equal(JSON.parse(done.stdout).items[0].verdict, 'forged', what);
	}
	assert.ok(await isActive(genuine));
	const mixed = inFile('mixed.log', `${genuine}\n${signOutside(key, header, stranger)}\n`);
	const done = server.cli('-o', 'json', 'key', 'tripwire', mixed);
	assert.deepEqual(JSON.parse(done.stdout).items.map(({ line, verdict }) => [line, verdict]),
		[[1, 'genuine'], [2, 'forged']]);
	assert.match(server.logText(), /somebody else signs with our key/);

	server.json('--yes', 'key', 'revoke', kid);
	assert.equal(server.cli('key', 'tripwire', mixed).status, 3, 'also when the key is gone');
});

/* ---- custody ---- */

test('after_a_rewrap_everything_goes_on_and_the_old_master_key_opens_nothing', async () => {
	const master = path.join(server.data, 'master.key');
	const old = fs.readFileSync(master);
	const access = await token();
	const login = await server.login(shop);
	server.json('key', 'rewrap');
	assert.notDeepEqual(fs.readFileSync(master), old);
	assert.ok(!fs.existsSync(`${master}.next`));
	for (let i = 0; i < 2; i++) {
		assert.ok(await isActive(access) && await verifies(access));
		await assertRules();
		assert.equal(server.json('key', 'tripwire', inFile('one.txt', access)).items[0].verdict, 'genuine');
		await restart();
	}
	const fresh = await server.refresh(login.refresh_token, shop);
	assert.equal(fresh.status, 200, fresh.text);
	await server.stop();
	const present = fs.readFileSync(master);
	fs.writeFileSync(master, old, { mode: 0o600 });
	server.launch().ref();
	const { status } = await server.exited;
	assert.notEqual(status, 0);
	fs.writeFileSync(master, present, { mode: 0o600 });
	await server.start();
});

test('revoking_all_makes_everything_anew', async () => {
	const access = await token();
	const login = await server.login(shop);
	const before = await kids();
	const master = fs.readFileSync(path.join(server.data, 'master.key'));
	const answer = server.json('--yes', 'key', 'revoke', '--all');
	assert.ok(answer.restarts);
	assert.deepEqual(answer.items.map((item) => item.kid).sort(), before.sort());
	server.agent.destroy();
	await until(async () => {
		try {
			return !(await kids()).some((kid) => before.includes(kid)) && (await server.token(cc, shop)).status === 200;
		} catch {
			return false;
		}
	}, 'new keys', 30_000);
	assert.notDeepEqual(fs.readFileSync(path.join(server.data, 'master.key')), master);
	assert.equal(await isActive(access), false);
	assert.equal((await server.refresh(login.refresh_token, shop)).status, 400);
	const next = await token(); /* the client's secret is the same */
	assert.ok(await isActive(next) && await verifies(next));
	await assertRules();
	assert.equal(audit('key.revoke_all').length, 1);
	assert.equal(server.json('key', 'tripwire', inFile('old.txt', access)).items[0].verdict, 'genuine');
	await restart();
	assert.ok(await isActive(next));
	await assertRules();
});
