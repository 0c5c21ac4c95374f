/* The verifiers that services in Node carry: jose, jwks-rsa with jsonwebtoken, express-oauth2-jwt-bearer.
 * Each takes our tokens, with the options its own page shows, and keeps doing so while keys turn over. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { auth } from 'express-oauth2-jwt-bearer';
import * as jose from 'jose';
import jwt from 'jsonwebtoken';
import jwksClient from 'jwks-rsa';
import { Server, api, sleep } from './helpers.mjs';

const MAX_AGE_MS = 1000;
let server, jwksUri;
const clients = {};

before(async () => {
	server = await Server.make({ settings: {
		'keys.jwks_max_age': '1s',
		'keys.clock_skew': '0s',
		'log.access': 'errors',
	} });
	jwksUri = `${server.issuer}/.well-known/jwks.json`;
	server.json('api', 'create', api, '--scope', 'orders.read');
	for (const alg of ['ES256', 'RS256'])
		clients[alg] = server.json('client', 'create', alg, '--grant', 'client_credentials', '--grant', 'password',
			'--alg', alg, '--scope', 'orders.read', '--audience', api);
	server.user('alice');
	server.json('user', 'update', 'alice', '--role', 'clerk', '--role', 'night');
});
after(async () => server?.done());

async function machine(alg) {
	for (;;) {
		const answer = await server.token({ grant_type: 'client_credentials' }, clients[alg]);
		if (answer.status === 200)
			return answer.json.access_token;
		assert.equal(answer.status, 503, answer.text); /* a machine so busy that the signer was late */
	}
}

/* ---- verifiers: from a token to its claims, or an error ---- */

function withJose() {
	const keys = jose.createRemoteJWKSet(new URL(jwksUri), { cooldownDuration: 1000 });
	return async (token) => (await jose.jwtVerify(token, keys, { issuer: server.issuer, audience: api, typ: 'at+jwt' }))
		.payload;
}

function withJwksRsa() {
	const client = jwksClient({ jwksUri, cache: true, cacheMaxAge: 600_000 });
	const key = (header, done) => client.getSigningKey(header.kid, (error, found) => done(error, found?.getPublicKey()));
	return (token) => new Promise((done, fail) => jwt.verify(token, key,
		{ algorithms: ['ES256', 'RS256'], issuer: server.issuer, audience: api },
		(error, claims) => error ? fail(error) : done(claims)));
}

/* It pins one algorithm, so there is one of it for each. */
function withExpress() {
	const checks = Object.fromEntries(Object.keys(clients).map((alg) => [alg, auth({ issuer: server.issuer, audience: api,
		jwksUri, tokenSigningAlg: alg, strict: true, cooldownDuration: 1000 })]));
	return (token) => new Promise((done, fail) => {
		/* what it reads of a request of Express */
		const headers = { authorization: `Bearer ${token}`, host: 'api.example.com' };
		const request = { headers, method: 'GET', protocol: 'https', originalUrl: '/orders', query: {}, body: {},
			is: () => false, get: (name) => headers[name.toLowerCase()], app: { get: () => undefined } };
		const check = checks[jose.decodeProtectedHeader(token).alg];
		assert.ok(check, 'an algorithm of ours');
		check(request, {}, (error) => error ? fail(error) : done(request.auth.payload));
	});
}

const verifiers = { jose: withJose, 'jwks-rsa with jsonwebtoken': withJwksRsa, 'express-oauth2-jwt-bearer': withExpress };

for (const [name, make] of Object.entries(verifiers)) {
	test(`${name.replaceAll(/[ -]/g, '_')}_takes_our_tokens_and_no_others`, async () => {
		const verify = make();
		for (const alg of Object.keys(clients)) {
			const token = await machine(alg);
			const claims = await verify(token);
			assert.equal(claims.client_id, alg);
			assert.equal(claims.scope, 'orders.read');
			await assert.rejects(verify(`${token.slice(0, -8)}AAAAAAAA`));
			const [, payload] = token.split('.');
			await assert.rejects(verify(`${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`));
		}
	});
}

test('all_of_them_turn_over_with_the_keys', async () => {
	const working = Object.entries(verifiers).map(([name, make]) => [name, make()]);
	const kids = new Set(), tokens = [];
	const through = async (token, age) => {
		for (const [name, verify] of working)
			await verify(token).catch((error) => assert.fail(`${name}: ${age} token: ${error.stack}`));
	};
	for (let turned = 0; turned < 3; turned++) {
		/* whoever keeps the set for its max-age has the next key when that is over, and has had its cooldown */
		const end = Date.now() + 2 * MAX_AGE_MS;
		while (Date.now() < end) {
			for (const alg of Object.keys(clients)) {
				tokens.push(await machine(alg));
				kids.add(jose.decodeProtectedHeader(tokens.at(-1)).kid);
				await through(tokens.at(-1), 'new');
			}
			await sleep(50);
		}
		/* force, because the office counts on caches that are staler than these */
		await server.document('--yes', 'key', 'rotate', '--force');
	}
	assert.equal(kids.size, 6); /* three of each algorithm */
	for (const token of tokens)
		await through(token, 'old');
});

/* The middleware that most gateways in Node carry: one algorithm, one key, and sub and roles for those
 * behind it. */
test('a_gateway_with_jsonwebtoken_hands_on_sub_and_roles', async () => {
	const login = await server.token({ grant_type: 'password', username: 'alice',
		password: 'correct horse battery staple' }, clients.RS256);
	const token = login.json.access_token;
	const { kid } = jose.decodeProtectedHeader(token);
	const jwk = (await server.get('/.well-known/jwks.json')).json.keys.find((key) => key.kid === kid);
	const key = await jose.exportSPKI(await jose.importJWK(jwk, 'RS256', { extractable: true }));
	const guard = (request, next) => {
		const claims = jwt.verify(request.headers.authorization.slice('Bearer '.length), key,
			{ algorithms: ['RS256'], issuer: server.issuer, audience: api });
		next({ 'x-user-id': claims.sub, 'x-user-role': claims.roles.join(',') });
	};
	const passed = [];
	guard({ headers: { authorization: `Bearer ${token}` } }, (headers) => passed.push(headers));
	assert.deepEqual(passed, [{ 'x-user-id': server.json('user', 'show', 'alice').id, 'x-user-role': 'clerk,night' }]);
	/* what the pinning is for: the public key as the secret of an HMAC, and another algorithm of ours */
	const forged = jwt.sign({ sub: 'alice', roles: ['admin'], aud: api, iss: server.issuer },
		Buffer.from(key), { algorithm: 'HS256', expiresIn: 60 });
	for (const bad of [forged, await machine('ES256')])
		assert.throws(() => guard({ headers: { authorization: `Bearer ${bad}` } }, () => passed.push('no')));
	assert.equal(passed.length, 1);
});
