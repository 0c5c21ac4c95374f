/* libchancery as a service author meets it: installed, found by pkg-config, linked both ways into the program
 * that docs/libchancery.md shows, against a live server, through a rotation and while the server is away. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { after, before, test } from 'node:test';
import { Server, api, basic, binary, exchange, top, until } from './helpers.mjs';

const tree = path.dirname(binary);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chy-lib-'));
const root = path.join(folder, 'root');
const programs = new Set();
let server, shop, libdir, environment, sanitizers;

function run(command, args, options = {}) {
	const done = spawnSync(command, args, { encoding: 'utf8', ...options });
	assert.equal(done.status, 0, `${command} ${args.join(' ')}: ${done.stderr}${done.stdout}`);
	return done.stdout;
}

/* What pkg-config says of the installed packages. */
const flags = (...args) => run('pkg-config', args, { env: environment }).trim().split(/\s+/).filter(Boolean);

before(async () => {
	run('meson', ['install', '-C', tree, '--no-rebuild', '--quiet', '--destdir', root]);
	const options = JSON.parse(run('meson', ['introspect', tree, '--buildoptions']));
	const option = (name) => options.find((row) => row.name === name).value;
	libdir = path.join(root, option('prefix'), option('libdir'));
	environment = { ...process.env, PKG_CONFIG_PATH: path.join(libdir, 'pkgconfig'), PKG_CONFIG_SYSROOT_DIR: root };
	/* a library that was built with sanitizers wants a program that was */
	sanitizers = option('b_sanitize') === 'none' ? [] : [`-fsanitize=${option('b_sanitize')}`];
	server = await Server.make();
	shop = server.furnish();
});
after(async () => {
	/* what a failed test leaves behind */
	for (const child of programs)
		child.kill('SIGKILL');
	await server?.done();
	fs.rmSync(folder, { recursive: true, force: true });
});

function compile(name, ...more) {
	const program = path.join(folder, name);
	run('cc', ['-Wall', '-Wextra', '-Werror', ...sanitizers, '-o', program, path.join(top, 'docs/verify.c'), ...more]);
	return program;
}

/* The program on its way: judge(token) is the line it prints. */
function start(program, issuer = server.issuer, audience = api) {
	const child = spawn(program, [issuer, audience], { env: { ...process.env, LD_LIBRARY_PATH: libdir },
		stdio: ['pipe', 'pipe', 'inherit'] });
	programs.add(child);
	child.once('exit', () => programs.delete(child));
	const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
	return {
		/* a document that does not come at once on a busy machine is asked for again; until then nothing is judged */
		judge: (token) => until(async () => {
			child.stdin.write(`${token}\n`);
			const { value } = await lines.next();
			return !value.includes('could not be judged') && value;
		}, 'a verdict', 30_000),
		end: () => new Promise((done) => {
			child.once('exit', done);
			child.stdin.end();
		}),
	};
}

async function token() {
	const answer = await server.token({ grant_type: 'client_credentials' }, shop);
	assert.equal(answer.status, 200, answer.text);
	return answer.json.access_token;
}

test('what_is_installed_is_found_by_pkg_config', () => {
	for (const file of ['libchancery.so', 'libchancery.a', 'libchancery-curl.so', 'pkgconfig/chancery.pc'])
		assert.ok(fs.existsSync(path.join(libdir, file)), file);
	assert.ok(flags('--cflags', 'chancery').some((flag) => fs.existsSync(path.join(flag.slice(2), 'chancery.h'))));
	assert.deepEqual(flags('--libs-only-l', 'chancery'), ['-lchancery']);
	const soname = run('objdump', ['-p', path.join(libdir, 'libchancery.so')]).match(/SONAME\s+(\S+)/)[1];
	assert.match(soname, /^libchancery\.so\.\d+$/);
});

test('the_program_of_the_docs_judges_tokens_of_a_live_server', async () => {
	const program = start(compile('verify', ...flags('--cflags', '--libs', 'chancery', 'chancery-curl')));
	const first = await token();
	assert.equal(await program.judge(first), 'shop: the token is valid');
	assert.equal(await program.judge(`${first}.`), 'nobody: this is no compact JWS with strict JSON in it');
	const [header, , signature] = first.split('.');
	const claims = { ...JSON.parse(Buffer.from(first.split('.')[1], 'base64url')), sub: 'root' };
	const bent = [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
	assert.equal(await program.judge(bent), 'nobody: the signature does not match');
	/* the standby was in the set already */
	server.json('--yes', 'key', 'rotate', '--force');
	const second = await token();
	assert.notEqual(second.split('.')[0], header);
	assert.equal(await program.judge(second), 'shop: the token is valid');
	await server.stop();
	assert.equal(await program.judge(first), 'shop: the token is valid');
	assert.equal(await program.judge(second), 'shop: the token is valid');
	await server.start();
	assert.equal(await program.end(), 0);
});

test('what_the_server_takes_back_is_refused_soon', async () => {
	const program = start(path.join(folder, 'verify'));
	const [revoked, other] = [await token(), await token()];
	assert.equal(await program.judge(revoked), 'shop: the token is valid');
	const answer = await exchange(`${server.issuer}/oauth2/revoke`, { method: 'POST', body: `token=${revoked}`,
		headers: { authorization: basic(shop.client_id, shop.client_secret),
			'content-type': 'application/x-www-form-urlencoded' } });
	assert.equal(answer.status, 200, answer.text);
	await until(async () => (await program.judge(revoked)) === 'nobody: the token was revoked', 'the feed is read');
	assert.equal(await program.judge(other), 'shop: the token is valid');
	assert.equal(await program.end(), 0);
});

test('tokens_for_others_are_refused', async () => {
	const program = start(path.join(folder, 'verify'), server.issuer, 'https://elsewhere.example.com');
	assert.equal(await program.judge(await token()), 'nobody: the token is for another audience');
	assert.equal(await program.end(), 0);
	const nowhere = spawnSync(path.join(folder, 'verify'), [], { encoding: 'utf8',
		env: { ...process.env, LD_LIBRARY_PATH: libdir } });
	assert.equal(nowhere.status, 2);
	assert.match(nowhere.stderr, /the issuer is missing/);
});

test('the_static_library_does_the_same', async () => {
	/* of libcurl there is no static form to rely upon: the archive, and what it stands on */
	const program = start(compile('verify-static', ...flags('--cflags', 'chancery'), path.join(libdir, 'libchancery.a'),
		...flags('--libs', 'chancery-curl').filter((flag) => flag !== '-lchancery'), '-lsodium', '-lcrypto', '-lpthread'));
	assert.equal(await program.judge(await token()), 'shop: the token is valid');
	assert.equal(await program.end(), 0);
});
