/* The keyring's custody: another master key, everything anew. */
#include "base/fault.h"
#include "tests/helpers/keyring_fixture.h"
#include "tests/unit/suite.h"

static const struct secret next_master = { "the next one, of thirty-two byte" };

/* A supervisor that keeps the master key: prepare makes the next one known to the signer, commit
 * makes it the present one. Either can be told to fail. */
static struct keeper {
	enum err prepare, commit;
	int prepared, committed;
	bool next; /* there is one that is not the present one */
} keeper;

static enum err keeper_prepare(void *arg)
{
	struct keeper *keep = arg;

	keep->prepared++;
	if (keep->prepare)
		return keep->prepare;
	keep->next = true;
	return signer_master_next(&o.signer.custody, &next_master);
}

static enum err keeper_commit(void *arg)
{
	struct keeper *keep = arg;

	keep->committed++;
	if (keep->commit)
		return keep->commit;
	if (!keep->next)
		return ERR_NOT_FOUND;
	keep->next = false;
	o.signer.master = next_master;
	return signer_master_commit(&o.signer.custody);
}

static void up(void)
{
	keeper = (struct keeper){ .prepare = ERR_OK };
	o.custody = (struct keyring_custody){ keeper_prepare, keeper_commit, &keeper };
	keyring_up();
}

static void close_all(void)
{
	keyring_free(o.keyring);
	o.keyring = NULL;
	store_fixture_reopen(&o.store);
	signer_fixture_restart(&o.signer);
}

/* As the supervisor starts a signer while there is a next master key. */
static enum err open_with_both(void)
{
	close_all();
	if (keeper.next)
		OK(signer_master_next(&o.signer.custody, &next_master));
	return open_keyring(false);
}

static struct secret derive(const char *label)
{
	struct secret key;

	OK(keyring_derive(o.keyring, label, &key));
	return key;
}

static const struct audit_row audit = {
	.at = FIXTURE_NOW,
	.event = STR("key.rewrap"),
	.outcome = STR("ok"),
	.actor = STR("uid:0"),
	.count = 1,
};

/* ---- another master key ---- */

START_TEST(under_a_new_master_key_nothing_else_changes)
{
	struct key_info active = info_of(KEY_ACTIVE), standby = info_of(KEY_STANDBY);
	struct secret refresh = derive("refresh"), again, old = o.signer.master;
	struct issued token;
	size_t roots = 0;

	OK(issue(300, &token));
	OK(keyring_rewrap(o.keyring, &audit, &roots));
	ck_assert_uint_eq(roots, 1);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM audit WHERE event = 'key.rewrap'"), 1);
	assert_signs_with(active.kid);
	ck_assert(verifies(&token));
	reopen();
	again = derive("refresh");
	ck_assert(secret_equal(&refresh, &again));
	ck_assert_str_eq(info_of(KEY_STANDBY).kid, standby.kid);
	assert_signs_with(active.kid);
	ck_assert_uint_eq(keyring_key_id(o.keyring), 1);
	close_all();
	o.signer.master = old;
	signer_fixture_restart(&o.signer);
	ck_assert_int_eq(open_keyring(false), ERR_BAD_SIGNATURE);
}
END_TEST

START_TEST(a_new_signer_opens_what_was_sealed_anew)
{
	struct key_info active = info_of(KEY_ACTIVE);
	size_t roots;

	OK(keyring_rewrap(o.keyring, NULL, &roots));
	signer_fixture_restart(&o.signer);
	OK(keyring_reload_signer(o.keyring, &o.signer.control));
	assert_signs_with(active.kid);
	OK(tend());
}
END_TEST

START_TEST(without_a_next_master_key_nothing_happens)
{
	size_t roots = 77;

	keeper.prepare = ERR_NOT_FOUND;
	ck_assert_int_eq(keyring_rewrap(o.keyring, NULL, &roots), ERR_NOT_FOUND);
	ck_assert_uint_eq(roots, 77);
	ck_assert_int_eq(keeper.committed, 0);
	reopen();
	assert_signs_with(info_of(KEY_ACTIVE).kid);
}
END_TEST

START_TEST(where_nobody_keeps_the_master_key_it_does_not_change)
{
	struct revoke_result results[REVOKE_ALL_MAX];
	struct key_info active = info_of(KEY_ACTIVE);
	size_t n;

	o.custody = (struct keyring_custody){ NULL, NULL, NULL };
	reopen();
	ck_assert_int_eq(keyring_rewrap(o.keyring, NULL, &n), ERR_UNSUPPORTED);
	ck_assert_int_eq(keyring_revoke_all(o.keyring, NULL, results, &n), ERR_UNSUPPORTED);
	assert_signs_with(active.kid);
	OK(tend());
}
END_TEST

/* What the keyring and the next start make of a change that was cut off. */
static void assert_change_can_be_ended(void)
{
	struct key_info active = info_of(KEY_ACTIVE);
	size_t roots;

	tend_until_done();
	assert_signs_with(active.kid);
	OK(keyring_rewrap(o.keyring, NULL, &roots));
	reopen();
	assert_signs_with(active.kid);
	ck_assert(secret_equal(&o.signer.master, &next_master));
}

static void assert_next_start_ends_it(bool durable)
{
	struct key_info active = info_of(KEY_ACTIVE);

	keeper.committed = 0;
	OK(open_with_both());
	ck_assert_int_eq(keeper.committed, durable);
	ck_assert_int_eq(secret_equal(&o.signer.master, &next_master), durable);
	assert_signs_with(active.kid);
	reopen();
	assert_signs_with(active.kid);
}

START_TEST(a_change_that_the_store_refused_can_be_made_again)
{
	size_t roots;

	o.mood = STORE_REFUSES;
	ck_assert_int_eq(keyring_rewrap(o.keyring, NULL, &roots), ERR_FULL);
	o.mood = STORE_WORKS;
	assert_change_can_be_ended();
}
END_TEST

START_TEST(a_change_whose_answer_was_lost_can_be_made_again)
{
	size_t roots;

	o.mood = STORE_HIDES_THE_COMMIT;
	ck_assert_int_eq(keyring_rewrap(o.keyring, NULL, &roots), ERR_UNAVAILABLE);
	o.mood = STORE_WORKS;
	assert_change_can_be_ended();
}
END_TEST

START_TEST(a_change_whose_answer_was_lost_is_ended_by_the_next_start)
{
	size_t roots;

	o.mood = STORE_HIDES_THE_COMMIT;
	ck_assert_int_eq(keyring_rewrap(o.keyring, NULL, &roots), ERR_UNAVAILABLE);
	o.mood = STORE_WORKS;
	assert_next_start_ends_it(true);
}
END_TEST

START_TEST(a_keeper_that_fails_at_the_end_is_asked_again)
{
	size_t roots;

	keeper.commit = ERR_IO;
	ck_assert_int_eq(keyring_rewrap(o.keyring, NULL, &roots), ERR_IO);
	ck_assert_int_eq(open_with_both(), ERR_IO);
	keeper.commit = ERR_OK;
	OK(open_with_both());
	assert_change_can_be_ended();
}
END_TEST

#ifdef CHANCERY_FAULTS
static const struct cut {
	const char *spec;
	bool durable;
} rewrap_cuts[] = {
	{ "key.rewrap.prepared:1:error", false },
	{ "key.rewrap.committed:1:error", true },
};

START_TEST(a_change_cut_off_anywhere_is_ended_by_the_next_start)
{
	size_t roots;

	fault_arm(rewrap_cuts[_i].spec);
	ck_assert_int_eq(keyring_rewrap(o.keyring, NULL, &roots), ERR_IO);
	fault_arm(NULL);
	ck_assert_int_eq(keeper.committed, 0);
	assert_next_start_ends_it(rewrap_cuts[_i].durable);
}
END_TEST

START_TEST(a_change_cut_off_anywhere_can_be_made_again)
{
	size_t roots;

	fault_arm(rewrap_cuts[_i].spec);
	ck_assert_int_eq(keyring_rewrap(o.keyring, NULL, &roots), ERR_IO);
	fault_arm(NULL);
	assert_change_can_be_ended();
}
END_TEST
#endif

/* ---- everything anew ---- */

static struct revoke_result results[REVOKE_ALL_MAX];
static size_t result_count;

static enum err revoke_all(void)
{
	result_count = 77;
	return keyring_revoke_all(o.keyring, &audit, results, &result_count);
}

static const char *const labels[] = { "refresh", "jti", "client-secret", "page-token",
				      "access-token" };

struct before {
	struct key_info active, standby, retiring;
	struct secret secrets[COUNT(labels)];
	struct issued token;
};

/* With a key in every state, and a token of the one that retires. */
static struct before look(void)
{
	struct rotate_result rotated = { .kid = "" };
	struct before b;

	OK(issue(300, &b.token));
	OK(rotate(false, &rotated));
	b.active = info_of(KEY_ACTIVE);
	b.standby = info_of(KEY_STANDBY);
	b.retiring = info_of(KEY_RETIRING);
	for (size_t i = 0; i < COUNT(labels); i++)
		b.secrets[i] = derive(labels[i]);
	return b;
}

static void assert_all_gone(const struct before *b)
{
	assert_gone(b->active.kid);
	assert_gone(b->standby.kid);
	assert_gone(b->retiring.kid);
	ck_assert(!verifies(&b->token));
}

/* Nothing is signed and nothing is done, however often the plan is followed. */
static void assert_over(const struct before *b)
{
	struct rotate_result rotated;
	struct issued token;
	size_t roots;

	ck_assert(keyring_is_over(o.keyring));
	ck_assert_int_eq(issue(300, &token), ERR_UNAVAILABLE);
	assert_all_gone(b);
	advance(PERIOD);
	tend_until_done();
	ck_assert_int_eq(rotate(true, &rotated), ERR_UNAVAILABLE);
	ck_assert_int_eq(keyring_rewrap(o.keyring, NULL, &roots), ERR_UNAVAILABLE);
	ck_assert_int_eq(revoke_key(b->active.kid, &results[0]), ERR_REUSED);
	ck_assert_int_eq(issue(300, &token), ERR_UNAVAILABLE);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM keys WHERE state <> 'revoked'"), 0);
	ck_assert_int_eq(count_rows("SELECT MAX(version) FROM roots"), 2);
}

/* The start after it. */
static void assert_anew(const struct before *b)
{
	assert_all_gone(b);
	ck_assert(!keyring_is_over(o.keyring));
	ck_assert_uint_eq(keyring_key_id(o.keyring), 2);
	ck_assert_int_eq(info_of(KEY_ACTIVE).origin, KEY_ORIGIN_EMERGENCY);
	ck_assert_int_eq(info_of(KEY_ACTIVE).root_version, 2);
	ck_assert_int_eq(info_of(KEY_STANDBY).origin, KEY_ORIGIN_EMERGENCY);
	assert_signs_with(info_of(KEY_ACTIVE).kid);
	assert_lint();
	for (size_t i = 0; i < COUNT(labels); i++) {
		struct secret key = derive(labels[i]);

		/* what only hashes secrets of 256 bits stays, so that clients keep theirs */
		ck_assert_int_eq(secret_equal(&key, &b->secrets[i]), i == 2);
	}
	ck_assert(secret_equal(&o.signer.master, &next_master));
}

START_TEST(all_keys_go_and_the_next_start_begins_anew)
{
	struct before b = look();
	struct key_info first;

	OK(revoke_all());
	ck_assert_uint_eq(result_count, 3);
	for (size_t i = 0; i < result_count; i++) {
		ck_assert_int_eq(stored(results[i].kid).state, KEY_REVOKED);
		ck_assert_str_eq(results[i].signs_now, "");
	}
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM audit WHERE event = 'key.rewrap'"), 1);
	assert_over(&b);
	reopen();
	assert_anew(&b);
	first = info_of(KEY_ACTIVE);
	reopen(); /* once */
	ck_assert_str_eq(info_of(KEY_ACTIVE).kid, first.kid);
}
END_TEST

START_TEST(a_new_signer_before_the_next_start_signs_nothing)
{
	struct before b = look();
	struct issued token;

	OK(revoke_all());
	signer_fixture_restart(&o.signer);
	OK(keyring_reload_signer(o.keyring, &o.signer.control));
	tend_until_done();
	ck_assert_int_eq(issue(300, &token), ERR_UNAVAILABLE);
	reopen();
	assert_anew(&b);
}
END_TEST

START_TEST(a_second_call_only_ends_the_first)
{
	struct before b = look();

	OK(revoke_all());
	OK(revoke_all());
	ck_assert_uint_eq(result_count, 0);
	assert_over(&b);
	reopen();
	assert_anew(&b);
}
END_TEST

START_TEST(several_roots_are_sealed_anew_together)
{
	struct before b = look();
	size_t roots;

	OK(revoke_all());
	reopen();
	OK(keyring_rewrap(o.keyring, NULL, &roots));
	ck_assert_uint_eq(roots, 2);
	reopen();
	assert_anew(&b);
	OK(revoke_all());
	ck_assert_uint_eq(result_count, 2);
	reopen();
	ck_assert_uint_eq(keyring_key_id(o.keyring), 3);
	assert_whole();
}
END_TEST

START_TEST(a_store_that_refuses_all_leaves_the_list)
{
	struct before b = look();
	struct key_info fresh;

	o.mood = STORE_REFUSES;
	ck_assert_int_eq(revoke_all(), ERR_FULL);
	o.mood = STORE_WORKS;
	tend_until_done();
	assert_signs_with(b.active.kid);
	/* a start revokes what is listed, under the root there is */
	OK(open_with_both());
	assert_all_gone(&b);
	fresh = info_of(KEY_ACTIVE);
	ck_assert_int_eq(fresh.root_version, 1);
	assert_signs_with(fresh.kid);
	OK(revoke_all());
	reopen();
	assert_anew(&b);
}
END_TEST

START_TEST(a_lost_answer_ends_everything_as_well)
{
	struct before b = look();

	o.mood = STORE_HIDES_THE_COMMIT;
	ck_assert_int_eq(revoke_all(), ERR_UNAVAILABLE);
	o.mood = STORE_WORKS;
	if (_i == 1) {
		OK(revoke_all());
		ck_assert(secret_equal(&o.signer.master, &next_master));
	}
	tend_until_done();
	assert_over(&b);
	OK(open_with_both());
	assert_anew(&b);
}
END_TEST

START_TEST(a_keeper_that_fails_at_the_end_of_everything)
{
	struct before b = look();

	keeper.commit = ERR_IO;
	ck_assert_int_eq(revoke_all(), ERR_IO);
	assert_over(&b);
	if (_i == 1)
		ck_assert_int_eq(revoke_all(), ERR_IO);
	keeper.commit = ERR_OK;
	if (_i == 1)
		OK(revoke_all());
	OK(open_with_both());
	assert_anew(&b);
}
END_TEST

#ifdef CHANCERY_FAULTS
static const struct cut all_cuts[] = {
	{ "key.revoke_all.listed:1:error", false },
	{ "revoked_kids.write:2:full", false },
	{ "key.revoke_all.committed:1:error", true },
};

START_TEST(everything_cut_off_anywhere_can_be_ended)
{
	struct before b = look();

	fault_arm(all_cuts[_i].spec);
	ck_assert_int_ne(revoke_all(), ERR_OK);
	fault_arm(NULL);
	OK(revoke_all());
	assert_over(&b);
	reopen();
	assert_anew(&b);
}
END_TEST

START_TEST(everything_cut_off_after_its_commit_is_ended_by_a_start)
{
	struct before b = look();

	fault_arm("key.revoke_all.committed:1:error");
	ck_assert_int_eq(revoke_all(), ERR_IO);
	fault_arm(NULL);
	if (_i == 1) {
		tend_until_done();
		assert_over(&b);
	}
	OK(open_with_both());
	assert_anew(&b);
}
END_TEST
#endif

static void add_tests(TCase *tc)
{
	const TTest *const tests[] = {
		under_a_new_master_key_nothing_else_changes,
		a_new_signer_opens_what_was_sealed_anew,
		without_a_next_master_key_nothing_happens,
		where_nobody_keeps_the_master_key_it_does_not_change,
		a_change_that_the_store_refused_can_be_made_again,
		a_change_whose_answer_was_lost_can_be_made_again,
		a_change_whose_answer_was_lost_is_ended_by_the_next_start,
		a_keeper_that_fails_at_the_end_is_asked_again,
		all_keys_go_and_the_next_start_begins_anew,
		a_new_signer_before_the_next_start_signs_nothing,
		a_second_call_only_ends_the_first,
		several_roots_are_sealed_anew_together,
		a_store_that_refuses_all_leaves_the_list,
	};

	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
	tcase_add_loop_test(tc, a_lost_answer_ends_everything_as_well, 0, 2);
	tcase_add_loop_test(tc, a_keeper_that_fails_at_the_end_of_everything, 0, 2);
#ifdef CHANCERY_FAULTS
	tcase_add_loop_test(tc, a_change_cut_off_anywhere_is_ended_by_the_next_start, 0,
			    COUNT(rewrap_cuts));
	tcase_add_loop_test(tc, a_change_cut_off_anywhere_can_be_made_again, 0, COUNT(rewrap_cuts));
	tcase_add_loop_test(tc, everything_cut_off_anywhere_can_be_ended, 0, COUNT(all_cuts));
	tcase_add_loop_test(tc, everything_cut_off_after_its_commit_is_ended_by_a_start, 0, 2);
#endif
}

int main(void)
{
	TCase *tc = tcase_create("keyring custody");

	tcase_add_checked_fixture(tc, up, keyring_down);
	add_tests(tc);
	return suite_run_case("keyring custody", tc);
}
