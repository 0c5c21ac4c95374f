/* The way up and the way down. In the caller's process: configuration, the master key, then the
 * supervisor. In the server's child: the office, the listeners, the housekeeper; and the same
 * backwards when a signal says so. Nothing is listened on before everything behind it works. */
#include "server/serve/serve.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys/seal.h"
#include "server/serve/housekeeper.h"
#include "server/serve/supervisor.h"

enum { EXIT_OK = 0, EXIT_LOCAL = 1, EXIT_CONFLICT = 4 };

/* What the supervisor's callback carries into the server's child. */
struct serving {
	const struct serve_options *options;
	struct config *config;
};

static int complain(const char *text)
{
	fprintf(stderr, "chancery: %s\n", text);
	return EXIT_LOCAL;
}

/* ---- the server's child ---- */

/* Blocked in all threads to come; read by the housekeeper. */
static int catch_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* a peer that goes away is an error of write(), not the end of the server */
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* "READY http://127.0.0.1:8080": for whoever started us with port 0. */
static void say_ready(const struct serving *s, const struct listeners *l)
{
	int fd = s->options->ready_fd;

	if (fd < 0)
		return;
	dprintf(fd, "READY %s\n", listeners_public_url(l));
	close(fd);
}

static void say_listening(struct office *o, const struct listeners *l)
{
	log_begin(&o->log, LOG_INFO, "listening");
	log_str(&o->log, "issuer", o->config->issuer);
	log_z(&o->log, "public", listeners_public_url(l));
	log_str(&o->log, "admin", o->config->admin.address);
	log_str(&o->log, "socket", o->config->admin.socket);
	log_end(&o->log);
	log_flush(&o->log);
}

static int run_office(struct serving *s, struct office *o, const struct server_channels *channels,
		      int signals)
{
	struct config_fault fault = { .text = "" };
	struct listeners *listeners = NULL;
	struct housekeeper h = {
		.office = o,
		.source = s->options->source,
		.signals = signals,
		.supervisor = channels->supervisor,
	};

	if (listeners_open(o, channels, &listeners, &fault)) {
		office_close(o);
		return complain(fault.text);
	}
	h.listeners = listeners;
	say_listening(o, listeners);
	say_ready(s, listeners);
	housekeeper_run(&h);
	atomic_store(&o->app.draining, true);
	listeners_drain(listeners);
	housekeeper_finish(&h);
	office_stop_lanes(o);
	listeners_free(listeners);
	office_close(o);
	return EXIT_OK;
}

static int server_main(void *arg, const struct server_channels *channels)
{
	struct serving *s = arg;
	struct config_fault fault = { .text = "" };
	struct office office;
	int signals = catch_signals();
	enum err e;

	if (signals < 0)
		return complain("signals cannot be caught");
	e = office_open(&office, s->config, s->options->migrate, channels->control, &fault);
	if (e) {
		complain(fault.text);
		return e == ERR_BUSY ? EXIT_CONFLICT : EXIT_LOCAL;
	}
	return run_office(s, &office, channels, signals);
}

/* ---- the caller's process ---- */

static void supervisor_says(void *arg, enum supervisor_event event, int64_t detail)
{
	static const char *const names[] = {
		[SUPERVISOR_SIGNER_DIED] = "signer died",
		[SUPERVISOR_SIGNER_STARTED] = "signer started again",
		[SUPERVISOR_SERVER_DIED] = "server died",
		[SUPERVISOR_SERVER_STARTED] = "server started again",
		[SUPERVISOR_GAVE_UP] = "server dies again and again, giving up",
	};
	struct serving *s = arg;
	struct log *log;
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)detail);
	if (log_new(STDERR_FILENO, s->config->log.format, s->config->log.level, &log))
		return;
	log_say(log, LOG_WARN, names[event], "detail", text);
	log_free(log);
}

static size_t worker_count(const struct config *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t n = c->server.workers ? c->server.workers : cores;

	if (n < 1)
		return 1;
	return n > SIGNER_CHANNELS_MAX ? SIGNER_CHANNELS_MAX : (size_t)n;
}

static int read_config(const struct serve_options *o, struct config **ret_config)
{
	struct config_warnings warnings = { .count = 0 };
	struct config_fault fault = { .text = "" };
	enum err e = config_load(&o->source, ret_config, &warnings, &fault);

	for (size_t i = 0; i < warnings.count; i++)
		fprintf(stderr, "chancery: warning: %s\n", warnings.text[i]);
	if (!e) {
		e = config_check_serve(*ret_config, &fault);
		if (e)
			config_unref(*ret_config);
	}
	return e ? complain(fault.text) : EXIT_OK;
}

static int read_master(const struct config *c, struct secret *ret_master)
{
	const char *why = "";
	enum err e = master_key_read(c->keys.master_key_file.p, c->keys.master_key_ours, ret_master,
				     &why);

	if (!e)
		return EXIT_OK;
	fprintf(stderr, "chancery: master key %s: %s\n", c->keys.master_key_file.p, why);
	return EXIT_LOCAL;
}

int serve_run(const struct serve_options *options)
{
	struct serving s = { .options = options };
	struct secret master;
	int status = read_config(options, &s.config);

	if (status)
		return status;
	if (secret_library_init())
		return complain("libsodium cannot be initialised");
	status = read_master(s.config, &master);
	if (!status) {
		struct supervisor_options so = {
			.master = &master,
			.workers = worker_count(s.config),
			.server = server_main,
			.event = supervisor_says,
			.arg = &s,
		};

		status = supervisor_run(&so);
	}
	config_unref(s.config);
	return status;
}
