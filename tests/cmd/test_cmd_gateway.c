/* `chancery gateway-config` and `gateway-keys`: what is printed and refused, and what a folder of
 * keys goes through. What real gateways make of it is in tests/gateways/. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd_fixture.h"
#include "../helpers/web_stub.h"
#include "../unit/suite.h"

#define API "https://orders.example.com"
#define ISSUER "https://id.example.com"
#define EC(kid)                                                                                    \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"" kid "\","                                   \
	"\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","                                   \
	"\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}"
/* RFC 7517 A.1 */
#define RSA(kid)                                                                                   \
	"{\"kty\":\"RSA\",\"e\":\"AQAB\",\"kid\":\"" kid "\",\"n\":"                               \
	"\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tS"   \
	"oc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQ" \
	"R0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTW" \
	"hAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\"}"

/* ---- the office: a stub that says what the test wants ---- */

struct office {
	struct cmd_fixture f;
	struct web_stub web;
	char issuer[64];
	char out[96]; /* "<dir>/keys" */
};

static void publish(struct office *o, const char *keys)
{
	char text[4096], body[3072];
	int n = snprintf(body, sizeof(body), "{\"keys\":[%s]}", keys);

	snprintf(text, sizeof(text),
		 "HTTP/1.1 200 OK\r\nContent-Type: application/jwk-set+json\r\n"
		 "Cache-Control: public, max-age=137, stale-if-error=9\r\n"
		 "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
		 n, body);
	web_stub_say(&o->web, text, WEB_CLOSE);
}

static void open_office(struct office *o)
{
	memset(o, 0, sizeof(*o));
	cmd_fixture_up(&o->f);
	web_stub_start(&o->web, "", WEB_CLOSE);
	publish(o, EC("one") "," RSA("two"));
	snprintf(o->issuer, sizeof(o->issuer), "http://127.0.0.1:%d", o->web.port);
	snprintf(o->out, sizeof(o->out), "%s/keys", o->f.dir);
}

static void close_office(struct office *o)
{
	web_stub_stop(&o->web);
	cmd_fixture_down(&o->f);
}

static int keep(struct office *o, const char *command)
{
	return RUN(&o->f, "gateway-keys", "--issuer", o->issuer, "--out", o->out, "--once",
		   command ? "--exec" : NULL, command);
}

static const char *kept(struct office *o, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "keys/%s", name);
	return path_in(&o->f, path);
}

static bool is_there(struct office *o, const char *name)
{
	return access(kept(o, name), F_OK) == 0;
}

/* How often the command was run: a byte each. */
static off_t runs(struct office *o)
{
	struct stat st;

	return stat(path_in(&o->f, "runs"), &st) ? 0 : st.st_size;
}

static const char *counting(struct office *o)
{
	static char command[256];

	snprintf(command, sizeof(command), "printf x >>'%s'", path_in(&o->f, "runs"));
	return command;
}

/* ---- gateway-config ---- */

struct print {
	const char *kind, *module;
	const char *const words[4]; /* all of them are printed */
};

static const struct print prints[] = {
	{ "nginx", NULL, { "auth_request ", "server 127.0.0.1:8082;", "127.0.0.1:3000" } },
	{ "apache",
	  NULL,
	  { "Require oauth2_claim aud:" API "\n", "=137&", "unset X_User_Id early" } },
	{ "apache", "oauth2", { "OAuth2TokenVerify jwks_uri http" } },
	{ "caddy", NULL, { "forward_auth http://127.0.0.1:8082", "request_header -X_User_Id" } },
	{ "envoy", NULL, { "audiences: [\"" API "\"]", "seconds: 137 }" } },
	{ "traefik", NULL, { "forwardAuth:", "\"X_User-Id\": \"\"" } },
	{ "kong", NULL, { "resty.http", "audience=https%3A%2F%2Forders.example.com" } },
	{ "istio", NULL, { "jwksUri: ", "137s" } },
};

START_TEST(every_kind_prints_a_whole_configuration)
{
	struct office o;

	open_office(&o);
	for (size_t i = 0; i < COUNT(prints); i++) {
		const struct print *p = &prints[i];

		RUN(&o.f, "gateway-config", p->kind, "--issuer", o.issuer, "--audience", API,
		    "--gateway", "127.0.0.1:8082", p->module ? "--module" : NULL, p->module);
		ck_assert_msg(o.f.status == 0, "%s: %s", p->kind, o.f.err);
		ck_assert_msg(!strstr(o.f.out, "{{") && !strstr(o.f.out, "}}"), "%s", o.f.out);
		ck_assert_ptr_nonnull(strstr(o.f.out, "X-Identity"));
		for (size_t k = 0; k < COUNT(p->words) && p->words[k]; k++)
			ck_assert_msg(strstr(o.f.out, p->words[k]) != NULL, "%s: %s\n%s", p->kind,
				      p->words[k], o.f.out);
	}
	close_office(&o);
}
END_TEST

START_TEST(mod_auth_openidc_takes_https_and_keeps_for_300_seconds)
{
	struct office o;

	open_office(&o);
	RUN(&o.f, "gateway-config", "apache", "--module", "openidc", "--issuer", o.issuer,
	    "--audience", API);
	must_refuse(&o.f, CMD_REFUSED, "https");
	ck_assert_int_eq(RUN(&o.f, "gateway-config", "apache", "--module", "openidc", "--issuer",
			     ISSUER, "--audience", API, "--max-age", "1m", "--ca", "/etc/ca.pem"),
			 0);
	ck_assert_ptr_nonnull(strstr(o.f.out, "OIDCJWKSRefreshInterval 300\n"));
	ck_assert_ptr_nonnull(strstr(o.f.out, "OIDCCABundlePath /etc/ca.pem\n"));
	ck_assert_ptr_nonnull(strstr(o.f.err, "300 s"));
	close_office(&o);
}
END_TEST

START_TEST(haproxy_gets_a_line_for_each_key)
{
	struct office o;
	char line[256];

	open_office(&o);
	ck_assert_msg(keep(&o, NULL) == 0, "%s", o.f.err);
	ck_assert_int_eq(RUN(&o.f, "gateway-config", "haproxy", "--issuer", o.issuer, "--audience",
			     API, "--keys", o.out),
			 0);
	snprintf(line, sizeof(line),
		 "-- one } { var(txn.alg) -m str ES256 } { http_auth_bearer,"
		 "jwt_verify(\"ES256\",\"%s/one.pem\")",
		 o.out);
	ck_assert_msg(strstr(o.f.out, line) != NULL, "%s", o.f.out);
	ck_assert_ptr_nonnull(strstr(o.f.out, "-- two } { var(txn.alg) -m str RS256 }"));
	ck_assert_ptr_nonnull(strstr(o.f.out, "$.aud[15]"));
	ck_assert_ptr_null(strstr(o.f.out, "$.aud[16]"));
	ck_assert_ptr_nonnull(strstr(o.f.out, "$.roles[31]"));
	close_office(&o);
}
END_TEST

START_TEST(what_is_not_said_comes_from_the_configuration)
{
	struct cmd_fixture f;

	cmd_fixture_up(&f);
	f.environ[0] = "CHANCERY_ISSUER=" ISSUER;
	f.environ[1] = "CHANCERY_KEYS_JWKS_MAX_AGE=7m";
	RUN_HERE(&f, "gateway-config", "envoy", "--audience", API);
	ck_assert_msg(f.status == 0, "%s", f.err);
	ck_assert_ptr_nonnull(strstr(f.out, "issuer: \"" ISSUER "\""));
	ck_assert_ptr_nonnull(strstr(f.out, "seconds: 420 }"));
	RUN_HERE(&f, "gateway-config", "nginx", "--audience", API);
	must_refuse(&f, CMD_REFUSED, "gateway.address");
	f.environ[2] = "CHANCERY_GATEWAY_ADDRESS=127.0.0.1:8089";
	RUN_HERE(&f, "gateway-config", "nginx", "--audience", API);
	ck_assert_msg(f.status == 0, "%s", f.err);
	ck_assert_ptr_nonnull(strstr(f.out, "server 127.0.0.1:8089;"));
	cmd_fixture_down(&f);
}
END_TEST

/* ---- refusals ---- */

struct wrong {
	const char *kind, *option, *value, *words;
};

static const struct wrong wrongs[] = {
	{ "squid", NULL, NULL, "no such gateway" },
	{ "nginx", "--module", "oauth2", "no module" },
	{ "apache", "--module", "jwt", "no module" },
	{ "nginx", NULL, NULL, "--gateway" },
	{ "haproxy", NULL, NULL, "--keys" },
	{ "haproxy", "--keys", "/nonexistent", "no such folder" },
	{ "haproxy", "--keys", "/proc/self/fdinfo", "no key is there" },
	{ "nginx", "--gateway", "127.0.0.1", "HOST:PORT" },
	{ "nginx", "--gateway", "https://a/b:1", "HOST:PORT" },
	{ "envoy", "--upstream", "host", "HOST:PORT" },
	{ "envoy", "--upstream", ":80", "HOST:PORT" },
	{ "envoy", "--upstream", "[]:80", "HOST:PORT" },
	{ "envoy", "--upstream", "host:0", "HOST:PORT" },
	{ "envoy", "--upstream", "host:65536", "HOST:PORT" },
	{ "envoy", "--upstream", "::1:80", "HOST:PORT" },
	{ "envoy", "--upstream", "a b:80", "HOST:PORT" },
	{ "envoy", "--upstream", "a\n:80", "HOST:PORT" },
	{ "envoy", "--upstream", "a;b:80", "HOST:PORT" },
	{ "envoy", "--upstream", "$a:80", "HOST:PORT" },
	{ "envoy", "--listen", "\"a\":80", "HOST:PORT" },
	{ "envoy", "--listen", "a:80;", "HOST:PORT" },
	{ "envoy", "--max-age", "soon", "duration" },
	{ "envoy", "--max-age", "0s", "duration" },
	{ "envoy", "--ca", "/a b", "space" },
	{ "envoy", "--ca", "/a'b", "'''" },
	{ "envoy", "--ca", "", "empty" },
	{ "envoy", "--issuer", "id.example.com", "--issuer is there twice" },
};

START_TEST(wrong_questions_are_refused)
{
	struct cmd_fixture f;

	cmd_fixture_up(&f);
	for (size_t i = 0; i < COUNT(wrongs); i++) {
		RUN(&f, "gateway-config", wrongs[i].kind, "--issuer", ISSUER, "--audience", API,
		    strcmp(wrongs[i].kind, "envoy") == 0 &&
				    strcmp(wrongs[i].option, "--max-age") != 0
			    ? "--max-age=1m"
			    : "--yes",
		    wrongs[i].option, wrongs[i].value);
		must_refuse(&f, CMD_REFUSED, wrongs[i].words);
	}
	RUN(&f, "gateway-config", "envoy", "--issuer", ISSUER, "--max-age", "1m");
	must_refuse(&f, CMD_REFUSED, "--audience");
	RUN(&f, "gateway-config", "envoy", "--issuer", "id.example.com", "--audience", API);
	must_refuse(&f, CMD_REFUSED, "must be an http or https URL");
	RUN(&f, "gateway-config", "envoy", "--data=/nonexistent", "--audience", API);
	must_refuse(&f, CMD_REFUSED, "issuer");
	cmd_fixture_down(&f);
}
END_TEST

/* Each of these ends a word, a text or a statement for one of the gateways, or begins a variable.
 */
START_TEST(what_could_mean_something_is_refused)
{
	static const char *const bad[] = { "\"", "'",  "$", "\n", "\r", " ", ";", "{", "}",
					   "`",	 "\\", "%", "<",  ">",	"|", "&", "?", "*",
					   "!",	 "(",  ")", "[",  "]",	"^", "#", "\t" };
	struct cmd_fixture f;

	cmd_fixture_up(&f);
	for (size_t i = 0; i < COUNT(bad); i++) {
		char audience[64], issuer[64];

		snprintf(audience, sizeof(audience), "urn:a%sb", bad[i]);
		RUN(&f, "gateway-config", "envoy", "--issuer", ISSUER, "--max-age", "1m",
		    "--audience", audience);
		must_refuse(&f, CMD_REFUSED, "--audience");
		snprintf(issuer, sizeof(issuer), "https://a%sb.example.com", bad[i]);
		RUN(&f, "gateway-config", "envoy", "--issuer", issuer, "--max-age", "1m",
		    "--audience", API);
		must_refuse(&f, CMD_REFUSED, "issuer");
	}
	cmd_fixture_down(&f);
}
END_TEST

/* ---- gateway-keys ---- */

START_TEST(the_folder_follows_the_set)
{
	struct office o;

	open_office(&o);
	ck_assert_msg(keep(&o, counting(&o)) == 0, "%s", o.f.err);
	ck_assert(is_there(&o, "one.pem") && is_there(&o, "two.pem"));
	ck_assert_int_eq(runs(&o), 1);
	ck_assert_int_eq(keep(&o, counting(&o)), 0);
	ck_assert_int_eq(runs(&o), 1); /* nothing changed */
	publish(&o, RSA("two") "," EC("three"));
	ck_assert_int_eq(keep(&o, counting(&o)), 0);
	ck_assert(!is_there(&o, "one.pem") && is_there(&o, "two.pem") && is_there(&o, "three.pem"));
	ck_assert_int_eq(runs(&o), 2);
	/* another key under a known id */
	publish(&o, RSA("two") "," RSA("three"));
	ck_assert_int_eq(keep(&o, counting(&o)), 0);
	ck_assert_int_eq(runs(&o), 3);
	ck_assert(!is_there(&o, ".unfinished") && !is_there(&o, ".changed"));
	close_office(&o);
}
END_TEST

START_TEST(an_issuer_that_is_away_or_empty_changes_nothing)
{
	static const char *const answers[] = {
		"",
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nkeys",
	};
	struct office o;

	open_office(&o);
	ck_assert_int_eq(keep(&o, counting(&o)), 0);
	for (size_t i = 0; i < COUNT(answers); i++) {
		web_stub_say(&o.web, answers[i], WEB_CLOSE);
		ck_assert_int_eq(keep(&o, counting(&o)), CMD_UNREACHABLE);
		ck_assert(is_there(&o, "one.pem") && is_there(&o, "two.pem"));
	}
	ck_assert_int_eq(runs(&o), 1);
	close_office(&o);
}
END_TEST

START_TEST(a_command_that_fails_is_run_again)
{
	struct office o;

	open_office(&o);
	ck_assert_int_eq(keep(&o, "exit 3"), CMD_REFUSED);
	ck_assert_ptr_nonnull(strstr(o.f.err, "status 3"));
	ck_assert(is_there(&o, ".changed"));
	ck_assert_int_eq(keep(&o, counting(&o)), 0);
	ck_assert_int_eq(runs(&o), 1);
	ck_assert(!is_there(&o, ".changed"));
	close_office(&o);
}
END_TEST

START_TEST(files_of_others_are_left_alone)
{
	struct office o;

	open_office(&o);
	ck_assert_int_eq(mkdir(o.out, 0755), 0);
	make_file(kept(&o, "mine.pem"), "a certificate", 0600);
	ck_assert_msg(keep(&o, NULL) == 0, "%s", o.f.err);
	ck_assert(is_there(&o, "mine.pem"));
	publish(&o, EC("mine"));
	ck_assert_int_eq(keep(&o, NULL), CMD_REFUSED);
	ck_assert_ptr_nonnull(strstr(o.f.err, "mine.pem"));
	RUN(&o.f, "gateway-config", "haproxy", "--issuer", o.issuer, "--audience", API, "--keys",
	    o.out);
	must_refuse(&o.f, CMD_REFUSED, "mine.pem");
	close_office(&o);
}
END_TEST

START_TEST(no_key_id_leaves_the_folder)
{
	struct office o;

	open_office(&o);
	publish(&o, EC("../../up") "," RSA(".hidden"));
	ck_assert_msg(keep(&o, NULL) == 0, "%s", o.f.err);
	ck_assert(is_there(&o, "%2E.%2F..%2Fup.pem") && is_there(&o, "%2Ehidden.pem"));
	ck_assert_int_eq(RUN(&o.f, "gateway-config", "haproxy", "--issuer", o.issuer, "--audience",
			     API, "--keys", o.out),
			 0);
	publish(&o, EC("a b") "," RSA("it's"));
	ck_assert_int_eq(keep(&o, NULL), 0);
	RUN(&o.f, "gateway-config", "haproxy", "--issuer", o.issuer, "--audience", API, "--keys",
	    o.out);
	must_refuse(&o.f, CMD_REFUSED, "the id of a key");
	close_office(&o);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_kind_prints_a_whole_configuration,
		mod_auth_openidc_takes_https_and_keeps_for_300_seconds,
		haproxy_gets_a_line_for_each_key,
		what_is_not_said_comes_from_the_configuration,
		wrong_questions_are_refused,
		what_could_mean_something_is_refused,
		the_folder_follows_the_set,
		an_issuer_that_is_away_or_empty_changes_nothing,
		a_command_that_fails_is_run_again,
		files_of_others_are_left_alone,
		no_key_id_leaves_the_folder,
	};

	return suite_run("cmd gateway", tests, COUNT(tests));
}
