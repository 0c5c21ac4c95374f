/* The way up and the way down. In the caller's process: configuration, the master key, then the
 * supervisor. In the server's child: the office, the listeners, the housekeeper; and the same
 * backwards when a signal says so. Nothing is listened on before everything behind it works. */
#include "server/serve/serve.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys/seal.h"
#include "server/http/listen.h"
#include "server/serve/housekeeper.h"
#include "server/serve/shut_in.h"
#include "server/serve/signals.h"
#include "server/serve/supervisor.h"
#include "server/store/dblock.h"

enum { EXIT_OK = 0, EXIT_LOCAL = 1, EXIT_CONFLICT = 4 };

/* What the supervisor's callback carries into the server's child. */
struct serving {
	const struct serve_options *options;
	struct config *config;
};

/* What the server has before it is confined. */
struct entrance {
	int signals;
	int lock;
	struct door_sockets sockets;
	bool confined;
};

static int complain(const char *text)
{
	fprintf(stderr, "chancery: %s\n", text);
	return EXIT_LOCAL;
}

/* ---- the server's child ---- */

/* "READY http://127.0.0.1:8080": for whoever started us with port 0. */
static void say_ready(const struct serving *s, const struct listeners *l)
{
	int fd = s->options->ready_fd;

	if (fd < 0)
		return;
	dprintf(fd, "READY %s\n", listeners_public_url(l));
	close(fd);
}

/* Once, and in the metrics for as long as it is so. */
static void say_confined(struct office *o)
{
	if (!o->app.confined)
		log_say(o->app.log, LOG_WARN,
			"the server is not wholly confined: this kernel has no landlock or no "
			"seccomp, or the master key lies where the server must read",
			NULL, NULL);
}

static void say_listening(struct office *o, const struct listeners *l)
{
	log_begin(&o->log, LOG_INFO, "listening");
	log_z(&o->log, "version", CHANCERY_VERSION);
	log_str(&o->log, "issuer", o->config->issuer);
	log_z(&o->log, "public", listeners_public_url(l));
	log_str(&o->log, "admin", o->config->admin.address);
	log_str(&o->log, "socket", o->config->admin.socket);
	log_z(&o->log, "gateway", listeners_gateway_url(l));
	log_end(&o->log);
	log_flush(&o->log);
}

static int run_office(struct serving *s, struct office *o, const struct server_channels *channels,
		      struct entrance *in)
{
	struct config_fault fault = { .text = "" };
	struct listeners *listeners = NULL;
	struct housekeeper h = {
		.office = o,
		.source = s->options->source,
		.signals = in->signals,
		.supervisor = channels->supervisor,
		.metrics = metrics_shard(o->app.metrics),
	};
	const struct listeners_start start = {
		.app = &o->app,
		.config = o->config,
		.workers = channels->count - 1, /* the last channel is the feed's */
		.channels = channels,
		.sockets = &in->sockets,
	};
	bool again;

	if (key_duties_new(o, h.metrics, &h.keys)) {
		office_close(o);
		return complain("no memory, or the database cannot be read");
	}
	if (listeners_open(&start, &listeners, &fault)) {
		key_duties_free(h.keys);
		office_close(o);
		return complain(fault.text);
	}
	h.listeners = listeners;
	say_confined(o);
	say_listening(o, listeners);
	say_ready(s, listeners);
	housekeeper_run(&h);
	atomic_store(&o->app.draining, true);
	listeners_drain(listeners);
	housekeeper_finish(&h);
	key_duties_free(h.keys);
	again = atomic_load(&o->wishes.restart);
	office_stop_lanes(o);
	listeners_free(listeners);
	office_close(o);
	return again ? SUPERVISOR_AGAIN : EXIT_OK;
}

/* Lock, then the sockets in the file system, then the walls: behind them no name outside the
 * database's folder can be made. On failure nothing stays open. */
static enum err enter(const struct config *c, struct entrance *in, struct config_fault *fault)
{
	enum err e = office_lock(c, &in->lock, fault);

	if (e)
		return e;
	e = listeners_bind(c, &in->sockets, fault);
	if (!e)
		e = shut_in(c, &in->confined, fault);
	if (!e)
		return ERR_OK;
	listeners_unbind(&in->sockets);
	dblock_drop(in->lock);
	return e;
}

static int server_main(void *arg, const struct server_channels *channels)
{
	struct serving *s = arg;
	struct config_fault fault = { .text = "" };
	struct entrance in = { .signals = signals_catch(SFD_NONBLOCK),
			       .lock = -1,
			       .sockets = { -1, -1 } };
	struct office office;
	enum err e;

	if (in.signals < 0)
		return complain("signals cannot be caught");
	e = enter(s->config, &in, &fault);
	if (!e) {
		const struct office_start start = {
			.config = s->config,
			.migrate = s->options->migrate,
			.confined = in.confined,
			.lock = in.lock,
			.control = channels->control,
			.custody = channels->custody,
		};

		e = office_open(&office, &start, &fault);
	}
	if (e) {
		complain(fault.text);
		return e == ERR_BUSY ? EXIT_CONFLICT : EXIT_LOCAL;
	}
	return run_office(s, &office, channels, &in);
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

/* The file's, and the one beside it that a change of the master key was to make the present one. */
static int read_masters(const struct config *c, struct signer_masters *ret_masters)
{
	const char *path = c->keys.master_key_file.p;
	struct signer_masters m = { .has_next = false };
	char next[PATH_MAX];
	const char *why = "";
	enum err e = master_key_read(path, c->keys.master_key_ours, &m.present, &why);

	if (e) {
		fprintf(stderr, "chancery: master key %s: %s\n", path, why);
		return EXIT_LOCAL;
	}
	snprintf(next, sizeof(next), "%s.next", path);
	e = master_key_read(next, c->keys.master_key_ours, &m.next, &why);
	if (e && e != ERR_NOT_FOUND) {
		fprintf(stderr, "chancery: master key %s: %s\n", next, why);
		secret_wipe(&m.present);
		return EXIT_LOCAL;
	}
	m.has_next = !e && !secret_equal(&m.present, &m.next);
	*ret_masters = m;
	wipe(&m, sizeof(m));
	return EXIT_OK;
}

/* As it was given, for it may be a link that is turned over, and absolute, for the supervisor opens
 * it whenever the server asks. NULL: too long. */
static const char *config_file(const struct serving *s, char text[PATH_MAX])
{
	const char *file = s->options->source.file;
	char here[PATH_MAX] = "";
	int n;

	if (!file)
		n = snprintf(text, PATH_MAX, "%s/chancery.yaml", s->config->data_dir.p);
	else if (file[0] == '/' || !getcwd(here, sizeof(here)))
		n = snprintf(text, PATH_MAX, "%s", file);
	else
		n = snprintf(text, PATH_MAX, "%s/%s", here, file);
	return n > 0 && n < PATH_MAX ? text : NULL;
}

/* As curl and OpenSSL know it. */
static const char *environment(const char *const *row, const char *name)
{
	size_t n = strlen(name);

	for (; row && *row; row++) {
		if (strncmp(*row, name, n) == 0 && (*row)[n] == '=' && (*row)[n + 1])
			return *row + n + 1;
	}
	return NULL;
}

static int supervise(struct serving *s, struct signer_masters *masters)
{
	const struct config *c = s->config;
	char file[PATH_MAX];
	const struct supervisor_options options = {
		.masters = masters,
		.config_file = config_file(s, file),
		.master_file = c->keys.master_key_file.p,
		.master_ours = c->keys.master_key_ours,
		.ca_file = environment(s->options->source.environ, "SSL_CERT_FILE"),
		.issuer = c->issuer.p,
		.longest_ttl = c->tokens.max_ttl,
		.workers = listeners_workers(c) + 1, /* the last one is the feed's */
		.server = server_main,
		.event = supervisor_says,
		.arg = s,
	};
	int status = supervisor_run(&options);

	if (!str_equal(c->admin.socket, STR("off")))
		listen_unix_remove(c->admin.socket.p);
	if (!str_equal(c->gateway.socket, STR("off")))
		listen_unix_remove(c->gateway.socket.p);
	return status;
}

int serve_run(const struct serve_options *options)
{
	struct serving s = { .options = options };
	struct signer_masters masters;
	int status = read_config(options, &s.config);

	if (status)
		return status;
	if (secret_library_init())
		return complain("libsodium cannot be initialised");
	status = read_masters(s.config, &masters);
	if (!status)
		status = supervise(&s, &masters);
	config_unref(s.config);
	return status;
}
