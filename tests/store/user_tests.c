/* Users and apis. */
#include <stdio.h>

#include "server/store/sql.h"
#include "tests/store/suites.h"

static const char API_A[] = "https://api.example/a";
static const char API_B[] = "https://api.example/b";

/* ---- users ---- */

START_TEST(a_user_comes_back_as_stored)
{
	const struct user in = {
		.id = STR("u9"),
		.name = STR(" Carol "),
		.email = STR("Carol@Example.org"),
		.roles = STR("staff admin"),
		.disabled = true,
		.password = STR("$argon2id$x"),
		.claims = STR("{}"),
		.created_at = FIXTURE_NOW,
	};
	struct user out;

	OK(store_user_create(fx.db, &in));
	OK(store_user_by_email(fx.db, fx.arena, STR("carol@example.ORG"), &out));
	STR_EQ(out.id, "u9");
	STR_EQ(out.name, "Carol");
	STR_EQ(out.email, "Carol@Example.org");
	STR_EQ(out.roles, "staff admin");
	STR_EQ(out.password, "$argon2id$x");
	STR_EQ(out.claims, "{}");
	ck_assert(out.disabled);
	ck_assert_int_eq(out.version, 1);
}
END_TEST

static const struct {
	const char *asked;
	bool found;
} names[] = {
	{ "Alice", true },    { "alice", true },   { "ALICE", true },
	{ " alice\t", true }, { "al ice", false }, { "alic\xc3\xa9", false },
	{ "", false },	      { "  ", false },	   { "alice\n", false },
};

START_TEST(a_name_is_found_without_case_and_trimmed)
{
	struct user u;
	enum err e = store_user_by_name(fx.db, fx.arena, str_z(names[_i].asked), &u);

	IS(names[_i].found ? ERR_OK : ERR_NOT_FOUND, e);
	if (!e)
		STR_EQ(u.id, "u1");
}
END_TEST

START_TEST(only_ascii_letters_are_folded)
{
	struct user u;

	OK(create_user("u3", "\xc3\x84rger"));
	IS(ERR_NOT_FOUND, store_user_by_name(fx.db, fx.arena, STR("\xc3\xa4rger"), &u));
	OK(store_user_by_name(fx.db, fx.arena, STR("\xc3\x84RGER"), &u));
}
END_TEST

START_TEST(two_users_cannot_have_one_name_in_two_spellings)
{
	struct user u = user_of("u2");

	IS(ERR_CONFLICT, create_user("u3", "ALICE "));
	u.name = STR("aLICE");
	IS(ERR_CONFLICT, store_user_update(fx.db, &u, 0, LATER, UNTIL));
	IS(ERR_SYNTAX, create_user("u4", "  "));
}
END_TEST

START_TEST(a_name_may_be_used_again_after_its_user_is_gone)
{
	OK(store_user_delete(fx.db, STR("u1"), LATER, UNTIL));
	OK(create_user("u3", "alice"));
}
END_TEST

START_TEST(an_update_of_a_user_leaves_the_password)
{
	struct user u = user_of("u1");

	OK(store_user_password(fx.db, STR("u1"), STR("hash"), LATER, UNTIL));
	u.name = STR("Alicia");
	u.email = STR("a@b");
	u.password = STR("");
	OK(store_user_update(fx.db, &u, 0, LATER, UNTIL));
	STR_EQ(user_of("u1").password, "hash");
	OK(store_user_by_name(fx.db, fx.arena, STR("ALICIA"), &u));
	IS(ERR_NOT_FOUND, store_user_by_name(fx.db, fx.arena, STR("Alice"), &u));
}
END_TEST

/* What ends a user's logins: by index of the loop. */
static enum err end_user_somehow(int way)
{
	struct user u = user_of("u1");

	u.disabled = true;
	if (way == 0)
		return store_user_update(fx.db, &u, 0, LATER, UNTIL);
	if (way == 1)
		return store_user_password(fx.db, STR("u1"), STR("new"), LATER, UNTIL);
	return store_user_delete(fx.db, STR("u1"), LATER, UNTIL);
}

START_TEST(disable_password_and_delete_end_every_login_of_a_user)
{
	struct revocation r;

	make_login(1, "app", "u1", API_A);
	make_login(2, "other", "u1", API_A);
	make_login(3, "app", "u2", API_A);
	OK(end_user_somehow(_i));
	ck_assert_int_eq(get_login(1).ended_at, LATER);
	ck_assert_int_eq(get_login(2).ended_at, LATER);
	ck_assert_int_eq(get_login(3).ended_at, 0);
	ck_assert(find_revocation(REVOKE_USER, "u1", &r));
	ck_assert_int_ge(r.iat_max, LATER);
	ck_assert_int_eq(r.until, UNTIL);
}
END_TEST

START_TEST(a_rehash_needs_the_hash_it_replaces_and_ends_nothing)
{
	OK(store_user_password(fx.db, STR("u1"), STR("old"), LATER, UNTIL));
	make_login(1, "app", "u1", API_A);
	OK(store_user_rehash(fx.db, STR("u1"), STR("stale"), STR("lost")));
	STR_EQ(user_of("u1").password, "old");
	OK(store_user_rehash(fx.db, STR("u1"), STR("old"), STR("new")));
	STR_EQ(user_of("u1").password, "new");
	ck_assert_int_eq(user_of("u1").version, 2);
	ck_assert_int_eq(get_login(1).ended_at, 0);
}
END_TEST

START_TEST(an_unknown_user_is_not_found)
{
	struct user u = { .id = STR("nobody"), .name = STR("n") };

	IS(ERR_NOT_FOUND, store_user_get(fx.db, fx.arena, STR("nobody"), &u));
	IS(ERR_NOT_FOUND, store_user_by_email(fx.db, fx.arena, STR(""), &u));
	IS(ERR_NOT_FOUND, store_user_password(fx.db, STR("nobody"), STR("h"), LATER, UNTIL));
	IS(ERR_NOT_FOUND, store_user_delete(fx.db, STR("nobody"), LATER, UNTIL));
	u = (struct user){ .id = STR("nobody"), .name = STR("n") };
	IS(ERR_NOT_FOUND, store_user_update(fx.db, &u, 0, LATER, UNTIL));
}
END_TEST

START_TEST(users_page_by_id)
{
	const struct page first = { STR_NONE, STR_NONE, 1 }, rest = { STR("u"), STR("u1"), 10 };
	struct user *rows;
	size_t count;

	OK(store_user_list(fx.db, fx.arena, &first, &rows, &count));
	ck_assert_uint_eq(count, 1);
	STR_EQ(rows[0].id, "u1");
	OK(store_user_list(fx.db, fx.arena, &rest, &rows, &count));
	ck_assert_uint_eq(count, 1);
	STR_EQ(rows[0].name, "Bob");
}
END_TEST

/* ---- apis ---- */

START_TEST(an_api_comes_back_as_stored)
{
	const struct api in = {
		.uri = STR("urn:x"),
		.slug = STR("x"),
		.name = STR("X"),
		.scope = STR("s"),
		.alg = ALG_ES256,
		.format = API_OPAQUE,
		.access_ttl = 9,
		.gateway_cache = 3,
		.claims = STR("dept"),
		.disabled = true,
		.created_at = FIXTURE_NOW,
	};
	struct api out;

	OK(store_api_create(fx.db, &in));
	out = api_of("x");
	STR_EQ(out.uri, "urn:x");
	STR_EQ(out.name, "X");
	STR_EQ(out.scope, "s");
	ck_assert_int_eq(out.format, API_OPAQUE);
	STR_EQ(out.claims, "dept");
	ck_assert_int_eq(out.alg, ALG_ES256);
	ck_assert_int_eq(out.access_ttl, 9);
	ck_assert_int_eq(out.gateway_cache, 3);
	ck_assert(out.disabled);
}
END_TEST

START_TEST(uri_and_slug_of_an_api_are_unique)
{
	const struct api same_uri = { .uri = STR("https://api.example/a"), .slug = STR("c") };
	const struct api same_slug = { .uri = STR("urn:c"), .slug = STR("a") };

	IS(ERR_CONFLICT, store_api_create(fx.db, &same_uri));
	IS(ERR_CONFLICT, store_api_create(fx.db, &same_slug));
	IS(ERR_NOT_FOUND, store_api_delete(fx.db, STR("c"), LATER, UNTIL));
}
END_TEST

START_TEST(apis_are_listed_by_uri)
{
	const struct api first = { .uri = STR("a:"), .slug = STR("z") };
	struct api *apis;
	size_t count;

	OK(store_api_create(fx.db, &first));
	OK(store_api_list(fx.db, fx.arena, &apis, &count));
	ck_assert_uint_eq(count, 3);
	STR_EQ(apis[0].slug, "z");
	STR_EQ(apis[1].slug, "a");
	STR_EQ(apis[2].slug, "b");
}
END_TEST

START_TEST(disabling_or_deleting_an_api_ends_the_logins_that_were_granted_it)
{
	struct api a = api_of("a");
	struct revocation r;

	make_login(1, "app", "u1", API_A);
	make_login(2, "app", "u1", "https://api.example/b https://api.example/a");
	make_login(3, "app", "u1", API_B);
	make_login(4, "app", "u1", "https://api.example/ab");
	make_login(5, "app", "u1", "https://API.example/a");
	a.disabled = true;
	OK(_i ? store_api_delete(fx.db, STR("a"), LATER, UNTIL)
	      : store_api_update(fx.db, &a, 0, LATER, UNTIL));
	ck_assert_int_eq(get_login(1).ended_at, LATER);
	ck_assert_int_eq(get_login(2).ended_at, LATER);
	for (unsigned char i = 3; i <= 5; i++)
		ck_assert_int_eq(get_login(i).ended_at, 0);
	ck_assert(find_revocation(REVOKE_API, API_A, &r));
	ck_assert_int_eq(r.iat_max, LATER + END_SLACK);
}
END_TEST

/* Ending many things at once must not keep every other write waiting behind a walk through all
 * logins. Asked of SQLite, because the planner decides it. */
START_TEST(no_end_of_logins_walks_through_all_of_them)
{
	static const char *const statements[] = { sql_login_end_api, sql_login_end_client,
						  sql_login_end_user };
	char text[1024];
	struct db_stmt *s;
	bool row;

	snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", statements[_i]);
	OK(db_stmt(fx.db, text, &s));
	do {
		OK(db_step(s, &row));
		ck_assert(!row || !str_starts(db_str(s, 3), STR("SCAN logins")));
	} while (row);
}
END_TEST

START_TEST(an_api_may_go_while_clients_name_it)
{
	OK(store_api_delete(fx.db, STR("a"), LATER, UNTIL));
	STR_EQ(client_of("app").audiences, API_A);
	store_fixture_api(&fx, API_A, "a", "");
}
END_TEST

TCase *user_tests(void)
{
	TCase *t = tcase_create("users and apis");

	tcase_add_test(t, users_page_by_id);
	tcase_add_test(t, a_user_comes_back_as_stored);
	tcase_add_loop_test(t, a_name_is_found_without_case_and_trimmed, 0,
			    sizeof(names) / sizeof(names[0]));
	tcase_add_test(t, only_ascii_letters_are_folded);
	tcase_add_test(t, two_users_cannot_have_one_name_in_two_spellings);
	tcase_add_test(t, a_name_may_be_used_again_after_its_user_is_gone);
	tcase_add_test(t, an_update_of_a_user_leaves_the_password);
	tcase_add_loop_test(t, disable_password_and_delete_end_every_login_of_a_user, 0, 3);
	tcase_add_test(t, a_rehash_needs_the_hash_it_replaces_and_ends_nothing);
	tcase_add_test(t, an_unknown_user_is_not_found);
	tcase_add_test(t, an_api_comes_back_as_stored);
	tcase_add_test(t, uri_and_slug_of_an_api_are_unique);
	tcase_add_test(t, apis_are_listed_by_uri);
	tcase_add_loop_test(t, disabling_or_deleting_an_api_ends_the_logins_that_were_granted_it, 0,
			    2);
	tcase_add_loop_test(t, no_end_of_logins_walks_through_all_of_them, 0, 3);
	tcase_add_test(t, an_api_may_go_while_clients_name_it);
	return t;
}
