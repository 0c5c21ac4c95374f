/* The supervisor; see the header. Kept free of everything that could go wrong on its own: no
 * allocation after the start, no parsing, no lock. */
#include "server/serve/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/serve/broker.h"
#include "server/serve/fetch.h"
#include "server/serve/supervisor_ends.h"
#include "server/serve/supervisor_link.h"

enum {
	PAUSE_FIRST_MS = 100,
	PAUSE_DOUBLINGS = 4,  /* to 1.6 s: whatever happens, service is back within two seconds */
	LIVED_LONG_MS = 5000, /* a child that lived this long died of something new */
	STATUS_FAULT = 1,
	STATUS_SIGNAL = 128,
	FETCHES_MAX = 4, /* at a time: a server in a stranger's hands must not fill the machine */
	NEVER = -1,
};

/* When a child came, and how often it went at once. */
struct life {
	int64_t started_at;
	int64_t due_at; /* when to start it again; NEVER */
	unsigned early_deaths;
};

struct supervisor {
	const struct supervisor_options *options;
	sigset_t signals, outer; /* ours; the mask we were called with */
	int signal_fd;
	int link;    /* to the server */
	int custody; /* the server's, for the broker */
	struct broker_desk desk;
	pid_t signer, server; /* 0: none */
	pid_t fetches[FETCHES_MAX];
	struct life signer_life, server_life;
	int64_t restarts[SUPERVISOR_RESTARTS]; /* of the server, a ring */
	size_t restart_count;
	bool stopping;
	bool done;
	int status;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void tell(const struct supervisor *s, enum supervisor_event event, int64_t detail)
{
	if (s->options->event)
		s->options->event(s->options->arg, event, detail);
}

static void finish(struct supervisor *s, int status)
{
	s->done = true;
	s->status = status;
}

/* ---- pauses ---- */

static void life_begins(struct life *l)
{
	l->started_at = now_ms();
	l->due_at = NEVER;
}

/* At once after a long life; after short ones the pause doubles. */
static void life_ends(struct life *l)
{
	int64_t now = now_ms();

	if (now - l->started_at >= LIVED_LONG_MS)
		l->early_deaths = 0;
	l->due_at = now;
	if (l->early_deaths)
		l->due_at += (int64_t)PAUSE_FIRST_MS << (l->early_deaths - 1);
	if (l->early_deaths <= PAUSE_DOUBLINGS)
		l->early_deaths++;
}

static bool life_is_due(const struct life *l)
{
	return l->due_at != NEVER && l->due_at <= now_ms();
}

/* ---- children ---- */

/* Our signals stay blocked in it: a terminal sends ^C to everybody, and the server needs a signer
 * to the end of its work. */
static void be_signer(const struct supervisor *s, pid_t parent, const struct signer_ends *ends)
{
	const struct signer_lines lines = {
		.control = ends->control,
		.custody = ends->custody,
		.signing = ends->signing,
		.count = ends->count,
		.issuer = s->options->issuer,
		.longest_ttl = s->options->longest_ttl,
	};
	int keep[SIGNER_CHANNELS_MAX + 2];

	ends_die_with(parent);
	memcpy(keep, ends->signing, ends->count * sizeof(int));
	keep[ends->count] = ends->control;
	keep[ends->count + 1] = ends->custody;
	ends_close_all_but(keep, ends->count + 2);
	_exit(signer_run(s->options->masters, &lines));
}

static void be_server(struct supervisor *s, pid_t parent, struct server_channels *channels)
{
	ends_die_with(parent);
	wipe(s->options->masters, sizeof(*s->options->masters));
	ends_close(&s->signal_fd);
	ends_close(&s->link);
	ends_close(&s->custody);
	ends_close(&s->desk.signer.fd);
	sigprocmask(SIG_SETMASK, &s->outer, NULL);
	exit(s->options->server(s->options->arg, channels));
}

static void be_fetch(const struct supervisor *s, pid_t parent, int fd)
{
	ends_die_with(parent);
	wipe(s->options->masters, sizeof(*s->options->masters));
	ends_close_all_but(&fd, 1);
	_exit(fetch_child_run(fd, s->options->ca_file, s->options->issuer));
}

static pid_t *free_fetch(struct supervisor *s)
{
	for (size_t i = 0; i < FETCHES_MAX; i++) {
		if (!s->fetches[i])
			return &s->fetches[i];
	}
	return NULL;
}

static enum err fork_fetch(void *arg, int *ret_fd)
{
	struct supervisor *s = arg;
	pid_t parent = getpid(), *pid = free_fetch(s);
	int pair[2];

	if (!pid)
		return ERR_BUSY;
	if (fetch_channel_pair(pair))
		return ERR_IO;
	*pid = fork();
	if (*pid == 0)
		be_fetch(s, parent, pair[1]);
	close(pair[1]);
	if (*pid < 0) {
		*pid = 0;
		close(pair[0]);
		return ERR_NOMEM;
	}
	*ret_fd = pair[0];
	return ERR_OK;
}

static enum err start_signer(struct supervisor *s, struct server_channels *ret_channels)
{
	struct signer_ends ends;
	pid_t parent = getpid();
	enum err e = ends_open(s->options->workers, &ends);

	if (e)
		return e;
	s->signer = fork();
	if (s->signer == 0)
		be_signer(s, parent, &ends);
	ends_close_signers(&ends);
	if (s->signer < 0) {
		s->signer = 0;
		ends_close(&ends.line);
		ends_close_servers(&ends.ours);
		return ERR_NOMEM;
	}
	signer_channel_close(&s->desk.signer);
	s->desk.signer = (struct signer_channel){ .fd = ends.line };
	life_begins(&s->signer_life);
	*ret_channels = ends.ours;
	return ERR_OK;
}

/* Ours to the server. */
static void close_lines(struct supervisor *s)
{
	ends_close(&s->link);
	ends_close(&s->custody);
}

static enum err start_server(struct supervisor *s, struct server_channels *channels)
{
	pid_t parent = getpid();
	int link[2], custody[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link))
		return ERR_IO;
	s->link = link[0];
	channels->supervisor = link[1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, custody)) {
		close_lines(s);
		return ERR_IO;
	}
	s->custody = custody[0];
	channels->custody = custody[1];
	s->server = fork();
	if (s->server == 0)
		be_server(s, parent, channels);
	if (s->server < 0) {
		s->server = 0;
		close_lines(s);
		return ERR_NOMEM;
	}
	life_begins(&s->server_life);
	return ERR_OK;
}

static void end_signer(struct supervisor *s)
{
	if (!s->signer)
		return;
	kill(s->signer, SIGKILL);
	while (waitpid(s->signer, NULL, 0) < 0 && errno == EINTR)
		;
	s->signer = 0;
	s->signer_life.due_at = NEVER;
}

/* Signer first: the server starts with its channels. */
static enum err start_both(struct supervisor *s)
{
	struct server_channels channels;
	enum err e = start_signer(s, &channels);

	if (e)
		return e;
	e = start_server(s, &channels);
	ends_close_servers(&channels);
	if (e)
		end_signer(s);
	return e;
}

/* ---- what happens to them ---- */

/* One that ended well ended because the server closed its channel, and most likely the server is
 * ending too and only its own death has not been told yet: for certain where it was told to. */
static void signer_died(struct supervisor *s, int status)
{
	bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	s->signer = 0;
	life_ends(&s->signer_life);
	if (well && s->stopping)
		s->signer_life.due_at = NEVER;
	else if (well)
		s->signer_life.due_at += PAUSE_FIRST_MS;
	else if (s->server)
		tell(s, SUPERVISOR_SIGNER_DIED, status);
}

static bool restarts_exhausted(struct supervisor *s)
{
	int64_t *oldest = &s->restarts[s->restart_count % SUPERVISOR_RESTARTS];
	int64_t now = now_ms();

	if (s->restart_count >= SUPERVISOR_RESTARTS && now - *oldest < SUPERVISOR_MINUTE_MS)
		return true;
	*oldest = now;
	s->restart_count++;
	return false;
}

static int status_when_stopping(int signal)
{
	return signal == SIGTERM || signal == SIGINT ? 0 : STATUS_SIGNAL + signal;
}

static void server_died(struct supervisor *s, int status)
{
	s->server = 0;
	close_lines(s);
	end_signer(s); /* its channels went with the server */
	if (WIFEXITED(status) && WEXITSTATUS(status) == SUPERVISOR_AGAIN && !s->stopping) {
		life_begins(&s->server_life); /* nothing is wrong: no pause, no count */
		s->server_life.due_at = now_ms();
		return;
	}
	if (WIFEXITED(status)) {
		finish(s, WEXITSTATUS(status));
		return;
	}
	if (s->stopping) {
		finish(s, status_when_stopping(WTERMSIG(status)));
		return;
	}
	tell(s, SUPERVISOR_SERVER_DIED, status);
	if (restarts_exhausted(s)) {
		tell(s, SUPERVISOR_GAVE_UP, SUPERVISOR_RESTARTS);
		finish(s, STATUS_FAULT);
		return;
	}
	life_ends(&s->server_life);
}

static void fetch_ended(struct supervisor *s, pid_t pid)
{
	for (size_t i = 0; i < FETCHES_MAX; i++) {
		if (s->fetches[i] == pid)
			s->fetches[i] = 0;
	}
}

/* As process 1 of a container we also inherit, and must reap, strangers. */
static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while (!s->done && (pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == s->signer)
			signer_died(s, status);
		else if (pid == s->server)
			server_died(s, status);
		else
			fetch_ended(s, pid);
	}
}

/* ^C reaches the whole group from the terminal; only what a person or a manager sent to us is
 * passed on. */
static void pass_on(struct supervisor *s, const struct signalfd_siginfo *info)
{
	int signal = (int)info->ssi_signo;

	if (signal != SIGHUP)
		s->stopping = true;
	if (s->server && info->ssi_code != SI_KERNEL)
		kill(s->server, signal);
	else if (!s->server && s->stopping)
		finish(s, 0);
}

static void take_signal(struct supervisor *s)
{
	struct signalfd_siginfo info;

	if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		reap(s);
	else
		pass_on(s, &info);
}

/* The server's wish for a new signer is fulfilled by the death of the old one. */
static void take_request(struct supervisor *s)
{
	enum err e = link_recv_request(s->link);

	if (e == ERR_NOT_FOUND)
		ends_close(&s->link);
	if (e == ERR_OK && s->signer)
		kill(s->signer, SIGKILL);
}

/* What the broker cannot make sense of ends its line: that server is not itself any more. */
static void take_question(struct supervisor *s)
{
	if (broker_serve(&s->desk, s->custody))
		ends_close(&s->custody);
	if (s->desk.signer_astray && s->signer)
		kill(s->signer, SIGKILL);
	s->desk.signer_astray = false;
}

/* ---- starting again ---- */

static void restart_signer(struct supervisor *s)
{
	struct server_channels channels;

	if (start_signer(s, &channels)) {
		life_ends(&s->signer_life);
		return;
	}
	if (link_send_channels(s->link, &channels))
		tell(s, SUPERVISOR_SIGNER_STARTED, s->signer);
	else
		kill(s->signer, SIGKILL); /* the server does not read: again after a pause */
	ends_close_servers(&channels);
}

static void restart_both(struct supervisor *s)
{
	if (start_both(s))
		life_ends(&s->server_life);
	else
		tell(s, SUPERVISOR_SERVER_STARTED, s->server);
}

static void start_due(struct supervisor *s)
{
	if (!s->server && life_is_due(&s->server_life))
		restart_both(s);
	else if (s->server && !s->signer && life_is_due(&s->signer_life))
		restart_signer(s);
}

static int wait_ms(const struct supervisor *s)
{
	const struct life *l = s->server ? &s->signer_life : &s->server_life;
	int64_t left = l->due_at - now_ms();

	if (l->due_at == NEVER)
		return -1;
	return left < 0 ? 0 : (int)left;
}

/* ---- the whole ---- */

static enum err prepare(struct supervisor *s)
{
	static const int handled[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	const struct rlimit none = { 0, 0 };

	sigemptyset(&s->signals);
	for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
		sigaddset(&s->signals, handled[i]);
	if (sigprocmask(SIG_BLOCK, &s->signals, &s->outer))
		return ERR_IO;
	s->signal_fd = signalfd(-1, &s->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	/* no core file and no debugger sees the master key; children inherit both */
	if (s->signal_fd < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || setrlimit(RLIMIT_CORE, &none))
		return ERR_IO;
	return ERR_OK;
}

static void watch(struct supervisor *s)
{
	while (!s->done) {
		struct pollfd fds[] = {
			{ .fd = s->signal_fd, .events = POLLIN },
			{ .fd = s->link, .events = POLLIN },
			{ .fd = s->custody, .events = POLLIN },
		};
		int n = poll(fds, 3, wait_ms(s));

		if (n > 0 && fds[0].revents)
			take_signal(s);
		if (n > 0 && fds[1].revents && s->link >= 0)
			take_request(s);
		if (n > 0 && fds[2].revents && s->custody >= 0)
			take_question(s);
		if (!s->done)
			start_due(s);
	}
}

int supervisor_run(const struct supervisor_options *options)
{
	struct supervisor s = {
		.options = options,
		.signal_fd = -1,
		.link = -1,
		.custody = -1,
		.desk = { .config_file = options->config_file,
			  .master_file = options->master_file,
			  .master_ours = options->master_ours,
			  .masters = options->masters,
			  .signer = { .fd = -1 },
			  .fork_fetch = fork_fetch },
		.signer_life = { .due_at = NEVER },
		.server_life = { .due_at = NEVER },
		.status = STATUS_FAULT,
	};

	s.desk.arg = &s;
	fflush(NULL); /* or each child would write again what waits in stdio's buffers */
	mlock(options->masters,
	      sizeof(*options->masters)); /* refused: it may be swapped, no more */
	if (!prepare(&s) && !start_both(&s))
		watch(&s);
	end_signer(&s);
	wipe(options->masters, sizeof(*options->masters));
	ends_close(&s.signal_fd);
	close_lines(&s);
	signer_channel_close(&s.desk.signer);
	sigprocmask(SIG_SETMASK, &s.outer, NULL);
	return s.status;
}
