/* /gateway/verify: good signatures over what must not pass, and the traces of a verdict. */
#include "tests/flow/gateway_fixture.h"

/* ---- good signatures over what must not pass ---- */

START_TEST(a_token_for_the_admin_api_passes_nowhere)
{
	static const char *const members[] = {
		"\"aud\":\"" ISSUER "/admin\"",
		"\"aud\":[\"" ORDERS "\",\"" ISSUER "/admin\"]",
		"\"aud\":[\"" ORDERS "\",\"" ISSUER "/gateway\"]",
		"\"aud\":[\"" ISSUER "\",\"" ORDERS "\"]",
	};

	ck_assert_int_eq(ask(ASK_ORDERS, signed_with("")).status, 200);
	for (size_t i = 0; i < COUNT(members); i++) {
		struct answer a = ask(ASK_ORDERS, signed_with(members[i]));

		check_refused(&a, 401, INVALID);
	}
}
END_TEST

START_TEST(a_key_bound_token_is_refused)
{
	struct answer a = ask(ASK_ORDERS, signed_with("\"cnf\":{\"jkt\":\"x\"}"));

	check_refused(&a, 401, INVALID);
}
END_TEST

START_TEST(a_value_that_a_header_cannot_carry_is_refused)
{
	static const char *const members[] = {
		"\"sid\":\"s\",\"sub\":\"a\\r\\nX-User-Role: king\"",
		"\"sid\":\"s\",\"sub\":\"a\\nb\"",
		"\"sid\":\"s\",\"sub\":\"a\\tb\"",
		"\"sid\":\"s\",\"sub\":\" alice\"",
		"\"sid\":\"s\",\"sub\":\"alice \"",
		"\"sid\":\"s\",\"sub\":\"\xc3\xa4\"",
		"\"sid\":\"s\",\"sub\":\"\\u007f\"",
		"\"client_id\":\"shop\\u0085\"",
		"\"client_id\":\"sh\xc3\xb6p\"",
		"\"scope\":\"read\\nking\"",
		"\"scope\":\"read \"",
		"\"sid\":\"s\",\"roles\":[\"a,b\"]",
		"\"sid\":\"s\",\"roles\":[\"a b\"]",
		"\"sid\":\"s\",\"roles\":[\"a\\r\\nb\"]",
		"\"sid\":\"s\",\"roles\":[\"\"]",
		"\"sid\":\"s\",\"roles\":[\"a\",7]",
	};

	for (size_t i = 0; i < COUNT(members); i++) {
		struct answer a = ask(ASK_ORDERS, signed_with(members[i]));

		ck_assert_msg(a.status == 401, "%s: %d", members[i], a.status);
		check_refused(&a, 401, INVALID);
	}
}
END_TEST

START_TEST(roles_of_a_token_that_names_no_login_are_not_told)
{
	struct answer a = ask(ASK_ORDERS, signed_with("\"roles\":[\"king\"]"));

	ck_assert_int_eq(a.status, 200);
	ck_assert_str(answer_header(&a, "X-User-Id"), "");
	ck_assert_str(answer_header(&a, "X-User-Role"), "");
	a = ask(ASK_ORDERS "&role=king", signed_with("\"roles\":[\"king\"]"));
	ck_assert_int_eq(a.status, 403);
}
END_TEST

/* A good signature over a jti that our signer did not make. */
START_TEST(a_forged_token_is_refused_and_said_aloud)
{
	struct str t = machine_token();

	gateway_flow->app.derived.jti.b[0] ^= 1;
	ck_assert_int_eq(ask(ASK_ORDERS, t).status, 401);
	ck_assert_ptr_nonnull(strstr(flow_log(gateway_flow).p, "forged token"));
}
END_TEST

/* ---- traces ---- */

START_TEST(the_log_line_names_whom_and_why)
{
	struct str line;

	flow_log(gateway_flow);
	ask(ASK_ORDERS, user_token());
	line = flow_log(gateway_flow);
	ck_assert_ptr_nonnull(strstr(line.p, "\"listener\":\"gateway\""));
	ck_assert_ptr_nonnull(strstr(line.p, "\"route\":\"/gateway/verify\""));
	ck_assert_ptr_nonnull(strstr(line.p, "\"sub\":\"u-alice\""));
	ask(ASK_ORDERS, STR("chy_at_abc"));
	line = flow_log(gateway_flow);
	ck_assert_ptr_nonnull(
		strstr(line.p, "\"reason\":\"Opaque tokens are judged by introspection.\""));
	ck_assert_ptr_null(strstr(line.p, "chy_at_abc"));
}
END_TEST

START_TEST(verdicts_are_counted)
{
	static const char *const want[] = {
		"chancery_gateway_verifications_total{verdict=\"allowed\"} 2\n",
		"chancery_gateway_verifications_total{verdict=\"no_token\"} 1\n",
		"chancery_gateway_verifications_total{verdict=\"invalid_token\"} 1\n",
		"chancery_gateway_verifications_total{verdict=\"insufficient_scope\"} 1\n",
		"chancery_gateway_verifications_total{verdict=\"bad_question\"} 1\n",
		"chancery_gateway_verifications_total{verdict=\"undecided\"} 0\n",
		"chancery_http_requests_in_flight{listener=\"gateway\"} 0\n",
		"chancery_http_requests_total{listener=\"gateway\",route=\"/gateway/verify\","
		"method=\"GET\",code=\"401\"} 2\n",
	};
	struct str t = machine_token();
	struct answer a;

	ask(ASK_ORDERS, t);
	ask("/gateway/verify/orders/x", t);
	ask_as(ASK_ORDERS, NULL);
	ask(ASK_ORDERS, STR("x"));
	ask(ASK_ORDERS "&scope=bills", t);
	ask("/gateway/verify", t);
	a = flow_send(gateway_flow,
		      &(struct ask){ .listener = LISTENER_ADMIN, .target = "/metrics" });
	for (size_t i = 0; i < COUNT(want); i++)
		ck_assert_msg(memmem(a.body.p, a.body.n, want[i], strlen(want[i])), "missing %s",
			      want[i]);
}
END_TEST

Suite *gateway_claims_suite(void)
{
	const TTest *const tests[] = {
		a_token_for_the_admin_api_passes_nowhere,
		a_key_bound_token_is_refused,
		a_value_that_a_header_cannot_carry_is_refused,
		roles_of_a_token_that_names_no_login_are_not_told,
		a_forged_token_is_refused_and_said_aloud,
		the_log_line_names_whom_and_why,
		verdicts_are_counted,
	};
	Suite *s = suite_create("gateway, claims");
	TCase *t = tcase_create("gateway, claims");

	tcase_add_checked_fixture(t, gateway_up, gateway_down);
	tcase_set_timeout(t, 120);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(s, t);
	return s;
}
