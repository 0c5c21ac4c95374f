/* Introspection and revocation over real HTTP: RFC 7662 and RFC 7009, clause by clause. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server, api, exchange, password } from './helpers.mjs';

let server, shop, other, stranger;

before(async () => {
	server = await Server.make();
	shop = server.furnish();
	other = server.client('other', 'client_credentials', 'password', 'refresh_token');
	stranger = server.json('client', 'create', 'stranger', '--grant', 'client_credentials', '--scope', 'orders.read',
		'--audience', api);
	server.json('client', 'create', 'app', '--public', '--public-password', '--grant', 'password', '--grant', 'refresh_token',
		'--scope', 'orders.read', '--audience', api);
});
after(async () => server?.done());

const inactive = '{"active":false}';
const ask = (form, client) => server.post('/oauth2/introspect', form, client);
const revoke = (form, client) => server.post('/oauth2/revoke', form, client);
const machine = async () => (await server.token({ grant_type: 'client_credentials' }, shop)).json.access_token;

test('rfc7662_2_2_an_active_access_token_is_described', async () => {
	const token = await machine();
	const answer = await ask({ token }, shop);
	assert.equal(answer.status, 200);
	assert.match(answer.headers['content-type'], /^application\/json/);
	assert.equal(answer.headers['cache-control'], 'no-store');
	const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
	assert.equal(answer.json.active, true);
	for (const name of ['iss', 'sub', 'aud', 'client_id', 'scope', 'exp', 'iat', 'nbf', 'jti'])
		assert.deepEqual(answer.json[name], claims[name], name);
	assert.equal(answer.json.token_type, 'Bearer');
});

test('rfc7662_2_2_everything_else_is_exactly_inactive', async () => {
	const token = await machine();
	const { refresh_token } = await server.login(shop);
	const bent = token.slice(0, -6) + (token.endsWith('AAAAAA') ? 'BBBBBB' : 'AAAAAA');
	for (const [what, client] of [[bent, shop], ['nonsense', shop], [token, stranger], [refresh_token, other],
		[`${token}x`, shop], ['chy_rt_AAAA', shop], ['a.b.c', shop]]) {
		const answer = await ask({ token: what }, client);
		assert.equal(answer.status, 200);
		assert.equal(answer.text, inactive);
	}
});

test('rfc7662_2_1_the_caller_must_authenticate', async () => {
	const token = await machine();
	assert.equal((await ask({ token })).status, 401);
	assert.equal((await ask({ token, client_id: 'shop' })).status, 401);
	assert.equal((await ask({ token, client_id: 'app' })).status, 401);
	const answer = await ask({ token }, { client_id: 'shop', client_secret: 'wrong' });
	assert.equal(answer.status, 401);
	assert.equal(answer.json.error, 'invalid_client');
	assert.match(answer.headers['www-authenticate'], /^Basic /);
});

test('rfc7662_2_1_post_only_and_token_required', async () => {
	const answer = await exchange(`${server.issuer}/oauth2/introspect?token=x`);
	assert.equal(answer.status, 405);
	assert.equal(answer.headers.allow, 'POST');
	const missing = await ask({ token_type_hint: 'access_token' }, shop);
	assert.equal(missing.status, 400);
	assert.equal(missing.json.error, 'invalid_request');
});

test('rfc7662_2_1_a_wrong_hint_changes_nothing', async () => {
	const { access_token, refresh_token } = await server.login(shop);
	for (const token_type_hint of ['refresh_token', 'access_token', 'unheard_of']) {
		assert.equal((await ask({ token: access_token, token_type_hint }, shop)).json.active, true);
		assert.equal((await ask({ token: refresh_token, token_type_hint }, shop)).json.active, true);
	}
});

test('rfc7662_4_a_client_outside_the_audience_learns_nothing', async () => {
	const token = await machine();
	assert.equal((await ask({ token }, other)).json.active, true); /* --introspect names the api */
	assert.equal((await ask({ token }, stranger)).text, inactive);
});

test('rfc7662_4_an_expired_token_is_inactive', async () => {
	server.json('api', 'create', 'https://brief.example.com', '--scope', 'orders.read', '--access-ttl', '10s');
	const brief = server.json('client', 'create', 'brief', '--grant', 'client_credentials', '--scope', 'orders.read',
		'--audience', 'https://brief.example.com');
	const answer = await server.token({ grant_type: 'client_credentials' }, brief);
	assert.equal(answer.json.expires_in, 10);
	await new Promise((done) => setTimeout(done, 11_000));
	assert.equal((await ask({ token: answer.json.access_token }, brief)).text, inactive);
});

test('rfc7009_2_1_an_access_token_is_inactive_once_revoked', async () => {
	const token = await machine();
	const answer = await revoke({ token }, shop);
	assert.equal(answer.status, 200);
	assert.equal((await ask({ token }, shop)).text, inactive);
	assert.equal((await revoke({ token }, shop)).status, 200);
});

test('rfc7009_2_1_revoking_a_refresh_token_ends_the_login_and_its_access_tokens', async () => {
	const first = await server.login(shop);
	const second = (await server.refresh(first.refresh_token, shop)).json;
	assert.equal((await revoke({ token: first.refresh_token }, shop)).status, 200);
	for (const token of [first.access_token, second.access_token, second.refresh_token])
		assert.equal((await ask({ token }, shop)).text, inactive);
	assert.equal((await server.refresh(second.refresh_token, shop)).json.error, 'invalid_grant');
});

test('rfc7009_2_1_a_token_of_another_client_is_refused_and_stays', async () => {
	const { access_token, refresh_token } = await server.login(shop);
	for (const token of [access_token, refresh_token]) {
		const answer = await revoke({ token }, other);
		assert.ok(answer.status === 200 || answer.status === 400, answer.text);
		assert.equal((await ask({ token }, shop)).json.active, true);
	}
});

test('rfc7009_2_2_unknown_tokens_and_wrong_hints_are_200', async () => {
	assert.equal((await revoke({ token: 'nonsense' }, shop)).status, 200);
	const token = await machine();
	assert.equal((await revoke({ token, token_type_hint: 'refresh_token' }, shop)).status, 200);
	assert.equal((await ask({ token }, shop)).text, inactive);
});

test('rfc7009_2_1_token_is_required_and_the_client_is_verified', async () => {
	const missing = await revoke({}, shop);
	assert.equal(missing.status, 400);
	assert.equal(missing.json.error, 'invalid_request');
	const token = await machine();
	assert.equal((await revoke({ token })).status, 401);
	assert.equal((await revoke({ token }, { client_id: 'shop', client_secret: 'wrong' })).status, 401);
	assert.equal((await ask({ token }, shop)).json.active, true);
	assert.equal((await exchange(`${server.issuer}/oauth2/revoke`)).status, 405);
});

test('rfc7009_2_public_clients_revoke_their_own', async () => {
	const first = await server.token({ grant_type: 'password', username: 'alice', password, client_id: 'app' });
	assert.equal(first.status, 200, first.text);
	assert.equal((await revoke({ token: first.json.refresh_token, client_id: 'app' })).status, 200);
	const after = await server.token({ grant_type: 'refresh_token', refresh_token: first.json.refresh_token, client_id: 'app' });
	assert.equal(after.json.error, 'invalid_grant');
});

test('disabled_and_deleted_subjects_lose_their_tokens_at_once', async () => {
	server.user('carol');
	const first = await server.login(shop, 'carol');
	server.json('user', 'update', 'carol', '--disable');
	assert.equal((await ask({ token: first.access_token }, shop)).text, inactive);
	assert.equal((await server.refresh(first.refresh_token, shop)).json.error, 'invalid_grant');
	const gone = server.client('gone', 'client_credentials');
	const token = (await server.token({ grant_type: 'client_credentials' }, gone)).json.access_token;
	server.json('--yes', 'client', 'delete', 'gone');
	assert.equal((await ask({ token }, shop)).text, inactive);
	assert.equal((await server.token({ grant_type: 'client_credentials' }, gone)).status, 401);
});
