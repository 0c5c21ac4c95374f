/* The keyring in an emergency: a key is revoked, from every state, with everything failing. */
#include <pthread.h>
#include <unistd.h>

#include "base/fault.h"
#include "tests/helpers/keyring_fixture.h"
#include "tests/unit/suite.h"

/* ---- from every state ---- */

START_TEST(a_revoked_key_is_gone_and_the_standby_signs_the_next_token)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct keyring_counts counts;
	struct revoke_result r;
	struct issued old;

	OK(issue(300, &old));
	ck_assert(verifies(&old));
	OK(revoke_key(active.kid, &r));
	ck_assert_str_eq(r.kid, active.kid);
	ck_assert_str_eq(r.signs_now, standby.kid);
	assert_signs_with(standby.kid);
	ck_assert(!verifies(&old));
	assert_gone(active.kid);
	ck_assert(!stored(standby.kid).forced); /* it was ready */
	ck_assert_str_ne(info_of(KEY_STANDBY).kid, "");
	ck_assert_int_eq(info_of(KEY_STANDBY).origin, KEY_ORIGIN_EMERGENCY);
	ck_assert_int_eq(info_of(KEY_STANDBY).ready_at, now() + READY_AFTER);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM audit WHERE actor = 'uid:0'"), 1);
	keyring_counts(o.keyring, &counts);
	ck_assert_uint_eq(counts.emergency, 1);
	ck_assert_uint_eq(counts.manual + counts.scheduled + counts.failed, 0);
	assert_lint();
	reopen();
	assert_gone(active.kid);
	ck_assert_str_eq(info_of(KEY_ACTIVE).kid, standby.kid);
	assert_whole();
}
END_TEST

START_TEST(a_standby_that_nobody_may_hold_yet_signs_all_the_same)
{
	struct rotate_result rotated = { .kid = "" };
	struct revoke_result r;

	OK(rotate(false, &rotated));
	OK(revoke_key(rotated.kid, &r));
	ck_assert_str_eq(r.signs_now, info_of(KEY_ACTIVE).kid);
	ck_assert(stored(r.signs_now).forced);
	assert_signs_with(r.signs_now);
	assert_gone(rotated.kid);
	assert_lint();
	assert_whole();
}
END_TEST

START_TEST(a_revoked_standby_is_replaced_and_the_active_key_signs_on)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct revoke_result r;

	advance(100);
	OK(revoke_key(standby.kid, &r));
	ck_assert_str_eq(r.signs_now, active.kid);
	ck_assert_int_eq(r.outstanding, 0);
	ck_assert(r.exact);
	ck_assert_int_eq(r.latest_expiry, 0);
	assert_gone(standby.kid);
	assert_signs_with(active.kid);
	ck_assert_int_eq(info_of(KEY_STANDBY).activate_at, FIXTURE_NOW + PERIOD);
	assert_whole();
}
END_TEST

START_TEST(a_revoked_retiring_key_takes_its_tokens_along)
{
	struct rotate_result rotated = { .kid = "" };
	struct key_info standby;
	struct revoke_result r;
	struct issued old;

	OK(issue(300, &old));
	OK(rotate(false, &rotated));
	ck_assert(verifies(&old));
	standby = info_of(KEY_STANDBY);
	OK(revoke_key(rotated.retired, &r));
	ck_assert_str_eq(r.signs_now, rotated.kid);
	ck_assert(!verifies(&old));
	assert_gone(rotated.retired);
	assert_signs_with(rotated.kid);
	ck_assert_str_eq(info_of(KEY_STANDBY).kid, standby.kid);
	assert_lint();
}
END_TEST

START_TEST(a_kid_that_is_not_there_changes_nothing)
{
	char longest[KID_MAX + 2];
	const char *const kids[] = { "unknown", "", longest };

	memset(longest, 'k', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (size_t i = 0; i < COUNT(kids); i++) {
		struct revoke_result r;

		ck_assert_int_eq(revoke_key(kids[i], &r), ERR_NOT_FOUND);
		ck_assert_str_eq(r.signs_now, "");
		ck_assert(!is_listed(kids[i]));
	}
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM audit WHERE actor = 'uid:0'"), 0);
	assert_whole();
}
END_TEST

START_TEST(a_second_time_is_told_and_does_nothing)
{
	struct key_info active = info_of(KEY_ACTIVE);
	struct keyring_view *v = keyring_view_get(o.keyring);
	struct keyring_counts counts;
	struct revoke_result first, second;
	struct key_info standby;

	keyring_count_token(v, str_z(active.kid), now() + 300);
	keyring_view_unref(v);
	OK(revoke_key(active.kid, &first));
	standby = info_of(KEY_STANDBY);
	ck_assert_int_eq(revoke_key(active.kid, &second), ERR_REUSED);
	ck_assert_str_eq(second.kid, active.kid);
	ck_assert_str_eq(second.signs_now, first.signs_now);
	ck_assert_int_ge(second.latest_expiry, now() + 300);
	ck_assert(!second.exact); /* its count is gone, its tokens are not */
	ck_assert_str_eq(info_of(KEY_STANDBY).kid, standby.kid);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM audit WHERE actor = 'uid:0'"), 1);
	keyring_counts(o.keyring, &counts);
	ck_assert_uint_eq(counts.emergency, 1);
	advance(second.latest_expiry - now());
	ck_assert_int_eq(revoke_key(active.kid, &second), ERR_REUSED);
	ck_assert(second.exact); /* none is left */
	assert_gone(active.kid);
}
END_TEST

/* ---- how bad it is ---- */

static void count_tokens(const char *kid, int64_t exp, int n)
{
	struct keyring_view *v = keyring_view_get(o.keyring);

	for (int i = 0; i < n; i++)
		keyring_count_token(v, str_z(kid), exp);
	keyring_view_unref(v);
}

START_TEST(what_this_process_did_not_see_is_not_called_exact)
{
	struct key_info active = info_of(KEY_ACTIVE);
	struct revoke_result r;

	count_tokens(active.kid, now() + 300, 3);
	OK(revoke_key(active.kid, &r));
	ck_assert_int_eq(r.outstanding, 3);
	ck_assert(!r.exact);
	ck_assert_int_eq(r.latest_expiry, active.exp_bound);
	/* with what a cache may hold while it cannot reach us */
	ck_assert_int_eq(keyring_cached_until(o.keyring, now()), now() + 1 + MAX_AGE + DAY);
	ck_assert_int_eq(count_rows("SELECT keep_until FROM revocations"),
			 active.exp_bound + KEYRING_SKEW);
}
END_TEST

START_TEST(what_this_process_signed_alone_is_counted_exactly)
{
	struct rotate_result rotated = { .kid = "" };
	struct revoke_result r;
	int64_t last;

	advance(READY_AFTER);
	OK(rotate(false, &rotated));
	last = now() + 900;
	count_tokens(rotated.kid, now() + 100, 2);
	count_tokens(rotated.kid, last, 5);
	advance(200);
	OK(revoke_key(rotated.kid, &r));
	ck_assert_int_eq(r.outstanding, 5);
	ck_assert(r.exact);
	ck_assert_int_ge(r.latest_expiry, last);
	ck_assert_int_lt(r.latest_expiry, last + 60);
	/* a token that was signed meanwhile is covered, too */
	ck_assert_int_eq(count_rows("SELECT keep_until FROM revocations"),
			 stored(rotated.kid).exp_bound + KEYRING_SKEW);
}
END_TEST

START_TEST(a_retiring_key_knows_its_last_expiry)
{
	struct rotate_result rotated = { .kid = "" };
	struct key_info old;
	struct revoke_result r;
	struct issued token;

	advance(1);
	OK(rotate(false, &rotated));
	advance(READY_AFTER);
	OK(issue(777, &token));
	OK(rotate(false, &rotated));
	old = stored(rotated.retired);
	OK(revoke_key(rotated.retired, &r));
	ck_assert_int_eq(r.latest_expiry, old.last_exp);
	ck_assert_int_eq(r.latest_expiry, token.exp);
}
END_TEST

START_TEST(a_shorter_promise_of_today_does_not_shorten_what_caches_hold)
{
	o.config.keys.rotate_every = 2 * MAX_AGE; /* nothing stale if in error */
	o.config.keys.jwks_max_age = MAX_AGE / 3;
	keyring_configure(o.keyring, &o.config);
	OK(tend());
	ck_assert_int_gt(keyring_cached_until(o.keyring, now()), now() + PROMISE);
}
END_TEST

/* ---- without a standby ---- */

START_TEST(without_a_standby_one_is_made_and_signs)
{
	struct key_info active = info_of(KEY_ACTIVE);
	struct revoke_result r;

	lose_standby();
	OK(revoke_key(active.kid, &r));
	ck_assert_str_ne(r.signs_now, "");
	assert_signs_with(r.signs_now);
	assert_gone(active.kid);
	assert_whole();
}
END_TEST

START_TEST(a_standby_that_does_not_open_makes_room_for_one_that_does)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct revoke_result r;

	change_database("UPDATE keys SET sealed = (SELECT sealed FROM keys WHERE "
			"state = 'active') WHERE state = 'standby'");
	reopen();
	OK(revoke_key(active.kid, &r));
	ck_assert_str_ne(r.signs_now, "");
	ck_assert_str_ne(r.signs_now, standby.kid);
	assert_signs_with(r.signs_now);
	assert_gone(active.kid);
	ck_assert_int_eq(stored(standby.kid).state, KEY_REMOVED);
	ck_assert(!is_published(standby.kid));
	assert_whole();
}
END_TEST

#ifdef CHANCERY_FAULTS
START_TEST(until_one_is_made_nothing_is_signed_and_no_set_is_kept)
{
	struct key_info active = info_of(KEY_ACTIVE);
	struct keyring_view *v;
	struct jwks_promise p;
	struct revoke_result r;
	struct issued token;

	lose_standby();
	fault_arm("key.revoke.published:1:error");
	ck_assert_int_eq(revoke_key(active.kid, &r), ERR_IO);
	fault_arm(NULL);
	ck_assert_int_eq(issue(300, &token), ERR_UNAVAILABLE);
	assert_gone(active.kid);
	v = keyring_view_get(o.keyring);
	p = keyring_jwks_promise(o.keyring, v, now());
	ck_assert_int_eq(p.max_age, 1);
	ck_assert_int_eq(p.stale_while + p.stale_if_error, 0);
	keyring_view_unref(v);
	ck_assert_int_eq(revoke_key(active.kid, &r), ERR_REUSED);
	tend_until_done();
	assert_whole();
}
END_TEST
#endif

START_TEST(a_revocation_waits_for_no_key_to_be_made)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct revoke_result r;

	OK(keyring_revoke(o.keyring, str_z(active.kid), NULL, &r));
	assert_signs_with(standby.kid);
	ck_assert_uint_eq(count_in(KEY_STANDBY), 0);
	keyring_make_good(o.keyring, r.alg, &r);
	ck_assert_uint_eq(count_in(KEY_STANDBY), 1);
	ck_assert_str_eq(r.signs_now, standby.kid);
	assert_whole();
}
END_TEST

/* ---- a database from before ---- */

static void put_back(void)
{
	change_database("DELETE FROM keys; INSERT INTO keys SELECT * FROM before;"
			"DELETE FROM revocations;");
	reopen();
}

START_TEST(a_restored_database_does_not_bring_a_revoked_key_back)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct revoke_result r;
	struct issued old;

	OK(issue(300, &old));
	change_database("CREATE TABLE before AS SELECT * FROM keys");
	OK(revoke_key(active.kid, &r));
	put_back();
	assert_gone(active.kid);
	ck_assert(!verifies(&old));
	assert_signs_with(standby.kid);
	OK(tend());
	assert_whole();
	reopen(); /* and once is enough */
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM audit WHERE actor = 'system' AND "
				    "event = 'key.revoke'"),
			 1);
}
END_TEST

START_TEST(where_both_were_revoked_neither_signs_again)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct revoke_result r;

	change_database("CREATE TABLE before AS SELECT * FROM keys");
	OK(revoke_key(active.kid, &r));
	ck_assert_str_eq(r.signs_now, standby.kid);
	OK(revoke_key(standby.kid, &r));
	put_back();
	assert_gone(active.kid);
	assert_gone(standby.kid);
	ck_assert_int_eq(stored(standby.kid).exp_bound, 0); /* not for a moment */
	assert_whole();
}
END_TEST

static void lose_list(void)
{
	ck_assert_int_eq(unlink(o.revoked_kids), 0);
}

static void assert_lint_misses(const char *one, const char *other)
{
	char text[256];
	const char *fault = keyring_lint(o.keyring, now(), text, sizeof(text));

	ck_assert_ptr_nonnull(fault);
	ck_assert(strstr(fault, one) || strstr(fault, other));
	ck_assert_ptr_nonnull(strstr(fault, "not on the list"));
}

START_TEST(a_list_that_was_lost_is_told_of_and_put_back_at_the_start)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct revoke_result r;

	change_database("CREATE TABLE before AS SELECT * FROM keys");
	OK(revoke_key(active.kid, &r));
	OK(revoke_key(standby.kid, &r));
	assert_lint();
	lose_list();
	assert_lint_misses(active.kid, standby.kid);
	reopen();
	assert_lint();
	assert_gone(active.kid);
	assert_gone(standby.kid);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM audit WHERE event = 'key.relist'"), 2);
	reopen(); /* once is enough */
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM audit WHERE event = 'key.relist'"), 2);
	/* and it holds against a database from before */
	put_back();
	assert_gone(active.kid);
	assert_gone(standby.kid);
}
END_TEST

START_TEST(or_by_the_next_revocation)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct revoke_result r;

	OK(revoke_key(active.kid, &r));
	lose_list();
	OK(revoke_key(standby.kid, &r));
	ck_assert(is_listed(active.kid));
	ck_assert(is_listed(standby.kid));
}
END_TEST

START_TEST(a_list_that_cannot_be_read_stops_the_start)
{
	keyring_free(o.keyring);
	o.keyring = NULL;
	ck_assert_int_eq(symlink("/nowhere", o.revoked_kids), 0);
	signer_fixture_restart(&o.signer);
	ck_assert_int_eq(open_keyring(false), ERR_IO);
}
END_TEST

/* ---- with two algorithms ---- */

static void *tend_aside(void *arg)
{
	*(enum err *)arg = tend();
	return NULL;
}

START_TEST(an_rsa_key_that_is_being_made_holds_up_no_revocation)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct keyring_view *v;
	struct revoke_result r;
	enum err tended = ERR_INTERNAL;
	char kid[KID_MAX + 1];
	struct buf jwk, sealed;
	pthread_t thread;
	enum err e;

	o.config.keys.algs[1] = ALG_RS256;
	o.config.keys.alg_count = 2;
	keyring_configure(o.keyring, &o.config);
	OK(signer_generate_begin(&o.signer.control, ALG_RS256));
	OK(revoke_key(active.kid, &r));
	ck_assert_str_eq(r.signs_now, standby.kid);
	buf_init(&jwk, NULL, 4096);
	buf_init(&sealed, NULL, 8192);
	e = signer_generated(&o.signer.control, ALG_RS256, kid, &jwk, &sealed);
	ck_assert(e == ERR_BUSY || e == ERR_OK); /* it was neither waited for nor lost */
	buf_done(&jwk);
	buf_done(&sealed);
	/* the same while the plan waits for it */
	ck_assert_int_eq(pthread_create(&thread, NULL, tend_aside, &tended), 0);
	OK(revoke_key(standby.kid, &r));
	assert_signs_with(r.signs_now);
	pthread_join(thread, NULL);
	OK(tended);
	assert_gone(active.kid);
	assert_gone(standby.kid);
	v = keyring_view_get(o.keyring);
	ck_assert_ptr_nonnull(key_plan_find(v->infos, v->count, ALG_RS256, KEY_STANDBY));
	keyring_view_unref(v);
}
END_TEST

static void add_tests(TCase *tc)
{
	const TTest *const tests[] = {
		a_revoked_key_is_gone_and_the_standby_signs_the_next_token,
		a_standby_that_nobody_may_hold_yet_signs_all_the_same,
		a_revoked_standby_is_replaced_and_the_active_key_signs_on,
		a_revoked_retiring_key_takes_its_tokens_along,
		a_kid_that_is_not_there_changes_nothing,
		a_second_time_is_told_and_does_nothing,
		what_this_process_did_not_see_is_not_called_exact,
		what_this_process_signed_alone_is_counted_exactly,
		a_retiring_key_knows_its_last_expiry,
		a_shorter_promise_of_today_does_not_shorten_what_caches_hold,
		without_a_standby_one_is_made_and_signs,
		a_standby_that_does_not_open_makes_room_for_one_that_does,
		a_revocation_waits_for_no_key_to_be_made,
		a_restored_database_does_not_bring_a_revoked_key_back,
		where_both_were_revoked_neither_signs_again,
		a_list_that_was_lost_is_told_of_and_put_back_at_the_start,
		or_by_the_next_revocation,
		a_list_that_cannot_be_read_stops_the_start,
		an_rsa_key_that_is_being_made_holds_up_no_revocation,
	};

	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
#ifdef CHANCERY_FAULTS
	tcase_add_test(tc, until_one_is_made_nothing_is_signed_and_no_set_is_kept);
#endif
}

int main(void)
{
	TCase *tc = tcase_create("keyring emergency");

	tcase_add_checked_fixture(tc, keyring_up, keyring_down);
	add_tests(tc);
	return suite_run_case("keyring emergency", tc);
}
