/* How long things may take and who lets go when: parked requests, clients that leave, deadlines,
 * full houses. Run under ASan and TSan: the interesting failures are not wrong answers. */
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_fixture.h"
#include "../unit/suite.h"

#define HOST "Host: x\r\n"
#define FORM_TYPE "Content-Type: application/x-www-form-urlencoded\r\n"

static const struct house_options plain;

/* ---- parked ---- */

START_TEST(a_parked_request_is_answered_when_its_lane_is_done)
{
	struct house h;
	int fd, other;

	house_up(&h, &plain);
	fd = client_connect(&h);
	client_send(fd, "GET /park HTTP/1.1\r\n" HOST "Authorization: Basic YQ==\r\n\r\n");
	wait_until(&parked_now, 1);
	/* the worker goes on meanwhile */
	other = client_connect(&h);
	client_send(other, "GET /plain HTTP/1.1\r\n" HOST "\r\n");
	ck_assert_int_eq(status_of(client_response(other)), 200);
	atomic_store(&gate_open, true);
	ck_assert_ptr_nonnull(strstr(client_response(fd), "waited"));
	/* and the connection is still good */
	client_send(fd, "GET /park-twice HTTP/1.1\r\n" HOST "\r\n");
	ck_assert_ptr_nonnull(strstr(client_response(fd), "waited"));
	close(fd);
	close(other);
	house_down(&h);
}
END_TEST

START_TEST(a_request_sent_behind_a_parked_one_waits_its_turn)
{
	struct house h;
	int fd;

	house_up(&h, &plain);
	fd = client_connect(&h);
	client_send(fd, "GET /park HTTP/1.1\r\n" HOST "\r\nGET /plain HTTP/1.1\r\n" HOST "\r\n");
	wait_until(&parked_now, 1);
	client_send(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n");
	atomic_store(&gate_open, true);
	ck_assert_ptr_nonnull(strstr(client_response(fd), "waited"));
	ck_assert_ptr_nonnull(strstr(client_response(fd), "hello"));
	ck_assert_ptr_nonnull(strstr(client_response(fd), "waited"));
	close(fd);
	house_down(&h);
}
END_TEST

/* Reset, not closed: the kernel forgets the connection while the request is parked. */
static void leave_rudely(int fd)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(fd);
}

START_TEST(a_client_may_leave_while_its_request_is_parked)
{
	struct house h;
	int fd[4];

	house_up(&h, &plain);
	for (int i = 0; i < 4; i++) {
		fd[i] = client_connect(&h);
		client_send(fd[i], "GET /park-twice HTTP/1.1\r\n" HOST
				   "Authorization: Basic YQ==\r\n\r\n");
	}
	wait_until(&parked_now, 4);
	leave_rudely(fd[0]);
	leave_rudely(fd[1]);
	close(fd[2]);
	sleep_ms(20);
	atomic_store(&gate_open, true);
	ck_assert_ptr_nonnull(strstr(client_response(fd[3]), "waited"));
	close(fd[3]);
	house_down(&h);
}
END_TEST

START_TEST(a_client_may_leave_anywhere)
{
	static const char *const pieces[] = {
		"",
		"GET",
		"GET /plain HTTP/1.1\r\n",
		"GET /plain HTTP/1.1\r\nHost: x\r\nX",
		"POST /form HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n",
		"POST /form HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc",
		"POST /form HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
		"GET /big HTTP/1.1\r\n" HOST "\r\n",
	};
	struct house h;

	house_up(&h, &plain);
	for (size_t i = 0; i < 2 * COUNT(pieces); i++) {
		int fd = client_connect(&h);

		client_send(fd, pieces[i / 2]);
		sleep_ms(5);
		if (i % 2)
			leave_rudely(fd);
		else
			close(fd);
	}
	ck_assert_int_eq(status_of(client_ask(&h, "GET /plain HTTP/1.1\r\n" HOST
						  "Connection: close\r\n\r\n")),
			 200);
	house_down(&h);
}
END_TEST

/* ---- deadlines ---- */

static const struct house_options hasty = {
	.limits = { .head_us = 300000, .body_us = 300000, .total_us = 500000, .idle_us = 300000 },
};

/* A byte every 20 ms: to a timeout that counts inactivity this client is busy. */
static int64_t drip(const struct house *h, const char *start, const char *drop)
{
	int fd = client_connect(h);
	const int64_t begun = clock_ms();

	client_send(fd, start);
	for (int i = 0; i < 200; i++) {
		client_send(fd, drop);
		if (client_closed_within(fd, 20))
			break;
	}
	close(fd);
	return clock_ms() - begun;
}

START_TEST(a_slow_head_ends_at_its_deadline)
{
	struct house h;

	house_up(&h, &hasty);
	ck_assert_int_lt(drip(&h, "", ""), 900);
	ck_assert_int_lt(drip(&h, "G", "x"), 900);
	ck_assert_int_lt(drip(&h, "GET /plain HTTP/1.1\r\n", "X: y\r\n"), 900);
	house_down(&h);
}
END_TEST

START_TEST(a_slow_second_head_ends_at_its_deadline_too)
{
	const struct house_options options = { .limits = { .head_us = 300000 } };
	struct house h;
	int64_t begun;
	int fd;

	house_up(&h, &options);
	fd = client_connect(&h);
	client_send(fd, "GET /plain HTTP/1.1\r\n" HOST "\r\n");
	ck_assert_int_eq(status_of(client_response(fd)), 200);
	begun = clock_ms();
	client_send(fd, "GET /plain HTTP/1.1\r\n");
	for (int i = 0; i < 200 && !client_closed_within(fd, 20); i++)
		client_send(fd, "X: y\r\n");
	ck_assert_int_lt(clock_ms() - begun, 900);
	close(fd);
	house_down(&h);
}
END_TEST

START_TEST(a_slow_body_ends_at_its_deadline)
{
	struct house h;

	house_up(&h, &hasty);
	ck_assert_int_lt(drip(&h, "POST /form HTTP/1.1\r\n" HOST "Content-Length: 60\r\n\r\n", "x"),
			 1100);
	ck_assert_int_lt(drip(&h,
			      "POST /form HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
			      "1\r\nx\r\n"),
			 1100);
	ck_assert_ptr_nonnull(strstr(house_log(&h), "a deadline passed"));
	house_down(&h);
}
END_TEST

START_TEST(an_idle_connection_ends_at_its_deadline_and_a_new_request_starts_anew)
{
	struct house h;
	int64_t begun;
	int fd;

	house_up(&h, &hasty);
	fd = client_connect(&h);
	for (int i = 0; i < 4; i++) {
		client_send(fd, "GET /plain HTTP/1.1\r\n" HOST "\r\n");
		ck_assert_int_eq(status_of(client_response(fd)), 200);
		sleep_ms(100);
	}
	begun = clock_ms();
	ck_assert(client_closed_within(fd, 5000));
	ck_assert_int_lt(clock_ms() - begun, 600);
	close(fd);
	house_down(&h);
}
END_TEST

/* The kernel's view of a connection. */
static int tcp_state(int fd)
{
	struct tcp_info info;
	socklen_t n = sizeof(info);

	ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n), 0);
	return info.tcpi_state;
}

/* Reset, not closed: else the kernel would offer the rest of the answer for many minutes. */
START_TEST(an_answer_nobody_reads_ends_at_its_deadline)
{
	static const char one[] = "GET /big HTTP/1.1\r\n" HOST "\r\n";
	char requests[20 * sizeof(one)] = "";
	const int64_t begun = clock_ms();
	struct house h;
	int fd;

	house_up(&h, &hasty);
	fd = client_connect(&h);
	/* in one piece: requests left unread would make a reset of any close */
	for (int i = 0; i < 20; i++)
		memcpy(requests + strlen(requests), one, sizeof(one));
	client_send(fd, requests);
	while (tcp_state(fd) != TCP_CLOSE && clock_ms() - begun < 5000)
		sleep_ms(10);
	ck_assert_int_eq(tcp_state(fd), TCP_CLOSE);
	close(fd);
	house_down(&h);
}
END_TEST

START_TEST(a_parked_request_past_its_deadline_is_answered_503_and_its_lane_may_still_finish)
{
	struct house h;
	const char *text;
	int fd;

	house_up(&h, &hasty);
	fd = client_connect(&h);
	client_send(fd, "GET /park HTTP/1.1\r\n" HOST "Authorization: Basic YQ==\r\n\r\n");
	text = client_rest(fd);
	ck_assert_int_eq(status_of(text), 503);
	ck_assert(has_header(text, "Retry-After: 1"));
	ck_assert_int_eq(responses_in(text), 1);
	ck_assert_int_eq(atomic_load(&parked_now), 1);
	close(fd);
	/* its memory is still the lane's, and nobody else's */
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(status_of(client_ask(&h, "GET /target/abcdefgh HTTP/1.1\r\n" HOST
							  "Connection: close\r\n\r\n")),
				 200);
	atomic_store(&gate_open, true);
	/* what it made durable has to reach our memory, though nobody waits for the answer */
	wait_until(&chains_ended, 1);
	sleep_ms(50);
	ck_assert_ptr_nonnull(strstr(house_log(&h), "given up while a lane worked"));
	house_down(&h);
}
END_TEST

/* ---- CPU ---- */

static int64_t cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

/* libmicrohttpd asks to be run again at once, for ever, in both cases. */
static void stall(bool tls, const void *p, size_t n)
{
	struct house h;
	int64_t before;
	int fd;

	house_up(&h, &(struct house_options){ .tls = tls });
	fd = client_connect(&h);
	client_send_n(fd, p, n);
	sleep_ms(100);
	before = cpu_ms();
	sleep_ms(1000);
	ck_assert_int_lt(cpu_ms() - before, 150);
	close(fd);
	house_down(&h);
}

START_TEST(a_handshake_that_stalls_costs_no_cpu)
{
	stall(true, "\x16\x03\x01", 3); /* the beginning of a ClientHello */
}
END_TEST

START_TEST(a_chunk_extension_without_end_costs_no_cpu)
{
	static const char start[] = "POST /form HTTP/1.1\r\n" HOST
				    "Transfer-Encoding: chunked\r\n\r\n1;";
	char text[20000];

	memset(text, 'x', sizeof(text));
	memcpy(text, start, sizeof(start) - 1);
	stall(false, text, sizeof(text));
}
END_TEST

/* ---- many ---- */

START_TEST(a_full_house_closes_the_longest_idle)
{
	enum { MANY = 60 };
	struct house h;
	int fd[MANY];
	int good = 0;

	house_up(&h, &(struct house_options){ .connections_max = 16 });
	for (int i = 0; i < MANY; i++) {
		fd[i] = client_connect(&h);
		client_send(fd[i], "GET /plain HTTP/1.1\r\n" HOST "\r\n");
		good += status_of(client_response(fd[i])) == 200;
	}
	ck_assert_int_eq(good, MANY);
	ck_assert(client_closed_within(fd[0], 1000));
	ck_assert(!client_closed_within(fd[MANY - 1], 50));
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	house_down(&h);
}
END_TEST

START_TEST(a_house_full_of_silent_clients_takes_a_new_one)
{
	enum { MANY = 30 };
	struct house h;
	int fd[MANY];
	int64_t begun;

	house_up(&h, &(struct house_options){ .connections_max = 16 });
	for (int i = 0; i < MANY / 2; i++)
		fd[i] = client_connect(&h);
	sleep_ms(1200);
	begun = clock_ms();
	for (int i = MANY / 2; i < MANY; i++)
		fd[i] = client_connect(&h);
	ck_assert_int_eq(status_of(client_ask(&h, "GET /plain HTTP/1.1\r\n" HOST
						  "Connection: close\r\n\r\n")),
			 200);
	ck_assert_int_lt(clock_ms() - begun, 3000);
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	house_down(&h);
}
END_TEST

/* Every pass tries each of them again, so there must not be many. */
START_TEST(handshakes_that_stall_are_cut_when_there_are_too_many)
{
	enum { MANY = 300 };
	struct house h;
	int fd[MANY];

	house_up(&h, &(struct house_options){ .tls = true, .connections_max = 1000 });
	for (int i = 0; i < MANY; i++) {
		fd[i] = client_connect(&h);
		client_send_n(fd[i], "\x16\x03\x01", 3);
	}
	ck_assert(client_closed_within(fd[0], 2000));
	ck_assert(!client_closed_within(fd[MANY - 1], 50));
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	house_down(&h);
}
END_TEST

START_TEST(one_address_has_so_many_connections_and_no_more)
{
	struct house h;
	int fd[3];

	house_up(&h, &(struct house_options){ .per_address_max = 2 });
	for (int i = 0; i < 3; i++)
		fd[i] = client_connect(&h);
	ck_assert(client_closed_within(fd[2], 1000));
	client_send(fd[0], "GET /plain HTTP/1.1\r\n" HOST "\r\n");
	ck_assert_int_eq(status_of(client_response(fd[0])), 200);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	house_down(&h);
}
END_TEST

static void *hammer(void *arg)
{
	const struct house *h = arg;

	for (int i = 0; i < 50; i++) {
		static const char *const requests[] = {
			"GET /park HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET /park-twice HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n",
		};
		int fd = client_connect(h);
		char byte;

		client_send(fd, requests[i % 3]);
		client_send(fd, requests[(i + 1) % 3]);
		if (i % 5)
			ck_assert_int_eq(recv(fd, &byte, 1, 0), 1);
		if (i % 2)
			leave_rudely(fd);
		else
			close(fd);
	}
	return NULL;
}

/* Lane threads complete while the worker accepts, gives up and closes. */
START_TEST(lanes_and_leaving_clients_do_not_race)
{
	pthread_t threads[4];
	struct house h;

	house_up(&h, &plain);
	atomic_store(&gate_open, true);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, hammer, &h), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	house_down(&h);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_parked_request_is_answered_when_its_lane_is_done,
		a_request_sent_behind_a_parked_one_waits_its_turn,
		a_client_may_leave_while_its_request_is_parked,
		a_client_may_leave_anywhere,
		a_slow_head_ends_at_its_deadline,
		a_slow_second_head_ends_at_its_deadline_too,
		a_slow_body_ends_at_its_deadline,
		an_idle_connection_ends_at_its_deadline_and_a_new_request_starts_anew,
		an_answer_nobody_reads_ends_at_its_deadline,
		a_parked_request_past_its_deadline_is_answered_503_and_its_lane_may_still_finish,
		a_handshake_that_stalls_costs_no_cpu,
		a_chunk_extension_without_end_costs_no_cpu,
		a_full_house_closes_the_longest_idle,
		a_house_full_of_silent_clients_takes_a_new_one,
		handshakes_that_stall_are_cut_when_there_are_too_many,
		one_address_has_so_many_connections_and_no_more,
		lanes_and_leaving_clients_do_not_race,
	};

	return suite_run("http life", tests, COUNT(tests));
}
