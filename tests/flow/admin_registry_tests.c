/* /admin/v1/apis and audit; and pages. */
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "server/token/auth.h"
#include "tests/flow/admin_tests.h"

#define APIS "/admin/v1/apis"
#define CLIENTS "/admin/v1/clients"
#define KEYS "/admin/v1/keys"

static struct str row_str(const struct json *row, const char *member)
{
	struct str v = STR_NONE;

	ck_assert_msg(json_str(json_get(row, member), &v), "no text %s", member);
	return v;
}

/* ---- apis ---- */

START_TEST(tokens_for_a_new_api_can_be_had_at_once)
{
	struct answer a = root_gets(
		201, METHOD_POST, APIS,
		"{\"uri\":\"https://Billing.example/v1/\",\"name\":\"Billing\","
		"\"scopes\":[\"bills.read\",\"bills.write\"],\"access_ttl\":60}");
	const char *secret;

	ck_assert_str(answer_str(&a, "slug"), "billing-example-v1");
	ck_assert_str(answer_header(&a, "Location"), APIS "/billing-example-v1");
	ck_assert(!answer_bool(&a, "built_in"));
	ck_assert_str(answer_str(&a, "format"), "jwt");
	secret = make_client("worker", "bills.read", "https://Billing.example/v1/");
	a = post(&office, "/oauth2/token", basic("worker", secret),
		 "grant_type=client_credentials");
	ck_assert_int_eq(answer_int(&a, "expires_in"), 60);
	root_gets(200, METHOD_PATCH, APIS "/billing-example-v1", "{\"access_ttl\":null}");
	a = post(&office, "/oauth2/token", basic("worker", secret),
		 "grant_type=client_credentials");
	ck_assert_int_eq(answer_int(&a, "expires_in"), 600);
}
END_TEST

START_TEST(an_api_is_found_by_slug_and_by_uri)
{
	struct answer a = root_gets(200, METHOD_GET, APIS "/orders", NULL);

	ck_assert_str(answer_str(&a, "uri"), ORDERS);
	a = root_gets(200, METHOD_GET, APIS "/https%3A%2F%2Forders.example", NULL);
	ck_assert_str(answer_str(&a, "slug"), "orders");
	root_gets(404, METHOD_GET, APIS "/nothing", NULL);
}
END_TEST

static const struct {
	const char *body, *pointer;
} bad_apis[] = {
	{ "{}", "/uri" },
	{ "{\"uri\":\"orders\"}", "/uri" },
	{ "{\"uri\":\"https://x.example/#f\"}", "/uri" },
	{ "{\"uri\":\"https://x.example/a b\"}", "/uri" },
	{ "{\"uri\":\"https://x.example\",\"slug\":\"A\"}", "/slug" },
	{ "{\"uri\":\"https://x.example\",\"slug\":\"-a\"}", "/slug" },
	{ "{\"uri\":\"https://x.example\",\"slug\":\"\"}", "/slug" },
	{ "{\"uri\":\"https://x.example\",\"scopes\":[\"a b\"]}", "/scopes" },
	{ "{\"uri\":\"https://x.example\",\"scopes\":\"a\"}", "/scopes" },
	{ "{\"uri\":\"https://x.example\",\"format\":\"saml\"}", "/format" },
	{ "{\"uri\":\"https://x.example\",\"format\":\"opaque\",\"alg\":\"ES256\"}", "/alg" },
	{ "{\"uri\":\"https://x.example\",\"alg\":\"HS512\"}", "/alg" },
	{ "{\"uri\":\"https://x.example\",\"alg\":\"HS256\",\"format\":\"opaque\"}", "/alg" },
	{ "{\"uri\":\"https://x.example\",\"access_ttl\":1}", "/access_ttl" },
	{ "{\"uri\":\"https://x.example\",\"gateway_cache\":-1}", "/gateway_cache" },
	{ "{\"uri\":\"https://x.example\",\"gateway_cache\":11}", "/gateway_cache" },
	{ "{\"uri\":\"https://x.example\",\"gateway_cache\":\"3\"}", "/gateway_cache" },
	{ "{\"uri\":\"https://x.example\",\"claims\":[\"sub\"]}", "/claims" },
	{ "{\"uri\":\"https://x.example\",\"audience\":\"y\"}", "/audience" },
};

START_TEST(bad_members_are_refused_with_a_pointer)
{
	struct answer a = root(METHOD_POST, APIS, bad_apis[_i].body);

	ck_assert_msg(a.status == 422, "%s: %d %s", bad_apis[_i].body, a.status, a.why);
	ck_assert_str(answer_str(&a, "pointer"), bad_apis[_i].pointer);
}
END_TEST

START_TEST(uri_and_slug_are_unique)
{
	root_gets(409, METHOD_POST, APIS, "{\"uri\":\"" ORDERS "\",\"slug\":\"other\"}");
	root_gets(409, METHOD_POST, APIS,
		  "{\"uri\":\"https://other.example\",\"slug\":\"orders\"}");
	root_gets(422, METHOD_PATCH, APIS "/orders", "{\"uri\":\"https://other.example\"}");
	root_gets(422, METHOD_PATCH, APIS "/orders", "{\"slug\":\"other\"}");
}
END_TEST

START_TEST(scopes_that_together_are_too_long_are_refused)
{
	struct answer a;
	struct buf b;
	struct str text;

	buf_init(&b, office.arena, ADMIN_BODY_MAX);
	buf_z(&b, "{\"uri\":\"urn:long\",\"scopes\":[");
	for (int i = 0; i < SCOPES_MAX; i++)
		buf_fmt(&b, "%s\"%0*d\"", i ? "," : "", SCOPE_TOKEN_MAX, i);
	buf_z(&b, "]}");
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	a = root_gets(422, METHOD_POST, APIS, text.p);
	ck_assert_str(answer_str(&a, "pointer"), "/scopes");
}
END_TEST

/* Not even root: an api that declared them would take tokens meant for this server. */
static const char *const reserved_apis[] = {
	"{\"uri\":\"" ISSUER "\"}",
	"{\"uri\":\"" ISSUER "/\"}",
	"{\"uri\":\"" ISSUER "/admin\"}",
	"{\"uri\":\"" ISSUER "/admin/v2\"}",
	"{\"uri\":\"" ISSUER "?x\"}",
	"{\"uri\":\"HTTPS://ID.EXAMPLE/admin\"}",
	"{\"uri\":\"https://x.example\",\"slug\":\"chancery-admin\"}",
	"{\"uri\":\"https://x.example\",\"scopes\":[\"a\",\"chancery:admin\"]}",
	"{\"uri\":\"https://x.example\",\"scopes\":[\"chancery:new\"]}",
};

START_TEST(reserved_uris_and_scopes_are_nobodys)
{
	struct answer a = root(METHOD_POST, APIS, reserved_apis[_i]);

	ck_assert_msg(a.status == 403, "%s: %d %s", reserved_apis[_i], a.status, a.why);
	root_gets(404, METHOD_GET, APIS "/https%3A%2F%2Fx.example", NULL);
	a = root_gets(200, METHOD_GET, "/admin/v1/audit?page_size=1", NULL);
	ck_assert_str(row_str(json_at(items(&a), 0), "event"), "admin.denied");
	ck_assert_str(row_str(json_at(items(&a), 0), "outcome"), "denied");
}
END_TEST

START_TEST(a_uri_that_only_begins_like_the_issuer_is_free)
{
	root_gets(201, METHOD_POST, APIS, "{\"uri\":\"" ISSUER ".org/admin\"}");
}
END_TEST

START_TEST(the_built_in_api_is_listed_and_immutable)
{
	struct answer before = root_gets(200, METHOD_GET, APIS "/chancery-admin", NULL), after;

	ck_assert(answer_bool(&before, "built_in"));
	ck_assert_str(answer_str(&before, "uri"), ISSUER "/admin");
	root_gets(403, METHOD_PATCH, APIS "/chancery-admin", "{\"disabled\":true}");
	root_gets(403, METHOD_PATCH, APIS "/https%3A%2F%2Fid.example%2Fadmin", "{\"scopes\":[]}");
	root_gets(403, METHOD_DELETE, APIS "/chancery-admin", NULL);
	root_gets(403, METHOD_PATCH, APIS "/orders", "{\"scopes\":[\"chancery:read\"]}");
	after = root_gets(200, METHOD_GET, APIS "/chancery-admin", NULL);
	ck_assert(str_equal(before.body, after.body));
}
END_TEST

START_TEST(disabling_and_deleting_an_api_end_its_tokens)
{
	const char *secret = make_client("worker", "orders.read", ORDERS);
	struct str token = token_of("worker", secret), first = token;

	root_gets(200, METHOD_PATCH, APIS "/orders", "{\"disabled\":true}");
	ck_assert(!still_active(token));
	ck_assert_refused(post(&office, "/oauth2/token", basic("worker", secret),
			       "grant_type=client_credentials"),
			  400, "invalid_target");
	flow_advance(&office, 1);
	root_gets(200, METHOD_PATCH, APIS "/orders", "{\"disabled\":false}");
	token = token_of("worker", secret);
	ck_assert(still_active(token));
	ck_assert(!still_active(first)); /* enabling brings nothing back */
	root_gets(204, METHOD_DELETE, APIS "/orders", NULL);
	ck_assert(!still_active(token));
	root_gets(404, METHOD_GET, APIS "/orders", NULL);
}
END_TEST

static int64_t later_when_published(const struct env *env)
{
	struct snapshot *s = snapshot_get(&office.app);
	const bool ended = api_by_slug(&s->apis, STR("orders"))->disabled;

	(void)env;
	snapshot_unref(s);
	return atomic_load(&office.store.fake.now) + (ended ? 5 : 0);
}

/* Until the new snapshot stands, tokens are made by the old one; enabling must not bring them back.
 */
START_TEST(tokens_made_while_an_api_ends_end_with_it)
{
	const int64_t now = office.app.env->now(office.app.env);

	office.store.fake.env.now = later_when_published;
	root_gets(200, METHOD_PATCH, APIS "/orders", "{\"disabled\":true}");
	ck_assert(revoked_hit(office.app.revoked, REVOKE_API, STR(ORDERS), now + 5));
}
END_TEST

START_TEST(an_api_is_changed_among_a_thousand)
{
	ck_assert_int_eq(ERR_OK, db_begin(office.store.db));
	for (int i = 0; i < 1000; i++) {
		const struct api api = { .uri = str_z(format("https://api.example/%04d", i)),
					 .slug = str_z(format("api-%04d", i)),
					 .format = API_JWT };

		ck_assert_int_eq(ERR_OK, store_api_create(office.store.db, &api));
	}
	ck_assert_int_eq(ERR_OK, db_commit(office.store.db));
	flow_changed(&office);
	root_gets(201, METHOD_POST, APIS, "{\"uri\":\"urn:one-more\"}");
	root_gets(200, METHOD_PATCH, APIS "/api-0999", "{\"name\":\"last\"}");
	root_gets(204, METHOD_DELETE, APIS "/api-0000", NULL);
}
END_TEST

/* ---- audit ---- */

static const struct {
	enum method method;
	const char *target, *body, *event, *object;
} acts[] = {
	{ METHOD_POST, CLIENTS, "{\"client_id\":\"c\"}", "client.create", "client:c" },
	{ METHOD_PATCH, CLIENTS "/c", "{\"client_name\":\"n\"}", "client.update", "client:c" },
	{ METHOD_POST, CLIENTS "/c/secrets", "{}", "client.secret.add", "client:c" },
	{ METHOD_DELETE, CLIENTS "/c", NULL, "client.delete", "client:c" },
	{ METHOD_POST, "/admin/v1/users", "{\"id\":\"u\",\"name\":\"n\"}", "user.create",
	  "user:u" },
	{ METHOD_PATCH, "/admin/v1/users/u", "{\"name\":\"m\"}", "user.update", "user:u" },
	{ METHOD_POST, "/admin/v1/users/u/password", "{\"password\":\"long enough\"}",
	  "user.password", "user:u" },
	{ METHOD_POST, "/admin/v1/users/u/unlock", NULL, "user.unlock", "user:u" },
	{ METHOD_DELETE, "/admin/v1/users/u", NULL, "user.delete", "user:u" },
	{ METHOD_POST, APIS, "{\"uri\":\"urn:a\"}", "api.create", "api:urn:a" },
	{ METHOD_PATCH, APIS "/a", "{\"name\":\"n\"}", "api.update", "api:urn:a" },
	{ METHOD_DELETE, APIS "/a", NULL, "api.delete", "api:urn:a" },
	{ METHOD_POST, KEYS "/rotate", NULL, "key.rotate", "ES256" },
};
enum { ACT_COUNT = sizeof(acts) / sizeof(*acts) };

START_TEST(every_act_leaves_its_row)
{
	struct answer a;

	for (size_t i = 0; i < ACT_COUNT; i++) {
		const struct json *row;

		a = root(acts[i].method, acts[i].target, acts[i].body);
		ck_assert_msg(a.status < 300, "%s: %d %s", acts[i].event, a.status, a.why);
		a = root_gets(200, METHOD_GET, "/admin/v1/audit?page_size=3", NULL);
		row = json_at(items(&a), 0);
		ck_assert_str(row_str(row, "event"), acts[i].event);
		ck_assert_str(row_str(row, "target"), acts[i].object);
		ck_assert_str(row_str(row, "actor"), "uid:0");
		ck_assert_str(row_str(row, "outcome"), "ok");
		ck_assert_str(row_str(row, "at"), "2023-11-14T22:13:20Z");
		ck_assert_uint_eq(row_str(row, "request_id").n, REQUEST_ID_LEN);
	}
}
END_TEST

START_TEST(an_act_that_failed_leaves_no_row)
{
	struct answer before = root_gets(200, METHOD_GET, "/admin/v1/audit", NULL), after;

	root_gets(404, METHOD_PATCH, CLIENTS "/nobody", "{}");
	root_gets(409, METHOD_POST, CLIENTS, "{\"client_id\":\"inspector\"}");
	root_gets(422, METHOD_POST, CLIENTS, "{\"client_id\":\"x\",\"audiences\":[\"urn:none\"]}");
	after = root_gets(200, METHOD_GET, "/admin/v1/audit", NULL);
	ck_assert(str_equal(before.body, after.body));
}
END_TEST

/* ---- pages ---- */

static size_t walk(const char *list, const char *filter, int size, const char *member,
		   char seen[][64], size_t max)
{
	const char *token = "";
	size_t n = 0;

	do {
		struct answer a = root_gets(200, METHOD_GET,
					    format("%s?page_size=%d%s%s%s", list, size, filter,
						   *token ? "&page_token=" : "", token),
					    NULL);
		size_t got = json_len(items(&a));

		ck_assert_uint_le(got, (size_t)size);
		for (size_t i = 0; i < got && n < max; i++) {
			struct str id = row_str(json_at(items(&a), i), member);

			snprintf(seen[n++], 64, "%.*s", STR_ARG(id));
		}
		token = arena_z(office.arena, answer_str(&a, "next_page_token"));
		ck_assert(!*token || got > 0);
	} while (*token);
	return n;
}

START_TEST(pages_hold_every_row_once_in_order)
{
	static char seen[256][64];
	static const int sizes[] = { 1, 7, 50, 60, 61, 62, 500 };
	size_t n;

	for (int i = 0; i < 60; i++)
		root_gets(201, METHOD_POST, CLIENTS, format("{\"client_id\":\"page-%02d\"}", i));
	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		n = walk(CLIENTS, "", sizes[s], "client_id", seen, 256);
		ck_assert_uint_eq(n, 61);
		for (size_t i = 1; i < n; i++)
			ck_assert_int_lt(strcmp(seen[i - 1], seen[i]), 0);
	}
	ck_assert_uint_eq(walk(CLIENTS, "&prefix=page-5", 3, "client_id", seen, 256), 10);
	ck_assert_uint_eq(walk(APIS, "", 1, "uri", seen, 256), 2);
	ck_assert_uint_eq(walk(KEYS, "", 1, "kid", seen, 256), 2);
	n = walk("/admin/v1/audit", "", 500, "event", seen, 256);
	ck_assert_uint_gt(n, 60);
	ck_assert_uint_eq(walk("/admin/v1/audit", "", 13, "event", seen, 256), n);
}
END_TEST

/* A page of the largest size must not fail because its rows are wide: it is cut short. */
START_TEST(wide_rows_make_short_pages_not_errors)
{
	static char seen[64][64];
	char *body = arena_alloc(office.arena, ADMIN_BODY_MAX);
	size_t n = 0;

	for (int i = 0; i < AUDIENCES_MAX; i++)
		root_gets(201, METHOD_POST, APIS,
			  format("{\"uri\":\"urn:x:%02d%0*d\",\"slug\":\"w%d\"}", i, URI_MAX - 8, 0,
				 i));
	for (int c = 0; c < 30; c++) {
		n = (size_t)snprintf(body, ADMIN_BODY_MAX,
				     "{\"client_id\":\"w%02d\",\"audiences\":[", c);
		for (int i = 0; i < AUDIENCES_MAX; i++)
			n += (size_t)snprintf(body + n, ADMIN_BODY_MAX - n, "%s\"urn:x:%02d%0*d\"",
					      i ? "," : "", i, URI_MAX - 8, 0);
		snprintf(body + n, ADMIN_BODY_MAX - n, "]}");
		root_gets(201, METHOD_POST, CLIENTS, body);
	}
	ck_assert_uint_eq(walk(CLIENTS, "&prefix=w", 500, "client_id", seen, 64), 30);
	ck_assert_uint_eq(walk(APIS, "", 500, "slug", seen, 64), AUDIENCES_MAX + 2);
}
END_TEST

START_TEST(a_page_token_is_good_for_its_own_list_only)
{
	struct answer a;
	const char *token;

	make_client("one", "orders.read", ORDERS);
	a = root_gets(200, METHOD_GET, CLIENTS "?page_size=1", NULL);
	token = arena_z(office.arena, answer_str(&a, "next_page_token"));
	ck_assert_int_ne(*token, '\0');
	root_gets(200, METHOD_GET, format(CLIENTS "?page_token=%s", token), NULL);
	root_gets(400, METHOD_GET, format(CLIENTS "?prefix=o&page_token=%s", token), NULL);
	root_gets(400, METHOD_GET, format("/admin/v1/users?page_token=%s", token), NULL);
	root_gets(400, METHOD_GET, format("/admin/v1/audit?page_token=%s", token), NULL);
	root_gets(400, METHOD_GET, format(CLIENTS "?page_token=%sA", token), NULL);
	root_gets(400, METHOD_GET, CLIENTS "?page_token=x", NULL);
	root_gets(400, METHOD_GET, CLIENTS "?page_size=0", NULL);
	root_gets(400, METHOD_GET, CLIENTS "?page_size=501", NULL);
	root_gets(400, METHOD_GET, CLIENTS "?page_size=1&page_size=2", NULL);
}
END_TEST

Suite *registry_suite(void)
{
	Suite *suite = suite_create("admin registry");
	TCase *c = tcase_create("registry");

	tcase_set_timeout(c, 240);
	tcase_add_checked_fixture(c, admin_fixture_up, admin_fixture_down);
	tcase_add_test(c, tokens_for_a_new_api_can_be_had_at_once);
	tcase_add_test(c, an_api_is_found_by_slug_and_by_uri);
	tcase_add_loop_test(c, bad_members_are_refused_with_a_pointer, 0,
			    sizeof(bad_apis) / sizeof(*bad_apis));
	tcase_add_test(c, uri_and_slug_are_unique);
	tcase_add_test(c, scopes_that_together_are_too_long_are_refused);
	tcase_add_loop_test(c, reserved_uris_and_scopes_are_nobodys, 0,
			    sizeof(reserved_apis) / sizeof(*reserved_apis));
	tcase_add_test(c, a_uri_that_only_begins_like_the_issuer_is_free);
	tcase_add_test(c, the_built_in_api_is_listed_and_immutable);
	tcase_add_test(c, disabling_and_deleting_an_api_end_its_tokens);
	tcase_add_test(c, tokens_made_while_an_api_ends_end_with_it);
	tcase_add_test(c, an_api_is_changed_among_a_thousand);
	tcase_add_test(c, every_act_leaves_its_row);
	tcase_add_test(c, an_act_that_failed_leaves_no_row);
	tcase_add_test(c, pages_hold_every_row_once_in_order);
	tcase_add_test(c, wide_rows_make_short_pages_not_errors);
	tcase_add_test(c, a_page_token_is_good_for_its_own_list_only);
	suite_add_tcase(suite, c);
	return suite;
}
