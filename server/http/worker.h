/* A worker: one thread with its own epoll, arenas, log buffer, counters and signer channel, that
 * drives its HTTP side and takes completions from the lanes. Only the worker touches its
 * connections; other threads post to it.
 *
 * Order of use: worker_new, http_attach (server/http/http.h), worker_start; worker_drain,
 * worker_join; stop the lanes; worker_free. A lane may still hold a request when the worker's
 * thread has ended: worker_post works until worker_free, which gives back what came late. */
#ifndef CHANCERY_SERVER_WORKER_H
#define CHANCERY_SERVER_WORKER_H

#include "keys/signer.h"
#include "server/store/lane.h"
#include "server/state/log.h"
#include "server/state/metrics.h"

struct app;
struct request;
struct worker;

struct worker_options {
	struct app *app;
	unsigned index;	  /* names the thread; worker_index */
	int signer_fd;	  /* a signing channel, taken; -1: none yet */
	int64_t drain_us; /* what is under way may take this long after worker_drain; 0: 10 s */
};

/* On failure signer_fd is closed. ERR_NOMEM, ERR_IO. */
MUST_CHECK enum err worker_new(const struct worker_options *options, struct worker **ret_worker);
MUST_CHECK enum err worker_start(struct worker *w);

/* From any thread. */

/* The completion of a task (lane.h): gives task->owner, a struct request, back to its worker. */
void worker_post(struct task *task);
/* A signer was started anew: replaces the channel. fd is taken. */
void worker_set_signer(struct worker *w, int fd);
/* Accept nothing new, finish what is under way or give it up after drain_us, then end the thread.
 */
void worker_drain(struct worker *w);

/* Waits for the thread; nothing if it was never started. */
void worker_join(struct worker *w);
/* After worker_join and after the lanes have stopped. Accepts NULL. */
void worker_free(struct worker *w);

/* For the worker's own thread. */

struct signer_channel *worker_signer(struct worker *w);

/* The HTTP side, as the worker sees it (http.c fills one in). Called on the worker's thread, except
 * `done`. */
struct worker_driver {
	/* One pass over what is ready. Returns when it wants the next one at the latest
	 * (microseconds of env->monotonic; 0: at once; INT64_MAX: whenever something happens). */
	int64_t (*run)(void *arg, int64_t now_us);
	/* A parked request came back from its lane. */
	void (*finished)(void *arg, struct request *rq);
	/* Called after every pass while draining; `overdue` when the time is up. True: all is done.
	 */
	bool (*drain)(void *arg, bool overdue);
	/* Closes everything; the thread ends. */
	void (*stop)(void *arg);
	/* From worker_free. */
	void (*done)(void *arg);
	void *arg;
};

/* Before worker_start. */
void worker_drive(struct worker *w, const struct worker_driver *driver);
/* Adds a descriptor to the worker's epoll; *ready is set when it has something. */
MUST_CHECK enum err worker_watch(struct worker *w, int fd, bool *ready);

/* An arena of REQUEST_ARENA_MAX, empty; NULL: no memory. Give it back with worker_arena_return. */
struct arena *worker_arena(struct worker *w);
void worker_arena_return(struct worker *w, struct arena *a);

struct app *worker_app(struct worker *w);
unsigned worker_index(const struct worker *w);
struct log_buf *worker_log(struct worker *w);
struct metrics_shard *worker_metrics(struct worker *w);

#endif
