/* `chancery token verify` against tokens that somebody else made, well and badly: RFC 7515, 7518, 7519 and
 * 9068 from the receiving side. The same code judges tokens in introspection and at the admin API. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { binary } from './helpers.mjs';

const issuer = 'https://id.example.com';
const audience = 'https://orders.example.com';
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chy-verify-'));
const keys = {
	ES256: crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }),
	RS256: crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }),
};
const jwks = path.join(folder, 'jwks.json');
fs.writeFileSync(jwks, JSON.stringify({ keys: Object.entries(keys).map(([alg, pair]) =>
	({ ...pair.publicKey.export({ format: 'jwk' }), kid: alg, alg, use: 'sig' })) }));
after(() => fs.rmSync(folder, { recursive: true }));

const now = () => Math.floor(Date.now() / 1000);
const b64 = (text) => Buffer.from(text).toString('base64url');
const goodHeader = { alg: 'ES256', typ: 'at+jwt', kid: 'ES256' };
const goodClaims = () => ({ iss: issuer, sub: 'shop', aud: audience, client_id: 'shop', exp: now() + 300, iat: now(),
	jti: 'x1' });

function signature(alg, input) {
	const key = alg === 'RS256' ? keys.RS256.privateKey : { key: keys.ES256.privateKey, dsaEncoding: 'ieee-p1363' };
	return crypto.sign('sha256', Buffer.from(input), key);
}

/* header and claims: objects, or the very text */
function make(header = goodHeader, claims = goodClaims(), { signWith, bend = (bytes) => bytes } = {}) {
	const text = (value) => typeof value === 'string' ? value : JSON.stringify(value);
	const input = `${b64(text(header))}.${b64(text(claims))}`;
	return `${input}.${bend(signature(signWith ?? header.alg, input)).toString('base64url')}`;
}

function status(token, ...options) {
	const done = spawnSync(binary, ['token', 'verify', '--jwks', jwks, '--issuer', issuer, '--audience', audience,
		...options, '-'], { input: token, encoding: 'utf8', timeout: 20_000 });
	return done.status;
}

const valid = (token, why) => assert.equal(status(token), 0, why);
const invalid = (token, why) => assert.equal(status(token), 1, why);

test('tokens_of_others_verify_under_both_algorithms', () => {
	valid(make());
	valid(make({ ...goodHeader, alg: 'RS256', kid: 'RS256' }));
});

test('rfc7515_4_a_header_name_twice_is_refused', () => {
	invalid(make('{"alg":"ES256","typ":"at+jwt","kid":"ES256","kid":"ES256"}', goodClaims(), { signWith: 'ES256' }));
	invalid(make('{"alg":"RS256","alg":"ES256","typ":"at+jwt","kid":"ES256"}', goodClaims(), { signWith: 'ES256' }));
});

test('rfc7515_4_unknown_headers_are_ignored', () => {
	valid(make({ ...goodHeader, 'https://example.com/x': { deep: [1] } }));
});

test('rfc7515_4_1_1_alg_must_be_there_exact_and_the_keys_own', () => {
	const sign = { signWith: 'ES256' };
	invalid(make({ typ: 'at+jwt', kid: 'ES256' }, goodClaims(), sign));
	for (const alg of ['none', 'NONE', 'es256', 'ES256 ', 'ES384', 'HS256', 'RS256', '', 256, null])
		invalid(make({ ...goodHeader, alg }, goodClaims(), sign), `alg ${alg}`);
	/* the public key as an HMAC secret */
	const input = `${b64(JSON.stringify({ ...goodHeader, alg: 'HS256' }))}.${b64(JSON.stringify(goodClaims()))}`;
	const mac = crypto.createHmac('sha256', keys.ES256.publicKey.export({ type: 'spki', format: 'pem' })).update(input);
	invalid(`${input}.${mac.digest('base64url')}`);
});

test('rfc7515_4_1_4_kid_is_compared_exactly', () => {
	invalid(make({ ...goodHeader, kid: 'es256' }));
	invalid(make({ ...goodHeader, kid: 'RS256' }));
	invalid(make({ ...goodHeader, kid: 7 }));
});

test('rfc7515_4_1_11_any_crit_is_refused', () => {
	for (const crit of [['exp'], ['b64'], [], 'exp', [1]])
		invalid(make({ ...goodHeader, crit, exp: 1, b64: true }), JSON.stringify(crit));
	invalid(make({ ...goodHeader, b64: false }));
	invalid(make({ ...goodHeader, zip: 'DEF' }));
	invalid(make({ ...goodHeader, enc: 'A128GCM' }));
});

test('rfc7515_4_1_2_keys_that_the_token_brings_along_are_not_used', () => {
	const stranger = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
	const jwk = stranger.publicKey.export({ format: 'jwk' });
	for (const brought of [{ jwk }, { jku: 'https://evil.example.com/jwks' }, { x5u: 'https://evil.example.com/x' },
		{ x5c: ['AAAA'] }]) {
		const input = `${b64(JSON.stringify({ ...goodHeader, ...brought }))}.${b64(JSON.stringify(goodClaims()))}`;
		const bytes = crypto.sign('sha256', Buffer.from(input), { key: stranger.privateKey, dsaEncoding: 'ieee-p1363' });
		invalid(`${input}.${bytes.toString('base64url')}`);
	}
});

test('rfc7515_5_2_every_spelling_but_one_is_refused', () => {
	const token = make();
	const [header, payload, sign] = token.split('.');
	for (const bent of [`${header}.${payload}`, `${token}.`, `.${token}`, `${header}..${sign}`, `${header}=.${payload}.${sign}`,
		`${token}=`, `${header}.${payload}.${sign.slice(0, -1)}`, `${header} .${payload}.${sign}`, `${header}.${payload}\t.${sign}`,
		token.replaceAll('-', '+').replaceAll('_', '/') === token ? `${token}A` : token.replaceAll('-', '+').replaceAll('_', '/'),
		'.', '..', '{}'])
		invalid(bent, bent.slice(-20));
	/* no token, or more than one: nothing was decided */
	for (const nothing of ['', `${token}\n${token}`])
		assert.equal(status(nothing), 2);
	for (const text of ['[]', '"x"', 'null', '{"alg":"ES256",}', "{'alg':'ES256'}", '{"alg":"ES256"} x', '\ufeff{"alg":"ES256"}'])
		invalid(make(text, goodClaims(), { signWith: 'ES256' }), text);
});

test('rfc7518_3_4_an_es256_signature_has_64_bytes', () => {
	const bends = {
		'63 bytes': (bytes) => bytes.subarray(1),
		'65 bytes': (bytes) => Buffer.concat([Buffer.alloc(1), bytes]),
		'r zero': (bytes) => Buffer.concat([Buffer.alloc(32), bytes.subarray(32)]),
		's zero': (bytes) => Buffer.concat([bytes.subarray(0, 32), Buffer.alloc(32)]),
		'all zero': () => Buffer.alloc(64),
		'all ones': () => Buffer.alloc(64, 0xff),
		'empty': () => Buffer.alloc(0),
		'swapped': (bytes) => Buffer.concat([bytes.subarray(32), bytes.subarray(0, 32)]),
	};
	for (const [name, bend] of Object.entries(bends))
		invalid(make(goodHeader, goodClaims(), { bend }), name);
	const der = (() => {
		const input = make().split('.').slice(0, 2).join('.');
		return `${input}.${crypto.sign('sha256', Buffer.from(input), keys.ES256.privateKey).toString('base64url')}`;
	})();
	invalid(der, 'DER');
});

test('rfc7518_3_3_an_rs256_signature_has_the_length_of_the_modulus', () => {
	const header = { ...goodHeader, alg: 'RS256', kid: 'RS256' };
	for (const bend of [(bytes) => bytes.subarray(1), (bytes) => Buffer.concat([Buffer.alloc(1), bytes]), () => Buffer.alloc(256)])
		invalid(make(header, goodClaims(), { bend }));
});

test('rfc7519_4_a_claim_twice_is_refused', () => {
	const text = JSON.stringify(goodClaims());
	invalid(make(goodHeader, `${text.slice(0, -1)},"aud":"${audience}"}`));
	invalid(make(goodHeader, `${text.slice(0, -1)},"sub":"shop"}`));
});

test('rfc7519_4_unknown_claims_are_ignored', () => {
	valid(make(goodHeader, { ...goodClaims(), 'https://example.com/x': { deep: [{}] }, roles: 7 }));
});

test('rfc7519_4_1_3_a_token_for_others_is_refused', () => {
	for (const aud of ['https://other.example.com', [], ['https://other.example.com'], `${audience}/`, audience.toUpperCase(), 7,
		[7, audience], null])
		invalid(make(goodHeader, { ...goodClaims(), aud }), JSON.stringify(aud));
	valid(make(goodHeader, { ...goodClaims(), aud: ['https://other.example.com', audience] }));
});

test('rfc7519_4_1_4_not_after_exp', () => {
	invalid(make(goodHeader, { ...goodClaims(), exp: now() - 300 }));
	const { exp, ...without } = goodClaims();
	invalid(make(goodHeader, without), `without exp ${exp}`);
});

test('rfc7519_4_1_5_not_before_nbf', () => {
	invalid(make(goodHeader, { ...goodClaims(), nbf: now() + 300 }));
	valid(make(goodHeader, { ...goodClaims(), nbf: now() - 300 }));
	invalid(make(goodHeader, { ...goodClaims(), iat: now() + 300 }));
});

test('rfc7519_2_times_are_numbers_that_a_clock_can_show', () => {
	for (const name of ['exp', 'nbf', 'iat'])
		for (const value of ['"1999999999"', 'true', 'null', '-1', '1e400', '9007199254740992', '[]', '{}']) {
			const text = JSON.stringify({ ...goodClaims(), [name]: 0 }).replace(`"${name}":0`, `"${name}":${value}`);
			invalid(make(goodHeader, text), `${name} ${value}`);
		}
	valid(make(goodHeader, JSON.stringify(goodClaims()).replace(/"exp":\d+/, `"exp":${now() + 300}.5`)), 'a fraction');
});

test('rfc9068_4_typ_is_at_jwt_with_or_without_application', () => {
	for (const typ of ['at+jwt', 'AT+JWT', 'application/at+jwt'])
		valid(make({ ...goodHeader, typ }), typ);
	for (const typ of ['JWT', 'jwt', 'logout+jwt', 'dpop+jwt', 'at+jwt ', 'x/at+jwt', '', 7, null])
		invalid(make({ ...goodHeader, typ }), `typ ${typ}`);
	const { typ, ...without } = goodHeader;
	invalid(make(without), `without typ ${typ}`);
});

test('rfc9068_4_iss_matches_exactly', () => {
	for (const iss of [`${issuer}/`, issuer.toUpperCase(), 'https://other.example.com', '', 7, [issuer]])
		invalid(make(goodHeader, { ...goodClaims(), iss }), String(iss));
});

test('rfc9068_2_2_every_required_claim_is_required', () => {
	for (const name of ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti']) {
		const claims = goodClaims();
		delete claims[name];
		invalid(make(goodHeader, claims), name);
	}
});

test('a_token_beyond_the_size_limit_is_refused', () => {
	invalid(make(goodHeader, { ...goodClaims(), pad: 'p'.repeat(9000) }));
	invalid(make({ ...goodHeader, pad: 'p'.repeat(1500) }));
	invalid(make(goodHeader, `${'{"a":'.repeat(20)}1${'}'.repeat(20)}`));
});

/* The same, with what it says. */
function explain(token, ...options) {
	const done = spawnSync(binary, ['-o', 'json', 'token', 'verify', '--jwks', jwks, '--issuer', issuer, '--audience',
		audience, ...options, '-'], { input: token, encoding: 'utf8', timeout: 20_000 });
	return { status: done.status, ...JSON.parse(done.stdout) };
}

test('rfc7515_2_a_bare_jws_may_hold_anything', () => {
	const header = { alg: 'ES256', kid: 'ES256' };
	for (const payload of ['no JSON at all', '', '[1]', '"x"']) {
		assert.equal(status(make(header, payload), '--signature-only'), 0, payload);
		invalid(make({ ...header, typ: 'at+jwt' }, payload), payload);
	}
	assert.equal(status(make(header, 'x', { bend: () => Buffer.alloc(64, 1) }), '--signature-only'), 1);
});

test('every_failed_check_is_explained_by_itself', () => {
	const { aud, ...claims } = goodClaims();
	const said = explain(make({ ...goodHeader, typ: 'JWT' }, { ...claims, iss: 'https://other.example.com', exp: 1 }));
	const failed = Object.fromEntries(said.checks.filter(({ result }) => result === 'failed')
		.map(({ check, detail }) => [check, detail]));
	assert.equal(said.status, 1);
	assert.equal(said.valid, false);
	assert.match(failed.claims, /aud is missing/, `without ${aud}`);
	assert.match(failed.type, /at\+jwt/);
	assert.match(failed.issuer, /another issuer/);
	assert.match(failed.audience, /another audience/);
});

test('rfc7800_a_bound_token_is_said_to_be_one', () => {
	const said = explain(make(goodHeader, { ...goodClaims(), cnf: { jkt: 'x' } }));
	const [possession] = said.checks.filter(({ check }) => check === 'possession');
	assert.equal(possession.result, 'not checked');
	assert.equal(explain(make()).checks.filter(({ check }) => check === 'possession').length, 0);
});

test('a_key_set_that_cannot_be_read_decides_nothing', () => {
	const broken = path.join(folder, 'broken.json');
	fs.writeFileSync(broken, '{"keys":');
	for (const file of [broken, path.join(folder, 'absent.json')]) {
		const done = spawnSync(binary, ['token', 'verify', '--jwks', file, '-'], { input: make(), encoding: 'utf8' });
		assert.equal(done.status, 2, done.stderr);
	}
});
