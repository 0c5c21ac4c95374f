/* Rings with a head: no entry is ever at an end, so nothing here has a special case. */
#include "server/http/deadline.h"

#include <stddef.h>

void deadline_queue_init(struct deadline_queue *q, int64_t span_us)
{
	q->head = (struct deadline){ .prev = &q->head, .next = &q->head };
	q->span = span_us;
}

void deadline_clear(struct deadline *d)
{
	if (!d->next)
		return;
	d->prev->next = d->next;
	d->next->prev = d->prev;
	d->prev = NULL;
	d->next = NULL;
}

void deadline_set(struct deadline *d, struct deadline_queue *q, int64_t now_us)
{
	deadline_clear(d);
	d->at = now_us + q->span;
	d->prev = q->head.prev;
	d->next = &q->head;
	d->prev->next = d;
	q->head.prev = d;
}

struct deadline *deadline_after(const struct deadline_queue *q, const struct deadline *d)
{
	return d->next == &q->head ? NULL : d->next;
}

struct deadline *deadline_first(const struct deadline_queue *q)
{
	return deadline_after(q, &q->head);
}
