/* What every end-to-end test stands on: the real binary in a data directory of its own, plain HTTP
 * requests to it, its command line, and a stand-in for systemd that starts it again.
 *
 * E2E_BINARY names the binary (a test build: some tests arm failpoints); E2E_LONG asks for the long form
 * of what takes long. */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { randomInt, webcrypto } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';

/* Debian 12's Node 18 has these behind a flag; jose and oauth4webapi look for them when called. */
globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;

export { sleep };
export const binary = path.resolve(process.env.E2E_BINARY ?? '../../build/chancery');
export const long = process.env.E2E_LONG === '1';
export const top = path.resolve(import.meta.url.slice('file://'.length), '../../..');
export const api = 'https://orders.example.com';
export const password = 'correct horse battery staple';

/* Free now, and of a range from which the kernel gives none to a connection before we come to take it. */
export async function freePort() {
	for (;;) {
		const port = randomInt(12_000, 32_000);
		const server = net.createServer();
		const free = await new Promise((done) => {
			server.once('error', () => done(false));
			server.listen(port, '127.0.0.1', () => done(true));
		});
		if (!free)
			continue;
		await new Promise((done) => server.close(done));
		return port;
	}
}

/* Polls until `check` gives something true; the promise of "soon" with an end. */
export async function until(check, what, milliseconds = 10_000) {
	const end = Date.now() + milliseconds;
	for (;;) {
		const value = await check();
		if (value)
			return value;
		if (Date.now() > end)
			throw new Error(`not within ${milliseconds} ms: ${what}`);
		await sleep(10);
	}
}

/* A certificate authority and a certificate of it for 127.0.0.1 and localhost, made by openssl. */
export function makeCertificate(folder) {
	const run = (...args) => {
		const done = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' });
		if (done.status !== 0)
			throw new Error(done.stderr);
	};
	const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
	fs.writeFileSync(path.join(folder, 'san'),
		'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n');
	run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test ca',
		'-addext', 'keyUsage=critical,keyCertSign');
	run('req', ...key, '-keyout', 'tls.key', '-out', 'tls.csr', '-subj', '/CN=127.0.0.1');
	run('x509', '-req', '-in', 'tls.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2',
		'-extfile', 'san', '-out', 'tls.pem');
	fs.chmodSync(path.join(folder, 'tls.key'), 0o600);
	return {
		ca: path.join(folder, 'ca.pem'),
		certificate: path.join(folder, 'tls.pem'),
		key: path.join(folder, 'tls.key'),
	};
}

/* The serial number of the certificate that is shown at a port of 127.0.0.1. */
export function certificateShown(port) {
	return new Promise((done, fail) => {
		const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
			done(socket.getPeerCertificate().serialNumber);
			socket.destroy();
		}).on('error', fail);
	});
}

/* One HTTP exchange on a pooled connection. Never throws for a status. */
export function exchange(url, { method = 'GET', headers = {}, body, agent, ca, localAddress } = {}) {
	const secure = url.startsWith('https:');
	return new Promise((done, fail) => {
		const request = (secure ? https : http).request(url, { method, headers, agent, ca, localAddress },
			(response) => {
				const parts = [];
				response.on('data', (part) => parts.push(part));
				response.on('error', fail);
				response.on('end', () => {
					const text = Buffer.concat(parts).toString();
					let json;
					try {
						json = JSON.parse(text);
					} catch {
						json = undefined;
					}
					done({ status: response.statusCode, headers: response.headers, text, json });
				});
			});
		request.on('error', fail);
		request.end(body);
	});
}

export const basic = (id, secret) =>
	'Basic ' + Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64');

/* Every server of this process; what a failed test leaves running must not outlive it. */
const running = new Set();
process.on('exit', () => {
	for (const server of running)
		server.kill();
});

export class Server {
	family = []; /* children to be waited for */

	/* `settings` are options of init and of serve; `clock` gives it a wall clock that moveClock() moves. */
	static async make({ settings = {}, issuerPath = '', tls = false, start = true, clock = false } = {}) {
		const server = new this();
		server.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chy-'));
		if (clock) {
			server.clock = fs.openSync(path.join(server.folder, 'clock'), 'w');
			server.env = { CHANCERY_FAULT_CLOCK: path.join(server.folder, 'clock') };
			server.moveClock(0);
		}
		server.data = path.join(server.folder, 'data');
		server.port = await freePort();
		server.adminPort = await freePort();
		server.origin = `${tls ? 'https' : 'http'}://127.0.0.1:${server.port}`;
		server.issuer = server.origin + issuerPath;
		server.settings = {
			'server.address': `127.0.0.1:${server.port}`,
			'admin.address': `127.0.0.1:${server.adminPort}`,
			...settings,
		};
		if (tls) {
			const made = makeCertificate(server.folder);
			server.ca = fs.readFileSync(made.ca);
			server.settings['server.tls.certificate'] = made.certificate;
			server.settings['server.tls.key'] = made.key;
		}
		server.agent = new (tls ? https : http).Agent({ keepAlive: true, maxSockets: 256 });
		const made = await server.command(...server.sets(), 'init', '--issuer', server.issuer);
		if (made.status !== 0)
			throw new Error(`init: ${made.stderr}`);
		running.add(server);
		if (start)
			await server.start();
		return server;
	}

	/* Wall clock of all its processes, in seconds away from the true one. */
	moveClock(seconds) {
		const bytes = Buffer.alloc(8);
		bytes.writeBigInt64LE(BigInt(seconds));
		fs.writeSync(this.clock, bytes, 0, 8, 0);
	}

	sets() {
		return Object.entries(this.settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
	}

	/* The command line on this data directory; `input` is its standard input. */
	cli(...args) {
		const input = typeof args.at(-1) === 'object' ? args.pop().input : '';
		return spawnSync(binary, ['--data', this.data, ...args], { input, encoding: 'utf8', timeout: 60_000,
			env: { ...process.env, ...this.env } });
	}

	/* As cli, without holding up what else this program does. */
	command(...args) {
		return new Promise((done) => execFile(binary, ['--data', this.data, ...args], { timeout: 60_000,
			env: { ...process.env, ...this.env } },
		(error, stdout, stderr) => done({ status: error ? error.code : 0, stdout, stderr })));
	}

	/* As cli, but must succeed; gives the JSON document it printed. */
	json(...args) {
		const done = this.cli('-o', 'json', ...args);
		if (done.status !== 0)
			throw new Error(`chancery ${args.join(' ')}: ${done.status}: ${done.stderr}`);
		return done.stdout.trim() === '' ? undefined : JSON.parse(done.stdout);
	}

	/* As json, without holding up what else this program does. */
	async document(...args) {
		const done = await this.command('-o', 'json', ...args);
		if (done.status !== 0)
			throw new Error(`chancery ${args.join(' ')}: ${done.status}: ${done.stderr}`);
		return done.stdout.trim() === '' ? undefined : JSON.parse(done.stdout);
	}

	launch({ env = {}, stderr } = {}) {
		this.log ??= fs.openSync(path.join(this.folder, 'log'), 'a');
		this.child = spawn(binary, ['--data', this.data, ...this.sets(), 'serve'], {
			env: { ...process.env, ...this.env, ...env },
			stdio: ['ignore', this.log, stderr ?? this.log],
		});
		this.exited = new Promise((done) =>
			this.child.once('exit', (status, signal) => done({ status, signal })));
		/* a test that fails must not be held by what it leaves behind; stop() and kill() take hold again */
		this.child.unref();
		return this.child;
	}

	async start(options) {
		this.launch(options);
		await this.ready();
	}

	async ready(milliseconds = 20_000) {
		await until(async () => {
			if (this.child.exitCode !== null || this.child.signalCode !== null)
				throw new Error(`the server ended: ${this.logText().slice(-2000)}`);
			return (await this.probe('/readyz')) === 200;
		}, 'ready', milliseconds);
	}

	/* The status of a GET, or 0 when nobody answers. */
	async probe(where) {
		try {
			return (await this.get(where)).status;
		} catch {
			return 0;
		}
	}

	logText() {
		return fs.readFileSync(path.join(this.folder, 'log'), 'utf8');
	}

	/* As a service manager would: whenever it ends, it is started again. */
	supervise(options) {
		this.launch(options);
		this.kept = true;
		const again = () => {
			if (!this.kept)
				return;
			this.launch();
			this.child.once('exit', again);
		};
		this.child.once('exit', again);
	}

	async stop(signal = 'SIGTERM', { keepConnections = false } = {}) {
		this.kept = false;
		this.family = [...new Set([...this.family, ...this.tree().slice(1)])];
		if (!keepConnections)
			this.agent.destroy();
		if (this.child && this.child.exitCode === null && this.child.signalCode === null)
			this.child.kill(signal);
		this.child?.ref();
		const ended = await this.exited;
		/* a child that was killed with it may take a moment longer, and hold the database for that long */
		await until(() => this.family.every((pid) => !fs.existsSync(`/proc/${pid}`)), 'all of it gone');
		return ended;
	}

	kill() {
		this.kept = false;
		this.child?.ref(); /* its end will be waited for */
		this.family = this.tree().slice(1);
		for (const pid of [...this.family, this.child?.pid]) {
			try {
				process.kill(pid, 'SIGKILL');
			} catch {
				/* gone already */
			}
		}
	}

	/* Kills one of its processes: 'supervisor', 'signer' or 'server'. False when there is none just now. */
	strike(who) {
		try {
			process.kill(who === 'supervisor' ? this.child.pid : this.children()[who], 'SIGKILL');
			return true;
		} catch {
			return false;
		}
	}

	/* Ends everything and removes the folder. */
	async done() {
		const ended = await this.stop();
		if (this.log !== undefined)
			fs.closeSync(this.log);
		if (this.clock !== undefined)
			fs.closeSync(this.clock);
		running.delete(this);
		fs.rmSync(this.folder, { recursive: true, force: true });
		return ended;
	}

	/* [supervisor, then its children]: { pid, threads } */
	tree() {
		const pid = this.child?.pid;
		try {
			const text = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
			return [pid, ...text.split(' ').filter(Boolean).map(Number)];
		} catch {
			return [pid];
		}
	}

	/* The child that listens, and the one that does not. */
	children() {
		const linked = (name) => {
			try {
				return fs.readlinkSync(name);
			} catch {
				return undefined;
			}
		};
		const listening = (pid) => {
			const ours = this.listeners();
			try {
				return fs.readdirSync(`/proc/${pid}/fd`).some((fd) => ours.has(linked(`/proc/${pid}/fd/${fd}`)));
			} catch {
				return false; /* it has just died */
			}
		};
		const [, ...pids] = this.tree();
		return { server: pids.find(listening), signer: pids.find((pid) => !listening(pid)) };
	}

	listeners() {
		const port = this.port.toString(16).toUpperCase().padStart(4, '0');
		const found = new Set();
		for (const line of fs.readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
			const fields = line.trim().split(/\s+/);
			if (fields[1]?.endsWith(`:${port}`) && fields[3] === '0A')
				found.add(`socket:[${fields[9]}]`);
		}
		return found;
	}

	get(where, headers = {}) {
		return exchange(this.origin + where, { headers, agent: this.agent, ca: this.ca });
	}

	/* A form to an endpoint; `client` is { client_id, client_secret } for Basic, or nothing. */
	post(where, form, client, headers = {}) {
		const body = typeof form === 'string' ? form : new URLSearchParams(form).toString();
		return exchange(this.issuer + where, {
			method: 'POST',
			body,
			agent: this.agent,
			ca: this.ca,
			headers: {
				'content-type': 'application/x-www-form-urlencoded',
				'content-length': Buffer.byteLength(body),
				...(client ? { authorization: basic(client.client_id, client.client_secret) } : {}),
				...headers,
			},
		});
	}

	token(form, client) {
		return this.post('/oauth2/token', form, client);
	}

	async introspect(token, client) {
		return (await this.post('/oauth2/introspect', { token }, client)).json;
	}

	/* The cast of most tests: an api, a client that may do everything, a user. */
	furnish() {
		this.json('api', 'create', api, '--scope', 'orders.read', '--scope', 'orders.write');
		const client = this.client('shop', 'client_credentials', 'password', 'refresh_token');
		this.user('alice');
		return client;
	}

	client(id, ...grants) {
		const options = grants.flatMap((grant) => grant.startsWith('--') ? grant.split('=') : ['--grant', grant]);
		return this.json('client', 'create', id, ...options, '--scope', 'orders.read', '--scope', 'orders.write',
			'--audience', api, '--introspect', api);
	}

	user(name) {
		return this.json('user', 'create', name, '--password-stdin', { input: password });
	}

	async login(client, username = 'alice') {
		const answer = await this.token({ grant_type: 'password', username, password }, client);
		if (answer.status !== 200)
			throw new Error(`login: ${answer.status} ${answer.text}`);
		return answer.json;
	}

	refresh(token, client) {
		return this.token({ grant_type: 'refresh_token', refresh_token: token }, client);
	}
}
