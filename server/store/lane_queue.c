/* A bounded queue of tasks and the threads that serve it. */
#include "server/store/lane_queue.h"

#include <signal.h>

void lane_queue_init(struct lane_queue *q, unsigned max)
{
	*q = (struct lane_queue){ .max = max };
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->ready, NULL);
}

void lane_queue_done(struct lane_queue *q)
{
	pthread_cond_destroy(&q->ready);
	pthread_mutex_destroy(&q->lock);
}

static enum err admit(struct lane_queue *q)
{
	if (q->stopping)
		return ERR_UNAVAILABLE;
	if (q->queued < q->max)
		return ERR_OK;
	q->shed++;
	return ERR_BUSY;
}

enum err lane_queue_put(struct lane_queue *q, struct task *task)
{
	enum err e;

	task->next = NULL;
	pthread_mutex_lock(&q->lock);
	e = admit(q);
	if (!e) {
		if (q->tail)
			q->tail->next = task;
		else
			q->head = task;
		q->tail = task;
		q->queued++;
		pthread_cond_signal(&q->ready);
	}
	pthread_mutex_unlock(&q->lock);
	return e;
}

size_t lane_queue_take(struct lane_queue *q, struct task **ret_tasks, size_t max)
{
	size_t n = 0;

	pthread_mutex_lock(&q->lock);
	while (!q->head && !q->stopping)
		pthread_cond_wait(&q->ready, &q->lock);
	for (; q->head && n < max; n++) {
		ret_tasks[n] = q->head;
		q->head = q->head->next;
	}
	if (!q->head)
		q->tail = NULL;
	q->queued -= (unsigned)n;
	pthread_mutex_unlock(&q->lock);
	return n;
}

void lane_queue_stop(struct lane_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stopping = true;
	pthread_cond_broadcast(&q->ready);
	pthread_mutex_unlock(&q->lock);
}

unsigned lane_queue_length(struct lane_queue *q)
{
	unsigned n;

	pthread_mutex_lock(&q->lock);
	n = q->queued;
	pthread_mutex_unlock(&q->lock);
	return n;
}

uint64_t lane_queue_shed(struct lane_queue *q)
{
	uint64_t n;

	pthread_mutex_lock(&q->lock);
	n = q->shed;
	pthread_mutex_unlock(&q->lock);
	return n;
}

enum err lane_thread(pthread_t *ret_thread, const char *name, void *(*run)(void *), void *arg)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	rc = pthread_create(ret_thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return ERR_NOMEM;
	pthread_setname_np(*ret_thread, name); /* too long a name is no reason to stop */
	return ERR_OK;
}
