/* /admin/v1/users. */
#include <stdio.h>

#include "base/limits.h"
#include "tests/flow/admin_tests.h"

#define USERS "/admin/v1/users"
#define ANN USERS "/u-ann"

static const char *shop_secret;

static struct answer login(const char *name, const char *password)
{
	return post(&office, "/oauth2/token", basic("shop", shop_secret),
		    format("grant_type=password&username=%s&password=%s", name, password));
}

static void up(void)
{
	struct answer a;

	admin_fixture_up();
	a = root_gets(201, METHOD_POST, "/admin/v1/clients",
		      "{\"client_id\":\"shop\",\"grant_types\":[\"password\",\"refresh_token\"],"
		      "\"scope\":\"orders.read\",\"audiences\":[\"" ORDERS "\"]}");
	shop_secret = arena_z(office.arena, answer_str(&a, "client_secret"));
	root_gets(201, METHOD_POST, USERS,
		  "{\"id\":\"u-ann\",\"name\":\"Ann\",\"email\":\"ann@example.com\","
		  "\"roles\":[\"buyer\",\"admin\",\"buyer\"],\"password\":\"open-sesame\","
		  "\"claims\":{\"tier\":\"gold\"}}");
}

START_TEST(a_user_is_shown_without_the_password)
{
	struct answer a = root_gets(200, METHOD_GET, ANN, NULL);

	ck_assert_str(answer_str(&a, "id"), "u-ann");
	ck_assert_str(answer_str(&a, "name"), "Ann");
	ck_assert_str(answer_str(&a, "email"), "ann@example.com");
	ck_assert_uint_eq(json_len(json_get(a.json, "roles")), 2);
	ck_assert(answer_bool(&a, "password_set"));
	ck_assert(!answer_has(&a, "password"));
	ck_assert_ptr_null(memmem(a.body.p, a.body.n, "argon2", 6));
	ck_assert_str(answer_header(&a, "ETag"), "\"1\"");
	ck_assert_status(login("ann", "open-sesame"), 200);
}
END_TEST

START_TEST(the_server_makes_an_id_unless_one_is_given)
{
	struct answer a = root_gets(201, METHOD_POST, USERS, "{\"name\":\"ben\"}");

	ck_assert(str_starts(answer_str(&a, "id"), STR("usr_")));
	ck_assert(!answer_bool(&a, "password_set"));
	ck_assert_refused(login("ben", "x"), 400, "invalid_grant");
}
END_TEST

START_TEST(names_are_one_without_case_and_outer_space)
{
	root_gets(409, METHOD_POST, USERS, "{\"name\":\"ann\"}");
	root_gets(409, METHOD_POST, USERS, "{\"name\":\" ANN \"}");
	root_gets(201, METHOD_POST, USERS, "{\"id\":\"u-ben\",\"name\":\"ben\"}");
	root_gets(409, METHOD_PATCH, USERS "/u-ben", "{\"name\":\"aNN\"}");
}
END_TEST

static const struct {
	const char *body, *pointer;
} bad_users[] = {
	{ "{}", "/name" },
	{ "{\"name\":\"\"}", "/name" },
	{ "{\"name\":\"  \"}", "/name" },
	{ "{\"name\":null}", "/name" },
	{ "{\"name\":\"a\\nb\"}", "/name" },
	{ "{\"name\":\"x\",\"id\":\"\"}", "/id" },
	{ "{\"name\":\"x\",\"id\":\"..\"}", "/id" },
	{ "{\"name\":\"x\",\"email\":\"nobody\"}", "/email" },
	{ "{\"name\":\"x\",\"email\":\"a@b@c\"}", "/email" },
	{ "{\"name\":\"x\",\"email\":\"@b\"}", "/email" },
	{ "{\"name\":\"x\",\"roles\":\"admin\"}", "/roles" },
	{ "{\"name\":\"x\",\"roles\":[\"a b\"]}", "/roles" },
	{ "{\"name\":\"x\",\"roles\":[\"a,b\"]}", "/roles" },
	{ "{\"name\":\"x\",\"password\":\"short\"}", "/password" },
	{ "{\"name\":\"x\",\"password\":\"\"}", "/password" },
	{ "{\"name\":\"x\",\"password\":\"\\u00e9\\u00e9\\u00e9\\u00e9\"}",
	  "/password" }, /* 8 bytes */
	{ "{\"name\":\"x\",\"claims\":{\"roles\":[\"admin\"]}}", "/claims" },
	{ "{\"name\":\"x\",\"admin\":true}", "/admin" },
};

START_TEST(bad_members_are_refused_with_a_pointer)
{
	struct answer a = root(METHOD_POST, USERS, bad_users[_i].body);

	ck_assert_msg(a.status == 422, "%s: %d %s", bad_users[_i].body, a.status, a.why);
	ck_assert_str(answer_str(&a, "pointer"), bad_users[_i].pointer);
}
END_TEST

START_TEST(a_password_above_the_limit_is_refused_not_cut)
{
	char body[2 * PASSWORD_MAX];

	snprintf(body, sizeof(body), "{\"password\":\"%0*d\"}", PASSWORD_MAX + 1, 0);
	root_gets(422, METHOD_POST, ANN "/password", body);
	snprintf(body, sizeof(body), "{\"password\":\"%0*d\"}", PASSWORD_MAX, 0);
	root_gets(204, METHOD_POST, ANN "/password", body);
}
END_TEST

START_TEST(a_new_password_ends_every_login)
{
	struct answer a = login("ann", "open-sesame");
	struct str token = answer_str(&a, "access_token");
	struct str again = answer_str(&a, "refresh_token");

	ck_assert(still_active(token));
	root_gets(422, METHOD_POST, ANN "/password", "{}");
	root_gets(422, METHOD_POST, ANN "/password",
		  "{\"password\":\"new-sesame\",\"hash\":\"x\"}");
	root_gets(204, METHOD_POST, ANN "/password", "{\"password\":\"new-sesame\"}");
	ck_assert(!still_active(token));
	ck_assert_refused(login("ann", "open-sesame"), 400, "invalid_grant");
	ck_assert_refused(
		post(&office, "/oauth2/token", basic("shop", shop_secret),
		     format("grant_type=refresh_token&refresh_token=%.*s", STR_ARG(again))),
		400, "invalid_grant");
	ck_assert_status(login("ann", "new-sesame"), 200);
	root_gets(404, METHOD_POST, USERS "/nobody/password", "{\"password\":\"new-sesame\"}");
}
END_TEST

START_TEST(disabling_and_deleting_end_logins_at_once)
{
	struct answer a = login("ann", "open-sesame");
	struct str token = answer_str(&a, "access_token");

	root_gets(200, METHOD_PATCH, ANN, "{\"disabled\":true}");
	ck_assert(!still_active(token));
	ck_assert_refused(login("ann", "open-sesame"), 400, "invalid_grant");
	flow_advance(&office, 1);
	root_gets(200, METHOD_PATCH, ANN, "{\"disabled\":false}");
	a = login("ann", "open-sesame");
	token = answer_str(&a, "access_token");
	ck_assert(still_active(token));
	root_gets(204, METHOD_DELETE, ANN, NULL);
	ck_assert(!still_active(token));
	ck_assert_refused(login("ann", "open-sesame"), 400, "invalid_grant");
	root_gets(409, METHOD_POST, USERS, "{\"id\":\"u-ann\",\"name\":\"ann\"}");
	root_gets(201, METHOD_POST, USERS,
		  "{\"id\":\"u-ann2\",\"name\":\"ann\"}"); /* the name is free */
}
END_TEST

START_TEST(a_patch_changes_what_it_names)
{
	struct answer a = root_gets(200, METHOD_PATCH, ANN,
				    "{\"name\":\"anna\",\"email\":null,\"roles\":[\"seller\"]}");

	ck_assert_str(answer_str(&a, "name"), "anna");
	ck_assert_str(answer_str(&a, "email"), "");
	ck_assert_uint_eq(json_len(json_get(a.json, "roles")), 1);
	ck_assert_uint_eq(json_len(json_get(a.json, "claims")), 1);
	ck_assert_status(login("anna", "open-sesame"), 200);
	root_gets(422, METHOD_PATCH, ANN, "{\"password\":\"another-one\"}");
	root_gets(422, METHOD_PATCH, ANN, "{\"name\":null}");
	root_gets(422, METHOD_PATCH, ANN, "{\"id\":\"u-2\"}");
}
END_TEST

START_TEST(a_locked_user_is_unlocked)
{
	for (int i = 0; i < LOGIN_FAILURES_FREE; i++)
		ck_assert_refused(login("ann", "wrong"), 400, "invalid_grant");
	ck_assert_status(login("ann", "open-sesame"), 429);
	ck_assert_status(login("ANN", "open-sesame"), 429);
	root_gets(422, METHOD_POST, ANN "/unlock", "{\"force\":true}");
	root_gets(204, METHOD_POST, ANN "/unlock", NULL);
	ck_assert_status(login("ann", "open-sesame"), 200);
	root_gets(404, METHOD_POST, USERS "/nobody/unlock", NULL);
}
END_TEST

START_TEST(users_are_found_by_name_and_by_address)
{
	struct answer a = root_gets(200, METHOD_GET, USERS "?name=ANN", NULL);

	ck_assert_uint_eq(json_len(items(&a)), 1);
	a = root_gets(200, METHOD_GET, USERS "?email=Ann%40example.com", NULL);
	ck_assert_uint_eq(json_len(items(&a)), 1);
	a = root_gets(200, METHOD_GET, USERS "?name=nobody", NULL);
	ck_assert_uint_eq(json_len(items(&a)), 0);
	ck_assert_str(answer_str(&a, "next_page_token"), "");
	root_gets(400, METHOD_GET, USERS "?name=ann&email=ann%40example.com", NULL);
}
END_TEST

Suite *user_suite(void)
{
	Suite *suite = suite_create("admin users");
	TCase *c = tcase_create("users");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, up, admin_fixture_down);
	tcase_add_test(c, a_user_is_shown_without_the_password);
	tcase_add_test(c, the_server_makes_an_id_unless_one_is_given);
	tcase_add_test(c, names_are_one_without_case_and_outer_space);
	tcase_add_loop_test(c, bad_members_are_refused_with_a_pointer, 0,
			    sizeof(bad_users) / sizeof(*bad_users));
	tcase_add_test(c, a_password_above_the_limit_is_refused_not_cut);
	tcase_add_test(c, a_new_password_ends_every_login);
	tcase_add_test(c, disabling_and_deleting_end_logins_at_once);
	tcase_add_test(c, a_patch_changes_what_it_names);
	tcase_add_test(c, a_locked_user_is_unlocked);
	tcase_add_test(c, users_are_found_by_name_and_by_address);
	suite_add_tcase(suite, c);
	return suite;
}
