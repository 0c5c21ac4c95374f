/* From a target to a row and from a body to what a handler reads, through the real routes. */
#include "tests/helpers/flow.h"
#include "tests/unit/suite.h"

#define FORM "application/x-www-form-urlencoded"
#define JSON "application/json"

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
		ck_assert_msg(r->any_method || r->method == METHOD_GET ||
				      r->method == METHOD_POST || r->method == METHOD_PATCH ||
				      r->method == METHOD_DELETE,
			      "%s", r->name);
		ck_assert_msg(!r->any_method || (r->listeners & (LISTENER_GATEWAY |
								 LISTENER_SIDECAR)) == r->listeners,
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
		ck_assert_int_eq(a.error == ERR_NO_ROUTE, w->status == 404);
		ck_assert_msg(str_equal_z(allow, w->allow ? w->allow : ""), "%s: Allow %.*s",
			      w->target, STR_ARG(allow));
	}
}

START_TEST(target_finds_its_row_on_its_listener_only)
{
	static const struct way ways[] = {
		{ LISTENER_PUBLIC, METHOD_GET, "/.well-known/jwks.json", 200, NULL },
		{ LISTENER_PUBLIC, METHOD_HEAD, "/.well-known/jwks.json", 200, NULL },
		{ LISTENER_PUBLIC, METHOD_GET, "/.well-known/jwks.json?alg=ES256", 200, NULL },
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
		/* a literal segment is no {kid} */
		{ LISTENER_SOCKET, METHOD_GET, "/admin/v1/keys/rotate", 405, "POST" },
		{ LISTENER_SOCKET, METHOD_DELETE, "/admin/v1/clients", 405, "GET, HEAD, POST" },
		{ LISTENER_SOCKET, METHOD_POST, "/admin/v1/clients/a", 405,
		  "GET, HEAD, PATCH, DELETE" },
	};
	struct flow *f = flow_new(NULL);

	check_ways(f, ways, COUNT(ways));
	flow_free(f);
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
	struct flow *f = flow_new(sets);

	check_ways(f, ways, COUNT(ways));
	flow_free(f);
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
	struct flow *f = flow_new(NULL);

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
	flow_free(f);
}
END_TEST

START_TEST(overlong_target_is_414_before_anything_else)
{
	char target[HTTP_TARGET_MAX + 2];
	struct flow *f = flow_new(NULL);

	memset(target, 'x', sizeof(target) - 1);
	memcpy(target, "/livez?", 7);
	target[sizeof(target) - 1] = '\0';
	ck_assert_int_eq(get(f, target).status, 200); /* the '?' does not count */
	target[6] = 'x';
	ck_assert_int_eq(get(f, target).status, 414);
	flow_free(f);
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
	struct flow *f = flow_new(NULL);

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct answer a = admin(f, METHOD_GET, rows[i].target, NULL);

		ck_assert_msg(a.status == rows[i].status, "%s: %d (%s)", rows[i].target, a.status,
			      a.why);
	}
	flow_free(f);
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
		{ FORM ";;charset=x", STR(""), true },
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
	struct flow *f = flow_new(NULL);

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct answer a = send_body(f, LISTENER_PUBLIC, METHOD_POST, "/oauth2/token",
						  rows[i].type, rows[i].body);

		ck_assert_msg(a.error == (rows[i].read ? ERR_INVALID_CLIENT : ERR_INVALID_REQUEST),
			      "row %zu: %s (%s)", i, err_name(a.error), a.why);
		ck_assert_int_eq(a.status, rows[i].read ? 401 : 400);
	}
	flow_free(f);
}
END_TEST

START_TEST(body_above_the_rows_limit_is_413)
{
	static char body[ADMIN_BODY_MAX + 1];
	struct flow *f = flow_new(NULL);
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
	flow_free(f);
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
		{ METHOD_GET, JSON, STR("{}"), 413 },
	};
	struct flow *f = flow_new(NULL);

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct answer a = send_body(f, LISTENER_SOCKET, rows[i].method,
						  "/admin/v1/apis", rows[i].type, rows[i].body);

		ck_assert_msg(a.status == rows[i].status, "row %zu: %d (%s)", i, a.status, a.why);
	}
	flow_api(f, "https://a.example", "a", "s");
	ck_assert_int_eq(send_body(f, LISTENER_SOCKET, METHOD_PATCH, "/admin/v1/apis/a",
				   "application/merge-patch+json", STR("{}"))
				 .status,
			 200);
	flow_free(f);
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
	};

	return suite_run("router", tests, COUNT(tests));
}
