/* Four queues per listener. A connection stands in one of three (reading a head, reading a body,
 * idle), and in the fourth from its request line to the end of the answer. */
#include "server/conn.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>

static struct conn *of_phase(struct deadline *d)
{
	return (struct conn *)(void *)d;
}

static struct conn *of_total(struct deadline *d)
{
	return (struct conn *)(void *)((char *)d - offsetof(struct conn, total));
}

/* The library sees the end of the stream, or fails to write, and closes. */
static void cut(struct conn *c)
{
	deadline_clear(&c->phase);
	deadline_clear(&c->total);
	shutdown(c->fd, SHUT_RDWR);
}

/* What the client has not read is forgotten as well: else the kernel would offer it for many
 * minutes. */
static void cut_hard(struct conn *c)
{
	const struct linger none = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	cut(c);
}

void conn_list_init(struct conn_list *l, const struct conn_limits *limits)
{
	deadline_queue_init(&l->head, limits->head_us);
	deadline_queue_init(&l->body, limits->body_us);
	deadline_queue_init(&l->idle, limits->idle_us);
	deadline_queue_init(&l->total, limits->total_us);
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
	deadline_clear(&c->phase);
	deadline_clear(&c->total);
	tls_cert_unref(c->cert);
	free(c);
}

/* ---- phases ---- */

/* The first request's head is due from the moment of connecting: that deadline runs already. */
void conn_begin(struct conn_list *l, struct conn *c, struct exchange *x, int64_t now_us)
{
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

/* ---- deadlines ---- */

static void expire_phase(struct deadline_queue *q, int64_t now_us)
{
	struct deadline *d;

	while ((d = deadline_first(q)) && d->at <= now_us) {
		of_phase(d)->late = true;
		cut(of_phase(d));
	}
}

void conn_expire(struct conn_list *l, int64_t now_us, void (*give_up)(struct conn *c))
{
	struct deadline *d;

	expire_phase(&l->head, now_us);
	expire_phase(&l->body, now_us);
	expire_phase(&l->idle, now_us);
	while ((d = deadline_first(&l->total)) && d->at <= now_us) {
		struct conn *c = of_total(d);

		c->late = true;
		deadline_clear(d);
		if (c->exchange->held)
			give_up(c);
		else
			cut_hard(c);
	}
}

static int64_t earlier(int64_t at, const struct deadline_queue *q)
{
	const struct deadline *d = deadline_first(q);

	return d && d->at < at ? d->at : at;
}

int64_t conn_next_deadline(const struct conn_list *l)
{
	return earlier(earlier(earlier(earlier(INT64_MAX, &l->head), &l->body), &l->idle),
		       &l->total);
}

/* ---- room and the end ---- */

void conn_make_room(struct conn_list *l, unsigned max)
{
	struct deadline *oldest = deadline_first(&l->idle);

	if (oldest && l->open + 1 + max / 16 >= max)
		cut(of_phase(oldest));
}

static void cut_waiting(struct deadline_queue *q, int64_t now_us, int64_t grace_us)
{
	struct deadline *next;
	char byte;

	for (struct deadline *d = deadline_first(q); d; d = next) {
		struct conn *c = of_phase(d);

		next = deadline_after(q, d);
		if (c->exchange || now_us < d->at - q->span + grace_us)
			continue;
		if (recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
			cut(c);
	}
}

void conn_cut_waiting(struct conn_list *l, int64_t now_us, int64_t grace_us)
{
	cut_waiting(&l->idle, now_us, grace_us);
	cut_waiting(&l->head, now_us, grace_us);
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
