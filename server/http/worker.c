/* The loop of a worker: wait, take what came back, let the HTTP side run, flush the log. It knows
 * no HTTP: what it drives is a struct worker_driver, so that requests (which must name their worker
 * to come back to it) stand above it and http.c above them.
 *
 * The wake-up is an edge-triggered eventfd that is never read: every write is a new edge, and a
 * read per completion would be a system call for nothing. A timer is the timeout of epoll_wait. */
#include "server/http/worker.h"

#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/limits.h"
#include "server/request/app.h"
#include "server/request/request.h"

enum {
	ARENAS_KEPT = 64, /* first blocks of 4 KiB: enough for a busy loop, little when idle */
	EVENTS_MAX = 16,
	DRAIN_DEFAULT_US = 10 * 1000000,
	DRAIN_LOOK_US = 10000, /* while draining: is everything done, is the time up? */
	NO_SIGNER_FD = -2,     /* nothing was posted; -1 is "no signer" */
};

struct worker {
	struct app *app;
	unsigned index;
	struct worker_driver driver;
	struct signer_channel signer;
	struct log_buf log;
	struct metrics_shard *metrics;
	struct arena *arenas[ARENAS_KEPT];
	size_t arena_count;
	int epoll_fd;
	int event_fd;
	bool woken; /* the eventfd fired; taking the inbox needs no more than that */
	bool stop;
	int64_t drain_us;
	int64_t drain_until; /* 0: not draining */
	pthread_t thread;
	bool started;
	char name[16];

	/* what other threads hand over */
	pthread_mutex_t lock;
	struct task *first, *last;
	int new_signer_fd;
	bool drain;
};

AUTO_DEFINE(worker)

/* ---- handing over ---- */

static void wake(struct worker *w)
{
	const uint64_t one = 1;
	ssize_t n = write(w->event_fd, &one, sizeof(one));

	(void)n; /* fails only when the counter is full, and then an edge is due anyway */
}

void worker_post(struct task *task)
{
	struct request *rq = task->owner;
	struct worker *w = rq->worker;
	bool first;

	task->next = NULL;
	pthread_mutex_lock(&w->lock);
	first = !w->first;
	if (first)
		w->first = task;
	else
		w->last->next = task;
	w->last = task;
	pthread_mutex_unlock(&w->lock);
	/* from here on the request may be answered and gone; whoever posted first wakes for all */
	if (first)
		wake(w);
}

void worker_set_signer(struct worker *w, int fd)
{
	pthread_mutex_lock(&w->lock);
	if (w->new_signer_fd >= 0)
		close(w->new_signer_fd);
	w->new_signer_fd = fd;
	pthread_mutex_unlock(&w->lock);
	wake(w);
}

void worker_drain(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->drain = true;
	pthread_mutex_unlock(&w->lock);
	wake(w);
}

static void take_signer(struct worker *w, int fd)
{
	if (fd == NO_SIGNER_FD)
		return;
	if (w->signer.fd >= 0)
		close(w->signer.fd);
	w->signer.fd = fd;
}

/* Takes everything at once: the lock is held for a few assignments, the work is done outside. */
static void take_inbox(struct worker *w, int64_t now_us)
{
	struct task *task;
	struct task *next;
	int fd;
	bool drain;

	pthread_mutex_lock(&w->lock);
	task = w->first;
	w->first = NULL;
	w->last = NULL;
	fd = w->new_signer_fd;
	w->new_signer_fd = NO_SIGNER_FD;
	drain = w->drain;
	pthread_mutex_unlock(&w->lock);

	take_signer(w, fd);
	if (drain && !w->drain_until)
		w->drain_until = now_us + w->drain_us;
	for (; task; task = next) {
		next = task->next; /* the request may be gone, or on another lane, afterwards */
		w->driver.finished(w->driver.arg, task->owner);
	}
}

/* ---- the loop ---- */

static int64_t monotonic(const struct worker *w)
{
	return w->app->env->monotonic(w->app->env);
}

static int wait_ms(int64_t now_us, int64_t until_us)
{
	int64_t ms;

	if (until_us == INT64_MAX)
		return -1;
	if (until_us <= now_us)
		return 0;
	ms = (until_us - now_us + 999) / 1000; /* never early: that would be a second, empty pass */
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void wait_events(struct worker *w, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(w->epoll_fd, events, EVENTS_MAX, timeout_ms);

	for (int i = 0; i < n; i++)
		*(bool *)events[i].data.ptr = true;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	int64_t now_us = monotonic(w);
	int64_t wake_at = 0;

	while (!w->stop) {
		wait_events(w, wait_ms(now_us, wake_at));
		now_us = monotonic(w);
		if (w->woken) {
			w->woken = false;
			take_inbox(w, now_us);
		}
		wake_at = w->driver.run(w->driver.arg, now_us);
		log_flush(&w->log);
		if (!w->drain_until)
			continue;
		w->stop = w->driver.drain(w->driver.arg, now_us >= w->drain_until);
		if (wake_at > now_us + DRAIN_LOOK_US)
			wake_at = now_us + DRAIN_LOOK_US;
	}
	w->driver.stop(w->driver.arg);
	log_flush(&w->log);
	return NULL;
}

/* ---- life ---- */

static enum err open_fds(struct worker *w)
{
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->epoll_fd < 0 || w->event_fd < 0)
		return ERR_IO;
	if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->event_fd,
		      &(struct epoll_event){ .events = EPOLLIN | EPOLLET, .data.ptr = &w->woken }))
		return ERR_IO;
	return ERR_OK;
}

enum err worker_new(const struct worker_options *options, struct worker **ret_worker)
{
	AUTO(worker, w) = calloc(1, sizeof(*w));
	enum err e;

	if (!w) {
		if (options->signer_fd >= 0)
			close(options->signer_fd);
		return ERR_NOMEM;
	}
	w->app = options->app;
	w->index = options->index;
	w->signer.fd = options->signer_fd;
	w->new_signer_fd = NO_SIGNER_FD;
	w->drain_us = options->drain_us ? options->drain_us : DRAIN_DEFAULT_US;
	snprintf(w->name, sizeof(w->name), "chancery-w%u", options->index % 1000);
	pthread_mutex_init(&w->lock, NULL);
	log_buf_init(&w->log, w->app->log);
	w->metrics = w->app->metrics ? metrics_shard(w->app->metrics) : NULL;
	e = open_fds(w);
	if (e)
		return e;
	*ret_worker = TAKE(w);
	return ERR_OK;
}

/* Signals are the main thread's: the worker starts with all of them blocked. */
enum err worker_start(struct worker *w)
{
	sigset_t all, old;
	int failed;

	assert(w->driver.run);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	failed = pthread_create(&w->thread, NULL, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (failed)
		return ERR_NOMEM;
	pthread_setname_np(w->thread, w->name);
	w->started = true;
	return ERR_OK;
}

void worker_join(struct worker *w)
{
	if (w->started)
		pthread_join(w->thread, NULL);
	w->started = false;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	assert(!w->started);
	if (w->driver.done) {
		take_inbox(w, monotonic(w));
		w->driver.done(w->driver.arg);
	}
	while (w->arena_count)
		arena_free(w->arenas[--w->arena_count]);
	log_buf_done(&w->log);
	close_fd(w->signer.fd);
	close_fd(w->new_signer_fd);
	close_fd(w->event_fd);
	close_fd(w->epoll_fd);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* ---- for the HTTP side ---- */

void worker_drive(struct worker *w, const struct worker_driver *driver)
{
	assert(!w->started && !w->driver.run);
	w->driver = *driver;
}

enum err worker_watch(struct worker *w, int fd, bool *ready)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = ready };

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? ERR_IO : ERR_OK;
}

struct arena *worker_arena(struct worker *w)
{
	struct arena *a;

	if (w->arena_count)
		return w->arenas[--w->arena_count];
	return arena_new(REQUEST_ARENA_MAX, &a) ? NULL : a;
}

void worker_arena_return(struct worker *w, struct arena *a)
{
	arena_reset(a);
	if (w->arena_count < ARENAS_KEPT)
		w->arenas[w->arena_count++] = a;
	else
		arena_free(a);
}

struct signer_channel *worker_signer(struct worker *w)
{
	return &w->signer;
}

unsigned worker_index(const struct worker *w)
{
	return w->index;
}

struct app *worker_app(struct worker *w)
{
	return w->app;
}

struct log_buf *worker_log(struct worker *w)
{
	return &w->log;
}

struct metrics_shard *worker_metrics(struct worker *w)
{
	return w->metrics;
}
