/* Opening and closing the office. The order matters: the lock before the database, migrations
 * before any reader, the writer before the keys (which may have to be written), the keys before the
 * snapshot that publishes them. */
#include "server/serve/office.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "server/request/audit.h"
#include "server/store/dblock.h"
#include "server/store/migrate.h"

enum { PROVEN_SECRETS_MAX = 1024, BLOCKING_THREADS = 2, HASH_NICE = 10, HASH_THREADS_MAX = 16 };

/* ---- a store step, waited for ---- */

struct waiting {
	struct task task;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void wake(struct task *task)
{
	struct waiting *w = task->owner;

	pthread_mutex_lock(&w->lock);
	w->done = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

static enum err wait_done(struct waiting *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->done)
		pthread_cond_wait(&w->cond, &w->lock);
	pthread_mutex_unlock(&w->lock);
	return w->task.result;
}

static void waiting_begin(struct waiting *w, enum err (*run)(struct lane_ctx *, void *), void *arg)
{
	*w = (struct waiting){
		.task = { .run = run, .arg = arg, .done = wake, .owner = w },
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER,
	};
}

static enum err write_step(void *arg, enum err (*run)(struct lane_ctx *, void *), void *run_arg)
{
	struct office *o = arg;
	struct waiting w;
	enum err e;

	waiting_begin(&w, run, run_arg);
	e = writer_submit(o->app.writer, &w.task);
	return e ? e : wait_done(&w);
}

static enum err read_step(void *arg, enum err (*run)(struct lane_ctx *, void *), void *run_arg)
{
	struct office *o = arg;
	struct waiting w;
	enum err e;

	waiting_begin(&w, run, run_arg);
	e = pool_submit(o->app.blocking, &w.task);
	return e ? e : wait_done(&w);
}

enum err office_write(struct office *o, enum err (*run)(struct lane_ctx *, void *), void *arg)
{
	return write_step(o, run, arg);
}

static enum err put_row(struct lane_ctx *ctx, void *arg)
{
	return store_audit(ctx->db, arg);
}

void office_record(struct office *o, struct metrics_shard *metrics, enum audit_event event,
		   const char *reason)
{
	struct audit_row r = {
		.at = o->env.now(&o->env),
		.event = str_z(audit_name(event)),
		.outcome = STR("ok"),
		.actor = STR("system"),
		.reason = str_z(reason),
		.count = 1,
	};
	enum err e = office_write(o, put_row, &r);

	if (!e) {
		count_audit_event(metrics, event, AUDIT_OK);
		return;
	}
	count_audit_error(metrics, event);
	log_say(o->app.log, LOG_ERROR, "audit row could not be written", "error", err_name(e));
}

/* ---- opening, step by step ---- */

static enum err say(struct config_fault *fault, enum err e, const char *text)
{
	snprintf(fault->text, sizeof(fault->text), "%s (%s)", text, err_name(e));
	return e;
}

static enum err open_database(struct office *o, bool migrate, struct config_fault *fault)
{
	const char *path = o->config->storage.path.p;
	char copy[4096];
	struct migrate_status status;
	struct db *db = NULL;
	enum err e;

	e = db_open(path, DB_WRITE, false, &db);
	if (e)
		return say(fault, e, "the database cannot be opened; chancery init makes one");
	e = migrate_status(db, &status);
	if (!e && (status.newer || status.changed))
		e = say(fault, ERR_CONFLICT,
			"the database was written by another version of chancery");
	else if (!e && status.current < status.latest && !migrate)
		e = say(fault, ERR_CONFLICT, "migrations are missing; run chancery migrate up");
	else if (!e && status.current < status.latest) {
		snprintf(copy, sizeof(copy), "%s.before-%d", path, status.latest);
		e = migrate_up(db, copy, o->env.now(&o->env));
		if (e)
			say(fault, e, "a migration failed; the database is as it was");
	} else if (e) {
		say(fault, e, "the schema version cannot be read");
	}
	db_close(db);
	return e;
}

static unsigned hash_threads(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (cores < 1)
		return 1;
	return cores > HASH_THREADS_MAX ? HASH_THREADS_MAX : (unsigned)cores;
}

static enum err start_lanes(struct office *o)
{
	const char *path = o->config->storage.path.p;
	struct pool_options hash = {
		"hash", hash_threads(), HASH_QUEUE_MAX, HASH_NICE, path, NULL
	};
	struct pool_options blocking = { "blocking", BLOCKING_THREADS, BLOCKING_QUEUE_MAX, 0,
					 path,	     o->app.metrics };
	enum err e = writer_start(path, &o->env, o->app.metrics, &o->app.writer);

	if (!e)
		e = pool_start(&hash, &o->env, &o->app.hash);
	if (!e)
		e = pool_start(&blocking, &o->env, &o->app.blocking);
	return e ? e : db_open(path, DB_READ, false, &o->db);
}

static enum err make_parts(struct office *o)
{
	struct app *app = &o->app;
	enum err e = metrics_new(&app->metrics);

	if (!e)
		e = client_cache_new(CLIENT_CACHE_MAX, CLIENT_CACHE_ABSENT_MAX, &app->clients);
	if (!e)
		e = revoked_new(REVOCATIONS_MAX, &app->revoked);
	if (!e)
		e = feed_new(&o->env, &app->feed);
	if (!e)
		e = purpose_sets_new(&app->purpose_sets);
	if (!e)
		e = consumers_new(o->config, &app->consumers);
	if (!e)
		e = attempts_new(&o->env, LOGIN_TABLE_MAX, &app->attempts);
	if (!e)
		e = secret_cache_new(&o->env, PROVEN_SECRETS_MAX, &app->proven);
	if (!e)
		e = audit_folder_new(&app->refusals);
	return e ? e : snapshot_slot_new(&app->slot);
}

static enum err derive(struct office *o)
{
	struct {
		const char *label;
		struct secret *key;
	} wanted[] = {
		{ "refresh", &o->app.derived.refresh },
		{ "jti", &o->app.derived.jti },
		{ "client-secret", &o->app.derived.client_secret },
		{ "page-token", &o->app.derived.page_token },
		{ "access-token", &o->app.derived.access_token },
	};
	enum err e = ERR_OK;

	o->app.derived.key_id = keyring_key_id(o->app.keyring);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]) && !e; i++)
		e = keyring_derive(o->app.keyring, wanted[i].label, wanted[i].key);
	return e;
}

/* A restore bumps it, so that refresh tokens made after the backup die. */
static enum err read_epoch(struct office *o)
{
	return store_meta_get_i64(o->db, "epoch", &o->app.epoch);
}

static enum err fork_fetch(void *arg, int *ret_fd)
{
	return broker_fetch(arg, ret_fd);
}

static enum err prepare_master(void *arg)
{
	return broker_master_prepare(arg);
}

static enum err commit_master(void *arg)
{
	return broker_master_commit(arg);
}

static enum err load_consumers(struct office *o)
{
	struct keyring_view *v = keyring_view_get(o->app.keyring);
	enum err e = consumers_load(o->app.consumers, o->db, v, o->env.now(&o->env));

	keyring_view_unref(v);
	return e;
}

static enum err open_keys(struct office *o, struct config_fault *fault)
{
	const struct keyring_means means = {
		.env = &o->env,
		.config = o->config,
		.store = o->steps,
		.control = &o->control,
		.custody = { prepare_master, commit_master, &o->broker },
		.revoked_kids = o->revoked_kids,
	};
	enum err e = keyring_open(&means, false, &o->app.keyring);

	if (e == ERR_BAD_SIGNATURE)
		return say(fault, e, "master key does not open this database's keys");
	if (e)
		return say(fault, e, "the keys cannot be opened");
	e = derive(o);
	if (!e)
		e = read_epoch(o);
	if (!e) /* first, for the feed must know the keys when it is filled */
		e = snapshot_rebuild(&o->app, o->db, o->config);
	if (!e)
		e = revoked_load(o->app.revoked, o->db, o->env.now(&o->env));
	if (!e)
		e = load_consumers(o);
	return e ? say(fault, e, "the server's state cannot be read") : ERR_OK;
}

/* A file beside the database, in DIR/db. */
static void beside_database(const struct config *config, const char *name,
			    char path[OFFICE_PATH_MAX])
{
	struct str folder = config->storage.path;

	while (folder.n && folder.p[folder.n - 1] != '/')
		folder.n--;
	snprintf(path, OFFICE_PATH_MAX, "%.*s%s", STR_ARG(folder), name);
}

enum err office_lock(const struct config *config, int *ret_lock, struct config_fault *fault)
{
	char lock[OFFICE_PATH_MAX];
	pid_t holder = 0;
	enum err e;

	beside_database(config, "lock", lock);
	e = dblock_take(lock, ret_lock, &holder);
	if (e == ERR_BUSY)
		snprintf(fault->text, sizeof(fault->text), "the database is held by process %ld",
			 (long)holder);
	else if (e)
		say(fault, e, "the database's lock cannot be taken");
	return e;
}

static enum err open_all(struct office *o, bool migrate, struct config_fault *fault)
{
	enum err e = open_database(o, migrate, fault);

	if (e)
		return e;
	e = log_new(STDERR_FILENO, o->config->log.format, o->config->log.level, &o->app.log);
	if (!e)
		e = make_parts(o);
	if (!e)
		e = start_lanes(o);
	if (e)
		return say(fault, e, "the server's parts cannot be made");
	return open_keys(o, fault);
}

enum err office_open(struct office *o, const struct office_start *start, struct config_fault *fault)
{
	enum err e;

	*o = (struct office){
		.config = start->config,
		.control = { .fd = start->control },
		.lock = start->lock,
	};
	beside_database(o->config, "revoked-kids", o->revoked_kids);
	broker_init(&o->broker, start->custody);
	env_system(&o->env);
	o->app.env = &o->env;
	o->app.wishes = &o->wishes;
	o->app.fetch = fork_fetch;
	o->app.fetch_arg = &o->broker;
	o->app.started_at = o->env.now(&o->env);
	o->app.confined = start->confined;
	atomic_store(&o->app.config_reload_ok, true);
	atomic_store(&o->app.config_reloaded_at, o->app.started_at);
	o->steps = (struct keyring_store){ .write = write_step, .read = read_step, .arg = o };
	e = open_all(o, start->migrate, fault);
	if (e) {
		office_close(o);
		return e;
	}
	log_buf_init(&o->log, o->app.log);
	return ERR_OK;
}

void office_stop_lanes(struct office *o)
{
	struct app *app = &o->app;

	if (app->hash)
		pool_stop(app->hash);
	if (app->blocking)
		pool_stop(app->blocking);
	if (app->writer)
		writer_stop(app->writer);
	app->hash = NULL;
	app->blocking = NULL;
	app->writer = NULL;
}

void office_close(struct office *o)
{
	struct app *app = &o->app;

	office_stop_lanes(o);
	snapshot_slot_free(app->slot);
	keyring_free(app->keyring);
	consumers_free(app->consumers);
	audit_folder_free(app->refusals);
	secret_cache_free(app->proven);
	attempts_free(app->attempts);
	purpose_sets_free(app->purpose_sets);
	feed_free(app->feed);
	revoked_free(app->revoked);
	client_cache_free(app->clients);
	metrics_free(app->metrics);
	db_close(o->db);
	log_buf_done(&o->log);
	log_free(app->log);
	dblock_drop(o->lock);
	config_unref(o->config);
	wipe(&app->derived, sizeof(app->derived));
	broker_done(&o->broker);
	if (o->control.fd >= 0)
		close(o->control.fd);
}
