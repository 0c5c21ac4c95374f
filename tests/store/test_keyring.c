/* The keyring: opening, and rotation by hand. */
#include "server/request/audit.h"
#include "server/state/keyring_priv.h"
#include "tests/helpers/keyring_fixture.h"
#include "tests/unit/suite.h"

/* ---- opening ---- */

START_TEST(the_first_keys_are_ready_and_a_second_opening_changes_nothing)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);

	ck_assert_int_eq(active.ready_at, FIXTURE_NOW);
	ck_assert_int_eq(active.publish_at, FIXTURE_NOW - READY_AFTER);
	ck_assert_int_eq(standby.ready_at, FIXTURE_NOW);
	ck_assert_int_eq(standby.activate_at, FIXTURE_NOW + PERIOD);
	assert_lint();
	assert_signs_with(active.kid);
	reopen();
	ck_assert_str_eq(info_of(KEY_ACTIVE).kid, active.kid);
	ck_assert_str_eq(info_of(KEY_STANDBY).kid, standby.kid);
	assert_signs_with(active.kid);
	keyring_free(o.keyring);
	OK(open_keyring(true)); /* init, again */
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM keys"), 2);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM roots"), 1);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM audit WHERE event = 'key.create'"), 2);
}
END_TEST

START_TEST(secrets_derived_survive_a_restart)
{
	struct secret before, after;

	OK(keyring_derive(o.keyring, "refresh", &before));
	reopen();
	OK(keyring_derive(o.keyring, "refresh", &after));
	ck_assert(secret_equal(&before, &after));
}
END_TEST

static void empty_tables(const char *sql)
{
	keyring_free(o.keyring);
	o.keyring = NULL;
	OK(db_script(o.store.db, sql));
	signer_fixture_restart(&o.signer);
}

START_TEST(without_keys_and_without_leave_nothing_is_made)
{
	empty_tables("DELETE FROM keys; DELETE FROM roots;");
	ck_assert_int_eq(open_keyring(false), ERR_NOT_FOUND);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM keys"), 0);
}
END_TEST

START_TEST(a_root_without_keys_is_damage_and_not_a_beginning)
{
	empty_tables("DELETE FROM keys;");
	ck_assert_int_eq(open_keyring(true), ERR_CORRUPT);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM keys"), 0);
}
END_TEST

START_TEST(keys_without_a_root_are_damage_too)
{
	empty_tables("DELETE FROM roots;");
	ck_assert_int_eq(open_keyring(true), ERR_CORRUPT);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM roots"), 0);
}
END_TEST

START_TEST(another_master_key_opens_nothing_and_changes_nothing)
{
	keyring_free(o.keyring);
	o.keyring = NULL;
	o.signer.master.b[31] ^= 1;
	signer_fixture_restart(&o.signer);
	ck_assert_int_eq(open_keyring(true), ERR_BAD_SIGNATURE);
	o.signer.master.b[31] ^= 1;
	signer_fixture_restart(&o.signer);
	OK(open_keyring(false));
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM keys"), 2);
}
END_TEST

START_TEST(a_public_half_that_was_exchanged_is_noticed)
{
	empty_tables("UPDATE keys SET public_jwk = (SELECT public_jwk FROM keys "
		     "WHERE state = 'standby') WHERE state = 'active';");
	ck_assert_int_eq(open_keyring(false), ERR_CORRUPT);
}
END_TEST

START_TEST(a_private_half_that_was_exchanged_is_noticed)
{
	empty_tables("UPDATE keys SET sealed = (SELECT sealed FROM keys "
		     "WHERE state = 'standby') WHERE state = 'active';");
	ck_assert_int_eq(open_keyring(false), ERR_BAD_SIGNATURE);
}
END_TEST

START_TEST(the_keyrings_events_have_the_names_of_the_table)
{
	ck_assert(str_equal_z(KEY_EVENT_CREATE, audit_name(AUDIT_KEY_CREATE)));
	ck_assert(str_equal_z(KEY_EVENT_ROTATE, audit_name(AUDIT_KEY_ROTATE)));
	ck_assert(str_equal_z(KEY_EVENT_REMOVE, audit_name(AUDIT_KEY_REMOVE)));
	ck_assert(str_equal_z(KEY_EVENT_REVOKE, audit_name(AUDIT_KEY_REVOKE)));
	ck_assert(str_equal_z(KEY_EVENT_RELIST, audit_name(AUDIT_KEY_RELIST)));
}
END_TEST

/* ---- rotation by hand ---- */

START_TEST(a_rotation_switches_at_once_and_old_tokens_stay_good)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	const struct audit_row audit = { .at = now(),
					 .event = STR("key.rotate"),
					 .outcome = STR("ok"),
					 .actor = STR("uid:0"),
					 .count = 1 };
	struct rotate_result r = { .kid = "" };
	struct keyring_counts counts;
	struct issued old;

	OK(issue(300, &old));
	OK(keyring_rotate(o.keyring, ALG_ES256, false, &audit, &r));
	ck_assert_str_eq(r.kid, standby.kid);
	ck_assert_str_eq(r.retired, active.kid);
	assert_signs_with(standby.kid);
	ck_assert(verifies(&old));
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM audit WHERE actor = 'uid:0'"), 1);
	ck_assert_int_eq(count_rows("SELECT length(sealed) FROM keys WHERE state = 'retiring'"), 0);
	keyring_counts(o.keyring, &counts);
	ck_assert_uint_eq(counts.manual, 1);
	ck_assert_uint_eq(counts.scheduled + counts.failed, 0);
	assert_lint();
}
END_TEST

START_TEST(a_second_rotation_waits_until_the_standby_is_known)
{
	struct rotate_result r = { .kid = "" };
	struct key_info standby;

	OK(rotate(false, &r));
	standby = info_of(KEY_STANDBY);
	ck_assert_int_eq(rotate(false, &r), ERR_NOT_READY);
	ck_assert_int_eq(r.ready_at, now() + READY_AFTER);
	ck_assert_int_eq(r.ready_at, standby.ready_at);
	advance(READY_AFTER - 1);
	ck_assert_int_eq(rotate(false, &r), ERR_NOT_READY);
	advance(1);
	OK(rotate(false, &r));
	ck_assert_str_eq(r.kid, standby.kid);
}
END_TEST

START_TEST(force_goes_ahead_and_is_marked)
{
	struct rotate_result r = { .kid = "" };

	OK(rotate(true, &r));
	ck_assert(!stored(r.kid).forced); /* it was ready */
	OK(rotate(true, &r));
	assert_signs_with(r.kid);
	ck_assert(stored(r.kid).forced);
	assert_lint();
	ck_assert_int_eq(keyring_rotate(o.keyring, ALG_RS256, true, NULL, &r), ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_set_that_is_full_takes_no_more_rotations)
{
	struct rotate_result r = { .kid = "" };
	int64_t next;
	bool changed;
	enum err e;

	while (!(e = rotate(true, &r)))
		;
	ck_assert_int_eq(e, ERR_BUSY);
	ck_assert_uint_eq(count_in(KEY_RETIRING), JWKS_KEYS_MAX - 2);
	assert_signs_with(r.kid); /* the last one that was switched to */
	advance(2 * ACCESS_TTL_MAX);
	for (int i = 0; i < 4; i++) /* they leave a few at a time */
		OK(keyring_tend(o.keyring, &next, &changed));
	ck_assert_uint_eq(count_in(KEY_RETIRING), 0);
	OK(rotate(true, &r));
	assert_signs_with(r.kid);
}
END_TEST

START_TEST(the_exact_last_expiry_replaces_the_bound)
{
	struct rotate_result r = { .kid = "" };
	struct key_info old;
	struct issued token;

	advance(1);
	/* the first key may have been used by a signer before this one: the longest lifetime counts
	 */
	OK(rotate(false, &r));
	old = stored(r.retired);
	ck_assert_int_eq(old.last_exp, FIXTURE_NOW + ACCESS_TTL_MAX + KEYRING_SKEW);
	ck_assert_int_eq(old.remove_at, old.last_exp + KEYRING_SKEW);
	/* the second was used by nobody else */
	advance(READY_AFTER);
	OK(issue(777, &token));
	OK(issue(300, &token));
	OK(rotate(false, &r));
	old = stored(r.retired);
	ck_assert_int_eq(old.last_exp, now() + 777);
	ck_assert_int_eq(old.remove_at, now() + 777 + KEYRING_SKEW);
	/* the third signed nothing */
	advance(READY_AFTER);
	OK(rotate(false, &r));
	ck_assert_int_eq(stored(r.retired).last_exp, now());
}
END_TEST

START_TEST(no_last_expiry_is_later_than_the_bound)
{
	struct key_info active = info_of(KEY_ACTIVE);
	struct rotate_result r = { .kid = "" };

	advance(2 * KEYRING_BOUND_STEP); /* nobody tended */
	signer_fixture_restart(&o.signer);
	OK(keyring_reload_signer(o.keyring, &o.signer.control));
	OK(rotate(false, &r));
	ck_assert_int_eq(stored(active.kid).last_exp, active.exp_bound);
	assert_lint();
}
END_TEST

START_TEST(a_new_signer_forgets_what_was_signed_and_the_plan_does_not)
{
	struct rotate_result r = { .kid = "" };
	int64_t restarted_at;
	struct issued token;

	OK(rotate(false, &r));
	advance(READY_AFTER);
	OK(issue(ACCESS_TTL_MAX, &token));
	advance(10);
	signer_fixture_restart(&o.signer);
	restarted_at = now();
	ck_assert_int_eq(issue(300, &token), ERR_UNAVAILABLE);
	OK(keyring_reload_signer(o.keyring, &o.signer.control));
	assert_signs_with(r.kid);
	OK(rotate(false, &r));
	ck_assert_int_eq(stored(r.retired).last_exp, restarted_at + ACCESS_TTL_MAX + KEYRING_SKEW);
	assert_lint();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_first_keys_are_ready_and_a_second_opening_changes_nothing,
		secrets_derived_survive_a_restart,
		without_keys_and_without_leave_nothing_is_made,
		a_root_without_keys_is_damage_and_not_a_beginning,
		keys_without_a_root_are_damage_too,
		another_master_key_opens_nothing_and_changes_nothing,
		a_public_half_that_was_exchanged_is_noticed,
		a_private_half_that_was_exchanged_is_noticed,
		the_keyrings_events_have_the_names_of_the_table,
		a_rotation_switches_at_once_and_old_tokens_stay_good,
		a_second_rotation_waits_until_the_standby_is_known,
		force_goes_ahead_and_is_marked,
		a_set_that_is_full_takes_no_more_rotations,
		the_exact_last_expiry_replaces_the_bound,
		no_last_expiry_is_later_than_the_bound,
		a_new_signer_forgets_what_was_signed_and_the_plan_does_not,
	};
	TCase *tc = tcase_create("keyring");

	tcase_add_checked_fixture(tc, keyring_up, keyring_down);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
	return suite_run_case("keyring", tc);
}
