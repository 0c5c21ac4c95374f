/* Every string of the head is copied into the arena: the library's memory is the connection's, and
 * a connection that gives up a parked request goes on without it while the lane still reads. */
#include "server/http/exchange.h"

#include <assert.h>

#include "base/limits.h"
#include "server/request/app.h"
#include "server/request/router.h"

/* The first refusal counts. */
static void refuse(struct exchange *x, enum err e, int status)
{
	if (x->refused)
		return;
	x->refused = e;
	x->refused_status = status;
}

struct exchange *exchange_new(struct worker *w, enum listener listener, struct str target,
			      struct bodies *bodies)
{
	struct arena *a = worker_arena(w);
	struct exchange *x;
	enum err e;

	if (!a)
		return NULL;
	x = arena_new_of(a, struct exchange);
	target = arena_str(a, target);
	if (arena_failed(a)) {
		worker_arena_return(w, a);
		return NULL;
	}
	x->target = target;
	x->bodies = bodies;
	x->rq.app = worker_app(w);
	x->rq.worker = w;
	x->rq.worker_index = worker_index(w);
	x->rq.arena = a;
	x->rq.log = worker_log(w);
	x->rq.metrics = worker_metrics(w);
	x->rq.signer = worker_signer(w);
	x->rq.listener = listener;
	x->rq.peer_uid = -1;
	count_begun(x->rq.metrics, listener);
	e = request_begin(&x->rq);
	if (e)
		refuse(x, fail(&x->rq, e, "no request id"), 0);
	if (!x->rq.snapshot)
		x->rq.snapshot = snapshot_get(x->rq.app);
	return x;
}

/* ---- the head ---- */

static void take_fields(struct exchange *x)
{
	struct request *rq = &x->rq;
	const struct str *field = x->head.field;

	rq->path = x->head.path;
	rq->query = x->head.query;
	rq->authorization = arena_str(rq->arena, field[HEAD_AUTHORIZATION]);
	rq->content_type = arena_str(rq->arena, field[HEAD_CONTENT_TYPE]);
	rq->if_match = arena_str(rq->arena, field[HEAD_IF_MATCH]);
	rq->if_none_match = arena_str(rq->arena, field[HEAD_IF_NONE_MATCH]);
	rq->accept = arena_str(rq->arena, field[HEAD_ACCEPT]);
	rq->origin = arena_str(rq->arena, field[HEAD_ORIGIN]);
}

static void take_peer(struct exchange *x, const struct peer *peer)
{
	struct request *rq = &x->rq;
	struct address client = peer->address;
	char text[ADDRESS_TEXT_MAX];

	rq->peer_trusted = peer->trusted;
	rq->peer_uid = peer->uid;
	if (peer->certified)
		rq->certificate = arena_str(rq->arena, str_n((const char *)peer->certificate,
							     sizeof(peer->certificate)));
	if (!peer->text[0]) {
		rq->address = STR("unix");
		return;
	}
	/* a gateway may pass its client's fields on as they came: they prove nothing there */
	if (!(rq->listener & (LISTENER_GATEWAY | LISTENER_SIDECAR)))
		proxy_client(&rq->snapshot->config->server.trusted_proxies, &peer->address,
			     &x->head, &client);
	if (!memcmp(&client, &peer->address, sizeof(client))) {
		rq->address = arena_str(rq->arena, str_z(peer->text));
		return;
	}
	address_write(&client, text);
	rq->address = arena_str(rq->arena, str_z(text));
}

/* Before a byte of body is read: how much the route takes. */
static void open_body(struct exchange *x)
{
	const struct route *route = x->rq.route;
	size_t max = route->body == BODY_NONE ? FORM_SIZE_MAX : route->body_max;

	x->keeps = route->body == BODY_FORM || route->body == BODY_JSON;
	buf_init(&x->body, x->rq.arena, max);
	if (x->head.content_length > (int64_t)max)
		refuse(x,
		       fail(&x->rq, ERR_TOO_LARGE, "a body of %lld bytes",
			    (long long)x->head.content_length),
		       0);
}

void exchange_open(struct exchange *x, const struct peer *peer)
{
	struct request *rq = &x->rq;
	enum err e;

	take_peer(x, peer);
	x->head.target_max = router_target_max(rq->listener);
	e = head_check(&x->head);
	rq->method = x->head.verb;
	if (e) {
		/* what follows on this connection may not begin where we think it does */
		x->close = true;
		refuse(x, fail(rq, e, "%s", x->head.why), x->head.status);
		return;
	}
	/* the library ends a chunk's line at a bare LF (RFC 9112 2.2 lets it), where a proxy may
	 * see a longer extension: what follows may not begin where we think it does */
	x->close = x->head.chunked;
	take_fields(x);
	if (!x->refused && arena_failed(rq->arena))
		refuse(x, fail(rq, ERR_NOMEM, "no memory for the head"), 0);
	if (!x->refused)
		refuse(x, router_match(rq), 0);
	if (!x->refused && head_has_body(&x->head))
		open_body(x);
	if (x->refused && head_has_body(&x->head))
		x->close = true;
}

bool exchange_refuses_now(const struct exchange *x)
{
	if (!x->refused)
		return false;
	/* the head's own faults; a client that waits for our word; more than we would throw away */
	return x->head.why || x->head.field[HEAD_EXPECT].p ||
	       x->head.content_length > BODY_DISCARD_MAX;
}

/* ---- the body ---- */

static void stop_keeping(struct exchange *x, enum err e)
{
	x->keeps = false;
	x->close = true;
	refuse(x, e, 0);
}

bool exchange_body(struct exchange *x, const char *p, size_t n)
{
	struct request *rq = &x->rq;

	x->received += n;
	if (x->received > BODY_CHUNKED_MAX)
		return false;
	if (!x->refused && x->received > x->body.max)
		stop_keeping(x,
			     fail(rq, ERR_TOO_LARGE, "a body of more than %zu bytes", x->body.max));
	if (x->refused || !x->keeps)
		return true;
	x->counted += n;
	x->bodies->used += n;
	if (x->bodies->used > x->bodies->max)
		stop_keeping(x, fail(rq, ERR_UNAVAILABLE, "too many bodies in flight"));
	else
		buf_add(&x->body, p, n);
	return true;
}

static void uncount(struct exchange *x)
{
	x->bodies->used -= x->counted;
	x->counted = 0;
}

void exchange_give_way(struct exchange *x)
{
	uncount(x);
	stop_keeping(x, fail(&x->rq, ERR_UNAVAILABLE, "the body came too slowly"));
}

/* ---- the answer ---- */

static enum err settle(struct exchange *x, enum err e)
{
	x->held = e == ERR_PARKED;
	x->ready = !x->held;
	if (e && !x->held)
		router_refuse(&x->rq, e);
	return x->held ? ERR_PARKED : ERR_OK;
}

static void answer_refusal(struct exchange *x)
{
	struct request *rq = &x->rq;

	if (x->refused == ERR_UNAVAILABLE)
		rq->retry_after = 1;
	router_refuse(rq, x->refused);
	if (x->refused_status) { /* the body speaks of the error's own status */
		rq->response.status = x->refused_status;
		rq->response.content_type = NULL;
		rq->response.body = STR_NONE;
	}
	x->ready = true;
}

void exchange_shed(struct exchange *x)
{
	x->close = true;
	refuse(x, fail(&x->rq, ERR_UNAVAILABLE, "the connection is ending"), 0);
}

enum err exchange_run(struct exchange *x)
{
	if (!x->refused && x->keeps)
		refuse(x, buf_end(&x->body, &x->rq.body), 0);
	if (x->refused) {
		answer_refusal(x);
		return ERR_OK;
	}
	return settle(x, router_run(&x->rq));
}

enum err exchange_resume(struct exchange *x)
{
	assert(x->held);
	return settle(x, router_resume(&x->rq));
}

/* ---- the end ---- */

void exchange_sent(struct exchange *x)
{
	x->logged = true;
	router_log(&x->rq);
}

void exchange_lost(struct exchange *x, bool late)
{
	struct request *rq = &x->rq;
	enum err e = ERR_BAD_REQUEST;

	if (x->logged)
		return;
	if (x->given_up)
		e = fail(rq, ERR_UNAVAILABLE, "given up while a lane worked; it says %s",
			 err_name(rq->task.result));
	else if (late)
		(void)fail(rq, e, "a deadline passed before there was an answer");
	else
		(void)fail(rq, e, "the client left before there was an answer");
	rq->response = (struct response){ 0 };
	router_refuse(rq, e);
	if (!x->given_up && late)
		rq->response.status = 408; /* what it would have been told */
	exchange_sent(x);
}

void exchange_free(struct exchange *x)
{
	struct worker *w = x->rq.worker;
	struct arena *a = x->rq.arena;

	assert(!x->held && !x->bound);
	uncount(x);
	count_ended(x->rq.metrics, x->rq.listener);
	request_done(&x->rq);
	worker_arena_return(w, a);
}
