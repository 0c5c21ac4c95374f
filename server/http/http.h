/* Connections: the only module that knows libmicrohttpd (http.c, http_request.c). It makes requests
 * of them, keeps their deadlines, and sends what the router answers. One per worker, driven by it
 * (server/http/worker.h).
 *
 * libmicrohttpd runs in external epoll mode, one daemon per listener. A parked request's connection
 * is suspended; the library looks at it again when the lane has given the request back. The
 * library's own timeout is off: it counts inactivity, so that a byte now and then keeps a
 * connection for ever, and it does not see parked ones. Ours are absolute.
 *
 * What the library refuses below us (a malformed line: 400, no room for the head: 414 and 431) has
 * its own body; it is counted and logged through its logger. */
#ifndef CHANCERY_SERVER_HTTP_H
#define CHANCERY_SERVER_HTTP_H

#include "server/http/conn.h"
#include "server/http/tls.h"
#include "server/state/wire.h"
#include "server/http/worker.h"

enum {
	/* Each connection costs this as long as it is open; head and answer's head must fit:
	 * about 7 KiB of head. 10,000 idle ones are 90 MB; the library's default of 32 KiB would
	 * be 300. */
	HTTP_MEMORY_PUBLIC = 8192,
	/* Few connections, and bearer tokens: HTTP_HEADERS_MAX fits, and is then the limit. */
	HTTP_MEMORY_ADMIN = 32768,
};

struct http_listener {
	enum listener kind;
	int fd;			  /* listening, non-blocking; taken */
	struct tls *tls;	  /* NULL: plain. Outlives the worker */
	unsigned connections_max; /* before it is reached, the longest idle ones are closed */
	unsigned per_address_max; /* 0: no limit. Not behind a proxy, which is one address */
	size_t memory;		  /* per connection; 0: HTTP_MEMORY_PUBLIC */
	size_t bodies_max;	  /* of all connections together; 0: BODIES_IN_FLIGHT_MAX */
};

struct http_options {
	const struct http_listener *listeners;
	size_t listener_count;
	/* Zero is the default. Head: 10 s, from the connection or the next request line. Body: 20 s
	 * from there. Total: 30 s from the request line to the last byte of the answer. Idle: 75 s.
	 */
	struct conn_limits limits;
};

/* Gives the worker its HTTP side, which goes with worker_free. All fds are taken, also on failure.
 * ERR_NOMEM, ERR_IO. */
MUST_CHECK enum err http_attach(struct worker *w, const struct http_options *options);

#endif
