/* HAProxy, whose jwt_verify reads keys at its start: `gateway-keys` keeps them, and has the configuration
 * made anew and reloaded when they change. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { binary, until } from '../e2e/helpers.mjs';
import { Cast, Gateway, handsOnWhoAsks, keepKeys, letsNoSpoofedIdentityThrough, refusesWhatIsFlawed,
	survivesRotation } from './cast.mjs';

let cast, gateway, keeper;

before(async () => {
	cast = await Cast.make();
	const keys = path.join(cast.server.folder, 'keys');
	const once = cast.server.cli('gateway-keys', '--issuer', cast.server.issuer, '--out', keys, '--once');
	assert.equal(once.status, 0, once.stderr);
	const main = path.join(cast.server.folder, 'main.cfg');
	fs.writeFileSync(main, `global
    maxconn 200
    stats socket ${cast.server.folder}/admin expose-fd listeners
`);
	gateway = await Gateway.start(cast, {
		name: 'haproxy', kind: 'haproxy', options: ['--keys', keys], program: 'haproxy',
		files: ({ file }) => ['-W', '-db', '-f', main, '-f', file],
	});
	/* as the recipe says: made beside, put in place, reloaded */
	const words = [binary, ...gateway.arguments()].map((word) => `'${word}'`).join(' ');
	keeper = keepKeys(cast, keys, `${words} >'${gateway.file}.new' && mv '${gateway.file}.new' '${gateway.file}' &&
		echo >>'${gateway.folder}/reloads' && kill -USR2 ${gateway.child.pid}`);
});
after(async () => {
	keeper?.kill();
	await gateway?.stop();
	await cast?.done();
});

test('haproxy_hands_on_who_asks', () => handsOnWhoAsks(gateway));
test('haproxy_refuses_what_is_flawed', () => refusesWhatIsFlawed(gateway));
test('haproxy_lets_no_spoofed_identity_through', () => letsNoSpoofedIdentityThrough(gateway));

test('haproxy_refuses_two_tokens', async () => {
	const token = await cast.machine();
	await gateway.refuse(undefined, 'two tokens', { authorization: [`Bearer ${token}`, 'Bearer x'] });
});

/* Its key is in the folder, the command was run, and HAProxy has done what it was told as often. */
const knows = () => (kid) => {
	const folder = path.join(cast.server.folder, 'keys'), reloads = path.join(gateway.folder, 'reloads');
	const told = fs.existsSync(reloads) ? fs.readFileSync(reloads, 'utf8').length : 0;
	const done = fs.readFileSync(path.join(gateway.folder, 'log'), 'utf8').split('Loading success').length - 1;
	return fs.existsSync(path.join(folder, `${kid}.pem`)) && !fs.existsSync(path.join(folder, '.changed')) &&
		done > told;
};

test('haproxy_turns_over_with_the_keys', async () => {
	await survivesRotation(gateway, knows);
	const folder = path.join(cast.server.folder, 'keys');
	/* those that left the set left the folder */
	const published = async () => (await cast.server.get('/.well-known/jwks.json')).json.keys.length;
	await until(async () => fs.readdirSync(folder).filter((name) => name.endsWith('.pem')).length === await published(),
		'the folder holds the set');
});

test('haproxy_and_the_keeper_go_on_while_the_office_is_away', async () => {
	const folder = path.join(cast.server.folder, 'keys');
	const failures = () => fs.readFileSync(path.join(cast.server.folder, 'keys-log'), 'utf8').split('jwks.json: ').length;
	const oneMore = () => {
		const before = failures();
		return until(() => failures() > before, 'a fetch that failed');
	};
	await cast.server.stop();
	await oneMore();
	const names = fs.readdirSync(folder);
	await oneMore();
	assert.deepEqual(fs.readdirSync(folder), names);
	assert.equal(keeper.exitCode, null);
	await gateway.pass(cast.forge());
});
