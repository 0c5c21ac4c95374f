/* The end of a worker: what is under way is finished or given up, what waits is let go, nothing is
 * left. Run under ASan and TSan. */
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_fixture.h"
#include "../unit/suite.h"

#define HOST "Host: x\r\n"

static const struct house_options plain;

START_TEST(a_drain_lets_parked_requests_finish)
{
	struct house h;
	const char *text;
	int fd, idle;

	house_up(&h, &plain);
	idle = client_connect(&h);
	client_send(idle, "GET /plain HTTP/1.1\r\n" HOST "\r\n");
	ck_assert_int_eq(status_of(client_response(idle)), 200);
	fd = client_connect(&h);
	client_send(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n");
	wait_until(&parked_now, 1);
	worker_drain(h.worker);
	/* one that was used just now may ask once more, and is told that it is the last time */
	sleep_ms(50);
	client_send(idle, "GET /plain HTTP/1.1\r\n" HOST "\r\n");
	text = client_rest(idle);
	ck_assert_int_eq(status_of(text), 200);
	ck_assert(has_header(text, "Connection: close"));
	atomic_store(&gate_open, true);
	text = client_rest(fd);
	ck_assert_ptr_nonnull(strstr(text, "waited"));
	ck_assert(has_header(text, "Connection: close"));
	worker_join(h.worker);
	close(fd);
	close(idle);
	house_down(&h);
}
END_TEST

START_TEST(a_drain_does_not_wait_long_for_idle_connections)
{
	struct house h;
	int64_t begun;
	int idle, fresh;

	house_up(&h, &plain);
	idle = client_connect(&h);
	client_send(idle, "GET /plain HTTP/1.1\r\n" HOST "\r\n");
	ck_assert_int_eq(status_of(client_response(idle)), 200);
	fresh = client_connect(&h);
	begun = clock_ms();
	worker_drain(h.worker);
	worker_join(h.worker);
	ck_assert_int_ge(clock_ms() - begun, 900);
	ck_assert_int_lt(clock_ms() - begun, 3000);
	ck_assert_str_eq(client_rest(idle), "");
	close(idle);
	close(fresh);
	house_down(&h);
}
END_TEST

START_TEST(a_drain_gives_up_what_takes_too_long)
{
	struct house h;
	int64_t begun;
	int fd, twice, half;

	house_up(&h, &(struct house_options){ .drain_us = 300000 });
	half = client_connect(&h);
	client_send(half, "POST /form HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc");
	fd = client_connect(&h);
	client_send(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n");
	twice = client_connect(&h);
	client_send(twice, "GET /park-twice HTTP/1.1\r\n" HOST "\r\n");
	wait_until(&parked_now, 2);
	begun = clock_ms();
	worker_drain(h.worker);
	ck_assert_int_eq(status_of(client_rest(fd)), 503);
	worker_join(h.worker);
	ck_assert_int_lt(clock_ms() - begun, 1000);
	close(fd);
	close(half);
	ck_assert_int_eq(status_of(client_rest(twice)), 503);
	close(twice);
	/* the lane comes back only now, to a worker without a thread; one wants to park once more
	 */
	house_down(&h);
	ck_assert_int_eq(atomic_load(&chains_ended), 1);
}
END_TEST

START_TEST(an_idle_house_drains_at_once_and_takes_nobody_new)
{
	struct house h;
	int64_t begun = clock_ms();
	int fds_before, fds_after;

	fds_before = dup(0);
	close(fds_before);
	house_up(&h, &(struct house_options){ .unix_socket = true });
	client_ask(&h, "GET /plain HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
	house_down(&h);
	fds_after = dup(0);
	close(fds_after);
	ck_assert_int_lt(clock_ms() - begun, 1000);
	ck_assert_int_eq(fds_before, fds_after);
}
END_TEST

static void *keep_asking(void *arg)
{
	const int fd = *(const int *)arg;

	/* always more behind the one that is being answered */
	for (int i = 0; i < 400; i++) {
		client_send(fd, "GET /park HTTP/1.1\r\nHost: x\r\n\r\n"
				"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n");
		sleep_ms(1);
	}
	return NULL;
}

/* libmicrohttpd aborts when it is stopped with a suspended connection. */
START_TEST(requests_that_arrive_at_the_very_end_are_not_parked_any_more)
{
	pthread_t threads[8];
	int fds[8];
	struct house h;

	house_up(&h, &(struct house_options){ .drain_us = 1 });
	atomic_store(&gate_open, _i % 2);
	for (int i = 0; i < 8; i++) {
		fds[i] = client_connect(&h);
		ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_asking, &fds[i]), 0);
	}
	sleep_ms(50 + 7 * _i);
	worker_drain(h.worker);
	worker_join(h.worker);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		close(fds[i]);
	}
	house_down(&h);
}
END_TEST

START_TEST(what_stands_in_the_backlog_is_still_answered)
{
	enum { MANY = 40 };
	struct house h;
	int fd[MANY];
	int good = 0;

	house_up(&h, &plain);
	for (int i = 0; i < MANY; i++) {
		fd[i] = client_connect(&h);
		client_send(fd[i], "GET /plain HTTP/1.1\r\n" HOST "\r\n");
	}
	worker_drain(h.worker);
	for (int i = 0; i < MANY; i++) {
		good += status_of(client_rest(fd[i])) == 200;
		close(fd[i]);
	}
	ck_assert_int_eq(good, MANY);
	house_down(&h);
}
END_TEST

START_TEST(a_new_signer_channel_replaces_the_old_one)
{
	struct house h;
	int first[2], second[2];
	char byte;

	house_up(&h, &plain);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, first), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, second), 0);
	worker_set_signer(h.worker, first[0]);
	worker_set_signer(h.worker, second[0]);
	/* the first is closed whether or not the worker had taken it already */
	ck_assert_int_eq(recv(first[1], &byte, 1, 0), 0);
	ck_assert(!client_closed_within(second[1], 50));
	house_down(&h);
	ck_assert_int_eq(recv(second[1], &byte, 1, 0), 0);
	close(first[1]);
	close(second[1]);
}
END_TEST

START_TEST(a_worker_that_never_started_is_given_back)
{
	struct house h;
	struct worker *w;
	struct listen_fault fault;
	struct http_listener door = { .kind = LISTENER_PUBLIC, .connections_max = 4 };
	struct http_options options = { .listeners = &door, .listener_count = 1 };
	unsigned port;

	house_up(&h, &plain);
	ck_assert_int_eq(listen_tcp(STR("127.0.0.1:0"), 1, &door.fd, &port, &fault), ERR_OK);
	ck_assert_int_eq(
		worker_new(&(struct worker_options){ .app = &h.app, .signer_fd = dup(0) }, &w),
		ERR_OK);
	ck_assert_int_eq(http_attach(w, &options), ERR_OK);
	worker_set_signer(w, dup(0));
	worker_join(w);
	worker_free(w);
	house_down(&h);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_drain_lets_parked_requests_finish,
		a_drain_does_not_wait_long_for_idle_connections,
		a_drain_gives_up_what_takes_too_long,
		an_idle_house_drains_at_once_and_takes_nobody_new,
		what_stands_in_the_backlog_is_still_answered,
		a_new_signer_channel_replaces_the_old_one,
		a_worker_that_never_started_is_given_back,
	};
	TCase *all = tcase_create("http drain");
	Suite *suite = suite_create("http drain");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(all, 120);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(all, tests[i]);
	tcase_add_loop_test(all, requests_that_arrive_at_the_very_end_are_not_parked_any_more, 0,
			    6);
	suite_add_tcase(suite, all);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
