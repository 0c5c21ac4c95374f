/* What happens to a running office: its processes are killed, it is told to stop or to reload, nobody reads
 * its log, its disk fills. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Server, certificateShown, makeCertificate, sleep, until } from './helpers.mjs';

let server, shop;

before(async () => {
	server = await Server.make({ start: false });
	server.supervise();
	await server.ready();
	shop = server.furnish();
});
after(async () => server?.done());

const cc = { grant_type: 'client_credentials' };
const works = () => server.token(cc, shop).then((answer) => answer.status === 200, () => false);

function isGone(pid) {
	try {
		return /^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
	} catch {
		return true;
	}
}

async function backAfterKilling(pid) {
	const began = Date.now();
	process.kill(pid, 'SIGKILL');
	await until(() => isGone(pid), 'killed');
	await until(works, 'a token again', 10_000);
	return Date.now() - began;
}

for (const who of ['signer', 'server', 'supervisor']) {
	test(`killing_the_${who}_costs_less_than_two_seconds`, async () => {
		assert.ok(await until(works, 'a token before'));
		const login = await server.login(shop);
		const pid = who === 'supervisor' ? server.child.pid : server.children()[who];
		const took = await backAfterKilling(pid);
		console.log(`# ${who}: ${took} ms`);
		assert.ok(took <= 2000, `${took} ms`);
		assert.equal((await server.refresh(login.refresh_token, shop)).status, 200);
	});
}

/* It holds its channels and answers nothing: nobody sees it die. */
test('a_signer_that_hangs_is_503_at_once_and_then_another_and_nothing_else_is_touched', async () => {
	const { access_token: before } = (await server.token(cc, shop)).json;
	const { server: listens, signer } = server.children();
	process.kill(signer, 'SIGSTOP');
	const stopped = Date.now();
	const statuses = new Set();
	let refused;
	await until(async () => {
		const [token, set, judged] = await Promise.all([server.token(cc, shop), server.get('/.well-known/jwks.json'),
			server.introspect(before, shop)]);
		statuses.add(token.status);
		assert.equal(set.status, 200);
		assert.equal(judged.active, true);
		if (token.status === 503) {
			refused ??= Date.now() - stopped;
			assert.ok(Number(token.headers['retry-after']) > 0);
		}
		return token.status === 200;
	}, 'another signer');
	const back = Date.now() - stopped;
	assert.deepEqual([...statuses].sort(), [200, 503]);
	assert.equal(server.children().server, listens, 'the same server');
	assert.notEqual(server.children().signer, signer);
	console.log(`# a hung signer: 503 after ${refused} ms, tokens again after ${back} ms`);
});

test('no_process_is_left_behind_by_a_killed_supervisor', async () => {
	const [supervisor, ...children] = server.tree();
	process.kill(supervisor, 'SIGKILL');
	await until(() => children.every((pid) => !fs.existsSync(`/proc/${pid}`)), 'children gone', 5000);
	await until(works, 'a token again');
});

test('a_second_server_on_the_same_data_is_refused_and_names_the_holder', async () => {
	const second = server.cli('--set', 'server.address=127.0.0.1:0', '--set', 'admin.address=off', '--set',
		'admin.socket=off', 'serve');
	assert.equal(second.status, 4, second.stderr);
	assert.match(second.stderr, /\d+/);
	assert.ok(await works());
});

test('sigterm_drains_and_loses_no_answer', async () => {
	const one = await Server.make();
	const client = one.furnish();
	let sent = 0, answered = 0, stopping = false;
	const load = Array.from({ length: 16 }, async () => {
		for (;;) {
			sent++;
			try {
				const answer = await one.token(cc, client);
				answered++;
				assert.ok([200, 503].includes(answer.status), answer.text);
			} catch (error) {
				/* refused at the door is no lost answer; a connection cut in the middle would be */
				assert.ok(stopping, error.message);
				assert.ok(['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(error.code), error.code);
				return;
			}
		}
	});
	await sleep(300);
	stopping = true;
	const ended = await one.stop('SIGTERM', { keepConnections: true });
	await Promise.all(load);
	assert.deepEqual(ended, { status: 0, signal: null });
	assert.ok(answered > 16 && sent - answered <= 16);
	const said = one.logText().trim().split('\n').map((line) => JSON.parse(line));
	assert.equal(said.find((line) => line.msg === 'stopping')?.signal, 'SIGTERM');
	assert.equal(said.at(-1).msg, 'stopped');
	assert.ok(!fs.existsSync(path.join(one.data, 'admin.sock')), 'a socket nobody listens on');
	assert.match(one.cli('client', 'list').stderr, /no server runs here/);
	await one.done();
});

test('sigterm_does_not_wait_for_connections_that_say_nothing', async () => {
	for (const used of [false, true]) {
		const one = await Server.make();
		const silent = net.connect(one.port, '127.0.0.1');
		silent.on('error', () => {});
		await new Promise((done) => silent.once('connect', done));
		if (used)
			await one.get('/livez');
		const began = Date.now();
		await one.stop('SIGTERM', { keepConnections: true });
		assert.ok(Date.now() - began < 3000, `${Date.now() - began} ms`);
		silent.destroy();
		await one.done();
	}
});

test('sighup_takes_a_good_configuration_and_keeps_the_old_for_a_bad_one', async () => {
	const file = path.join(server.data, 'chancery.yaml');
	const original = fs.readFileSync(file, 'utf8');
	const lifetime = async () => (await server.token(cc, shop)).json.expires_in;
	const metric = async (name) => {
		const { text } = await (await fetch(`http://127.0.0.1:${server.adminPort}/metrics`)).text()
			.then((text) => ({ text }));
		return text.match(new RegExp(`^${name} (\\S+)$`, 'm'))?.[1];
	};
	assert.equal(await lifetime(), 600);
	fs.writeFileSync(file, `${original}\ntokens:\n  client_credentials_ttl: 7m\n`);
	process.kill(server.child.pid, 'SIGHUP');
	await until(async () => (await lifetime()) === 420, 'the new lifetime', 5000);
	assert.equal(await metric('chancery_config_last_reload_successful'), '1');
	fs.writeFileSync(file, `${original}\ntokens:\n  client_credentials_ttl: 8m\n  no_such_option: 1\n`);
	process.kill(server.child.pid, 'SIGHUP');
	await until(async () => (await metric('chancery_config_last_reload_successful')) === '0', 'the failure told', 5000);
	assert.equal(await lifetime(), 420);
	fs.writeFileSync(file, original);
	process.kill(server.child.pid, 'SIGHUP');
	await until(async () => (await lifetime()) === 600, 'the old lifetime', 5000);
});

test('sighup_takes_all_certificates_or_none', async () => {
	const one = await Server.make({ tls: true, start: false });
	const served = path.join(one.folder, 'admin.pem');
	const before = fs.readFileSync(one.settings['server.tls.certificate']);
	fs.writeFileSync(served, before);
	one.settings['admin.tls.certificate'] = served;
	one.settings['admin.tls.key'] = one.settings['server.tls.key'];
	await one.start();
	const old = await certificateShown(one.port);
	/* a good new pair for the public listener, and nonsense for the admin listener */
	makeCertificate(one.folder);
	fs.writeFileSync(served, 'nonsense');
	process.kill(one.child.pid, 'SIGHUP');
	await until(() => one.logText().includes('configuration not reloaded'), 'the refusal');
	assert.equal(await certificateShown(one.port), old);
	fs.writeFileSync(served, fs.readFileSync(one.settings['server.tls.certificate']));
	process.kill(one.child.pid, 'SIGHUP');
	await until(async () => (await certificateShown(one.port)) !== old, 'the new certificate');
	await one.done();
});

test('a_backlog_of_old_rows_is_purged_in_pieces', async () => {
	const one = await Server.make();
	await one.stop();
	const query = (text) => {
		const done = spawnSync('sqlite3', [path.join(one.data, 'db', 'chancery.db'), text], { encoding: 'utf8' });
		assert.equal(done.status, 0, done.stderr);
		return Number(done.stdout);
	};
	/* more than one tick takes; in 1970 they were made */
	query(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO audit
		SELECT (SELECT max(id) FROM audit) + i, i, 'server.start', 'success', 'system', '', '', '', '', 1 FROM n`);
	const kept = query('SELECT count(*) FROM audit WHERE at > 20000');
	await one.start();
	await until(() => query('SELECT count(*) FROM audit WHERE at <= 20000') === 0, 'purged', 30_000);
	assert.ok(query('SELECT count(*) FROM audit') >= kept);
	assert.match(String(query('SELECT max(id) FROM audit')), /^20\d\d\d$/);
	await one.done();
});

test('the_admin_socket_is_there_while_the_server_runs', async () => {
	const one = await Server.make();
	const file = path.join(one.data, 'admin.sock');
	assert.ok(fs.statSync(file).isSocket());
	await one.stop();
	assert.ok(!fs.existsSync(file));
	await one.start();
	assert.ok(fs.statSync(file).isSocket());
	await one.done();
});

test('metrics_name_what_was_refused_recorded_and_asked_of_the_database', async () => {
	const one = await Server.make();
	const client = one.furnish();
	const wrong = { grant_type: 'password', username: 'alice', password: 'a wrong one' };
	const answers = [];
	for (let i = 0; i < 11; i++)
		answers.push((await one.token(wrong, client)).status);
	assert.deepEqual(answers, [...Array(10).fill(400), 429]);
	const text = await (await fetch(`http://127.0.0.1:${one.adminPort}/metrics`)).text();
	const value = (series) => {
		const line = text.split('\n').find((line) => line.startsWith(`${series} `));
		return line && Number(line.slice(series.length));
	};
	assert.equal(value('chancery_rate_limited_total{route="/oauth2/token",reason="password"}'), 1);
	assert.equal(value('chancery_audit_events_total{type="client.create",outcome="ok"}'), 1);
	assert.equal(value('chancery_audit_events_total{type="login.refused",outcome="denied"}'), 11);
	assert.equal(value('chancery_audit_events_total{type="server.start",outcome="ok"}'), 1);
	assert.equal(value('chancery_http_requests_in_flight{listener="public"}'), 0);
	assert.equal(value('chancery_http_requests_in_flight{listener="admin"}'), 1, 'this one');
	assert.ok(value('chancery_db_query_duration_seconds_count{op="read"}') > 0);
	assert.ok(value('chancery_db_query_duration_seconds_count{op="write"}') > 0);
	assert.equal(value('chancery_db_errors_total{class="io"}'), 0);
	await one.done();
});

test('a_log_that_nobody_reads_holds_nobody_up', async () => {
	const one = await Server.make({ start: false });
	/* a pipe without a reader on the other end taking anything */
	const fifo = path.join(one.folder, 'fifo');
	spawnSync('mkfifo', [fifo]);
	const end = fs.openSync(fifo, fs.constants.O_RDWR);
	await one.start({ stderr: end });
	const client = one.furnish();
	let good = 0;
	for (let batch = 0; batch < 60; batch++) {
		const answers = await Promise.all(Array.from({ length: 32 }, () => one.token(cc, client)));
		/* a busy machine may shed; a held server would not answer at all */
		assert.ok(answers.every((answer) => [200, 503].includes(answer.status)));
		good += answers.filter((answer) => answer.status === 200).length;
	}
	assert.ok(good > 60 * 32 / 2, `${good} answered`);
	const metrics = await (await fetch(`http://127.0.0.1:${one.adminPort}/metrics`)).text();
	const dropped = Number(metrics.match(/^chancery_log\S*dropped\S* (\d+)$/m)?.[1] ?? 0);
	assert.ok(dropped > 0, 'drops are counted');
	await one.done();
	fs.closeSync(end);
});

test('a_full_disk_refuses_writes_serves_keys_and_recovers', async (t) => {
	const one = await Server.make({ start: false });
	const db = path.join(one.data, 'db');
	const kept = path.join(one.folder, 'kept');
	fs.renameSync(db, kept);
	fs.mkdirSync(db);
	const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m,mode=0700', 'none', db]);
	if (mounted.status !== 0) {
		await one.done();
		t.skip('no permission to mount a small file system');
		return;
	}
	try {
		fs.cpSync(kept, db, { recursive: true });
		await one.start();
		const client = one.furnish();
		const login = await one.login(client);
		const filler = path.join(db, 'filler');
		spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4k']);
		let refused = 0;
		let token = login.refresh_token;
		for (let i = 0; i < 50; i++) {
			const answer = await one.refresh(token, client);
			if (answer.status === 200) {
				token = answer.json.refresh_token;
				continue;
			}
			assert.equal(answer.status, 503, answer.text);
			assert.ok(answer.headers['retry-after']);
			refused++;
		}
		assert.ok(refused > 0, 'the disk was full');
		assert.equal(await one.probe('/.well-known/jwks.json'), 200);
		assert.equal((await one.token(cc, client)).status, 200, 'tokens that write nothing go on');
		fs.unlinkSync(filler);
		await until(async () => (await one.refresh(token, client)).status === 200, 'recovered', 5000);
	} finally {
		await one.stop();
		spawnSync('umount', [db]);
		await one.done();
	}
});

test('no_secret_is_in_the_log_or_the_database', async () => {
	const login = await server.login(shop);
	await server.token({ grant_type: 'password', username: 'alice', password: 'a wrong secret word' }, shop);
	await server.refresh(login.refresh_token, shop);
	await sleep(200);
	const files = [path.join(server.folder, 'log'), ...fs.readdirSync(path.join(server.data, 'db'))
		.map((name) => path.join(server.data, 'db', name))];
	for (const file of files) {
		const bytes = fs.readFileSync(file).toString('latin1');
		for (const secret of [shop.client_secret, login.refresh_token, login.access_token, 'correct horse battery staple',
			'a wrong secret word', login.access_token.split('.')[2]])
			assert.ok(!bytes.includes(secret), `${path.basename(file)} holds a secret`);
	}
});

test('each_refusal_is_one_log_line_with_its_reason', async () => {
	const before = server.logText().length;
	const answer = await server.token({ grant_type: 'nonsense' }, shop);
	assert.equal(answer.status, 400);
	await until(() => server.logText().length > before, 'a line');
	await sleep(100);
	const lines = server.logText().slice(before).trim().split('\n').map((line) => JSON.parse(line));
	const mine = lines.filter((line) => JSON.stringify(line).includes('unsupported_grant_type'));
	assert.equal(mine.length, 1);
	assert.equal(mine[0].status, 400);
	assert.ok(mine[0].request_id);
});
