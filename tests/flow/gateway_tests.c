/* /gateway/verify: who passes, what a question must look like, and when a good token ends. */
#include <stdio.h>

#include "tests/flow/gateway_fixture.h"

/* ---- what passes ---- */

START_TEST(a_users_token_passes_with_all_headers)
{
	struct answer a = ask(ASK_ORDERS, user_token());

	ck_assert_msg(a.status == 200, "%d: %s", a.status, a.why);
	ck_assert_uint_eq(a.body.n, 0);
	ck_assert_str(answer_header(&a, "X-User-Id"), "u-alice");
	ck_assert_str(answer_header(&a, "X-User-Role"), "buyer,clerk");
	ck_assert_str(answer_header(&a, "X-Scope"), "read write");
	ck_assert_str(answer_header(&a, "X-Client-Id"), "shop");
	ck_assert_uint_gt(answer_header(&a, "X-Token-Id").n, 20);
	ck_assert_str(answer_header(&a, "Cache-Control"), "no-store");
	ck_assert_str(answer_header(&a, "X-Content-Type-Options"), "nosniff");
	ck_assert(!answer_header(&a, "WWW-Authenticate").p);
}
END_TEST

START_TEST(a_clients_own_token_names_no_user_and_says_so_with_empty_headers)
{
	struct answer a = ask(ASK_ORDERS, machine_token());

	ck_assert_int_eq(a.status, 200);
	ck_assert_ptr_nonnull(answer_header(&a, "X-User-Id").p);
	ck_assert_str(answer_header(&a, "X-User-Id"), "");
	ck_assert_ptr_nonnull(answer_header(&a, "X-User-Role").p);
	ck_assert_str(answer_header(&a, "X-User-Role"), "");
	ck_assert_str(answer_header(&a, "X-Client-Id"), "shop");
}
END_TEST

START_TEST(every_method_is_the_same_question)
{
	struct auth auth = bearer(machine_token());

	for (unsigned m = METHOD_OTHER; m < METHOD_COUNT; m++) {
		struct ask q = { .listener = LISTENER_GATEWAY,
				 .method = m,
				 .target = ASK_ORDERS,
				 .authorization = auth.text,
				 .content_type = "application/octet-stream",
				 .body = STR("token=x") };

		ck_assert_int_eq(flow_send(gateway_flow, &q).status, 200);
		q.authorization = NULL;
		ck_assert_int_eq(flow_send(gateway_flow, &q).status, 401);
	}
}
END_TEST

START_TEST(an_api_in_the_path_is_the_audience_and_the_rest_is_ignored)
{
	static const char *const targets[] = {
		"/gateway/verify/orders",
		"/gateway/verify/orders?audience=https://billing.example&x=1&x=2",
		"/gateway/verify/orders/",
		"/gateway/verify/orders//",
		"/gateway/verify/orders/a/b?scope=nothing&role=king",
		"/gateway/verify/orders/../billing",
		"/gateway/verify/orders/%2e%2e/billing",
		"/gateway/verify/orders/%zz%00%0d%0a",
		"/gateway/verify/orders/gateway/verify?audience=https://billing.example",
	};
	struct auth auth = bearer(machine_token()), other;

	other = bearer(token_of("grant_type=client_credentials&resource=" BILLING));
	for (size_t i = 0; i < COUNT(targets); i++) {
		ck_assert_msg(ask_as(targets[i], auth.text).status == 200, "%s", targets[i]);
		ck_assert_msg(ask_as(targets[i], other.text).status == 401, "%s", targets[i]);
	}
}
END_TEST

START_TEST(scopes_and_roles_are_needed_all_of_them)
{
	static const struct {
		const char *query;
		int status;
		const char *challenge;
	} rows[] = {
		{ "&scope=read", 200, NULL },
		{ "&scope=write+read", 200, NULL },
		{ "&scope=read%20write&role=buyer", 200, NULL },
		{ "&role=clerk+buyer", 200, NULL },
		{ "&scope=bills", 403,
		  CHALLENGE ", error=\"insufficient_scope\", scope=\"bills\"" },
		{ "&scope=bills+read", 403,
		  CHALLENGE ", error=\"insufficient_scope\", scope=\"bills read\"" },
		{ "&scope=read+bills+write", 403,
		  CHALLENGE ", error=\"insufficient_scope\", scope=\"read bills write\"" },
		{ "&scope=rea", 403, CHALLENGE ", error=\"insufficient_scope\", scope=\"rea\"" },
		{ "&scope=READ", 403, CHALLENGE ", error=\"insufficient_scope\", scope=\"READ\"" },
		{ "&role=king", 403, CHALLENGE ", error=\"insufficient_scope\"" },
		{ "&role=king+buyer", 403, CHALLENGE ", error=\"insufficient_scope\"" },
		{ "&role=buyer+king", 403, CHALLENGE ", error=\"insufficient_scope\"" },
		{ "&role=buyer,clerk", 403, CHALLENGE ", error=\"insufficient_scope\"" },
		{ "&scope=read&role=read", 403, CHALLENGE ", error=\"insufficient_scope\"" },
	};
	struct auth auth = bearer(user_token());

	for (size_t i = 0; i < COUNT(rows); i++) {
		char target[256];
		struct answer a;

		snprintf(target, sizeof(target), "%s%s", ASK_ORDERS, rows[i].query);
		a = ask_as(target, auth.text);
		if (rows[i].status != 200)
			check_refused(&a, rows[i].status, rows[i].challenge);
		ck_assert_msg(a.status == rows[i].status, "%s: %d", target, a.status);
	}
}
END_TEST

/* ---- the gateway's own mistakes ---- */

START_TEST(a_question_with_anything_odd_is_refused_even_with_a_good_token)
{
	static const char *const targets[] = {
		"/gateway/verify",
		"/gateway/verify?",
		"/gateway/verify?scope=read",
		"/gateway/verify?audience=",
		"/gateway/verify?audience",
		ASK_ORDERS "&audience=https://orders.example",
		ASK_ORDERS "&audience=https://billing.example",
		ASK_ORDERS "&audience=",
		"/gateway/verify?audience=&audience=https://orders.example",
		ASK_ORDERS "&scope=read&scope=read",
		ASK_ORDERS "&role=buyer&role=buyer",
		ASK_ORDERS "&scope=",
		ASK_ORDERS "&role=",
		ASK_ORDERS "&scope=+read",
		ASK_ORDERS "&scope=read++write",
		ASK_ORDERS "&scope=a%22b",
		ASK_ORDERS "&role=a%0ab",
		ASK_ORDERS "&Scope=read",
		ASK_ORDERS "&scopes=read",
		ASK_ORDERS "&resource=x",
		ASK_ORDERS "&token=x",
		ASK_ORDERS "&access_token=x",
		ASK_ORDERS "&=x",
		ASK_ORDERS "%",
		ASK_ORDERS "/",
		"/gateway/verify?audience=HTTPS://orders.example",
		"/gateway/verify?audience=orders",
		"/gateway/verify?audience=https://nobody.example",
		"/gateway/verify?audience=" ISSUER "/admin",
		"/gateway/verify?audience=" ISSUER,
		"/gateway/verify/nobody",
		"/gateway/verify/Orders",
		"/gateway/verify/orders*",
		"/gateway/verify/..",
		"/gateway/verify/chancery-admin",
		"/gateway/verify/chancery-admin/orders",
		"/gateway/verify/%6frders%2f",
		"/gateway/verify/%",
	};
	struct auth auth = bearer(machine_token());

	for (size_t i = 0; i < COUNT(targets); i++) {
		struct answer a = ask_as(targets[i], auth.text);

		ck_assert_msg(a.status == 400, "%s: %d %s", targets[i], a.status, a.why);
		check_refused(&a, 400, NULL);
	}
}
END_TEST

START_TEST(it_is_served_on_the_gateway_listener_alone_and_nothing_else_is_served_there)
{
	static const enum listener elsewhere[] = { LISTENER_PUBLIC, LISTENER_ADMIN,
						   LISTENER_SOCKET };
	struct auth auth = bearer(machine_token());

	for (size_t i = 0; i < COUNT(elsewhere); i++) {
		const struct ask q = { .listener = elsewhere[i],
				       .target = ASK_ORDERS,
				       .authorization = auth.text,
				       .root = true };

		ck_assert_int_eq(flow_send(gateway_flow, &q).status, 404);
	}
	for (size_t i = 0; i < route_count; i++) {
		if (!(routes[i].listeners & (LISTENER_GATEWAY | LISTENER_SIDECAR)))
			ck_assert_int_eq(ask_as(routes[i].pattern, auth.text).status, 404);
	}
	ck_assert_int_eq(ask_as("/gateway/verif", auth.text).status, 404);
	ck_assert_int_eq(ask_as("/gateway/verify/", auth.text).status, 404);
	ck_assert_int_eq(ask_as("/gateway/verify//orders", auth.text).status, 404);
	ck_assert_int_eq(ask_as("/Gateway/verify/orders", auth.text).status, 404);
}
END_TEST

/* ---- what is no bearer token ---- */

START_TEST(without_a_token_the_challenge_has_no_error)
{
	static const char *const headers[] = { NULL,	"",	   "Bearer",	 "Bearer ",
					       "Basic", "Basic x", "Digest a=b", "Bearer\tx" };

	for (size_t i = 0; i < COUNT(headers); i++) {
		struct answer a = ask_as(ASK_ORDERS, headers[i]);

		check_refused(&a, 401, CHALLENGE);
	}
}
END_TEST

START_TEST(what_is_no_token_of_ours_is_invalid)
{
	static const char *const texts[] = { "x",   "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.",
					     "a b", ",",  "null",  "undefined" };
	struct buf b;
	struct str t = machine_token(), text;

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct answer a = ask(ASK_ORDERS, str_z(texts[i]));

		check_refused(&a, 401, INVALID);
	}
	buf_init(&b, gateway_flow->arena, 2 * JWT_SIZE_MAX);
	buf_str(&b, t);
	buf_z(&b, ", Bearer ");
	buf_str(&b, t);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	ck_assert_int_eq(ask(ASK_ORDERS, text).status, 401);
}
END_TEST

START_TEST(formats_that_are_judged_elsewhere_are_refused_with_a_reason)
{
	struct answer a = ask(ASK_ORDERS, STR("chy_at_abc"));

	check_refused(&a, 401,
		      INVALID ", error_description=\"Opaque tokens are judged by introspection.\"");
	a = ask(ASK_ORDERS, STR("a.b.c.d.e"));
	check_refused(&a, 401,
		      INVALID
		      ", error_description=\"Encrypted tokens are read by their api alone.\"");
}
END_TEST

/* ---- whose token, and is it still good ---- */

START_TEST(another_audience_is_refused)
{
	struct answer a = ask(ASK_ORDERS,
			      token_of("grant_type=client_credentials&resource=" BILLING));

	check_refused(&a, 401, INVALID);
}
END_TEST

START_TEST(times_are_kept_to_the_second)
{
	struct str t = machine_token();

	flow_advance(gateway_flow, 599);
	ck_assert_int_eq(ask(ASK_ORDERS, t).status, 200);
	flow_advance(gateway_flow, 1);
	ck_assert_int_eq(ask(ASK_ORDERS, t).status, 401);
}
END_TEST

START_TEST(a_changed_token_is_refused)
{
	struct str t = machine_token();
	char text[4096];

	ck_assert_uint_lt(t.n, sizeof(text));
	memcpy(text, t.p, t.n);
	for (size_t i = 0; i < t.n; i += 13) {
		const char old = text[i];

		text[i] = old == 'A' ? 'B' : 'A';
		ck_assert_msg(ask(ASK_ORDERS, str_n(text, t.n)).status == 401, "at %zu", i);
		text[i] = old;
	}
}
END_TEST

START_TEST(a_revoked_token_is_refused_at_once)
{
	struct str one = machine_token(), other = machine_token();
	char form[4096];

	snprintf(form, sizeof(form), "token=%.*s", STR_ARG(one));
	ck_assert_int_eq(ask(ASK_ORDERS, one).status, 200);
	ck_assert_int_eq(
		post(gateway_flow, "/oauth2/revoke", basic("shop", gateway_secret), form).status,
		200);
	ck_assert_int_eq(ask(ASK_ORDERS, one).status, 401);
	ck_assert_int_eq(ask(ASK_ORDERS, other).status, 200);
}
END_TEST

START_TEST(tokens_end_with_their_user_client_api_and_key)
{
	static const struct {
		enum method method;
		const char *target, *json;
		const char *question;
		int status;
	} ends[] = {
		{ METHOD_PATCH, "/admin/v1/users/u-alice", "{\"disabled\":true}", ASK_ORDERS, 401 },
		{ METHOD_PATCH, "/admin/v1/clients/shop", "{\"disabled\":true}", ASK_ORDERS, 401 },
		{ METHOD_PATCH, "/admin/v1/apis/orders", "{\"disabled\":true}", ASK_ORDERS, 401 },
		{ METHOD_DELETE, "/admin/v1/apis/orders", NULL, ASK_ORDERS, 400 },
	};

	for (size_t i = 0; i < COUNT(ends); i++) {
		struct answer a;
		struct str t;

		gateway_down();
		gateway_up();
		t = user_token();
		ck_assert_int_eq(ask(ends[i].question, t).status, 200);
		a = admin(gateway_flow, ends[i].method, ends[i].target, ends[i].json);
		ck_assert_msg(a.status < 300, "%s: %d %s", ends[i].target, a.status, a.why);
		ck_assert_msg(ask(ends[i].question, t).status == ends[i].status, "%zu", i);
	}
}
END_TEST

static void let_gateways_keep(const char *seconds)
{
	char json[64];

	snprintf(json, sizeof(json), "{\"gateway_cache\":%s}", seconds);
	ck_assert_int_eq(admin(gateway_flow, METHOD_PATCH, "/admin/v1/apis/orders", json).status,
			 200);
}

START_TEST(an_api_may_let_its_gateway_keep_good_answers_for_seconds)
{
	struct str t = machine_token();
	struct answer a;

	let_gateways_keep("3");
	a = ask(ASK_ORDERS, t);
	ck_assert_int_eq(a.status, 200);
	ck_assert_str(answer_header(&a, "Cache-Control"), "private, max-age=3");
	ck_assert_str(answer_header(&a, "Vary"), "Authorization");
	a = ask("/gateway/verify/orders", t);
	ck_assert_str(answer_header(&a, "Cache-Control"), "private, max-age=3");
	/* refusals and other apis are what they were */
	a = ask(ASK_ORDERS "&scope=bills", t);
	ck_assert_int_eq(a.status, 403);
	ck_assert_str(answer_header(&a, "Cache-Control"), "no-store");
	a = ask(ASK_ORDERS, STR("no.token.ofours"));
	check_refused(&a, 401, INVALID);
	a = ask("/gateway/verify?audience=" BILLING,
		token_of("grant_type=client_credentials&resource=" BILLING));
	ck_assert_int_eq(a.status, 200);
	ck_assert_str(answer_header(&a, "Cache-Control"), "no-store");
	ck_assert(!answer_header(&a, "Vary").p);
	/* not past the token's end */
	flow_advance(gateway_flow, 598);
	a = ask(ASK_ORDERS, t);
	ck_assert_str(answer_header(&a, "Cache-Control"), "private, max-age=2");
	let_gateways_keep("null");
	a = ask(ASK_ORDERS, t);
	ck_assert_int_eq(a.status, 200);
	ck_assert_str(answer_header(&a, "Cache-Control"), "no-store");
}
END_TEST

START_TEST(a_rotation_changes_no_answer)
{
	struct str before = machine_token();

	ck_assert_int_eq(admin(gateway_flow, METHOD_POST, "/admin/v1/keys/rotate", "{}").status,
			 202);
	ck_assert_int_eq(ask(ASK_ORDERS, before).status, 200);
	ck_assert_int_eq(ask(ASK_ORDERS, machine_token()).status, 200);
}
END_TEST

Suite *gateway_suite(void)
{
	const TTest *const tests[] = {
		a_users_token_passes_with_all_headers,
		a_clients_own_token_names_no_user_and_says_so_with_empty_headers,
		every_method_is_the_same_question,
		an_api_in_the_path_is_the_audience_and_the_rest_is_ignored,
		scopes_and_roles_are_needed_all_of_them,
		a_question_with_anything_odd_is_refused_even_with_a_good_token,
		it_is_served_on_the_gateway_listener_alone_and_nothing_else_is_served_there,
		without_a_token_the_challenge_has_no_error,
		what_is_no_token_of_ours_is_invalid,
		formats_that_are_judged_elsewhere_are_refused_with_a_reason,
		another_audience_is_refused,
		times_are_kept_to_the_second,
		a_changed_token_is_refused,
		a_revoked_token_is_refused_at_once,
		tokens_end_with_their_user_client_api_and_key,
		an_api_may_let_its_gateway_keep_good_answers_for_seconds,
		a_rotation_changes_no_answer,
	};
	Suite *s = suite_create("gateway");
	TCase *t = tcase_create("gateway");

	tcase_add_checked_fixture(t, gateway_up, gateway_down);
	tcase_set_timeout(t, 120);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(s, t);
	return s;
}
