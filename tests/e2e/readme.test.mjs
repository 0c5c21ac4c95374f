/* Runs README's own commands: the blocks behind <!-- test: name -->, in order, in one shell, over HTTP and
 * then over TLS, and has npm jose verify what they obtained. Only addresses are put in place of the page's
 * own, so that the test works beside a server that is running. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { binary, freePort, makeCertificate, top } from './helpers.mjs';
import * as jose from 'jose';

function blocks() {
	const text = fs.readFileSync(path.join(top, 'README.md'), 'utf8');
	const found = [...text.matchAll(/<!-- test: (\S+) -->\n+```sh\n([\s\S]*?)```/g)];
	return found.map(([, name, body]) => ({ name, body }));
}

async function runReadme(tls) {
	const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chy-readme-'));
	const port = await freePort();
	const origin = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
	const env = {
		...process.env,
		PATH: `${path.dirname(binary)}:${process.env.PATH}`,
		CHANCERY_SERVER_ADDRESS: `127.0.0.1:${port}`,
		CHANCERY_ADMIN_ADDRESS: `127.0.0.1:${await freePort()}`,
	};
	if (tls) {
		const made = makeCertificate(folder);
		env.CHANCERY_SERVER_TLS_CERTIFICATE = made.certificate;
		env.CHANCERY_SERVER_TLS_KEY = made.key;
		env.CURL_CA_BUNDLE = made.ca;
		env.SSL_CERT_FILE = made.ca;
	}
	const script = ['set -eu', 'trap \'kill $(jobs -p) 2>/dev/null; wait\' EXIT',
		...blocks().map(({ name, body }) => `echo "## ${name}" >&2\n${body}`)].join('\n')
		.replaceAll('http://127.0.0.1:8080', origin);
	const done = spawnSync('bash', ['-c', script], { cwd: folder, env, encoding: 'utf8', timeout: 120_000 });
	const log = path.join(folder, 'chancery.log');
	const said = `${done.stdout}\n${done.stderr}\n${fs.existsSync(log) ? fs.readFileSync(log, 'utf8') : ''}`;
	assert.equal(done.status, 0, said);
	return { folder, origin, said };
}

async function verify({ folder, origin, said }) {
	const read = (name) => JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8'));
	/* the set as the server published it, before and after the rotation */
	const keys = jose.createLocalJWKSet(read('jwks.json'));
	const subjects = {};
	for (const name of ['machine.json', 'user.json', 'refreshed.json', 'after.json']) {
		const { payload, protectedHeader } = await jose.jwtVerify(read(name).access_token, keys,
			{ issuer: origin, audience: 'https://orders.example.com', typ: 'at+jwt' });
		subjects[name] = payload.sub;
		assert.ok(protectedHeader.kid);
	}
	assert.equal(subjects['machine.json'], 'shop');
	assert.notEqual(subjects['user.json'], 'shop');
	assert.equal(subjects['refreshed.json'], subjects['user.json']);
	assert.match(said, /"active": ?true/);
	assert.match(said, /"active": ?false/);
	fs.rmSync(folder, { recursive: true, force: true });
}

test('readme_names_its_blocks', () => {
	assert.deepEqual(blocks().map(({ name }) => name), ['start', 'register', 'tokens', 'verify', 'end', 'rotate']);
});

test('readme_commands_work_over_http', async () => {
	await verify(await runReadme(false));
});

test('readme_commands_work_over_tls', async () => {
	await verify(await runReadme(true));
});
