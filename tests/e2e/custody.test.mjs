/* What a hole in the server's HTTP parser would find. A debugger takes the server's place: whatever it
 * calls is called by the running, confined process. And a search through its memory, by root, who may. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Server, binary, makeCertificate, until } from './helpers.mjs';

const reveal = path.join(path.dirname(binary), 'tests', 'reveal');
const root = process.getuid() === 0;
const cc = { grant_type: 'client_credentials' };
let server, shop;

before(async () => {
	server = await Server.make({ settings: { 'keys.algs': 'ES256,RS256' } });
	shop = server.furnish();
	for (let i = 0; i < 20; i++)
		assert.equal((await server.token(cc, shop)).status, 200);
});
after(async () => server?.done());

/* The value of a C expression evaluated in the server, or what gdb says when the server dies of it. */
function inside(expression) {
	const { server: pid } = server.children();
	const done = spawnSync('gdb', ['-q', '-nx', '-batch', '-p', String(pid), '-ex', `print (int)(${expression})`,
		'-ex', 'print *(int *)__errno_location()'], { encoding: 'utf8', timeout: 60_000 });
	const values = [...done.stdout.matchAll(/^\$\d+ = (-?\d+)$/gm)].map((found) => Number(found[1]));
	return { value: values[0], errno: values[1], text: done.stdout + done.stderr };
}

const EACCES = 13, SIGSYS = 31;
/* What the supervisor saw: waitpid's status. */
const diedOf = (signal) => server.logText().split('\n')
	.filter((line) => line.includes('"server died"') && line.includes(`"detail":"${signal}"`)).length;
const call = (name, type, ...values) => `((${type})${name})(${values.join(', ')})`;
const open = (file) => call('open', 'int (*)(const char *, int)', JSON.stringify(file), 0);

test('the_server_cannot_open_the_master_key_or_the_configuration', { skip: !root }, () => {
	for (const file of ['master.key', 'chancery.yaml']) {
		const got = inside(open(path.join(server.data, file)));
		assert.equal(got.value, -1, got.text);
		assert.equal(got.errno, EACCES, got.text);
	}
	const control = inside(open(path.join(server.data, 'db', 'chancery.db')));
	assert.ok(control.value >= 0, control.text);
});

test('the_server_cannot_open_the_signers_or_the_supervisors_memory', { skip: !root }, () => {
	for (const pid of [server.children().signer, server.child.pid]) {
		const got = inside(open(`/proc/${pid}/mem`));
		assert.equal(got.value, -1, got.text);
		assert.equal(got.errno, EACCES, got.text);
	}
});

for (const [name, expression] of [
	['ptrace', (signer) => call('ptrace', 'long (*)(int, int, void *, void *)', 16, signer, 0, 0)],
	['process_vm_readv', (signer) => call('process_vm_readv', 'long (*)(int, void *, long, void *, long, long)', signer, 0, 0, 0, 0, 0)],
	['execve', () => call('execve', 'int (*)(const char *, void *, void *)', '"/bin/sh"', 0, 0)],
]) {
	test(`${name}_ends_the_server_and_another_comes`, { skip: !root }, async () => {
		const { server: before, signer } = server.children();
		const deaths = diedOf(SIGSYS);
		inside(expression(signer)); /* gdb loses it in the middle, and says so in its own way */
		await until(() => diedOf(SIGSYS) === deaths + 1, `death by SIGSYS: ${server.logText().slice(-500)}`);
		server.agent.destroy();
		await until(() => ![undefined, before].includes(server.children().server), 'another server');
		await server.ready();
		assert.equal((await server.token(cc, shop)).status, 200);
	});
}

/* As certbot does it: live/ holds links, each renewal is a new file in archive/ and the link turned over. */
test('a_renewed_certificate_behind_a_link_is_taken', async () => {
	const secure = await Server.make({ tls: true, start: false });
	try {
		const at = (...parts) => path.join(secure.folder, ...parts);
		const renew = (n) => {
			makeCertificate(secure.folder);
			for (const part of ['certificate', 'key']) {
				fs.copyFileSync(at(part === 'key' ? 'tls.key' : 'tls.pem'), at('archive', `${part}${n}`));
				fs.rmSync(at('live', part), { force: true });
				fs.symlinkSync(path.join('..', 'archive', `${part}${n}`), at('live', part));
				secure.settings[`server.tls.${part}`] = at('live', part);
			}
			secure.ca = fs.readFileSync(at('ca.pem'));
			secure.agent.destroy();
		};
		fs.mkdirSync(at('archive'));
		fs.mkdirSync(at('live'));
		renew(1);
		await secure.start();
		renew(2);
		assert.equal(await secure.probe('/readyz'), 0, 'the old certificate is not of the new authority');
		secure.child.kill('SIGHUP');
		await until(async () => (await secure.probe('/readyz')) === 200, 'the new certificate');
	} finally {
		await secure.done();
	}
});

/* ---- memory ---- */

function rows() {
	const query = "SELECT 'root ' || version || ' ' || hex(sealed) FROM roots;" +
		"SELECT 'key ' || kid || ' ' || alg || ' ' || hex(sealed) FROM keys WHERE length(sealed) > 0;";
	const done = spawnSync('sqlite3', [path.join(server.data, 'db', 'chancery.db'), query], { encoding: 'utf8' });
	assert.equal(done.status, 0, done.stderr);
	return done.stdout;
}

function secrets() {
	const done = spawnSync(reveal, [path.join(server.data, 'master.key')], { input: rows(), encoding: 'utf8' });
	assert.equal(done.status, 0, done.stderr);
	return done.stdout.trim().split('\n').map((line) => line.split(' ')).map(([name, hex]) => ({ name, bytes: Buffer.from(hex, 'hex') }));
}

/* All that is mapped and can be read, one mapping after the other. */
function* memory(pid) {
	const fd = fs.openSync(`/proc/${pid}/mem`, 'r');
	try {
		for (const line of fs.readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
			const found = /^([0-9a-f]+)-([0-9a-f]+) r/.exec(line);
			if (!found || line.endsWith('[vvar]') || line.endsWith('[vsyscall]'))
				continue;
			const from = BigInt(`0x${found[1]}`);
			const bytes = Buffer.alloc(Number(BigInt(`0x${found[2]}`) - from));
			try {
				const n = fs.readSync(fd, bytes, 0, bytes.length, from);
				yield bytes.subarray(0, n);
			} catch {
				/* a guard page */
			}
		}
	} finally {
		fs.closeSync(fd);
	}
}

/* Half a number would do for a thief: its first and last 16 bytes, and as bignums hold them, backwards. */
const pieces = ({ bytes }) => [bytes, Buffer.from(bytes).reverse()]
	.flatMap((order) => [order.subarray(0, 16), order.subarray(-16)]);

function found(pid, wanted) {
	const seen = new Set();
	for (const bytes of memory(pid)) {
		for (const secret of wanted) {
			if (pieces(secret).some((piece) => bytes.includes(piece)))
				seen.add(secret.name);
		}
	}
	return [...seen];
}

test('the_servers_memory_holds_no_master_root_or_private_key', { skip: !root }, async () => {
	const wanted = secrets();
	assert.ok(wanted.length >= 2 + 2 + 2 * 3, `${wanted.length} secrets`);
	for (let i = 0; i < 50; i++)
		await server.token(cc, shop);
	const { server: pid, signer } = server.children();
	assert.deepEqual(found(pid, wanted), []);
	/* the search finds what is there: the signer has the active keys, root and master */
	const there = found(signer, wanted);
	assert.ok(there.includes('master') && there.includes('root') && there.length >= 4, there.join());
});

test('nor_after_a_restart_of_signer_and_server', { skip: !root }, async () => {
	const { server: before, signer } = server.children();
	process.kill(signer, 'SIGKILL');
	await until(async () => server.logText().includes('the signer was restarted'), 'a new signer');
	process.kill(before, 'SIGKILL');
	server.agent.destroy();
	await until(() => ![undefined, before].includes(server.children().server), 'another server');
	await server.ready();
	assert.equal((await server.token(cc, shop)).status, 200);
	assert.deepEqual(found(server.children().server, secrets()), []);
});

/* Numbers of a private key, and its text as the file has it: of a PEM what the second line begins with, which
 * is the end of the number (RFC 5915 3), the first being the same for all keys. */
function imported(name, file, text, jwk) {
	const body = text.includes('BEGIN') ? text.split('\n')[2].slice(0, 24) : jwk.d;
	return { file, text, wanted: [
		...['d', 'p', 'q', 'dp', 'dq', 'qi'].filter((part) => jwk[part])
			.map((part) => ({ name: `${name} ${part}`, bytes: Buffer.from(jwk[part], 'base64url') })),
		{ name: `${name} text`, bytes: Buffer.from(body) },
	] };
}

test('nor_what_was_imported_in_any_form', { skip: !root }, async () => {
	const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
	const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
	const asJwk = (key) => key.export({ format: 'jwk' });
	const brought = [
		imported('pem', 'former.pem', ec.export({ type: 'pkcs8', format: 'pem' }), asJwk(ec)),
		imported('jwk', 'former.jwk', JSON.stringify({ ...asJwk(rsa), kid: 'former-jwk' }), asJwk(rsa)),
	];
	const signed = [server.client('es', 'client_credentials', '--alg=ES256'),
		server.client('rs', 'client_credentials', '--alg=RS256')];
	for (const { file, text } of brought) {
		fs.writeFileSync(path.join(server.folder, file), text, { mode: 0o600 });
		server.json('key', 'import', path.join(server.folder, file), '--state', 'active',
			...(file.endsWith('.pem') ? ['--kid', 'former-pem'] : []));
	}
	const kids = [];
	for (const client of signed) {
		const { access_token } = (await server.token(cc, client)).json;
		kids.push(JSON.parse(Buffer.from(access_token.split('.')[0], 'base64url')).kid);
	}
	assert.deepEqual(kids, ['former-pem', 'former-jwk'], 'they sign');
	const wanted = brought.flatMap((one) => one.wanted);
	const { server: pid, signer } = server.children();
	assert.deepEqual(found(pid, wanted), []);
	assert.deepEqual(found(server.child.pid, wanted), [], 'nor the supervisor');
	/* the search finds what is there: the signer signs with both */
	const there = found(signer, wanted);
	assert.ok(there.includes('pem d') && there.includes('jwk p'), there.join());
	assert.ok(!there.some((name) => name.endsWith('text')), there.join());
});
