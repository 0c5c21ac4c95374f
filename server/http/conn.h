/* The connections of one listener and what each waits for. Knows sockets and clocks, not the
 * library that reads and writes them: to close a connection is to shut its socket down, and the
 * library notices.
 *
 * Used by the worker's thread. */
#ifndef CHANCERY_SERVER_CONN_H
#define CHANCERY_SERVER_CONN_H

#include "server/http/deadline.h"
#include "server/http/exchange.h"
#include "server/http/tls.h"

struct conn {
	struct deadline phase; /* first: head, body or idle */
	struct deadline total;
	struct exchange *exchange; /* the request under way */
	struct tls_cert *cert;
	struct peer peer;
	int fd;
	bool fresh;   /* no request line yet */
	bool served;  /* had a request before */
	bool cut;     /* its socket is shut down: nothing it says is worth work any more */
	bool late;    /* a deadline ended it */
	void *owner;  /* http.c's */
	void *handle; /* the library's connection */
};

struct conn_list {
	struct deadline_queue head, body, idle, total;
	unsigned max;	    /* the library accepts no more than this */
	unsigned fresh_max; /* of connections without a request line */
	unsigned open;
	unsigned leaving; /* of these, cut */
	unsigned fresh;
	uint64_t accepted; /* ever */
	struct bodies bodies;
};

/* Microseconds each phase may take. Zero: 10 s, 20 s, 30 s, 75 s. */
struct conn_limits {
	int64_t head_us, body_us, total_us, idle_us;
};

void conn_list_init(struct conn_list *l, const struct conn_limits *limits, unsigned max,
		    unsigned fresh_max);

/* Counts it, even when there is no memory for a record: then the socket is shut down and NULL
 * comes. */
struct conn *conn_open(struct conn_list *l, int fd, int64_t now_us);
/* `c` may be NULL. */
void conn_close(struct conn_list *l, struct conn *c);

/* The phases, in their order. */
void conn_begin(struct conn_list *l, struct conn *c, struct exchange *x, int64_t now_us);
void conn_head_done(struct conn_list *l, struct conn *c, bool has_body, int64_t now_us);
void conn_body_done(struct conn *c);
void conn_end(struct conn_list *l, struct conn *c, int64_t now_us);

/* Cuts what is overdue; a request that a lane holds is given to `give_up` instead. Then makes room:
 * near `max` the connection that has been idle longest goes, or one that has said nothing for a
 * second, because a house full of silent ones is no reason to turn a new client away. */
void conn_expire(struct conn_list *l, int64_t now_us, void (*give_up)(struct conn *c));
/* When conn_expire has something to do; INT64_MAX: never. */
int64_t conn_next_deadline(const struct conn_list *l);
/* Before `n` bytes of c's body are kept: while there is no room for them, cuts the one whose body
 * has been on its way longest, unless that is `c`. */
void conn_make_body_room(struct conn_list *l, const struct conn *c, size_t n);
/* For a drain: cuts those that have had no request for `grace_us` and have sent nothing since. */
void conn_cut_waiting(struct conn_list *l, int64_t now_us, int64_t grace_us);
/* Gives every request that a lane holds to `give_up`. */
void conn_give_up_all(struct conn_list *l, void (*give_up)(struct conn *c));

#endif
