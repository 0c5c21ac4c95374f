/* Places where work happens away from the loop, each with a bounded queue that sheds (ERR_BUSY,
 * answered 503 with Retry-After): the writer (one thread, group commit), the hash slots (Argon2id,
 * nice 10) and a small blocking pool (admin reads, cache misses).
 *
 * A task is one plain function and its argument. The lane runs it with a context of its own, then
 * hands the task back by task->done, called on the lane's thread after the result is durable.
 * Whoever parked the task must not touch `arg` before that. */
#ifndef CHANCERY_SERVER_LANE_H
#define CHANCERY_SERVER_LANE_H

#include "server/store/db.h"
#include "server/state/env.h"

struct metrics;

enum lane { LANE_WRITER, LANE_HASH, LANE_BLOCKING, LANE_COUNT };

struct lane_ctx {
	struct db *db; /* writer: inside its savepoint; blocking and hash: a reader, no transaction
			  open */
	const struct env *env;
};

struct task {
	/* Writer: ERR_OK and every refusal that must leave no trace is decided here; any error but
	 * ERR_OK rolls the task's savepoint back. May run twice (batch recovery): it must reset
	 * what it writes to `arg`. */
	enum err (*run)(struct lane_ctx *ctx, void *arg);
	void *arg;
	void (*done)(struct task *task);
	void *owner;
	enum err result;
	struct task *next; /* the queue's */
};

/* The writer: group commit. */
struct writer;
/* Its transactions are counted in `metrics`; NULL: nowhere. */
MUST_CHECK enum err writer_start(const char *path, const struct env *env, struct metrics *metrics,
				 struct writer **ret_writer);
/* ERR_BUSY: queue full; ERR_UNAVAILABLE: stopping, or an fsync failed once and writing has ended.
 */
MUST_CHECK enum err writer_submit(struct writer *w, struct task *task);
/* Finishes what is queued. */
void writer_stop(struct writer *w);
struct writer_stats {
	uint64_t batches, operations, reruns, failures, shed;
	uint32_t queued;
	bool failed; /* an fsync lied once: no more writes until restart */
};
void writer_stats(struct writer *w, struct writer_stats *ret_stats);

/* Hash slots and blocking pool are the same machine with other sizes. */
struct pool;
struct pool_options {
	const char *name; /* thread names */
	unsigned threads;
	unsigned queue_max;
	int nice;
	const char *db_path;	 /* NULL: no reader */
	struct metrics *metrics; /* where its tasks are counted as reads; NULL: nowhere */
};
MUST_CHECK enum err pool_start(const struct pool_options *options, const struct env *env,
			       struct pool **ret_pool);
MUST_CHECK enum err pool_submit(struct pool *p, struct task *task);
void pool_stop(struct pool *p);
unsigned pool_queued(struct pool *p);
uint64_t pool_shed(struct pool *p);

/* Runs a task at once in the caller, for tests without threads and for the command line. */
void lane_run_inline(struct db *db, const struct env *env, enum lane lane, struct task *task);

#endif
