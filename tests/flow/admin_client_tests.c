/* /admin/v1/clients and their secrets. */
#include "base/limits.h"
#include "tests/flow/admin_tests.h"

#define CLIENTS "/admin/v1/clients"
#define SHOP CLIENTS "/shop"

static struct answer make_shop(void)
{
	return root_gets(201, METHOD_POST, CLIENTS,
			 "{\"client_id\":\"shop\",\"client_name\":\"The Shop\","
			 "\"grant_types\":[\"client_credentials\",\"refresh_token\"],"
			 "\"scope\":\"orders.read orders.write\",\"audiences\":[\"" ORDERS "\"],"
			 "\"claims\":{\"tier\":\"gold\",\"region\":{\"name\":\"eu\",\"n\":1}}}");
}

START_TEST(a_client_is_shown_as_it_was_made_and_its_secret_once)
{
	struct answer made = make_shop();
	struct answer shown = root_gets(200, METHOD_GET, SHOP, NULL);
	struct str secret = answer_str(&made, "client_secret");

	ck_assert(str_starts(secret, STR("chy_cs_")));
	ck_assert_str(answer_str(&made, "issuer"), ISSUER);
	ck_assert_str(answer_header(&made, "Location"), SHOP);
	ck_assert_str(answer_header(&made, "ETag"), "\"1\"");
	ck_assert_str(answer_header(&made, "Cache-Control"), "no-store");
	ck_assert_str(answer_str(&shown, "client_id"), "shop");
	ck_assert_str(answer_str(&shown, "client_name"), "The Shop");
	ck_assert_str(answer_str(&shown, "scope"), "orders.read orders.write");
	ck_assert_str(answer_str(&shown, "token_endpoint_auth_method"), "any");
	ck_assert_str(answer_str(&shown, "created_at"), "2023-11-14T22:13:20Z");
	ck_assert_uint_eq(json_len(json_get(shown.json, "grant_types")), 2);
	ck_assert_uint_eq(json_len(json_get(shown.json, "claims")), 2);
	ck_assert(answer_bool(&shown, "refresh_rotation"));
	ck_assert(!answer_bool(&shown, "public"));
	ck_assert(!answer_bool(&shown, "disabled"));
	ck_assert_int_eq(json_type(json_get(shown.json, "access_ttl")), JSON_NULL);
	ck_assert(!answer_has(&shown, "client_secret"));
	ck_assert(!answer_has(&shown, "secrets"));
	token_of("shop", arena_z(office.arena, secret));
}
END_TEST

START_TEST(a_client_seen_as_absent_exists_at_once)
{
	struct answer before = post(&office, "/oauth2/token", basic("shop", "x"),
				    "grant_type=client_credentials");
	struct answer made = make_shop();

	ck_assert_refused(before, 401, "invalid_client");
	token_of("shop", arena_z(office.arena, answer_str(&made, "client_secret")));
}
END_TEST

/* Every one is 422 and points at the member. */
static const struct {
	const char *body, *pointer;
} bad_clients[] = {
	{ "{}", "/client_id" },
	{ "{\"client_id\":7}", "/client_id" },
	{ "{\"client_id\":\"\"}", "/client_id" },
	{ "{\"client_id\":\" x\"}", "/client_id" },
	{ "{\"client_id\":\"x \"}", "/client_id" },
	{ "{\"client_id\":\"a\\u0007b\"}", "/client_id" },
	{ "{\"client_id\":\"caf\\u00e9\"}", "/client_id" },
	{ "{\"client_id\":\".\"}", "/client_id" },
	{ "{\"client_id\":\"..\"}", "/client_id" },
	{ "{\"client_id\":\"x\",\"colour\":1}", "/colour" },
	{ "{\"client_id\":\"x\",\"a/b~c\":1}", "/a~1b~0c" },
	{ "{\"client_id\":\"x\",\"created_at\":\"2026-11-22T16:00:00Z\"}", "/created_at" },
	{ "{\"client_id\":\"x\",\"client_name\":\"a\\u001bb\"}", "/client_name" },
	{ "{\"client_id\":\"x\",\"client_name\":\"a\\u0085b\"}", "/client_name" },
	{ "{\"client_id\":\"x\",\"client_name\":\"a\\u202eb\"}", "/client_name" },
	{ "{\"client_id\":\"x\",\"client_name\":\"a\\u2066b\"}", "/client_name" },
	{ "{\"client_id\":\"x\",\"grant_types\":\"password\"}", "/grant_types" },
	{ "{\"client_id\":\"x\",\"grant_types\":[1]}", "/grant_types" },
	{ "{\"client_id\":\"x\",\"grant_types\":[\"implicit\"]}", "/grant_types" },
	{ "{\"client_id\":\"x\",\"grant_types\":[\"password refresh_token\"]}", "/grant_types" },
	{ "{\"client_id\":\"x\",\"scope\":\"a  b\"}", "/scope" },
	{ "{\"client_id\":\"x\",\"scope\":\"a\\\\b\"}", "/scope" },
	{ "{\"client_id\":\"x\",\"scope\":\"chancery:everything\"}", "/scope" },
	{ "{\"client_id\":\"x\",\"scope\":\"chancery:read\",\"public\":true}", "/scope" },
	{ "{\"client_id\":\"x\",\"scope\":\"chancery:read\",\"grant_types\":[\"password\"]}",
	  "/grant_types" },
	{ "{\"client_id\":\"x\",\"audiences\":[\"orders\"]}", "/audiences" },
	{ "{\"client_id\":\"x\",\"audiences\":[\"" ORDERS "#f\"]}", "/audiences" },
	{ "{\"client_id\":\"x\",\"audiences\":[\"" ORDERS " " ORDERS "\"]}", "/audiences" },
	{ "{\"client_id\":\"x\",\"audiences\":[\"https://nobody.example\"]}", "/audiences" },
	{ "{\"client_id\":\"x\",\"introspect\":[\"https://nobody.example\"]}", "/introspect" },
	{ "{\"client_id\":\"x\",\"introspect\":[\"*x\"]}", "/introspect" },
	{ "{\"client_id\":\"x\",\"token_endpoint_auth_method\":\"private_key_jwt\"}",
	  "/token_endpoint_auth_method" },
	{ "{\"client_id\":\"x\",\"public\":true,"
	  "\"token_endpoint_auth_method\":\"client_secret_basic\"}",
	  "/public" },
	{ "{\"client_id\":\"x\",\"public\":false,\"token_endpoint_auth_method\":\"none\"}",
	  "/public" },
	{ "{\"client_id\":\"x\",\"public\":true,\"grant_types\":[\"client_credentials\"]}",
	  "/grant_types" },
	{ "{\"client_id\":\"x\",\"public\":true,\"grant_types\":[\"password\"]}", "/grant_types" },
	{ "{\"client_id\":\"x\",\"public\":true,\"introspect\":[\"*\"]}", "/introspect" },
	{ "{\"client_id\":\"x\",\"public\":true,\"client_secret\":\"abcdefghijklmnopqrstuvwxyz\"}",
	  "/client_secret" },
	{ "{\"client_id\":\"x\",\"public_password\":true}", "/public_password" },
	{ "{\"client_id\":\"x\",\"access_ttl\":4}", "/access_ttl" },
	{ "{\"client_id\":\"x\",\"access_ttl\":86401}", "/access_ttl" },
	{ "{\"client_id\":\"x\",\"access_ttl\":0}", "/access_ttl" },
	{ "{\"client_id\":\"x\",\"access_ttl\":-1}", "/access_ttl" },
	{ "{\"client_id\":\"x\",\"access_ttl\":60.5}", "/access_ttl" },
	{ "{\"client_id\":\"x\",\"alg\":\"none\"}", "/alg" },
	{ "{\"client_id\":\"x\",\"alg\":\"HS256\"}", "/alg" },
	{ "{\"client_id\":\"x\",\"alg\":\"RS256\"}", "/alg" }, /* not in keys.algs */
	{ "{\"client_id\":\"x\",\"alg\":\"es256\"}", "/alg" },
	{ "{\"client_id\":\"x\",\"claims\":{\"scope\":\"orders.write\"}}", "/claims" },
	{ "{\"client_id\":\"x\",\"claims\":{\"sub\":\"alice\"}}", "/claims" },
	{ "{\"client_id\":\"x\",\"claims\":{\"a b\":1}}", "/claims" },
	{ "{\"client_id\":\"x\",\"claims\":{\"\":1}}", "/claims" },
	{ "{\"client_id\":\"x\",\"claims\":{\"deep\":[[[[[[[[1]]]]]]]]}}", "/claims" },
	{ "{\"client_id\":\"x\",\"client_secret\":\"short\"}", "/client_secret" },
	{ "{\"client_id\":\"x\",\"client_secret\":\"\",\"allow_weak\":true}", "/client_secret" },
	{ "{\"client_id\":\"x\",\"client_secret\":\"caf\\u00e9caf\\u00e9caf\\u00e9caf\\u00e9\"}",
	  "/client_secret" },
};

START_TEST(bad_members_are_refused_with_a_pointer)
{
	struct answer a = root(METHOD_POST, CLIENTS, bad_clients[_i].body);

	ck_assert_msg(a.status == 422, "%s: %d %s", bad_clients[_i].body, a.status, a.why);
	ck_assert_str_eq(a.content_type, "application/problem+json");
	ck_assert_str(answer_str(&a, "pointer"), bad_clients[_i].pointer);
	ck_assert_str(answer_str(&a, "title"), "Unprocessable Content");
	ck_assert_int_eq(answer_int(&a, "status"), 422);
	ck_assert_int_eq(a.error, ERR_UNPROCESSABLE);
	ck_assert_status(root(METHOD_GET, CLIENTS "/x", NULL), 404);
}
END_TEST

START_TEST(an_unknown_audience_names_the_command_that_makes_one)
{
	struct answer a = root_gets(
		422, METHOD_POST, CLIENTS,
		"{\"client_id\":\"x\",\"audiences\":[\"https://new.example\"]}");
	const char *detail = arena_z(office.arena, answer_str(&a, "detail"));

	ck_assert_ptr_nonnull(strstr(detail, "chancery api create https://new.example"));
}
END_TEST

START_TEST(a_body_that_is_no_object_is_refused)
{
	ck_assert_status(root(METHOD_POST, CLIENTS, "[]"), 400);
	ck_assert_status(root(METHOD_POST, CLIENTS, "{\"client_id\":\"x\""), 400);
	ck_assert_status(root(METHOD_POST, CLIENTS, "{\"client_id\":\"x\",\"client_id\":\"y\"}"),
			 400);
}
END_TEST

START_TEST(an_id_is_taken_for_ever_by_clients_and_users_alike)
{
	make_shop();
	root_gets(409, METHOD_POST, CLIENTS, "{\"client_id\":\"shop\"}");
	root_gets(409, METHOD_POST, "/admin/v1/users", "{\"id\":\"shop\",\"name\":\"shop\"}");
	root_gets(201, METHOD_POST, "/admin/v1/users", "{\"id\":\"u1\",\"name\":\"ann\"}");
	root_gets(409, METHOD_POST, CLIENTS, "{\"client_id\":\"u1\"}");
	root_gets(204, METHOD_DELETE, SHOP, NULL);
	root_gets(404, METHOD_GET, SHOP, NULL);
	root_gets(409, METHOD_POST, CLIENTS, "{\"client_id\":\"shop\"}");
}
END_TEST

START_TEST(ids_with_spaces_and_slashes_have_a_path)
{
	struct answer a = root_gets(201, METHOD_POST, CLIENTS, "{\"client_id\":\"a b/c?%\"}");

	ck_assert_str(answer_header(&a, "Location"), CLIENTS "/a%20b%2Fc%3F%25");
	a = root_gets(200, METHOD_GET, CLIENTS "/a%20b%2Fc%3F%25", NULL);
	ck_assert_str(answer_str(&a, "client_id"), "a b/c?%");
}
END_TEST

/* ---- PATCH: RFC 7396 ---- */

START_TEST(rfc7396_null_resets_lists_are_replaced_objects_merge)
{
	const struct json *claims;
	struct str text;
	struct answer a;

	make_shop();
	a = root_gets(200, METHOD_PATCH, SHOP,
		      "{\"client_name\":null,\"grant_types\":[\"password\"],\"access_ttl\":60,"
		      "\"claims\":{\"tier\":null,\"region\":{\"n\":2},\"new\":[1]}}");
	ck_assert_str(answer_str(&a, "client_name"), "");
	ck_assert_int_eq(answer_int(&a, "access_ttl"), 60);
	ck_assert_uint_eq(json_len(json_get(a.json, "grant_types")), 1);
	ck_assert_str(answer_str(&a, "scope"), "orders.read orders.write"); /* untouched */
	ck_assert_str(answer_header(&a, "ETag"), "\"2\"");
	claims = json_get(a.json, "claims");
	ck_assert_ptr_null(json_get(claims, "tier"));
	ck_assert(json_str(json_get(json_get(claims, "region"), "name"), &text));
	ck_assert_str(text, "eu");
	ck_assert_uint_eq(json_len(json_get(claims, "new")), 1);
	a = root_gets(200, METHOD_PATCH, SHOP, "{\"access_ttl\":null}");
	ck_assert_int_eq(json_type(json_get(a.json, "access_ttl")), JSON_NULL);
}
END_TEST

static const struct {
	const char *patch, *pointer;
} bad_patches[] = {
	{ "{\"client_id\":\"other\"}", "/client_id" },
	{ "{\"client_id\":null}", "/client_id" },
	{ "{\"nothing\":null}", "/nothing" },
	{ "{\"client_secret\":\"abcdefghijklmnopqrstuvwxyz\"}", "/client_secret" },
	{ "{\"created_at\":null}", "/created_at" },
	{ "{\"public\":true}", "/grant_types" }, /* client_credentials for a public client */
	{ "{\"claims\":{\"exp\":1}}", "/claims" },
	{ "{\"claims\":[]}", "/claims" },
	{ "{\"scope\":[\"a\"]}", "/scope" },
	{ "{\"audiences\":[\"https://nobody.example\"]}", "/audiences" },
};

START_TEST(a_patch_cannot_make_what_could_not_be_created)
{
	struct answer before, a;

	make_shop();
	before = root_gets(200, METHOD_GET, SHOP, NULL);
	a = root(METHOD_PATCH, SHOP, bad_patches[_i].patch);
	ck_assert_msg(a.status == 422, "%s: %d %s", bad_patches[_i].patch, a.status, a.why);
	ck_assert_str(answer_str(&a, "pointer"), bad_patches[_i].pointer);
	a = root_gets(200, METHOD_GET, SHOP, NULL);
	ck_assert(str_equal(before.body, a.body));
}
END_TEST

START_TEST(rfc9110_if_match_refuses_a_stale_change)
{
	static const struct {
		const char *tag;
		int status;
	} rows[] = { { "\"2\"", 412 },	      { "W/\"1\"", 412 },      { "1", 412 },
		     { "\"\"", 412 },	      { "\"1\"", 200 },	       { "*", 200 },
		     { "\"9\", \"3\"", 200 }, { "\"1\", \"2\"", 412 }, { "", 412 } };
	struct ask ask = {
		.listener = LISTENER_SOCKET,
		.method = METHOD_PATCH,
		.target = SHOP,
		.content_type = "application/merge-patch+json",
		.body = STR("{\"client_name\":\"n\"}"),
		.root = true,
	};

	make_shop();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		ask.if_match = rows[i].tag;
		ck_assert_status(flow_send(&office, &ask), rows[i].status);
	}
	ask.method = METHOD_DELETE;
	ask.content_type = NULL;
	ask.body = STR_NONE;
	ask.if_match = "\"1\"";
	ck_assert_status(flow_send(&office, &ask), 412);
	ask.if_match = "\"4\"";
	ck_assert_status(flow_send(&office, &ask), 204);
}
END_TEST

/* ---- what a change ends ---- */

START_TEST(disabling_and_deleting_make_tokens_inactive_at_once)
{
	const char *secret = make_client("worker", "orders.read", ORDERS);
	struct str first = token_of("worker", secret), second;

	ck_assert(still_active(first));
	root_gets(200, METHOD_PATCH, CLIENTS "/worker", "{\"disabled\":true}");
	ck_assert(!still_active(first));
	ck_assert_refused(post(&office, "/oauth2/token", basic("worker", secret),
			       "grant_type=client_credentials"),
			  401, "invalid_client");
	flow_advance(&office, 1);
	root_gets(200, METHOD_PATCH, CLIENTS "/worker", "{\"disabled\":false}");
	second = token_of("worker", secret);
	ck_assert(still_active(second));
	ck_assert(!still_active(first));
	root_gets(204, METHOD_DELETE, CLIENTS "/worker", NULL);
	ck_assert(!still_active(second));
}
END_TEST

START_TEST(a_changed_scope_holds_for_the_next_token)
{
	const char *secret = make_client("worker", "orders.read", ORDERS);
	struct answer a = post(&office, "/oauth2/token", basic("worker", secret),
			       "grant_type=client_credentials");

	ck_assert_str(answer_str(&a, "scope"), "orders.read");
	root_gets(200, METHOD_PATCH, CLIENTS "/worker", "{\"scope\":\"orders.write\"}");
	a = post(&office, "/oauth2/token", basic("worker", secret),
		 "grant_type=client_credentials");
	ck_assert_str(answer_str(&a, "scope"), "orders.write");
}
END_TEST

/* ---- secrets ---- */

START_TEST(secrets_come_and_go_one_by_one)
{
	const char *first = make_client("worker", "orders.read", ORDERS);
	struct answer added = root_gets(201, METHOD_POST, CLIENTS "/worker/secrets",
					"{\"label\":\"2027\",\"expires_in\":3600}");
	const char *second = arena_z(office.arena, answer_str(&added, "client_secret"));
	struct answer list = root_gets(200, METHOD_GET, CLIENTS "/worker/secrets", NULL);
	struct str id;

	ck_assert_uint_eq(json_len(items(&list)), 2);
	ck_assert_ptr_null(json_get(json_at(items(&list), 0), "client_secret"));
	ck_assert_ptr_null(json_get(json_at(items(&list), 0), "hash"));
	ck_assert_str(answer_str(&added, "expires_at"), "2023-11-14T23:13:20Z");
	token_of("worker", first);
	token_of("worker", second);
	for (size_t i = 0; i < 2; i++) {
		ck_assert(json_str(json_get(json_at(items(&list), i), "id"), &id));
		if (!str_equal(id, answer_str(&added, "id")))
			break;
	}
	root_gets(204, METHOD_DELETE, format(CLIENTS "/worker/secrets/%.*s", STR_ARG(id)), NULL);
	root_gets(404, METHOD_DELETE, format(CLIENTS "/worker/secrets/%.*s", STR_ARG(id)), NULL);
	ck_assert_refused(post(&office, "/oauth2/token", basic("worker", first),
			       "grant_type=client_credentials"),
			  401, "invalid_client");
	token_of("worker", second);
	flow_advance(&office, 3600);
	ck_assert_refused(post(&office, "/oauth2/token", basic("worker", second),
			       "grant_type=client_credentials"),
			  401, "invalid_client");
}
END_TEST

START_TEST(a_secret_of_another_client_cannot_be_removed_through_this_one)
{
	const char *secret = make_client("worker", "orders.read", ORDERS);
	struct answer list = root_gets(200, METHOD_GET, CLIENTS "/worker/secrets", NULL);
	struct str id;

	make_client("other", "orders.read", ORDERS);
	ck_assert(json_str(json_get(json_at(items(&list), 0), "id"), &id));
	root_gets(404, METHOD_DELETE, format(CLIENTS "/other/secrets/%.*s", STR_ARG(id)), NULL);
	token_of("worker", secret);
}
END_TEST

START_TEST(the_operators_own_secret_works_and_is_not_echoed)
{
	struct answer a;

	root_gets(201, METHOD_POST, CLIENTS,
		  "{\"client_id\":\"own\",\"grant_types\":[\"client_credentials\"],"
		  "\"audiences\":[\"" ORDERS "\"],"
		  "\"client_secret\":\"a secret of the operator\"}");
	token_of("own", "a secret of the operator");
	a = root_gets(201, METHOD_POST, CLIENTS "/own/secrets",
		      "{\"client_secret\":\"weak\",\"allow_weak\":true}");
	ck_assert(!answer_has(&a, "client_secret"));
	ck_assert_str(answer_str(&a, "kind"), "own");
	token_of("own", "weak");
}
END_TEST

START_TEST(a_client_has_at_most_eight_secrets)
{
	make_client("worker", "orders.read", ORDERS);
	for (int i = 1; i < SECRETS_PER_CLIENT_MAX; i++)
		root_gets(201, METHOD_POST, CLIENTS "/worker/secrets", "{}");
	root_gets(409, METHOD_POST, CLIENTS "/worker/secrets", "{}");
}
END_TEST

static const struct {
	const char *body, *pointer;
} bad_secrets[] = {
	{ "{\"expires_in\":0}", "/expires_in" },
	{ "{\"expires_in\":-1}", "/expires_in" },
	{ "{\"expires_in\":9223372036854775807}", "/expires_in" },
	{ "{\"expires_in\":60,\"expires_at\":\"2027-01-01T00:00:00Z\"}", "/expires_at" },
	{ "{\"expires_at\":\"2020-01-01T00:00:00Z\"}", "/expires_at" },
	{ "{\"expires_at\":\"2027-02-31T00:00:00Z\"}", "/expires_at" },
	{ "{\"expires_at\":\"2027-01-01\"}", "/expires_at" },
	{ "{\"expires_at\":\"2027-01-01T00:00:00\"}", "/expires_at" },
	{ "{\"expires_at\":\"2027-01-01T00:00:00+25:00\"}", "/expires_at" },
	{ "{\"label\":\"a\\nb\"}", "/label" },
	{ "{\"secret\":\"x\"}", "/secret" },
};

START_TEST(bad_secrets_are_refused_with_a_pointer)
{
	struct answer a;

	make_client("worker", "orders.read", ORDERS);
	a = root(METHOD_POST, CLIENTS "/worker/secrets", bad_secrets[_i].body);
	ck_assert_msg(a.status == 422, "%s: %d %s", bad_secrets[_i].body, a.status, a.why);
	ck_assert_str(answer_str(&a, "pointer"), bad_secrets[_i].pointer);
}
END_TEST

START_TEST(rfc3339_offsets_and_fractions_are_understood)
{
	struct answer a;

	make_client("worker", "orders.read", ORDERS);
	a = root_gets(201, METHOD_POST, CLIENTS "/worker/secrets",
		      "{\"expires_at\":\"2027-01-01T01:30:00.25+01:30\"}");
	ck_assert_str(answer_str(&a, "expires_at"), "2027-01-01T00:00:00Z");
}
END_TEST

START_TEST(a_public_client_has_no_secrets)
{
	struct answer a = root_gets(
		201, METHOD_POST, CLIENTS,
		"{\"client_id\":\"app\",\"public\":true,\"public_password\":true,"
		"\"grant_types\":[\"password\",\"refresh_token\"]}");

	ck_assert(!answer_has(&a, "client_secret"));
	ck_assert(answer_bool(&a, "public"));
	ck_assert_str(answer_str(&a, "token_endpoint_auth_method"), "none");
	root_gets(422, METHOD_POST, CLIENTS "/app/secrets", "{}");
	root_gets(404, METHOD_POST, CLIENTS "/nobody/secrets", "{}");
}
END_TEST

START_TEST(no_secret_reaches_the_log)
{
	struct answer a = make_shop();
	struct str secret = answer_str(&a, "client_secret");
	struct str log;

	root(METHOD_POST, CLIENTS,
	     "{\"client_id\":\"own\",\"client_secret\":\"a secret of the operator\"}");
	root(METHOD_POST, CLIENTS, "{\"client_id\":\"own2\",\"client_secret\":\"too short\"}");
	root(METHOD_POST, "/admin/v1/users", "{\"name\":\"ann\",\"password\":\"tr0ub4dor and 3\"}");
	log = flow_log(&office);
	ck_assert_uint_gt(log.n, 0);
	ck_assert_ptr_null(memmem(log.p, log.n, secret.p, secret.n));
	ck_assert_ptr_null(strstr(log.p, "a secret of the operator"));
	ck_assert_ptr_null(strstr(log.p, "too short"));
	ck_assert_ptr_null(strstr(log.p, "tr0ub4dor"));
}
END_TEST

Suite *client_suite(void)
{
	Suite *suite = suite_create("admin clients");
	TCase *c = tcase_create("clients");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, admin_fixture_up, admin_fixture_down);
	tcase_add_test(c, a_client_is_shown_as_it_was_made_and_its_secret_once);
	tcase_add_test(c, a_client_seen_as_absent_exists_at_once);
	tcase_add_loop_test(c, bad_members_are_refused_with_a_pointer, 0,
			    sizeof(bad_clients) / sizeof(*bad_clients));
	tcase_add_test(c, an_unknown_audience_names_the_command_that_makes_one);
	tcase_add_test(c, a_body_that_is_no_object_is_refused);
	tcase_add_test(c, an_id_is_taken_for_ever_by_clients_and_users_alike);
	tcase_add_test(c, ids_with_spaces_and_slashes_have_a_path);
	tcase_add_test(c, rfc7396_null_resets_lists_are_replaced_objects_merge);
	tcase_add_loop_test(c, a_patch_cannot_make_what_could_not_be_created, 0,
			    sizeof(bad_patches) / sizeof(*bad_patches));
	tcase_add_test(c, rfc9110_if_match_refuses_a_stale_change);
	tcase_add_test(c, disabling_and_deleting_make_tokens_inactive_at_once);
	tcase_add_test(c, a_changed_scope_holds_for_the_next_token);
	tcase_add_test(c, secrets_come_and_go_one_by_one);
	tcase_add_test(c, a_secret_of_another_client_cannot_be_removed_through_this_one);
	tcase_add_test(c, the_operators_own_secret_works_and_is_not_echoed);
	tcase_add_test(c, a_client_has_at_most_eight_secrets);
	tcase_add_loop_test(c, bad_secrets_are_refused_with_a_pointer, 0,
			    sizeof(bad_secrets) / sizeof(*bad_secrets));
	tcase_add_test(c, rfc3339_offsets_and_fractions_are_understood);
	tcase_add_test(c, a_public_client_has_no_secrets);
	tcase_add_test(c, no_secret_reaches_the_log);
	suite_add_tcase(suite, c);
	return suite;
}
