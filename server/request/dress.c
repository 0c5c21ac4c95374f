/* How refusals look. A handler returns an error and a sentence for our log; what the client sees is
 * the error table's row in the route's dress: OAuth's JSON (RFC 6749 5.2), a problem (RFC 9457), or
 * the bare status. Nothing of the request's input is ever repeated, except what the admin API puts
 * into rq->description for a caller it has authenticated. */
#include "server/request/dress.h"

#include <stdio.h>

#include "server/request/app.h"
#include "server/token/auth.h"

enum { REFUSAL_MAX = 4096, CHALLENGE_MAX = SCOPE_MAX + 256 };

static const struct {
	int status;
	const char *phrase;
} phrases[] = {
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 409, "Conflict" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 422, "Unprocessable Content" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 503, "Service Unavailable" },
};

/* RFC 9110 15 */
static const char *status_phrase(int status)
{
	for (size_t i = 0; i < sizeof(phrases) / sizeof(*phrases); i++) {
		if (phrases[i].status == status)
			return phrases[i].phrase;
	}
	return "Error";
}

static void no_store(struct request *rq)
{
	respond_header(rq, "Cache-Control", STR("no-store"));
	respond_header(rq, "Pragma", STR("no-cache")); /* RFC 6749 5.1 */
}

void dress_finish(struct request *rq)
{
	respond_header(rq, "X-Content-Type-Options", STR("nosniff"));
	if (rq->route->no_store)
		no_store(rq);
}

/* What leaves for a fact about our own work: 503 for what may pass, else 500, and no more than
 * that. */
static enum err on_wire(enum err e)
{
	if (e > ERR_WIRE && e < ERR_COUNT)
		return e;
	return err_row(e)->status == 503 ? ERR_UNAVAILABLE : ERR_SERVER;
}

static enum route_dress dress_of(const struct request *rq)
{
	if (rq->route)
		return rq->route->dress;
	return rq->listener == LISTENER_ADMIN || rq->listener == LISTENER_SOCKET ? DRESS_PROBLEM
										 : DRESS_STATUS;
}

/* Arena text from a builder that may have failed: then the header is left out, the status stays. */
static void header_from(struct request *rq, const char *name, struct buf *b)
{
	struct str text;

	if (buf_end(b, &text) == ERR_OK)
		respond_header(rq, name, text);
}

/* RFC 9110 15.5.6: the methods the path does take. */
static void allow_header(struct request *rq)
{
	struct buf b;

	buf_init(&b, rq->arena, 128);
	for (unsigned m = METHOD_GET; m < METHOD_COUNT; m++) {
		if (!(rq->allow & 1u << m))
			continue;
		if (b.n > 0)
			buf_z(&b, ", ");
		buf_z(&b, method_name((enum method)m));
	}
	header_from(rq, "Allow", &b);
}

static void retry_header(struct request *rq)
{
	struct buf b;

	buf_init(&b, rq->arena, 32);
	buf_i64(&b, rq->retry_after > 0 ? rq->retry_after : 1);
	header_from(rq, "Retry-After", &b);
}

/* The names that open a route of the admin API, as the built-in api declares them. */
static void opening_scopes(const struct request *rq, struct buf *b)
{
	const struct api *api = api_by_slug(&rq->snapshot->apis, STR(ADMIN_API_SLUG));
	struct str rest = api ? api->scope : STR_NONE;
	bool first = true;
	struct str name;

	while (str_next(&rest, ' ', &name)) {
		if (!(admin_scope_bits(name) & rq->route->scope))
			continue;
		if (!first)
			buf_byte(b, ' ');
		buf_str(b, name);
		first = false;
	}
}

/* Left out where no scope would help, a role is missing. */
static void scope_attribute(const struct request *rq, struct buf *b)
{
	const bool admin = rq->route && rq->route->auth == AUTH_ADMIN;

	if (!admin && !rq->challenge_scope.n)
		return;
	buf_z(b, ", scope=\"");
	if (admin)
		opening_scopes(rq, b);
	else
		buf_str(b, rq->challenge_scope);
	buf_byte(b, '"');
}

/* RFC 6750 3: no error code without credentials, the scope that would do with too little. */
static void bearer_challenge(struct request *rq, enum err e)
{
	struct buf b;

	buf_init(&b, rq->arena, CHALLENGE_MAX);
	buf_z(&b, "Bearer realm=\"chancery\"");
	if (e == ERR_INVALID_TOKEN || e == ERR_INSUFFICIENT_SCOPE)
		buf_fmt(&b, ", error=\"%s\"", err_row(e)->wire);
	if (e == ERR_INVALID_TOKEN && rq->challenge_text)
		buf_fmt(&b, ", error_description=\"%s\"", rq->challenge_text);
	if (e == ERR_INSUFFICIENT_SCOPE)
		scope_attribute(rq, &b);
	header_from(rq, "WWW-Authenticate", &b);
}

static void error_headers(struct request *rq, enum err e, int status)
{
	if (e == ERR_INVALID_CLIENT) /* RFC 6749 5.2 */
		respond_header(rq, "WWW-Authenticate", STR("Basic realm=\"chancery\""));
	else if (status == 401 || e == ERR_INSUFFICIENT_SCOPE)
		bearer_challenge(rq, e);
	if (e == ERR_METHOD)
		allow_header(rq);
	if (status == 429 || status == 503)
		retry_header(rq);
}

static void oauth_body(const struct err_row *row, struct buf *b)
{
	struct jsonw w;

	jsonw_init(&w, b);
	jsonw_object(&w);
	jsonw_member_z(&w, "error", row->wire ? row->wire : "invalid_request");
	jsonw_member_z(&w, "error_description", row->description);
	jsonw_end_object(&w);
}

static void problem_body(const struct request *rq, const struct err_row *row, struct buf *b)
{
	char ready[RFC3339_LEN + 1];
	char type[80];
	struct jsonw w;

	snprintf(type, sizeof(type), "urn:chancery:problem:%s", row->name);
	jsonw_init(&w, b);
	jsonw_object(&w);
	jsonw_member_z(&w, "type", type);
	jsonw_member_z(&w, "title", status_phrase(row->status));
	jsonw_member_int(&w, "status", row->status);
	jsonw_member_z(&w, "detail", rq->description ? rq->description : row->description);
	if (rq->pointer.p) /* RFC 9457 3.2 */
		jsonw_member(&w, "pointer", rq->pointer);
	jsonw_member_z(&w, "instance", rq->id);
	if (rq->ready_at > 0) {
		rfc3339(rq->ready_at, ready);
		jsonw_member_z(&w, "ready_at", ready);
	}
	if (rq->laggards.p) {
		jsonw_key(&w, "laggards");
		jsonw_raw(&w, rq->laggards);
	}
	jsonw_end_object(&w);
}

static const char *error_body(const struct request *rq, const struct err_row *row, struct buf *b)
{
	switch (dress_of(rq)) {
	case DRESS_OAUTH:
		oauth_body(row, b);
		return "application/json";
	case DRESS_PROBLEM:
		problem_body(rq, row, b);
		return "application/problem+json";
	case DRESS_STATUS:
		break;
	}
	buf_z(b, status_phrase(row->status));
	buf_byte(b, '\n');
	return "text/plain";
}

void router_refuse(struct request *rq, enum err e)
{
	const enum err shown = on_wire(e);
	const struct err_row *row = err_row(shown);
	struct response *r = &rq->response;
	struct buf b;

	rq->error = e;
	*r = (struct response){ .status = row->status };
	respond_header(rq, "X-Content-Type-Options", STR("nosniff"));
	no_store(rq);
	error_headers(rq, shown, row->status);
	buf_init(&b, rq->arena, REFUSAL_MAX);
	r->content_type = error_body(rq, row, &b);
	if (buf_end(&b, &r->body) != ERR_OK) { /* no memory: the status says enough */
		r->content_type = NULL;
		r->body = STR("");
	}
}
