/* Opaque tokens: they say nothing, and all that ends a JWT ends them. */
#include <stdio.h>

#include "oauth/machine.h"
#include "tests/flow/format_tests.h"

static struct flow *const f = &fmt.flow;

/* ---- opaque ---- */

START_TEST(an_opaque_token_says_nothing_and_introspection_all)
{
	struct answer issued = machine(VAULT), a;
	struct str token = text_of(issued);
	unsigned char bytes[32];

	ck_assert_int_eq(machine_read(token, MACHINE_ACCESS, bytes, sizeof(bytes)), ERR_OK);
	ck_assert_int_eq(answer_int(&issued, "expires_in"), 600);
	a = introspect(token);
	ck_assert(answer_bool(&a, "active"));
	ck_assert_str(answer_str(&a, "iss"), "https://id.example");
	ck_assert_str(answer_str(&a, "sub"), "shop");
	ck_assert_str(answer_str(&a, "client_id"), "shop");
	ck_assert_str(answer_str(&a, "aud"), VAULT);
	ck_assert_str(answer_str(&a, "scope"), "read");
	ck_assert_int_eq(answer_int(&a, "exp") - answer_int(&a, "iat"), 600);
	ck_assert_uint_ge(answer_str(&a, "jti").n, 22);
}
END_TEST

START_TEST(an_opaque_token_of_a_user_tells_of_the_login)
{
	struct answer a = introspect(text_of(login(VAULT)));

	ck_assert_str(answer_str(&a, "sub"), "u-alice");
	ck_assert_uint_ge(answer_str(&a, "sid").n, 22);
	ck_assert(answer_has(&a, "roles"));
	ck_assert(answer_has(&a, "auth_time"));
}
END_TEST

START_TEST(no_two_opaque_tokens_are_the_same)
{
	struct str one = text_of(machine(VAULT)), other = text_of(machine(VAULT));
	struct answer a = introspect(one), b = introspect(other);

	ck_assert(!str_equal(one, other));
	ck_assert(!str_equal(answer_str(&a, "jti"), answer_str(&b, "jti")));
}
END_TEST

START_TEST(an_opaque_token_is_inactive_in_the_second_it_expires)
{
	struct str token = text_of(machine(VAULT));

	flow_advance(f, 599);
	ck_assert(is_active(token));
	flow_advance(f, 1);
	ck_assert(!is_active(token));
}
END_TEST

START_TEST(a_changed_opaque_token_is_unknown)
{
	struct str token = text_of(machine(VAULT));
	char text[128];

	memcpy(text, token.p, token.n);
	for (size_t i = 0; i < token.n; i++) {
		text[i] ^= 1;
		ck_assert(!is_active(str_n(text, token.n)));
		text[i] ^= 1;
	}
	ck_assert(is_active(str_n(text, token.n)));
}
END_TEST

/* A good checksum is no token. */
START_TEST(a_guessed_opaque_token_is_unknown)
{
	unsigned char bytes[32] = { 1 };
	struct str text;
	struct buf b;

	buf_init(&b, f->arena, 256);
	machine_write(&b, MACHINE_ACCESS, bytes, sizeof(bytes));
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	ck_assert(!is_active(text));
}
END_TEST

START_TEST(the_database_does_not_hold_an_opaque_token)
{
	struct str token = text_of(machine(VAULT));
	struct answer a = introspect(token);
	char wal[160];

	snprintf(wal, sizeof(wal), "%s-wal", f->store.db_path);
	ck_assert(file_holds(wal, answer_str(&a, "jti"))); /* we do look where it would be */
	for (size_t i = 0; i < 2; i++)
		ck_assert(!file_holds(i ? wal : f->store.db_path,
				      str_n(token.p + 7, 32))); /* behind the prefix */
}
END_TEST

START_TEST(no_opaque_token_leaves_that_was_not_recorded)
{
	struct db_stmt *s;
	struct answer a;

	ck_assert_int_eq(db_stmt(f->store.db, "DROP TABLE recorded_tokens", &s), ERR_OK);
	ck_assert_int_eq(db_run(s, NULL), ERR_OK);
	a = machine(VAULT);
	ck_assert_int_ge(a.status, 500);
	ck_assert(!answer_has(&a, "access_token"));
	ck_assert_int_eq(machine(ORDERS).status, 200);
}
END_TEST

START_TEST(strangers_learn_nothing_of_an_opaque_token)
{
	const char *other = flow_client(f, "checker", "read", ORDERS);
	const char *form = with("", "token", text_of(machine(VAULT)));
	struct answer a = post(f, "/oauth2/introspect", basic("checker", other), form);

	ck_assert_str(a.body, "{\"active\":false}");
	root(200, METHOD_PATCH, "/admin/v1/clients/checker", "{\"introspect\":[\"" VAULT "\"]}");
	a = post(f, "/oauth2/introspect", basic("checker", other), form);
	ck_assert(answer_bool(&a, "active"));
	a = post(f, "/oauth2/revoke", basic("checker", other), form);
	ck_assert_refused(a, 400, "invalid_grant");
	a = post(f, "/oauth2/introspect", basic("checker", other), form);
	ck_assert(answer_bool(&a, "active"));
}
END_TEST

START_TEST(an_opaque_token_opens_no_admin_api)
{
	const struct ask ask = {
		.listener = LISTENER_ADMIN,
		.target = "/admin/v1/clients",
		.authorization = bearer(text_of(machine(VAULT))).text,
	};

	ck_assert_int_eq(flow_send(f, &ask).status, 401);
}
END_TEST

/* ---- every end of a token, for every format that is recorded ---- */

static void end_by_token(const struct answer *issued)
{
	const char *form = with("", "token", answer_str(issued, "access_token"));

	ck_assert_int_eq(as_shop("/oauth2/revoke", form).status, 200);
}

static void end_by_login(const struct answer *issued)
{
	const char *form = with("", "token", answer_str(issued, "refresh_token"));

	ck_assert_int_eq(as_shop("/oauth2/revoke", form).status, 200);
}

static void end_by_user(const struct answer *issued)
{
	(void)issued;
	root(200, METHOD_PATCH, "/admin/v1/users/u-alice", "{\"disabled\":true}");
}

static void end_by_client(const struct answer *issued)
{
	(void)issued;
	root(200, METHOD_PATCH, "/admin/v1/clients/shop", "{\"disabled\":true}");
	root(200, METHOD_PATCH, "/admin/v1/clients/shop", "{\"disabled\":false}");
}

static void end_by_api(const struct answer *issued)
{
	(void)issued;
	root(200, METHOD_PATCH, APIS "/vault", "{\"disabled\":true}");
	root(200, METHOD_PATCH, APIS "/vault", "{\"disabled\":false}");
}

static void end_by_deleted_api(const struct answer *issued)
{
	(void)issued;
	root(204, METHOD_DELETE, APIS "/vault", NULL);
}

static void (*const ends[])(const struct answer *) = {
	end_by_token, end_by_login, end_by_user, end_by_client, end_by_api, end_by_deleted_api,
};
enum { ENDS = sizeof(ends) / sizeof(ends[0]) };

START_TEST(a_recorded_token_ends_as_a_jwt_does)
{
	struct answer issued = login(VAULT);
	struct str token = text_of(issued);

	ck_assert(is_active(token));
	ends[_i](&issued);
	ck_assert(!is_active(token));
}
END_TEST

START_TEST(a_refreshed_login_gets_another_opaque_token)
{
	struct answer issued = login(VAULT);
	struct str first = text_of(issued);
	struct answer again = as_shop("/oauth2/token",
				      with("grant_type=refresh_token", "refresh_token",
					   answer_str(&issued, "refresh_token")));

	ck_assert(!str_equal(text_of(again), first));
	ck_assert(is_active(text_of(again)));
	ck_assert(is_active(first));
}
END_TEST

/* ---- one token, one format ---- */

START_TEST(what_is_not_a_plain_jwt_is_for_one_audience)
{
	struct answer a = as_shop("/oauth2/token",
				  "grant_type=client_credentials&scope=read&resource=" ORDERS
				  "&resource=" VAULT);

	ck_assert_refused(a, 400, "invalid_target");
}
END_TEST

START_TEST(an_api_changes_its_format_for_what_is_issued_from_then_on)
{
	struct str old = text_of(machine(VAULT)), fresh;

	root(200, METHOD_PATCH, APIS "/vault", "{\"format\":\"jwt\"}");
	fresh = text_of(machine(VAULT));
	ck_assert(str_starts(fresh, STR("eyJ")));
	ck_assert(is_active(fresh));
	ck_assert(is_active(old));
}
END_TEST

TCase *opaque_case(void)
{
	const TTest *const tests[] = {
		an_opaque_token_says_nothing_and_introspection_all,
		an_opaque_token_of_a_user_tells_of_the_login,
		no_two_opaque_tokens_are_the_same,
		an_opaque_token_is_inactive_in_the_second_it_expires,
		a_changed_opaque_token_is_unknown,
		a_guessed_opaque_token_is_unknown,
		the_database_does_not_hold_an_opaque_token,
		no_opaque_token_leaves_that_was_not_recorded,
		strangers_learn_nothing_of_an_opaque_token,
		an_opaque_token_opens_no_admin_api,
		a_refreshed_login_gets_another_opaque_token,
		what_is_not_a_plain_jwt_is_for_one_audience,
		an_api_changes_its_format_for_what_is_issued_from_then_on,
	};
	TCase *all = tcase_create("opaque");

	tcase_add_checked_fixture(all, formats_up, formats_down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(all, tests[i]);
	tcase_add_loop_test(all, a_recorded_token_ends_as_a_jwt_does, 0, ENDS);
	return all;
}
