/* nginx (auth_request), which asks the gateway listener over TLS. */
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Cast, Gateway, handsOnWhoAsks, knowsTheHour, letsNoSpoofedIdentityThrough,
	letsNothingThroughAlone, refusesWhatIsFlawed, refusesWhatIsRevoked, survivesRotation } from './cast.mjs';

let cast, gateway;

before(async () => {
	cast = await Cast.make({ tls: true, verify: true, identity: true });
	gateway = await Gateway.start(cast, {
		name: 'nginx', kind: 'nginx', program: 'nginx',
		options: ['--gateway', `https://localhost:${cast.listener.split(':')[1]}`, '--ca', path.join(cast.server.folder, 'ca.pem')],
		files: ({ folder, file }) => {
			const main = path.join(folder, 'nginx.conf');
			const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
				.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
			fs.writeFileSync(main, `daemon off; pid ${folder}/pid; worker_processes 1;
				${process.getuid() === 0 ? 'user root;' : ''}
				events {} http { ${temporary} access_log off; include ${file}; }`);
			return ['-p', folder, '-c', main, '-e', path.join(folder, 'log')];
		},
	});
});
after(async () => {
	await gateway?.stop();
	await cast?.done();
});

test('nginx_hands_on_who_asks', () => handsOnWhoAsks(gateway));
test('nginx_refuses_what_is_flawed', () => refusesWhatIsFlawed(gateway, { signed: false }));
test('nginx_refuses_what_is_revoked', () => refusesWhatIsRevoked(gateway));
test('nginx_lets_no_spoofed_identity_through', () => letsNoSpoofedIdentityThrough(gateway));
test('nginx_turns_over_with_the_keys', () => survivesRotation(gateway));
test('nginx_refuses_what_is_not_yet_or_no_longer_valid', () => knowsTheHour(gateway));
test('nginx_lets_nothing_through_when_the_office_is_away', () => letsNothingThroughAlone(gateway));
