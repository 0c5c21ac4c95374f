/* Two client libraries from npm that know nothing of us: openid-client and oauth4webapi. Discovery, client
 * credentials, refresh, introspection, revocation. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server, api, password } from './helpers.mjs';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';

let server, shop;

before(async () => {
	server = await Server.make();
	shop = server.furnish();
});
after(async () => server?.done());

const http = { [oauth.allowInsecureRequests]: true };

async function webapi() {
	const issuer = new URL(server.issuer);
	const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...http });
	const as = await oauth.processDiscoveryResponse(issuer, found);
	return { as, client: { client_id: shop.client_id }, auth: oauth.ClientSecretBasic(shop.client_secret) };
}

test('oauth4webapi_discovers_by_both_documents', async () => {
	for (const algorithm of ['oauth2', 'oidc']) {
		const issuer = new URL(server.issuer);
		const found = await oauth.discoveryRequest(issuer, { algorithm, ...http });
		const as = await oauth.processDiscoveryResponse(issuer, found);
		assert.equal(as.issuer, server.issuer);
	}
});

test('oauth4webapi_gets_and_validates_a_client_credentials_token', async () => {
	const { as, client, auth } = await webapi();
	for (const way of [auth, oauth.ClientSecretPost(shop.client_secret)]) {
		const answer = await oauth.clientCredentialsGrantRequest(as, client, way, { scope: 'orders.read' }, http);
		const token = await oauth.processClientCredentialsResponse(as, client, answer);
		assert.equal(token.scope, 'orders.read');
		/* RFC 9068 4, by their reading of it */
		const request = new Request('https://orders.example.com/', {
			headers: { authorization: `Bearer ${token.access_token}` } });
		const claims = await oauth.validateJwtAccessToken(as, request, api, http);
		assert.equal(claims.client_id, shop.client_id);
	}
});

test('oauth4webapi_refreshes_introspects_and_revokes', async () => {
	const { as, client, auth } = await webapi();
	const first = await server.login(shop);
	const refreshed = await oauth.processRefreshTokenResponse(as, client,
		await oauth.refreshTokenGrantRequest(as, client, auth, first.refresh_token, http));
	assert.notEqual(refreshed.refresh_token, first.refresh_token);
	const ask = async () => oauth.processIntrospectionResponse(as, client,
		await oauth.introspectionRequest(as, client, auth, refreshed.access_token, http));
	assert.equal((await ask()).active, true);
	await oauth.processRevocationResponse(
		await oauth.revocationRequest(as, client, auth, refreshed.refresh_token, http));
	assert.deepEqual(await ask(), { active: false });
});

test('oauth4webapi_understands_our_refusals', async () => {
	const { as, client, auth } = await webapi();
	const wrong = oauth.ClientSecretBasic('wrong');
	await assert.rejects(async () => oauth.processClientCredentialsResponse(as, client,
		await oauth.clientCredentialsGrantRequest(as, client, wrong, {}, http)),
	(error) => error.status === 401);
	await assert.rejects(async () => oauth.processRefreshTokenResponse(as, client,
		await oauth.refreshTokenGrantRequest(as, client, auth, 'chy_rt_none', http)),
	(error) => error instanceof oauth.ResponseBodyError && error.error === 'invalid_grant');
});

test('openid_client_does_all_of_it', async () => {
	const config = await openid.discovery(new URL(server.issuer), shop.client_id, shop.client_secret,
		openid.ClientSecretBasic(shop.client_secret),
		{ algorithm: 'oauth2', execute: [openid.allowInsecureRequests] });
	assert.equal(config.serverMetadata().issuer, server.issuer);
	const machine = await openid.clientCredentialsGrant(config, { scope: 'orders.write', resource: api });
	assert.equal(machine.scope, 'orders.write');
	assert.equal((await openid.tokenIntrospection(config, machine.access_token)).sub, shop.client_id);

	const login = await openid.genericGrantRequest(config, 'password', { username: 'alice', password });
	const refreshed = await openid.refreshTokenGrant(config, login.refresh_token);
	assert.equal((await openid.tokenIntrospection(config, refreshed.access_token)).active, true);
	await openid.tokenRevocation(config, refreshed.refresh_token);
	assert.equal((await openid.tokenIntrospection(config, refreshed.access_token)).active, false);
	await assert.rejects(openid.refreshTokenGrant(config, refreshed.refresh_token),
		(error) => error.error === 'invalid_grant');
});
