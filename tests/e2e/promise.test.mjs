/* The promise of the key set: whoever keeps it as long as its answer allows, and no longer, can verify every
 * token from its issue to its last second. Keys turn over every few seconds while tokens are issued, and each
 * token is verified twice by verifiers of every habit (verifiers.mjs): in quiet and while processes are
 * killed at random.
 *
 * The long form runs ten minutes and 100,000 tokens; scripts/mutants shows what this test notices. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Server, api, long, sleep } from './helpers.mjs';
import { Ledger, issueSteadily } from './verifiers.mjs';

const seconds = long ? 600 : 20;
const wanted = long ? 100_000 : 500;

/* Tokens of five seconds by both algorithms; `rotate` and `maxAge` in seconds. */
async function office(rotate, maxAge, options = {}) {
	const server = await Server.make({ ...options, start: false, settings: {
		'keys.rotate_every': `${rotate}s`,
		'keys.jwks_max_age': `${maxAge}s`,
		'keys.clock_skew': '0s',
		'tokens.max_ttl': '5s',
		'tokens.access_ttl': '5s',
		'tokens.client_credentials_ttl': '5s',
		'log.access': 'errors',
	} });
	server.supervise();
	await server.ready();
	server.json('api', 'create', api, '--scope', 'orders.read', '--scope', 'orders.write');
	server.clients = ['ES256', 'RS256'].map((alg) =>
		server.client(alg, 'client_credentials', `--alg=${alg}`));
	server.ledger = new Ledger(server, maxAge);
	return server;
}

/* What must hold whatever happened to the office. */
function judge(ledger, name, least) {
	ledger.report(name);
	assert.deepEqual(ledger.failures.slice(0, 5), [], `${ledger.failures.length} unverifiable`);
	assert.deepEqual([...ledger.kids.keys()].sort(), ['ES256', 'RS256']);
	assert.ok(ledger.tokens >= least.tokens, `${ledger.tokens} tokens`);
	assert.ok(ledger.rotations >= least.rotations, `${ledger.rotations} rotations`);
}

const lasts = (milliseconds) => {
	const end = Date.now() + milliseconds;
	return () => Date.now() >= end;
};

describe('every token is verifiable from its issue to its last second', { concurrency: true }, () => {
	let quiet, killed;

	before(async () => {
		quiet = await office(2, 1);
		/* stale-if-error of two seconds */
		killed = await office(4, 1);
	});
	after(() => Promise.all([quiet, killed].map((server) => server?.done())));

	test('while_keys_turn_over_every_two_seconds', async () => {
		const { ledger } = quiet;
		/* The housekeeper's second begins where a signal wakes it: early in the clock's second, so that a key
		 * that leaves too early is missed for most of one. */
		await sleep(1150 - Date.now() % 1000);
		process.kill(quiet.child.pid, 'SIGHUP');
		const over = lasts(seconds * 1000);
		await issueSteadily(quiet, ledger, long ? 180 : 60, () => over() && ledger.tokens >= wanted);
		judge(ledger, 'quiet', { tokens: wanted, rotations: seconds / 2 });
	});

	test('while_any_process_is_killed_at_random', async () => {
		const { ledger } = killed;
		const over = lasts(seconds * 1000);
		const struck = { supervisor: 0, signer: 0, server: 0 };
		const killing = (async () => {
			while (!over()) {
				await sleep(1000 + Math.random() * 5000);
				const who = Object.keys(struck)[Math.floor(Math.random() * 3)];
				struck[who] += killed.strike(who) ? 1 : 0;
			}
		})();
		await issueSteadily(killed, ledger, 40, over);
		await killing;
		console.log(`# killed: ${Object.entries(struck).map(([who, n]) => `${who} ${n}`).join(', ')} times`);
		judge(ledger, 'killed', { tokens: seconds, rotations: seconds / 12 });
		/* not to be reached is no fault of a key; but it must stay the exception */
		const asked = Object.values(ledger.verified).reduce((sum, n) => sum + n, 0);
		assert.ok(ledger.unreachable * 5 < asked, `${ledger.unreachable} of ${asked} without a key set`);
	});
});
