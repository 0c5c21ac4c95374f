/* Apache with mod_oauth2. */
import { after, before, test } from 'node:test';
import { Cast, handsOnWhoAsks, letsNoSpoofedIdentityThrough, refusesWhatIsFlawed, startApache,
	survivesRotation } from './cast.mjs';

let cast, gateway;

before(async () => {
	cast = await Cast.make({ tls: false });
	gateway = await startApache(cast, { name: 'mod_oauth2', modules: ['oauth2'],
		options: ['--module', 'oauth2'] });
});
after(async () => {
	await gateway?.stop();
	await cast?.done();
});

test('mod_oauth2_hands_on_who_asks', () => handsOnWhoAsks(gateway, { roles: false }));
test('mod_oauth2_refuses_what_is_flawed', () => refusesWhatIsFlawed(gateway,
	{ but: ['another kind of token'] }));
test('mod_oauth2_lets_no_spoofed_identity_through', () => letsNoSpoofedIdentityThrough(gateway));
test('mod_oauth2_turns_over_with_the_keys', () => survivesRotation(gateway));
