/* The key set over HTTP: headers, views, conditions; verifiers that count and crowds that do not; and a real
 * cache (nginx) between npm jose and us, through a rotation, an outage and emergencies, whose fetches are counted here. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
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

test('a_tls_client_is_known_by_its_certificate_and_others_are_strangers', async () => {
	const secure = await Server.make({ tls: true, start: false });
	const holder = (name) => {
		const folder = path.join(secure.folder, name);
		fs.mkdirSync(folder);
		/* nobody has to have issued it */
		const made = spawnSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
			'-keyout', 'key', '-out', 'cert', '-days', '2', '-subj', `/CN=${name}`], { cwd: folder, encoding: 'utf8' });
		assert.equal(made.status, 0, made.stderr);
		const [cert, key] = ['cert', 'key'].map((file) => fs.readFileSync(path.join(folder, file)));
		return { hash: new X509Certificate(cert).fingerprint256,
			agent: new https.Agent({ cert, key, ca: secure.ca, keepAlive: true }) };
	};
	const [edge, other] = [holder('edge'), holder('other')];
	secure.settings['keys.consumers'] = `edge=sha256:${edge.hash}`;
	await secure.start();
	const fetchWith = async (agent) => {
		const answer = await exchange(`${secure.issuer}/.well-known/jwks.json`, { agent, ca: secure.ca });
		assert.equal(answer.status, 200);
	};
	const lagging = () => metric(secure, 'chancery_jwks_consumers{state="lagging"}');
	await fetchWith();
	await fetchWith(other.agent);
	assert.equal(await lagging(), 1);
	await fetchWith(edge.agent);
	assert.equal(await lagging(), 0);
	for (const one of [edge, other])
		one.agent.destroy();
	await secure.done();
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

/* The way from the cache to us, which can be cut. */
async function startWay(port) {
	const sockets = new Set();
	let open = true;
	const way = net.createServer((from) => {
		if (!open)
			return void from.destroy();
		const to = net.connect(port, '127.0.0.1');
		for (const [one, other] of [[from, to], [to, from]]) {
			sockets.add(one);
			one.pipe(other);
			one.on('error', () => {});
			one.on('close', () => {
				sockets.delete(one);
				other.destroy();
			});
		}
	});
	await new Promise((done) => way.listen(0, '127.0.0.1', done));
	return {
		origin: `http://127.0.0.1:${way.address().port}`,
		cut(broken) {
			open = !broken;
			if (broken)
				sockets.forEach((socket) => socket.destroy());
		},
		stop() {
			this.cut(true);
			way.close();
		},
	};
}

test('in_an_emergency_a_cache_hands_out_the_bad_key_no_longer_than_was_said', async () => {
	const maxAge = 2, stale = 1, staleIfError = 6, every = 3600;
	/* what a cache may do that cannot reach us is what the period leaves: as little as can be waited for here */
	const origin = await Server.make({ settings: { 'log.access': 'errors', 'keys.jwks_max_age': `${maxAge}s`,
		'keys.clock_skew': `${every - 2 * maxAge - staleIfError}s`, 'keys.rotate_every': `${every}s`,
		'tokens.max_ttl': '1h', 'keys.algs': 'ES256' } });
	const way = await startWay(origin.port);
	const cache = await startCache(way.origin, path.join(origin.folder, 'nginx'));
	const agent = new http.Agent({ keepAlive: true });
	const etags = new Set(); /* of the sets that the cache handed out */
	const through = async () => {
		const answer = await exchange(cache.url, { agent, headers: { accept: 'application/json, application/jwk-set+json' } });
		if (answer.status === 200)
			etags.add(answer.headers.etag);
		return answer;
	};
	const kids = async () => ((await through()).json?.keys ?? []).map((key) => key.kid);
	/* when the cache last handed out this key, in ms: until it does so no more */
	const lastSeen = async (kid) => {
		let last;
		await until(async () => {
			const began = Date.now();
			const held = (await kids()).includes(kid);
			last = held ? began : last;
			return !held;
		}, `${kid} is handed out no more`, 60_000);
		return last;
	};
	/* not so that the way between them is held up meanwhile */
	const revoke = (kid) => origin.document('--yes', 'key', 'revoke', kid);
	try {
		const client = origin.furnish();
		const token = async () => (await origin.token({ grant_type: 'client_credentials' }, client)).json.access_token;
		const kidOf = (text) => jose.decodeProtectedHeader(text).kid;
		const expected = { issuer: origin.issuer, audience: api };
		/* fetches whenever it meets a kid that it does not know, and then only */
		const verifier = () => jose.createRemoteJWKSet(new URL(cache.url), { cooldownDuration: 0, cacheMaxAge: Infinity });
		const verifies = (text, keys) => jose.jwtVerify(text, keys, expected).then(() => true, (e) => {
			assert.ok(e instanceof jose.errors.JOSEError, e);
			return false;
		});

		/* the standby was in the set all along: what signs now is known, and nobody need fetch */
		const held = jose.createLocalJWKSet((await through()).json);
		const keys = verifier();
		const first = await token();
		assert.ok(await verifies(first, keys));
		assert.equal(await fullFetches(origin), 1);
		const asked = Date.now();
		const answer = await revoke(kidOf(first));
		const served = Date.now();
		const second = await token();
		assert.equal(kidOf(second), answer.signs_now);
		assert.ok(await verifies(second, held) && await verifies(second, keys));
		assert.ok(Date.parse(answer.cached_until) >= asked + (maxAge + staleIfError) * 1000);
		const gone = await lastSeen(kidOf(first));
		assert.ok(gone === undefined || gone < Date.parse(answer.cached_until), `${gone} ${answer.cached_until}`);
		/* who can reach us: nginx counts whole seconds, and by when an answer came, so two more */
		assert.ok(gone === undefined || gone <= served + (maxAge + stale + 2) * 1000, `${gone - served} ms`);

		/* and where the cache cannot reach us, as long as was said; two emergencies, one upon the other, so that
		 * what signs in the end was published after the cache's last fetch */
		await until(async () => (await kids()).length === 2, 'the new standby');
		const fetched = await fullFetches(origin);
		assert.equal(fetched, etags.size, 'each set was fetched once');
		assert.ok(fetched === 2 || fetched === 3, `${fetched}`); /* without the bad key, and with a new standby */
		way.cut(true);
		const cut = Date.now();
		const [worse, worst] = [await revoke(kidOf(second)), await revoke(kidOf(await token()))];
		const third = await token();
		assert.equal(kidOf(third), worst.signs_now);
		assert.equal(await verifies(third, keys), false, 'nobody there can know this key');
		const end = await lastSeen(kidOf(second));
		assert.ok(end < Date.parse(worse.cached_until), `${end} ${worse.cached_until}`);
		assert.ok(end > cut + (maxAge + stale) * 1000, 'what is promised to who reaches us would not have done');

		/* with the way mended the first fetch brings it */
		way.cut(false);
		await until(() => verifies(third, keys), 'the new token', 20_000);
		assert.equal(await verifies(second, verifier()), false);
		assert.equal(await fullFetches(origin), fetched + 1, 'two emergencies, one new set');
		console.log(`# the bad key: ${(gone ?? served) - served} ms, cut off ${end - cut} ms; ${fetched + 1} full fetches`);
	} finally {
		agent.destroy();
		await cache.stop();
		way.stop();
		await origin.done();
	}
});
