/* The command line without a server: what is parsed and refused, what help promises, what is
 * printed. */
#include <stdio.h>
#include <string.h>

#include "cmd_fixture.h"
#include "server/cmd/cmd_crud.h"
#include "server/cmd/cmd_out.h"
#include "../unit/suite.h"

/* ---- the table ---- */

static void each_row(void (*look)(const struct cmd_row *row))
{
	for (const struct cmd_group *const *g = cmd_groups; *g; g++) {
		for (size_t i = 0; i < (*g)->count; i++)
			look(&(*g)->rows[i]);
	}
}

static void row_is_whole(const struct cmd_row *row)
{
	ck_assert_msg(row->summary && row->summary[strlen(row->summary) - 1] != '.', "%s",
		      row->words);
	ck_assert_msg(!row->run != !row->admin, "%s: one of run and admin", row->words);
	ck_assert_msg(!row->admin == !row->scope, "%s: a scope and admin go together", row->words);
	if (!(row->flags & CMD_HIDDEN))
		ck_assert_msg(row->examples && row->examples[0] && row->examples[1],
			      "%s: no example", row->words);
}

START_TEST(every_command_has_a_summary_an_example_and_one_function)
{
	each_row(row_is_whole);
}
END_TEST

/* The words of a command line, as a shell would split what our examples hold. */
static int split(char *line, char **argv)
{
	char *at = strstr(line, "chancery ");
	int argc = 0;

	ck_assert_ptr_nonnull(at);
	at[strcspn(at, "|<>)")] = 0;
	for (char *word = strtok(at, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	return argc;
}

static void examples_parse(const struct cmd_row *row)
{
	for (const char *const *e = row->examples; e && e[0]; e += 2) {
		struct cmd c = { .row = NULL };
		char line[512], *argv[32];
		bool help = true;
		int argc;

		snprintf(line, sizeof(line), "%s", e[1]);
		argc = split(line, argv);
		ck_assert_msg(cmd_parse(&c, argc, argv, &help) == CMD_OK && !help, "%s", e[1]);
		ck_assert_msg(c.row == row, "an example of %s is about %s", row->words,
			      c.row->words);
	}
}

START_TEST(every_example_is_a_command_line_that_parses)
{
	each_row(examples_parse);
}
END_TEST

START_TEST(help_shows_every_command_and_no_hidden_one)
{
	struct cmd_fixture f;

	cmd_fixture_up(&f);
	ck_assert_int_eq(RUN(&f, "help"), 0);
	for (const struct cmd_group *const *g = cmd_groups; *g; g++) {
		for (size_t i = 0; i < (*g)->count; i++) {
			const struct cmd_row *row = &(*g)->rows[i];
			char line[64];

			snprintf(line, sizeof(line), "\n  %s", row->words);
			ck_assert_msg(!strstr(f.out, line) == !!(row->flags & CMD_HIDDEN), "%s",
				      row->words);
		}
	}
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(help_comes_by_word_and_by_option_and_without_any)
{
	struct cmd_fixture f;
	char *page;

	cmd_fixture_up(&f);
	ck_assert_int_eq(RUN(&f, "help", "client", "secret", "add"), 0);
	ck_assert_ptr_nonnull(
		strstr(f.out, "Usage: chancery client secret add [options] ID [LABEL]"));
	ck_assert_ptr_nonnull(strstr(f.out, "--expires-in DURATION"));
	page = strdup(f.out);
	ck_assert_int_eq(RUN(&f, "client", "secret", "add", "--help"), 0);
	ck_assert_str_eq(f.out, page);
	ck_assert_int_eq(RUN(&f, "client", "secret", "add", "x", "-h"), 0);
	ck_assert_str_eq(f.out, page);
	free(page);
	ck_assert_int_eq(RUN(&f, "help", "client"), 0);
	ck_assert_ptr_nonnull(strstr(f.out, "client secret list"));
	ck_assert_ptr_null(strstr(f.out, "user create"));
	ck_assert_int_eq(cmd_fixture_run(&f, (const char *const[]){ "chancery", NULL }), 0);
	ck_assert_ptr_nonnull(strstr(f.out, "Usage: chancery"));
	RUN(&f, "help", "clients");
	must_refuse(&f, CMD_REFUSED, "no such command: clients");
	cmd_fixture_down(&f);
}
END_TEST

/* ---- refusals ---- */

struct refusal {
	const char *argv[8];
	int status;
	const char *words;
};

static void each_refused(const struct refusal *rows, size_t count)
{
	struct cmd_fixture f;

	cmd_fixture_up(&f);
	f.environ[0] = "CHANCERY_DATA=/nonexistent/chancery";
	for (size_t i = 0; i < count; i++) {
		const char *argv[10] = { "chancery" };

		for (size_t k = 0; k < 8; k++)
			argv[k + 1] = rows[i].argv[k];
		cmd_fixture_run(&f, argv);
		must_refuse(&f, rows[i].status, rows[i].words);
	}
	cmd_fixture_down(&f);
}

START_TEST(wrong_words_are_refused_with_the_nearest_or_the_place_to_look)
{
	static const struct refusal rows[] = {
		{ { "clint", "list" }, 1, "did you mean `chancery client`" },
		{ { "client", "lst" }, 1, "did you mean `chancery client list`" },
		{ { "client", "secret", "ad", "x" },
		  1,
		  "did you mean `chancery client secret add`" },
		{ { "client" },
		  1,
		  "chancery: client needs one word more; see `chancery help client`" },
		{ { "client", "ls" }, 1, "no such command: client ls; see `chancery help client`" },
		{ { "client", "secret", "xyz" }, 1, "see `chancery help client secret`" },
		{ { "quux" }, 1, "no such command: quux" },
		{ { "reference" }, 1, "no such command: reference" },
	};

	each_refused(rows, COUNT(rows));
}
END_TEST

START_TEST(wrong_usage_is_refused_with_what_helps)
{
	static const struct refusal rows[] = {
		{ { "client", "create" }, 1, "client create needs: ID" },
		{ { "client", "create", "a", "b" }, 1, "\"b\" is one argument too many" },
		{ { "client", "create", "a", "--garnt", "x" }, 1, "did you mean --grant?" },
		{ { "client", "create", "a", "--name", "\xff" }, 1, "--name: not UTF-8" },
		{ { "client", "create", "a", "--quux" }, 1, "no such option: --quux" },
		{ { "client", "create", "a", "-x" }, 1, "no such option: -x" },
		{ { "client", "create", "a", "--name" }, 1, "--name needs a value: TEXT" },
		{ { "client", "create", "a", "--name", "b", "--name", "c" },
		  1,
		  "--name is there twice" },
		{ { "client", "create", "a", "--public=yes" }, 1, "--public takes no value" },
		{ { "client", "list", "-o", "xml" }, 1, "must be table, json, yaml or quiet" },
		{ { "client", "list", "-oxml" }, 1, "must be table, json, yaml or quiet" },
		{ { "config", "show", "--url", "http://127.0.0.1" }, 1, "does not take --url" },
		{ { "token", "password", "--token-file", "x" }, 1, "does not take --token-file" },
		{ { "client", "list", "--credentials", "x" }, 1, "go with --url" },
		{ { "client", "list", "--url", "https://127.0.0.1" },
		  1,
		  "needs one of --credentials" },
		{ { "client", "list", "--url", "http://id.example.com", "--token-file", "x" },
		  1,
		  "in the clear" },
		{ { "dev", "--data", "/tmp/x" }, 1, "takes no --data" },
		{ { "dev", "--address", "0.0.0.0:8080" }, 1, "must be a loopback address" },
		{ { "dev", "--address", "example.com:80" }, 1, "must be a loopback address" },
		{ { "dev", "--address", "127.0.0.1" }, 1, "an address and a port" },
		{ { "completion", "tcsh" }, 1, "must be bash, zsh or fish" },
		{ { "init" }, 1, "init needs --issuer URL" },
		{ { "init", "--issuer", "http://id.example.com" },
		  1,
		  "issuer: http is for loopback" },
		{ { "init", "--issuer", "https://id.example.com/" },
		  1,
		  "does not end in a slash, not \"https://id.example.com/\"\n" },
		{ { "audit", "list", "--url", "https://127.0.0.1" },
		  1,
		  "needs one of --credentials" },
		{ { "key", "guess" }, 1, "no such command: key guess" },
		{ { "token", "refresh", "--client", "a", "chy_rt_x" }, 1, "standard input" },
		{ { "token", "revoke", "--client", "a", "chy_rt_x" }, 1, "standard input" },
		{ { "token", "introspect", "x" }, 1, "who asks?" },
		{ { "token", "introspect", "x", "--client", "a", "--public" },
		  1,
		  "no such option: --public" },
		{ { "token", "client-credentials", "--client", "a" }, 1, "no terminal" },
		{ { "token", "verify" }, 2, "token verify needs: TOKEN|-" },
		{ { "token", "verify", "x" }, 2, "the keys are missing" },
		{ { "token", "verify", "x", "--jwks", "a", "--key", "b" }, 2, "one of the two" },
		{ { "token", "verify", "x", "--jwks", "/nonexistent" }, 2, "/nonexistent" },
		{ { "token", "verify", "x", "--jwks", "a", "--alg", "HS256" },
		  2,
		  "must be ES256 or RS256" },
		{ { "token", "decode", "x.y.z" }, 1, "not a compact JWS" },
	};

	each_refused(rows, COUNT(rows));
}
END_TEST

START_TEST(options_may_stand_anywhere_and_two_dashes_end_them)
{
	struct cmd c = { .row = NULL };
	const char *argv[] = { "chancery", "-ojson",	"client", "--yes",
			       "show",	   "--data=/x", "--",	  "--yes" };
	bool help;

	ck_assert_int_eq(cmd_parse(&c, COUNT(argv), (char **)(uintptr_t)argv, &help), CMD_OK);
	ck_assert_str_eq(c.row->words, "client show");
	ck_assert_uint_eq(c.arg_count, 1);
	ck_assert_str_eq(c.args[0], "--yes");
	ck_assert_str_eq(cmd_get(&c, "output"), "json");
	ck_assert_str_eq(cmd_get(&c, "data"), "/x");
	ck_assert(cmd_has(&c, "yes"));
}
END_TEST

START_TEST(a_key_id_is_an_argument_whatever_it_begins_with)
{
	static const char *const ids[] = { "-7nihIOHvKOKy_LNtuC98S2_yoV_UB64H4KOxiwAuQo",
					   "--ihIOHvKOKy_LNtuC98S2_yoV_UB64H4KOxiwAuQo0",
					   "-ojhIOHvKOKy_LNtuC98S2_yoV_UB64H4KOxiwAuQo0",
					   "-hjhIOHvKOKy_LNtuC98S2_yoV_UB64H4KOxiwAuQo0" };

	for (size_t i = 0; i < COUNT(ids); i++) {
		const char *argv[] = { "chancery", "key", "revoke", ids[i], "--yes" };
		struct cmd c = { .row = NULL };
		bool help;

		ck_assert_int_eq(cmd_parse(&c, COUNT(argv), (char **)(uintptr_t)argv, &help),
				 CMD_OK);
		ck_assert(!help && c.arg_count == 1);
		ck_assert_str_eq(c.args[0], ids[i]);
		ck_assert(cmd_has(&c, "yes"));
	}
}
END_TEST

START_TEST(a_server_that_is_not_there_is_exit_status_2)
{
	struct cmd_fixture f;

	cmd_fixture_up(&f);
	RUN_HERE(&f, "health");
	must_refuse(&f, CMD_UNREACHABLE, "`chancery serve`");
	RUN_HERE(&f, "client", "list");
	must_refuse(&f, CMD_UNREACHABLE, "`chancery serve`");
	RUN_HERE(&f, "health", "--url", "http://127.0.0.1:1");
	must_refuse(&f, CMD_UNREACHABLE, "http://127.0.0.1:1");
	make_file(path_in(&f, "admin.sock"), "", 0600);
	RUN_HERE(&f, "health");
	must_refuse(&f, CMD_UNREACHABLE, "(Connection refused); is `chancery serve` running?");
	cmd_fixture_down(&f);
}
END_TEST

/* ---- secrets ---- */

static int token_with(struct cmd_fixture *f, const char *input, const char *how, const char *value)
{
	f->input = input;
	return RUN(f, "token", "password", "--url", "http://127.0.0.1:1", "--client", "a", "--user",
		   "u", how, value ? value : "--password-stdin");
}

START_TEST(a_secret_comes_whole_from_one_place_or_is_refused)
{
	struct cmd_fixture f;

	cmd_fixture_up(&f);
	token_with(&f, "secret\n", "--secret-stdin", NULL);
	must_refuse(&f, CMD_REFUSED, "standard input is taken already");
	token_with(&f, "", "--secret-file", path_in(&f, "absent"));
	must_refuse(&f, CMD_REFUSED, "No such file");
	make_file(path_in(&f, "s"), "", 0600);
	token_with(&f, "", "--secret-file", path_in(&f, "s"));
	must_refuse(&f, CMD_REFUSED, "is empty");
	make_file(path_in(&f, "s"), "one\ntwo\n", 0600);
	token_with(&f, "", "--secret-file", path_in(&f, "s"));
	must_refuse(&f, CMD_REFUSED, "more than one line");
	make_file(path_in(&f, "s"), "one\n", 0644);
	token_with(&f, "", "--secret-file", path_in(&f, "s"));
	must_refuse(&f, CMD_REFUSED, "can be read by everybody");
	cmd_fixture_down(&f);
}
END_TEST

START_TEST(a_secret_does_not_go_over_plain_http)
{
	static const struct {
		const char *url;
		bool fine;
	} rows[] = {
		{ "https://id.example.com", true },
		{ "http://127.0.0.1:8080", true },
		{ "http://[::1]:8080", true },
		{ "http://localhost:8080", true },
		{ "http://id.example.com", false },
		{ "http://127.0.0.1.example.com", false },
		{ "http://localhost@evil.example", false },
		{ "ftp://127.0.0.1", false },
		{ "127.0.0.1:8080", false },
		{ "", false },
	};
	struct cmd c = { .row = NULL };

	for (size_t i = 0; i < COUNT(rows); i++)
		ck_assert_msg((check_clear_text(&c, str_z(rows[i].url)) == CMD_OK) == rows[i].fine,
			      "%s", rows[i].url);
}
END_TEST

/* ---- output ---- */

static void yaml_is(const char *json, const char *yaml)
{
	struct json *root;
	struct buf b;
	struct str text;

	ck_assert_int_eq(json_parse_any(str_z(json), 4096, &root), ERR_OK);
	buf_init(&b, NULL, 4096);
	out_yaml(root, &b);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	ck_assert_str_eq(text.p, yaml);
	buf_done(&b);
	json_free(root);
}

START_TEST(yaml_strings_stay_strings_for_every_reader)
{
	yaml_is("{\"a\":\"plain\",\"b\":[\"x\",\"y\"],\"c\":{\"d\":1,\"e\":[]},\"f\":null}",
		"a: plain\nb:\n  - x\n  - \"y\"\nc:\n  d: 1\n  e: []\nf: null\n");
	yaml_is("[{\"a\":1},{\"b\":[true]}]", "- a: 1\n- b:\n    - true\n");
	yaml_is("[\"no\",\"Yes\",\"null\",\"1\",\"1e3\",\"\",\"a: b\",\"a #b\",\"x:\",\"- "
		"x\",\"0x1f\",\"~\"]",
		"- \"no\"\n- \"Yes\"\n- \"null\"\n- \"1\"\n- \"1e3\"\n- \"\"\n- \"a: b\"\n- \"a "
		"#b\"\n"
		"- \"x:\"\n- \"- x\"\n- \"0x1f\"\n- \"~\"\n");
	yaml_is("[\"https://a.example/b\",\"a\\nb\"]", "- https://a.example/b\n- \"a\\nb\"\n");
}
END_TEST

START_TEST(tables_hold_no_control_characters)
{
	struct buf b;
	struct str text;

	buf_init(&b, NULL, 256);
	out_plain(STR("a\033[31mb\tc\r\n\x7f\xc2\x9b"
		      "d\xc3\xa9"),
		  &b);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	ck_assert_str_eq(text.p, "a?[31mb?c????d\xc3\xa9");
	buf_done(&b);
}
END_TEST

START_TEST(field_walks_into_objects_and_names_what_is_there)
{
	static const char token[] = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.eyJzdWIiOiJhIn0."
				    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
				    "AAAAAAAAAAAAAAAAAAAAAAAA";
	struct cmd_fixture f;

	cmd_fixture_up(&f);
	RUN(&f, "token", "decode", token, "--field", "claims.sub");
	must_print(&f, "a\n");
	RUN(&f, "token", "decode", token, "--field", "header");
	must_print(&f, "{\"alg\":\"ES256\",\"kid\":\"k\"}\n");
	RUN(&f, "token", "decode", token, "--field", "claim");
	must_refuse(&f, CMD_REFUSED, "there are: header claims");
	RUN(&f, "version", "--field", "version");
	must_print(&f, CHANCERY_VERSION "\n");
	RUN(&f, "version", "-oquiet");
	must_print(&f, CHANCERY_VERSION "\n");
	cmd_fixture_down(&f);
}
END_TEST

/* ---- bodies ---- */

static void body_is(const char *const *argv, int argc, const char *now, const char *expected)
{
	struct cmd c = { .row = NULL };
	struct json *object = NULL;
	struct str body;
	bool help;

	ck_assert_int_eq(arena_new(1 << 20, &c.arena), ERR_OK);
	ck_assert_int_eq(cmd_parse(&c, argc, (char **)(uintptr_t)argv, &help), CMD_OK);
	if (now)
		ck_assert_int_eq(json_parse(str_z(now), 4096, &object), ERR_OK);
	if (expected) {
		ck_assert_int_eq(crud_body(&c, NULL, object, &body), CMD_OK);
		ck_assert_str_eq(body.p, expected);
	} else {
		ck_assert_int_eq(crud_body(&c, NULL, object, &body), CMD_REFUSED);
	}
	json_free(object);
	arena_free(c.arena);
}
#define BODY(now, expected, ...)                                                                   \
	body_is((const char *const[]){ "chancery", "client", "update", "x", __VA_ARGS__ },         \
		(int)COUNT(((const char *const[]){ "chancery", "client", "update", "x",            \
						   __VA_ARGS__ })),                                \
		now, expected)

START_TEST(options_become_members)
{
	BODY(NULL, "{\"client_name\":\"N\",\"scope\":\"a b\",\"grant_types\":[\"g\"]}", "--name",
	     "N", "--scope", "a", "--grant", "g", "--scope", "b");
	BODY(NULL, "{\"scope\":\"\",\"audiences\":[]}", "--scope", "", "--audience", "");
	BODY(NULL, "{\"access_ttl\":300,\"alg\":null}", "--access-ttl", "5m", "--alg", "default");
	BODY(NULL, "{\"access_ttl\":null,\"alg\":\"RS256\"}", "--access-ttl", "default", "--alg",
	     "RS256");
	BODY(NULL, "{\"disabled\":true,\"refresh_rotation\":false}", "--disable", "--no-rotation");
	BODY(NULL, "{\"claims\":{\"a\":1,\"b\":{\"c\":[\"d\"]},\"e\":null}}", "--claim", "a=1",
	     "--claim", "b={\"c\":[\"d\"]}", "--claim", "e=null");
}
END_TEST

START_TEST(options_that_contradict_or_cannot_be_read_are_refused)
{
	BODY(NULL, NULL, "--disable", "--enable");
	BODY(NULL, NULL, "--scope", "a", "--add-scope", "b");
	BODY(NULL, NULL, "--access-ttl", "soon");
	BODY(NULL, NULL, "--claim", "a");
	BODY(NULL, NULL, "--claim", "=1");
	BODY(NULL, NULL, "--claim", "a=text");
	BODY(NULL, NULL, "--claim", "a=1", "--claim", "a=2}");
}
END_TEST

START_TEST(add_and_remove_edit_what_is_there)
{
	static const char now[] = "{\"scope\":\"a b\",\"audiences\":[\"x\",\"y\"]}";

	BODY(now, "{\"scope\":\"a b c\"}", "--add-scope", "c", "--add-scope", "a");
	BODY(now, "{\"scope\":\"b\"}", "--remove-scope", "a", "--remove-scope", "z");
	BODY(now, "{\"scope\":\"\"}", "--remove-scope", "a", "--remove-scope", "b");
	BODY(now, "{\"audiences\":[\"y\",\"z\"],\"scope\":\"a b c\"}", "--remove-audience", "x",
	     "--add-scope", "c", "--add-audience", "z");
}
END_TEST

START_TEST(an_id_is_one_segment_of_the_path)
{
	static const struct {
		const char *id, *segment;
	} rows[] = {
		{ "plain-1_~", "plain-1_~" }, { ".", "%2E" },		{ "..", "%2E%2E" },
		{ "a/b", "a%2Fb" },	      { "a b", "a%20b" },	{ "%2e", "%252e" },
		{ "?#", "%3F%23" },	      { "\xc3\xa9", "%C3%A9" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b;
		struct str text;

		buf_init(&b, NULL, 256);
		path_segment(&b, str_z(rows[i].id));
		ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
		ck_assert_str_eq(text.p, rows[i].segment);
		buf_done(&b);
	}
}
END_TEST

START_TEST(the_man_page_names_every_option)
{
	struct option_view view;
	struct cmd_fixture f;

	cmd_fixture_up(&f);
	ck_assert_int_eq(RUN(&f, "man"), 0);
	for (size_t i = 0; i < config_option_count(); i++) {
		config_option(i, &view);
		ck_assert_msg(strstr(f.out, view.name) != NULL, "%s", view.name);
	}
	ck_assert_ptr_null(strstr(f.out, "chancery man"));
	cmd_fixture_down(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_command_has_a_summary_an_example_and_one_function,
		every_example_is_a_command_line_that_parses,
		help_shows_every_command_and_no_hidden_one,
		help_comes_by_word_and_by_option_and_without_any,
		wrong_words_are_refused_with_the_nearest_or_the_place_to_look,
		wrong_usage_is_refused_with_what_helps,
		options_may_stand_anywhere_and_two_dashes_end_them,
		a_key_id_is_an_argument_whatever_it_begins_with,
		a_server_that_is_not_there_is_exit_status_2,
		a_secret_comes_whole_from_one_place_or_is_refused,
		a_secret_does_not_go_over_plain_http,
		yaml_strings_stay_strings_for_every_reader,
		tables_hold_no_control_characters,
		field_walks_into_objects_and_names_what_is_there,
		options_become_members,
		options_that_contradict_or_cannot_be_read_are_refused,
		add_and_remove_edit_what_is_there,
		an_id_is_one_segment_of_the_path,
		the_man_page_names_every_option,
	};

	return suite_run("cmd", tests, COUNT(tests));
}
