/* The server is killed at every step of every change of keys, started again, and must be whole: the steps are
 * the failpoints that its source names, so that a new one is covered or complained about by itself. */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import * as jose from 'jose';
import { Server, api, top, until } from './helpers.mjs';

const algs = ['ES256', 'RS256'];
const published = ['active', 'standby', 'retiring'];

/* ---- which failpoints there are, and what reaches them ---- */

function failpoints() {
	const found = new Set();
	for (const room of ['server/state', 'keys'])
		for (const name of fs.readdirSync(path.join(top, room)).filter((file) => file.endsWith('.c'))) {
			const text = fs.readFileSync(path.join(top, room, name), 'utf8');
			for (const [, point] of text.matchAll(/FAILPOINT\("(key\.[^"]+)"\)/g))
				found.add(point);
		}
	return [...found].sort();
}

/* `command` is what the failpoint lies in; it is run with `settings` of the server, once `before` has been done.
 * `revokes` says which of the keys before it must leave revoked, finished or not. */
const signing = (keys) => keys.find((key) => key.alg === 'ES256' && key.state === 'active').kid;
const rotate = { name: 'a rotation', command: () => ['key', 'rotate', '--alg', 'ES256', '--force'] };
/* Nobody asks for it: a step of the bound later it is due at the start. */
const raise = { name: 'a bound that is raised', clock: 3700 };
const revoke = {
	name: 'an emergency',
	command: (keys) => ['key', 'revoke', signing(keys)],
	revokes: (keys) => [signing(keys)],
};
/* A new root: no login is promised to outlive it. */
const revokeAll = {
	name: 'everything anew',
	command: () => ['key', 'revoke', '--all'],
	revokes: (keys) => keys.filter((key) => published.includes(key.state)).map((key) => key.kid),
	endsLogins: true,
};
/* What is due, or configured, is done without being asked for. */
const leave = {
	name: 'a key that leaves',
	before: ['key', 'rotate', '--alg', 'ES256', '--force'],
	clock: 2 * 86400, /* its last token has expired; and the clock is doubted until somebody vouches for it */
	command: () => ['key', 'resume'],
};
const retire = { name: 'an algorithm that is taken out', settings: { 'keys.algs': 'ES256' } };
const promise = { name: 'a longer promise', settings: { 'keys.jwks_max_age': '2s' } };
const rewrap = { name: 'another master key', command: () => ['key', 'rewrap'] };
const bring = {
	name: 'a key of a former server',
	command: (keys, folder) => {
		const file = path.join(folder, 'former.pem');
		const { privateKey } = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
		fs.writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
		return ['key', 'import', '--state', 'active', '--kid', 'former', file];
	},
};

const rows = {
	'key.bound.committed': raise,
	'key.remove.committed': leave,
	'key.retire_alg.committed': retire,
	'key.promise.committed': promise,
	'key.standby.committed': revoke,
	'key.first.committed': revokeAll,
	'key.rotate.generated': rotate,
	'key.rotate.loaded': rotate,
	'key.rotate.committed': rotate,
	'key.rotate.activated': rotate,
	'key.rotate.settled': rotate,
	'key.revoke.listed': revoke,
	'key.revoke.committed': revoke,
	'key.revoke.switched': revoke,
	'key.revoke.published': revoke,
	'key.revoke_all.listed': revokeAll,
	'key.revoke_all.committed': revokeAll,
	'key.rewrap.prepared': rewrap,
	'key.rewrap.committed': rewrap,
	'key.import.committed': bring,
};

/* ---- what must hold whenever the server runs ---- */

class Office extends Server {
	static async open() {
		/* what is new is ready soon */
		const office = await Office.make({ clock: true, settings: { 'keys.jwks_max_age': '1s',
			'keys.clock_skew': '0s', 'log.access': 'errors' } });
		office.offset = 0;
		await office.document('api', 'create', api, '--scope', 'orders.read', '--scope', 'orders.write');
		office.user('alice');
		office.clients = {};
		for (const alg of algs)
			office.clients[alg] = office.client(alg, 'client_credentials', 'password', 'refresh_token', `--alg=${alg}`);
		return office;
	}

	expected() {
		return { issuer: this.issuer, audience: api, currentDate: new Date(Date.now() + this.offset * 1000) };
	}

	async keys() {
		return (await this.document('key', 'list')).items;
	}

	async verifier() {
		return jose.createLocalJWKSet((await this.get('/.well-known/jwks.json')).json);
	}

	async newToken(alg) {
		const answer = await until(async () => {
			const got = await this.token({ grant_type: 'client_credentials' }, this.clients[alg]);
			assert.ok([200, 503].includes(got.status), got.text);
			return got.status === 200 && got;
		}, `a token by ${alg}`);
		return answer.json.access_token;
	}

	/* Right after an emergency an algorithm may be without keys for the moment it takes to make them. */
	wholeList() {
		const has = (keys, alg, state) => keys.filter((key) => key.alg === alg && key.state === state).length;
		return until(async () => {
			const keys = await this.keys();
			assert.ok(algs.every((alg) => has(keys, alg, 'active') <= 1 && has(keys, alg, 'standby') <= 1));
			return algs.every((alg) => has(keys, alg, 'active') && has(keys, alg, 'standby')) && keys;
		}, 'an active and a standby key of each algorithm', 60_000); /* RSA keys, on a busy machine */
	}

	async everythingHolds() {
		const kids = (await this.wholeList()).filter((key) => published.includes(key.state)).map((key) => key.kid);
		await until(async () => {
			const { keys } = (await this.get('/.well-known/jwks.json')).json;
			return keys.length === kids.length && keys.every((key) => kids.includes(key.kid));
		}, 'the key set is what the list says');
		for (const alg of algs) {
			const token = await this.newToken(alg);
			const { protectedHeader } = await jose.jwtVerify(token, await this.verifier(), this.expected());
			assert.equal(protectedHeader.alg, alg);
		}
		let lint;
		await until(async () => (lint = await this.command('key', 'lint')).status === 0, 'lint').catch(() =>
			assert.fail(lint.stdout + lint.stderr));
	}

	async issue() {
		const login = await until(() => this.login(this.clients.ES256).catch(() => undefined), 'a login');
		return { refresh: login.refresh_token,
			tokens: [login.access_token, await this.newToken('ES256'), await this.newToken('RS256')] };
	}

	/* What was issued before goes on being good, unless its key was revoked. */
	async honours(issued, revoked) {
		for (const text of issued.tokens) {
			const good = !revoked.includes(jose.decodeProtectedHeader(text).kid);
			const verified = await jose.jwtVerify(text, await this.verifier(), this.expected()).then(() => true, () => false);
			assert.equal(verified, good, 'for a verifier');
			assert.equal((await this.introspect(text, this.clients.ES256)).active, good, 'for us');
		}
		const states = new Map((await this.keys()).map((key) => [key.kid, key.state]));
		for (const kid of revoked)
			assert.equal(states.get(kid), 'revoked', kid);
	}

	/* The failpoint stays armed for whoever the supervisor starts; then all of it goes, as with the power. */
	async killedAt(name, row) {
		const keys = await this.keys();
		const logged = this.logText().length;
		const settings = this.settings;
		if (row.before)
			await this.document('--yes', ...row.before);
		await this.stop();
		this.settings = { ...settings, ...row.settings };
		if (row.clock)
			this.moveClock(this.offset = row.clock);
		this.launch({ env: { CHANCERY_FAILPOINTS: `${name}:1:abort` } });
		let done;
		if (row.command) {
			await this.ready();
			done = await this.command('--yes', ...row.command(keys, this.folder));
		}
		await until(() => this.logText().slice(logged).includes('server died'),
			`dead at ${name}: ${done?.stdout} ${done?.stderr}`, 20_000);
		this.kill();
		await this.stop();
		this.settings = settings;
		await this.start();
		if (row.clock)
			await this.document('--yes', 'key', 'resume');
		return row.revokes?.(keys) ?? [];
	}
}

test('every_row_is_of_a_failpoint', () => {
	assert.deepEqual(Object.keys(rows).filter((name) => !failpoints().includes(name)), []);
});

/* One office for all failpoints of a row, one after the other. */
describe('killed at any step of a change of keys', { concurrency: true }, () => {
	test('every_failpoint_has_a_row', () => {
		assert.deepEqual(failpoints().filter((name) => !rows[name]), []);
	});

	for (const row of new Set(Object.values(rows)))
		describe(row.name, { concurrency: 1 }, () => {
			let office;

			before(async () => {
				office = await Office.open();
			});
			after(() => office?.done());

			for (const name of failpoints().filter((point) => rows[point] === row))
				test(`killed_at_${name}_and_whole_again`, async () => {
					const issued = await office.issue();
					const revoked = await office.killedAt(name, row);
					await office.everythingHolds();
					if (row.clock) /* moved by more than a token lives */
						return;
					await office.honours(issued, revoked);
					if (!row.endsLogins)
						assert.equal((await office.refresh(issued.refresh, office.clients.ES256)).status, 200,
							'a login from before');
				});
		});
});
