/* The command line as a client of the admin API and of the public endpoints, with a real server. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd_fixture.h"
#include "../unit/suite.h"

#define API "https://api.example.com"

static void up(struct cmd_fixture *f)
{
	cmd_fixture_up(f);
	cmd_fixture_serve(f);
	ck_assert_msg(RUN_HERE(f, "api", "create", API, "--id", "orders", "--scope", "read",
			       "--scope", "write") == 0,
		      "%s", f->err);
}

static bool array_is(const struct json *array, const char *a, const char *b)
{
	struct str x = STR_NONE, y = STR_NONE;
	size_t n = (a != NULL) + (size_t)(b != NULL);

	(void)json_str(json_at(array, 0), &x);
	(void)json_str(json_at(array, 1), &y);
	return json_len(array) == n && (!a || str_equal_z(x, a)) && (!b || str_equal_z(y, b));
}

START_TEST(a_client_lives_from_create_to_delete)
{
	struct cmd_fixture f;
	struct json *j;

	up(&f);
	RUN_HERE(&f, "client", "create", "billing", "--grant", "client_credentials", "--audience",
		 API, "--scope", "read", "-o", "json");
	j = must_json(&f);
	ck_assert_str_eq(member(j, "client_id"), "billing");
	ck_assert_str_eq(member(j, "issuer"), f.issuer);
	ck_assert(str_starts(str_z(member(j, "client_secret")), STR("chy_cs_")));
	ck_assert_ptr_nonnull(strstr(f.err, "shown this once"));
	RUN_HERE(&f, "client", "create", "billing");
	must_refuse(&f, CMD_CONFLICT, "taken");
	RUN_HERE(&f, "client", "update", "billing", "--add-scope", "write", "--access-ttl", "2m",
		 "-o", "json");
	j = must_json(&f);
	ck_assert_str_eq(member(j, "scope"), "read write");
	RUN_HERE(&f, "client", "update", "billing", "--remove-scope", "read", "--field", "scope");
	must_print(&f, "write\n");
	RUN_HERE(&f, "client", "show", "billing", "-o", "json");
	j = must_json(&f);
	ck_assert(array_is(json_get(j, "audiences"), API, NULL));
	ck_assert_ptr_null(json_get(j, "client_secret"));
	RUN_HERE(&f, "client", "list", "-o", "quiet");
	must_print(&f, "billing\n");
	RUN_HERE(&f, "client", "delete", "billing");
	must_refuse(&f, CMD_REFUSED, "needs --yes");
	RUN_HERE(&f, "client", "delete", "billing", "--yes", "-o", "json");
	j = must_json(&f);
	ck_assert_str_eq(member(j, "client_id"), "billing");
	RUN_HERE(&f, "client", "show", "billing");
	must_refuse(&f, CMD_REFUSED, "there is no client billing");
	RUN_HERE(&f, "client", "create", "billing");
	must_refuse(&f, CMD_CONFLICT, "taken, or was once");
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(a_refusal_names_what_was_typed)
{
	static const struct {
		const char *argv[8];
		const char *words;
	} rows[] = {
		{ { "client", "create", "a", "--audience", "https://none.example" },
		  "--audience: no api has this URI; make it with: "
		  "chancery api create https://none.example\n" },
		{ { "client", "create", "a", "--auth-method", "x" }, "--auth-method: must be" },
		{ { "client", "create", "a", "--grant", "implicit" }, "--grant: there is no such" },
		{ { "api", "create", "https://a.example", "--id", "A B" }, "--id: must be a-z" },
		{ { "api", "create", "orders" }, "uri: must be an absolute URI" },
		{ { "client", "secret", "remove", "nobody", "sec_x" },
		  "there is no client nobody, or it has no sec_x" },
		{ { "user", "show", "id:nobody" }, "there is no user id:nobody" },
	};
	struct cmd_fixture f;

	up(&f);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *argv[12] = { "chancery", f.data };

		for (size_t k = 0; k < 8; k++)
			argv[k + 2] = rows[i].argv[k];
		cmd_fixture_run(&f, argv);
		must_refuse(&f, CMD_REFUSED, rows[i].words);
	}
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(a_secret_that_is_not_shown_is_not_said_to_be)
{
	static const struct {
		const char *how;
		bool shown;
	} rows[] = {
		{ "-ojson", true },
		{ "--field=client_secret", true },
		{ "-oquiet", false },
		{ "--field=client_id", false },
	};
	struct cmd_fixture f;

	up(&f);
	for (size_t i = 0; i < COUNT(rows); i++) {
		char id[8];

		snprintf(id, sizeof(id), "c%zu", i);
		ck_assert_int_eq(RUN_HERE(&f, "client", "create", id, rows[i].how), 0);
		ck_assert_msg(!!strstr(f.err, "shown this once") == rows[i].shown, "%s: %s",
			      rows[i].how, f.err);
		ck_assert_msg(!!strstr(f.err, "client secret add") != rows[i].shown, "%s: %s",
			      rows[i].how, f.err);
	}
	cmd_fixture_down(&f);
}
END_TEST

/* Every writer reads, edits and writes under the tag it read; whoever is late does it again. */
START_TEST(edits_at_once_lose_nothing)
{
	enum { WRITERS = 4 };
	char scope[16], found[256];
	struct cmd_fixture f;
	int status;

	up(&f);
	ck_assert_int_eq(RUN_HERE(&f, "client", "create", "shared"), 0);
	for (int i = 0; i < WRITERS; i++) {
		snprintf(scope, sizeof(scope), "s%d", i);
		if (fork() == 0)
			_exit(RUN_HERE(&f, "client", "update", "shared", "--add-scope", scope));
	}
	for (int i = 0; i < WRITERS; i++) {
		ck_assert_int_gt(wait(&status), 0);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	RUN_HERE(&f, "client", "show", "shared", "--field", "scope");
	snprintf(found, sizeof(found), " %.200s", f.out);
	for (int i = 0; i < WRITERS; i++) {
		snprintf(scope, sizeof(scope), " s%d", i);
		ck_assert_msg(strstr(found, scope) != NULL, "%s is not in%s", scope, found);
	}
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(ids_of_every_kind_reach_their_object)
{
	static const char *const ids[] = { "a b",  "a/b",  "%2e",    "?x=1#y",
					   "id:1", "a..b", "--flag", "q\"\\" };
	struct cmd_fixture f;

	up(&f);
	for (size_t i = 0; i < COUNT(ids); i++) {
		char line[64];

		RUN_HERE(&f, "client", "create", "--field", "client_id", "--", ids[i]);
		snprintf(line, sizeof(line), "%s\n", ids[i]);
		must_print(&f, line);
		RUN_HERE(&f, "client", "show", "-oquiet", "--", ids[i]);
		must_print(&f, line);
	}
	RUN_HERE(&f, "client", "show", "");
	must_refuse(&f, CMD_REFUSED, "is empty");
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(a_missing_api_is_named_with_the_command_that_makes_it)
{
	struct cmd_fixture f;

	up(&f);
	RUN_HERE(&f, "client", "create", "x", "--audience", "https://absent.example");
	must_refuse(&f, CMD_REFUSED, "chancery api create https://absent.example");
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(secrets_overlap_and_go_by_label)
{
	char own[128], first[128];
	struct cmd_fixture f;

	up(&f);
	snprintf(own, sizeof(own), "%s", path_in(&f, "own.secret"));
	snprintf(first, sizeof(first), "%s", path_in(&f, "first.secret"));
	make_file(own, "correct horse battery staple\n", 0600);
	RUN_HERE(&f, "client", "create", "c", "--grant", "client_credentials", "--audience", API,
		 "--field", "client_secret");
	make_file(first, f.out, 0600);
	ck_assert_int_eq(RUN_HERE(&f, "client", "secret", "add", "c", "mine", "--secret-file", own),
			 0);
	ck_assert_ptr_null(strstr(f.err, "shown this once"));
	ck_assert_ptr_null(strstr(f.out, "battery"));
	ck_assert_int_eq(
		RUN_HERE(&f, "token", "client-credentials", "--client", "c", "--secret-file", own),
		0);
	ck_assert_int_eq(RUN_HERE(&f, "token", "client-credentials", "--client", "c",
				  "--secret-file", first),
			 0);
	RUN_HERE(&f, "client", "secret", "list", "c", "--field", "label");
	ck_assert_ptr_nonnull(strstr(f.out, "mine\n"));
	ck_assert_int_eq(RUN_HERE(&f, "client", "secret", "remove", "c", "mine"), 0);
	RUN_HERE(&f, "token", "client-credentials", "--client", "c", "--secret-file", own);
	must_refuse(&f, CMD_REFUSED, "invalid_client");
	RUN_HERE(&f, "client", "secret", "remove", "c", "mine");
	must_refuse(&f, CMD_REFUSED, "client c has no secret with the label or id \"mine\"");
	f.input = "short\n";
	RUN_HERE(&f, "client", "secret", "add", "c", "--secret-stdin");
	must_refuse(&f, CMD_REFUSED, "client_secret: has fewer than 24 characters");
	f.input = "short\n";
	ck_assert_int_eq(
		RUN_HERE(&f, "client", "secret", "add", "c", "--secret-stdin", "--allow-weak"), 0);
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(a_user_goes_by_name_or_id)
{
	struct cmd_fixture f;

	up(&f);
	f.input = "correct horse battery\n";
	RUN_HERE(&f, "user", "create", "alice & co", "--id", "u1", "--role", "a",
		 "--password-stdin", "-oquiet");
	must_print(&f, "u1\n");
	RUN_HERE(&f, "user", "show", "alice & co", "--field", "id");
	must_print(&f, "u1\n");
	RUN_HERE(&f, "user", "update", "id:u1", "--add-role", "b", "--field", "roles");
	must_print(&f, "[\"a\",\"b\"]\n");
	f.input = "short\n";
	RUN_HERE(&f, "user", "set-password", "id:u1", "--password-stdin");
	must_refuse(&f, CMD_REFUSED, "password");
	f.input = "another horse battery\n";
	ck_assert_int_eq(RUN_HERE(&f, "user", "set-password", "alice & co", "--password-stdin"), 0);
	ck_assert_int_eq(RUN_HERE(&f, "user", "unlock", "id:u1"), 0);
	RUN_HERE(&f, "user", "set-password", "nobody", "--password-stdin");
	ck_assert_int_eq(f.status, CMD_REFUSED);
	RUN_HERE(&f, "user", "show", "nobody");
	must_refuse(&f, CMD_REFUSED, "no user with the name \"nobody\"");
	ck_assert_int_eq(RUN_HERE(&f, "user", "delete", "alice & co", "--yes"), 0);
	RUN_HERE(&f, "user", "list", "-oquiet");
	must_print(&f, "");
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(an_api_goes_by_slug_or_uri)
{
	struct cmd_fixture f;

	up(&f);
	RUN_HERE(&f, "api", "show", API, "-oquiet");
	must_print(&f, "orders\n");
	RUN_HERE(&f, "api", "update", API, "--remove-scope", "write", "--alg", "RS256", "--field",
		 "scopes");
	must_print(&f, "[\"read\"]\n");
	RUN_HERE(&f, "api", "update", "orders", "--alg", "default", "--field", "alg");
	must_print(&f, "null\n");
	ck_assert_int_eq(RUN_HERE(&f, "api", "delete", "orders", "--yes"), 0);
	RUN_HERE(&f, "api", "show", "orders");
	must_refuse(&f, CMD_REFUSED, "there is no api orders");
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(keys_rotate_and_a_second_time_waits_unless_forced)
{
	struct cmd_fixture f;
	struct json *j;

	up(&f);
	RUN_HERE(&f, "key", "rotate", "--alg", "ES256", "-o", "json");
	j = must_json(&f);
	ck_assert_uint_eq(json_len(json_get(j, "items")), 1);
	ck_assert_str_eq(member(json_at(json_get(j, "items"), 0), "state"), "active");
	RUN_HERE(&f, "key", "rotate", "--alg", "ES256");
	must_refuse(&f, CMD_CONFLICT, "ready at 20");
	ck_assert_int_eq(RUN_HERE(&f, "key", "rotate", "--alg", "ES256", "--force"), 0);
	RUN_HERE(&f, "audit", "list", "--limit", "2", "--field", "event");
	must_print(&f, "key.rotate\nkey.rotate\n");
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(a_list_is_whole_over_its_pages)
{
	char id[32], last[32];
	struct cmd_fixture f;
	struct json *j;
	const struct json *items;

	up(&f);
	for (int i = 0; i < 130; i++) {
		snprintf(id, sizeof(id), "client-%03d", i);
		ck_assert_int_eq(RUN_HERE(&f, "client", "create", id), 0);
	}
	RUN_HERE(&f, "client", "list", "--prefix", "client-", "-o", "json");
	j = must_json(&f);
	items = json_get(j, "items");
	ck_assert_uint_eq(json_len(items), 130);
	ck_assert_str_eq(member(j, "next_page_token"), "");
	snprintf(last, sizeof(last), "%s", member(json_at(items, 129), "client_id"));
	ck_assert_str_eq(last, "client-129");
	RUN_HERE(&f, "audit", "list", "--limit", "75", "-o", "json");
	ck_assert_uint_eq(json_len(json_get(must_json(&f), "items")), 75);
	cmd_fixture_down(&f);
}
END_TEST

/* ---- remote ---- */

/* Makes a client with this scope and leaves its credentials in a file. */
static void make_admin(struct cmd_fixture *f, const char *id, const char *scope, char path[128])
{
	char audience[128];

	snprintf(path, 128, "%s", path_in(f, id));
	snprintf(audience, sizeof(audience), "%s/admin", f->issuer);
	RUN_HERE(f, "client", "create", id, "--grant", "client_credentials", "--scope", scope,
		 "--audience", audience, "-o", "json");
	ck_assert_msg(f->status == 0, "%s", f->err);
	make_file(path, f->out, 0600);
}

START_TEST(credentials_fetch_a_token_of_the_scope_that_is_needed)
{
	char narrow[128], reader[128], all[128];
	struct cmd_fixture f;

	up(&f);
	make_admin(&f, "narrow", "chancery:clients", narrow);
	make_admin(&f, "reader", "chancery:read", reader);
	make_admin(&f, "all", "chancery:admin", all);
	RUN(&f, "client", "list", "--url", f.admin, "--credentials", narrow, "-oquiet");
	must_print(&f, "all\nnarrow\nreader\n");
	f.environ[0] = "http_proxy=http://127.0.0.1:1"; /* not for loopback */
	RUN(&f, "user", "list", "--url", f.admin, "--credentials", narrow);
	must_refuse(&f, CMD_REFUSED, "has neither the scope chancery:users nor chancery:admin");
	RUN(&f, "user", "list", "--url", f.admin, "--credentials", reader, "-oquiet");
	must_print(&f, "");
	RUN(&f, "client", "create", "x", "--url", f.admin, "--credentials", reader);
	must_refuse(&f, CMD_REFUSED, "neither the scope chancery:clients");
	RUN(&f, "user", "create", "bob", "--url", f.admin, "--credentials", all, "--field", "name");
	must_print(&f, "bob\n");
	make_file(narrow,
		  "{\"issuer\":\"http://"
		  "id.example.com\",\"client_id\":\"a\",\"client_secret\":\"b\"}",
		  0600);
	RUN(&f, "client", "list", "--url", f.admin, "--credentials", narrow);
	must_refuse(&f, CMD_REFUSED, "in the clear");
	make_file(narrow, "{\"issuer\":\"http://127.0.0.1\",\"client_id\":\"a\"}", 0600);
	RUN(&f, "client", "list", "--url", f.admin, "--credentials", narrow);
	must_refuse(&f, CMD_REFUSED, "has no \"client_secret\"");
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(a_wrong_address_and_a_client_without_the_admin_api_are_told_apart)
{
	char credentials[128];
	struct cmd_fixture f;

	up(&f);
	make_admin(&f, "ops", "chancery:clients", credentials);
	RUN(&f, "client", "list", "--url", f.issuer, "--credentials", credentials);
	must_refuse(&f, CMD_REFUSED, "--url is the address of the admin listener");
	ck_assert_int_eq(chmod(credentials, 0644), 0);
	ck_assert_int_eq(RUN(&f, "client", "list", "--url", f.admin, "--credentials", credentials),
			 0);
	ck_assert_ptr_nonnull(strstr(f.err, "can be read by everybody"));
	ck_assert_int_eq(RUN_HERE(&f, "client", "create", "other", "--grant", "client_credentials",
				  "-ojson"),
			 0);
	make_file(credentials, f.out, 0600);
	RUN(&f, "client", "list", "--url", f.admin, "--credentials", credentials);
	must_refuse(&f, CMD_REFUSED, "chancery client update other --add-audience");
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(a_token_file_is_a_token_and_a_bad_one_is_refused)
{
	char credentials[128], token[128];
	struct cmd_fixture f;

	up(&f);
	make_admin(&f, "ops", "chancery:clients", credentials);
	snprintf(token, sizeof(token), "%s", path_in(&f, "token"));
	RUN(&f, "token", "client-credentials", "--credentials", credentials, "--field",
	    "access_token");
	ck_assert_msg(f.status == 0, "%s", f.err);
	make_file(token, f.out, 0600);
	RUN(&f, "client", "list", "--url", f.admin, "--token-file", token, "-oquiet");
	must_print(&f, "ops\n");
	make_file(token, "nonsense\n", 0600);
	RUN(&f, "client", "list", "--url", f.admin, "--token-file", token);
	must_refuse(&f, CMD_REFUSED, "HTTP 401");
	RUN(&f, "health", "--url", f.issuer, "-oquiet");
	must_print(&f, "ready\n");
	cmd_fixture_down(&f);
}
END_TEST

/* ---- tokens ---- */

START_TEST(tokens_are_got_looked_at_renewed_and_revoked)
{
	char credentials[128], refresh[256], access[4096];
	struct cmd_fixture f;
	struct json *j;

	up(&f);
	snprintf(credentials, sizeof(credentials), "%s", path_in(&f, "shop.json"));
	RUN_HERE(&f, "client", "create", "shop", "--grant", "password", "--grant", "refresh_token",
		 "--audience", API, "--scope", "read", "--introspect", API, "-o", "json");
	ck_assert_int_eq(f.status, 0);
	make_file(credentials, f.out, 0600);
	f.input = "correct horse battery\n";
	ck_assert_int_eq(RUN_HERE(&f, "user", "create", "alice", "--password-stdin"), 0);
	f.input = "correct horse battery\n";
	RUN(&f, "token", "password", "--credentials", credentials, "--user", "alice",
	    "--password-stdin", "-o", "json");
	j = must_json(&f);
	snprintf(refresh, sizeof(refresh), "%s", member(j, "refresh_token"));
	snprintf(access, sizeof(access), "%s", member(j, "access_token"));
	f.input = access;
	ck_assert_int_eq(RUN(&f, "token", "verify", "--issuer", f.issuer, "--audience", API, "-"),
			 0);
	RUN(&f, "token", "verify", "--issuer", f.issuer, "--audience", "https://b.example", access);
	ck_assert_int_eq(f.status, VERIFY_INVALID);
	ck_assert_ptr_nonnull(strstr(f.err, "another audience"));
	RUN(&f, "token", "introspect", "--credentials", credentials, access, "--field", "active");
	must_print(&f, "true\n");
	f.input = refresh;
	RUN(&f, "token", "refresh", "--credentials", credentials, "-", "--field", "token_type");
	must_print(&f, "Bearer\n");
	f.input = refresh;
	ck_assert_int_eq(RUN(&f, "token", "revoke", "--credentials", credentials, "-"), 0);
	RUN(&f, "token", "introspect", "--credentials", credentials, access, "--field", "active");
	must_print(&f, "false\n");
	f.input = refresh;
	RUN(&f, "token", "refresh", "--credentials", credentials, "-");
	must_refuse(&f, CMD_REFUSED, "invalid_grant");
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(every_command_prints_one_json_document)
{
	static const char *const rows[][6] = {
		{ "client", "list" },	     { "user", "list" },  { "api", "list" },
		{ "key", "list" },	     { "audit", "list" }, { "migrate", "status" },
		{ "config", "show" },	     { "health" },	  { "version" },
		{ "key", "plan" },	     { "key", "lint" },	  { "key", "drill" },
		{ "api", "show", "orders" },
	};
	struct cmd_fixture f;

	up(&f);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *argv[12] = { "chancery", f.data, "-ojson" };

		for (size_t k = 0; k < 6 && rows[i][k]; k++)
			argv[3 + k] = rows[i][k];
		cmd_fixture_run(&f, argv);
		must_json(&f);
		argv[2] = "-oyaml";
		ck_assert_int_eq(cmd_fixture_run(&f, argv), 0);
		ck_assert_ptr_null(strchr("{[", f.out[0]));
	}
	cmd_fixture_down(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_client_lives_from_create_to_delete,
		a_refusal_names_what_was_typed,
		a_secret_that_is_not_shown_is_not_said_to_be,
		a_wrong_address_and_a_client_without_the_admin_api_are_told_apart,
		edits_at_once_lose_nothing,
		ids_of_every_kind_reach_their_object,
		a_missing_api_is_named_with_the_command_that_makes_it,
		secrets_overlap_and_go_by_label,
		a_user_goes_by_name_or_id,
		an_api_goes_by_slug_or_uri,
		keys_rotate_and_a_second_time_waits_unless_forced,
		a_list_is_whole_over_its_pages,
		credentials_fetch_a_token_of_the_scope_that_is_needed,
		a_token_file_is_a_token_and_a_bad_one_is_refused,
		tokens_are_got_looked_at_renewed_and_revoked,
		every_command_prints_one_json_document,
	};

	return suite_run("cmd admin", tests, COUNT(tests));
}
