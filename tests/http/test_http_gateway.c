/* A gateway's requests: any method, bodies that nobody reads, long targets, forwarded headers that
 * prove nothing. What is refused about framing elsewhere is refused here, too. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "http_fixture.h"
#include "../unit/suite.h"

#define HOST "Host: x\r\n"

static struct house h;

static void up(void)
{
	house_up(&h, &(struct house_options){ .gateway = true, .trusted_proxies = "127.0.0.1" });
}

static void down(void)
{
	house_down(&h);
}

/* `n` bytes 'a' between two texts; the caller frees. */
static char *filled(const char *before, size_t n, const char *after)
{
	const size_t head = strlen(before), tail = strlen(after);
	char *text = malloc(head + n + tail + 1);

	ck_assert_ptr_nonnull(text);
	memcpy(text, before, head);
	memset(text + head, 'a', n);
	memcpy(text + head + n, after, tail + 1);
	return text;
}

START_TEST(every_method_is_taken_and_its_body_thrown_away)
{
	static const struct {
		const char *method, *name;
	} rows[] = {
		{ "GET", "GET" },	{ "POST", "POST" },	  { "PUT", "other" },
		{ "DELETE", "DELETE" }, { "OPTIONS", "OPTIONS" }, { "PATCH", "PATCH" },
		{ "TRACE", "other" },	{ "PROPFIND", "other" },  { "get", "other" },
	};
	int fd = client_connect(&h);

	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[256];
		const char *answer;

		snprintf(text, sizeof(text),
			 "%s /any/x HTTP/1.1\r\n" HOST "Content-Length: 41\r\n\r\n"
			 "GET /any/smuggled HTTP/1.1\r\nHost: x\r\n\r\n\r\n",
			 rows[i].method);
		client_send(fd, text);
		answer = client_response(fd);
		ck_assert_msg(status_of(answer) == 200, "%s: %s", rows[i].method, answer);
		snprintf(text, sizeof(text), "\r\n\r\n%s 0 127.0.0.1", rows[i].name);
		ck_assert_msg(strstr(answer, text), "%s: %s", rows[i].method, answer);
	}
	close(fd);
}
END_TEST

START_TEST(head_has_the_headers_and_no_body)
{
	const char *text = client_ask(&h,
				      "HEAD /any/x HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");

	ck_assert_int_eq(status_of(text), 200);
	ck_assert_ptr_nonnull(strstr(text, "X-Nothing:"));
	ck_assert_str_eq(strstr(text, "\r\n\r\n"), "\r\n\r\n");
}
END_TEST

START_TEST(an_empty_header_is_a_name_without_a_value)
{
	const char *text = client_ask(&h,
				      "GET /any/x HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	const char *value = strstr(text, "\r\nX-Nothing:");

	ck_assert_msg(value, "%s", text);
	value += strlen("\r\nX-Nothing:");
	ck_assert_msg(value[strspn(value, " ")] == '\r', "%s", text);
}
END_TEST

static const struct {
	const char *head;
	size_t n;
	const char *tail;
	int status;
} bodies[] = {
	{ "POST /any/x HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 1048576\r\n\r\n",
	  1048576, "", 200 },
	{ "POST /any/x HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n", 1048577, "", 413 },
	{ "POST /any/x HTTP/1.1\r\n" HOST "Content-Length: 999999999999999999\r\n\r\n", 1, "",
	  413 },
	{ "POST /any/x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n400\r\n", 1024,
	  "\r\n0\r\n\r\nGET /any/x HTTP/1.1\r\n" HOST "\r\n", 200 },
	{ "POST /any/x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n100001\r\n", 0x100001,
	  "\r\n0\r\n\r\n", 413 },
	{ "POST /any/x HTTP/1.1\r\n" HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
	  4, "\r\n0\r\n\r\n", 400 },
	{ "POST /any/x HTTP/1.1\r\n" HOST "Content-Length: 4\r\nContent-Length: 4\r\n\r\n", 4, "",
	  400 },
	{ "GET /any/x HTTP/1.1\r\n" HOST
	  "Authorization: Bearer a\r\nAuthorization: Bearer a\r\n\r\n",
	  0, "", 400 },
	{ "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0, "", 400 },
	{ "CONNECT x:443 HTTP/1.1\r\n" HOST "\r\n", 0, "", 400 },
	{ "POST /plain HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 4\r\n\r\n", 4, "",
	  404 },
};

START_TEST(bodies_are_bounded_and_framing_is_as_strict_as_elsewhere)
{
	char *request = filled(bodies[_i].head, bodies[_i].n, bodies[_i].tail);
	const char *text = client_ask(&h, request);

	ck_assert_msg(status_of(text) == bodies[_i].status, "%s: %s", bodies[_i].head, text);
	ck_assert_msg(responses_in(text) == 1, "%s: %s", bodies[_i].head, text);
	free(request);
}
END_TEST

START_TEST(a_target_may_hold_a_clients_target)
{
	static const struct {
		size_t n;
		int status;
	} rows[] = { { HTTP_TARGET_GATEWAY_MAX - 5, 200 }, { HTTP_TARGET_GATEWAY_MAX - 4, 414 } };

	for (size_t i = 0; i < COUNT(rows); i++) {
		char *request = filled("GET /any/", rows[i].n,
				       " HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
		const char *text = client_ask(&h, request);

		ck_assert_msg(status_of(text) == rows[i].status, "%zu: %.80s", rows[i].n, text);
		free(request);
	}
}
END_TEST

/* 127.0.0.1 is a trusted proxy, and a gateway may pass on what its client sent. */
START_TEST(forwarded_headers_do_not_tell_the_address)
{
	const char *text = client_ask(&h, "GET /any/x HTTP/1.1\r\n" HOST
					  "X-Forwarded-For: 192.0.2.7\r\n"
					  "Forwarded: for=192.0.2.7\r\nConnection: close\r\n\r\n");

	ck_assert_ptr_nonnull(strstr(text, "GET 0 127.0.0.1"));
	ck_assert_ptr_null(strstr(house_log(&h), "192.0.2.7"));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("gateway requests");

	tcase_add_checked_fixture(t, up, down);
	tcase_add_test(t, every_method_is_taken_and_its_body_thrown_away);
	tcase_add_test(t, head_has_the_headers_and_no_body);
	tcase_add_test(t, an_empty_header_is_a_name_without_a_value);
	tcase_add_loop_test(t, bodies_are_bounded_and_framing_is_as_strict_as_elsewhere, 0,
			    COUNT(bodies));
	tcase_add_test(t, a_target_may_hold_a_clients_target);
	tcase_add_test(t, forwarded_headers_do_not_tell_the_address);
	return suite_run_case("gateway requests", t);
}
