/* The token endpoint over real HTTP, clause by clause: RFC 6749, RFC 8707, and the parts of HTTP and RFC
 * 6750 that it leans on. docs/rfc-matrix.md says which test shows which clause. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server, api, basic, exchange, password } from './helpers.mjs';

const other = 'https://stock.example.com';
let server, shop, machine, publicClient, foreign;

before(async () => {
	server = await Server.make();
	shop = server.furnish();
	server.json('api', 'create', other, '--scope', 'stock.read', '--scope', 'orders.read');
	machine = server.json('client', 'create', 'machine', '--grant', 'client_credentials', '--scope', 'orders.read',
		'--scope', 'stock.read', '--audience', api, '--audience', other);
	publicClient = server.json('client', 'create', 'app', '--public', '--grant', 'password', '--grant', 'refresh_token',
		'--public-password', '--scope', 'orders.read', '--audience', api);
	foreign = server.client('foreign', 'client_credentials', 'password', 'refresh_token');
});
after(async () => server?.done());

const cc = { grant_type: 'client_credentials' };

function refused(answer, status, error) {
	assert.equal(answer.status, status, answer.text);
	assert.equal(answer.json.error, error);
	assert.match(answer.headers['content-type'], /^application\/json/);
	assert.equal(answer.headers['cache-control'], 'no-store');
	/* RFC 6749 5.2: the characters of error and error_description */
	for (const member of ['error', 'error_description'])
		assert.match(answer.json[member] ?? '', /^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/);
}

test('rfc6749_5_1_success_has_token_type_lifetime_and_no_store', async () => {
	const answer = await server.token(cc, shop);
	assert.equal(answer.status, 200, answer.text);
	assert.match(answer.headers['content-type'], /^application\/json/);
	assert.equal(answer.headers['cache-control'], 'no-store');
	assert.equal(answer.headers.pragma, 'no-cache');
	assert.equal(answer.headers['x-content-type-options'], 'nosniff');
	assert.equal(answer.json.token_type.toLowerCase(), 'bearer');
	assert.ok(Number.isInteger(answer.json.expires_in) && answer.json.expires_in > 0);
	assert.match(answer.json.access_token, /^[\x20-\x7e]+$/);
});

test('rfc6749_4_4_3_client_credentials_gives_no_refresh_token', async () => {
	assert.equal((await server.token(cc, shop)).json.refresh_token, undefined);
});

test('rfc6749_4_4_public_clients_get_no_client_credentials', async () => {
	const made = server.cli('client', 'create', 'bad-public', '--public', '--grant', 'client_credentials',
		'--scope', 'orders.read', '--audience', api);
	if (made.status === 0)
		refused(await server.token({ ...cc, client_id: 'bad-public' }), 400, 'unauthorized_client');
	else
		assert.equal(made.status, 1);
	refused(await server.token({ ...cc, client_id: publicClient.client_id }), 400, 'unauthorized_client');
});

test('rfc6749_3_2_token_endpoint_takes_post_only', async () => {
	for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
		const answer = await exchange(`${server.issuer}/oauth2/token?grant_type=client_credentials`,
			{ method, headers: { authorization: basic(shop.client_id, shop.client_secret) } });
		assert.equal(answer.status, 405, method);
		assert.equal(answer.headers.allow, 'POST');
	}
});

test('rfc6749_3_2_parameters_without_value_count_as_absent', async () => {
	const answer = await server.token('grant_type=client_credentials&scope=&resource=', shop);
	assert.equal(answer.status, 200, answer.text);
	refused(await server.token('grant_type=', shop), 400, 'invalid_request');
});

test('rfc6749_3_2_unknown_parameters_are_ignored', async () => {
	assert.equal((await server.token({ ...cc, unheard_of: 'x' }, shop)).status, 200);
});

test('rfc6749_3_2_a_parameter_twice_is_refused', async () => {
	for (const twice of ['grant_type=client_credentials&grant_type=client_credentials',
		'grant_type=client_credentials&scope=orders.read&scope=orders.read',
		'grant_type=client_credentials&unheard_of=1&unheard_of=2',
		'grant_type=client_credentials&scope=&scope=orders.read'])
		refused(await server.token(twice, shop), 400, 'invalid_request');
});

test('rfc6749_3_2_parameters_in_the_target_do_not_count', async () => {
	const answer = await server.post('/oauth2/token?grant_type=client_credentials', '', shop);
	refused(answer, 400, 'invalid_request');
});

test('rfc6749_appendix_b_only_forms_are_read', async () => {
	for (const [type, body] of [['application/json', '{"grant_type":"client_credentials"}'],
		['multipart/form-data; boundary=x', '--x--'], ['text/plain', 'grant_type=client_credentials']])
		refused(await server.post('/oauth2/token', body, shop, { 'content-type': type }), 400, 'invalid_request');
	const charset = { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' };
	assert.equal((await server.post('/oauth2/token', cc, shop, charset)).status, 200);
});

test('rfc6749_appendix_b_bad_escapes_nul_and_bad_utf8_are_refused', async () => {
	for (const bad of ['%', '%4', '%zz', '%00', '%ff', '%c0%80', 'a%0d%0ab%00'])
		refused(await server.token(`grant_type=client_credentials&x=${bad}`, shop), 400, 'invalid_request');
});

test('rfc6749_2_3_two_ways_of_authentication_are_refused', async () => {
	refused(await server.token({ ...cc, client_id: shop.client_id, client_secret: shop.client_secret }, shop),
		400, 'invalid_request');
	refused(await server.token({ ...cc, client_id: foreign.client_id }, shop), 400, 'invalid_request');
});

test('rfc6749_2_3_1_basic_halves_are_form_decoded', async () => {
	const odd = server.json('client', 'create', 'odd id+100%:x', '--grant', 'client_credentials', '--scope',
		'orders.read', '--audience', api);
	assert.equal((await server.token(cc, odd)).status, 200);
	const plus = 'Basic ' + Buffer.from(`odd+id%2B100%25%3Ax:${odd.client_secret}`).toString('base64');
	assert.equal((await server.post('/oauth2/token', cc, null, { authorization: plus })).status, 200);
	const raw = 'Basic ' + Buffer.from(`odd id+100%:x:${odd.client_secret}`).toString('base64');
	assert.equal((await server.post('/oauth2/token', cc, null, { authorization: raw })).status, 401);
});

test('rfc6749_2_3_1_credentials_in_the_body_work_and_in_the_target_do_not', async () => {
	const form = { ...cc, client_id: shop.client_id, client_secret: shop.client_secret };
	assert.equal((await server.token(form)).status, 200);
	const query = new URLSearchParams({ client_id: shop.client_id, client_secret: shop.client_secret });
	refused(await server.post(`/oauth2/token?${query}`, cc), 401, 'invalid_client');
});

test('rfc6749_5_2_failed_basic_is_401_with_a_challenge_and_all_failures_look_alike', async () => {
	const answers = [];
	for (const [id, secret] of [[shop.client_id, 'chy_cs_wrong'], ['nobody', shop.client_secret],
		[publicClient.client_id, 'anything'], [shop.client_id, foreign.client_secret]])
		answers.push(await server.token(cc, { client_id: id, client_secret: secret }));
	for (const answer of answers) {
		refused(answer, 401, 'invalid_client');
		assert.match(answer.headers['www-authenticate'], /^Basic realm="/);
		assert.equal(answer.text, answers[0].text);
	}
	refused(await server.token(cc), 401, 'invalid_client');
	refused(await server.token({ ...cc, client_id: shop.client_id, client_secret: 'wrong' }), 401, 'invalid_client');
});

test('rfc6749_3_2_1_confidential_clients_must_authenticate', async () => {
	refused(await server.token({ ...cc, client_id: shop.client_id }), 401, 'invalid_client');
	const { refresh_token } = await server.login(shop);
	refused(await server.token({ grant_type: 'refresh_token', refresh_token, client_id: shop.client_id }),
		401, 'invalid_client');
});

test('rfc6749_5_2_grant_types_missing_unknown_and_not_allowed', async () => {
	refused(await server.token({ scope: 'orders.read' }, shop), 400, 'invalid_request');
	for (const grant_type of ['implicit', 'CLIENT_CREDENTIALS', 'client_credentials ', 'urn:x'])
		refused(await server.token({ grant_type }, shop), 400, 'unsupported_grant_type');
	refused(await server.token({ grant_type: 'password', username: 'alice', password }, machine),
		400, 'unauthorized_client');
});

test('rfc6749_3_3_scope_is_a_set_of_case_sensitive_words', async () => {
	const both = await server.token({ ...cc, scope: 'orders.write orders.read' }, shop);
	assert.deepEqual(both.json.scope.split(' ').sort(), ['orders.read', 'orders.write']);
	for (const scope of ['Orders.read', 'orders.admin', 'orders.read orders.admin', 'orders.read  orders.write',
		' orders.read', 'orders.read ', 'orders."read', 'orders\\read', 'ord\u00e9rs'])
		refused(await server.token({ ...cc, scope }, shop), 400, 'invalid_scope');
});

test('rfc6749_3_3_scope_granted_is_told', async () => {
	const answer = await server.token(cc, shop);
	assert.deepEqual(answer.json.scope.split(' ').sort(), ['orders.read', 'orders.write']);
	assert.equal((await server.token({ ...cc, scope: 'orders.read' }, shop)).json.scope, 'orders.read');
});

test('rfc6749_4_3_2_password_missing_wrong_and_unknown', async () => {
	refused(await server.token({ grant_type: 'password', username: 'alice' }, shop), 400, 'invalid_request');
	refused(await server.token({ grant_type: 'password', password }, shop), 400, 'invalid_request');
	const wrong = await server.token({ grant_type: 'password', username: 'alice', password: 'wrong one' }, shop);
	const unknown = await server.token({ grant_type: 'password', username: 'mallory', password }, shop);
	refused(wrong, 400, 'invalid_grant');
	assert.equal(wrong.text, unknown.text);
});

test('rfc6749_4_3_2_wrong_passwords_are_slowed_down', async () => {
	server.user('victim');
	const attempt = (secret) =>
		server.token({ grant_type: 'password', username: 'victim', password: secret }, shop);
	for (let i = 0; i < 10; i++)
		refused(await attempt(`guess number ${i}`), 400, 'invalid_grant');
	const slowed = await attempt(password);
	assert.equal(slowed.status, 429);
	assert.ok(Number(slowed.headers['retry-after']) >= 1);
	server.json('user', 'unlock', 'victim');
	assert.equal((await attempt(password)).status, 200);
});

test('rfc6749_6_refresh_may_narrow_and_never_widen', async () => {
	const first = await server.token({ grant_type: 'password', username: 'alice', password, scope: 'orders.read' }, shop);
	const wider = { grant_type: 'refresh_token', refresh_token: first.json.refresh_token, scope: 'orders.read orders.write' };
	refused(await server.token(wider, shop), 400, 'invalid_scope');
	const full = await server.login(shop);
	const less = await server.token({ grant_type: 'refresh_token', refresh_token: full.refresh_token, scope: 'orders.read' }, shop);
	assert.equal(less.json.scope, 'orders.read');
	const again = await server.refresh(less.json.refresh_token, shop);
	assert.deepEqual(again.json.scope.split(' ').sort(), ['orders.read', 'orders.write']);
});

test('rfc6749_6_refresh_token_is_bound_to_its_client', async () => {
	const { refresh_token } = await server.login(shop);
	refused(await server.refresh(refresh_token, foreign), 400, 'invalid_grant');
	assert.equal((await server.refresh(refresh_token, shop)).status, 200);
});

test('rfc6749_6_public_clients_refresh_by_client_id', async () => {
	const first = await server.token({ grant_type: 'password', username: 'alice', password, client_id: 'app' });
	assert.equal(first.status, 200, first.text);
	const form = { grant_type: 'refresh_token', refresh_token: first.json.refresh_token };
	assert.equal((await server.token({ ...form, client_id: 'app' })).status, 200);
	refused(await server.token(form), 401, 'invalid_client');
});

test('rfc6749_10_10_refresh_tokens_cannot_be_guessed_or_bent', async () => {
	const { refresh_token } = await server.login(shop);
	const bent = [refresh_token.slice(0, -1), refresh_token + 'A', refresh_token.toUpperCase(), 'chy_rt_',
		refresh_token.replace('chy_rt_', 'chy_cs_'), refresh_token.slice(0, 50) + (refresh_token[50] === 'A' ? 'B' : 'A') + refresh_token.slice(51)];
	for (const token of bent)
		refused(await server.refresh(token, shop), 400, 'invalid_grant');
	assert.equal((await server.refresh(refresh_token, shop)).status, 200);
});

test('rfc8707_2_resource_chooses_the_audience', async () => {
	const claims = (answer) => JSON.parse(Buffer.from(answer.json.access_token.split('.')[1], 'base64url'));
	assert.equal(claims(await server.token(cc, machine)).aud, api);
	const one = await server.token({ ...cc, resource: other, scope: 'stock.read' }, machine);
	assert.equal(claims(one).aud, other);
	const both = `grant_type=client_credentials&scope=orders.read&resource=${encodeURIComponent(api)}` +
		`&resource=${encodeURIComponent(other)}`;
	assert.deepEqual(claims(await server.token(both, machine)).aud.sort(), [api, other]);
});

test('rfc8707_2_bad_resources_are_invalid_target', async () => {
	for (const resource of ['orders', '/relative', `${api}#part`, 'https://unknown.example.com', 'https://'])
		refused(await server.token({ ...cc, resource }, machine), 400, 'invalid_target');
	refused(await server.token({ ...cc, resource: other }, shop), 400, 'invalid_target');
});

test('rfc8707_2_2_a_refresh_cannot_reach_another_resource', async () => {
	const { refresh_token } = await server.login(shop);
	refused(await server.token({ grant_type: 'refresh_token', refresh_token, resource: other }, shop), 400, 'invalid_target');
	const same = await server.token({ grant_type: 'refresh_token', refresh_token, resource: api }, shop);
	assert.equal(same.status, 200, same.text);
});

test('sizes_are_refused_by_their_own_status', async () => {
	assert.equal((await server.token('x='.padEnd(20_000, 'y'), shop)).status, 413);
	const target = await exchange(`${server.origin}/${'p'.repeat(3000)}`);
	assert.equal(target.status, 414);
	const headers = await exchange(`${server.origin}/livez`, { headers: { 'x-long': 'h'.repeat(20_000) } })
		.catch(() => ({ status: 431 }));
	assert.equal(headers.status, 431);
});

test('nothing_of_a_request_is_reflected_in_a_refusal', async () => {
	const marker = 'Zq8marker';
	for (const form of [{ grant_type: marker }, { ...cc, scope: marker }, { ...cc, resource: `https://${marker}/` },
		{ grant_type: 'refresh_token', refresh_token: marker }, { [marker]: marker }])
		assert.ok(!(await server.token(form, shop)).text.includes(marker));
	const answer = await server.get(`/${marker}?${marker}`, { 'x-forwarded-host': marker, forwarded: `host=${marker}` });
	assert.ok(!(answer.text + JSON.stringify(answer.headers)).includes(marker));
});
