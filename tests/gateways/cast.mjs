/* What the tests of all gateways share: an office whose key set is good for a second, a key pair of
 * our own that it publishes (so that each flaw of a token can be made alone, under a good signature), an
 * api that remembers what reached it, and a real gateway between them, which is configured by what
 * `chancery gateway-config` prints and nothing else. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { Server, api, binary, exchange, freePort, sleep, until } from '../e2e/helpers.mjs';

export const scope = 'orders.read orders.write';
const MAX_AGE_MS = 1000;
const now = () => Math.floor(Date.now() / 1000);

/* ---- tokens of our own making ---- */

const pairs = {
	ES256: crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }),
	RS256: crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }),
};
const kidOf = (alg) => `made.here_${alg}`;
const pem = (alg) => pairs[alg].publicKey.export({ type: 'spki', format: 'pem' });

function sign(header, claims, how) {
	const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
	const input = `${part(header)}.${part(claims)}`;
	return `${input}.${how(Buffer.from(input)).toString('base64url')}`;
}

const signers = {
	ES256: (bytes) => crypto.sign('sha256', bytes, { key: pairs.ES256.privateKey, dsaEncoding: 'ieee-p1363' }),
	RS256: (bytes) => crypto.sign('sha256', bytes, pairs.RS256.privateKey),
	none: () => Buffer.alloc(0),
};
const hmac = (secret) => (bytes) => crypto.createHmac('sha256', secret).update(bytes).digest();

/* ---- the office ---- */

export class Cast {
	/* `verify`: with the gateway listener, over TLS if the issuer is; `identity`: it signs X-Identity. */
	static async make({ tls = false, verify = false, identity = false } = {}) {
		const cast = new this();
		const server = await Server.make({ start: false, clock: true, tls, settings: {
			'keys.rotate_every': '1h', /* they are turned over by hand */
			'keys.jwks_max_age': `${MAX_AGE_MS / 1000}s`,
			'keys.clock_skew': '0s',
			'tokens.max_ttl': '60s',
			'tokens.access_ttl': '60s',
			'tokens.client_credentials_ttl': '60s',
			'log.access': 'errors',
		} });
		if (verify)
			await cast.openListener(server, tls);
		if (identity)
			server.settings['gateway.identity'] = 'on';
		cast.identity = identity;
		await server.start();
		cast.server = server;
		cast.shop = server.furnish();
		await Promise.all([
			server.document('user', 'update', 'alice', '--role', 'clerk', '--role', 'night'),
			cast.openOther(),
			cast.openApi(),
			...Object.keys(pairs).map((alg) => cast.publish(alg)),
		]);
		return cast;
	}

	async openListener(server, tls) {
		this.listener = `127.0.0.1:${await freePort()}`;
		server.settings['gateway.address'] = this.listener;
		if (tls) {
			server.settings['gateway.tls.certificate'] = server.settings['server.tls.certificate'];
			server.settings['gateway.tls.key'] = server.settings['server.tls.key'];
		}
	}

	/* An api behind another gateway, and who may use it. */
	async openOther() {
		await this.server.document('api', 'create', 'https://other.example.com', '--scope', 'orders.read');
		this.other = await this.server.document('client', 'create', 'other', '--grant', 'client_credentials',
			'--scope', 'orders.read', '--audience', 'https://other.example.com');
	}

	/* Our own key, as one of a former server: it is in the set, and its private half with us. */
	publish(alg) {
		const file = path.join(this.server.folder, `${alg}.pem`);
		fs.writeFileSync(file, pem(alg));
		return this.server.document('key', 'import', '--state', 'retiring', '--for', '1h', '--kid', kidOf(alg), file);
	}

	/* The api behind the gateway: keeps what came, says nothing. */
	async openApi() {
		this.received = [];
		this.upstream = http.createServer((request, response) => {
			this.received.push(request);
			response.end('of the api');
		});
		await new Promise((done) => this.upstream.listen(0, '127.0.0.1', done));
		this.upstreamAddress = `127.0.0.1:${this.upstream.address().port}`;
	}

	async done() {
		this.upstream?.closeAllConnections?.();
		this.upstream?.close();
		await this.server?.done();
	}

	async machine(client = this.shop) {
		const answer = await until(async () => {
			const got = await this.server.token({ grant_type: 'client_credentials' }, client);
			return got.status === 503 ? undefined : got; /* a machine so busy that the signer was late */
		}, 'a token');
		assert.equal(answer.status, 200, answer.text);
		return answer.json.access_token;
	}

	async user() {
		return (await this.server.login(this.shop)).access_token;
	}

	/* Good, but for what is changed. */
	forge({ alg = 'ES256', header = {}, claims = {}, how = signers[alg] } = {}) {
		return sign({ alg, typ: 'at+jwt', kid: kidOf(alg), ...header }, {
			iss: this.server.issuer, sub: 'shop', aud: api, exp: now() + 300, iat: now() - 10, nbf: now() - 10,
			client_id: 'shop', scope, jti: crypto.randomUUID(), ...claims,
		}, how);
	}

	/* [what is wrong with it, token]: each good but for that, under a signature of a published key where
	 * there is one. */
	flawed() {
		const other = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
		const stranger = (bytes) => crypto.sign('sha256', bytes, { key: other, dsaEncoding: 'ieee-p1363' });
		const good = this.forge();
		const [header, payload] = good.split('.');
		return [
			['expired', this.forge({ claims: { exp: now() - 60 } })],
			['not yet valid', this.forge({ claims: { nbf: now() + 120 } })],
			['without an end', this.forge({ claims: { exp: undefined } })],
			['wrong audience', this.forge({ claims: { aud: 'https://other.example.com' } })],
			['audiences of others', this.forge({ claims: { aud: ['https://other.example.com', `${api}/`] } })],
			['no audience', this.forge({ claims: { aud: undefined } })],
			['wrong issuer', this.forge({ claims: { iss: 'https://other.example.com' } })],
			['no issuer', this.forge({ claims: { iss: undefined } })],
			['alg none', this.forge({ alg: 'none', header: { kid: kidOf('ES256') } })],
			['alg none, with the signature', `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.` +
				good.split('.')[2]],
			['no signature', `${header}.${payload}.`],
			['unknown kid', this.forge({ header: { kid: 'nobodys' }, how: stranger })],
			['a kid of ours, another key', this.forge({ how: stranger })],
			...Object.keys(pairs).map((alg) => [`HS256 with the public key of ${alg}`,
				this.forge({ alg: 'HS256', header: { kid: kidOf(alg) }, how: hmac(pem(alg)) })]),
			['RS256 in name, signed by ES256', this.forge({ header: { alg: 'RS256' } })],
			['another kind of token', this.forge({ header: { typ: 'JWT' } })],
			['no token', 'x'],
		];
	}
}

/* ---- asking through a gateway ---- */

const identityName = /^x[-_](user|scope|client|token|identity|chancery)/i;

/* What reached the api about who asks; a header without a value says nothing. */
function identityOf(request) {
	const found = {};
	for (let i = 0; i < request.rawHeaders.length; i += 2) {
		const [name, value] = [request.rawHeaders[i].toLowerCase(), request.rawHeaders[i + 1]];
		if (identityName.test(name) && value !== '')
			found[name] = name in found ? [found[name], value].flat() : value;
	}
	return found;
}

export class Gateway {
	/* `main` (folder, file) writes what the package would bring around our output, and gives the program's
	 * arguments. */
	static async start(cast, { name, kind, options = [], program, files, env = {} }) {
		const gateway = new this();
		Object.assign(gateway, { cast, name, kind, options, env });
		gateway.folder = fs.mkdtempSync(path.join(cast.server.folder, 'gw-'));
		fs.chmodSync(cast.server.folder, 0o711);
		fs.chmodSync(gateway.folder, 0o777);
		gateway.port = await freePort();
		gateway.file = path.join(gateway.folder, 'chancery');
		gateway.configure();
		if (program)
			await gateway.run(program, files(gateway));
		return gateway;
	}

	get address() {
		return `127.0.0.1:${this.port}`;
	}

	arguments() {
		return ['gateway-config', this.kind, '--issuer', this.cast.server.issuer, '--audience', api,
			'--listen', this.address, '--upstream', this.cast.upstreamAddress, ...this.options];
	}

	configure() {
		this.cast.server.env.SSL_CERT_FILE = path.join(this.cast.server.folder, 'ca.pem');
		const done = this.cast.server.cli(...this.arguments());
		assert.equal(done.status, 0, done.stderr);
		fs.writeFileSync(this.file, done.stdout);
	}

	async run(program, args) {
		const log = path.join(this.folder, 'log');
		const fd = fs.openSync(log, 'a');
		this.child = spawn(program, args, { stdio: ['ignore', fd, fd], env: { ...process.env, ...this.env,
			PATH: `${process.env.PATH}:/usr/sbin` } });
		fs.closeSync(fd);
		this.ended = new Promise((done) => this.child.once('exit', done));
		process.on('exit', () => this.child.kill('SIGKILL'));
		let failed;
		this.child.once('error', (error) => { failed = error; });
		await until(async () => {
			if (failed || this.child.exitCode !== null)
				throw failed ?? new Error(`${program}: ${fs.readFileSync(log, 'utf8')}`);
			return exchange(`http://${this.address}/`).then(() => true, () => false);
		}, `${program} listens`);
	}

	async stop() {
		if (!this.child || this.child.exitCode !== null)
			return;
		this.child.kill('SIGTERM');
		await Promise.race([this.ended, sleep(3000)]);
		this.child.kill('SIGKILL');
	}

	/* On a connection of its own: one that is kept may be closed by a reload just when it is used again. */
	ask(token, headers = {}) {
		return exchange(`http://${this.address}/orders?of=today`, { agent: new http.Agent(),
			headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers } });
	}

	/* The one request that reached the api. */
	async pass(token, headers) {
		this.cast.received.length = 0;
		const answer = await this.ask(token, headers);
		assert.equal(answer.status, 200, `${this.name}: ${answer.text}`);
		assert.equal(this.cast.received.length, 1);
		assert.equal(this.cast.received[0].url, '/orders?of=today');
		return this.cast.received[0];
	}

	async refuse(token, why, headers) {
		this.cast.received.length = 0;
		const answer = await this.ask(token, headers);
		assert.ok([400, 401, 403].includes(answer.status), `${this.name}: ${why}: ${answer.status}`);
		assert.equal(this.cast.received.length, 0, `${this.name}: ${why}: reached the api`);
		return answer;
	}
}

/* ---- what every gateway must do ---- */

const claimsOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

/* X-Identity, which the office signed for what is behind the gateway, agrees with the other headers. */
async function checkDocument(cast, text, told) {
	const [head, payload, signature] = text.split('.');
	const part = (text) => JSON.parse(Buffer.from(text, 'base64url'));
	const header = part(head), claims = part(payload);
	assert.deepEqual([header.alg, header.typ], ['ES256', 'identity+jwt']);
	cast.identityKeys ??= (await exchange(`${cast.server.ca ? 'https' : 'http'}://${cast.listener}/gateway/jwks.json`,
		{ ca: cast.server.ca })).json.keys;
	const jwk = cast.identityKeys.find(({ kid }) => kid === header.kid);
	const key = { key: crypto.createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' };
	assert.ok(crypto.verify('sha256', Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, 'base64url')));
	assert.equal(claims.aud, `${cast.server.issuer}/gateway`);
	assert.equal(claims.token_id, told['x-token-id']);
}

/* What reached the api about who asks, but for X-Identity, which is looked into. */
async function told(gateway, request) {
	const { 'x-identity': document, ...found } = identityOf(request);
	assert.equal(document !== undefined, gateway.cast.identity);
	if (document !== undefined)
		await checkDocument(gateway.cast, document, found);
	return found;
}

/* `roles`: whether it can hand on a list */
export async function handsOnWhoAsks(gateway, { roles = true } = {}) {
	const { cast } = gateway;
	const machine = await cast.machine();
	assert.deepEqual(await told(gateway, await gateway.pass(machine)),
		{ 'x-scope': scope, 'x-client-id': 'shop', 'x-token-id': claimsOf(machine).jti });
	const user = await cast.user();
	assert.deepEqual(await told(gateway, await gateway.pass(user)), {
		'x-user-id': claimsOf(user).sub, ...(roles ? { 'x-user-role': 'clerk,night' } : {}),
		'x-scope': scope, 'x-client-id': 'shop', 'x-token-id': claimsOf(user).jti,
	});
}

/* Every spelling that somebody behind the gateway might read as one of ours. */
function spoofed() {
	const names = ['X-User-Id', 'X-User-Role', 'X-Scope', 'X-Client-Id', 'X-Token-Id', 'X-Identity'];
	const spellings = (name) => {
		const parts = name.split('-');
		return parts.length === 2 ? [name, parts.join('_')]
			: ['--', '-_', '_-', '__'].map((joints) => parts[0] + joints[0] + parts[1] + joints[1] + parts[2]);
	};
	const cases = [(name) => name, (name) => name.toLowerCase(), (name) => name.toUpperCase(),
		(name) => [...name].map((c, i) => i % 2 ? c.toUpperCase() : c.toLowerCase()).join('')];
	return names.flatMap(spellings).flatMap((name) => cases.map((change) => change(name)));
}

export async function letsNoSpoofedIdentityThrough(gateway) {
	const token = await gateway.cast.machine();
	const clean = await told(gateway, await gateway.pass(token));
	for (const name of spoofed()) {
		const request = await gateway.pass(token, { [name]: 'spoofed' });
		assert.deepEqual(await told(gateway, request), clean, `${gateway.name}: ${name}`);
	}
	await gateway.refuse(undefined, 'spoofed, and no token', { 'X-User-Id': 'alice' });
}

/* `signed`: it verifies signatures itself, and takes what our own key pair signed. */
export async function refusesWhatIsFlawed(gateway, { signed = true, but = [] } = {}) {
	const { cast } = gateway;
	await gateway.refuse(undefined, 'no header');
	await gateway.refuse(await cast.machine(cast.other), 'of another api');
	if (signed) {
		/* what is refused below is so for its flaw alone */
		await gateway.pass(cast.forge());
		await gateway.pass(cast.forge({ alg: 'RS256' }));
		await gateway.pass(cast.forge({ claims: { aud: ['https://other.example.com', api] } }));
	}
	for (const [flaw, token] of cast.flawed()) {
		if (!but.includes(flaw))
			await gateway.refuse(token, flaw);
	}
}

/* Turns the keys over as soon as `knows(kid)` says that the gateway had the next one for as long as the
 * office promises to publish it. Force, because the office counts on caches that are staler than these. */
async function turnOver({ server }, knows) {
	const standby = (await server.document('key', 'list')).items
		.find(({ alg, state }) => alg === 'ES256' && state === 'standby');
	await until(() => knows(standby.kid), 'the gateway knows the next key', 60_000);
	await server.document('--yes', 'key', 'rotate', '--alg', 'ES256', '--force');
}

/* Who goes by max-age, or better, knows it when that is over. */
function afterMaxAge() {
	const since = Date.now();
	return () => Date.now() - since > 2 * MAX_AGE_MS;
}

/* Two rotations. Each token is asked about when it is new and again when the keys have turned over. */
export async function survivesRotation(gateway, knows = afterMaxAge) {
	const { cast } = gateway;
	const kids = new Set(), tokens = [];
	const kidIn = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).kid;
	const through = async (token, age) => {
		const answer = await gateway.ask(token);
		assert.equal(answer.status, 200, `${gateway.name}: ${age} token of ${kidIn(token)}: ${answer.text}`);
	};
	let turned = 0;
	const turning = (async () => {
		for (; turned < 2; turned++)
			await turnOver(cast, knows());
	})();
	while (turned < 2 || kids.size < 3) {
		const token = await cast.machine();
		kids.add(kidIn(token));
		tokens.push({ token, at: Date.now() });
		await through(token, 'new');
		await Promise.race([turning, sleep(50)]);
	}
	await turning;
	for (const { token, at } of tokens) {
		if (Date.now() - at < 50_000) /* they last sixty seconds */
			await through(token, 'old');
	}
}

/* Of a gateway that asks /gateway/verify. */
export async function refusesWhatIsRevoked(gateway) {
	const { cast } = gateway;
	const token = await cast.machine();
	await gateway.pass(token);
	const answer = await cast.server.post('/oauth2/revoke', { token }, cast.shop);
	assert.equal(answer.status, 200, answer.text);
	await gateway.refuse(token, 'revoked');
	await gateway.pass(await cast.machine());
}

/* The office's own tokens, at moments when they are not good. */
export async function knowsTheHour(gateway) {
	const { cast } = gateway;
	const token = await cast.machine();
	await gateway.pass(token);
	cast.server.moveClock(120);
	await gateway.refuse(token, 'expired');
	cast.server.moveClock(0);
	const early = await cast.machine();
	await gateway.pass(early);
	cast.server.moveClock(-120);
	await gateway.refuse(early, 'not yet valid');
	cast.server.moveClock(0);
}

/* Without the office nobody can say who asks: nothing passes. */
export async function letsNothingThroughAlone(gateway) {
	const { cast } = gateway;
	const token = await cast.machine();
	await gateway.pass(token);
	await cast.server.stop();
	cast.received.length = 0;
	const answer = await gateway.ask(token);
	assert.ok(answer.status >= 500, `${answer.status}`);
	assert.equal(cast.received.length, 0);
}

/* `gateway-keys`, in step with the office while the test runs. */
export function keepKeys(cast, folder, command, env = {}) {
	const log = fs.openSync(path.join(cast.server.folder, 'keys-log'), 'a');
	const child = spawn(binary, ['gateway-keys', '--issuer', cast.server.issuer, '--out', folder,
		...(command ? ['--exec', command] : [])], { stdio: ['ignore', log, log], env: { ...process.env, ...env } });
	fs.closeSync(log);
	process.on('exit', () => child.kill('SIGKILL'));
	return child;
}

/* Apache with these modules and our output. */
export function startApache(cast, options) {
	const modules = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'auth_basic', 'headers', 'proxy',
		'proxy_http', ...options.modules];
	return Gateway.start(cast, { ...options, kind: 'apache', program: 'apache2', files: ({ folder, file }) => {
		const main = path.join(folder, 'apache2.conf');
		fs.writeFileSync(main, `
			ServerRoot ${folder}
			ServerName localhost
			DefaultRuntimeDir ${folder}
			PidFile ${folder}/pid
			ErrorLog ${folder}/log
			StartServers 1
			${process.getuid() === 0 ? 'User www-data\nGroup www-data' : ''}
			${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
			Include ${file}`);
		return ['-DFOREGROUND', '-f', main];
	} });
}
