/* The supervisor over real processes: who is started again, with what, and who takes whom along.
 * The server is a script of the test's; the signer is the real one. Each test forks a supervisor
 * and listens to what its servers report through a pipe. */
#include "server/serve/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/serve/supervisor_link.h"
#include "tests/unit/suite.h"

#define OK(expression) ck_assert_int_eq((expression), ERR_OK)

#define ISSUER "https://id.example"

enum { WORKERS = 2, WAIT_MS = 10000, LONGEST_TTL = 3600 };

/* What a server or the supervisor says to the test. */
struct report {
	enum { FROM_SERVER, FROM_SIGNER_CHANGE, FROM_EVENT } from;
	pid_t server, supervisor;
	bool master_gone;
	bool signer_answers;
	enum supervisor_event event;
	int64_t detail;
};

static int reports[2];
static struct signer_masters masters;
static pid_t supervisor;

static void say(const struct report *r)
{
	if (write(reports[1], r, sizeof(*r)) != sizeof(*r))
		_exit(99);
}

static struct report heard(void)
{
	struct pollfd p = { .fd = reports[0], .events = POLLIN };
	struct report r;

	ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
	ck_assert_int_eq(read(reports[0], &r, sizeof(r)), (ssize_t)sizeof(r));
	return r;
}

static bool nothing_heard_for(int ms)
{
	struct pollfd p = { .fd = reports[0], .events = POLLIN };

	return poll(&p, 1, ms) == 0;
}

/* ---- servers ---- */

static bool answers(const struct server_channels *ch)
{
	struct signer_channel control = { .fd = ch->control };
	struct signer_channel signing = { .fd = ch->signing[WORKERS - 1] };
	struct signed_token token;
	struct buf sealed;
	bool good, by_next;

	buf_init(&sealed, NULL, 1024);
	/* no policy yet: the signer says so, and says it at once; and each new one knows from the
	 * supervisor, not from the server, in whose name it signs and for how long */
	good = ch->count == WORKERS &&
	       signer_root(&control, 1, STR_NONE, &sealed, &by_next) == ERR_OK &&
	       signer_policy(&control, STR("https://evil.example"), 1, 0) == ERR_CONFLICT &&
	       signer_policy(&control, STR(ISSUER), LONGEST_TTL + 1, 0) == ERR_SYNTAX &&
	       signer_policy(&control, STR(""), 1, 0) == ERR_SYNTAX &&
	       signer_sign(&signing, TOKEN_ACCESS, ALG_ES256, STR("{}"), &sealed, &token) ==
		       ERR_INTERNAL;
	buf_done(&sealed);
	return good;
}

static bool is_zero(const struct signer_masters *m)
{
	static const struct signer_masters zero;

	return memcmp(m, &zero, sizeof(zero)) == 0;
}

static void report_from(int from, const struct server_channels *ch)
{
	const struct report r = {
		.from = (unsigned)from,
		.server = getpid(),
		.supervisor = getppid(),
		.master_gone = is_zero(&masters),
		.signer_answers = answers(ch),
	};

	say(&r);
}

/* Reports, then waits for new signers and for a signal, as the real one does. */
static int wait_for_news(void *arg, const struct server_channels *ch)
{
	(void)arg;
	report_from(FROM_SERVER, ch);
	for (;;) {
		struct pollfd p = { .fd = ch->supervisor, .events = POLLIN };
		struct server_channels fresh;
		enum err e;

		if (poll(&p, 1, -1) < 0)
			continue;
		e = supervisor_channel_recv(ch->supervisor, &fresh);
		if (e == ERR_NOT_FOUND)
			return 42;
		if (e == ERR_OK)
			report_from(FROM_SIGNER_CHANGE, &fresh);
	}
}

static int patient_server(void *arg, const struct server_channels *ch)
{
	signal(SIGTERM, SIG_DFL); /* libcheck's handler would take the whole group along */
	return wait_for_news(arg, ch);
}

static void exit_23(int signal)
{
	(void)signal;
	_exit(23);
}

static int stoppable_server(void *arg, const struct server_channels *ch)
{
	signal(SIGTERM, exit_23);
	signal(SIGINT, exit_23);
	return wait_for_news(arg, ch);
}

static int done_server(void *arg, const struct server_channels *ch)
{
	(void)arg;
	report_from(FROM_SERVER, ch);
	return 17;
}

static int hopeless_server(void *arg, const struct server_channels *ch)
{
	(void)arg;
	report_from(FROM_SERVER, ch);
	raise(SIGKILL);
	return 0;
}

static int deaf_server(void *arg, const struct server_channels *ch)
{
	(void)arg;
	report_from(FROM_SERVER, ch);
	while (pause())
		;
	return 0;
}

static int asking_server(void *arg, const struct server_channels *ch)
{
	if (supervisor_ask_signer(ch->supervisor))
		return 1;
	return patient_server(arg, ch);
}

/* ---- the supervisor ---- */

static void tell(void *arg, enum supervisor_event event, int64_t detail)
{
	const struct report r = { .from = FROM_EVENT, .event = event, .detail = detail };

	(void)arg;
	say(&r);
}

static void run(int (*server)(void *, const struct server_channels *), bool events)
{
	const struct supervisor_options options = {
		.issuer = ISSUER,
		.longest_ttl = LONGEST_TTL,
		.masters = &masters,
		.workers = WORKERS,
		.server = server,
		.event = events ? tell : NULL,
	};

	supervisor = fork();
	ck_assert_int_ge(supervisor, 0);
	if (supervisor == 0) {
		int status = supervisor_run(&options);

		_exit(is_zero(&masters) ? status : 98);
	}
}

static int ended_with(void)
{
	int status;

	ck_assert_int_eq(waitpid(supervisor, &status, 0), supervisor);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static struct report first_server(void)
{
	struct report r = heard();

	ck_assert_int_eq(r.from, FROM_SERVER);
	ck_assert_int_eq(r.supervisor, supervisor);
	ck_assert(r.master_gone);
	ck_assert(r.signer_answers);
	return r;
}

static void up(void)
{
	ck_assert_int_eq(pipe(reports), 0);
	masters = (struct signer_masters){ .present = { "thirty-two bytes, and no more of" } };
	/* children that lose their supervisor come to us, so that we can see them end */
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
}

static void down(void)
{
	close(reports[0]);
	close(reports[1]);
}

/* The child of `parent` that is not `not_this`. */
static pid_t child_of(pid_t parent, pid_t not_this)
{
	char path[64], text[256];
	long pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
	fclose(f);
	for (char *p = text; *p && *p != '\n'; p++) {
		pid = strtol(p, &p, 10);
		if (pid != not_this)
			return (pid_t)pid;
	}
	ck_abort_msg("no other child: %s", text);
}

/* ---- tests ---- */

START_TEST(the_servers_status_is_the_supervisors)
{
	run(done_server, false);
	first_server();
	ck_assert_int_eq(ended_with(), 17);
}
END_TEST

START_TEST(a_signal_reaches_the_server_and_its_answer_the_caller)
{
	static const int signals[] = { SIGTERM, SIGINT };

	for (size_t i = 0; i < COUNT(signals); i++) {
		run(stoppable_server, false);
		first_server();
		ck_assert_int_eq(kill(supervisor, signals[i]), 0);
		ck_assert_int_eq(ended_with(), 23);
	}
}
END_TEST

START_TEST(a_server_that_dies_of_the_stop_signal_was_stopped)
{
	run(patient_server, true);
	first_server();
	ck_assert_int_eq(kill(supervisor, SIGTERM), 0);
	ck_assert_int_eq(ended_with(), 0);
	ck_assert(nothing_heard_for(0)); /* nobody was started again */
}
END_TEST

START_TEST(a_dead_signer_is_replaced_within_a_second)
{
	struct report server, r;
	pid_t before, after;

	run(patient_server, true);
	server = first_server();
	before = child_of(supervisor, server.server);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(kill(before, SIGKILL), 0);
		r = heard();
		ck_assert_int_eq(r.event, SUPERVISOR_SIGNER_DIED);
		ck_assert(WIFSIGNALED((int)r.detail));
		ck_assert(!nothing_heard_for(1000));
		for (r = heard(); r.from == FROM_EVENT; r = heard())
			ck_assert_int_eq(r.event, SUPERVISOR_SIGNER_STARTED);
		ck_assert_int_eq(r.from, FROM_SIGNER_CHANGE);
		ck_assert(r.signer_answers);
		ck_assert_int_eq(r.server, server.server);
		after = child_of(supervisor, server.server);
		ck_assert_int_ne(before, after);
		before = after;
		while (!nothing_heard_for(50)) /* the event may come after the server's report */
			ck_assert_int_eq(heard().event, SUPERVISOR_SIGNER_STARTED);
	}
	kill(supervisor, SIGTERM);
	ck_assert_int_eq(ended_with(), 0);
}
END_TEST

START_TEST(a_server_may_ask_for_another_signer)
{
	struct report r;

	run(asking_server, false);
	r = heard();
	ck_assert_int_eq(r.from, FROM_SERVER);
	r = heard();
	ck_assert_int_eq(r.from, FROM_SIGNER_CHANGE);
	ck_assert(r.signer_answers);
	kill(supervisor, SIGTERM);
	ck_assert_int_eq(ended_with(), 0);
}
END_TEST

START_TEST(a_killed_server_comes_back_with_a_fresh_signer)
{
	struct report first, second;

	run(patient_server, false);
	first = first_server();
	ck_assert_int_eq(kill(first.server, SIGKILL), 0);
	second = first_server();
	ck_assert_int_ne(first.server, second.server);
	kill(supervisor, SIGTERM);
	ck_assert_int_eq(ended_with(), 0);
}
END_TEST

START_TEST(a_hopeless_server_is_given_up_after_five_restarts)
{
	run(hopeless_server, false);
	for (int i = 0; i < 1 + SUPERVISOR_RESTARTS; i++)
		first_server();
	ck_assert_int_eq(ended_with(), 1);
	ck_assert(nothing_heard_for(0));
}
END_TEST

START_TEST(with_the_supervisor_everybody_dies)
{
	struct report server;
	int status;

	run(deaf_server, false);
	server = first_server();
	ck_assert_int_gt(child_of(supervisor, server.server), 0);
	ck_assert_int_eq(kill(supervisor, SIGKILL), 0);
	ck_assert_int_eq(waitpid(supervisor, NULL, 0), supervisor);
	for (int left = 2; left; left--) { /* signer and server; we are the subreaper */
		ck_assert_int_gt(wait(&status), 0);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	ck_assert_int_eq(wait(&status), -1);
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

/* ---- the link alone ---- */

static size_t open_files(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

START_TEST(channels_travel_whole_and_nothing_stays_open)
{
	struct server_channels sent = { .count = WORKERS }, got;
	int pair[2], spare[2];
	size_t before = open_files();

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	ck_assert_int_eq(pipe(spare), 0);
	sent.control = spare[0];
	sent.signing[0] = spare[1];
	sent.signing[1] = spare[0];
	ck_assert_int_eq(supervisor_channel_recv(pair[1], &got), ERR_BUSY);
	ck_assert(link_send_channels(pair[0], &sent));
	OK(supervisor_channel_recv(pair[1], &got));
	ck_assert_uint_eq(got.count, WORKERS);
	ck_assert_int_eq(got.supervisor, -1);
	ck_assert_int_ne(fcntl(got.control, F_GETFD) & FD_CLOEXEC, 0);
	close(got.control);
	close(got.signing[0]);
	close(got.signing[1]);
	/* something else: refused, and its descriptors closed */
	sent.count = 0;
	ck_assert(link_send_channels(pair[0], &sent));
	ck_assert_int_eq(supervisor_channel_recv(pair[1], &got), ERR_SYNTAX);
	ck_assert_int_eq(send(pair[0], "x", 1, 0), 1);
	ck_assert_int_eq(supervisor_channel_recv(pair[1], &got), ERR_SYNTAX);
	/* a count and no descriptors */
	ck_assert_int_eq(send(pair[0], &(uint32_t){ 2 }, sizeof(uint32_t), 0), sizeof(uint32_t));
	ck_assert_int_eq(supervisor_channel_recv(pair[1], &got), ERR_SYNTAX);
	close(pair[0]);
	ck_assert_int_eq(supervisor_channel_recv(pair[1], &got), ERR_NOT_FOUND);
	ck_assert_int_eq(supervisor_ask_signer(pair[1]), ERR_NOT_FOUND);
	close(pair[1]);
	close(spare[0]);
	close(spare[1]);
	ck_assert_uint_eq(open_files(), before);
}
END_TEST

START_TEST(a_request_is_one_known_byte)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	ck_assert_int_eq(link_recv_request(pair[0]), ERR_BUSY);
	OK(supervisor_ask_signer(pair[1]));
	OK(link_recv_request(pair[0]));
	ck_assert_int_eq(send(pair[1], "x", 1, 0), 1);
	ck_assert_int_eq(link_recv_request(pair[0]), ERR_BUSY);
	ck_assert_int_eq(send(pair[1], "SS", 2, 0), 2);
	ck_assert_int_eq(link_recv_request(pair[0]), ERR_BUSY);
	for (int i = 0; i < 10000;
	     i++) /* a supervisor that does not read does not stop the server */
		OK(supervisor_ask_signer(pair[1]));
	close(pair[1]);
	while (link_recv_request(pair[0]) == ERR_OK)
		;
	ck_assert_int_eq(link_recv_request(pair[0]), ERR_NOT_FOUND);
	close(pair[0]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_servers_status_is_the_supervisors,
		a_signal_reaches_the_server_and_its_answer_the_caller,
		a_server_that_dies_of_the_stop_signal_was_stopped,
		a_dead_signer_is_replaced_within_a_second,
		a_server_may_ask_for_another_signer,
		a_killed_server_comes_back_with_a_fresh_signer,
		a_hopeless_server_is_given_up_after_five_restarts,
		with_the_supervisor_everybody_dies,
		channels_travel_whole_and_nothing_stays_open,
		a_request_is_one_known_byte,
	};
	Suite *s = suite_create("supervisor");
	TCase *tc = tcase_create("supervisor");
	SRunner *runner;
	int failed;

	if (secret_library_init())
		return EXIT_FAILURE;
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, up, down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
