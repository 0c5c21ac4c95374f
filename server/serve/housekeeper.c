/* Duties are rows with a period; signals and the supervisor wake the loop between them. Nothing
 * here answers a request, so waiting for a commit is allowed. */
#include "server/serve/housekeeper.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "server/serve/supervisor.h"

enum { TICK_MS = 250, MINUTE = 60, PURGE_ROWS = 500, PURGE_STEPS = 16 };

#if SIGNER_SLOWNESS == 1
static_assert(TICK_MS + SIGNER_PING_TIMEOUT_MS <= 750,
	      "a hung signer is found, killed and another started within a second");
#endif

static int64_t seconds(const struct housekeeper *h)
{
	return h->office->env.monotonic(&h->office->env) / 1000000;
}

static int64_t wall(const struct housekeeper *h)
{
	return h->office->env.now(&h->office->env);
}

static void complain(struct housekeeper *h, const char *msg, enum err e)
{
	log_say(h->office->app.log, LOG_ERROR, msg, "error", err_name(e));
}

/* ---- duties ---- */

/* A signer that holds its channels and answers nothing: to the workers as bad as none, but nobody
 * sees it die. One that is gone is the supervisor's to find. */
static void judge_signer(struct housekeeper *h, enum err said)
{
	if (said != ERR_TIMEOUT || h->asked)
		return;
	log_say(h->office->app.log, LOG_ERROR, "the signer does not answer", NULL, NULL);
	h->asked = supervisor_ask_signer(h->supervisor) == ERR_OK;
}

struct purge {
	int64_t now, audit_before, deleted;
};

static enum err purge_step(struct lane_ctx *ctx, void *arg)
{
	struct purge *p = arg;

	return store_purge(ctx->db, p->now, p->audit_before, PURGE_ROWS, &p->deleted);
}

/* Some thousand rows a tick, until all is done: the other duties wait for no backlog. */
static void purge(struct housekeeper *h)
{
	int64_t now = key_duties_now(h->keys);
	struct purge p = { .now = now, .audit_before = now - h->office->config->audit.keep };
	int steps = 0;
	enum err e;

	h->purging = false;
	if (key_duties_clock_in_doubt(h->keys))
		return; /* what is old may not be */
	do {
		e = office_write(h->office, purge_step, &p);
		h->purging = !e && p.deleted == PURGE_ROWS;
	} while (h->purging && ++steps < PURGE_STEPS);
	if (e)
		complain(h, "old rows could not be purged", e);
	if (!h->purging)
		revoked_purge(h->office->app.revoked, p.now);
}

/* ---- last use of secrets, gathered in memory, written once a minute ---- */

enum { USES_MAX = 256 };
struct uses {
	struct {
		struct str id;
		int64_t at;
	} of[USES_MAX];
	size_t count;
	struct arena *arena;
};

static void gather_use(void *arg, struct str secret_id, int64_t at)
{
	struct uses *u = arg;
	struct str copy;

	if (u->count == USES_MAX)
		return; /* a date, not a decision: the next use says it again */
	copy = arena_str(u->arena, secret_id);
	if (!copy.p)
		return;
	u->of[u->count].id = copy;
	u->of[u->count++].at = at;
}

static enum err write_uses(struct lane_ctx *ctx, void *arg)
{
	struct uses *u = arg;
	enum err e = ERR_OK;

	for (size_t i = 0; i < u->count && !e; i++) {
		e = store_secret_used(ctx->db, u->of[i].id, u->of[i].at);
		if (e == ERR_NOT_FOUND)
			e = ERR_OK; /* removed meanwhile */
	}
	return e;
}

static void flush_uses(struct housekeeper *h)
{
	struct uses u = { .count = 0 };
	enum err e = arena_new(USES_MAX * 64, &u.arena);

	if (e)
		return;
	client_cache_used(h->office->app.clients, gather_use, &u);
	if (u.count)
		e = office_write(h->office, write_uses, &u);
	if (e)
		complain(h, "last use of secrets could not be written", e);
	arena_free(u.arena);
}

/* ---- who fetches the key set ---- */

static enum err write_consumers(struct lane_ctx *ctx, void *arg)
{
	struct housekeeper *h = arg;
	struct keyring_view *v = keyring_view_get(h->office->app.keyring);
	enum err e = consumers_write(h->office->app.consumers, ctx->db, v, wall(h));

	keyring_view_unref(v);
	return e;
}

static void flush_consumers(struct housekeeper *h)
{
	enum err e = office_write(h->office, write_consumers, h);

	if (e)
		complain(h, "consumers of the key set could not be written", e);
	else
		consumers_written(h->office->app.consumers);
}

/* ---- folded refusals ---- */

struct fold {
	struct audit_folder *folder;
	int64_t now;
	bool all;
	size_t rows;
};

static enum err write_fold(struct lane_ctx *ctx, void *arg)
{
	struct fold *f = arg;

	return audit_fold_write(f->folder, ctx->db, f->now, f->all, &f->rows);
}

static void flush_refusals(struct housekeeper *h, bool all)
{
	struct fold f = { .folder = h->office->app.refusals, .now = wall(h), .all = all };
	enum err e;

	if (!all && !audit_fold_due(f.folder, f.now))
		return;
	e = office_write(h->office, write_fold, &f);
	if (!e) {
		audit_fold_written(f.folder);
		return;
	}
	count_audit_error(h->metrics, METRICS_NO_TYPE);
	complain(h, "refusals could not be recorded", e);
}

/* A revocation was stored, and there was no memory to enter it; until this succeeds no token is
 * called good. */
static void catch_up(struct housekeeper *h)
{
	struct revoked *r = h->office->app.revoked;
	enum err e;

	if (!revoked_is_behind(r))
		return;
	e = revoked_load(r, h->office->db, wall(h));
	if (e)
		complain(h, "revocations could not be read again", e);
}

static void do_duties(struct housekeeper *h)
{
	int64_t now = seconds(h);

	judge_signer(h, keyring_ping(h->office->app.keyring));
	if (now >= h->next_tend) {
		catch_up(h);
		judge_signer(h, key_duties_do(h->keys));
		h->next_tend = now + 1;
	}
	if (now >= h->next_minute) {
		flush_uses(h);
		flush_refusals(h, false);
		flush_consumers(h);
		h->purging = true;
		key_duties_minute(h->keys);
		h->next_minute = now + MINUTE;
	}
	if (h->purging)
		purge(h);
}

/* ---- SIGHUP: all of the new configuration, or none of it ---- */

/* We cannot open it; the supervisor opens the path that it read at its own start. */
static int open_config(void *arg, const char *path)
{
	struct office *o = arg;
	int fd;

	enum err e = broker_config(&o->broker, &fd);

	(void)path;
	if (!e)
		return fd;
	errno = e == ERR_NOT_FOUND ? ENOENT : e == ERR_FORBIDDEN ? EACCES : EIO;
	return -1;
}

static enum err reload(struct housekeeper *h, struct config_fault *fault)
{
	struct office *o = h->office;
	struct config_warnings warnings = { .count = 0 };
	struct config *next = NULL, *old = o->config;
	struct config_source source = h->source;
	enum err e;

	source.open_file = open_config;
	source.open_arg = o;
	e = config_load(&source, &next, &warnings, fault);

	if (!e)
		e = config_check_serve(next, fault);
	if (!e)
		e = config_check_reload(old, next, fault);
	if (!e)
		e = listeners_reload(h->listeners, next, fault);
	if (!e)
		e = consumers_configure(o->app.consumers, next);
	if (!e)
		e = snapshot_rebuild(&o->app, o->db, next);
	if (e) {
		config_unref(next);
		return e;
	}
	keyring_configure(o->app.keyring, next);
	log_set(o->app.log, next->log.format, next->log.level);
	o->config = next;
	config_unref(old);
	return ERR_OK;
}

static void hang_up(struct housekeeper *h)
{
	struct app *app = &h->office->app;
	struct config_fault fault = { .text = "" };
	enum err e = reload(h, &fault);

	atomic_store(&app->config_reload_ok, !e);
	if (e) {
		log_say(app->log, LOG_ERROR, "configuration not reloaded, the old one stays",
			"reason", fault.text);
		return;
	}
	atomic_store(&app->config_reloaded_at, wall(h));
	log_say(app->log, LOG_INFO, "configuration reloaded", NULL, NULL);
	office_record(h->office, h->metrics, AUDIT_CONFIG_RELOAD, NULL);
}

/* ---- waking ---- */

/* False: stop. */
static bool take_signal(struct housekeeper *h)
{
	struct signalfd_siginfo info;

	if (read(h->signals, &info, sizeof(info)) != sizeof(info))
		return true;
	if (info.ssi_signo == SIGHUP) {
		hang_up(h);
		return true;
	}
	log_say(h->office->app.log, LOG_INFO, "stopping", "signal",
		info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
	return false;
}

static bool take_signer(struct housekeeper *h)
{
	struct server_channels fresh;
	struct signer_channel control;
	enum err e = supervisor_channel_recv(h->supervisor, &fresh);

	if (e == ERR_NOT_FOUND)
		return false; /* the supervisor is gone */
	if (e == ERR_BUSY)
		return true;
	if (e) {
		complain(h, "a new signer's channels could not be taken", e);
		return true;
	}
	h->asked = false;
	control = (struct signer_channel){ .fd = fresh.control };
	e = keyring_reload_signer(h->office->app.keyring, &control);
	if (e)
		complain(h, "the new signer could not be loaded", e);
	listeners_set_signer(h->listeners, &fresh);
	log_say(h->office->app.log, LOG_WARN, "the signer was restarted", NULL, NULL);
	return true;
}

void housekeeper_run(struct housekeeper *h)
{
	bool go_on = true;

	office_record(h->office, h->metrics, AUDIT_SERVER_START, NULL);
	while (go_on && !atomic_load(&h->office->wishes.restart)) {
		struct pollfd fds[] = { { h->signals, POLLIN, 0 },
					{ h->supervisor, POLLIN, 0 },
					{ key_duties_fd(h->keys), POLLIN, 0 } };
		int n = poll(fds, 3, TICK_MS);

		if (n < 0 && errno != EINTR)
			break;
		if (n > 0 && fds[0].revents)
			go_on = take_signal(h);
		if (go_on && n > 0 && fds[1].revents)
			go_on = take_signer(h);
		if (n > 0 && fds[2].revents)
			h->next_tend = 0;
		if (go_on)
			do_duties(h);
	}
}

void housekeeper_finish(struct housekeeper *h)
{
	flush_uses(h);
	flush_consumers(h);
	flush_refusals(h, true);
	key_duties_minute(h->keys);
	office_record(h->office, h->metrics, AUDIT_SERVER_STOP, NULL);
	log_say(h->office->app.log, LOG_INFO, "stopped", NULL, NULL);
}
