/* The wall clock goes wrong: years ahead and back, an hour behind, while the server runs and while it does not.
 * Nothing that lives by the clock is deleted or turned over until somebody says that the clock is right, or it
 * has gone well for ten minutes; tokens go on being issued; and it is told. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as jose from 'jose';
import { Server, exchange, long, sleep, until } from './helpers.mjs';

const hour = 3600;
const years = 10 * 365 * 24 * hour;
const period = 2; /* seconds between rotations */
const quiet = period * 1500; /* in which a rotation, and a key that leaves, would be seen */

class Office extends Server {
	static async open() {
		const office = await Office.make({ clock: true, settings: {
			'keys.rotate_every': `${period}s`,
			'keys.jwks_max_age': '1s',
			'keys.clock_skew': '0s',
			/* nobody else is to be a reason to wait */
			'keys.wait_max': '0s',
			'keys.probe': 'off',
			'tokens.max_ttl': '5s',
			'tokens.access_ttl': '5s',
			'tokens.client_credentials_ttl': '5s',
			'log.access': 'off',
		} });
		office.shop = office.furnish();
		return office;
	}

	async keys() {
		return (await this.document('key', 'list')).items;
	}

	async audits() {
		return (await this.document('audit', 'list', '--limit', '1000')).items.map((row) => row.id);
	}

	async active() {
		return (await this.keys()).filter((key) => key.state === 'active').map((key) => key.kid).sort();
	}

	async published() {
		return (await this.get('/.well-known/jwks.json')).json.keys.map((key) => key.kid).sort();
	}

	async inDoubt() {
		const { text } = await exchange(`http://127.0.0.1:${this.adminPort}/metrics`);
		return text.match(/^chancery_clock_in_doubt (\S+)$/m)?.[1] === '1';
	}

	/* By its own clock, whatever that says. */
	async issues(offset) {
		const answer = await until(async () => {
			const got = await this.token({ grant_type: 'client_credentials' }, this.shop);
			return got.status === 200 && got;
		}, 'a token', 5000);
		const token = answer.json.access_token;
		const { iat } = jose.decodeJwt(token);
		assert.ok(Math.abs(iat - offset - Date.now() / 1000) < 30, `iat ${iat}`);
		assert.equal((await this.introspect(token, this.shop)).active, true);
		return token;
	}

	async rotates() {
		const before = await this.active();
		await until(async () => (await this.active()).every((kid) => !before.includes(kid)),
			'both algorithms turned over', 20_000);
	}

	async nothingMoves() {
		const before = { active: await this.active(), published: await this.published() };
		for (const end = Date.now() + quiet; Date.now() < end; await sleep(200)) {
			assert.deepEqual(await this.active(), before.active, 'no rotation');
			assert.deepEqual(await this.published(), before.published, 'no key left the set, none came');
		}
	}

	async holds(token) {
		assert.ok((await this.published()).includes(jose.decodeProtectedHeader(token).kid));
	}

	/* What a purge would take. */
	async belongings() {
		const alive = await this.login(this.shop);
		const revoked = await this.login(this.shop);
		assert.equal((await this.post('/oauth2/revoke', { token: revoked.refresh_token }, this.shop)).status, 200);
		return { alive: alive.refresh_token, revoked: revoked.refresh_token, audits: await this.audits() };
	}

	async hasStill({ alive, revoked, audits }) {
		assert.equal((await this.refresh(alive, this.shop)).status, 200, 'the login');
		assert.equal((await this.refresh(revoked, this.shop)).json.error, 'invalid_grant');
		const now = new Set(await this.audits());
		assert.ok(audits.every((id) => now.has(id)), 'the audit');
	}

	alarms(from) {
		return this.logText().slice(from).split('\n').filter((line) => /"level":"(warn|error)".*clock/i.test(line));
	}

	async resumes() {
		await this.document('--yes', 'key', 'resume');
		await until(async () => !(await this.inDoubt()), 'no doubt any more', 5000);
		await this.rotates();
	}
}

async function office(run) {
	const open = await Office.open();
	try {
		await run(open);
	} finally {
		await open.done();
	}
}

describe('a clock that goes wrong', { concurrency: true }, () => {
	for (const [name, offset] of [['ten_years_ahead', years], ['an_hour_behind', -hour]])
		test(`${name}_and_back_while_it_runs`, () => office(async (open) => {
			await open.rotates();
			const had = await open.belongings();
			const before = await open.issues(0);
			const logged = open.logText().length;
			open.moveClock(offset);
			await until(() => open.inDoubt(), 'the jump is noticed', 5000);
			const meanwhile = await open.issues(offset);
			await open.nothingMoves();
			await open.holds(before);
			open.moveClock(0);
			await sleep(1500);
			assert.ok(await open.inDoubt(), 'the way back is a jump too');
			await open.nothingMoves();
			await open.issues(0);
			await open.holds(meanwhile);
			assert.ok(open.alarms(logged).length >= 2, 'each is told');
			await open.hasStill(had);
			await open.resumes();
			/* what was issued an hour behind has expired long ago */
			if (offset > 0)
				await open.holds(meanwhile);
		}));

	/* A start purges at once, and knows only what the last run wrote down. What that was while the clock was
	 * right is what the next start compares with, too. */
	test('ten_years_ahead_at_two_starts_and_right_at_the_next', () => office(async (open) => {
		const had = await open.belongings();
		for (let start = 0; start < 2; start++) {
			const logged = open.logText().length;
			await open.stop();
			open.moveClock(years);
			await open.start();
			await until(() => open.inDoubt(), 'the gap is noticed', 5000);
			assert.ok(open.alarms(logged).length >= 1, 'it is told');
			await open.issues(years);
			await open.nothingMoves();
		}
		await open.stop();
		open.moveClock(0);
		await open.start();
		await open.hasStill(had);
		assert.equal(await open.inDoubt(), false);
		await open.rotates();
	}));

	if (long)
		test('a_clock_that_goes_well_for_ten_minutes_is_trusted_again', () => office(async (open) => {
			open.moveClock(hour);
			await until(() => open.inDoubt(), 'the jump is noticed', 5000);
			open.moveClock(0);
			await sleep(590_000);
			assert.ok(await open.inDoubt());
			await until(async () => !(await open.inDoubt()), 'trusted again', 30_000);
			await open.rotates();
		}));
});
