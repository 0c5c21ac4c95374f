/* Token formats other than the plain JWT, with the real binary: command line, token endpoint, introspection,
 * revocation, a restart in between. */
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { compactDecrypt, createRemoteJWKSet, jwtVerify } from 'jose';
import { Server, until } from './helpers.mjs';

const vault = 'https://vault.example.com';
const legacy = 'https://legacy.example.com';

let server, shop, secret;

before(async () => {
	server = await Server.make();
	server.json('api', 'create', vault, '--id', 'vault', '--format', 'opaque', '--scope', 'vault.read');
	({ secret } = server.json('api', 'create', legacy, '--id', 'legacy', '--alg', 'HS256', '--scope', 'vault.read'));
	shop = server.json('client', 'create', 'shop', '--grant', 'client_credentials', '--scope', 'vault.read',
		'--audience', vault, '--audience', legacy);
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

const verified = async (token, key) => {
	const [header, payload, signature] = token.split('.');
	assert.equal(createHmac('sha256', key).update(`${header}.${payload}`).digest('base64url'), signature);
	return (await jwtVerify(token, new TextEncoder().encode(key),
		{ issuer: server.issuer, audience: legacy, algorithms: ['HS256'], typ: 'at+jwt' })).protectedHeader;
};

test('a_library_verifies_hs256_with_the_secret_as_shown_over_a_rotation', async () => {
	const first = await issue(legacy);
	const { kid } = await verified(first, secret);
	assert.equal((await ask(first)).active, true);
	const rotated = server.json('api', 'secret', 'rotate', 'legacy');
	assert.match(rotated.secret, /^chy_as_/);
	const second = await issue(legacy);
	assert.equal((await verified(second, rotated.secret)).kid, rotated.kid);
	await assert.rejects(verified(second, secret));
	await verified(first, secret);
	await restart();
	assert.equal((await ask(first)).active, true);
	assert.equal((await ask(second)).active, true);
	const { items } = server.json('api', 'secret', 'list', 'legacy');
	assert.deepEqual(items.map((item) => [item.kid, item.signs]), [[kid, false], [rotated.kid, true]]);
	assert.equal((await server.post('/oauth2/revoke', { token: first }, shop)).status, 200);
	assert.deepEqual(await ask(first), { active: false });
});

test('a_secret_that_is_to_sign_later_signs_later', async () => {
	const before = await verifiedKid();
	const rotated = server.json('api', 'secret', 'rotate', 'legacy', '--after', '1h');
	assert.equal(await verifiedKid(), before);
	assert.notEqual(rotated.kid, before);
});

const verifiedKid = async () => JSON.parse(Buffer.from((await issue(legacy)).split('.')[0], 'base64url')).kid;

const kinds = {
	rsa: [generateKeyPairSync('rsa', { modulusLength: 2048 }), 'RSA-OAEP-256'],
	ec: [generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'ECDH-ES'],
};

/* An api that reads with `pair`; its key comes as a PEM file, or as a JWK. */
function encryptedApi(name, { publicKey }, asJwk) {
	const uri = `https://${name}.example.com`;
	const file = path.join(server.folder, `${name}.pub`);
	fs.writeFileSync(file, asJwk ? JSON.stringify(publicKey.export({ format: 'jwk' }))
		: publicKey.export({ format: 'pem', type: 'spki' }));
	server.json('api', 'create', uri, '--id', name, '--format', 'jwe', '--encryption-key', file, '--scope', 'vault.read');
	server.json('client', 'update', 'shop', '--add-audience', uri);
	return uri;
}

for (const [kind, [pair, alg]] of Object.entries(kinds)) {
	test(`the_api_alone_reads_a_jwe_and_verifies_what_is_within_${kind}`, async () => {
		const uri = encryptedApi(`payroll-${kind}`, pair, kind === 'rsa');
		const token = await issue(uri);
		const limits = { keyManagementAlgorithms: [alg], contentEncryptionAlgorithms: ['A256GCM'] };
		const { plaintext, protectedHeader } = await compactDecrypt(token, pair.privateKey, limits);
		assert.equal(protectedHeader.cty, 'JWT');
		const { payload } = await jwtVerify(plaintext, createRemoteJWKSet(new URL(`${server.issuer}/.well-known/jwks.json`)),
			{ issuer: server.issuer, audience: uri, typ: 'at+jwt' });
		assert.equal(payload.sub, 'shop');
		for (const { privateKey } of [generateKeyPairSync('rsa', { modulusLength: 2048 }),
			generateKeyPairSync('ec', { namedCurve: 'P-256' })])
			await assert.rejects(compactDecrypt(token, privateKey));
		assert.equal((await ask(token)).jti, payload.jti);
		await restart();
		assert.equal((await ask(token)).active, true);
		assert.equal((await server.post('/oauth2/revoke', { token }, shop)).status, 200);
		assert.deepEqual(await ask(token), { active: false });
	});
}

test('a_private_key_never_becomes_an_encryption_key', () => {
	const file = path.join(server.folder, 'wrong.pem');
	fs.writeFileSync(file, kinds.ec[0].privateKey.export({ format: 'pem', type: 'pkcs8' }));
	const refused = server.cli('api', 'create', 'https://wrong.example.com', '--format', 'jwe', '--encryption-key', file);
	assert.equal(refused.status, 1);
	assert.match(refused.stderr, /public key/);
});

/* Last: every token ends with it. */
test('under_a_new_root_an_hs256_api_waits_for_a_new_secret', async () => {
	const before = await issue(legacy);
	const forVault = () => server.token({ grant_type: 'client_credentials', resource: vault }, shop);
	const masterKey = () => fs.readFileSync(path.join(server.data, 'master.key'), 'hex');
	const old = masterKey();
	assert.ok(server.json('--yes', 'key', 'revoke', '--all').restarts);
	server.agent.destroy();
	await until(async () => {
		try {
			return masterKey() !== old && (await forVault()).status === 200;
		} catch {
			return false; /* between two processes */
		}
	}, 'the next process', 30_000);
	const answer = await server.token({ grant_type: 'client_credentials', resource: legacy }, shop);
	assert.equal(answer.status, 503, answer.text);
	assert.equal(answer.json.error, 'temporarily_unavailable');
	const rotated = server.json('api', 'secret', 'rotate', 'legacy');
	const fresh = await issue(legacy);
	assert.equal((await verified(fresh, rotated.secret)).kid, rotated.kid);
	assert.equal((await ask(fresh)).active, true);
	assert.deepEqual(await ask(before), { active: false });
});
