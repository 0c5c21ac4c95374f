/* Failed passwords: what is counted, for whom, and what a flood cannot undo. */
#include "tests/unit/suite.h"

#include <pthread.h>
#include <stdio.h>

#include "base/secret.h"
#include "server/state/ratelimit.h"
#include "tests/helpers/fake_env.h"

enum { NOW = 1700000000 };

struct guesses {
	struct fake_env fake;
	struct attempts *a;
};

static void guesses_up(struct guesses *g, size_t max)
{
	ck_assert_int_eq(secret_library_init(), ERR_OK);
	fake_env_init(&g->fake, NOW);
	ck_assert_int_eq(attempts_new(&g->fake.env, max, &g->a), ERR_OK);
}

static void guesses_down(struct guesses *g)
{
	attempts_free(g->a);
}

/* 0: let through; else the seconds to wait. */
static int64_t guess(struct guesses *g, const char *user, const char *address)
{
	int64_t wait = 0;

	if (attempts_reserve(g->a, str_z(user), str_z(address), &wait) == ERR_OK)
		return 0;
	ck_assert_int_gt(wait, 0);
	return wait;
}

static void use_up(struct guesses *g, const char *user, const char *address)
{
	for (int i = 0; i < LOGIN_FAILURES_FREE; i++)
		ck_assert_int_eq(guess(g, user, address), 0);
}

START_TEST(delay_doubles_from_thirty_seconds_to_an_hour)
{
	static const int64_t delays[] = { 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600 };
	struct guesses g;

	guesses_up(&g, 64);
	use_up(&g, "alice", "192.0.2.1");
	for (size_t i = 0; i < COUNT(delays); i++) {
		ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), delays[i]);
		atomic_fetch_add(&g.fake.micros, 1); /* a begun second is waited for */
		ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), delays[i]);
		fake_env_advance(&g.fake, delays[i] - 1);
		ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), 1);
		fake_env_advance(&g.fake, 1);
		ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), 0);
	}
	guesses_down(&g);
}
END_TEST

START_TEST(success_begins_anew_and_an_attempt_without_verdict_does_not_count)
{
	struct guesses g;

	guesses_up(&g, 64);
	use_up(&g, "alice", "192.0.2.1");
	attempts_cancel(g.a, STR("alice"), STR("192.0.2.1"));
	ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), 0);
	ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), 30);
	fake_env_advance(&g.fake, 30);
	ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), 0);
	attempts_cancel(g.a, STR("alice"), STR("192.0.2.1"));
	ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), 0);
	ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), 60);
	fake_env_advance(&g.fake, 60);
	ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), 0);
	attempts_success(g.a, STR("alice"), STR("192.0.2.1"));
	use_up(&g, "alice", "192.0.2.1");
	ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), 30);
	guesses_down(&g);
}
END_TEST

START_TEST(names_that_are_one_user_share_a_counter_and_networks_do_not)
{
	static const struct {
		const char *user, *address;
		bool delayed;
	} rows[] = {
		{ "ALICE", "192.0.2.255", true },
		{ " alice\t", "192.0.2.0", true },
		{ "Alice", "::ffff:192.0.2.77", true },
		{ "alice", "192.0.3.1", false },
		{ "alicf", "192.0.2.1", false },
		{ "alice", "2001:db8::1", false },
		{ "alice", "unix", false },
		{ "alice", "", false },
		{ "", "192.0.2.1", false },
	};
	struct guesses g;

	guesses_up(&g, 1024);
	use_up(&g, "alice", "192.0.2.1");
	for (size_t i = 0; i < COUNT(rows); i++)
		ck_assert_msg((guess(&g, rows[i].user, rows[i].address) > 0) == rows[i].delayed,
			      "row %zu", i);
	guesses_down(&g);
}
END_TEST

START_TEST(network_is_a_24_or_a_48)
{
	static const struct {
		const char *address, *network;
	} rows[] = {
		{ "192.0.2.77", "192.0.2.0/24" },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1::/48" },
		{ "::ffff:10.1.2.3", "10.1.2.0/24" },
		{ "::1", "::/48" },
		{ "unix", "unix" },
		{ "", "" },
		{ "a name longer than any address, which is cut where the text ends, here",
		  "a name longer than any address, which is cut where the text end" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char network[NETWORK_LEN + 1];

		network_of(str_z(rows[i].address), network);
		ck_assert_str_eq(network, rows[i].network);
	}
}
END_TEST

START_TEST(unlock_clears_every_network_of_one_user)
{
	struct guesses g;

	guesses_up(&g, 1024);
	use_up(&g, "alice", "192.0.2.1");
	use_up(&g, "alice", "2001:db8::1");
	use_up(&g, "bob", "192.0.2.1");
	attempts_clear(g.a, STR("Alice "));
	ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), 0);
	ck_assert_int_eq(guess(&g, "alice", "2001:db8::1"), 0);
	ck_assert_int_eq(guess(&g, "bob", "192.0.2.1"), 30);
	guesses_down(&g);
}
END_TEST

START_TEST(a_day_after_the_last_attempt_all_is_forgotten)
{
	struct guesses g;

	guesses_up(&g, 64);
	use_up(&g, "alice", "192.0.2.1");
	fake_env_advance(&g.fake, ATTEMPTS_FORGET - 1);
	ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), 0);
	ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), 60);
	fake_env_advance(&g.fake, ATTEMPTS_FORGET);
	use_up(&g, "alice", "192.0.2.1");
	ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), 30);
	guesses_down(&g);
}
END_TEST

/* The table holds 64 pairs; a flood of a hundred thousand others with few failures each. */
START_TEST(a_flood_of_others_does_not_clear_a_victims_counter)
{
	struct guesses g;
	char user[32];

	guesses_up(&g, 64);
	use_up(&g, "alice", "192.0.2.1");
	for (int i = 0; i < 100000; i++) {
		snprintf(user, sizeof(user), "other%d", i / 3);
		ck_assert_int_eq(guess(&g, user, "198.51.100.1"), 0);
	}
	ck_assert_int_eq(guess(&g, "alice", "192.0.2.1"), 30);
	guesses_down(&g);
}
END_TEST

struct crowd {
	pthread_t thread;
	struct guesses *g;
	int through;
};

static void *guess_often(void *arg)
{
	struct crowd *c = arg;
	int64_t wait;

	for (int i = 0; i < 50; i++)
		c->through += attempts_reserve(c->g->a, STR("alice"), STR("192.0.2.1"), &wait) ==
			      ERR_OK;
	return NULL;
}

/* CVE-2024-4629 */
START_TEST(two_hundred_parallel_guesses_get_the_free_ones_only)
{
	struct crowd crowd[4] = { { .through = 0 } };
	struct guesses g;
	int through = 0;

	guesses_up(&g, 64);
	for (size_t i = 0; i < COUNT(crowd); i++) {
		crowd[i].g = &g;
		ck_assert_int_eq(pthread_create(&crowd[i].thread, NULL, guess_often, &crowd[i]), 0);
	}
	for (size_t i = 0; i < COUNT(crowd); i++) {
		pthread_join(crowd[i].thread, NULL);
		through += crowd[i].through;
	}
	ck_assert_int_eq(through, LOGIN_FAILURES_FREE);
	guesses_down(&g);
}
END_TEST

START_TEST(without_randomness_no_table_is_built)
{
	struct attempts *a;
	struct fake_env fake;

	fake_env_init(&fake, NOW);
	atomic_store(&fake.no_random, true);
	ck_assert_int_eq(attempts_new(&fake.env, 64, &a), ERR_CRYPTO);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		delay_doubles_from_thirty_seconds_to_an_hour,
		success_begins_anew_and_an_attempt_without_verdict_does_not_count,
		names_that_are_one_user_share_a_counter_and_networks_do_not,
		network_is_a_24_or_a_48,
		unlock_clears_every_network_of_one_user,
		a_day_after_the_last_attempt_all_is_forgotten,
		a_flood_of_others_does_not_clear_a_victims_counter,
		two_hundred_parallel_guesses_get_the_free_ones_only,
		without_randomness_no_table_is_built,
	};

	return suite_run("attempts", tests, COUNT(tests));
}
