/* client_credentials and password, and who may get what (RFC 6749 4.3, 4.4, 5; RFC 8707; RFC 9068).
 */
#include "base/limits.h"
#include "server/token/token.h"
#include "tests/flow/token_tests.h"

static struct flow *const f = &fx.flow;

static int64_t claim_int(const struct json *claims, const char *name)
{
	int64_t v = 0;

	ck_assert_msg(json_int(json_get(claims, name), &v), "no integer claim %s", name);
	return v;
}

static struct str claim_str(const struct json *claims, const char *name)
{
	struct str v = STR_NONE;

	ck_assert_msg(json_str(json_get(claims, name), &v), "no string claim %s", name);
	return v;
}

START_TEST(client_credentials_give_a_token_of_rfc9068)
{
	struct answer a = token("grant_type=client_credentials&scope=orders.read");
	const struct json *c;

	ck_assert_int_eq(a.status, 200);
	ck_assert_str(answer_header(&a, "Cache-Control"), "no-store");
	ck_assert_str(answer_header(&a, "Pragma"), "no-cache");
	ck_assert_str(answer_str(&a, "token_type"), "Bearer");
	ck_assert_str(answer_str(&a, "scope"), "orders.read");
	ck_assert_int_eq(answer_int(&a, "expires_in"), 600);
	ck_assert(!answer_has(&a, "refresh_token")); /* RFC 6749 4.4.3 */
	c = claims_of(answer_str(&a, "access_token"));
	ck_assert_str(claim_str(c, "iss"), "https://id.example");
	ck_assert_str(claim_str(c, "sub"), "shop");
	ck_assert_str(claim_str(c, "client_id"), "shop");
	ck_assert_str(claim_str(c, "aud"), ORDERS);
	ck_assert_str(claim_str(c, "scope"), "orders.read");
	ck_assert_int_eq(claim_int(c, "exp") - claim_int(c, "iat"), 600);
	ck_assert_int_eq(claim_int(c, "iat") - claim_int(c, "nbf"), 30);
	ck_assert_ptr_null(json_get(c, "sid"));
	ck_assert_uint_gt(claim_str(c, "jti").n, 20);
}
END_TEST

START_TEST(password_gives_a_user_token_and_a_refresh_token)
{
	struct answer a = login();
	const struct json *c = claims_of(answer_str(&a, "access_token"));

	ck_assert_str(claim_str(c, "sub"), "u-alice");
	ck_assert_str(claim_str(c, "client_id"), "shop");
	ck_assert_int_eq(claim_int(c, "auth_time"), claim_int(c, "iat"));
	ck_assert_int_eq(answer_int(&a, "expires_in"), 300);
	ck_assert_uint_gt(claim_str(c, "sid").n, 20);
	ck_assert_uint_eq(json_len(json_get(c, "amr")), 1);
	ck_assert(str_starts(answer_str(&a, "refresh_token"), STR("chy_rt_")));
}
END_TEST

static const struct refusal {
	const char *form;
	int status;
	const char *error;
} refusals[] = {
	{ "", 400, "invalid_request" },
	{ "grant_type=", 400, "invalid_request" },
	{ "grant_type=implicit", 400, "unsupported_grant_type" },
	{ "grant_type=Client_Credentials", 400, "unsupported_grant_type" },
	{ "grant_type=client_credentials&grant_type=client_credentials", 400, "invalid_request" },
	{ "grant_type=client_credentials&scope=admin", 400, "invalid_scope" },
	{ "grant_type=client_credentials&scope=bills.read", 400, "invalid_scope" },
	{ "grant_type=client_credentials&scope=Orders.read", 400, "invalid_scope" },
	{ "grant_type=client_credentials&scope=orders.read++orders.write", 400, "invalid_scope" },
	{ "grant_type=client_credentials&scope=chancery:admin", 400, "invalid_scope" },
	{ "grant_type=client_credentials&resource=https://other.example", 400, "invalid_target" },
	{ "grant_type=client_credentials&resource=orders", 400, "invalid_target" },
	{ "grant_type=client_credentials&resource=https://orders.example%23x", 400,
	  "invalid_target" },
	{ "grant_type=client_credentials&audience=https://orders.example/", 400, "invalid_target" },
	{ "grant_type=client_credentials&resource=https://id.example/admin", 400,
	  "invalid_target" },
	{ "grant_type=client_credentials&resource=https://orders.example&resource=https://"
	  "orders.example",
	  400, "invalid_target" },
	/* a scope that one of two audiences does not declare */
	{ "grant_type=client_credentials&resource=https://orders.example&resource=https://"
	  "billing.example"
	  "&scope=orders.write",
	  400, "invalid_target" },
	{ "grant_type=password&username=alice", 400, "invalid_request" },
	{ "grant_type=password&password=x", 400, "invalid_request" },
	{ "grant_type=password&username=alice&password=wrong", 400, "invalid_grant" },
	{ "grant_type=password&username=nobody&password=wrong", 400, "invalid_grant" },
	{ "grant_type=refresh_token", 400, "invalid_request" },
	{ "grant_type=refresh_token&refresh_token=chy_rt_x", 400, "invalid_grant" },
	{ "grant_type=client_credentials&x=%00", 400, "invalid_request" },
	{ "grant_type=client_credentials&x=%zz", 400, "invalid_request" },
	{ "grant_type=client_credentials&x=%ff", 400, "invalid_request" },
};

START_TEST(a_bad_request_has_the_rfcs_error_name)
{
	const struct refusal *r = &refusals[_i];
	struct answer a = token(r->form);

	ck_assert_refused(a, r->status, r->error);
	ck_assert_str(answer_header(&a, "Cache-Control"), "no-store");
	ck_assert_str(str_z(a.content_type), "application/json");
	ck_assert_msg(a.why[0], "a refusal without a reason in the log");
}
END_TEST

START_TEST(one_token_for_two_audiences_carries_what_both_declare)
{
	struct answer a = token("grant_type=client_credentials&resource=" ORDERS
				"&resource=" BILLING);
	const struct json *c;

	ck_assert_int_eq(a.status, 200);
	ck_assert_str(answer_str(&a, "scope"), "orders.read");
	c = claims_of(answer_str(&a, "access_token"));
	ck_assert_int_eq((int)json_type(json_get(c, "aud")), JSON_ARRAY);
	ck_assert_uint_eq(json_len(json_get(c, "aud")), 2);
}
END_TEST

START_TEST(audience_parameter_serves_where_resource_is_absent)
{
	struct answer a = token("grant_type=client_credentials&audience=" BILLING);

	ck_assert_int_eq(a.status, 200);
	ck_assert_str(claim_str(claims_of(answer_str(&a, "access_token")), "aud"), BILLING);
	ck_assert_str(answer_str(&a, "scope"), "orders.read bills.read");
}
END_TEST

START_TEST(empty_parameters_count_as_absent)
{
	struct answer a = token("grant_type=client_credentials&scope=&resource=");

	ck_assert_int_eq(a.status, 200);
	ck_assert_str(answer_str(&a, "scope"), "orders.read orders.write");
}
END_TEST

/* The same answer, byte for byte, whatever is wrong with the user. */
START_TEST(unknown_wrong_and_disabled_users_get_one_answer)
{
	struct user u = { .roles = STR_NONE };
	struct answer unknown = token("grant_type=password&username=bob&password=x");
	struct answer wrong = token("grant_type=password&username=alice&password=x");
	struct answer disabled;

	ck_assert_int_eq(store_user_get(f->store.db, f->arena, STR("u-alice"), &u), ERR_OK);
	u.disabled = true;
	ck_assert_int_eq(store_user_update(f->store.db, &u, 0, FIXTURE_NOW, FIXTURE_NOW + 1),
			 ERR_OK);
	disabled = token(with("grant_type=password&username=alice", "password", STR(PASSWORD)));
	ck_assert_int_eq(unknown.status, 400);
	ck_assert_int_eq(wrong.status, 400);
	ck_assert_int_eq(disabled.status, 400);
	ck_assert(str_equal(unknown.body, wrong.body));
	ck_assert(str_equal(unknown.body, disabled.body));
}
END_TEST

static struct answer guess_from(const char *address, const char *password)
{
	struct auth auth = basic("shop", fx.secret);
	struct ask ask = {
		.method = METHOD_POST,
		.target = "/oauth2/token",
		.authorization = auth.text,
		.content_type = "application/x-www-form-urlencoded",
		.address = address,
		.body = str_z(
			with("grant_type=password&username=alice", "password", str_z(password))),
	};

	return flow_send(f, &ask);
}

START_TEST(after_ten_failures_the_user_waits_on_that_network_only)
{
	struct answer a;

	for (int i = 0; i < LOGIN_FAILURES_FREE; i++)
		ck_assert_int_eq(guess_from("198.51.100.7", "x").status, 400);
	a = guess_from("198.51.100.8", PASSWORD); /* same /24, right password: too late */
	ck_assert_int_eq(a.status, 429);
	ck_assert_str(answer_header(&a, "Retry-After"), "30");
	ck_assert_int_eq(guess_from("203.0.113.1", PASSWORD).status, 200);
	flow_advance(f, 31);
	ck_assert_int_eq(guess_from("198.51.100.7", PASSWORD).status, 200);
}
END_TEST

START_TEST(unlock_ends_the_wait)
{
	for (int i = 0; i < LOGIN_FAILURES_FREE; i++)
		guess_from("198.51.100.7", "x");
	ck_assert_int_eq(guess_from("198.51.100.7", PASSWORD).status, 429);
	ck_assert_int_lt(admin(f, METHOD_POST, "/admin/v1/users/u-alice/unlock", NULL).status, 300);
	ck_assert_int_eq(guess_from("198.51.100.7", PASSWORD).status, 200);
}
END_TEST

START_TEST(a_name_that_does_not_exist_is_delayed_like_one_that_does)
{
	struct answer a = { .status = 0 };

	for (int i = 0; i <= LOGIN_FAILURES_FREE; i++)
		a = token("grant_type=password&username=ghost&password=x");
	ck_assert_int_eq(a.status, 429);
}
END_TEST

START_TEST(a_password_is_refused_and_not_cut_when_too_long)
{
	char longer[PASSWORD_MAX + 2];
	struct answer a;

	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	a = token(with("grant_type=password&username=alice", "password", str_z(longer)));
	ck_assert_refused(a, 400, "invalid_grant");
}
END_TEST

static void change_client(const char *json)
{
	struct answer a = admin(f, METHOD_PATCH, "/admin/v1/clients/shop", json);

	ck_assert_msg(a.status == 200, "%d %s", a.status, a.why);
}

START_TEST(a_grant_the_client_has_not_is_unauthorized)
{
	change_client("{\"grant_types\":[\"client_credentials\"]}");
	ck_assert_refused(login_attempt(), 400, "unauthorized_client");
}
END_TEST

START_TEST(password_without_refresh_grant_gives_no_refresh_token)
{
	struct answer a;

	change_client("{\"grant_types\":[\"password\"]}");
	a = login_attempt();
	ck_assert_int_eq(a.status, 200);
	ck_assert(!answer_has(&a, "refresh_token"));
}
END_TEST

START_TEST(the_smallest_lifetime_wins)
{
	struct answer a;

	change_client("{\"access_ttl\":120}");
	a = token("grant_type=client_credentials");
	ck_assert_int_eq(answer_int(&a, "expires_in"), 120);
	a = admin(f, METHOD_PATCH, "/admin/v1/apis/orders", "{\"access_ttl\":60}");
	ck_assert_int_eq(a.status, 200);
	a = token("grant_type=client_credentials");
	ck_assert_int_eq(answer_int(&a, "expires_in"), 60);
}
END_TEST

START_TEST(custom_claims_appear_where_the_api_asks_for_them)
{
	const struct json *c;
	struct answer a;

	change_client("{\"claims\":{\"tenant\":{\"id\":7},\"colour\":\"red\"}}");
	a = admin(f, METHOD_PATCH, "/admin/v1/apis/orders", "{\"claims\":[\"tenant\"]}");
	ck_assert_int_eq(a.status, 200);
	a = token("grant_type=client_credentials");
	c = claims_of(answer_str(&a, "access_token"));
	ck_assert_int_eq(claim_int(json_get(c, "tenant"), "id"), 7);
	ck_assert_ptr_null(json_get(c, "colour"));
	a = token("grant_type=client_credentials&resource=" BILLING);
	ck_assert_ptr_null(json_get(claims_of(answer_str(&a, "access_token")), "tenant"));
}
END_TEST

START_TEST(a_token_needs_a_signer_and_says_503_without_one)
{
	struct answer a;

	for (int i = 0; i < SIGNER_FIXTURE_LANES; i++)
		signer_channel_close(&f->signer.signing[i]);
	a = token("grant_type=client_credentials");
	ck_assert_refused(a, 503, "temporarily_unavailable");
	ck_assert(answer_header(&a, "Retry-After").p);
	ck_assert_int_eq(get(f, "/.well-known/jwks.json").status, 200);
}
END_TEST

Suite *grant_suite(void)
{
	Suite *s = suite_create("grants");
	TCase *t = tcase_create("grants");

	tcase_add_checked_fixture(t, office_fixture_up, office_fixture_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, client_credentials_give_a_token_of_rfc9068);
	tcase_add_test(t, password_gives_a_user_token_and_a_refresh_token);
	tcase_add_loop_test(t, a_bad_request_has_the_rfcs_error_name, 0,
			    sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(t, one_token_for_two_audiences_carries_what_both_declare);
	tcase_add_test(t, audience_parameter_serves_where_resource_is_absent);
	tcase_add_test(t, empty_parameters_count_as_absent);
	tcase_add_test(t, unknown_wrong_and_disabled_users_get_one_answer);
	tcase_add_test(t, after_ten_failures_the_user_waits_on_that_network_only);
	tcase_add_test(t, unlock_ends_the_wait);
	tcase_add_test(t, a_name_that_does_not_exist_is_delayed_like_one_that_does);
	tcase_add_test(t, a_password_is_refused_and_not_cut_when_too_long);
	tcase_add_test(t, a_grant_the_client_has_not_is_unauthorized);
	tcase_add_test(t, password_without_refresh_grant_gives_no_refresh_token);
	tcase_add_test(t, the_smallest_lifetime_wins);
	tcase_add_test(t, custom_claims_appear_where_the_api_asks_for_them);
	tcase_add_test(t, a_token_needs_a_signer_and_says_503_without_one);
	suite_add_tcase(s, t);
	return s;
}
