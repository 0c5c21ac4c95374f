/* From a target to a row, from a row to an answer: every way in and every way to be refused,
 * through the real routes. */
#include "tests/unit/suite.h"

#include <pthread.h>

#include "tests/helpers/flow.h"

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"

static struct flow *up(const char *const *sets)
{
	struct flow *f = calloc(1, sizeof(*f));

	ck_assert_ptr_nonnull(f);
	flow_up_with(f, sets);
	return f;
}

static void down(struct flow *f)
{
	flow_down(f);
	free(f);
}

static struct answer ask(struct flow *f, enum listener listener, enum method method,
			 const char *target)
{
	return flow_send(f, &(struct ask){ .listener = listener,
					   .method = method,
					   .target = target,
					   .root = listener == LISTENER_SOCKET });
}

/* ---- rows ---- */

START_TEST(every_row_says_who_may_enter_and_where)
{
	for (size_t i = 0; i < route_count; i++) {
		const struct route *r = &routes[i];

		ck_assert_ptr_nonnull(r->name);
		ck_assert_msg(r->pattern && r->pattern[0] == '/', "%s", r->name);
		ck_assert_msg(r->auth != AUTH_DENY && r->listeners && r->handle, "%s", r->name);
		ck_assert_msg(r->method == METHOD_GET || r->method == METHOD_POST ||
				      r->method == METHOD_PATCH || r->method == METHOD_DELETE,
			      "%s", r->name);
		ck_assert_msg(r->auth != AUTH_ADMIN || (r->scope && r->no_store &&
							!(r->listeners & LISTENER_PUBLIC)),
			      "%s", r->name);
		ck_assert_msg(r->auth != AUTH_CLIENT || (r->no_store && r->body == BODY_FORM), "%s",
			      r->name);
		ck_assert_msg((r->body == BODY_NONE) == (r->body_max == 0), "%s", r->name);
	}
}
END_TEST

struct way {
	enum listener listener;
	enum method method;
	const char *target;
	int status;
	const char *allow;
};

static void check_ways(struct flow *f, const struct way *ways, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct way *w = &ways[i];
		const struct answer a = ask(f, w->listener, w->method, w->target);
		const struct str allow = answer_header(&a, "Allow");

		ck_assert_msg(a.status == w->status, "%s: %d (%s)", w->target, a.status, a.why);
		ck_assert_msg(str_equal_z(allow, w->allow ? w->allow : ""), "%s: Allow %.*s",
			      w->target, STR_ARG(allow));
	}
}

START_TEST(target_finds_its_row_on_its_listener_only)
{
	static const struct way ways[] = {
		{ LISTENER_PUBLIC, METHOD_GET, "/.well-known/jwks.json", 200, NULL },
		{ LISTENER_PUBLIC, METHOD_HEAD, "/.well-known/jwks.json", 200, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/.well-known/jwks.json?x=y", 200, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/.well-known/openid-configuration", 200, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/.well-known/oauth-authorization-server", 200,
		  NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/livez", 200, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/readyz", 200, NULL },
		{ LISTENER_ADMIN, METHOD_GET, "/livez", 200, NULL },
		{ LISTENER_SOCKET, METHOD_GET, "/metrics", 200, NULL },
		{ LISTENER_ADMIN, METHOD_GET, "/metrics", 200, NULL },
		{ LISTENER_SOCKET, METHOD_GET, "/admin/v1/clients", 200, NULL },
		{ LISTENER_ADMIN, METHOD_GET, "/admin/v1/clients", 401, NULL },
		/* not here */
		{ LISTENER_PUBLIC, METHOD_GET, "/metrics", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/admin/v1/clients", 404, NULL },
		{ LISTENER_ADMIN, METHOD_GET, "/.well-known/jwks.json", 404, NULL },
		{ LISTENER_SOCKET, METHOD_POST, "/oauth2/token", 404, NULL },
		/* nowhere: a path is compared as it stands */
		{ LISTENER_PUBLIC, METHOD_GET, "/", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_OPTIONS, "*", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "livez", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/livez/", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "//livez", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/LIVEZ", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/live%7a", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/x/../livez", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/livez;v=1", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_POST, "/oauth2/token/x", 404, NULL },
		{ LISTENER_SOCKET, METHOD_GET, "/admin/v1/clients/", 404, NULL },
		{ LISTENER_SOCKET, METHOD_GET, "/admin/v1/clients//secrets", 404, NULL },
		{ LISTENER_SOCKET, METHOD_GET, "/admin/v1/clients/a/b", 404, NULL },
		/* RFC 9110 15.5.6 */
		{ LISTENER_PUBLIC, METHOD_GET, "/oauth2/token", 405, "POST" },
		{ LISTENER_PUBLIC, METHOD_HEAD, "/oauth2/token", 405, "POST" },
		{ LISTENER_PUBLIC, METHOD_OTHER, "/oauth2/introspect", 405, "POST" },
		{ LISTENER_PUBLIC, METHOD_DELETE, "/oauth2/revoke", 405, "POST" },
		{ LISTENER_PUBLIC, METHOD_OPTIONS, "/oauth2/token", 405, "POST" },
		{ LISTENER_PUBLIC, METHOD_POST, "/.well-known/jwks.json", 405, "GET, HEAD" },
		{ LISTENER_SOCKET, METHOD_DELETE, "/admin/v1/clients", 405, "GET, HEAD, POST" },
		{ LISTENER_SOCKET, METHOD_POST, "/admin/v1/clients/a", 405,
		  "GET, HEAD, PATCH, DELETE" },
	};
	struct flow *f = up(NULL);

	check_ways(f, ways, COUNT(ways));
	down(f);
}
END_TEST

START_TEST(issuer_with_a_path_has_all_but_health_below_it)
{
	static const char *const sets[] = { "issuer=https://id.example/a/b", NULL };
	static const struct way ways[] = {
		{ LISTENER_PUBLIC, METHOD_GET, "/a/b/.well-known/jwks.json", 200, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/a/b/oauth2/token", 405, "POST" },
		{ LISTENER_PUBLIC, METHOD_GET, "/livez", 200, NULL },
		{ LISTENER_ADMIN, METHOD_GET, "/metrics", 200, NULL },
		{ LISTENER_SOCKET, METHOD_GET, "/admin/v1/clients", 200, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/a/b/.well-known/openid-configuration", 200, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/a/b/.well-known/oauth-authorization-server", 200,
		  NULL },
		/* RFC 8414 3.1 */
		{ LISTENER_PUBLIC, METHOD_GET, "/.well-known/oauth-authorization-server/a/b", 200,
		  NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/.well-known/openid-configuration/a/b", 200, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/.well-known/oauth-authorization-server", 404,
		  NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/.well-known/oauth-authorization-server/a", 404,
		  NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/.well-known/oauth-authorization-server/a/b/c", 404,
		  NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/.well-known/jwks.json/a/b", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/.well-known/jwks.json", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/oauth2/token", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/oauth2/token/a/b", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/a/b/livez", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/a/boauth2/token", 404, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/a/b", 404, NULL },
		{ LISTENER_SOCKET, METHOD_GET, "/a/b/admin/v1/clients", 404, NULL },
	};
	struct flow *f = up(sets);

	check_ways(f, ways, COUNT(ways));
	down(f);
}
END_TEST

/* ---- segments ---- */

START_TEST(segment_is_decoded_once_and_strictly)
{
	static const struct {
		const char *target;
		int status;
		const char *id;
	} rows[] = {
		{ "/admin/v1/clients/my%20app", 200, "my app" },
		{ "/admin/v1/clients/a%2Fb", 200, "a/b" },
		{ "/admin/v1/clients/a%2fb", 200, "a/b" },
		{ "/admin/v1/clients/a+b", 200, "a+b" },
		{ "/admin/v1/clients/a%2Bb", 200, "a+b" },
		{ "/admin/v1/clients/%2e%2e", 200, ".." },
		{ "/admin/v1/clients/..", 200, ".." },
		{ "/admin/v1/clients/%2520", 200, "%20" },
		{ "/admin/v1/clients/%7e", 200, "~" },
		{ "/admin/v1/clients/nobody", 404, NULL },
		{ "/admin/v1/clients/a%", 400, NULL },
		{ "/admin/v1/clients/a%4", 400, NULL },
		{ "/admin/v1/clients/a%4g", 400, NULL },
		{ "/admin/v1/clients/a%g4", 400, NULL },
		{ "/admin/v1/clients/a%+4", 400, NULL },
		{ "/admin/v1/clients/a%00", 400, NULL },
		{ "/admin/v1/clients/a%0Ab", 400, NULL },
		{ "/admin/v1/clients/a%7f", 400, NULL },
		{ "/admin/v1/clients/%C3%BC", 400, NULL },
		{ "/admin/v1/clients/\xc3\xbc", 400, NULL },
	};
	static const char *const ids[] = { "my app", "a/b", "a+b", "..", "%20", "~" };
	struct flow *f = up(NULL);

	flow_api(f, "https://a.example", "a", "s");
	for (size_t i = 0; i < COUNT(ids); i++)
		flow_client(f, ids[i], "s", "https://a.example");
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct answer a = admin(f, METHOD_GET, rows[i].target, NULL);

		ck_assert_msg(a.status == rows[i].status, "%s: %d (%s)", rows[i].target, a.status,
			      a.why);
		if (rows[i].id)
			ck_assert_str(answer_str(&a, "client_id"), rows[i].id);
	}
	down(f);
}
END_TEST

START_TEST(overlong_target_is_414_before_anything_else)
{
	char target[HTTP_TARGET_MAX + 2];
	struct flow *f = up(NULL);

	memset(target, 'x', sizeof(target) - 1);
	memcpy(target, "/livez?", 7);
	target[sizeof(target) - 1] = '\0';
	ck_assert_int_eq(get(f, target).status, 200); /* the '?' does not count */
	target[6] = 'x';
	ck_assert_int_eq(get(f, target).status, 414);
	down(f);
}
END_TEST

START_TEST(query_is_read_as_strictly_as_a_form)
{
	static const struct {
		const char *target;
		int status;
	} rows[] = {
		{ "/admin/v1/clients?page_size=1", 200 },
		{ "/admin/v1/clients?page_size=1&page_size=1", 400 },
		{ "/admin/v1/clients?prefix=%zz", 400 },
		{ "/admin/v1/clients?prefix=%00", 400 },
		{ "/admin/v1/clients?", 200 },
	};
	struct flow *f = up(NULL);

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct answer a = admin(f, METHOD_GET, rows[i].target, NULL);

		ck_assert_msg(a.status == rows[i].status, "%s: %d (%s)", rows[i].target, a.status,
			      a.why);
	}
	down(f);
}
END_TEST

/* ---- bodies ---- */

static struct answer send_body(struct flow *f, enum listener listener, enum method method,
			       const char *target, const char *type, struct str body)
{
	return flow_send(f, &(struct ask){ .listener = listener,
					   .method = method,
					   .target = target,
					   .content_type = type,
					   .body = body,
					   .root = listener == LISTENER_SOCKET });
}

START_TEST(token_endpoint_takes_forms_and_nothing_else)
{
	static const struct {
		const char *type;
		struct str body;
		bool read; /* the form was taken: what is missing then is the client */
	} rows[] = {
		{ FORM, STR("grant_type=x"), true },
		{ FORM ";charset=UTF-8", STR("grant_type=x"), true },
		{ "Application/X-WWW-Form-URLencoded ; Charset=utf-8", STR("grant_type=x"), true },
		{ FORM ";", STR(""), true },
		{ NULL, STR("grant_type=x"), false },
		{ "", STR("grant_type=x"), false },
		{ JSON, STR("{\"grant_type\":\"x\"}"), false },
		{ "multipart/form-data; boundary=x", STR("--x--"), false },
		{ FORM "x", STR("grant_type=x"), false },
		{ FORM ";boundary=x", STR("grant_type=x"), false },
		{ FORM ", text/plain", STR("grant_type=x"), false },
		{ "text/plain;" FORM, STR("grant_type=x"), false },
		/* RFC 6749 3.2: no parameter twice */
		{ FORM, STR("grant_type=x&grant_type=x"), false },
		{ FORM, STR("grant_type=x&grant_type="), false },
		{ FORM, STR("a=1&%61=2"), false },
		{ FORM, STR("a=%00"), false },
		{ FORM, STR("a=\0b"), false },
		{ FORM, STR("a=%f"), false },
		{ FORM, STR("a=%ff"), false },
		{ FORM, STR("a=b\r\nc"), false },
	};
	struct flow *f = up(NULL);

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct answer a = send_body(f, LISTENER_PUBLIC, METHOD_POST, "/oauth2/token",
						  rows[i].type, rows[i].body);

		ck_assert_msg(a.error == (rows[i].read ? ERR_INVALID_CLIENT : ERR_INVALID_REQUEST),
			      "row %zu: %s (%s)", i, err_name(a.error), a.why);
		ck_assert_int_eq(a.status, rows[i].read ? 401 : 400);
	}
	down(f);
}
END_TEST

START_TEST(body_above_the_rows_limit_is_413)
{
	static char body[ADMIN_BODY_MAX + 1];
	struct flow *f = up(NULL);
	struct answer a;

	memset(body, 'x', sizeof(body));
	a = send_body(f, LISTENER_PUBLIC, METHOD_POST, "/oauth2/token", FORM,
		      str_n(body, FORM_SIZE_MAX + 1));
	ck_assert_refused(a, 413, "invalid_request");
	a = send_body(f, LISTENER_PUBLIC, METHOD_POST, "/oauth2/token", FORM,
		      str_n(body, FORM_SIZE_MAX));
	ck_assert_int_eq(a.status, 401);
	a = send_body(f, LISTENER_SOCKET, METHOD_POST, "/admin/v1/clients", JSON,
		      str_n(body, sizeof(body)));
	ck_assert_int_eq(a.status, 413);
	down(f);
}
END_TEST

START_TEST(admin_api_takes_json_objects_and_nothing_else)
{
	static const struct {
		enum method method;
		const char *type;
		struct str body;
		int status;
	} rows[] = {
		{ METHOD_POST, JSON, STR("{\"unknown\":1}"), 422 },
		{ METHOD_POST, JSON "; charset=utf-8", STR("{\"unknown\":1}"), 422 },
		{ METHOD_POST, NULL, STR(""), 422 },
		{ METHOD_POST, JSON, STR(""), 422 },
		{ METHOD_POST, NULL, STR("{\"unknown\":1}"), 415 },
		{ METHOD_POST, FORM, STR("unknown=1"), 415 },
		{ METHOD_POST, "text/json", STR("{}"), 415 },
		{ METHOD_POST, "application/merge-patch+json", STR("{}"), 415 },
		{ METHOD_POST, JSON, STR("[]"), 400 },
		{ METHOD_POST, JSON, STR("1"), 400 },
		{ METHOD_POST, JSON, STR("{\"a\":1,\"a\":1}"), 400 },
		{ METHOD_POST, JSON, STR("{}x"), 400 },
		{ METHOD_POST, JSON, STR("{\"a\":\"\\u0000\"}"), 400 },
		{ METHOD_POST, JSON, STR("{\"a\":\"\xff\"}"), 400 },
		{ METHOD_GET, JSON, STR("{}"), 400 },
	};
	struct flow *f = up(NULL);

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct answer a = send_body(f, LISTENER_SOCKET, rows[i].method,
						  "/admin/v1/apis", rows[i].type, rows[i].body);

		ck_assert_msg(a.status == rows[i].status ||
				      (rows[i].method == METHOD_GET && a.status == 413),
			      "row %zu: %d (%s)", i, a.status, a.why);
	}
	flow_api(f, "https://a.example", "a", "s");
	ck_assert_int_eq(send_body(f, LISTENER_SOCKET, METHOD_PATCH, "/admin/v1/apis/a",
				   "application/merge-patch+json", STR("{}"))
				 .status,
			 200);
	down(f);
}
END_TEST

/* ---- refusals ---- */

START_TEST(oauth_refusal_looks_as_rfc6749_says)
{
	struct flow *f = up(NULL);
	struct answer a = post(f, "/oauth2/token", basic("nobody", "x"), "grant_type=password");

	ck_assert_refused(a, 401, "invalid_client");
	ck_assert_str_eq(a.content_type, "application/json");
	ck_assert_uint_eq(json_len(a.json), 2);
	ck_assert_str(answer_header(&a, "WWW-Authenticate"), "Basic realm=\"chancery\"");
	ck_assert_str(answer_header(&a, "Cache-Control"), "no-store");
	ck_assert_str(answer_header(&a, "Pragma"), "no-cache");
	ck_assert_str(answer_header(&a, "X-Content-Type-Options"), "nosniff");
	a = post(f, "/oauth2/token", anonymous(), "grant_type=password&client_id=nobody");
	ck_assert_refused(a, 401, "invalid_client");
	ck_assert_str(answer_header(&a, "WWW-Authenticate"), "Basic realm=\"chancery\"");
	a = ask(f, LISTENER_PUBLIC, METHOD_GET, "/oauth2/token");
	ck_assert_refused(a, 405, "invalid_request");
	down(f);
}
END_TEST

START_TEST(problem_looks_as_rfc9457_says)
{
	struct flow *f = up(NULL);
	struct answer a = admin(f, METHOD_GET, "/admin/v1/clients/nobody", NULL);

	ck_assert_int_eq(a.status, 404);
	ck_assert_str_eq(a.content_type, "application/problem+json");
	ck_assert_str(answer_str(&a, "type"), "urn:chancery:problem:gone_resource");
	ck_assert_str(answer_str(&a, "title"), "Not Found");
	ck_assert_int_eq(answer_int(&a, "status"), 404);
	ck_assert_uint_gt(answer_str(&a, "detail").n, 0);
	ck_assert_uint_eq(answer_str(&a, "instance").n, REQUEST_ID_LEN);
	ck_assert_str(answer_header(&a, "Cache-Control"), "no-store");
	ck_assert(!answer_has(&a, "ready_at"));
	a = admin(f, METHOD_GET, "/admin/v1/nothing", NULL);
	ck_assert_int_eq(a.status, 404);
	ck_assert_str_eq(a.content_type, "application/problem+json");
	down(f);
}
END_TEST

START_TEST(bare_status_says_no_more_than_its_phrase)
{
	struct flow *f = up(NULL);
	const struct answer a = get(f, "/nothing/here");

	ck_assert_int_eq(a.status, 404);
	ck_assert_str_eq(a.content_type, "text/plain");
	ck_assert_str(a.body, "Not Found\n");
	ck_assert_str(answer_header(&a, "Cache-Control"), "no-store");
	down(f);
}
END_TEST

/* RFC 6750 3 */
START_TEST(bearer_challenge_fits_the_refusal)
{
	struct ask request = { .listener = LISTENER_ADMIN, .target = "/admin/v1/clients" };
	struct flow *f = up(NULL);
	struct auth token = bearer(STR("nonsense"));
	const char *secret;
	struct answer a = flow_send(f, &request);

	ck_assert_int_eq(a.status, 401);
	ck_assert_str(answer_header(&a, "WWW-Authenticate"), "Bearer realm=\"chancery\"");
	request.authorization = token.text;
	a = flow_send(f, &request);
	ck_assert_int_eq(a.status, 401);
	ck_assert_str(answer_header(&a, "WWW-Authenticate"),
		      "Bearer realm=\"chancery\", error=\"invalid_token\"");
	a = admin(f, METHOD_POST, "/admin/v1/clients",
		  "{\"client_id\":\"ops\",\"grant_types\":[\"client_credentials\"],"
		  "\"scope\":\"chancery:keys\",\"audiences\":[\"" FIXTURE_ISSUER "/admin\"]}");
	ck_assert_int_eq(a.status, 201);
	secret = arena_z(f->arena, answer_str(&a, "client_secret"));
	a = post(f, "/oauth2/token", basic("ops", secret), "grant_type=client_credentials");
	ck_assert_int_eq(a.status, 200);
	token = bearer(answer_str(&a, "access_token"));
	a = flow_send(f, &request);
	ck_assert_int_eq(a.status, 403);
	ck_assert_str(answer_header(&a, "WWW-Authenticate"),
		      "Bearer realm=\"chancery\", error=\"insufficient_scope\", "
		      "scope=\"chancery:clients chancery:read chancery:admin\"");
	down(f);
}
END_TEST

static bool reflects(const struct answer *a, const char *marker)
{
	bool found = memmem(a->body.p, a->body.n, marker, strlen(marker)) != NULL;

	for (size_t i = 0; i < a->header_count; i++)
		found = found || memmem(a->headers[i].value.p, a->headers[i].value.n, marker,
					strlen(marker)) != NULL;
	return found;
}

START_TEST(nothing_of_the_input_comes_back_in_a_refusal)
{
	static const struct {
		const char *target, *authorization, *form;
	} rows[] = {
		{ "/mirror", NULL, "a=mirror" },
		{ "/oauth2/token?mirror=mirror", NULL, "grant_type=mirror" },
		{ "/oauth2/token", "Basic mirror", "grant_type=mirror" },
		{ "/oauth2/token", "Mirror mirror", "mirror=mirror" },
		{ "/oauth2/token", NULL, "mirror=1&mirror=2" },
		{ "/oauth2/token", NULL,
		  "grant_type=client_credentials&client_id=mirror&client_secret=mirror" },
		{ "/oauth2/introspect", NULL, "token=mirror&client_id=mirror" },
		{ "/oauth2/revoke", NULL, "token=mirror&token_type_hint=mirror" },
	};
	struct flow *f = up(NULL);
	struct answer a;
	const char *secret;

	for (size_t i = 0; i < COUNT(rows); i++) {
		a = flow_send(f, &(struct ask){ .method = METHOD_POST,
						.target = rows[i].target,
						.authorization = rows[i].authorization,
						.content_type = FORM,
						.body = str_z(rows[i].form) });
		ck_assert_int_ge(a.status, 400);
		ck_assert_msg(!reflects(&a, "mirror"), "row %zu: %.*s", i, STR_ARG(a.body));
	}
	flow_api(f, "https://a.example", "a", "s");
	secret = flow_client(f, "c", "s", "https://a.example");
	a = post(f, "/oauth2/token", basic("c", secret),
		 "grant_type=client_credentials&scope=mirror");
	ck_assert_refused(a, 400, "invalid_scope");
	ck_assert(!reflects(&a, "mirror"));
	a = post(f, "/oauth2/token", basic("c", secret),
		 "grant_type=client_credentials&resource=https://mirror");
	ck_assert_refused(a, 400, "invalid_target");
	ck_assert(!reflects(&a, "mirror"));
	down(f);
}
END_TEST

START_TEST(delayed_password_is_429_with_retry_after)
{
	struct flow *f = up(NULL);
	const char *secret;
	struct answer a;

	flow_api(f, "https://a.example", "a", "s");
	secret = flow_client(f, "c", "s", "https://a.example");
	flow_user(f, "u1", "alice", "right password");
	for (int i = 0; i <= LOGIN_FAILURES_FREE; i++)
		a = post(f, "/oauth2/token", basic("c", secret),
			 "grant_type=password&username=alice&password=wrong");
	ck_assert_int_eq(a.status, 429);
	ck_assert_str(answer_header(&a, "Retry-After"), "30");
	a = post(f, "/oauth2/token", basic("c", secret),
		 "grant_type=password&username=ALICE&password=right+password");
	ck_assert_int_eq(a.status, 429);
	flow_advance(f, 30);
	a = post(f, "/oauth2/token", basic("c", secret),
		 "grant_type=password&username=alice&password=right+password");
	ck_assert_int_eq(a.status, 200);
	down(f);
}
END_TEST

/* What is wrong with us is no concern of the client's, but for when to try again. */
START_TEST(our_own_faults_are_500_or_503_and_say_no_more)
{
	static const struct {
		enum err e;
		int status;
	} rows[] = {
		{ ERR_NOMEM, 503 },	{ ERR_FULL, 503 },    { ERR_IO, 503 },
		{ ERR_BUSY, 503 },	{ ERR_TIMEOUT, 503 }, { ERR_UNAVAILABLE, 503 },
		{ ERR_CORRUPT, 503 },	{ ERR_CRYPTO, 500 },  { ERR_INTERNAL, 500 },
		{ ERR_NOT_FOUND, 500 }, { ERR_SYNTAX, 500 },
	};
	struct flow *f = up(NULL);

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct request rq = { .app = &f->app,
				      .route = &routes[0],
				      .listener = LISTENER_PUBLIC };
		const struct header *h;
		bool retry = false;

		ck_assert_int_eq(arena_new(REQUEST_ARENA_MAX, &rq.arena), ERR_OK);
		router_refuse(&rq, rows[i].e);
		ck_assert_int_eq(rq.response.status, rows[i].status);
		ck_assert_ptr_nonnull(strstr(rq.response.body.p, rows[i].status == 503
									 ? "temporarily_unavailable"
									 : "server_error"));
		for (h = rq.response.headers; h < rq.response.headers + rq.response.header_count;
		     h++)
			retry = retry || strcmp(h->name, "Retry-After") == 0;
		ck_assert(retry == (rows[i].status == 503));
		arena_free(rq.arena);
	}
	down(f);
}
END_TEST

START_TEST(refusal_without_memory_still_has_its_status)
{
	struct flow *f = up(NULL);
	struct request rq = { .app = &f->app, .route = &routes[0], .allow = 1u << METHOD_POST };

	ck_assert_int_eq(arena_new(4096, &rq.arena), ERR_OK);
	while (arena_alloc(rq.arena, 16))
		;
	router_refuse(&rq, ERR_METHOD);
	ck_assert_int_eq(rq.response.status, 405);
	ck_assert_uint_eq(rq.response.body.n, 0);
	arena_free(rq.arena);
	down(f);
}
END_TEST

/* ---- lanes ---- */

static enum err wait_for_gate(struct lane_ctx *ctx, void *arg)
{
	(void)ctx;
	pthread_mutex_lock(arg);
	pthread_mutex_unlock(arg);
	return ERR_OK;
}

static void done(struct task *task)
{
	(void)task;
}

static enum err never_next(struct request *rq, enum err result)
{
	(void)rq;
	(void)result;
	ck_abort_msg("went on after a refusal");
	return ERR_INTERNAL;
}

START_TEST(full_lane_is_503_and_says_so)
{
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	const struct pool_options options = { "hash", 1, 1, 0, NULL };
	struct task tasks[2];
	struct request rq = { .retry_after = 0 };
	struct flow *f = up(NULL);
	enum err e = ERR_OK;

	pthread_mutex_lock(&gate);
	ck_assert_int_eq(pool_start(&options, f->app.env, &f->app.hash), ERR_OK);
	for (size_t i = 0; i < COUNT(tasks); i++) { /* one runs, one waits */
		tasks[i] = (struct task){ .run = wait_for_gate, .arg = &gate, .done = done };
		while (pool_submit(f->app.hash, &tasks[i]) != ERR_OK)
			;
	}
	rq.app = &f->app;
	e = park(&rq, LANE_HASH, wait_for_gate, &gate, never_next);
	ck_assert_int_eq(e, ERR_UNAVAILABLE);
	ck_assert(rq.shed);
	ck_assert_int_eq(rq.retry_after, 1);
	pthread_mutex_unlock(&gate);
	pool_stop(f->app.hash);
	f->app.hash = NULL;
	down(f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_row_says_who_may_enter_and_where,
		target_finds_its_row_on_its_listener_only,
		issuer_with_a_path_has_all_but_health_below_it,
		segment_is_decoded_once_and_strictly,
		overlong_target_is_414_before_anything_else,
		query_is_read_as_strictly_as_a_form,
		token_endpoint_takes_forms_and_nothing_else,
		body_above_the_rows_limit_is_413,
		admin_api_takes_json_objects_and_nothing_else,
		oauth_refusal_looks_as_rfc6749_says,
		problem_looks_as_rfc9457_says,
		bare_status_says_no_more_than_its_phrase,
		bearer_challenge_fits_the_refusal,
		nothing_of_the_input_comes_back_in_a_refusal,
		delayed_password_is_429_with_retry_after,
		our_own_faults_are_500_or_503_and_say_no_more,
		refusal_without_memory_still_has_its_status,
		full_lane_is_503_and_says_so,
	};

	return suite_run("router", tests, COUNT(tests));
}
