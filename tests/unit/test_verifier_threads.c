/* One verifier, many threads: while keys turn over, the issuer comes and goes and random kids rain.
 * For TSan above all; what is asserted here is that no good token is ever called bad, and that the
 * issuer is asked no more often than one thread would ask. */
#include <poll.h>
#include <stdio.h>

#include "tests/helpers/fake_issuer.h"
#include "tests/helpers/keys.h"
#include "tests/unit/suite.h"
#include "tests/unit/tokens.h"

enum { THREADS = 6, ROUNDS = 60 };

static struct fake_issuer f;
static struct chancery *v;
static char *good, *unknown;
static atomic_size_t bad, waiting;
static atomic_bool over;

/* Assertions are not for threads: they count. */
static void *judge_all(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		enum chancery_verdict g = fake_judge(v, good), u = fake_judge(v, unknown);

		if (g != CHANCERY_OK || (u != CHANCERY_UNKNOWN_KEY && u != CHANCERY_UNDECIDED))
			atomic_fetch_add(&bad, 1);
	}
	return NULL;
}

static void *pass_time(void *arg)
{
	(void)arg;
	for (int i = 0; !atomic_load(&over); i++) {
		struct chancery_status s = { .size = sizeof(s) };

		atomic_fetch_add(&f.now, 1);
		atomic_store(&f.away, i % 7 == 0);
		chancery_tend(v);
		chancery_status(v, &s);
		poll(NULL, 0, 10); /* no thread is to be late by a minute of this clock */
	}
	return NULL;
}

/* Every thread's first token comes before there is a set: one fetches, the others wait for it. */
static void slow_fetch(struct fake_issuer *issuer)
{
	(void)issuer;
	while (atomic_load(&waiting) < THREADS)
		poll(NULL, 0, 10); /* no thread is to be late by a minute of this clock */
	for (int i = 0; i < 1000; i++)
		poll(NULL, 0, 10); /* no thread is to be late by a minute of this clock */
}

static void *first_token(void *arg)
{
	atomic_fetch_add(&waiting, 1);
	if (fake_judge(v, good) != CHANCERY_OK)
		atomic_fetch_add(&bad, 1);
	return arg;
}

static void run_threads(pthread_t *threads, void *(*body)(void *arg))
{
	for (size_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, body, NULL), 0);
}

static void join_threads(pthread_t *threads)
{
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void set_up(void)
{
	struct chancery_options o;

	fake_issuer_init(&f);
	o = fake_options(&f);
	v = fake_verifier(&o);
	good = signed_token(KEY_EC_1, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"ec1\"}",
			    "{\"iss\":\"" FAKE_ISSUER "\",\"aud\":\"" FAKE_AUDIENCE
			    "\",\"sub\":\"alice\",\"iat\":1800000000,\"exp\":1900000000}");
	unknown = fake_token(&f, KEY_EC_2, "nobody", NULL);
}

static void tear_down(void)
{
	chancery_free(v);
	free(good);
	free(unknown);
	fake_issuer_done(&f);
}

START_TEST(threads_share_a_verifier)
{
	pthread_t threads[THREADS], time;

	chancery_tend(v);
	ck_assert_int_eq(pthread_create(&time, NULL, pass_time, NULL), 0);
	run_threads(threads, judge_all);
	join_threads(threads);
	atomic_store(&over, true);
	pthread_join(time, NULL);
	ck_assert_uint_eq(atomic_load(&bad), 0);
	/* one for each cool-down that passed, and the first */
	ck_assert_int_le((int64_t)atomic_load(&f.documents[FAKE_JWKS].asked),
			 (atomic_load(&f.now) - FAKE_NOW) / 30 + 2);
}
END_TEST

START_TEST(threads_that_come_first_wait_for_one_fetch)
{
	pthread_t threads[THREADS];

	f.during = slow_fetch;
	run_threads(threads, first_token);
	join_threads(threads);
	ck_assert_uint_eq(atomic_load(&bad), 0);
	ck_assert_uint_eq(atomic_load(&f.documents[FAKE_JWKS].asked), 1);
}
END_TEST

int main(void)
{
	TCase *all = tcase_create("threads");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, threads_share_a_verifier);
	tcase_add_test(all, threads_that_come_first_wait_for_one_fetch);
	return suite_run_case("verifier_threads", all);
}
