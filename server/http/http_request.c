/* Requests, as libmicrohttpd brings them.
 *
 * http_on_target at the request line makes the exchange; http_on_request is called once when the
 * head is complete (a response queued here closes the connection, so only refusals that cannot wait
 * are), once per piece of body, and once after it, where the router runs. When a lane takes the
 * request the connection is suspended; when it is resumed that last call comes again.
 * http_on_completed ends it. */
#include "server/http/http_microhttpd.h"

#include "server/request/app.h"
#include "server/request/router.h"

static struct conn *conn_of(struct MHD_Connection *c)
{
	return MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* ---- answering ---- */

/* The body is borrowed: it lives in the arena, with the snapshot or in rq->large, until
 * on_completed. */
static struct MHD_Response *new_response(struct str body)
{
	return MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p,
					       MHD_RESPMEM_PERSISTENT);
}

static bool add_headers(struct MHD_Response *response, const struct exchange *x, bool close)
{
	const struct request *rq = &x->rq;
	const struct response *r = &rq->response;
	bool ok = true;

	if (r->content_type)
		ok &= MHD_add_response_header(response, "Content-Type", r->content_type);
	for (size_t i = 0; i < r->header_count; i++) {
		/* the library takes no empty value; a space is white space around one (RFC 9110
		 * 5.5), and the reader sees none */
		const char *value = r->headers[i].value.n ? arena_z(rq->arena, r->headers[i].value)
							  : " ";

		ok &= value && MHD_add_response_header(response, r->headers[i].name, value);
	}
	ok &= MHD_add_response_header(response, "X-Request-Id", rq->id);
	if (close)
		ok &= MHD_add_response_header(response, "Connection", "close");
	return ok;
}

static enum MHD_Result send_response(struct MHD_Connection *c, unsigned status,
				     struct MHD_Response *response)
{
	enum MHD_Result queued = response ? MHD_queue_response(c, status, response) : MHD_NO;

	if (response)
		MHD_destroy_response(response);
	return queued;
}

/* For a request whose lane still works: nothing of it may be touched but its id. */
static enum MHD_Result answer_given_up(struct conn *conn, struct exchange *x)
{
	struct MHD_Response *response = new_response(STR_NONE);

	if (response) {
		MHD_add_response_header(response, "X-Request-Id", x->rq.id);
		MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
		MHD_add_response_header(response, "Cache-Control", "no-store");
		MHD_add_response_header(response, "Retry-After", "1");
		MHD_add_response_header(response, "Connection", "close");
	}
	return send_response(conn->handle, MHD_HTTP_SERVICE_UNAVAILABLE, response);
}

static enum MHD_Result answer(struct conn *conn, struct exchange *x)
{
	struct MHD_Response *response = new_response(x->rq.response.body);

	if (response && !add_headers(response, x, x->close || port_of(conn)->http->draining)) {
		MHD_destroy_response(response);
		response = NULL;
	}
	if (!response)
		(void)fail(&x->rq, ERR_INTERNAL, "the answer could not be built");
	if (!send_response(conn->handle, (unsigned)x->rq.response.status, response))
		return MHD_NO;
	exchange_sent(x);
	return MHD_YES;
}

/* ---- a request ---- */

void *http_on_target(void *arg, const char *target, struct MHD_Connection *c)
{
	struct port *port = arg;
	struct http *h = port->http;
	struct conn *conn = conn_of(c);
	struct exchange *x;

	h->progress = true;
	if (!conn)
		return NULL;
	x = exchange_new(h->worker, port->options.kind, str_z(target), &port->conns.bodies);
	if (!x)
		return NULL;
	x->rq.connection = conn;
	x->bound = true;
	conn_begin(&port->conns, conn, x, h->now_us);
	return x;
}

static enum MHD_Result on_field(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_n,
				const char *value, size_t value_n)
{
	(void)kind;
	head_field(arg, str_n(name, name_n), str_n(value, value_n));
	return MHD_YES;
}

/* After the handshake, before the first request of a connection. */
static void read_certificate(struct conn *conn)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		conn->handle, MHD_CONNECTION_INFO_GNUTLS_SESSION);

	conn->peer.certified = tls_client_certificate(info->tls_session, conn->peer.certificate);
}

/* The first call: the head is complete. */
static enum MHD_Result on_head(struct conn *conn, struct exchange *x, const char *url,
			       const char *method, const char *version)
{
	struct port *port = port_of(conn);
	struct http *h = port->http;
	struct head *head = &x->head;
	const union MHD_ConnectionInfo *info;

	head_begin(head, str_z(method), x->target, str_z(version));
	if (!h->own_lines)
		head_wire(head, url);
	MHD_get_connection_values_n(conn->handle, MHD_HEADER_KIND, on_field, head);
	info = MHD_get_connection_info(conn->handle, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	head_end(head, info->header_size);
	if (port->options.tls && !conn->served)
		read_certificate(conn);
	exchange_open(x, &conn->peer);
	if (exchange_refuses_now(x) && exchange_run(x) == ERR_OK)
		return answer(conn, x);
	conn_head_done(&port->conns, conn, head_has_body(head), h->now_us);
	return MHD_YES;
}

/* The last call; after a park it comes once more. */
static enum MHD_Result on_end(struct conn *conn, struct exchange *x)
{
	conn_body_done(conn);
	if (x->given_up)
		return answer_given_up(conn, x);
	/* a request parked now might still be so when the daemon stops, or have no deadline */
	if (!x->ready && (conn->cut || port_of(conn)->http->stopping))
		exchange_shed(x);
	if (!x->ready && exchange_run(x) == ERR_PARKED) {
		MHD_suspend_connection(conn->handle);
		return MHD_YES;
	}
	return answer(conn, x);
}

enum MHD_Result http_on_request(void *arg, struct MHD_Connection *c, const char *url,
				const char *method, const char *version, const char *data,
				size_t *data_n, void **state)
{
	struct port *port = arg;
	struct exchange *x = *state;

	port->http->progress = true;
	if (!x)
		return MHD_NO; /* there was no memory at its request line */
	if (!x->head.version.p)
		return on_head(conn_of(c), x, url, method, version);
	if (*data_n) {
		size_t n = *data_n;

		*data_n = 0;
		conn_make_body_room(&port->conns, conn_of(c), n);
		return exchange_body(x, data, n) ? MHD_YES : MHD_NO;
	}
	return on_end(conn_of(c), x);
}

void http_end_exchange(struct conn *conn, bool refused)
{
	struct port *port = port_of(conn);
	struct exchange *x = conn->exchange;

	conn_end(&port->conns, conn, port->http->now_us);
	x->bound = false;
	if (x->held)
		return; /* given up; the lane brings it back */
	if (!refused)
		exchange_lost(x, conn->late);
	exchange_free(x);
}

void http_on_completed(void *arg, struct MHD_Connection *c, void **state,
		       enum MHD_RequestTerminationCode code)
{
	(void)arg;
	(void)code;
	/* a status, and no log line of ours: exchange_lost would say that the client left */
	if (*state)
		http_end_exchange(conn_of(c),
				  MHD_get_connection_info(c, MHD_CONNECTION_INFO_HTTP_STATUS));
	*state = NULL;
}
