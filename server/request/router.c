/* Finds a request's row, reads its body as the row says, asks who is calling, and lets the row's
 * handler decide. The order is fixed and the same for all: what costs nothing is refused first, and
 * no handler runs before its row's authentication said yes.
 *
 * A path is compared raw. Decoding happens once, after the row is known and only inside a
 * {segment}, so that no second reading of "%2F" or "%2e" can lead to another row than the one whose
 * rules were applied. */
#include "server/request/router.h"

#include <assert.h>

#include "server/request/app.h"
#include "server/token/auth.h"
#include "server/request/dress.h"

enum { PATH_ARGS_MAX = sizeof(((struct request *)0)->path_args) / sizeof(struct str) };

/* At the root of the public listener whatever the issuer's path is: orchestrators ask them. */
static const char *const at_root[] = { "/livez", "/readyz" };

/* RFC 8414 3.1: the well-known part stands between host and path; OpenID Connect Discovery 4
 * appends it. Clients of either school find both documents. */
static const char *const path_inserted[] = {
	"/.well-known/oauth-authorization-server",
	"/.well-known/openid-configuration",
};

/* The three ways a request's path can be read; absent when it has not that form. */
struct target {
	struct str raw;
	struct str below;    /* after the issuer's path */
	struct str inserted; /* before the issuer's path */
};

struct raw_args {
	struct str segments[PATH_ARGS_MAX];
	size_t count;
};

static bool one_of(const char *pattern, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(pattern, list[i]) == 0)
			return true;
	}
	return false;
}

static struct target target_of(const struct request *rq)
{
	const struct str base = rq->snapshot->config->issuer_path;
	struct target t = { .raw = rq->path };

	if (rq->listener != LISTENER_PUBLIC)
		return t;
	if (str_starts(rq->path, base))
		t.below = str_n(rq->path.p + base.n, rq->path.n - base.n);
	if (base.n > 0 && str_ends(rq->path, base))
		t.inserted = str_n(rq->path.p, rq->path.n - base.n);
	return t;
}

/* Cuts "/segment" off *rest. False when *rest does not begin with a slash. */
static bool segment(struct str *rest, struct str *ret_segment)
{
	const char *end;

	if (rest->n == 0 || rest->p[0] != '/')
		return false;
	end = memchr(rest->p + 1, '/', rest->n - 1);
	ret_segment->p = rest->p + 1;
	ret_segment->n = end ? (size_t)(end - rest->p) - 1 : rest->n - 1;
	rest->p += ret_segment->n + 1;
	rest->n -= ret_segment->n + 1;
	return true;
}

static bool fits(const char *pattern, struct str path, struct raw_args *ret_args)
{
	struct str want_rest = str_z(pattern);
	struct str want, have;

	ret_args->count = 0;
	while (want_rest.n > 0) {
		if (!segment(&want_rest, &want) || !segment(&path, &have))
			return false;
		if (str_equal_z(want, "{*}"))
			return true;
		if (want.n == 0 || want.p[0] != '{') {
			if (!str_equal(want, have))
				return false;
			continue;
		}
		if (have.n == 0 || ret_args->count == PATH_ARGS_MAX)
			return false;
		ret_args->segments[ret_args->count++] = have;
	}
	return path.n == 0;
}

static bool row_fits(const struct route *row, const struct target *t, enum listener listener,
		     struct raw_args *ret_args)
{
	if (!(row->listeners & listener))
		return false;
	if (listener != LISTENER_PUBLIC ||
	    one_of(row->pattern, at_root, sizeof(at_root) / sizeof(*at_root)))
		return fits(row->pattern, t->raw, ret_args);
	if (fits(row->pattern, t->below, ret_args))
		return true;
	return t->inserted.p && fits(row->pattern, t->inserted, ret_args) &&
	       one_of(row->pattern, path_inserted, sizeof(path_inserted) / sizeof(*path_inserted));
}

static bool row_takes(const struct route *row, enum method method)
{
	return row->any_method || row->method == method ||
	       (row->method == METHOD_GET && method == METHOD_HEAD);
}

/* Of all rows that fit the path only those with the fewest {segments} count, so that "/keys/plan"
 * is never a key whose kid is "plan". Sets rq->route (any of them, if none takes the method) and
 * rq->allow. */
static void choose(struct request *rq, struct raw_args *ret_args)
{
	const struct target t = target_of(rq);
	size_t fewest = SIZE_MAX;
	bool taken = false;

	for (size_t i = 0; i < route_count; i++) {
		const struct route *row = &routes[i];
		struct raw_args args;

		if (!row_fits(row, &t, rq->listener, &args) || args.count > fewest)
			continue;
		if (args.count < fewest) {
			fewest = args.count;
			taken = false;
			rq->route = NULL;
			rq->allow = 0;
		}
		rq->allow |= 1u << row->method;
		if (row->method == METHOD_GET)
			rq->allow |= 1u << METHOD_HEAD;
		if (!rq->route || (!taken && row_takes(row, rq->method))) {
			taken = row_takes(row, rq->method);
			rq->route = row;
			*ret_args = args;
		}
	}
}

/* RFC 3986 2.1; '+' is itself in a path (3.3). Ids are %x20-7E, so that no NUL, control or line
 * break hides behind an escape. */
static enum err percent_decode(struct arena *a, struct str raw, struct str *ret_text)
{
	char *out = arena_alloc(a, raw.n + 1);
	size_t n = 0;

	if (!out)
		return ERR_NOMEM;
	for (size_t i = 0; i < raw.n; i++) {
		int high, low;

		if (raw.p[i] != '%') {
			out[n++] = raw.p[i];
			continue;
		}
		high = i + 2 < raw.n ? hex_value(raw.p[i + 1]) : -1;
		low = i + 2 < raw.n ? hex_value(raw.p[i + 2]) : -1;
		if (high < 0 || low < 0)
			return ERR_SYNTAX;
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	if (!str_is_vschar(str_n(out, n)))
		return ERR_SYNTAX;
	*ret_text = str_n(out, n);
	return ERR_OK;
}

size_t router_target_max(enum listener listener)
{
	return listener & (LISTENER_GATEWAY | LISTENER_SIDECAR) ? HTTP_TARGET_GATEWAY_MAX
								: HTTP_TARGET_MAX;
}

enum err router_match(struct request *rq)
{
	const size_t max = router_target_max(rq->listener);
	struct raw_args args = { .count = 0 };
	enum err e;

	if (rq->path.n + rq->query.n > max)
		return fail(rq, ERR_URI_TOO_LONG, "target of more than %zu bytes", max);
	choose(rq, &args);
	if (!rq->route)
		return fail(rq, ERR_NO_ROUTE, "no such path on this listener");
	if (!row_takes(rq->route, rq->method))
		return fail(rq, ERR_METHOD, "path does not take this method");
	for (size_t i = 0; i < args.count; i++) {
		e = percent_decode(rq->arena, args.segments[i], &rq->path_args[i]);
		if (e == ERR_SYNTAX)
			return fail(rq, ERR_BAD_REQUEST, "bad escape or character in the path");
		if (e)
			return e;
	}
	return ERR_OK;
}

/* Type and subtype without case (RFC 9110 8.3.1), then nothing but a charset parameter. */
static bool media_is(struct str header, const char *want)
{
	struct str rest = header;
	struct str part;

	if (!str_next(&rest, ';', &part) || !str_case_equal(str_trim(part), str_z(want)))
		return false;
	while (str_next(&rest, ';', &part)) {
		struct str name;

		part = str_trim(part);
		if (part.n > 0 &&
		    (!str_next(&part, '=', &name) || !str_case_equal(name, STR("charset"))))
			return false;
	}
	return true;
}

static enum err read_form(struct request *rq)
{
	enum err e;

	/* RFC 6749 3.2, appendix B; security rule: JSON or multipart here is invalid_request */
	if (!media_is(rq->content_type, "application/x-www-form-urlencoded"))
		return fail(rq, ERR_INVALID_REQUEST, "body is not declared as a form");
	rq->form = arena_new_of(rq->arena, struct form);
	if (!rq->form)
		return ERR_NOMEM;
	e = form_parse(rq->arena, rq->body, rq->form);
	if (e == ERR_NOMEM)
		return e;
	if (e == ERR_CONFLICT) /* RFC 6749 3.2: parameters MUST NOT be included more than once */
		return fail(rq, ERR_INVALID_REQUEST, "a parameter stands twice in the form");
	if (e)
		return fail(rq, ERR_INVALID_REQUEST, "form cannot be read: %s", err_name(e));
	return ERR_OK;
}

static bool media_is_json(const struct request *rq)
{
	if (rq->method == METHOD_PATCH &&
	    media_is(rq->content_type, "application/merge-patch+json"))
		return true; /* RFC 7396 */
	return media_is(rq->content_type, "application/json");
}

static enum err read_json(struct request *rq)
{
	const bool nothing = rq->body.n == 0 && !rq->content_type.p;
	enum err e;

	if (!nothing && !media_is_json(rq))
		return fail(rq, ERR_MEDIA_TYPE, "body is not declared as JSON");
	e = json_parse(rq->body.n ? rq->body : STR("{}"), rq->route->body_max, &rq->json_owned);
	if (e == ERR_NOMEM)
		return e;
	if (e)
		return fail(rq, ERR_BAD_REQUEST, "JSON cannot be read: %s", err_name(e));
	if (json_type(rq->json_owned) != JSON_OBJECT)
		return fail(rq, ERR_BAD_REQUEST, "JSON is no object");
	rq->json = rq->json_owned;
	return ERR_OK;
}

static enum err read_body(struct request *rq)
{
	if (rq->body.n > rq->route->body_max)
		return fail(rq, ERR_TOO_LARGE, "body of more than %zu bytes", rq->route->body_max);
	switch (rq->route->body) {
	case BODY_FORM:
		return read_form(rq);
	case BODY_JSON:
		return read_json(rq);
	case BODY_IGNORED:
	case BODY_NONE:
		break;
	}
	return ERR_OK;
}

/* Authentication has spoken. */
static enum err handle(struct request *rq, enum err verdict)
{
	return verdict ? verdict : rq->route->handle(rq);
}

static enum err authenticate(struct request *rq)
{
	switch (rq->route->auth) {
	case AUTH_NONE:
		return handle(rq, ERR_OK);
	case AUTH_CLIENT:
		return auth_client(rq, handle);
	case AUTH_ADMIN:
		return handle(rq, auth_admin(rq, rq->route->scope));
	case AUTH_DENY:
		break;
	}
	return fail(rq, ERR_FORBIDDEN, "the route's row lets nobody in");
}

static enum err settle(struct request *rq, enum err e)
{
	if (e == ERR_PARKED)
		return e;
	if (e) {
		router_refuse(rq, e);
		return ERR_OK;
	}
	assert(rq->response.status != 0);
	dress_finish(rq);
	return ERR_OK;
}

enum err router_run(struct request *rq)
{
	enum err e = read_body(rq);

	return settle(rq, e ? e : authenticate(rq));
}

enum err router_resume(struct request *rq)
{
	return settle(rq, rq->next(rq, rq->task.result));
}
