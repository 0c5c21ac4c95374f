/* A revocation that is cut off: by the store, by the signer, at every step. Nothing that is
 * committed is lost, nothing that is listed comes back, and somebody signs in the end. */
#include "base/fault.h"
#include "tests/helpers/keyring_fixture.h"
#include "tests/unit/suite.h"

/* ---- with the store failing ---- */

START_TEST(a_store_that_refuses_leaves_the_list_and_another_try)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct keyring_counts counts;
	struct revoke_result r;

	o.mood = STORE_REFUSES;
	ck_assert_int_eq(revoke_key(active.kid, &r), ERR_FULL);
	ck_assert(is_listed(active.kid));
	o.mood = STORE_WORKS;
	OK(tend());
	assert_signs_with(active.kid);
	ck_assert(!is_held(standby.kid)); /* opened for nothing */
	keyring_counts(o.keyring, &counts);
	ck_assert_uint_eq(counts.emergency, 0);
	OK(revoke_key(active.kid, &r));
	assert_signs_with(standby.kid);
	assert_gone(active.kid);
	assert_whole();
}
END_TEST

START_TEST(what_is_on_the_list_is_revoked_at_the_next_start)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct revoke_result r;

	o.mood = STORE_REFUSES;
	ck_assert_int_eq(revoke_key(active.kid, &r), ERR_FULL);
	o.mood = STORE_WORKS;
	reopen();
	assert_gone(active.kid);
	assert_signs_with(standby.kid);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM audit WHERE event = 'key.revoke' AND "
				    "actor = 'system' AND reason <> ''"),
			 1);
	OK(tend());
	assert_whole();
}
END_TEST

START_TEST(a_commit_whose_answer_was_lost_takes_effect)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct revoke_result r;

	o.mood = STORE_HIDES_THE_COMMIT;
	ck_assert_int_eq(revoke_key(active.kid, &r), ERR_UNAVAILABLE);
	o.mood = STORE_WORKS;
	OK(tend());
	assert_signs_with(standby.kid);
	assert_gone(active.kid);
	ck_assert_int_eq(revoke_key(active.kid, &r), ERR_REUSED);
	ck_assert_str_eq(r.signs_now, standby.kid);
	tend_until_done();
	assert_whole();
}
END_TEST

START_TEST(a_lost_answer_without_a_standby_stops_the_bad_key_too)
{
	struct key_info active = info_of(KEY_ACTIVE);
	struct revoke_result r;

	lose_standby();
	o.mood = STORE_HIDES_THE_COMMIT;
	ck_assert_int_eq(revoke_key(active.kid, &r), ERR_UNAVAILABLE);
	o.mood = STORE_WORKS;
	ck_assert_int_eq(revoke_key(active.kid, &r), ERR_REUSED);
	assert_gone(active.kid);
	tend_until_done();
	assert_whole();
}
END_TEST

START_TEST(a_new_signer_does_not_get_a_key_that_a_lost_commit_revoked)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct revoke_result r;

	o.mood = STORE_HIDES_THE_COMMIT;
	ck_assert_int_eq(revoke_key(active.kid, &r), ERR_UNAVAILABLE);
	o.mood = STORE_WORKS;
	signer_fixture_restart(&o.signer);
	OK(keyring_reload_signer(o.keyring, &o.signer.control));
	assert_gone(active.kid);
	assert_signs_with(standby.kid);
	tend_until_done();
	assert_whole();
}
END_TEST

/* ---- with the signer failing ---- */

START_TEST(a_signer_that_is_gone_keeps_no_key_alive)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct revoke_result r;

	signer_fixture_kill(&o.signer);
	ck_assert_int_eq(revoke_key(active.kid, &r), ERR_UNAVAILABLE);
	ck_assert_int_eq(stored(active.kid).state, KEY_REVOKED);
	ck_assert(!is_published(active.kid));
	ck_assert_int_eq(revoke_key(active.kid, &r), ERR_REUSED);
	/* still without one, and yet the next bad key is gone */
	ck_assert_int_eq(revoke_key(standby.kid, &r), ERR_UNAVAILABLE);
	ck_assert_int_eq(stored(standby.kid).state, KEY_REVOKED);
	signer_fixture_start(&o.signer);
	signer_fixture_clock(&o.signer, now());
	OK(keyring_reload_signer(o.keyring, &o.signer.control));
	tend_until_done();
	assert_gone(active.kid);
	assert_gone(standby.kid);
	assert_whole();
}
END_TEST

START_TEST(the_next_signer_signs_with_what_the_revocation_chose)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct revoke_result r;

	signer_fixture_kill(&o.signer);
	ck_assert_int_eq(revoke_key(active.kid, &r), ERR_UNAVAILABLE);
	signer_fixture_start(&o.signer);
	signer_fixture_clock(&o.signer, now());
	OK(keyring_reload_signer(o.keyring, &o.signer.control));
	assert_signs_with(standby.kid);
	assert_gone(active.kid);
	tend_until_done();
	assert_whole();
}
END_TEST

/* ---- at every step ---- */

#ifdef CHANCERY_FAULTS
static const struct cut {
	const char *spec;
	bool committed; /* the database says so */
} cuts[] = {
	{ "revoked_kids.write:1:full", false },	  { "key.revoke.listed:1:error", false },
	{ "key.revoke.committed:1:error", true }, { "key.revoke.switched:1:error", true },
	{ "key.revoke.published:1:error", true },
};

static void cut_off(const struct cut *cut, const char *kid)
{
	struct revoke_result r;

	fault_arm(cut->spec);
	ck_assert_int_ne(revoke_key(kid, &r), ERR_OK);
	fault_arm(NULL);
	ck_assert_int_eq(stored(kid).state, cut->committed ? KEY_REVOKED : KEY_ACTIVE);
}

START_TEST(cut_off_anywhere_another_try_ends_it)
{
	const struct cut *cut = &cuts[_i];
	struct key_info active = info_of(KEY_ACTIVE);
	struct keyring_counts counts;
	struct revoke_result r;

	cut_off(cut, active.kid);
	ck_assert_int_eq(revoke_key(active.kid, &r), cut->committed ? ERR_REUSED : ERR_OK);
	keyring_counts(o.keyring, &counts);
	ck_assert_uint_eq(counts.emergency, 1);
	assert_gone(active.kid);
	tend_until_done();
	assert_whole();
}
END_TEST

START_TEST(cut_off_anywhere_the_plan_ends_what_is_committed)
{
	const struct cut *cut = &cuts[_i];
	struct key_info active = info_of(KEY_ACTIVE);

	lose_standby();
	cut_off(cut, active.kid);
	tend_until_done();
	if (cut->committed)
		assert_gone(active.kid);
	else
		assert_signs_with(active.kid);
	assert_whole();
}
END_TEST

START_TEST(cut_off_anywhere_the_next_start_ends_what_is_listed)
{
	const struct cut *cut = &cuts[_i];
	struct key_info active = info_of(KEY_ACTIVE);

	lose_standby();
	cut_off(cut, active.kid);
	reopen();
	if (_i > 0)
		assert_gone(active.kid);
	else
		assert_signs_with(active.kid); /* not even listed */
	assert_signs_with(info_of(KEY_ACTIVE).kid);
	tend_until_done();
	assert_whole();
}
END_TEST
#endif

static void add_tests(TCase *tc)
{
	const TTest *const tests[] = {
		a_store_that_refuses_leaves_the_list_and_another_try,
		what_is_on_the_list_is_revoked_at_the_next_start,
		a_commit_whose_answer_was_lost_takes_effect,
		a_lost_answer_without_a_standby_stops_the_bad_key_too,
		a_new_signer_does_not_get_a_key_that_a_lost_commit_revoked,
		a_signer_that_is_gone_keeps_no_key_alive,
		the_next_signer_signs_with_what_the_revocation_chose,
	};

	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
#ifdef CHANCERY_FAULTS
	tcase_add_loop_test(tc, cut_off_anywhere_another_try_ends_it, 0, COUNT(cuts));
	tcase_add_loop_test(tc, cut_off_anywhere_the_plan_ends_what_is_committed, 0, COUNT(cuts));
	tcase_add_loop_test(tc, cut_off_anywhere_the_next_start_ends_what_is_listed, 0,
			    COUNT(cuts));
#endif
}

int main(void)
{
	TCase *tc = tcase_create("keyring cut off");

	tcase_add_checked_fixture(tc, keyring_up, keyring_down);
	add_tests(tc);
	return suite_run_case("keyring cut off", tc);
}
