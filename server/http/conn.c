/* Four queues per listener. A connection stands in one of three (reading a head, reading a body,
 * idle), and in the fourth from its request line to the end of the answer. */
#include "server/http/conn.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/limits.h"

enum {
	HEAD_US = 10000000,
	BODY_US = 20000000,
	TOTAL_US = 30000000,
	IDLE_US = 75000000,
	SILENCE_US = 1000000,
};

static struct conn *of_phase(struct deadline *d)
{
	return (struct conn *)(void *)d;
}

static struct conn *of_total(struct deadline *d)
{
	return (struct conn *)(void *)((char *)d - offsetof(struct conn, total));
}

static void not_fresh(struct conn_list *l, struct conn *c)
{
	l->fresh -= c->fresh;
	c->fresh = false;
}

/* The library sees the end of the stream, or fails to write, and closes. */
static void cut(struct conn_list *l, struct conn *c)
{
	deadline_clear(&c->phase);
	deadline_clear(&c->total);
	not_fresh(l, c);
	l->leaving += !c->cut;
	c->cut = true;
	shutdown(c->fd, SHUT_RDWR);
}

/* What the client has not read is forgotten as well: else the kernel would offer it for many
 * minutes. */
static void cut_hard(struct conn_list *l, struct conn *c)
{
	const struct linger none = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	cut(l, c);
}

void conn_list_init(struct conn_list *l, const struct conn_limits *limits, unsigned max,
		    unsigned fresh_max)
{
	deadline_queue_init(&l->head, limits->head_us ? limits->head_us : HEAD_US);
	deadline_queue_init(&l->body, limits->body_us ? limits->body_us : BODY_US);
	deadline_queue_init(&l->idle, limits->idle_us ? limits->idle_us : IDLE_US);
	deadline_queue_init(&l->total, limits->total_us ? limits->total_us : TOTAL_US);
	l->max = max;
	l->fresh_max = fresh_max;
	l->bodies.max = BODIES_IN_FLIGHT_MAX;
}

struct conn *conn_open(struct conn_list *l, int fd, int64_t now_us)
{
	struct conn *c = calloc(1, sizeof(*c));

	l->open++;
	l->accepted++;
	if (!c) {
		shutdown(fd, SHUT_RDWR);
		return NULL;
	}
	c->fd = fd;
	c->fresh = true;
	l->fresh++;
	c->peer.uid = -1;
	deadline_set(&c->phase, &l->head, now_us);
	return c;
}

void conn_close(struct conn_list *l, struct conn *c)
{
	l->open--;
	if (!c)
		return;
	assert(!c->exchange);
	not_fresh(l, c);
	l->leaving -= c->cut;
	deadline_clear(&c->phase);
	deadline_clear(&c->total);
	tls_cert_unref(c->cert);
	free(c);
}

/* ---- phases ---- */

/* The first request's head is due from the moment of connecting: that deadline runs already. */
void conn_begin(struct conn_list *l, struct conn *c, struct exchange *x, int64_t now_us)
{
	not_fresh(l, c);
	c->exchange = x;
	if (c->served)
		deadline_set(&c->phase, &l->head, now_us);
	deadline_set(&c->total, &l->total, now_us);
}

void conn_head_done(struct conn_list *l, struct conn *c, bool has_body, int64_t now_us)
{
	if (has_body)
		deadline_set(&c->phase, &l->body, now_us);
	else
		deadline_clear(&c->phase);
}

void conn_body_done(struct conn *c)
{
	deadline_clear(&c->phase);
}

void conn_end(struct conn_list *l, struct conn *c, int64_t now_us)
{
	c->exchange = NULL;
	c->served = true;
	deadline_clear(&c->total);
	deadline_set(&c->phase, &l->idle, now_us);
}

/* ---- room ---- */

/* A sixteenth is kept free: the library stops accepting at the limit, and then nobody can be heard.
 */
static bool is_crowded(const struct conn_list *l)
{
	return l->open - l->leaving + 1 + l->max / 16 > l->max;
}

/* The one in the queue that has been without a request longest. */
static struct conn *oldest_silent(const struct deadline_queue *q)
{
	for (struct deadline *d = deadline_first(q); d; d = deadline_after(q, d))
		if (!of_phase(d)->exchange)
			return of_phase(d);
	return NULL;
}

/* Who must go, and from when on; NULL: nobody. */
static struct conn *who_goes(const struct conn_list *l, int64_t *ret_from)
{
	struct conn *c = NULL;

	*ret_from = INT64_MAX;
	if (l->fresh <= l->fresh_max && !is_crowded(l))
		return NULL;
	if (l->fresh <= l->fresh_max)
		c = oldest_silent(&l->idle);
	if (c) {
		*ret_from = 0;
		return c;
	}
	c = oldest_silent(&l->head);
	if (c)
		*ret_from = l->fresh > l->fresh_max ? 0 : c->phase.at - l->head.span + SILENCE_US;
	return c;
}

static void make_room(struct conn_list *l, int64_t now_us)
{
	struct conn *c;
	int64_t from;

	while ((c = who_goes(l, &from)) && from <= now_us)
		cut(l, c);
}

/* Whoever holds bodies back must not keep everybody else's out: a few hundred connections would be
 * enough for that. */
void conn_make_body_room(struct conn_list *l, const struct conn *c, size_t n)
{
	struct deadline *d;

	while (l->bodies.used + n > l->bodies.max && (d = deadline_first(&l->body)) &&
	       of_phase(d) != c) {
		exchange_give_way(of_phase(d)->exchange);
		of_phase(d)->late = true;
		cut(l, of_phase(d));
	}
}

/* ---- deadlines ---- */

static void expire_phase(struct conn_list *l, struct deadline_queue *q, int64_t now_us)
{
	struct deadline *d;

	while ((d = deadline_first(q)) && d->at <= now_us) {
		of_phase(d)->late = true;
		cut(l, of_phase(d));
	}
}

void conn_expire(struct conn_list *l, int64_t now_us, void (*give_up)(struct conn *c))
{
	struct deadline *d;

	expire_phase(l, &l->head, now_us);
	expire_phase(l, &l->body, now_us);
	expire_phase(l, &l->idle, now_us);
	while ((d = deadline_first(&l->total)) && d->at <= now_us) {
		struct conn *c = of_total(d);

		c->late = true;
		deadline_clear(d);
		if (c->exchange->held)
			give_up(c);
		else
			cut_hard(l, c);
	}
	make_room(l, now_us);
}

static int64_t earlier(int64_t at, const struct deadline_queue *q)
{
	const struct deadline *d = deadline_first(q);

	return d && d->at < at ? d->at : at;
}

int64_t conn_next_deadline(const struct conn_list *l)
{
	int64_t at;

	(void)who_goes(l, &at);
	return earlier(earlier(earlier(earlier(at, &l->head), &l->body), &l->idle), &l->total);
}

/* ---- the end ---- */

static void cut_waiting(struct conn_list *l, struct deadline_queue *q, int64_t now_us,
			int64_t grace_us)
{
	struct deadline *next;
	char byte;

	for (struct deadline *d = deadline_first(q); d; d = next) {
		struct conn *c = of_phase(d);

		next = deadline_after(q, d);
		if (c->exchange || now_us < d->at - q->span + grace_us)
			continue;
		if (recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
			cut(l, c);
	}
}

void conn_cut_waiting(struct conn_list *l, int64_t now_us, int64_t grace_us)
{
	cut_waiting(l, &l->idle, now_us, grace_us);
	cut_waiting(l, &l->head, now_us, grace_us);
}

void conn_give_up_all(struct conn_list *l, void (*give_up)(struct conn *c))
{
	struct deadline *next;

	for (struct deadline *d = deadline_first(&l->total); d; d = next) {
		struct conn *c = of_total(d);

		next = deadline_after(&l->total, d);
		if (!c->exchange->held)
			continue;
		deadline_clear(d);
		give_up(c);
	}
}
