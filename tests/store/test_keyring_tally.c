/* What was issued under which key; who has signed nothing; and algorithms that leave. */
#include <stdio.h>

#include "server/state/keyring_priv.h"
#include "tests/helpers/keyring_fixture.h"
#include "tests/unit/suite.h"

enum { MINUTE = 60 };

static void count_tokens(const char *kid, int64_t exp, int n)
{
	struct keyring_view *v = keyring_view_get(o.keyring);

	for (int i = 0; i < n; i++)
		keyring_count_token(v, str_z(kid), exp);
	keyring_view_unref(v);
}

static int64_t outstanding(const char *kid)
{
	struct keyring_view *v = keyring_view_get(o.keyring);
	int64_t n = keyring_outstanding(v, str_z(kid), now());

	keyring_view_unref(v);
	return n;
}

static int64_t latest(const char *kid)
{
	struct keyring_view *v = keyring_view_get(o.keyring);
	int64_t at = keyring_latest(v, str_z(kid));

	keyring_view_unref(v);
	return at;
}

/* ---- tallies ---- */

START_TEST(tokens_are_counted_by_the_minute_and_gone_when_they_expire)
{
	struct key_info active = info_of(KEY_ACTIVE);
	int64_t minute;

	advance(MINUTE - now() % MINUTE);
	minute = now();
	ck_assert_int_eq(outstanding(active.kid), 0);
	ck_assert_int_eq(latest(active.kid), 0);
	count_tokens(active.kid, minute + 5 * MINUTE, 3);
	count_tokens(active.kid, minute + 5 * MINUTE + 59, 2);
	count_tokens(active.kid, minute + 7 * MINUTE, 4);
	ck_assert_int_eq(outstanding(active.kid), 9);
	ck_assert_int_eq(latest(active.kid), minute + 8 * MINUTE);
	ck_assert_int_eq(outstanding(info_of(KEY_STANDBY).kid), 0);
	ck_assert_int_eq(outstanding("unknown"), 0);
	count_tokens("unknown", minute + 5 * MINUTE, 1);
	ck_assert_int_eq(outstanding(active.kid), 9);
	advance(6 * MINUTE - 1);
	ck_assert_int_eq(outstanding(active.kid), 9);
	advance(1);
	ck_assert_int_eq(outstanding(active.kid), 4);
	advance(2 * MINUTE);
	ck_assert_int_eq(outstanding(active.kid), 0);
	ck_assert_int_eq(latest(active.kid), minute + 8 * MINUTE);
}
END_TEST

START_TEST(the_longest_and_the_shortest_lifetime_do_not_meet)
{
	struct key_info active = info_of(KEY_ACTIVE);
	int64_t sum = 0;

	for (int64_t ttl = 0; ttl <= ACCESS_TTL_MAX; ttl += MINUTE, sum++)
		count_tokens(active.kid, now() + ttl, 1);
	ck_assert_int_eq(outstanding(active.kid), sum);
}
END_TEST

START_TEST(a_minute_takes_over_the_place_of_one_long_ago)
{
	struct key_info active = info_of(KEY_ACTIVE);

	for (int i = 0; i < 10; i++) {
		count_tokens(active.kid, now() + ACCESS_TTL_MAX, 3);
		ck_assert_int_eq(outstanding(active.kid), 3);
		/* one minute more than the longest lifetime: the same place again, sooner or later
		 */
		advance(ACCESS_TTL_MAX + 2 * MINUTE);
		ck_assert_int_eq(outstanding(active.kid), 0);
	}
}
END_TEST

START_TEST(a_count_outlives_views_and_rotations)
{
	struct keyring_view *old = keyring_view_get(o.keyring);
	struct rotate_result r = { .kid = "" };

	count_tokens(info_of(KEY_ACTIVE).kid, now() + 3000, 2);
	OK(rotate(false, &r));
	ck_assert_int_eq(outstanding(r.retired), 2);
	keyring_count_token(old, str_z(r.retired), now() + 3000); /* a request that began before */
	keyring_view_unref(old);
	count_tokens(r.kid, now() + 3000, 7);
	advance(READY_AFTER);
	OK(rotate(false, &r));
	ck_assert_int_eq(outstanding(r.retired), 7);
	ck_assert_uint_eq(count_in(KEY_RETIRING), 2);
	for (int i = 0; i < 3; i++)
		OK(rotate(true, &r));
	ck_assert_int_eq(outstanding(r.kid), 0);
}
END_TEST

/* A view of two published keys, the i-th and the one before it; nobody looks into their public
 * halves here. */
static void show(struct keyring_key keys[2], int i)
{
	static char public_half;

	for (int k = 0; k < 2; k++) {
		keys[k] = (struct keyring_key){ .public_key = (struct jwk *)&public_half };
		snprintf(keys[k].info.kid, sizeof(keys[k].info.kid), "key %d", i - k);
	}
}

START_TEST(a_new_key_does_not_inherit_the_count_of_one_that_left)
{
	struct keyring_key keys[2];
	struct keyring_view v = { .keys = keys, .count = 2 };
	struct key_tallies *t;

	OK(key_tallies_new(&t));
	for (int i = 0; i < 10 * JWKS_KEYS_MAX; i++) {
		show(keys, i);
		key_tallies_attach(t, &v);
		ck_assert_int_eq(keyring_outstanding(&v, str_z(keys[0].info.kid), now()), 0);
		ck_assert_int_eq(keyring_outstanding(&v, str_z(keys[1].info.kid), now()), i > 0);
		keyring_count_token(&v, str_z(keys[0].info.kid), now() + 300);
		key_tallies_attach(t, &v); /* the same set again */
		ck_assert_int_eq(keyring_outstanding(&v, str_z(keys[0].info.kid), now()), 1);
	}
	key_tallies_free(t);
}
END_TEST

/* ---- silence ---- */

static bool is_silent(const char *kid)
{
	return keyring_is_silent(o.keyring, str_z(kid));
}

/* Is it called silent when a store step says already that it signs? */
static bool silent_meanwhile;
static char watched[KID_MAX + 1];

static void watch(void)
{
	if (stored(watched).state == KEY_ACTIVE)
		silent_meanwhile = silent_meanwhile || is_silent(watched);
}

START_TEST(a_standby_is_silent_until_it_takes_over)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct rotate_result r = { .kid = "" };
	struct revoke_result revoked;

	ck_assert(is_silent(standby.kid));
	ck_assert(!is_silent(active.kid));
	ck_assert(!is_silent("unknown"));
	o.after_step = watch;
	memcpy(watched, standby.kid, sizeof(watched));
	OK(rotate(false, &r));
	ck_assert(!silent_meanwhile);
	ck_assert(!is_silent(standby.kid));
	ck_assert(!is_silent(active.kid));
	standby = info_of(KEY_STANDBY);
	ck_assert(is_silent(standby.kid));
	memcpy(watched, standby.kid, sizeof(watched));
	OK(revoke_key(r.kid, &revoked));
	ck_assert(!silent_meanwhile);
	ck_assert(!is_silent(standby.kid));
	ck_assert(is_silent(info_of(KEY_STANDBY).kid));
}
END_TEST

START_TEST(a_switch_of_unknown_end_is_not_silent)
{
	struct key_info standby = info_of(KEY_STANDBY);
	struct rotate_result r = { .kid = "" };
	struct revoke_result revoked;

	o.mood = STORE_REFUSES;
	ck_assert_int_eq(rotate(false, &r), ERR_FULL);
	ck_assert(is_silent(standby.kid)); /* closed again, whatever the database says */
	ck_assert_int_eq(revoke_key(info_of(KEY_ACTIVE).kid, &revoked), ERR_FULL);
	o.mood = STORE_WORKS;
	tend_until_done();
	ck_assert(is_silent(standby.kid));
	o.mood = STORE_HIDES_THE_COMMIT;
	ck_assert_int_eq(revoke_key(info_of(KEY_ACTIVE).kid, &revoked), ERR_UNAVAILABLE);
	o.mood = STORE_WORKS;
	tend_until_done();
	assert_signs_with(standby.kid);
	ck_assert(!is_silent(standby.kid));
}
END_TEST

/* ---- an algorithm that leaves keys.algs ---- */

static struct key_info rsa_in(enum key_state state)
{
	struct keyring_view *v = keyring_view_get(o.keyring);
	const struct key_info *found = key_plan_find(v->infos, v->count, ALG_RS256, state);
	struct key_info info = { .kid = "" };

	if (found)
		info = *found;
	keyring_view_unref(v);
	return info;
}

static void configure_algs(size_t count)
{
	o.config.keys.algs[1] = ALG_RS256;
	o.config.keys.alg_count = count;
	keyring_configure(o.keyring, &o.config);
}

/* RS256 signs, and has a standby. */
static void add_rsa(void)
{
	configure_algs(2);
	OK(tend());
	advance(READY_AFTER);
	OK(tend());
	ck_assert_str_ne(rsa_in(KEY_ACTIVE).kid, "");
	ck_assert(is_held(rsa_in(KEY_ACTIVE).kid));
}

START_TEST(an_algorithm_that_is_not_configured_retires)
{
	struct key_info active, standby, retired;

	add_rsa();
	active = rsa_in(KEY_ACTIVE);
	standby = rsa_in(KEY_STANDBY);
	advance(10);
	configure_algs(1);
	OK(tend());
	retired = stored(active.kid);
	ck_assert_int_eq(retired.state, KEY_RETIRING);
	ck_assert_int_eq(retired.remove_at, active.exp_bound + KEYRING_SKEW);
	ck_assert_int_eq(stored(standby.kid).state, KEY_REMOVED);
	ck_assert(!is_held(active.kid));
	ck_assert(is_published(active.kid)); /* its tokens live */
	ck_assert(!is_published(standby.kid));
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM audit WHERE event = 'key.remove' AND "
				    "reason <> ''"),
			 1);
	assert_signs_with(info_of(KEY_ACTIVE).kid);
	assert_lint();
	reopen();
	OK(tend());
	advance(retired.remove_at - now());
	OK(tend());
	OK(tend());
	ck_assert_int_eq(stored(active.kid).state, KEY_REMOVED);
}
END_TEST

static void hide_the_next(void)
{
	o.mood = STORE_HIDES_THE_COMMIT;
}

START_TEST(a_lost_answer_takes_the_key_from_the_signer_too)
{
	struct key_info active;

	add_rsa();
	active = rsa_in(KEY_ACTIVE);
	configure_algs(1);
	o.after_step = hide_the_next; /* the first step follows the new configuration */
	ck_assert_int_eq(tend(), ERR_UNAVAILABLE);
	o.after_step = NULL;
	o.mood = STORE_WORKS;
	ck_assert(is_held(active.kid));
	tend_until_done();
	ck_assert_int_eq(stored(active.kid).state, KEY_RETIRING);
	ck_assert(!is_held(active.kid));
}
END_TEST

/* Its old emergency is over: it waits like any new one. */
START_TEST(an_algorithm_that_comes_back_is_published_before_it_signs)
{
	struct revoke_result r;
	int64_t made_at;

	add_rsa();
	OK(revoke_key(rsa_in(KEY_ACTIVE).kid, &r));
	ck_assert_str_ne(rsa_in(KEY_ACTIVE).kid, "");
	advance(10);
	configure_algs(1);
	OK(tend());
	ck_assert_str_eq(rsa_in(KEY_ACTIVE).kid, "");
	advance(10);
	configure_algs(2);
	OK(tend());
	made_at = now();
	tend_until_done();
	ck_assert_str_eq(rsa_in(KEY_ACTIVE).kid, "");
	advance(made_at + READY_AFTER - now());
	OK(tend());
	ck_assert_str_ne(rsa_in(KEY_ACTIVE).kid, "");
	ck_assert(!rsa_in(KEY_ACTIVE).forced);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		tokens_are_counted_by_the_minute_and_gone_when_they_expire,
		the_longest_and_the_shortest_lifetime_do_not_meet,
		a_minute_takes_over_the_place_of_one_long_ago,
		a_count_outlives_views_and_rotations,
		a_new_key_does_not_inherit_the_count_of_one_that_left,
		a_standby_is_silent_until_it_takes_over,
		a_switch_of_unknown_end_is_not_silent,
		an_algorithm_that_is_not_configured_retires,
		a_lost_answer_takes_the_key_from_the_signer_too,
		an_algorithm_that_comes_back_is_published_before_it_signs,
	};
	TCase *tc = tcase_create("keyring tally");

	tcase_add_checked_fixture(tc, keyring_up, keyring_down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
	return suite_run_case("keyring tally", tc);
}
