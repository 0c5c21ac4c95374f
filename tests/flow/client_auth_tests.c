/* Who is calling (RFC 6749 2.3, RFC 7617): every way in, every way that is refused. */
#include <stdio.h>

#include "tests/flow/token_tests.h"

static struct flow *const f = &fx.flow;

#define CC "grant_type=client_credentials"

START_TEST(secret_in_the_body_serves_like_basic)
{
	const char *form = with(CC "&client_id=shop", "client_secret", str_z(fx.secret));

	ck_assert_int_eq(post(f, "/oauth2/token", anonymous(), form).status, 200);
}
END_TEST

START_TEST(two_ways_at_once_are_refused)
{
	const char *form = with(CC, "client_secret", str_z(fx.secret));

	ck_assert_refused(token(form), 400, "invalid_request");
	ck_assert_refused(token(CC "&client_id=other"), 400, "invalid_request");
	ck_assert_int_eq(token(CC "&client_id=shop").status, 200);
}
END_TEST

START_TEST(a_refused_client_gets_401_and_a_challenge)
{
	struct answer answers[] = {
		post(f, "/oauth2/token", basic("shop", "wrong"), CC),
		post(f, "/oauth2/token", basic("nobody", "wrong"), CC),
		post(f, "/oauth2/token", basic("shop", ""), CC),
		post(f, "/oauth2/token", anonymous(), CC),
		post(f, "/oauth2/token", anonymous(), CC "&client_id=shop"),
		post(f, "/oauth2/token", anonymous(), CC "&client_id=shop&client_secret=wrong"),
		post(f, "/oauth2/token", bearer(STR("x")), CC),
		post(f, "/oauth2/token", anonymous(), CC "&client_id=shop&client_assertion=x"),
	};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		ck_assert_refused(answers[i], 401, "invalid_client");
		ck_assert(str_starts(answer_header(&answers[i], "WWW-Authenticate"),
				     STR("Basic realm=")));
		ck_assert(str_equal(answers[i].body, answers[0].body));
	}
}
END_TEST

START_TEST(both_halves_of_basic_are_form_decoded)
{
	const char *id = "sh:op 1+%/\"";

	flow_client(f, id, "orders.read", ORDERS);
	flow_operator_secret(f, id, "my secret: 100%+& of it, really");
	ck_assert_int_eq(
		post(f, "/oauth2/token", basic(id, "my secret: 100%+& of it, really"), CC).status,
		200);
}
END_TEST

START_TEST(an_expired_secret_is_wrong_and_another_still_serves)
{
	const char *brief = flow_secret(f, "shop", FIXTURE_NOW + 60);

	ck_assert_int_eq(post(f, "/oauth2/token", basic("shop", brief), CC).status, 200);
	flow_advance(f, 60);
	ck_assert_refused(post(f, "/oauth2/token", basic("shop", brief), CC), 401,
			  "invalid_client");
	ck_assert_int_eq(token(CC).status, 200);
}
END_TEST

START_TEST(an_operators_secret_serves_until_it_is_removed)
{
	struct answer list;
	struct str id = STR_NONE;
	const char *own = "the operator chose this one himself";
	char target[256];

	flow_operator_secret(f, "shop", own);
	ck_assert_int_eq(post(f, "/oauth2/token", basic("shop", own), CC).status, 200);
	ck_assert_int_eq(post(f, "/oauth2/token", basic("shop", own), CC).status, 200);
	list = admin(f, METHOD_GET, "/admin/v1/clients/shop/secrets", NULL);
	for (size_t i = 0; i < json_len(json_get(list.json, "items")); i++)
		json_str(json_get(json_at(json_get(list.json, "items"), i), "id"), &id);
	snprintf(target, sizeof(target), "/admin/v1/clients/shop/secrets/%.*s", STR_ARG(id));
	ck_assert_int_eq(admin(f, METHOD_DELETE, target, NULL).status, 204);
	/* one of the two is gone: whichever it was, a secret that was remembered must not serve on
	 */
	ck_assert_int_eq((post(f, "/oauth2/token", basic("shop", own), CC).status == 200) +
				 (token(CC).status == 200),
			 1);
}
END_TEST

START_TEST(guessing_an_operators_secret_is_delayed)
{
	struct answer a = { .status = 0 };

	flow_operator_secret(f, "shop", "the operator chose this one himself");
	for (int i = 0; i <= 10; i++)
		a = post(f, "/oauth2/token", basic("shop", "guess"), CC);
	ck_assert_int_eq(a.status, 429);
	ck_assert_int_eq(token(CC).status, 200); /* the machine secret costs nothing to check */
}
END_TEST

static void make(const char *json)
{
	struct answer a = admin(f, METHOD_POST, "/admin/v1/clients", json);

	ck_assert_msg(a.status == 201, "%d %s %.*s", a.status, a.why, STR_ARG(a.body));
}

START_TEST(a_public_client_names_itself_and_gets_no_machine_token)
{
	struct answer a;

	make("{\"client_id\":\"app\",\"public\":true,\"public_password\":true,"
	     "\"grant_types\":[\"password\",\"refresh_token\"],\"scope\":\"orders.read\","
	     "\"audiences\":[\"" ORDERS "\"]}");
	a = post(f, "/oauth2/token", anonymous(), CC "&client_id=app");
	ck_assert_refused(a, 400, "unauthorized_client");
	a = post(f, "/oauth2/token", anonymous(),
		 with("grant_type=password&client_id=app&username=alice", "password",
		      STR(PASSWORD)));
	ck_assert_int_eq(a.status, 200);
	a = post(f, "/oauth2/token", anonymous(),
		 with("grant_type=refresh_token&client_id=app", "refresh_token",
		      answer_str(&a, "refresh_token")));
	ck_assert_int_eq(a.status, 200);
	a = post(f, "/oauth2/token", basic("app", "x"), CC);
	ck_assert_refused(a, 401, "invalid_client");
}
END_TEST

START_TEST(a_pinned_method_is_the_only_one)
{
	struct answer a = admin(f, METHOD_PATCH, "/admin/v1/clients/shop",
				"{\"token_endpoint_auth_method\":\"client_secret_post\"}");

	ck_assert_int_eq(a.status, 200);
	ck_assert_refused(token(CC), 401, "invalid_client");
	a = post(f, "/oauth2/token", anonymous(),
		 with(CC "&client_id=shop", "client_secret", str_z(fx.secret)));
	ck_assert_int_eq(a.status, 200);
}
END_TEST

START_TEST(a_client_made_a_moment_ago_is_known_although_it_was_asked_before)
{
	ck_assert_int_eq(post(f, "/oauth2/token", basic("late", "x"), CC).status, 401);
	make("{\"client_id\":\"late\",\"client_secret\":\"0123456789012345678901234567\","
	     "\"grant_types\":[\"client_credentials\"],\"scope\":\"orders.read\","
	     "\"audiences\":[\"" ORDERS "\"]}");
	ck_assert_int_eq(
		post(f, "/oauth2/token", basic("late", "0123456789012345678901234567"), CC).status,
		200);
}
END_TEST

START_TEST(get_on_the_token_endpoint_is_405_with_allow)
{
	struct answer a = get(f, "/oauth2/token");

	ck_assert_int_eq(a.status, 405);
	ck_assert_str(answer_header(&a, "Allow"), "POST");
}
END_TEST

START_TEST(json_and_multipart_are_no_forms)
{
	static const char *const types[] = { "application/json", "multipart/form-data; boundary=x",
					     "text/plain" };
	struct auth auth = basic("shop", fx.secret);

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct ask ask = {
			.method = METHOD_POST,
			.target = "/oauth2/token",
			.authorization = auth.text,
			.content_type = types[i],
			.body = STR(CC),
		};

		ck_assert_refused(flow_send(f, &ask), 400, "invalid_request");
	}
}
END_TEST

START_TEST(no_secret_reaches_the_log)
{
	struct answer a = login();
	struct str log;

	refresh(answer_str(&a, "refresh_token"));
	token(with("grant_type=password&username=alice", "password", STR("hunter2hunter2")));
	/* id and secret changed places, a token where the id belongs */
	post(f, "/oauth2/token", basic(fx.secret, "shop"), "grant_type=client_credentials");
	post(f, "/oauth2/introspect", anonymous(),
	     with("token=x", "client_id", answer_str(&a, "access_token")));
	post(f, "/oauth2/introspect", anonymous(),
	     with("token=x", "client_id", answer_str(&a, "refresh_token")));
	log = flow_log(f);
	ck_assert(log.p && log.n);
	ck_assert_ptr_null(memmem(log.p, log.n, fx.secret, strlen(fx.secret)));
	ck_assert_ptr_null(memmem(log.p, log.n, PASSWORD, strlen(PASSWORD)));
	ck_assert_ptr_null(memmem(log.p, log.n, "hunter2", 7));
	ck_assert_ptr_null(memmem(log.p, log.n, "chy_rt_", 7));
	ck_assert_ptr_null(memmem(log.p, log.n, "eyJ", 3));
}
END_TEST

Suite *client_auth_suite(void)
{
	Suite *s = suite_create("client authentication");
	TCase *t = tcase_create("client authentication");

	tcase_add_checked_fixture(t, office_fixture_up, office_fixture_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, secret_in_the_body_serves_like_basic);
	tcase_add_test(t, two_ways_at_once_are_refused);
	tcase_add_test(t, a_refused_client_gets_401_and_a_challenge);
	tcase_add_test(t, both_halves_of_basic_are_form_decoded);
	tcase_add_test(t, an_expired_secret_is_wrong_and_another_still_serves);
	tcase_add_test(t, an_operators_secret_serves_until_it_is_removed);
	tcase_add_test(t, guessing_an_operators_secret_is_delayed);
	tcase_add_test(t, a_public_client_names_itself_and_gets_no_machine_token);
	tcase_add_test(t, a_pinned_method_is_the_only_one);
	tcase_add_test(t, a_client_made_a_moment_ago_is_known_although_it_was_asked_before);
	tcase_add_test(t, get_on_the_token_endpoint_is_405_with_allow);
	tcase_add_test(t, json_and_multipart_are_no_forms);
	tcase_add_test(t, no_secret_reaches_the_log);
	suite_add_tcase(s, t);
	return s;
}
