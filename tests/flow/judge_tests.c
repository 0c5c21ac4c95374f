/* What becomes of a token that comes back (RFC 7662, RFC 7009), and the documents verifiers read
 * (RFC 7517, RFC 8414). */
#include <stdio.h>

#include "tests/flow/token_tests.h"

static struct flow *const f = &fx.flow;

static struct str machine_token(void)
{
	struct answer a = token("grant_type=client_credentials&resource=" ORDERS);

	ck_assert_int_eq(a.status, 200);
	return answer_str(&a, "access_token");
}

START_TEST(introspection_of_an_active_token_says_what_it_says)
{
	struct answer a = introspect(machine_token());

	ck_assert(answer_bool(&a, "active"));
	ck_assert_str(answer_header(&a, "Cache-Control"), "no-store");
	ck_assert_str(answer_str(&a, "iss"), "https://id.example");
	ck_assert_str(answer_str(&a, "sub"), "shop");
	ck_assert_str(answer_str(&a, "client_id"), "shop");
	ck_assert_str(answer_str(&a, "aud"), ORDERS);
	ck_assert_str(answer_str(&a, "scope"), "orders.read orders.write");
	ck_assert_str(answer_str(&a, "token_type"), "Bearer");
	ck_assert_int_eq(answer_int(&a, "exp") - answer_int(&a, "iat"), 600);
}
END_TEST

START_TEST(everything_that_is_no_token_is_inactive)
{
	static const char *const texts[] = { "x",
					     "a.b.c",
					     "chy_rt_x",
					     "chy_at_x",
					     "..",
					     "eyJhbGciOiJub25lIn0..",
					     "eyJhbGciOiJub25lIn0.e30." };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct answer a = introspect(str_z(texts[i]));

		ck_assert_int_eq(a.status, 200);
		ck_assert_str(a.body, "{\"active\":false}");
	}
}
END_TEST

START_TEST(a_token_is_inactive_in_the_second_it_expires)
{
	struct str t = machine_token();

	flow_advance(f, 599);
	ck_assert(is_active(t));
	flow_advance(f, 1);
	ck_assert(!is_active(t));
}
END_TEST

START_TEST(every_flipped_character_makes_a_token_inactive)
{
	struct str t = machine_token();
	char text[4096];

	memcpy(text, t.p, t.n);
	for (size_t i = 0; i < t.n; i += 7) {
		char old = text[i];

		text[i] = old == 'A' ? 'B' : 'A';
		if (text[i] != old)
			ck_assert_msg(!is_active(str_n(text, t.n)), "flipped at %zu", i);
		text[i] = old;
	}
	ck_assert(is_active(t));
}
END_TEST

/* Somebody else's tokens: inactive, unless the audience is in the caller's list. */
START_TEST(only_the_owner_and_the_audience_may_ask)
{
	const char *secret = flow_client(f, "checker", "orders.read", BILLING);
	const char *form = with("", "token", machine_token());
	struct answer a = post(f, "/oauth2/introspect", basic("checker", secret), form);

	ck_assert_str(a.body, "{\"active\":false}");
	a = admin(f, METHOD_PATCH, "/admin/v1/clients/checker",
		  "{\"introspect\":[\"" BILLING "\"]}");
	ck_assert_int_eq(a.status, 200);
	a = post(f, "/oauth2/introspect", basic("checker", secret), form);
	ck_assert_str(a.body, "{\"active\":false}");
	a = admin(f, METHOD_PATCH, "/admin/v1/clients/checker",
		  "{\"introspect\":[\"" ORDERS "\"]}");
	ck_assert_int_eq(a.status, 200);
	a = post(f, "/oauth2/introspect", basic("checker", secret), form);
	ck_assert(answer_bool(&a, "active"));
}
END_TEST

START_TEST(a_refresh_token_is_shown_to_its_client_only)
{
	const char *secret = flow_client(f, "checker", "orders.read", ORDERS);
	struct answer first = login(), a;

	a = introspect(answer_str(&first, "refresh_token"));
	ck_assert(answer_bool(&a, "active"));
	ck_assert_str(answer_str(&a, "username"), "alice");
	a = post(f, "/oauth2/introspect", basic("checker", secret),
		 with("", "token", answer_str(&first, "refresh_token")));
	ck_assert_str(a.body, "{\"active\":false}");
}
END_TEST

START_TEST(introspection_wants_a_confidential_client_and_a_token)
{
	struct answer a = post(f, "/oauth2/introspect", anonymous(), "token=x");

	ck_assert_refused(a, 401, "invalid_client");
	ck_assert_refused(post(f, "/oauth2/introspect", basic("shop", fx.secret), ""), 400,
			  "invalid_request");
	ck_assert_int_eq(get(f, "/oauth2/introspect").status, 405);
}
END_TEST

START_TEST(revoking_a_refresh_token_ends_the_login)
{
	struct answer first = login(), second = refresh(answer_str(&first, "refresh_token")), a;

	a = revoke(answer_str(&first, "refresh_token")); /* any generation will do */
	ck_assert_int_eq(a.status, 200);
	ck_assert_uint_eq(a.body.n, 0);
	ck_assert(!is_active(answer_str(&second, "access_token")));
	ck_assert(!is_active(answer_str(&second, "refresh_token")));
	ck_assert_refused(refresh(answer_str(&second, "refresh_token")), 400, "invalid_grant");
	ck_assert_int_eq(revoke(answer_str(&first, "refresh_token")).status, 200);
}
END_TEST

START_TEST(revoking_an_access_token_ends_that_one_alone)
{
	struct str one = machine_token(), other = machine_token();

	ck_assert_int_eq(revoke(one).status, 200);
	ck_assert(!is_active(one));
	ck_assert(is_active(other));
}
END_TEST

START_TEST(a_revocation_outlives_a_restart)
{
	struct str one = machine_token();

	ck_assert_int_eq(revoke(one).status, 200);
	revoked_free(f->app.revoked);
	ck_assert_int_eq(revoked_new(REVOCATIONS_MAX, &f->app.revoked), ERR_OK);
	ck_assert_int_eq(revoked_load(f->app.revoked, f->store.db, FIXTURE_NOW), ERR_OK);
	ck_assert(!is_active(one));
}
END_TEST

/* What is stored must fit into memory at the next start: a full table refuses before it stores. */
START_TEST(a_full_table_takes_no_more_tokens_and_still_ends_logins)
{
	struct answer first = login();
	struct str one = machine_token(), two = machine_token();

	revoked_free(f->app.revoked);
	ck_assert_int_eq(revoked_new(1, &f->app.revoked), ERR_OK);
	ck_assert_int_eq(revoke(one).status, 200);
	ck_assert_int_eq(revoke(two).status, 503);
	ck_assert(!is_active(one) && is_active(two));
	ck_assert_int_eq(revoke(answer_str(&first, "refresh_token")).status, 200);
	ck_assert(!is_active(answer_str(&first, "access_token")));
	revoked_free(f->app.revoked);
	ck_assert_int_eq(revoked_new(1, &f->app.revoked), ERR_OK);
	ck_assert_int_eq(revoked_load(f->app.revoked, f->store.db, FIXTURE_NOW), ERR_OK);
	ck_assert(!is_active(one) && is_active(two));
}
END_TEST

START_TEST(unknown_tokens_revoke_to_200_and_foreign_ones_do_not)
{
	const char *secret = flow_client(f, "other", "orders.read", ORDERS);
	struct str mine = machine_token();
	struct answer a;

	ck_assert_int_eq(revoke(STR("x")).status, 200);
	ck_assert_int_eq(revoke(STR("chy_rt_x")).status, 200);
	a = post(f, "/oauth2/revoke", basic("other", secret), with("", "token", mine));
	ck_assert_refused(a, 400, "invalid_grant");
	ck_assert(is_active(mine));
	ck_assert_refused(post(f, "/oauth2/revoke", basic("shop", fx.secret), "x=1"), 400,
			  "invalid_request");
}
END_TEST

/* Signed with the real key, but outside: the jti's MAC is the tripwire. */
START_TEST(a_genuine_jti_with_another_subject_is_forged)
{
	struct str t = machine_token();
	struct jws jws;

	ck_assert_int_eq(jws_parse(f->arena, t, &jws), ERR_OK);
	ck_assert(signer_jti_genuine(&f->app.derived.jti, jws.kid, jws.payload));
	for (size_t i = 0; i < jws.payload.n; i++) {
		char *copy = (char *)(uintptr_t)arena_str(f->arena, jws.payload).p;

		copy[i] ^= 1;
		ck_assert_msg(!signer_jti_genuine(&f->app.derived.jti, jws.kid,
						  str_n(copy, jws.payload.n)),
			      "a change at %zu is not noticed", i);
	}
}
END_TEST

START_TEST(both_discovery_paths_say_the_same_and_all_of_it_is_true)
{
	struct answer a = get(f, "/.well-known/openid-configuration"),
		      b = get(f, "/.well-known/oauth-authorization-server");

	ck_assert_int_eq(a.status, 200);
	ck_assert(str_equal(a.body, b.body));
	ck_assert_str(answer_str(&a, "issuer"), "https://id.example");
	ck_assert_str(answer_str(&a, "token_endpoint"), "https://id.example/oauth2/token");
	ck_assert_str(answer_str(&a, "jwks_uri"), "https://id.example/.well-known/jwks.json");
	ck_assert(!answer_has(&a, "authorization_endpoint"));
}
END_TEST

START_TEST(after_a_rotation_old_and_new_tokens_are_active)
{
	struct str before = machine_token(), after;
	struct jws old, fresh;

	ck_assert_int_eq(admin(f, METHOD_POST, "/admin/v1/keys/rotate", "{}").status, 202);
	after = machine_token();
	ck_assert_int_eq(jws_parse(f->arena, before, &old), ERR_OK);
	ck_assert_int_eq(jws_parse(f->arena, after, &fresh), ERR_OK);
	ck_assert(!str_equal(old.kid, fresh.kid));
	ck_assert(is_active(before));
	ck_assert(is_active(after));
	claims_of(before);
	claims_of(after);
}
END_TEST

Suite *judge_suite(void)
{
	Suite *s = suite_create("introspection, revocation, documents");
	TCase *t = tcase_create("judging");

	tcase_add_checked_fixture(t, office_fixture_up, office_fixture_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, introspection_of_an_active_token_says_what_it_says);
	tcase_add_test(t, everything_that_is_no_token_is_inactive);
	tcase_add_test(t, a_token_is_inactive_in_the_second_it_expires);
	tcase_add_test(t, every_flipped_character_makes_a_token_inactive);
	tcase_add_test(t, only_the_owner_and_the_audience_may_ask);
	tcase_add_test(t, a_refresh_token_is_shown_to_its_client_only);
	tcase_add_test(t, introspection_wants_a_confidential_client_and_a_token);
	tcase_add_test(t, revoking_a_refresh_token_ends_the_login);
	tcase_add_test(t, revoking_an_access_token_ends_that_one_alone);
	tcase_add_test(t, a_revocation_outlives_a_restart);
	tcase_add_test(t, a_full_table_takes_no_more_tokens_and_still_ends_logins);
	tcase_add_test(t, unknown_tokens_revoke_to_200_and_foreign_ones_do_not);
	tcase_add_test(t, a_genuine_jti_with_another_subject_is_forged);
	tcase_add_test(t, both_discovery_paths_say_the_same_and_all_of_it_is_true);
	tcase_add_test(t, after_a_rotation_old_and_new_tokens_are_active);
	suite_add_tcase(s, t);
	return s;
}
