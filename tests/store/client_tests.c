/* Clients, their secrets, and the name space they share with users. */
#include "tests/store/suites.h"

#include <stdio.h>

static const char API_A[] = "https://api.example/a";

static struct client_secret secret_of(const char *id, const char *label)
{
	return (struct client_secret){
		.id = str_z(id),
		.label = str_z(label),
		.kind = SECRET_MACHINE,
		.hash = STR("0123456789abcdef0123456789abcdef"),
		.created_at = FIXTURE_NOW,
		.expires_at = FIXTURE_NOW + 9,
	};
}

/* ---- clients ---- */

START_TEST(a_client_comes_back_as_it_was_stored)
{
	const struct client_secret secrets[] = { secret_of("sec_1", "first"),
						 secret_of("sec_2", "second") };
	const struct client in = {
		.id = STR("a client ~!"),
		.name = STR("N\xc3\xa4me"),
		.disabled = true,
		.auth_method = AUTH_METHOD_POST,
		.grants = STR("client_credentials"),
		.scope = STR("read write"),
		.audiences = STR("https://api.example/b https://api.example/a"),
		.introspect = STR("*"),
		.access_ttl = 77,
		.alg = ALG_RS256,
		.refresh_rotation = true,
		.public_password = true,
		.claims = STR("{\"a\":1}"),
		.created_at = FIXTURE_NOW,
		.secrets = (struct client_secret *)secrets,
		.secret_count = 2,
	};
	struct str missing;
	struct client out;

	OK(store_client_create(fx.db, &in, &missing));
	out = client_of("a client ~!");
	STR_EQ(out.name, "N\xc3\xa4me");
	ck_assert(out.disabled && out.refresh_rotation && out.public_password);
	ck_assert_int_eq(out.auth_method, AUTH_METHOD_POST);
	STR_EQ(out.grants, "client_credentials");
	STR_EQ(out.scope, "read write");
	STR_EQ(out.audiences, "https://api.example/b https://api.example/a");
	STR_EQ(out.introspect, "*");
	ck_assert_int_eq(out.access_ttl, 77);
	ck_assert_int_eq(out.alg, ALG_RS256);
	STR_EQ(out.claims, "{\"a\":1}");
	ck_assert_int_eq(out.created_at, FIXTURE_NOW);
	ck_assert_int_eq(out.updated_at, FIXTURE_NOW);
	ck_assert_int_eq(out.version, 1);
	ck_assert_uint_eq(out.secret_count, 2);
	STR_EQ(out.secrets[1].label, "second");
	STR_EQ(out.secrets[1].hash, "0123456789abcdef0123456789abcdef");
	ck_assert_int_eq(out.secrets[1].kind, SECRET_MACHINE);
	ck_assert_int_eq(out.secrets[1].expires_at, FIXTURE_NOW + 9);
}
END_TEST

START_TEST(an_absent_text_is_stored_as_empty)
{
	OK(create_client("bare"));
	STR_EQ(client_of("bare").scope, "");
	ck_assert_int_eq(client_of("bare").alg, ALG_UNKNOWN);
	ck_assert_uint_eq(client_of("bare").secret_count, 0);
}
END_TEST

START_TEST(an_unknown_client_is_not_found)
{
	struct client c;

	IS(ERR_NOT_FOUND, store_client_get(fx.db, fx.arena, STR("nobody"), &c));
	IS(ERR_NOT_FOUND, store_client_get(fx.db, fx.arena, STR(""), &c));
	IS(ERR_NOT_FOUND, store_client_delete(fx.db, STR("nobody"), LATER, UNTIL));
}
END_TEST

START_TEST(an_audience_without_an_api_is_named)
{
	struct client c = { .id = STR("x"),
			    .audiences = STR("https://api.example/a https://nowhere") };
	struct str missing = STR_NONE;

	IS(ERR_NOT_FOUND, store_client_create(fx.db, &c, &missing));
	STR_EQ(missing, "https://nowhere");
	db_rollback(fx.db);
}
END_TEST

START_TEST(an_introspect_entry_without_an_api_is_named)
{
	struct client c = client_of("app");
	struct str missing = STR_NONE;

	c.introspect = STR("urn:none");
	IS(ERR_NOT_FOUND, store_client_update(fx.db, &c, 0, LATER, UNTIL, &missing));
	STR_EQ(missing, "urn:none");
	db_rollback(fx.db);
}
END_TEST

START_TEST(the_built_in_api_needs_no_row)
{
	struct client c = { .id = STR("x"),
			    .audiences = STR("https://id.example/admin"),
			    .introspect = STR("https://id.example/admin"),
			    .built_in = STR("https://id.example/admin") };
	struct str missing = STR_NONE;

	OK(store_client_create(fx.db, &c, &missing));
	OK(store_client_update(fx.db, &c, 0, LATER, UNTIL, &missing));
	c.audiences = STR("https://id.example/admin2");
	IS(ERR_NOT_FOUND, store_client_update(fx.db, &c, 0, LATER, UNTIL, &missing));
	db_rollback(fx.db);
}
END_TEST

START_TEST(updating_an_unknown_client_names_nothing_missing)
{
	struct client c = { .id = STR("nobody"), .audiences = STR("https://nowhere") };
	struct str missing = STR("untouched");

	IS(ERR_NOT_FOUND, store_client_update(fx.db, &c, 0, LATER, UNTIL, &missing));
	ck_assert_ptr_null(missing.p);
}
END_TEST

START_TEST(an_update_replaces_all_but_id_secrets_and_birth)
{
	struct client c = client_of("app");
	const struct client_secret secret = secret_of("sec_1", "one");
	struct str missing;

	OK(store_secret_add(fx.db, STR("app"), &secret));
	c.name = STR("renamed");
	c.scope = STR("read");
	c.auth_method = AUTH_METHOD_NONE;
	c.access_ttl = 5;
	c.created_at = 1;
	OK(store_client_update(fx.db, &c, 0, LATER, UNTIL, &missing));
	c = client_of("app");
	STR_EQ(c.name, "renamed");
	STR_EQ(c.scope, "read");
	ck_assert_int_eq(c.auth_method, AUTH_METHOD_NONE);
	ck_assert_int_eq(c.access_ttl, 5);
	ck_assert_int_eq(c.created_at, FIXTURE_NOW);
	ck_assert_int_eq(c.updated_at, LATER);
	ck_assert_int_eq(c.version, 2);
	ck_assert_uint_eq(c.secret_count, 1);
	ck_assert(!find_revocation(REVOKE_CLIENT, "app", NULL));
}
END_TEST

START_TEST(an_update_with_an_old_version_changes_nothing)
{
	struct client c = client_of("app");
	struct user u = user_of("u1");
	struct api a = api_of("a");
	struct str missing;

	OK(store_client_update(fx.db, &c, 1, LATER, UNTIL, &missing));
	OK(store_user_update(fx.db, &u, 1, LATER, UNTIL));
	OK(store_api_update(fx.db, &a, 1, LATER, UNTIL));
	c.name = u.name = a.name = STR("lost");
	IS(ERR_REUSED, store_client_update(fx.db, &c, 1, LATER, UNTIL, &missing));
	IS(ERR_REUSED, store_user_update(fx.db, &u, 1, LATER, UNTIL));
	IS(ERR_REUSED, store_api_update(fx.db, &a, 1, LATER, UNTIL));
	STR_EQ(client_of("app").name, "app");
	STR_EQ(user_of("u1").name, "Alice");
	STR_EQ(api_of("a").name, "a");
	ck_assert_int_eq(client_of("app").version, 2);
	ck_assert_int_eq(user_of("u1").version, 2);
	ck_assert_int_eq(api_of("a").version, 2);
}
END_TEST

START_TEST(disabling_a_client_ends_its_logins_and_revokes_its_tokens)
{
	struct client c = client_of("app");
	struct revocation r;
	struct str missing;

	make_login(1, "app", "u1", API_A);
	make_login(2, "other", "u1", API_A);
	c.disabled = true;
	OK(store_client_update(fx.db, &c, 0, LATER, UNTIL, &missing));
	ck_assert_int_eq(get_login(1).ended_at, LATER);
	STR_EQ(get_login(1).end_reason, "client disabled");
	ck_assert_int_eq(get_login(2).ended_at, 0);
	ck_assert(find_revocation(REVOKE_CLIENT, "app", &r));
	ck_assert_int_eq(r.iat_max, LATER + END_SLACK);
	ck_assert_int_eq(r.until, UNTIL);
}
END_TEST

START_TEST(deleting_a_client_ends_its_logins_and_takes_its_secrets_along)
{
	const struct client_secret secret = secret_of("sec_1", "one");
	struct client c;

	make_login(1, "app", "u1", API_A);
	OK(store_secret_add(fx.db, STR("app"), &secret));
	OK(store_client_delete(fx.db, STR("app"), LATER, UNTIL));
	IS(ERR_NOT_FOUND, store_client_get(fx.db, fx.arena, STR("app"), &c));
	IS(ERR_NOT_FOUND, store_secret_remove(fx.db, STR("app"), STR("sec_1")));
	IS(ERR_NOT_FOUND, store_client_delete(fx.db, STR("app"), LATER, UNTIL));
	ck_assert_int_eq(get_login(1).ended_at, LATER);
	ck_assert(find_revocation(REVOKE_CLIENT, "app", NULL));
}
END_TEST

/* ---- one name space ---- */

START_TEST(a_client_and_a_user_never_share_an_id)
{
	IS(ERR_CONFLICT, create_client("app"));
	IS(ERR_CONFLICT, create_client("u1"));
	IS(ERR_CONFLICT, create_user("app", "carol"));
	IS(ERR_CONFLICT, create_user("u1", "carol"));
}
END_TEST

START_TEST(a_deleted_id_is_taken_for_ever)
{
	OK(store_client_delete(fx.db, STR("app"), LATER, UNTIL));
	OK(store_user_delete(fx.db, STR("u1"), LATER, UNTIL));
	IS(ERR_CONFLICT, create_client("app"));
	IS(ERR_CONFLICT, create_user("app", "carol"));
	IS(ERR_CONFLICT, create_client("u1"));
	IS(ERR_CONFLICT, create_user("u1", "carol"));
}
END_TEST

START_TEST(ids_compare_byte_for_byte)
{
	OK(create_client("APP"));
	OK(create_client("app "));
	STR_EQ(client_of("APP").id, "APP");
	STR_EQ(client_of("app").name, "app");
}
END_TEST

START_TEST(an_id_has_a_length)
{
	char longest[ID_MAX + 2];

	memset(longest, 'i', sizeof(longest));
	longest[ID_MAX + 1] = '\0';
	IS(ERR_LIMIT, create_client(longest));
	IS(ERR_LIMIT, create_client(""));
	longest[ID_MAX] = '\0';
	OK(create_client(longest));
}
END_TEST

/* ---- secrets ---- */

START_TEST(a_client_has_a_limited_number_of_secrets)
{
	char id[16];

	for (int i = 0; i < SECRETS_PER_CLIENT_MAX; i++) {
		struct client_secret s;

		snprintf(id, sizeof(id), "sec_%d", i);
		s = secret_of(id, "x");
		OK(store_secret_add(fx.db, STR("app"), &s));
	}
	const struct client_secret more = secret_of("sec_more", "x");

	IS(ERR_LIMIT, store_secret_add(fx.db, STR("app"), &more));
	IS(ERR_NOT_FOUND, store_secret_add(fx.db, STR("nobody"), &more));
	OK(store_secret_remove(fx.db, STR("app"), STR("sec_3")));
	OK(store_secret_add(fx.db, STR("app"), &more));
	ck_assert_uint_eq(client_of("app").secret_count, SECRETS_PER_CLIENT_MAX);
}
END_TEST

START_TEST(a_secret_is_removed_only_through_its_own_client)
{
	const struct client_secret s = secret_of("sec_1", "x");

	OK(store_secret_add(fx.db, STR("app"), &s));
	IS(ERR_NOT_FOUND, store_secret_remove(fx.db, STR("other"), STR("sec_1")));
	IS(ERR_NOT_FOUND, store_secret_remove(fx.db, STR("app"), STR("sec_2")));
	OK(store_secret_remove(fx.db, STR("app"), STR("sec_1")));
	ck_assert_uint_eq(client_of("app").secret_count, 0);
}
END_TEST

START_TEST(the_last_use_of_a_secret_never_goes_back)
{
	const struct client_secret s = secret_of("sec_1", "x");

	OK(store_secret_add(fx.db, STR("app"), &s));
	OK(store_secret_used(fx.db, STR("sec_1"), 500));
	OK(store_secret_used(fx.db, STR("sec_1"), 400));
	OK(store_secret_used(fx.db, STR("sec_none"), 400));
	ck_assert_int_eq(client_of("app").secrets[0].last_used_at, 500);
	ck_assert_int_eq(client_of("app").version, 1);
}
END_TEST

/* ---- lists ---- */

static void list_is(const char *prefix, const char *after, int64_t limit, const char *expected)
{
	const struct page page = { str_z(prefix), str_z(after), limit };
	char text[256] = "";
	struct client *rows;
	size_t count;

	OK(store_client_list(fx.db, fx.arena, &page, &rows, &count));
	for (size_t i = 0; i < count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%.*s", i ? "," : "",
			 STR_ARG(rows[i].id));
	ck_assert_str_eq(text, expected);
}

START_TEST(clients_page_in_byte_order_by_prefix_and_key)
{
	static const char *const ids[] = { "appa", "appB", "app%", "app_x", "b", "Z" };

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		OK(create_client(ids[i]));
	list_is("", "", 100, "Z,app,app%,appB,app_x,appa,b,other");
	list_is("", "", 3, "Z,app,app%");
	list_is("", "app%", 3, "appB,app_x,appa");
	list_is("", "appa", 3, "b,other");
	list_is("", "other", 3, "");
	list_is("app", "", 100, "app,app%,appB,app_x,appa");
	list_is("app", "app", 2, "app%,appB");
	list_is("app_", "", 100, "app_x");
	list_is("app%", "", 100, "app%");
	list_is("nothing", "", 100, "");
	list_is("b", "appa", 100, "b");
}
END_TEST

START_TEST(a_list_of_clients_brings_their_secrets)
{
	const struct client_secret s = secret_of("sec_1", "x");
	const struct page page = { STR_NONE, STR_NONE, 10 };
	struct client *rows;
	size_t count;

	OK(store_secret_add(fx.db, STR("other"), &s));
	OK(store_client_list(fx.db, fx.arena, &page, &rows, &count));
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(rows[0].secret_count, 0);
	ck_assert_uint_eq(rows[1].secret_count, 1);
	STR_EQ(rows[1].secrets[0].id, "sec_1");
}
END_TEST

TCase *client_tests(void)
{
	TCase *t = tcase_create("clients");

	tcase_add_test(t, a_client_comes_back_as_it_was_stored);
	tcase_add_test(t, an_absent_text_is_stored_as_empty);
	tcase_add_test(t, an_unknown_client_is_not_found);
	tcase_add_test(t, an_audience_without_an_api_is_named);
	tcase_add_test(t, an_introspect_entry_without_an_api_is_named);
	tcase_add_test(t, the_built_in_api_needs_no_row);
	tcase_add_test(t, updating_an_unknown_client_names_nothing_missing);
	tcase_add_test(t, an_update_replaces_all_but_id_secrets_and_birth);
	tcase_add_test(t, an_update_with_an_old_version_changes_nothing);
	tcase_add_test(t, disabling_a_client_ends_its_logins_and_revokes_its_tokens);
	tcase_add_test(t, deleting_a_client_ends_its_logins_and_takes_its_secrets_along);
	tcase_add_test(t, a_client_and_a_user_never_share_an_id);
	tcase_add_test(t, a_deleted_id_is_taken_for_ever);
	tcase_add_test(t, ids_compare_byte_for_byte);
	tcase_add_test(t, an_id_has_a_length);
	tcase_add_test(t, a_client_has_a_limited_number_of_secrets);
	tcase_add_test(t, a_secret_is_removed_only_through_its_own_client);
	tcase_add_test(t, the_last_use_of_a_secret_never_goes_back);
	tcase_add_test(t, clients_page_in_byte_order_by_prefix_and_key);
	tcase_add_test(t, a_list_of_clients_brings_their_secrets);
	return t;
}
