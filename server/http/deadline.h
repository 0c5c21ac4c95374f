/* Moments by which something must have happened, in queues where every entry waits equally long:
 * what begins later also ends later, so that a queue is ordered by itself and every operation is
 * O(1), however many slow clients there are.
 *
 * Used by one thread. */
#ifndef CHANCERY_SERVER_DEADLINE_H
#define CHANCERY_SERVER_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

/* Part of what waits. Zeroed: waits for nothing. */
struct deadline {
	struct deadline *prev, *next;
	int64_t at; /* microseconds of env->monotonic */
};

struct deadline_queue {
	struct deadline head; /* a ring; head.next is due first */
	int64_t span;	      /* how long every entry waits */
};

void deadline_queue_init(struct deadline_queue *q, int64_t span_us);
/* Waits from now on for the queue's span; what it waited for before is forgotten. */
void deadline_set(struct deadline *d, struct deadline_queue *q, int64_t now_us);
void deadline_clear(struct deadline *d);
/* The entry that is due first; NULL when the queue is empty. */
struct deadline *deadline_first(const struct deadline_queue *q);
/* The one after `d` in the same queue; NULL at the end. */
struct deadline *deadline_after(const struct deadline_queue *q, const struct deadline *d);

#endif
