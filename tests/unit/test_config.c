/* The configuration: where values come from, who wins, and durations. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config_place.h"
#include "suite.h"

/* ---- sources ---- */

START_TEST(every_option_has_a_default_that_loads)
{
	struct option_view view;
	struct place p;

	place_up(&p, NULL);
	must_load(&p);
	for (size_t i = 0; i < config_option_count(); i++) {
		const char *origin;
		struct buf b;

		config_option(i, &view);
		buf_init(&b, NULL, PLACE_TEXT_MAX);
		config_value(p.config, i, &b, &origin);
		ck_assert_str_eq(origin, "default");
		buf_done(&b);
	}
	has_value(p.config, "tokens.access_ttl", "5m", NULL);
	has_value(p.config, "keys.algs", "ES256,RS256", NULL);
	ck_assert_int_eq(p.config->server.workers, 0);
	ck_assert_uint_eq(p.config->server.trusted_proxies.count, 0);
	place_down(&p);
}
END_TEST

START_TEST(flag_beats_environment_beats_file_beats_default)
{
	struct place p;

	place_up(&p, "tokens: { access_ttl: 2m, refresh_ttl: 2d, nbf_skew: 2s }\n");
	with_env(&p, "CHANCERY_TOKENS_ACCESS_TTL=3m");
	with_env(&p, "CHANCERY_TOKENS_REFRESH_TTL=3d");
	with_set(&p, "tokens.access_ttl=4m");
	must_load(&p);
	has_value(p.config, "tokens.access_ttl", "4m", "flag");
	has_value(p.config, "tokens.refresh_ttl", "3d", "env");
	has_value(p.config, "tokens.nbf_skew", "2s", "file");
	has_value(p.config, "tokens.refresh_max", "90d", "default");
	place_down(&p);
}
END_TEST

START_TEST(a_bad_value_that_is_overridden_does_not_matter)
{
	struct place p;

	place_up(&p, "log: { level: loud }\n");
	must_fault(&p, "log.level");
	with_env(&p, "CHANCERY_LOG_LEVEL=debug");
	must_load(&p);
	ck_assert_int_eq(p.config->log.level, LOG_DEBUG);
	place_down(&p);
}
END_TEST

START_TEST(the_last_of_two_flags_wins)
{
	struct place p;

	place_up(&p, NULL);
	with_set(&p, "log.level=warn");
	with_set(&p, "log.level=error");
	must_load(&p);
	ck_assert_int_eq(p.config->log.level, LOG_ERROR);
	place_down(&p);
}
END_TEST

START_TEST(json_is_yaml)
{
	struct place p;

	place_up(&p,
		 "{\"issuer\": \"https://id.example.com/a/b\", \"server\": {\"workers\": 3, "
		 "\"trusted_proxies\": [\"10.0.0.0/8\", \"::1\"], \"tls\": {\"key\": \"/k\"}}}");
	must_load(&p);
	ck_assert_str_eq(p.config->issuer.p, "https://id.example.com/a/b");
	ck_assert(str_equal_z(p.config->issuer_path, "/a/b"));
	ck_assert_int_eq(p.config->server.workers, 3);
	ck_assert_uint_eq(p.config->server.trusted_proxies.count, 2);
	has_value(p.config, "server.trusted_proxies", "10.0.0.0/8,::1", "file");
	ck_assert_str_eq(p.config->server.tls.key.p, "/k");
	place_down(&p);
}
END_TEST

START_TEST(lists_in_the_environment_are_comma_separated)
{
	struct place p;

	place_up(&p, "server: { trusted_proxies: [192.0.2.1] }\n");
	with_env(&p, "CHANCERY_SERVER_TRUSTED_PROXIES=10.0.0.0/8, 2001:db8::/32");
	with_env(&p, "CHANCERY_KEYS_ALGS=RS256");
	must_load(&p);
	has_value(p.config, "server.trusted_proxies", "10.0.0.0/8,2001:db8::/32", "env");
	ck_assert_uint_eq(p.config->keys.alg_count, 1);
	p.environ[0] = "CHANCERY_SERVER_TRUSTED_PROXIES=";
	must_load(&p);
	ck_assert_uint_eq(p.config->server.trusted_proxies.count, 0);
	place_down(&p);
}
END_TEST

START_TEST(the_file_may_be_absent_only_under_its_own_name)
{
	struct place p;

	place_up(&p, NULL);
	must_load(&p);
	p.source.file = "/nonexistent/chancery.yaml";
	must_fault(&p, "/nonexistent/chancery.yaml");
	p.source.file = "/tmp";
	must_fault(&p, "not a regular file");
	place_down(&p);
}
END_TEST

START_TEST(empty_sections_and_files_say_nothing)
{
	static const char *const texts[] = { "", "# nothing\n", "---\n",
					     "server:\nlog:\n  # level: debug\n" };

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct place p;

		place_up(&p, texts[i]);
		must_load(&p);
		place_down(&p);
	}
}
END_TEST

START_TEST(dir_in_a_path_is_the_data_directory)
{
	struct place p;
	char expected[128];

	place_up(&p, "admin: { socket: DIR/run/admin.sock }\n");
	must_load(&p);
	snprintf(expected, sizeof(expected), "%s/run/admin.sock", p.dir);
	ck_assert_str_eq(p.config->admin.socket.p, expected);
	snprintf(expected, sizeof(expected), "%s/master.key", p.dir);
	ck_assert_str_eq(p.config->keys.master_key_file.p, expected);
	ck_assert(p.config->keys.master_key_ours);
	snprintf(expected, sizeof(expected), "%s/db/chancery.db", p.dir);
	ck_assert_str_eq(p.config->storage.path.p, expected);
	place_down(&p);
}
END_TEST

START_TEST(the_data_directory_is_made_absolute_and_comes_from_flag_or_environment)
{
	struct place p;
	char here[4096], expected[8192];

	place_up(&p, NULL);
	ck_assert_ptr_nonnull(getcwd(here, sizeof(here)));
	p.source.data_dir = "some/where//";
	must_load(&p);
	snprintf(expected, sizeof(expected), "%s/some/where", here);
	ck_assert_str_eq(p.config->data_dir.p, expected);
	p.source.data_dir = NULL;
	with_env(&p, "CHANCERY_DATA=/srv/id");
	must_load(&p);
	ck_assert_str_eq(p.config->data_dir.p, "/srv/id");
	ck_assert_uint_eq(p.warnings.count, 0);
	p.environ[0] = "HOME=/";
	must_load(&p);
	ck_assert_str_eq(p.config->data_dir.p, "/var/lib/chancery");
	place_down(&p);
}
END_TEST

START_TEST(a_systemd_credential_takes_the_place_of_the_default_master_key)
{
	char env[128], key[128];
	struct place p;

	place_up(&p, NULL);
	snprintf(env, sizeof(env), "CREDENTIALS_DIRECTORY=%s", p.dir);
	snprintf(key, sizeof(key), "%s/master.key", p.dir);
	with_env(&p, env);
	must_load(&p); /* the directory is there, the credential is not */
	has_value(p.config, "keys.master_key_file", key, "default");
	write_text(key, "x", 1);
	must_load(&p);
	has_value(p.config, "keys.master_key_file", key, "credential");
	ck_assert(!p.config->keys.master_key_ours);
	with_set(&p, "keys.master_key_file=/other");
	must_load(&p);
	has_value(p.config, "keys.master_key_file", "/other", "flag");
	(void)unlink(key);
	place_down(&p);
}
END_TEST

START_TEST(unknown_variables_warn_with_the_nearest_name)
{
	struct place p;

	place_up(&p, NULL);
	with_env(&p, "CHANCERY_LOG_LEVLE=debug");
	with_env(&p, "CHANCERY_SOMETHING_ELSE_ENTIRELY=1");
	with_env(&p, "CHANCERYX=1");
	must_load(&p);
	ck_assert_uint_eq(p.warnings.count, 2);
	ck_assert_ptr_nonnull(strstr(p.warnings.text[0], "did you mean CHANCERY_LOG_LEVEL?"));
	ck_assert_ptr_null(strstr(p.warnings.text[1], "did you mean"));
	place_down(&p);
}
END_TEST

START_TEST(variables_that_kubernetes_injects_are_ignored)
{
	static const char *const rows[] = {
		"CHANCERY_PORT=tcp://10.0.0.1:80",
		"CHANCERY_SERVICE_HOST=10.0.0.1",
		"CHANCERY_SERVICE_PORT=80",
		"CHANCERY_SERVICE_PORT_HTTP=80",
		"CHANCERY_PORT_80_TCP_ADDR=10.0.0.1",
		"CHANCERY_ADMIN_PORT=tcp://10.0.0.2:8081",
		"CHANCERY_ADMIN_PORT_8081_TCP=tcp://10.0.0.2:8081",
		"CHANCERY_ADMIN_SERVICE_HOST=10.0.0.2",
#ifdef CHANCERY_FAULTS
		"CHANCERY_FAILPOINTS=x:1:error",
		"CHANCERY_FAULT_CLOCK=/clock",
#endif
	};
	struct place p;

	place_up(&p, NULL);
	for (size_t i = 0; i < COUNT(rows); i++)
		with_env(&p, rows[i]);
	must_load(&p);
	ck_assert_uint_eq(p.warnings.count, 0);
	place_down(&p);
}
END_TEST

START_TEST(no_two_options_share_a_variable)
{
	struct option_view a, b;
	char x[96], y[96];

	for (size_t i = 0; i < config_option_count(); i++) {
		config_option(i, &a);
		for (size_t j = i + 1; j < config_option_count(); j++) {
			config_option(j, &b);
			snprintf(x, sizeof(x), "%s", a.name);
			snprintf(y, sizeof(y), "%s", b.name);
			for (char *c = x; *c; c++)
				*c = *c == '.' ? '_' : *c;
			for (char *c = y; *c; c++)
				*c = *c == '.' ? '_' : *c;
			ck_assert_str_ne(x, y);
		}
	}
}
END_TEST

START_TEST(the_reference_holds_every_option_with_its_default)
{
	struct place p, defaults;

	place_up(&p, NULL);
	place_up(&defaults, NULL);
	p.source.file = REFERENCE_FILE;
	p.source.data_dir = defaults.dir;
	must_load(&p);
	must_load(&defaults);
	for (size_t i = 0; i < config_option_count(); i++) {
		struct option_view view;
		const char *origin;
		struct buf b;
		struct str text;

		config_option(i, &view);
		buf_init(&b, NULL, PLACE_TEXT_MAX);
		config_value(p.config, i, &b, &origin);
		ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
		ck_assert_str_eq(origin, "file");
		has_value(defaults.config, view.name, text.p, "default");
		buf_done(&b);
	}
	place_down(&p);
	place_down(&defaults);
}
END_TEST

/* ---- durations ---- */

START_TEST(durations_are_whole_seconds_with_one_unit)
{
	static const struct {
		const char *text;
		enum err e;
		int64_t seconds;
	} rows[] = {
		{ "0", ERR_OK, 0 },
		{ "90", ERR_OK, 90 },
		{ "90s", ERR_OK, 90 },
		{ "15m", ERR_OK, 900 },
		{ "2h", ERR_OK, 7200 },
		{ "30d", ERR_OK, 2592000 },
		{ "106751991167300d", ERR_OK, 9223372036854720000 },
		{ "106751991167301d", ERR_LIMIT, 0 },
		{ "9223372036854775808", ERR_LIMIT, 0 },
		{ "-1s", ERR_LIMIT, 0 },
		{ "", ERR_SYNTAX, 0 },
		{ "s", ERR_SYNTAX, 0 },
		{ "1.5m", ERR_SYNTAX, 0 },
		{ "1h30m", ERR_SYNTAX, 0 },
		{ "500ms", ERR_SYNTAX, 0 },
		{ "1M", ERR_SYNTAX, 0 },
		{ " 1s", ERR_SYNTAX, 0 },
		{ "1 s", ERR_SYNTAX, 0 },
		{ "+1s", ERR_SYNTAX, 0 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t seconds = -7;
		enum err e = duration_parse(str_z(rows[i].text), &seconds);

		ck_assert_msg(e == rows[i].e, "\"%s\": %s", rows[i].text, err_name(e));
		ck_assert_int_eq(seconds, e ? -7 : rows[i].seconds);
	}
}
END_TEST

START_TEST(durations_are_written_in_their_largest_unit)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} rows[] = {
		{ 0, "0s" },	{ 1, "1s" },	 { 60, "1m" },	   { 90, "90s" },
		{ 3600, "1h" }, { 86400, "1d" }, { 90000, "25h" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b;
		struct str text;

		buf_init(&b, NULL, 64);
		duration_write(rows[i].seconds, &b);
		ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
		ck_assert_str_eq(text.p, rows[i].text);
		buf_done(&b);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_option_has_a_default_that_loads,
		flag_beats_environment_beats_file_beats_default,
		a_bad_value_that_is_overridden_does_not_matter,
		the_last_of_two_flags_wins,
		json_is_yaml,
		lists_in_the_environment_are_comma_separated,
		the_file_may_be_absent_only_under_its_own_name,
		empty_sections_and_files_say_nothing,
		dir_in_a_path_is_the_data_directory,
		the_data_directory_is_made_absolute_and_comes_from_flag_or_environment,
		a_systemd_credential_takes_the_place_of_the_default_master_key,
		unknown_variables_warn_with_the_nearest_name,
		variables_that_kubernetes_injects_are_ignored,
		no_two_options_share_a_variable,
		the_reference_holds_every_option_with_its_default,
		durations_are_whole_seconds_with_one_unit,
		durations_are_written_in_their_largest_unit,
	};

	return suite_run("config", tests, COUNT(tests));
}
