/* What the writer and the pools have in common: a bounded queue of tasks that sheds, and threads
 * that take from it. Nobody else needs this; lane.h is the contract. */
#ifndef CHANCERY_SERVER_LANE_QUEUE_H
#define CHANCERY_SERVER_LANE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>

#include "server/store/lane.h"

struct lane_queue {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t ready;
	struct task *head, *tail;
	unsigned queued, max;
	uint64_t shed;
	bool stopping;
};

void lane_queue_init(struct lane_queue *q, unsigned max);
void lane_queue_done(struct lane_queue *q);
/* ERR_BUSY: full. ERR_UNAVAILABLE: stopping. */
MUST_CHECK enum err lane_queue_put(struct lane_queue *q, struct task *task);
/* Waits for work, then takes at most `max` tasks in order. 0: stopping and nothing is left. */
size_t lane_queue_take(struct lane_queue *q, struct task **ret_tasks, size_t max);
/* Refuses what comes from now on; what is queued is still handed out. */
void lane_queue_stop(struct lane_queue *q);
unsigned lane_queue_length(struct lane_queue *q);
uint64_t lane_queue_shed(struct lane_queue *q);

/* A thread that gets no signals: those are the main thread's. ERR_NOMEM. */
MUST_CHECK enum err lane_thread(pthread_t *ret_thread, const char *name, void *(*run)(void *),
				void *arg);

#endif
