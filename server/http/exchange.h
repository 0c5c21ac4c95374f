/* One request and its answer between the HTTP library and the router: what of the head becomes the
 * request, how much body is taken, and who still holds the memory. Knows the rules, not the
 * library.
 *
 * An exchange belongs to its worker. While a lane holds it, the connection may give it up (a
 * deadline); it lives until both have let go. */
#ifndef CHANCERY_SERVER_EXCHANGE_H
#define CHANCERY_SERVER_EXCHANGE_H

#include "server/http/head.h"
#include "server/http/proxy.h"
#include "server/request/request.h"
#include "server/http/worker.h"
#include "server/state/consumer_match.h"

enum {
	/* A body we refuse is read to its end if it is not longer than this, so that the client
	 * reads our answer instead of a connection reset; beyond, the answer does not wait for it.
	 */
	BODY_DISCARD_MAX = 1 << 20,
	/* In the middle of a chunked body no answer can be given any more; here it is cut off. */
	BODY_CHUNKED_MAX = 16 << 20,
};

/* Who is at the other end of the connection. */
struct peer {
	struct address address;
	char text[ADDRESS_TEXT_MAX]; /* the same, written once for all requests; "" for no address
				      */
	unsigned char certificate[CERTIFICATE_HASH_LEN];
	bool certified; /* there is one */
	bool trusted;	/* UNIX socket: root or our own user */
	int64_t uid;	/* UNIX socket, else -1 */
};

/* Bytes of body that one listener's exchanges hold. */
struct bodies {
	size_t used, max;
};

struct exchange {
	struct request rq; /* first: what a lane gives back is the request */
	struct head head; /* its strings are the library's: only until exchange_open has returned */
	struct str target; /* raw, whole */
	struct buf body;
	size_t received; /* bytes of body so far, kept or not */
	size_t counted;	 /* of these, in `bodies` */
	struct bodies *bodies;
	bool keeps;	  /* the body is wanted */
	enum err refused; /* decided before the end of the body; answered when the body is over */
	int refused_status;
	bool close; /* the connection must not be used again */
	bool ready; /* the response is filled */
	bool logged;
	bool held;     /* by a lane */
	bool bound;    /* to a connection */
	bool given_up; /* the connection has another answer by now */
};

/* At the request line. `bodies` outlives it. NULL: no memory. */
struct exchange *exchange_new(struct worker *w, enum listener listener, struct str target,
			      struct bodies *bodies);
/* When the head is complete (x->head was given its fields): checks it, fills the request, finds the
 * route. A refusal is kept in the exchange. */
void exchange_open(struct exchange *x, const struct peer *peer);
/* Shall the refusal be sent without reading the body? */
bool exchange_refuses_now(const struct exchange *x);
/* A piece of the body. False: too much of it; cut the connection. */
bool exchange_body(struct exchange *x, const char *p, size_t n);
/* Its body comes slowly, and others need the room: what it holds counts no more, the rest of it is
 * not kept. The caller cuts the connection. */
void exchange_give_way(struct exchange *x);
/* Instead of the router's work: the server, or the connection, is about to end. */
void exchange_shed(struct exchange *x);
/* After the body. ERR_OK: the response is filled; ERR_PARKED. */
MUST_CHECK enum err exchange_run(struct exchange *x);
/* The lane gave it back. As exchange_run. */
MUST_CHECK enum err exchange_resume(struct exchange *x);
/* Log line and counters of one whose response is on its way. */
void exchange_sent(struct exchange *x);
/* The same for one that ends without an answer of its own: the client left, a deadline passed, or
 * the lane came back too late. */
void exchange_lost(struct exchange *x, bool late);
/* Not while a lane holds it. */
void exchange_free(struct exchange *x);

#endif
