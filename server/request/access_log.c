/* The one line and the counters of a finished request. Only fields that exist are written; `reason`
 * is our own sentence and the only place where it is said why a request was refused. */
#include "server/request/router.h"

#include "server/request/app.h"
#include "server/token/endpoints.h"
#include "server/token/token.h"

/* log.access; a fault of ours is never silent. */
static bool wanted(const struct request *rq)
{
	const int status = rq->response.status;

	if (status >= 500)
		return true;
	switch (rq->snapshot->config->log.access) {
	case LOG_ACCESS_ALL:
		return true;
	case LOG_ACCESS_ERRORS:
		return status >= 400;
	case LOG_ACCESS_MODIFYING:
		return rq->method != METHOD_GET && rq->method != METHOD_HEAD;
	case LOG_ACCESS_OFF:
		break;
	}
	return false;
}

static void write_line(struct request *rq, int64_t micros)
{
	struct log_buf *b = rq->log;

	log_begin(b, rq->response.status >= 500 ? LOG_ERROR : LOG_INFO, "request");
	log_z(b, "request_id", rq->id);
	log_z(b, "listener", listener_name(rq->listener));
	log_z(b, "method", method_name(rq->method));
	log_z(b, "route", rq->route ? rq->route->name : NULL);
	log_int(b, "status", rq->response.status);
	log_int(b, "duration_us", micros);
	log_str(b, "remote", rq->address);
	log_str(b, "actor", rq->actor.name);
	log_str(b, "client_id", rq->log_client);
	log_str(b, "sub", rq->log_subject);
	log_str(b, "grant_type", rq->log_grant);
	log_z(b, "error", rq->error ? err_name(rq->error) : NULL);
	log_z(b, "reason", rq->why[0] ? rq->why : NULL);
	log_str(b, "kid", rq->log_kid);
	log_str(b, "jti", rq->log_jti);
	log_end(b);
}

unsigned route_index(const struct request *rq)
{
	return rq->route ? (unsigned)(rq->route - routes) : METRICS_NO_ROUTE;
}

static void count(const struct request *rq, int64_t micros)
{
	const struct request_labels labels = {
		.listener = rq->listener,
		.method = rq->method,
		.route = route_index(rq),
		.status = rq->response.status,
	};

	count_request(rq->metrics, &labels, micros);
	if (rq->error && rq->route && rq->route->handle == ep_token)
		count_token_error(rq->metrics,
				  rq->grant ? (unsigned)(rq->grant - grants) : METRICS_NO_GRANT,
				  rq->error);
}

void router_log(struct request *rq)
{
	const int64_t micros = rq->app->env->monotonic(rq->app->env) - rq->started_us;

	count(rq, micros);
	if (rq->log && wanted(rq))
		write_line(rq, micros);
}
