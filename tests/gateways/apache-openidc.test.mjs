/* Apache with mod_auth_openidc. */
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Cast, handsOnWhoAsks, letsNoSpoofedIdentityThrough, refusesWhatIsFlawed, startApache,
	survivesRotation } from './cast.mjs';

let cast, gateway;

before(async () => {
	cast = await Cast.make({ tls: true });
	gateway = await startApache(cast, { name: 'mod_auth_openidc', modules: ['auth_openidc'],
		options: ['--module', 'openidc', '--ca', path.join(cast.server.folder, 'ca.pem')] });
});
after(async () => {
	await gateway?.stop();
	await cast?.done();
});

test('mod_auth_openidc_hands_on_who_asks', () => handsOnWhoAsks(gateway));
test('mod_auth_openidc_refuses_what_is_flawed', () => refusesWhatIsFlawed(gateway,
	{ but: ['another kind of token'] }));
test('mod_auth_openidc_lets_no_spoofed_identity_through', () => letsNoSpoofedIdentityThrough(gateway));
test('mod_auth_openidc_turns_over_with_the_keys', () => survivesRotation(gateway));
