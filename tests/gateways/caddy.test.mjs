/* Caddy (forward_auth), which asks the gateway listener. */
import { after, before, test } from 'node:test';
import { Cast, Gateway, handsOnWhoAsks, knowsTheHour, letsNoSpoofedIdentityThrough,
	letsNothingThroughAlone, refusesWhatIsFlawed, refusesWhatIsRevoked, survivesRotation } from './cast.mjs';

let cast, gateway;

before(async () => {
	cast = await Cast.make({ verify: true });
	gateway = await Gateway.start(cast, {
		name: 'caddy', kind: 'caddy', options: ['--gateway', cast.listener], program: 'caddy',
		/* its admin endpoint has a port that others may want, too */
		env: { HOME: cast.server.folder, CADDY_ADMIN: 'off' },
		files: ({ file }) => ['run', '--adapter', 'caddyfile', '--config', file],
	});
});
after(async () => {
	await gateway?.stop();
	await cast?.done();
});

test('caddy_hands_on_who_asks', () => handsOnWhoAsks(gateway));
test('caddy_refuses_what_is_flawed', () => refusesWhatIsFlawed(gateway, { signed: false }));
test('caddy_refuses_what_is_revoked', () => refusesWhatIsRevoked(gateway));
test('caddy_lets_no_spoofed_identity_through', () => letsNoSpoofedIdentityThrough(gateway));
test('caddy_turns_over_with_the_keys', () => survivesRotation(gateway));
test('caddy_refuses_what_is_not_yet_or_no_longer_valid', () => knowsTheHour(gateway));
test('caddy_lets_nothing_through_when_the_office_is_away', () => letsNothingThroughAlone(gateway));
