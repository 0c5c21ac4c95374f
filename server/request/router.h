/* From a filled request to a filled response. One row per route; what the row does not say is
 * refused: AUTH_DENY is 0, so that a forgotten column closes the door. */
#ifndef CHANCERY_SERVER_ROUTER_H
#define CHANCERY_SERVER_ROUTER_H

#include "server/request/request.h"

enum route_auth {
	AUTH_DENY = 0,
	AUTH_NONE,   /* public documents, health */
	AUTH_CLIENT, /* RFC 6749 2.3; public clients by client_id */
	AUTH_ADMIN,  /* socket peer, or a bearer token with the row's scope */
};

/* How an error looks. */
enum route_dress { DRESS_STATUS = 0, DRESS_OAUTH /* RFC 6749 5.2 */, DRESS_PROBLEM /* RFC 9457 */ };

/* BODY_IGNORED: read up to body_max and thrown away. */
enum route_body { BODY_NONE = 0, BODY_FORM, BODY_JSON, BODY_IGNORED };

struct route {
	const char *name; /* metrics and log label: "/oauth2/token" */
	enum method method;
	bool any_method; /* whatever `method` says */
	/* "/admin/v1/clients/{id}"; a {} matches one non-empty segment, {*} at the end whatever
	 * follows, a slash at the least */
	const char *pattern;
	unsigned listeners;
	enum route_auth auth;
	unsigned scope; /* AUTH_ADMIN: any of these bits opens it */
	enum route_dress dress;
	enum route_body body;
	size_t body_max;
	bool no_store;
	enum err (*handle)(struct request *rq);
};

extern const struct route routes[];
extern const size_t route_count;
/* Index of the request's row, for the metrics; METRICS_NO_ROUTE before there is one. */
unsigned route_index(const struct request *rq);

/* Patterns of the public listener live below the issuer's path, except health. The two metadata
 * documents are also found in RFC 8414 3.1's form, with the path at the end. {} segments are
 * percent-decoded into rq->path_args ('+' is itself there, RFC 3986 3.3) and must be %x20-7E
 * afterwards. */

/* Longest path and query together that a listener takes. */
size_t router_target_max(enum listener listener);

/* Before the body: finds the row (400 for a bad escape, 404, 405 with Allow, 414), the limits of
 * the body. ERR_OK and rq->route set, or the error; then call router_refuse. (With 405 the route is
 * set too: it gives the dress.) */
MUST_CHECK enum err router_match(struct request *rq);
/* After the body: media type, form or JSON, authentication, handler. Leaves rq->response filled and
 * returns ERR_OK, or ERR_PARKED. Every response gets X-Content-Type-Options, rows with no_store and
 * all errors Cache-Control: no-store and Pragma. */
enum err router_run(struct request *rq);
/* The lane is done: goes on. As router_run. */
enum err router_resume(struct request *rq);
/* Fills the response from an error, in the route's dress (or the listener's, without a route). */
void router_refuse(struct request *rq, enum err e);
/* The one log line and the counters. Call once, when the response is on its way. */
void router_log(struct request *rq);

#endif
