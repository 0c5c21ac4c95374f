/* The fetch child against web servers that behave and web servers that do not: one answer each, in
 * bounded time, and no way from a bad one into anything but "no answer". */
#include "server/serve/fetch.h"

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/helpers/fetch_fixture.h"
#include "tests/helpers/web_stub.h"
#include "tests/unit/suite.h"

#define OK(expression) ck_assert_int_eq((expression), ERR_OK)

enum { WAIT_MS = 60000, PATIENT_MS = 8000, SHORT_MS = 300 };

#define SET "{\"keys\":[]}"
#define HEAD(status) "HTTP/1.1 " status "\r\nConnection: close\r\n"
#define GOOD HEAD("200 OK") "Content-Type: application/json\r\n\r\n" SET

/* One whole fetch; caller frees. */
static struct fetch *fetch_with(const char *ca, const char *url, uint32_t timeout_ms,
				uint32_t max_bytes, struct fetch_answer *ret_answer)
{
	const struct fetch_request r = { str_z(url), timeout_ms, max_bytes };
	struct fetch *f;
	pid_t pid;
	int fd = fetch_fork(ca, &pid);

	OK(fetch_start(fd, &r, &f));
	OK(fetch_wait(f, WAIT_MS, ret_answer));
	ck_assert_int_eq(fetch_ended(pid), 0);
	return f;
}

static const char *url_of(int port, const char *path)
{
	static char url[256];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", port, path);
	return url;
}

static bool contains(struct str text, const char *part)
{
	return memmem(text.p, text.n, part, strlen(part)) != NULL;
}

static void must_equal(struct str text, const char *want)
{
	ck_assert_msg(str_equal_z(text, want), "\"%.*s\", not \"%s\"", STR_ARG(text), want);
}

/* ---- what comes back ---- */

static const struct behaviour {
	const char *what, *text;
	enum web_end end;
	enum fetch_outcome outcome;
	int status;
	const char *body, *why;
} behaviours[] = {
	{ "a set", GOOD, WEB_CLOSE, FETCH_ANSWERED, 200, SET, "" },
	{ "an error page", HEAD("500 Oh") "\r\noh no", WEB_CLOSE, FETCH_ANSWERED, 500, "oh no",
	  "" },
	{ "a redirect", HEAD("302 Found") "Location: http://127.0.0.1:1/\r\n\r\n", WEB_CLOSE,
	  FETCH_ANSWERED, 302, "", "" },
	{ "no answer at all", "", WEB_HANG, FETCH_NO_ANSWER, 0, "", "timed out" },
	{ "half an answer", HEAD("200 OK") "Content-Length: 99\r\n\r\n{", WEB_HANG, FETCH_NO_ANSWER,
	  0, "", "timed out" },
	{ "an answer cut short", HEAD("200 OK") "Content-Length: 99\r\n\r\n{", WEB_CLOSE,
	  FETCH_NO_ANSWER, 0, "", "98 bytes" },
	{ "a body without end", HEAD("200 OK") "\r\n", WEB_ENDLESS, FETCH_TOO_LARGE, 0, "", "" },
	{ "a head without end", HEAD("200 OK") "X: ", WEB_ENDLESS, FETCH_NO_ANSWER, 0, "", "" },
	{ "no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", WEB_CLOSE, FETCH_NO_ANSWER, 0, "", "HTTP/0.9" },
	{ "an empty answer", "", WEB_CLOSE, FETCH_NO_ANSWER, 0, "", "mpty reply" },
	{ "early hints first", "HTTP/1.1 103 Early\r\nETag: \"e\"\r\n\r\n" GOOD, WEB_CLOSE,
	  FETCH_ANSWERED, 200, SET, "" },
};

static void check_behaviour(const struct behaviour *b)
{
	bool hangs = b->end == WEB_HANG;
	struct fetch_answer a;
	struct web_stub w;
	struct fetch *f;

	web_stub_start(&w, b->text, b->end);
	f = fetch_with(NULL, url_of(w.port, "/"), hangs ? SHORT_MS : PATIENT_MS, 1000, &a);
	ck_assert_msg(a.outcome == b->outcome && a.status == b->status, "%s: %d, %d: %.*s", b->what,
		      a.outcome, a.status, STR_ARG(a.parts[FETCH_WHY]));
	must_equal(a.parts[FETCH_BODY], b->body);
	ck_assert_msg(contains(a.parts[FETCH_WHY], b->why), "%s: %.*s", b->what,
		      STR_ARG(a.parts[FETCH_WHY]));
	ck_assert_uint_eq(a.parts[FETCH_ETAG].n, 0);
	ck_assert_int_eq(atomic_load(&w.script->requests), 1);
	fetch_free(f);
	web_stub_stop(&w);
}

START_TEST(every_behaviour_of_a_server_is_one_answer)
{
	for (size_t i = 0; i < COUNT(behaviours); i++)
		check_behaviour(&behaviours[i]);
}
END_TEST

START_TEST(the_fields_that_matter_come_along)
{
	struct fetch_answer a;
	struct web_stub w;
	struct fetch *f;

	web_stub_start(&w,
		       HEAD("200 OK") "content-type: application/jwk-set+json\r\n"
				      "Cache-Control: public\r\nCache-Control: max-age=900\r\n"
				      "Age: 12\r\nETag: \"abc\"\r\n"
				      "Set-Cookie: route=secret; Path=/\r\n\r\n" SET,
		       WEB_CLOSE);
	f = fetch_with(NULL, url_of(w.port, "/a/.well-known/jwks.json"), PATIENT_MS, 1000, &a);
	must_equal(a.parts[FETCH_CONTENT_TYPE], "application/jwk-set+json");
	must_equal(a.parts[FETCH_CACHE_CONTROL], "public, max-age=900");
	must_equal(a.parts[FETCH_AGE], "12");
	must_equal(a.parts[FETCH_ETAG], "\"abc\"");
	must_equal(a.parts[FETCH_SET_COOKIE], "route");
	ck_assert(strncmp(w.script->last, "GET /a/.well-known/jwks.json HTTP/1.1\r\n", 39) == 0);
	fetch_free(f);
	web_stub_stop(&w);
}
END_TEST

START_TEST(a_body_of_just_the_limit_is_taken_and_one_more_byte_is_not)
{
	struct fetch_answer a;
	struct web_stub w;

	web_stub_start(&w, GOOD, WEB_CLOSE);
	fetch_free(fetch_with(NULL, url_of(w.port, "/"), PATIENT_MS, sizeof(SET) - 1, &a));
	ck_assert_int_eq(a.outcome, FETCH_ANSWERED);
	fetch_free(fetch_with(NULL, url_of(w.port, "/"), PATIENT_MS, sizeof(SET) - 2, &a));
	ck_assert_int_eq(a.outcome, FETCH_TOO_LARGE);
	web_stub_stop(&w);
}
END_TEST

START_TEST(the_largest_answer_fits_a_frame)
{
	static char text[WEB_TEXT_MAX];
	struct fetch_answer a;
	struct web_stub w;
	struct fetch *f;
	int n = snprintf(text, sizeof(text), HEAD("200 OK") "\r\n");

	memset(text + n, 'x', sizeof(text) - 1 - (size_t)n);
	web_stub_start(&w, text, WEB_CLOSE);
	f = fetch_with(NULL, url_of(w.port, "/"), PATIENT_MS, FETCH_BODY_MAX, &a);
	ck_assert_int_eq(a.outcome, FETCH_ANSWERED);
	ck_assert_uint_eq(a.parts[FETCH_BODY].n, sizeof(text) - 1 - (size_t)n);
	fetch_free(f);
	web_stub_stop(&w);
}
END_TEST

/* ---- where it goes ---- */

static void must_not_go(const char *url)
{
	struct fetch_answer a;

	fetch_free(fetch_with(NULL, url, PATIENT_MS, 1000, &a));
	ck_assert_int_eq(a.outcome, FETCH_NO_ANSWER);
}

START_TEST(plain_http_goes_to_loopback_addresses_only)
{
	struct fetch_answer a;
	struct web_stub w;
	char url[64];

	web_stub_start(&w, GOOD, WEB_CLOSE);
	must_not_go("http://192.0.2.1/"); /* addresses of nobody: RFC 5737, 3849 */
	must_not_go("http://[2001:db8::1]/");
	/* the kernel would take this to our own server; it is no loopback address all the same */
	snprintf(url, sizeof(url), "http://0.0.0.0:%d/", w.port);
	must_not_go(url);
	ck_assert_int_eq(atomic_load(&w.script->requests), 0);
	snprintf(url, sizeof(url), "http://localhost:%d/", w.port);
	fetch_free(fetch_with(NULL, url, PATIENT_MS, 1000, &a));
	ck_assert_int_eq(a.outcome, FETCH_ANSWERED);
	web_stub_stop(&w);
}
END_TEST

START_TEST(a_closed_port_is_no_answer)
{
	struct fetch_answer a;
	struct fetch *f = fetch_with(NULL, url_of(web_closed_port(), "/"), PATIENT_MS, 1000, &a);

	ck_assert_int_eq(a.outcome, FETCH_NO_ANSWER);
	ck_assert(contains(a.parts[FETCH_WHY], "onnect"));
	fetch_free(f);
}
END_TEST

START_TEST(proxies_of_the_environment_are_not_used)
{
	static const char *const names[] = { "http_proxy", "HTTPS_PROXY", "ALL_PROXY" };
	char proxy[64];
	struct fetch_answer a;
	struct web_stub w;

	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", web_closed_port());
	for (size_t i = 0; i < COUNT(names); i++)
		ck_assert_int_eq(setenv(names[i], proxy, 1), 0);
	web_stub_start(&w, GOOD, WEB_CLOSE);
	fetch_free(fetch_with(NULL, url_of(w.port, "/"), PATIENT_MS, 1000, &a));
	ck_assert_int_eq(a.outcome, FETCH_ANSWERED);
	web_stub_stop(&w);
}
END_TEST

/* ---- TLS ---- */

struct tls_stub {
	char dir[32];
	char ca[64];
	FILE *process;
	int port;
};

/* openssl's own server, which sends the file that is asked for. */
static void tls_up(struct tls_stub *t)
{
	char command[1024], line[256];

	snprintf(t->dir, sizeof(t->dir), "/tmp/chy-fetch-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(t->dir));
	snprintf(t->ca, sizeof(t->ca), "%s/crt", t->dir);
	snprintf(command, sizeof(command),
		 "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
		 "-days 2 -subj /CN=t -addext subjectAltName=IP:127.0.0.1 -keyout key -out crt "
		 "2>/dev/null && printf 'HTTP/1.0 200 OK\\r\\n\\r\\n%s' >set && "
		 "exec openssl s_server -accept 127.0.0.1:0 -cert crt -key key -HTTP -naccept 2 "
		 "2>/dev/null",
		 t->dir, "{\"keys\":[]}");
	t->process = popen(command, "r");
	ck_assert_ptr_nonnull(t->process);
	t->port = 0;
	while (!t->port && fgets(line, sizeof(line), t->process))
		(void)sscanf(line, "ACCEPT 127.0.0.1:%d", &t->port);
	ck_assert_int_gt(t->port, 0);
}

static void tls_down(struct tls_stub *t)
{
	char command[64];

	pclose(t->process); /* after its second connection it has ended */
	snprintf(command, sizeof(command), "rm -r %s", t->dir);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(a_certificate_must_be_signed_by_one_we_trust)
{
	struct tls_stub t;
	struct fetch_answer a;
	struct fetch *f;
	char url[64];

	tls_up(&t);
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/set", t.port);
	f = fetch_with(NULL, url, PATIENT_MS, 1000, &a);
	ck_assert_int_eq(a.outcome, FETCH_NO_ANSWER);
	ck_assert_msg(contains(a.parts[FETCH_WHY], "certificate"), "%.*s",
		      STR_ARG(a.parts[FETCH_WHY]));
	fetch_free(f);
	f = fetch_with(t.ca, url, PATIENT_MS, 1000, &a);
	ck_assert_msg(a.outcome == FETCH_ANSWERED, "%.*s", STR_ARG(a.parts[FETCH_WHY]));
	must_equal(a.parts[FETCH_BODY], SET);
	fetch_free(f);
	tls_down(&t);
}
END_TEST

/* ---- the channel ---- */

START_TEST(what_no_child_takes_is_not_sent)
{
	static const struct fetch_request bad[] = {
		{ STR("file:///etc/passwd"), 1, 1 },
		{ STR("ftp://127.0.0.1/"), 1, 1 },
		{ STR("HTTP://127.0.0.1/"), 1, 1 },
		{ STR("https://a b/"), 1, 1 },
		{ STR("https://a/\n"), 1, 1 },
		{ STR(""), 1, 1 },
		{ STR("https://a/"), 0, 1 },
		{ STR("https://a/"), FETCH_TIMEOUT_MS_MAX + 1, 1 },
		{ STR("https://a/"), 1, 0 },
		{ STR("https://a/"), 1, FETCH_BODY_MAX + 1 },
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct fetch *f = NULL;
		int pair[2];

		OK(fetch_channel_pair(pair));
		ck_assert_int_eq(fetch_start(pair[0], &bad[i], &f), ERR_SYNTAX);
		close(pair[1]);
	}
}
END_TEST

START_TEST(a_child_ends_when_it_is_told_nonsense_or_nothing)
{
	static const char noise[] = "GET / HTTP/1.1\r\n\r\n";
	pid_t pid;
	int fd = fetch_fork(NULL, &pid);

	ck_assert_int_eq(send(fd, noise, sizeof(noise), 0), sizeof(noise));
	ck_assert_int_eq(fetch_ended(pid), 1);
	close(fd);
	close(fetch_fork(NULL, &pid));
	ck_assert_int_eq(fetch_ended(pid), 1);
}
END_TEST

START_TEST(a_child_that_dies_is_seen_and_one_that_works_is_not_waited_for)
{
	struct fetch_answer a;
	struct fetch_request r = { .timeout_ms = PATIENT_MS, .max_bytes = 1000 };
	struct web_stub w;
	struct fetch *f;
	pid_t pid;
	int fd;

	web_stub_start(&w, "", WEB_HANG);
	r.url = str_z(url_of(w.port, "/"));
	fd = fetch_fork(NULL, &pid);
	OK(fetch_start(fd, &r, &f));
	ck_assert_int_eq(fetch_fd(f), fd);
	ck_assert_int_eq(fetch_poll(f, &a), ERR_BUSY);
	ck_assert_int_eq(fetch_wait(f, 1, &a), ERR_TIMEOUT);
	kill(pid, SIGKILL);
	ck_assert_int_eq(fetch_wait(f, WAIT_MS, &a), ERR_UNAVAILABLE);
	fetch_ended(pid);
	fetch_free(f);
	web_stub_stop(&w);
}
END_TEST

START_TEST(an_answer_that_is_none_is_refused)
{
	const struct fetch_request r = { STR("https://a/"), 1, 1 };
	struct fetch_answer a;
	struct fetch *f;
	int pair[2];

	OK(fetch_channel_pair(pair));
	OK(fetch_start(pair[0], &r, &f));
	ck_assert_int_eq(send(pair[1], "200", 3, 0), 3);
	ck_assert_int_eq(fetch_poll(f, &a), ERR_SYNTAX);
	fetch_free(f);
	close(pair[1]);
}
END_TEST

START_TEST(the_kernel_ends_a_child_that_lives_too_long)
{
	unsigned left;

	signal(SIGALRM, SIG_IGN);
	ck_assert_int_eq(fetch_child_run(-1, NULL, NULL), 1);
	ck_assert_ptr_eq(signal(SIGALRM, SIG_DFL), SIG_DFL);
	left = alarm(0);
	ck_assert_uint_ge(left, 1);
	ck_assert_uint_le(left, FETCH_LIFE_S);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_behaviour_of_a_server_is_one_answer,
		the_fields_that_matter_come_along,
		a_body_of_just_the_limit_is_taken_and_one_more_byte_is_not,
		the_largest_answer_fits_a_frame,
		plain_http_goes_to_loopback_addresses_only,
		a_closed_port_is_no_answer,
		proxies_of_the_environment_are_not_used,
		a_certificate_must_be_signed_by_one_we_trust,
		what_no_child_takes_is_not_sent,
		a_child_ends_when_it_is_told_nonsense_or_nothing,
		a_child_that_dies_is_seen_and_one_that_works_is_not_waited_for,
		an_answer_that_is_none_is_refused,
		the_kernel_ends_a_child_that_lives_too_long,
	};

	return suite_run("fetch", tests, COUNT(tests));
}
