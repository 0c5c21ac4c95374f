/* The bridge to libmicrohttpd: its daemons, driven by the worker, and their connections. Requests
 * are http_request.c's.
 *
 * Two faults of the library (0.9.75 and 1.0.1) are worked around here: it leaves a TLS connection
 * "ready" while it waits for the rest of a handshake, and a chunk extension that fills the buffer
 * likewise; both ask to be run again at once, for ever. A pass in which nothing happened is
 * therefore followed by a short wait. */
#include "server/http/http_microhttpd.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "server/http/listen.h"

enum {
	IDLE_PASSES_MAX = 4, /* more without progress, and the loop waits */
	IDLE_WAIT_US = 1000, /* doubling */
	IDLE_WAIT_MAX_US = 32000,
	HANDSHAKES_MAX = 256,	     /* each is tried again in every pass, see above */
	NO_FILES_WAIT_NS = 10000000, /* accept failed: the listening socket stays ready */
	ACCEPT_ROUNDS_MAX = 64,	     /* the backlog at the moment of a drain, 10 a round */
	DRAIN_GRACE_US = 1000000, /* a connection that was used within it may have sent a request */
};

/* ---- a connection ---- */

static void read_peer(struct port *port, struct conn *conn)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		conn->handle, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

	if (port->options.kind == LISTENER_SOCKET)
		conn->peer.trusted = listen_peer_trusted(conn->fd, &conn->peer.uid);
	else if (info && address_of(info->client_addr, &conn->peer.address))
		address_write(&conn->peer.address, conn->peer.text);
}

static struct conn *opened(struct port *port, struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct conn *conn = conn_open(&port->conns, info->connect_fd, port->http->now_us);

	if (!conn)
		return NULL;
	conn->owner = port;
	conn->handle = c;
	read_peer(port, conn);
	if (port->options.tls) {
		info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);
		conn->cert = tls_attach(port->options.tls, info->tls_session);
	}
	return conn;
}

static void on_connection(void *arg, struct MHD_Connection *c, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct port *port = arg;
	struct conn *conn = *context;

	port->http->progress = true;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = opened(port, c);
		return;
	}
	/* where the library has no memory for its own answer it closes without on_completed */
	if (conn && conn->exchange)
		http_end_exchange(conn, true);
	/* at its limit the library does not listen, and begins again only at the start of a run */
	port->listen_again |= port->conns.open == port->options.connections_max;
	conn_close(&port->conns, conn);
	*context = NULL;
}

/* The library's sentences. Two of them matter: that it refused a request, and that it could not
 * accept. */
static void on_message(void *arg, const char *format, va_list args)
{
	static const char refused[] = "Error processing request (HTTP response code is %u";
	static const char accept[] = "Error accepting connection";
	struct http *h = arg;
	struct log_buf *log = worker_log(h->worker);

	if (!strncmp(format, accept, sizeof(accept) - 1))
		h->no_files = true;
	if (strncmp(format, refused, sizeof(refused) - 1))
		return;
	count_http_refused(worker_metrics(h->worker));
	log_begin(log, LOG_INFO, "request refused by the HTTP library");
	log_int(log, "status", va_arg(args, unsigned));
	log_end(log);
}

/* Paths and queries stay as they came: the router decodes, once. */
static size_t on_unescape(void *arg, struct MHD_Connection *c, char *text)
{
	(void)arg;
	(void)c;
	return strlen(text);
}

/* ---- what the worker calls ---- */

/* The connection answers 503 and goes on; what the lane brings back later is dropped. */
static void give_up(struct conn *conn)
{
	conn->exchange->given_up = true;
	MHD_resume_connection(conn->handle);
	port_of(conn)->again = true;
}

static void run_port(struct port *port)
{
	MHD_UNSIGNED_LONG_LONG wait = 1;

	port->ready = false;
	MHD_run(port->daemon);
	port->again = (MHD_get_timeout(port->daemon, &wait) && !wait) || port->listen_again;
	port->listen_again = false;
}

/* The library wants to be run again at once. If that has led to nothing several times, it can wait;
 * an event ends the wait. */
static int64_t when_again(struct http *h)
{
	if (h->progress || h->idle_passes < IDLE_PASSES_MAX) {
		h->idle_passes = h->progress ? 0 : h->idle_passes + 1;
		h->idle_wait_us = IDLE_WAIT_US;
		return 0;
	}
	if (h->idle_wait_us < IDLE_WAIT_MAX_US)
		h->idle_wait_us *= 2;
	return h->now_us + h->idle_wait_us;
}

static int64_t when_next(struct http *h, bool again)
{
	int64_t at = again ? when_again(h) : INT64_MAX;

	for (size_t i = 0; i < h->port_count; i++) {
		int64_t next = conn_next_deadline(&h->ports[i].conns);

		at = next < at ? next : at;
	}
	return at;
}

static int64_t http_run(void *arg, int64_t now_us)
{
	struct http *h = arg;
	bool again = false;

	h->now_us = now_us;
	h->progress = false;
	h->no_files = false;
	for (size_t i = 0; i < h->port_count; i++) {
		struct port *port = &h->ports[i];

		conn_expire(&port->conns, now_us, give_up);
		if (port->ready || port->again)
			run_port(port);
		again |= port->again;
	}
	if (h->no_files)
		nanosleep(&(struct timespec){ .tv_nsec = NO_FILES_WAIT_NS }, NULL);
	return when_next(h, again);
}

static void http_finished(void *arg, struct request *rq)
{
	struct exchange *x = (struct exchange *)rq;
	struct conn *conn = rq->connection;

	(void)arg;
	/* also when nobody waits any more: what the lane has made durable must reach our memory
	 * (revocations, caches), or it would be true in the database alone */
	if (exchange_resume(x) == ERR_PARKED)
		return;
	if (x->given_up) {
		exchange_lost(x, false);
		if (!x->bound)
			exchange_free(x);
		return;
	}
	MHD_resume_connection(conn->handle);
	port_of(conn)->again = true;
}

/* ---- the end ---- */

/* The backlog belongs to us already: its clients are connected and were promised an answer. */
static void stop_accepting(struct port *port)
{
	uint64_t before;
	MHD_socket fd;
	int rounds = 0;

	do {
		before = port->conns.accepted;
		run_port(port);
	} while (port->conns.accepted > before && ++rounds < ACCEPT_ROUNDS_MAX);
	fd = MHD_quiesce_daemon(port->daemon);
	if (fd != MHD_INVALID_SOCKET)
		close(fd);
}

static bool http_drain(void *arg, bool overdue)
{
	struct http *h = arg;
	bool empty = true;
	bool first = !h->draining;

	h->draining = true;
	for (size_t i = 0; i < h->port_count; i++) {
		struct port *port = &h->ports[i];

		if (first)
			stop_accepting(port);
		conn_cut_waiting(&port->conns, h->now_us, DRAIN_GRACE_US);
		empty &= !port->conns.open;
	}
	return empty || overdue;
}

static void http_stop(void *arg)
{
	struct http *h = arg;

	h->stopping = true;
	for (size_t i = 0; i < h->port_count; i++) {
		struct port *port = &h->ports[i];

		if (!port->daemon)
			continue;
		/* stopping with a suspended one aborts; this run takes all back and answers */
		conn_give_up_all(&port->conns, give_up);
		run_port(port);
		MHD_stop_daemon(port->daemon);
		port->daemon = NULL;
	}
}

static void http_done(void *arg)
{
	struct http *h = arg;

	http_stop(h);
	for (size_t i = 0; i < h->port_count; i++)
		assert(!h->ports[i].conns.bodies.used);
	free(h);
}

/* ---- the beginning ---- */

/* The library's options are rows of (option, number or function, pointer). */
#define FUNCTION(f) ((intptr_t)(f))

static struct MHD_Daemon *start_daemon(struct port *port)
{
	const struct http_listener *o = &port->options;
	struct http *h = port->http;
	/* Strict, 0.9.75 answers a missing Host with two heads and a space in the target not at
	 * all; head.c refuses both. (A Content-Length that is no number gets its two heads still:
	 * 400, then the end.) 1.0 is strict in all that head.c looks for. */
	const int strict = h->own_lines ? 1 : 0;
	const size_t memory = o->memory ? o->memory : HTTP_MEMORY_PUBLIC;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities() },
		{ MHD_OPTION_HTTPS_CERT_CALLBACK, 0, tls_retrieve() },
		{ MHD_OPTION_END, 0, NULL },
	};
	struct MHD_OptionItem options[] = {
		{ MHD_OPTION_EXTERNAL_LOGGER, FUNCTION(on_message), h },
		{ MHD_OPTION_LISTEN_SOCKET, o->fd, NULL },
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)memory, NULL },
		{ MHD_OPTION_CONNECTION_LIMIT, o->connections_max, NULL },
		{ MHD_OPTION_PER_IP_CONNECTION_LIMIT, o->per_address_max, NULL },
		{ MHD_OPTION_STRICT_FOR_CLIENT, strict, NULL },
		{ MHD_OPTION_UNESCAPE_CALLBACK, FUNCTION(on_unescape), NULL },
		{ MHD_OPTION_URI_LOG_CALLBACK, FUNCTION(http_on_target), port },
		{ MHD_OPTION_NOTIFY_COMPLETED, FUNCTION(http_on_completed), port },
		{ MHD_OPTION_NOTIFY_CONNECTION, FUNCTION(on_connection), port },
		{ o->tls ? MHD_OPTION_ARRAY : MHD_OPTION_END, 0, tls },
		{ MHD_OPTION_END, 0, NULL },
	};
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

	if (o->tls)
		flags |= MHD_USE_TLS;
	return MHD_start_daemon(flags, 0, NULL, NULL, http_on_request, port, MHD_OPTION_ARRAY,
				options, MHD_OPTION_END);
}

static enum err start_port(struct http *h, struct port *port, const struct http_listener *options)
{
	const union MHD_DaemonInfo *info;

	port->http = h;
	port->options = *options;
	conn_list_init(&port->conns, &h->limits, options->connections_max,
		       options->tls ? HANDSHAKES_MAX : UINT_MAX);
	if (options->bodies_max)
		port->conns.bodies.max = options->bodies_max;
	port->daemon = start_daemon(port);
	if (!port->daemon)
		return ERR_IO;
	/* the first run puts the listening socket into the library's epoll */
	port->again = true;
	info = MHD_get_daemon_info(port->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	return info ? worker_watch(h->worker, info->epoll_fd, &port->ready) : ERR_IO;
}

static void close_listeners(const struct http_options *options, size_t from)
{
	for (size_t i = from; i < options->listener_count; i++)
		close(options->listeners[i].fd);
}

enum err http_attach(struct worker *w, const struct http_options *options)
{
	const size_t count = options->listener_count;
	struct http *h = calloc(1, sizeof(*h) + count * sizeof(*h->ports));
	struct worker_driver driver = {
		.run = http_run,
		.finished = http_finished,
		.drain = http_drain,
		.stop = http_stop,
		.done = http_done,
		.arg = h,
	};

	if (!h) {
		close_listeners(options, 0);
		return ERR_NOMEM;
	}
	h->worker = w;
	h->limits = options->limits;
	h->own_lines = MHD_get_version()[0] >= '1';
	for (; h->port_count < count; h->port_count++) {
		size_t i = h->port_count;
		enum err e = start_port(h, &h->ports[i], &options->listeners[i]);

		if (!e)
			continue;
		/* a daemon that did start has its socket, and closes it */
		close_listeners(options, h->ports[i].daemon ? i + 1 : i);
		h->port_count++;
		http_done(h);
		return e;
	}
	worker_drive(w, &driver);
	return ERR_OK;
}
