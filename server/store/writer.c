/* The writer: one thread that alone writes to the database, in groups.
 *
 * What waits is run in one transaction, each task in a savepoint of its own, and nobody is told
 * before the commit is on the disk. Two things can go wrong with a group. A statement can lose the
 * whole transaction (a full disk does that inside a savepoint), or the commit itself can fail; then
 * every task of the group runs again in a transaction of its own, so that one bad task costs only
 * itself. A failed fsync is different: afterwards nobody knows what the disk holds, and a second
 * fsync may say "fine" without having written (Linux forgets the error with the pages). Then
 * writing ends until a restart reads the disk anew.
 *
 * The log is moved into the database by a second thread on a connection of its own. Should it fall
 * behind, because new pages come faster than it moves old ones, the writer takes a turn itself
 * between two groups. */
#include "server/store/lane.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/limits.h"
#include "server/state/metrics.h"
#include "server/store/lane_queue.h"

enum {
	LOG_STEP = 1000,	      /* pages, 4 MiB: how often the log is moved */
	LOG_PATIENCE = 16 * LOG_STEP, /* from here on the writer waits for it */
};

struct mover {
	pthread_t thread;
	struct db *db;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake, idle;
	bool due, moving, stopping;
};

struct writer {
	struct lane_queue queue;
	struct lane_ctx ctx;
	pthread_t thread;
	struct metrics_shard *metrics; /* the writer's thread only */
	struct mover mover;
	int64_t log_pages; /* after the last group; the writer's thread only, like the next two */
	int64_t move_at;   /* wake the mover at this length */
	int64_t take_turn_at; /* move it ourselves at this length */
	_Atomic bool failed;
	_Atomic uint64_t batches, operations, reruns, failures;
};

/* ---- one transaction ---- */

/* The task's answer is in task->result; an error is one of the transaction, which is then no more.
 */
static enum err run_in_savepoint(struct lane_ctx *ctx, struct task *task)
{
	enum err e = db_savepoint(ctx->db);

	if (e)
		return e;
	task->result = FAILPOINT("writer.op");
	if (!task->result)
		task->result = task->run(ctx, task->arg);
	return task->result ? db_rollback_to(ctx->db) : db_release(ctx->db);
}

static enum err transact(struct lane_ctx *ctx, struct task *const *tasks, size_t n)
{
	enum err e = db_begin(ctx->db);

	if (e)
		return e;
	for (size_t i = 0; !e && i < n; i++)
		e = run_in_savepoint(ctx, tasks[i]);
	if (!e)
		e = FAILPOINT("writer.commit");
	if (!e)
		e = db_commit(ctx->db);
	if (e)
		db_rollback(ctx->db);
	return e;
}

/* What the task said itself counts more than that its transaction is gone. */
static void transact_alone(struct lane_ctx *ctx, struct task *task)
{
	enum err e;

	task->result = ERR_OK;
	e = transact(ctx, &task, 1);
	if (e && !task->result)
		task->result = e;
}

void lane_run_inline(struct db *db, const struct env *env, enum lane lane, struct task *task)
{
	struct lane_ctx ctx = { .db = db, .env = env };

	if (lane == LANE_WRITER)
		transact_alone(&ctx, task);
	else
		task->result = task->run(&ctx, task->arg);
	if (task->done)
		task->done(task);
}

/* ---- groups ---- */

static void answer_all(struct task *const *tasks, size_t n, enum err result)
{
	for (size_t i = 0; i < n; i++)
		tasks[i]->result = result;
}

static void note_sync(struct writer *w, const struct db *db)
{
	if (db_sync_failed(db))
		atomic_store(&w->failed, true);
}

static void run_each(struct writer *w, struct task *const *tasks, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!atomic_load(&w->failed))
			transact_alone(&w->ctx, tasks[i]);
		note_sync(w, w->ctx.db);
		if (atomic_load(&w->failed))
			tasks[i]->result = ERR_UNAVAILABLE;
	}
}

static void run_group(struct writer *w, struct task *const *tasks, size_t n)
{
	enum err e = transact(&w->ctx, tasks, n);

	note_sync(w, w->ctx.db);
	if (!e)
		return;
	if (atomic_load(&w->failed)) {
		answer_all(tasks, n, ERR_UNAVAILABLE);
	} else if (e == ERR_BUSY) {
		/* another program holds the write lock: waiting for it once per task helps nobody
		 */
		answer_all(tasks, n, ERR_BUSY);
	} else {
		atomic_fetch_add(&w->reruns, n);
		run_each(w, tasks, n);
	}
}

static void count(struct writer *w, struct task *const *tasks, size_t n, int64_t micros)
{
	count_db(w->metrics, DB_OP_WRITE, micros);
	atomic_fetch_add(&w->batches, 1);
	atomic_fetch_add(&w->operations, n);
	for (size_t i = 0; i < n; i++) {
		count_db_result(w->metrics, tasks[i]->result);
		if (tasks[i]->result)
			atomic_fetch_add(&w->failures, 1);
	}
}

/* ---- the log ---- */

static void wake_mover(struct mover *m)
{
	pthread_mutex_lock(&m->lock);
	m->due = true;
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->lock);
}

/* Errors other than a failed fsync cost nothing but a longer log. */
static void move_log(struct writer *w, struct db *db)
{
	enum err e = db_checkpoint(db);

	if (e)
		note_sync(w, db);
}

/* Two cannot move at once: the second would be turned away with nothing done. Nothing is written
 * meanwhile, so that the log is moved whole and begins anew with the next group, unless a reader
 * stands in it. */
static void take_turn(struct writer *w)
{
	pthread_mutex_lock(&w->mover.lock);
	while (w->mover.moving)
		pthread_cond_wait(&w->mover.idle, &w->mover.lock);
	w->mover.due = false;
	pthread_mutex_unlock(&w->mover.lock);
	move_log(w, w->ctx.db);
}

static void watch_log(struct writer *w)
{
	int64_t pages = db_log_pages(w->ctx.db);

	if (pages < w->log_pages) { /* it was moved whole and began anew */
		w->move_at = LOG_STEP;
		w->take_turn_at = LOG_PATIENCE;
	}
	w->log_pages = pages;
	if (pages >= w->take_turn_at) {
		w->take_turn_at = pages + LOG_STEP;
		take_turn(w);
	} else if (pages >= w->move_at) {
		w->move_at = pages + LOG_STEP;
		wake_mover(&w->mover);
	}
}

/* Says that the last move is over and waits for the next. */
static bool mover_wait(struct mover *m)
{
	bool go_on;

	pthread_mutex_lock(&m->lock);
	m->moving = false;
	pthread_cond_signal(&m->idle);
	while (!m->due && !m->stopping)
		pthread_cond_wait(&m->wake, &m->lock);
	m->due = false;
	go_on = !m->stopping;
	m->moving = go_on;
	pthread_mutex_unlock(&m->lock);
	return go_on;
}

static void *mover_main(void *arg)
{
	struct writer *w = arg;

	while (mover_wait(&w->mover))
		move_log(w, w->mover.db);
	return NULL;
}

static void mover_stop(struct mover *m)
{
	pthread_mutex_lock(&m->lock);
	m->stopping = true;
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->lock);
	pthread_join(m->thread, NULL);
}

/* ---- the thread ---- */

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	struct task *tasks[WRITER_BATCH_MAX];
	size_t n;

	while ((n = lane_queue_take(&w->queue, tasks, WRITER_BATCH_MAX)) > 0) {
		const int64_t began = w->ctx.env->monotonic(w->ctx.env);

		if (atomic_load(&w->failed))
			answer_all(tasks, n, ERR_UNAVAILABLE);
		else
			run_group(w, tasks, n);
		(void)FAILPOINT("writer.committed");
		count(w, tasks, n, w->ctx.env->monotonic(w->ctx.env) - began);
		for (size_t i = 0; i < n; i++)
			tasks[i]->done(tasks[i]);
		watch_log(w);
	}
	return NULL;
}

static void writer_free(struct writer *w)
{
	if (!w)
		return;
	if (atomic_load(&w->failed)) {
		db_distrust(w->mover.db);
		db_distrust(w->ctx.db);
	}
	db_close(w->mover.db);
	db_close(w->ctx.db);
	pthread_cond_destroy(&w->mover.idle);
	pthread_cond_destroy(&w->mover.wake);
	pthread_mutex_destroy(&w->mover.lock);
	lane_queue_done(&w->queue);
	free(w);
}
AUTO_DEFINE(writer)

static enum err start_threads(struct writer *w)
{
	enum err e = lane_thread(&w->mover.thread, "log-mover", mover_main, w);

	if (e)
		return e;
	e = lane_thread(&w->thread, "writer", writer_main, w);
	if (e)
		mover_stop(&w->mover);
	return e;
}

enum err writer_start(const char *path, const struct env *env, struct metrics *metrics,
		      struct writer **ret_writer)
{
	AUTO(writer, w) = calloc(1, sizeof(*w));
	enum err e;

	if (!w)
		return ERR_NOMEM;
	lane_queue_init(&w->queue, WRITER_QUEUE_MAX);
	pthread_mutex_init(&w->mover.lock, NULL);
	pthread_cond_init(&w->mover.wake, NULL);
	pthread_cond_init(&w->mover.idle, NULL);
	w->ctx.env = env;
	w->metrics = metrics ? metrics_shard(metrics) : NULL;
	w->move_at = LOG_STEP;
	w->take_turn_at = LOG_PATIENCE;
	e = db_open(path, DB_WRITE, false, &w->ctx.db);
	if (!e)
		e = db_open(path, DB_WRITE, false, &w->mover.db);
	if (!e)
		e = start_threads(w);
	if (!e)
		*ret_writer = TAKE(w);
	return e;
}

enum err writer_submit(struct writer *w, struct task *task)
{
	return atomic_load(&w->failed) ? ERR_UNAVAILABLE : lane_queue_put(&w->queue, task);
}

void writer_stop(struct writer *w)
{
	if (!w)
		return;
	lane_queue_stop(&w->queue);
	pthread_join(w->thread, NULL);
	mover_stop(&w->mover);
	writer_free(w);
}

void writer_stats(struct writer *w, struct writer_stats *ret_stats)
{
	*ret_stats = (struct writer_stats){
		.batches = atomic_load(&w->batches),
		.operations = atomic_load(&w->operations),
		.reruns = atomic_load(&w->reruns),
		.failures = atomic_load(&w->failures),
		.shed = lane_queue_shed(&w->queue),
		.queued = lane_queue_length(&w->queue),
		.failed = atomic_load(&w->failed),
	};
}
