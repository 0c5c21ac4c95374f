/* Tokens, keys and metadata as others see them: npm jose verifies what the JWKS publishes (RFC 7515, 7517,
 * 7519, 9068), and every value of the metadata is tried out (RFC 8414). */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as jose from 'jose';
import { Server, api, basic, exchange, password } from './helpers.mjs';

let server, shop, jwks;

before(async () => {
	server = await Server.make();
	shop = server.furnish();
	jwks = jose.createRemoteJWKSet(new URL(`${server.issuer}/.well-known/jwks.json`), { cooldownDuration: 0 });
});
after(async () => server?.done());

const cc = { grant_type: 'client_credentials' };
const verify = (token, options = {}) =>
	jose.jwtVerify(token, jwks, { issuer: server.issuer, audience: api, typ: 'at+jwt', ...options });

test('rfc9068_2_1_jose_verifies_issuer_audience_and_typ', async () => {
	for (const token of [(await server.token(cc, shop)).json.access_token, (await server.login(shop)).access_token]) {
		const { protectedHeader } = await verify(token);
		assert.deepEqual(Object.keys(protectedHeader).sort(), ['alg', 'kid', 'typ']);
		assert.equal(protectedHeader.alg, 'ES256');
	}
});

test('rfc9068_2_2_required_claims_are_there', async () => {
	const answer = await server.token(cc, shop);
	const { payload } = await verify(answer.json.access_token, {
		requiredClaims: ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti', 'nbf', 'scope'] });
	assert.equal(payload.sub, shop.client_id);
	assert.equal(payload.client_id, shop.client_id);
	assert.equal(payload.exp - payload.iat, answer.json.expires_in);
	assert.equal(payload.scope, answer.json.scope);
	assert.equal(payload.sid, undefined);
});

test('rfc9068_2_2_user_tokens_carry_the_login', async () => {
	const user = server.json('user', 'show', 'alice');
	const first = await verify((await server.login(shop)).access_token);
	const second = await verify((await server.login(shop)).access_token);
	assert.equal(first.payload.sub, user.id);
	assert.notEqual(first.payload.sub, shop.client_id);
	assert.ok(first.payload.sid && first.payload.sid !== second.payload.sid);
	assert.ok(Number.isInteger(first.payload.auth_time));
	assert.deepEqual(first.payload.amr, ['pwd']);
});

test('rfc7519_4_1_7_jti_is_never_given_twice', async () => {
	const seen = new Set();
	for (let i = 0; i < 200; i++)
		seen.add((await verify((await server.token(cc, shop)).json.access_token)).payload.jti);
	assert.equal(seen.size, 200);
});

test('rfc7515_5_2_a_bent_token_verifies_nowhere', async () => {
	const token = (await server.token(cc, shop)).json.access_token;
	const [header, payload, signature] = token.split('.');
	const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url');
	for (const bent of [`${none}.${payload}.`, `${header}.${payload}.`, `${header}.${payload}`,
		`${header}.${payload}.${signature}=`, ` ${token}`, `${header}.${signature}.${payload}`]) {
		await assert.rejects(verify(bent));
		assert.equal((await server.introspect(bent, shop)).active, false);
	}
});

test('rfc7517_5_the_set_holds_public_members_and_unique_kids', async () => {
	const answer = await server.get('/.well-known/jwks.json');
	assert.equal(answer.status, 200);
	assert.match(answer.headers['content-type'], /^application\/(jwk-set\+)?json/);
	const kids = new Set();
	for (const key of answer.json.keys) {
		assert.deepEqual(['kty', 'use', 'alg', 'kid'].filter((name) => typeof key[name] !== 'string'), []);
		assert.equal(key.use, 'sig');
		for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])
			assert.equal(key[secret], undefined);
		kids.add(key.kid);
	}
	assert.equal(kids.size, answer.json.keys.length);
	assert.deepEqual(answer.json.keys.map((key) => key.alg), ['ES256', 'ES256', 'RS256', 'RS256']);
});

test('rfc7638_3_kid_is_the_thumbprint_that_others_compute', async () => {
	for (const key of (await server.get('/.well-known/jwks.json')).json.keys)
		assert.equal(await jose.calculateJwkThumbprint(key, 'sha256'), key.kid);
});

test('jwks_answers_304_to_its_own_etag_and_may_be_cached', async () => {
	const answer = await server.get('/.well-known/jwks.json');
	assert.match(answer.headers.etag, /^"[^"]+"$/);
	assert.match(answer.headers['cache-control'], /public, max-age=\d+/);
	const again = await server.get('/.well-known/jwks.json', { 'if-none-match': answer.headers.etag });
	assert.equal(again.status, 304);
	assert.equal(again.text, '');
});

test('rfc7518_3_3_an_api_may_ask_for_rs256', async () => {
	const uri = 'https://legacy.example.com';
	server.json('api', 'create', uri, '--scope', 'orders.read', '--alg', 'RS256');
	const client = server.json('client', 'create', 'legacy', '--grant', 'client_credentials', '--scope', 'orders.read',
		'--audience', uri);
	const token = (await server.token(cc, client)).json.access_token;
	const { protectedHeader } = await verify(token, { audience: uri, algorithms: ['RS256'] });
	assert.equal(protectedHeader.alg, 'RS256');
});

test('rfc8414_3_both_documents_say_the_same_and_name_this_issuer', async () => {
	const paths = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'];
	const [one, two] = await Promise.all(paths.map((path) => server.get(path)));
	assert.equal(one.status, 200);
	assert.match(one.headers['content-type'], /^application\/json/);
	assert.equal(one.text, two.text);
	assert.equal(one.json.issuer, server.issuer);
	for (const [name, value] of Object.entries(one.json)) {
		assert.ok(!Array.isArray(value) || value.length > 0, `${name} is empty`);
		assert.ok(!name.endsWith('_endpoint') && name !== 'jwks_uri' || value.startsWith(server.issuer), name);
	}
});

test('rfc8414_3_1_a_path_in_the_issuer_is_found_by_both_schools', async () => {
	const tenant = await Server.make({ issuerPath: '/tenants/one' });
	try {
		const seen = new Set();
		for (const where of ['/.well-known/oauth-authorization-server/tenants/one',
			'/.well-known/openid-configuration/tenants/one', '/tenants/one/.well-known/openid-configuration']) {
			const answer = await tenant.get(where);
			assert.equal(answer.status, 200, where);
			assert.equal(answer.json.issuer, tenant.issuer);
			seen.add(answer.text);
		}
		assert.equal(seen.size, 1);
		assert.equal((await exchange(`${tenant.issuer}/.well-known/jwks.json`)).status, 200);
		assert.equal((await tenant.get('/.well-known/jwks.json')).status, 404);
	} finally {
		await tenant.done();
	}
});

/* How each thing that the metadata may advertise is done; a value without a row here fails the test. */
const grants = {
	client_credentials: () => server.token(cc, shop),
	password: () => server.token({ grant_type: 'password', username: 'alice', password }, shop),
	refresh_token: async () => server.refresh((await server.login(shop)).refresh_token, shop),
};
const methods = {
	client_secret_basic: (where, form) => server.post(where, form, shop),
	client_secret_post: (where, form) =>
		server.post(where, { ...form, client_id: shop.client_id, client_secret: shop.client_secret }),
	none: (where, form) => server.post(where, { ...form, client_id: 'app' }),
};

test('rfc8414_2_what_is_advertised_works', async () => {
	server.json('client', 'create', 'app', '--public', '--public-password', '--grant', 'password', '--grant', 'refresh_token',
		'--scope', 'orders.read', '--audience', api);
	const metadata = (await server.get('/.well-known/oauth-authorization-server')).json;
	for (const grant of metadata.grant_types_supported)
		assert.equal((await grants[grant]()).status, 200, grant);
	for (const [member, where, form] of [
		['token_endpoint', '/oauth2/token', { grant_type: 'password', username: 'alice', password }],
		['introspection_endpoint', '/oauth2/introspect', { token: 'x' }],
		['revocation_endpoint', '/oauth2/revoke', { token: 'x' }]]) {
		assert.equal(metadata[member], server.issuer + where);
		for (const method of metadata[`${member}_auth_methods_supported`])
			assert.equal((await methods[method](where, form)).status, 200, `${member} ${method}`);
	}
	assert.equal((await exchange(metadata.jwks_uri)).status, 200);
});

test('rfc8414_2_what_is_not_advertised_is_refused', async () => {
	const metadata = (await server.get('/.well-known/oauth-authorization-server')).json;
	for (const grant of ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code',
		'urn:ietf:params:oauth:grant-type:token-exchange', 'urn:ietf:params:oauth:grant-type:jwt-bearer', 'implicit',
		...Object.keys(grants)]) {
		if (metadata.grant_types_supported.includes(grant))
			continue;
		const answer = await server.token({ grant_type: grant }, shop);
		assert.equal(answer.json.error, 'unsupported_grant_type', grant);
	}
	for (const [member, where] of [['token_endpoint', '/oauth2/token'],
		['introspection_endpoint', '/oauth2/introspect'], ['revocation_endpoint', '/oauth2/revoke']])
		for (const method of Object.keys(methods))
			if (!metadata[`${member}_auth_methods_supported`].includes(method))
				assert.equal((await methods[method](where, { ...cc, token: 'x' })).status, 401, `${member} ${method}`);
	for (const where of ['/oauth2/authorize', '/oauth2/par', '/oauth2/device', '/oauth2/userinfo', '/oauth2/register'])
		assert.equal((await server.get(where)).status, 404, where);
});

test('rfc6750_the_admin_api_takes_bearer_tokens_as_the_rfc_says', async () => {
	const base = `http://127.0.0.1:${server.adminPort}/admin/v1/clients`;
	const ask = (headers, query = '') => exchange(base + query, { headers });
	const bare = await ask({});
	assert.equal(bare.status, 401);
	assert.match(bare.headers['www-authenticate'], /^Bearer/);
	assert.ok(!bare.headers['www-authenticate'].includes('error='));
	const ordinary = (await server.token(cc, shop)).json.access_token;
	for (const token of ['nonsense', ordinary]) {
		const answer = await ask({ authorization: `Bearer ${token}` });
		assert.equal(answer.status, 401);
		assert.match(answer.headers['www-authenticate'], /^Bearer.*error="invalid_token"/);
	}
	const ops = server.json('client', 'create', 'ops', '--grant', 'client_credentials', '--scope', 'chancery:read',
		'--scope', 'chancery:clients', '--audience', `${server.issuer}/admin`);
	const token = async (scope) => (await server.token({ ...cc, scope }, ops)).json.access_token;
	const reader = await token('chancery:read');
	assert.equal((await ask({ authorization: `Bearer ${reader}` })).status, 200);
	assert.equal((await ask({ authorization: `bearer ${reader}` })).status, 200);
	assert.equal((await ask({}, `?access_token=${reader}`)).status, 401);
	const write = await exchange(base, { method: 'POST', body: '{"client_id":"x"}',
		headers: { authorization: `Bearer ${reader}`, 'content-type': 'application/json' } });
	assert.equal(write.status, 403);
	assert.match(write.headers['www-authenticate'], /error="insufficient_scope"/);
	assert.equal((await ask({ authorization: basic('ops', ops.client_secret) })).status, 401);
});
