/* Token formats other than the plain JWT, with the real binary: command line, token endpoint, introspection,
 * revocation, a restart in between. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server } from './helpers.mjs';

const vault = 'https://vault.example.com';

let server, shop;

before(async () => {
	server = await Server.make();
	server.json('api', 'create', vault, '--id', 'vault', '--format', 'opaque', '--scope', 'vault.read');
	shop = server.json('client', 'create', 'shop', '--grant', 'client_credentials', '--scope', 'vault.read',
		'--audience', vault);
});
after(async () => server?.done());

const issue = async (audience) => {
	const answer = await server.token({ grant_type: 'client_credentials', resource: audience }, shop);
	assert.equal(answer.status, 200, answer.text);
	return answer.json.access_token;
};
const restart = async () => {
	await server.stop();
	await server.start();
};
const ask = async (token) => (await server.post('/oauth2/introspect', { token }, shop)).json;

test('an_opaque_token_works_over_a_restart_and_until_it_is_revoked', async () => {
	const token = await issue(vault);
	assert.match(token, /^chy_at_[A-Za-z0-9_-]{48}$/);
	const told = await ask(token);
	assert.equal(told.active, true);
	assert.equal(told.aud, vault);
	assert.equal(told.scope, 'vault.read');
	await restart();
	assert.deepEqual(await ask(token), told);
	assert.equal((await server.post('/oauth2/revoke', { token }, shop)).status, 200);
	assert.deepEqual(await ask(token), { active: false });
	await restart();
	assert.deepEqual(await ask(token), { active: false });
});

test('the_format_is_shown_and_a_wrong_one_refused', async () => {
	assert.equal(server.json('api', 'show', 'vault').format, 'opaque');
	const refused = server.cli('api', 'create', 'https://x.example', '--format', 'saml');
	assert.equal(refused.status, 1);
	assert.match(refused.stderr, /format/);
});
