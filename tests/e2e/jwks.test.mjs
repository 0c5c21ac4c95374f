/* The key set over HTTP: headers, views, conditions; verifiers that count and crowds that do not; and a real
 * cache (nginx) between npm jose and us, through a rotation and an outage, whose fetches are counted here. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import * as jose from 'jose';
import { Server, api, basic, exchange, freePort, sleep, until } from './helpers.mjs';

const where = '/.well-known/jwks.json';
const jwkSet = 'application/jwk-set+json';
let server, shop;

before(async () => {
	server = await Server.make({ settings: { 'log.access': 'errors', 'keys.consumers': 'gateway=127.0.0.2' } });
	shop = server.furnish();
});
after(async () => server?.done());

const fetchSet = (headers = {}, query = '', options = {}) =>
	exchange(`${server.origin}${where}${query}`, { headers, agent: server.agent, ...options });

/* The value of one line of the metrics. */
async function metric(of, line) {
	const { text } = await exchange(`http://127.0.0.1:${of.adminPort}/metrics`);
	const found = text.split('\n').find((one) => one.startsWith(`${line} `));
	assert.ok(found, `no metric ${line}`);
	return Number(found.slice(line.length + 1));
}
const consumers = async (state) => metric(server, `chancery_jwks_consumers{state="${state}"}`);
const fullFetches = async (of) => metric(of, 'chancery_jwks_requests_total{cache="full"}');
const conditional = async (of) => metric(of, 'chancery_jwks_requests_total{cache="304"}');

/* ---- headers and views ---- */

test('the_answer_says_how_long_and_by_whom_it_may_be_kept', async () => {
	const answer = await fetchSet();
	const [, maxAge] = answer.headers['cache-control']
		.match(/^public, max-age=(\d+), stale-while-revalidate=450, stale-if-error=86400$/);
	assert.ok(maxAge >= 720 && maxAge <= 900, maxAge);
	assert.equal(answer.headers.vary, 'Accept');
	assert.equal(answer.headers['access-control-allow-origin'], '*');
	assert.equal(answer.headers['access-control-expose-headers'], 'ETag');
	assert.equal(answer.headers['content-type'], 'application/json');
	assert.match(answer.headers.etag, /^"[\w-]+"$/);
});

test('the_own_media_type_has_an_etag_of_its_own', async () => {
	const plain = await fetchSet();
	const own = await fetchSet({ accept: jwkSet });
	assert.equal(own.headers['content-type'], jwkSet);
	assert.equal(own.text, plain.text);
	assert.notEqual(own.headers.etag, plain.headers.etag);
	assert.equal((await fetchSet({ 'if-none-match': own.headers.etag })).status, 200);
	assert.equal((await fetchSet({ 'if-none-match': own.headers.etag, accept: jwkSet })).status, 304);
});

test('a_304_has_the_headers_of_the_200_and_no_body', async () => {
	const full = await fetchSet();
	const again = await fetchSet({ 'if-none-match': full.headers.etag });
	assert.equal(again.status, 304);
	assert.equal(again.text, '');
	for (const name of ['etag', 'vary', 'access-control-allow-origin', 'access-control-expose-headers'])
		assert.equal(again.headers[name], full.headers[name], name);
	assert.match(again.headers['cache-control'], /^public, max-age=\d+, stale-while-revalidate=450/);
});

test('head_is_get_without_the_body', async () => {
	for (const one of [where, `${where}?alg=RS256`, '/.well-known/openid-configuration', '/livez']) {
		const [get, head] = await Promise.all(['GET', 'HEAD'].map((method) =>
			exchange(server.origin + one, { method, agent: server.agent })));
		assert.equal(head.status, 200);
		assert.equal(head.text, '');
		for (const name of ['content-type', 'content-length', 'etag'])
			assert.equal(head.headers[name], get.headers[name], `${one} ${name}`);
	}
	const wrong = await exchange(server.origin + where, { method: 'POST', agent: server.agent });
	assert.equal(wrong.status, 405);
	assert.equal(wrong.headers.allow, 'GET, HEAD');
});

test('views_hold_one_kind_of_key_and_anything_else_is_400', async () => {
	const whole = (await fetchSet()).json.keys;
	const etags = new Set();
	for (const [query, wanted] of [['?alg=ES256', (key) => key.alg === 'ES256'], ['?kty=EC', (key) => key.kty === 'EC'],
		['?alg=RS256', (key) => key.alg === 'RS256'], ['?kty=RSA', (key) => key.kty === 'RSA']]) {
		const view = await fetchSet({}, query);
		assert.deepEqual(view.json.keys, whole.filter(wanted), query);
		assert.equal((await fetchSet({ 'if-none-match': view.headers.etag }, query)).status, 304);
		etags.add(view.headers.etag);
	}
	assert.ok(!etags.has((await fetchSet()).headers.etag));
	for (const query of ['?alg=none', '?alg=ES256&alg=ES256', '?alg=ES256&kty=EC', '?x=y', '?kid=1', '?alg=', '?alg'])
		assert.equal((await fetchSet({}, query)).status, 400, query);
});

/* ---- consumers ---- */

test('an_authenticated_fetch_counts_and_a_wrong_secret_is_401', async () => {
	const before = await consumers('holding');
	const answer = await fetchSet({ authorization: basic(shop.client_id, shop.client_secret) });
	assert.equal(answer.status, 200);
	assert.match(answer.headers['cache-control'], /^public, /);
	assert.equal(await consumers('holding'), before + 1);
	const wrong = await fetchSet({ authorization: basic(shop.client_id, 'wrong') });
	assert.equal(wrong.status, 401);
	assert.equal(wrong.headers['cache-control'], 'no-store');
	assert.equal(wrong.headers['access-control-allow-origin'], undefined);
	assert.equal((await fetchSet({ authorization: 'Bearer x' })).status, 200);
});

test('a_crowd_of_user_agents_is_one_stranger', async () => {
	await fetchSet({}, '', { localAddress: '127.0.0.2', agent: undefined });
	const held = await consumers('holding');
	assert.equal(await consumers('lagging'), 0);
	const { etag } = (await fetchSet()).headers;
	const fetches = 10_000;
	let sent = 0;
	await Promise.all(Array.from({ length: 64 }, async () => {
		while (sent < fetches) {
			const i = sent++;
			const answer = await fetchSet({
				'user-agent': `crowd/${i}`,
				'x-forwarded-for': `198.18.${i >> 8}.${i & 255}`,
				forwarded: `for=198.18.${i >> 8}.${i & 255}`,
				...(i % 2 ? { 'if-none-match': etag } : {}),
			});
			assert.equal(answer.status, i % 2 ? 304 : 200);
		}
	}));
	assert.equal(await consumers('anonymous'), 1);
	assert.equal(await consumers('holding'), held);
	assert.equal(await consumers('lagging'), 0);
});

test('a_restart_forgets_no_consumer', async () => {
	const held = await consumers('holding');
	assert.ok(held >= 2);
	await server.stop();
	await server.start();
	assert.equal(await consumers('holding'), held);
});

/* ---- behind a cache ---- */

/* nginx as it is mostly set up in front of such a document. */
async function startCache(origin, folder) {
	const port = await freePort();
	const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
		.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
	fs.mkdirSync(folder);
	fs.writeFileSync(path.join(folder, 'conf'), `
		daemon off; pid ${folder}/pid; worker_processes 1; ${process.getuid() === 0 ? 'user root;' : ''}
		events {}
		http {
			${temporary} access_log off;
			proxy_cache_path ${folder}/cache keys_zone=jwks:1m;
			server {
				listen 127.0.0.1:${port};
				location / {
					proxy_pass ${origin};
					proxy_cache jwks;
					proxy_cache_lock on;
					proxy_cache_revalidate on;
					proxy_cache_background_update on;
					proxy_connect_timeout 1s;
					add_header X-Cache $upstream_cache_status always;
				}
			}
		}`);
	const child = spawn('nginx', ['-p', folder, '-c', `${folder}/conf`, '-e', `${folder}/error`], {
		stdio: 'ignore', env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
	});
	let failed;
	child.once('error', (error) => { failed = error; });
	await until(async () => {
		if (failed || child.exitCode !== null)
			throw failed ?? new Error(`nginx: ${fs.readFileSync(`${folder}/error`, 'utf8')}`);
		return exchange(`http://127.0.0.1:${port}/livez`).then(() => true, () => false);
	}, 'nginx listens');
	return {
		url: `http://127.0.0.1:${port}${where}`,
		async stop() {
			const ended = new Promise((done) => child.once('exit', done));
			child.kill('SIGTERM');
			await ended;
		},
	};
}

test('a_cache_fetches_the_set_once_for_each_change_and_breaks_no_token', async () => {
	const maxAge = 2, stale = 1;
	const origin = await Server.make({ settings: { 'log.access': 'errors', 'keys.jwks_max_age': `${maxAge}s`,
		'keys.clock_skew': '0s', 'keys.rotate_every': '1h', 'tokens.max_ttl': '1h' } });
	const cache = await startCache(origin.origin, path.join(origin.folder, 'nginx'));
	const agent = new http.Agent({ keepAlive: true });
	const accept = 'application/json, application/jwk-set+json'; /* jose's: Vary makes it one variant */
	const through = () => exchange(cache.url, { agent, headers: { accept } });
	try {
		const client = origin.furnish();
		/* refetches with every token it verifies, as no sane verifier would */
		const eager = () => jose.createRemoteJWKSet(new URL(cache.url), { cooldownDuration: 0, cacheMaxAge: 0 });
		const tokens = [];
		const issueAndVerify = async (seconds) => {
			const end = Date.now() + seconds * 1000;
			while (Date.now() < end) {
				const answer = await origin.token({ grant_type: 'client_credentials' }, client);
				assert.equal(answer.status, 200, answer.text);
				tokens.push(answer.json.access_token);
				await jose.jwtVerify(tokens.at(-1), eager(), { issuer: origin.issuer, audience: api });
				await sleep(20);
			}
		};
		const whole = async () => new Set((await through()).json.keys.map((key) => key.kid));

		const began = Date.now();
		assert.equal((await through()).headers['x-cache'], 'MISS');
		await issueAndVerify(2 * (maxAge + stale));
		assert.equal(await fullFetches(origin), 1, 'what has not changed is not sent again');
		const before = await whole();
		const revalidations = await conditional(origin);
		assert.ok(revalidations >= 2, `${revalidations}`);

		origin.json('--yes', 'key', 'rotate', '--alg', 'ES256');
		await issueAndVerify(2 * (maxAge + stale));
		assert.equal(await fullFetches(origin), 2, 'a change is fetched once');
		const then = await whole();
		assert.equal([...then].filter((kid) => !before.has(kid)).length, 1, 'the new standby');
		const total = await fullFetches(origin) + await conditional(origin);
		const most = Math.ceil((Date.now() - began) / 1000 / maxAge) + 1;
		assert.ok(total <= most, `${total} fetches, at most ${most}`);

		/* while we are away the cache goes on, and so do verifiers */
		const last = tokens.slice(-20);
		await origin.stop();
		await sleep((maxAge + stale) * 1000);
		assert.equal((await through()).headers['x-cache'], 'STALE');
		for (const token of last)
			await jose.jwtVerify(token, eager(), { issuer: origin.issuer, audience: api });
		console.log(`# ${tokens.length} tokens, ${total} fetches at the origin, 2 of them full`);
	} finally {
		agent.destroy();
		await cache.stop();
		await origin.done();
	}
});
