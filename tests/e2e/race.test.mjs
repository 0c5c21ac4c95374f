/* One refresh token, many hands at once, and a server that dies between the commit and the answer. Whatever
 * happens there is one successor, an honest retry gets that same one, and nobody is signed out. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server, long, until } from './helpers.mjs';

const rounds = long ? 200 : 30;
const hands = 64;
let server, shop;
let atStart = 0;

before(async () => {
	server = await Server.make({ settings: { 'tokens.refresh_retry': '60s', 'log.access': 'errors' } });
	shop = server.furnish();
});
after(async () => server?.done());

const pull = (token) => server.refresh(token, shop).catch((error) => ({ status: 0, error }));

/* The refresh tokens that the answers carry; no answer may be a refusal of the token. */
function successors(answers) {
	const found = new Set();
	for (const answer of answers) {
		assert.ok([0, 200, 503].includes(answer.status), `${answer.status} ${answer.text}`);
		if (answer.status === 200)
			found.add(answer.json.refresh_token);
	}
	return found;
}

async function honest(token) {
	const answers = await Promise.all(Array.from({ length: hands }, () => pull(token)));
	assert.ok(answers.every((answer) => answer.status === 200), 'every hand is answered');
	return successors(answers);
}

/* `nth`: the commit of the server's life after which it kills itself. The supervisor makes it live again, with
 * the same fate; at the end one without it is started. */
async function killed(token, nth) {
	await server.stop();
	/* a start commits too: skip those */
	for (;; atStart++) {
		const env = { CHANCERY_FAILPOINTS: `writer.committed:${atStart + nth}:abort` };
		if (await server.start({ env }).then(() => true, () => false))
			break;
		server.kill();
		await server.stop();
	}
	const answers = await Promise.all(Array.from({ length: hands }, () => pull(token)));
	server.kill();
	await server.stop();
	await server.start();
	return { found: successors(answers), struck: answers.some((answer) => answer.status === 0) };
}

test('parallel_refreshes_get_one_successor_also_across_a_kill', async () => {
	let struck = 0;
	for (let round = 0; round < rounds; round++) {
		const login = await server.login(shop);
		let found;
		if (round % 3 === 2) {
			const end = await killed(login.refresh_token, 1 + Math.floor(round / 3) % 2);
			found = end.found;
			struck += end.struck ? 1 : 0;
		} else {
			found = await honest(login.refresh_token);
		}
		/* who lost the answer asks again, with the same token */
		const retry = await pull(login.refresh_token);
		assert.equal(retry.status, 200, `round ${round}: ${retry.text}`);
		found.add(retry.json.refresh_token);
		assert.equal(found.size, 1, `round ${round}: one successor`);
		/* and the successor goes on */
		const next = await pull(retry.json.refresh_token);
		assert.equal(next.status, 200, `round ${round}: ${next.text}`);
		assert.equal((await server.introspect(next.json.access_token, shop)).active, true);
	}
	console.log(`# ${rounds} rounds of ${hands}, ${struck} with the server killed after a commit`);
	assert.ok(struck >= Math.floor(rounds / 6), 'the kills struck');
});

test('an_older_generation_ends_the_login_and_its_access_tokens', async () => {
	for (let round = 0; round < (long ? 20 : 3); round++) {
		const first = await server.login(shop);
		const second = (await pull(first.refresh_token)).json;
		const third = (await pull(second.refresh_token)).json;
		const reuse = await pull(first.refresh_token);
		assert.equal(reuse.status, 400);
		assert.equal(reuse.json.error, 'invalid_grant');
		for (const token of [first.access_token, second.access_token, third.access_token])
			assert.equal((await server.introspect(token, shop)).active, false);
		for (const token of [second.refresh_token, third.refresh_token])
			assert.equal((await pull(token)).json.error, 'invalid_grant');
	}
});

test('a_refresh_and_a_revocation_at_once_leave_nothing_alive', async () => {
	for (let round = 0; round < (long ? 50 : 8); round++) {
		const { refresh_token } = await server.login(shop);
		const answers = await Promise.all([...Array.from({ length: 8 }, () => pull(refresh_token)),
			server.post('/oauth2/revoke', { token: refresh_token }, shop)]);
		assert.equal(answers.at(-1).status, 200);
		for (const answer of answers.slice(0, -1)) {
			if (answer.status !== 200)
				continue;
			assert.equal((await server.introspect(answer.json.access_token, shop)).active, false);
			assert.equal((await pull(answer.json.refresh_token)).json.error, 'invalid_grant');
		}
	}
});

test('revoked_reused_and_rotated_survive_a_restart', async () => {
	const login = await server.login(shop);
	const next = (await pull(login.refresh_token)).json;
	const dead = await server.login(shop);
	assert.equal((await server.post('/oauth2/revoke', { token: dead.refresh_token }, shop)).status, 200);
	const machine = (await server.token({ grant_type: 'client_credentials' }, shop)).json.access_token;
	assert.equal((await server.post('/oauth2/revoke', { token: machine }, shop)).status, 200);
	await server.stop();
	await server.start();
	assert.equal((await pull(next.refresh_token)).status, 200);
	assert.equal((await pull(dead.refresh_token)).json.error, 'invalid_grant');
	for (const token of [dead.access_token, machine])
		assert.equal((await server.introspect(token, shop)).active, false);
	assert.equal((await pull(login.refresh_token)).json.error, 'invalid_grant');
});
