/* A few threads behind a bounded queue, each with a database reader of its own: the hash slots and
 * the blocking pool. */
#include "server/store/lane.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/auto.h"
#include "server/state/metrics.h"
#include "server/store/lane_queue.h"

struct pool_thread {
	struct pool *pool;
	pthread_t thread;
	struct lane_ctx ctx;
	struct metrics_shard *metrics;
};

struct pool {
	struct lane_queue queue;
	int nice;
	unsigned started;
	unsigned count;
	struct pool_thread threads[];
};

static void run(struct pool_thread *t, struct task *task)
{
	const int64_t began = t->ctx.env->monotonic(t->ctx.env);

	task->result = task->run(&t->ctx, task->arg);
	if (t->ctx.db)
		db_rollback(t->ctx.db); /* what was left open would show the next task the past */
	count_db(t->metrics, DB_OP_READ, t->ctx.env->monotonic(t->ctx.env) - began);
	count_db_result(t->metrics, task->result);
	task->done(task);
}

static void *pool_main(void *arg)
{
	struct pool_thread *t = arg;
	struct task *task;

	/* Linux keeps niceness per thread; a kernel that refuses it only makes hashing compete */
	if (t->pool->nice)
		(void)!setpriority(PRIO_PROCESS, (id_t)gettid(), t->pool->nice);
	while (lane_queue_take(&t->pool->queue, &task, 1) > 0)
		run(t, task);
	return NULL;
}

void pool_stop(struct pool *p)
{
	if (!p)
		return;
	lane_queue_stop(&p->queue);
	for (unsigned i = 0; i < p->started; i++)
		pthread_join(p->threads[i].thread, NULL);
	for (unsigned i = 0; i < p->count; i++)
		db_close(p->threads[i].ctx.db);
	lane_queue_done(&p->queue);
	free(p);
}
#define pool_free pool_stop
AUTO_DEFINE(pool)

static enum err open_readers(struct pool *p, const char *path)
{
	enum err e = ERR_OK;

	for (unsigned i = 0; !e && i < p->count; i++)
		e = db_open(path, DB_READ, false, &p->threads[i].ctx.db);
	return e;
}

static enum err start_threads(struct pool *p, const char *name)
{
	while (p->started < p->count) {
		struct pool_thread *t = &p->threads[p->started];
		enum err e = lane_thread(&t->thread, name, pool_main, t);

		if (e)
			return e;
		p->started++;
	}
	return ERR_OK;
}

enum err pool_start(const struct pool_options *options, const struct env *env,
		    struct pool **ret_pool)
{
	AUTO(pool, p) = calloc(1, sizeof(*p) + options->threads * sizeof(p->threads[0]));
	enum err e = ERR_OK;

	if (!p)
		return ERR_NOMEM;
	lane_queue_init(&p->queue, options->queue_max);
	p->nice = options->nice;
	p->count = options->threads;
	for (unsigned i = 0; i < p->count; i++) {
		p->threads[i].pool = p;
		p->threads[i].ctx.env = env;
		if (options->metrics)
			p->threads[i].metrics = metrics_shard(options->metrics);
	}
	if (options->db_path)
		e = open_readers(p, options->db_path);
	if (!e)
		e = start_threads(p, options->name);
	if (!e)
		*ret_pool = TAKE(p);
	return e;
}

enum err pool_submit(struct pool *p, struct task *task)
{
	return lane_queue_put(&p->queue, task);
}

unsigned pool_queued(struct pool *p)
{
	return lane_queue_length(&p->queue);
}

uint64_t pool_shed(struct pool *p)
{
	return lane_queue_shed(&p->queue);
}
