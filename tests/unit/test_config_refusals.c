/* The configuration: what is refused, with which words, and what a running server may take over. */
#include <stdio.h>
#include <string.h>

#include "config_place.h"
#include "suite.h"

/* ---- refusals ---- */

START_TEST(what_a_file_may_not_say_is_refused_with_the_reason)
{
	static const struct {
		const char *yaml, *words;
	} rows[] = {
		/* unknown names, and the nearest known one */
		{ "isuer: https://a.example\n", "did you mean issuer?" },
		{ "server: { adress: 127.0.0.1:1 }\n", "did you mean server.address?" },
		{ "address: 127.0.0.1:1\n", "did you mean server.address?" },
		{ "sever: { workers: 1 }\n", "sever: no such option" },
		{ "log:\n  level: info\n\n  levle: info\n", "line 4" },
		{ "gatewey: { address: off }\n", "gatewey: no such option" },
		{ "zzzzzzzzzzzz: 1\n", "chancery config show" },
		/* shapes */
		{ "a: b: c\n", "line 1: not YAML" },
		{ "issuer: https://a.example\nissuer: https://b.example\n",
		  "is there twice (first in line 1)" },
		{ "log: { level: info }\nlog: { format: json }\n", "is there twice" },
		{ "server: &x { workers: 1 }\n", "aliases, anchors and tags" },
		{ "issuer: &x https://a.example\ntokens: { default_audience: *x }\n",
		  "aliases, anchors and tags" },
		{ "issuer: *nothing\n", "aliases, anchors and tags" },
		{ "issuer: !!str https://a.example\n", "aliases, anchors and tags" },
		{ "server: { tls: { key: { deeper: 1 } } }\n", "nested too deep" },
		{ "log: { level: info }\n---\nlog: { level: debug }\n", "second document" },
		{ "- issuer\n", "must hold keys" },
		{ "https://a.example\n", "must hold keys" },
		{ "? [a, b]\n: c\n", "a key must be a word" },
		{ "issuer: \"https://a.example\\0\"\n", "control character" },
		{ "issuer: \"https://a\\e[31m.example\"\n", "control character" },
		{ "issuer:\n", "issuer: has no value" },
		{ "server: 5\n", "server: a section" },
		{ "server: [a]\n", "server: a section" },
		{ "issuer: [https://a.example]\n", "must be one value" },
		{ "keys: { algs: ES256 }\n", "must be a list" },
		{ "keys: { algs: [[ES256]] }\n", "plain values only" },
		/* values */
		{ "issuer: https://a.example/\n", "does not end in a slash" },
		{ "issuer: https://a.example?x=1\n", "http or https URL" },
		{ "issuer: ftp://a.example\n", "http or https URL" },
		{ "server: { address: 8080 }\n", "an IP address and a port" },
		{ "server: { address: \":8080\" }\n", "an IP address and a port" },
		{ "server: { address: \"localhost:8080\" }\n", "an IP address and a port" },
		{ "server: { address: \"::1:8080\" }\n", "an IP address and a port" },
		{ "server: { address: \"127.0.0.1:65536\" }\n", "an IP address and a port" },
		{ "server: { address: off }\n", "an IP address and a port" },
		{ "server: { workers: 0 }\n", "\"auto\" or a number from 1 to 256" },
		{ "server: { workers: many }\n", "not \"many\"" },
		{ "server: { trusted_proxies: [10.0.0.1/8] }\n", "not 10.0.0.1/8" },
		{ "server: { address: \"[127.0.0.1]:8080\" }\n", "an IP address and a port" },
		{ "server: { trusted_proxies: [proxy.example] }\n", "addresses and networks" },
		{ "server: { tls: { key: key.pem } }\n", "an absolute path" },
		{ "admin: { socket: \"\" }\n", "\"off\" or an absolute path" },
		{ "admin: { socket: "
		  "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "a"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa }\n",
		  "at most 107 bytes" },
		{ "storage: { url: \"postgres://x\" }\n", "storage.url: must be \"sqlite\"" },
		{ "tokens: { access_ttl: 5x }\n", "from 5s to 1d" },
		{ "tokens: { access_ttl: 2d }\n", "from 5s to 1d" },
		{ "tokens: { access_ttl: 1.5m }\n", "a duration" },
		{ "tokens: { access_ttl: 500ms }\n", "a duration" },
		{ "tokens: { alg: HS256 }\n", "ES256 or RS256" },
		{ "tokens: { alg: none }\n", "ES256 or RS256" },
		{ "tokens: { alg: es256 }\n", "ES256 or RS256" },
		{ "tokens: { default_audience: api }\n", "absolute URI" },
		{ "keys: { algs: [] }\n", "at least one" },
		{ "keys: { algs: [ES256, ES256] }\n", "without repetition" },
		{ "passwords: { min_length: 7 }\n", "from 8 to 128" },
		{ "log: { level: loud }\n", "one of debug, info, warn, error, not \"loud\"" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct place p;

		place_up(&p, rows[i].yaml);
		must_fault(&p, rows[i].words);
		ck_assert_msg(strstr(p.fault.text, p.path) != NULL, "no file name in: %s",
			      p.fault.text);
		place_down(&p);
	}
}
END_TEST

START_TEST(a_consumer_is_a_name_and_an_exact_network_or_certificate)
{
	static const char *const rows[] = {
		"10.0.0.7",	      "=10.0.0.7",	     "gateway=", "gateway=proxy.example",
		"gateway=10.0.0.7/8", "gateway=sha256:0123",
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char set[64];
		struct place p;

		place_up(&p, NULL);
		snprintf(set, sizeof(set), "keys.consumers=%s", rows[i]);
		with_set(&p, set);
		must_fault(&p, "name=address");
		place_down(&p);
	}
}
END_TEST

START_TEST(a_bad_variable_or_flag_is_named)
{
	struct place p;

	place_up(&p, NULL);
	with_env(&p, "CHANCERY_SERVER_WORKERS=x");
	must_fault(&p, "(CHANCERY_SERVER_WORKERS)");
	p.environ[0] = "HOME=/";
	with_set(&p, "server.workers=x");
	must_fault(&p, "(--set)");
	p.sets[0] = "server.wrokers=1";
	must_fault(&p, "did you mean server.workers?");
	p.sets[0] = "server.workers";
	must_fault(&p, "section.key=value");
	place_down(&p);
}
END_TEST

START_TEST(a_bad_value_cannot_write_to_the_terminal)
{
	struct place p;

	place_up(&p, NULL);
	with_env(&p, "CHANCERY_LOG_LEVEL=\033[31mred");
	must_fault(&p, "not \"?[31mred\"");
	place_down(&p);
}
END_TEST

START_TEST(a_file_that_is_too_large_is_refused)
{
	static char big[65537 + 1];
	struct place p;

	memset(big, '#', sizeof(big));
	place_up(&p, NULL);
	write_text(p.path, big, 65537);
	must_fault(&p, "larger than");
	write_text(p.path, big, 65536);
	must_load(&p);
	place_down(&p);
}
END_TEST

/* ---- rules ---- */

#define HTTPS "issuer: https://id.example.com\n"

START_TEST(serve_refuses_what_is_unsafe)
{
	static const struct {
		const char *yaml, *words; /* NULL: it is fine */
	} rows[] = {
		{ "log: { level: info }\n", "issuer: not set" },
		{ "issuer: http://id.example.com\n", "issuer: http is for loopback" },
		{ "issuer: http://127.0.0.1:8080\n", NULL },
		{ "issuer: http://localhost:8080\n", NULL },
		{ "issuer: http://[::1]:8080\n", NULL },
		{ "issuer: http://localhost.example.com\n", "issuer: http is for loopback" },
		{ HTTPS, NULL },
		{ HTTPS "server: { address: \"0.0.0.0:8080\" }\n",
		  "server.address: 0.0.0.0:8080 is not loopback" },
		{ HTTPS "server: { address: \"[::]:8080\" }\n", "is not loopback" },
		{ HTTPS "server: { address: \"0.0.0.0:8080\", trusted_proxies: [10.0.0.0/8] }\n",
		  NULL },
		{ HTTPS
		  "server: { address: \"0.0.0.0:8443\", tls: { certificate: /c, key: /k } }\n",
		  NULL },
		{ HTTPS "admin: { address: \"0.0.0.0:8081\" }\n",
		  "admin.address: 0.0.0.0:8081 is not loopback" },
		{ HTTPS "admin: { address: \"0.0.0.0:8081\", tls: { certificate: /c, key: /k } }\n",
		  NULL },
		{ HTTPS "admin: { address: off }\n", NULL },
		{ HTTPS "admin: { address: \"127.0.0.1:8080\" }\n", "the same as server.address" },
		{ HTTPS "gateway: { address: off }\n", NULL },
		{ HTTPS "gateway: { address: \"127.0.0.1:8082\", socket: /run/g.sock }\n", NULL },
		{ HTTPS "gateway: { address: \"[::1]:8082\" }\n", NULL },
		{ HTTPS "gateway: { address: \"0.0.0.0:8082\" }\n",
		  "gateway.address: 0.0.0.0:8082 is not loopback" },
		{ HTTPS "gateway: { address: \"10.0.0.1:8082\" }\n"
			"server: { trusted_proxies: [10.0.0.0/8] }\n",
		  "gateway.address: 10.0.0.1:8082 is not loopback" },
		{ HTTPS
		  "gateway: { address: \"0.0.0.0:8082\", tls: { certificate: /c, key: /k } }\n",
		  NULL },
		{ HTTPS "gateway: { address: \"127.0.0.1:8080\" }\n",
		  "the same as server.address" },
		{ HTTPS "gateway: { address: \"127.0.0.1:8081\" }\n", "the same as admin.address" },
		{ HTTPS "gateway: { tls: { key: /k } }\n", "gateway.tls.certificate: not set" },
		{ HTTPS "server: { tls: { certificate: /c } }\n", "server.tls.key: not set" },
		{ HTTPS "admin: { tls: { key: /k } }\n", "admin.tls.certificate: not set" },
		{ HTTPS "keys: { rotate_every: 29m }\n", "shorter than twice keys.jwks_max_age" },
		{ HTTPS "tokens: { access_ttl: 24h }\n", NULL },
		{ HTTPS "tokens: { max_ttl: 30m, access_ttl: 1801s }\n",
		  "tokens.access_ttl: longer" },
		{ HTTPS "tokens: { max_ttl: 30m, client_credentials_ttl: 1801s }\n",
		  "tokens.client_credentials_ttl: longer" },
		{ HTTPS "keys: { rotate_every: 2h }\n", NULL },
		{ HTTPS "keys: { rotate_every: 100m }\n",
		  "34 keys would be published at a time, and 32 is what the key plan can cover; "
		  "make it at most 1399m" },
		{ HTTPS "keys: { rotate_every: 100m }\ntokens: { max_ttl: 83940s }\n", NULL },
		{ HTTPS "keys: { rotate_every: 100m }\ntokens: { max_ttl: 83941s }\n",
		  "tokens.max_ttl: with" },
		{ HTTPS "tokens: { refresh_ttl: 91d }\n", "tokens.refresh_ttl: longer" },
		{ HTTPS "tokens: { alg: RS256 }\nkeys: { algs: [ES256] }\n",
		  "tokens.alg: RS256 is not among" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct place p;
		enum err e;

		place_up(&p, rows[i].yaml);
		must_load(&p);
		e = config_check_serve(p.config, &p.fault);
		ck_assert_msg(e == (rows[i].words ? ERR_SYNTAX : ERR_OK), "%s: %s", rows[i].yaml,
			      p.fault.text);
		if (rows[i].words)
			ck_assert_msg(strstr(p.fault.text, rows[i].words) != NULL, "%s: %s",
				      rows[i].yaml, p.fault.text);
		place_down(&p);
	}
}
END_TEST

/* Another good value for every option, so that each row's word on reload is tried. */
static const char *other_value(const char *name)
{
	static const struct {
		const char *name, *value;
	} rows[] = {
		{ "issuer", "https://other.example.com" },
		{ "server.address", "127.0.0.1:9" },
		{ "server.workers", "7" },
		{ "server.trusted_proxies", "192.0.2.1" },
		{ "admin.address", "off" },
		{ "admin.socket", "off" },
		{ "gateway.address", "127.0.0.1:9" },
		{ "gateway.socket", "/run/gateway.sock" },
		{ "gateway.identity", "on" },
		{ "tokens.alg", "RS256" },
		{ "tokens.default_audience", "https://api.example.com" },
		{ "keys.algs", "RS256" },
		{ "keys.master_key_file", "/k" },
		{ "keys.probe", "off" },
		{ "keys.consumers", "gateway=10.0.0.7" },
		{ "keys.max_rate", "7" },
		{ "passwords.min_length", "12" },
		{ "log.level", "debug" },
		{ "log.format", "logfmt" },
		{ "log.access", "off" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].value;
	}
	if (strstr(name, ".tls.") || strcmp(name, "storage.url") == 0)
		return NULL; /* TLS has a test of its own; a storage has one value */
	return strcmp(name, "audit.keep") == 0 ? "2d" : "1m";
}

START_TEST(reload_takes_over_what_its_row_says_and_nothing_else)
{
	struct option_view view;
	struct place now, next;
	char set[128];

	for (size_t i = 0; i < config_option_count(); i++) {
		config_option(i, &view);
		if (!other_value(view.name))
			continue;
		place_up(&now, HTTPS);
		place_up(&next, HTTPS);
		next.source.data_dir = now.dir;
		must_load(&now);
		must_load(&next);
		ck_assert_int_eq(config_check_reload(now.config, next.config, &next.fault), ERR_OK);
		snprintf(set, sizeof(set), "%s=%s", view.name, other_value(view.name));
		with_set(&next, set);
		must_load(&next);
		ck_assert_msg(config_check_reload(now.config, next.config, &next.fault) ==
				      (view.reload ? ERR_OK : ERR_SYNTAX),
			      "%s: %s", view.name, next.fault.text);
		if (!view.reload)
			ck_assert_ptr_nonnull(strstr(next.fault.text, view.name));
		place_down(&now);
		place_down(&next);
	}
}
END_TEST

START_TEST(reload_replaces_certificates_but_does_not_switch_tls)
{
	struct place plain, one, two;

	place_up(&plain, HTTPS);
	place_up(&one, HTTPS "server: { tls: { certificate: /c1, key: /k1 } }\n");
	place_up(&two, HTTPS "server: { tls: { certificate: /c2, key: /k2 } }\n");
	one.source.file = one.path;
	two.source.file = two.path;
	one.source.data_dir = two.source.data_dir = plain.dir;
	must_load(&plain);
	must_load(&one);
	must_load(&two);
	ck_assert_int_eq(config_check_reload(one.config, two.config, &one.fault), ERR_OK);
	ck_assert_int_eq(config_check_reload(plain.config, one.config, &one.fault), ERR_SYNTAX);
	ck_assert_ptr_nonnull(strstr(one.fault.text, "server.tls"));
	ck_assert_int_eq(config_check_reload(one.config, plain.config, &one.fault), ERR_SYNTAX);
	place_down(&plain);
	place_down(&one);
	place_down(&two);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_a_file_may_not_say_is_refused_with_the_reason,
		a_consumer_is_a_name_and_an_exact_network_or_certificate,
		a_bad_variable_or_flag_is_named,
		a_bad_value_cannot_write_to_the_terminal,
		a_file_that_is_too_large_is_refused,
		serve_refuses_what_is_unsafe,
		reload_takes_over_what_its_row_says_and_nothing_else,
		reload_replaces_certificates_but_does_not_switch_tls,
	};

	return suite_run("config refusals", tests, COUNT(tests));
}
