/* `chancery key`, with a real server. */
#include <stdio.h>
#include <string.h>

#include "cmd_fixture.h"
#include "../helpers/keys.h"
#include "../unit/suite.h"

#define API "https://api.example.com"

static void up(struct cmd_fixture *f)
{
	cmd_fixture_up(f);
	f->environ[0] = "CHANCERY_KEYS_CONSUMERS=gateway=192.0.2.7,gw-eu-3=192.0.2.8";
	cmd_fixture_serve(f);
}

static void kid_in(struct cmd_fixture *f, const char *state, char ret_kid[128])
{
	const struct json *keys;

	RUN_HERE(f, "key", "list", "-ojson");
	keys = json_get(must_json(f), "items");
	for (size_t i = 0; i < json_len(keys); i++) {
		const struct json *key = json_at(keys, i);

		if (strcmp(member(key, "alg"), "ES256") == 0 &&
		    strcmp(member(key, "state"), state) == 0)
			snprintf(ret_kid, 128, "%s", member(key, "kid"));
	}
}

START_TEST(a_list_names_who_does_not_hold_the_standby)
{
	struct cmd_fixture f;

	up(&f);
	ck_assert_int_eq(RUN_HERE(&f, "key", "list"), 0);
	ck_assert_msg(strstr(f.err, "ES256: 0 of 2 hold the standby; gateway, gw-eu-3 do not\n"),
		      "%s", f.err);
	ck_assert_ptr_nonnull(strstr(f.out, "standby"));
	RUN_HERE(&f, "key", "rotate", "--alg", "ES256");
	must_refuse(&f, CMD_CONFLICT, "waits for gateway, gw-eu-3");
	ck_assert_int_eq(RUN_HERE(&f, "key", "rotate", "--alg", "ES256", "--force"), 0);
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(what_is_to_come_and_what_holds_is_told)
{
	struct cmd_fixture f;

	up(&f);
	RUN_HERE(&f, "key", "plan", "-oquiet");
	ck_assert_ptr_nonnull(strstr(f.out, "activate\nretire\npublish\n"));
	RUN_HERE(&f, "key", "lint");
	must_print(&f, "");
	ck_assert_str_eq(f.err, "All is well.\n");
	RUN_HERE(&f, "key", "lint", "--field", "ok");
	must_print(&f, "true\n");
	RUN_HERE(&f, "key", "drill", "-ojson");
	ck_assert_msg(f.status == 0, "%s%s", f.out, f.err);
	ck_assert_ptr_nonnull(strstr(f.out, "\"standby_opens_RS256\""));
	ck_assert_ptr_nonnull(strstr(f.out, "\"reachable\""));
	RUN_HERE(&f, "key", "resume", "-ojson");
	must_json(&f);
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(a_revocation_asks_and_tells_what_it_hits)
{
	char bad[128], standby[128];
	struct cmd_fixture f;
	struct json *j;

	up(&f);
	kid_in(&f, "active", bad);
	kid_in(&f, "standby", standby);
	RUN_HERE(&f, "key", "revoke");
	must_refuse(&f, CMD_REFUSED, "name one key, or all of them with --all");
	RUN_HERE(&f, "key", "revoke", bad, "--all");
	must_refuse(&f, CMD_REFUSED, "name one key, or all of them with --all");
	RUN_HERE(&f, "key", "revoke", bad);
	must_refuse(&f, CMD_REFUSED, "needs --yes");
	RUN_HERE(&f, "key", "revoke", "--all");
	must_refuse(&f, CMD_REFUSED, "needs --yes");
	RUN_HERE(&f, "key", "revoke", "nobody", "--yes");
	must_refuse(&f, CMD_REFUSED, "there is no key nobody");
	RUN_HERE(&f, "key", "revoke", bad, "--yes", "-ojson");
	j = must_json(&f);
	ck_assert_str_eq(member(j, "kid"), bad);
	ck_assert_str_eq(member(j, "signs_now"), standby);
	kid_in(&f, "revoked", standby);
	ck_assert_str_eq(standby, bad);
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(wrong_imports_are_refused_before_anything_is_sent)
{
	static const struct {
		const char *text;
		const char *args[6];
		const char *words;
	} rows[] = {
		{ KEY_EC_1, { NULL }, "--state must be active or retiring" },
		{ KEY_EC_1, { "--state=standby" }, "--state must be active or retiring" },
		{ KEY_EC_1, { "--state=active", "--for=1h" }, "an active key has no end" },
		{ KEY_EC_1, { "--state=active", "--alg=RS256" }, "is not a key for RS256" },
		{ KEY_EC_1, { "--state=retiring" }, "--tokens-until or --for" },
		{ KEY_EC_1,
		  { "--state=retiring", "--for=1h", "--tokens-until=2030-01-01T00:00:00Z" },
		  "--tokens-until or --for" },
		{ KEY_EC_1, { "--state=retiring", "--for=soon" }, "must be a duration" },
		{ KEY_EC_1, { "--state=retiring", "--tokens-until=then" }, "--tokens-until: must" },
		{ KEY_P384, { "--state=active" }, "not a key we take" },
		{ "x", { "--state=active" }, "neither PEM nor a JWK" },
		{ "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE "
		  "KEY-----\n",
		  { "--state=active" },
		  "is encrypted" },
		{ "{\"keys\":[{},{}]}", { "--state=active" }, "name one with --kid" },
		{ "{\"keys\":[]}", { "--state=active", "--kid=a" }, "no key with the id a" },
	};
	struct cmd_fixture f;

	up(&f);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *argv[12] = { "chancery", f.data, "key", "import", "-" };

		for (size_t k = 0; k < 6 && rows[i].args[k]; k++)
			argv[5 + k] = rows[i].args[k];
		f.input = rows[i].text;
		cmd_fixture_run(&f, argv);
		must_refuse(&f, CMD_REFUSED, rows[i].words);
	}
	make_file(path_in(&f, "token"), "abc", 0600);
	f.input = KEY_EC_1;
	RUN_HERE(&f, "key", "import", "-", "--state=active", "--url", f.admin, "--token-file",
		 path_in(&f, "token"));
	must_refuse(&f, CMD_REFUSED, "UNIX socket alone");
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(keys_are_imported_active_and_retiring)
{
	struct cmd_fixture f;
	struct json *j;

	up(&f);
	make_file(path_in(&f, "old.pem"), KEY_EC_1, 0600);
	make_file(path_in(&f, "old-rsa.pem"), KEY_RSA_2048, 0600);
	RUN_HERE(&f, "key", "import", path_in(&f, "old.pem"), "--kid", "old", "--state", "active",
		 "-ojson");
	j = must_json(&f);
	ck_assert_str_eq(member(j, "kid"), "old");
	ck_assert_str_eq(member(j, "state"), "active");
	ck_assert_str_eq(member(j, "origin"), "import");
	RUN_HERE(&f, "key", "import", path_in(&f, "old-rsa.pem"), "--kid", "old-rsa", "--state",
		 "retiring", "--for", "2h", "--alg", "RS256", "-ojson");
	j = must_json(&f);
	ck_assert_str_eq(member(j, "state"), "retiring");
	ck_assert_ptr_nonnull(strstr(f.err, "was not needed"));
	RUN_HERE(&f, "key", "import", path_in(&f, "old.pem"), "--kid", "old", "--state", "active");
	must_refuse(&f, CMD_CONFLICT, "There is a key of this kid");
	cmd_fixture_down(&f);
}
END_TEST

static void put_token(struct cmd_fixture *f, char token[JWT_SIZE_MAX])
{
	ck_assert_int_eq(RUN_HERE(f, "api", "create", API, "--id", "orders"), 0);
	ck_assert_int_eq(RUN_HERE(f, "client", "create", "billing", "--grant", "client_credentials",
				  "--audience", API, "-ojson"),
			 0);
	make_file(path_in(f, "billing.json"), f->out, 0600);
	RUN_HERE(f, "token", "client-credentials", "--credentials", path_in(f, "billing.json"),
		 "--field", "access_token");
	ck_assert_int_eq(f->status, 0);
	snprintf(token, JWT_SIZE_MAX, "%.*s", (int)strcspn(f->out, "\n"), f->out);
}

START_TEST(tokens_are_found_in_lines_of_any_kind)
{
	static char token[JWT_SIZE_MAX], text[256 * 1024];
	struct cmd_fixture f;
	const struct json *found;
	size_t n = 0;

	up(&f);
	put_token(&f, token);
	n += (size_t)snprintf(text, sizeof(text),
			      "nothing here\nGET / \"Authorization: Bearer %s\"\n"
			      "{\"token\":\"%s\",\"other\":\"eyJx.y\"}\n"
			      "xeyJh.a.b and eyJhbGciOiJFUzI1NiIsImtpZCI6IngifQ.e30.AA.\n",
			      token, token);
	f.input = text;
	RUN_HERE(&f, "key", "tripwire", "-", "-ojson");
	found = json_get(must_json(&f), "items");
	ck_assert_uint_eq(json_len(found), 3);
	ck_assert_str_eq(member(json_at(found, 0), "verdict"), "genuine");
	ck_assert_str_eq(member(json_at(found, 1), "verdict"), "genuine");
	ck_assert_str_ne(member(json_at(found, 2), "verdict"), "genuine");
	for (int i = 0; i < 250; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n", token);
	f.input = text;
	RUN_HERE(&f, "key", "tripwire", "-", "--field", "line");
	ck_assert_int_eq(f.status, 0);
	ck_assert_ptr_nonnull(strstr(f.out, "\n254\n"));
	ck_assert_ptr_nonnull(strstr(f.err, "253 tokens, none of them forged."));
	f.input = "no token\n";
	RUN_HERE(&f, "key", "tripwire", "-");
	must_refuse(&f, CMD_REFUSED, "there is no token in it");
	cmd_fixture_down(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_list_names_who_does_not_hold_the_standby,
		what_is_to_come_and_what_holds_is_told,
		a_revocation_asks_and_tells_what_it_hits,
		wrong_imports_are_refused_before_anything_is_sent,
		keys_are_imported_active_and_retiring,
		tokens_are_found_in_lines_of_any_kind,
	};

	return suite_run("cmd key", tests, COUNT(tests));
}
