/* Acts on keys with their k-th allocation failing, for every k: what is durable is followed, what
 * is not can be done again, and somebody signs. The signer is a process of its own and has memory.
 */
#include "tests/helpers/keyring_fixture.h"
#include "tests/helpers/mem_fail.h"
#include "tests/unit/suite.h"

enum { TOO_MANY = 2000 };

/* Before the act: while allocations fail libcheck must not be called. */
static struct key_info active, standby;

static enum err act_rotate(void)
{
	struct rotate_result r;

	return rotate(true, &r);
}

static enum err act_revoke(void)
{
	struct revoke_result r;

	return revoke_key(standby.kid, &r);
}

static enum err act_rewrap(void)
{
	size_t roots;

	return keyring_rewrap(o.keyring, NULL, &roots);
}

static enum err act_rehearse(void)
{
	return keyring_rehearse(o.keyring, ALG_ES256);
}

static const struct {
	const char *name;
	enum err (*run)(void);
} acts[] = {
	{ "rotate", act_rotate }, { "revoke", act_revoke },	{ "tend", tend },
	{ "rewrap", act_rewrap }, { "rehearse", act_rehearse },
};

static enum err prepare(void *arg)
{
	const struct secret next = { "the next one, of thirty-two byte" };

	(void)arg;
	return signer_master_next(&o.signer.custody, &next);
}

static enum err commit(void *arg)
{
	(void)arg;
	return signer_master_commit(&o.signer.custody);
}

static void up(void)
{
	o.custody = (struct keyring_custody){ prepare, commit, NULL };
	keyring_up();
}

/* The first ones one by one; most of the later ones are those of a view, key by key. */
static size_t after(size_t k)
{
	ck_assert_uint_lt(k, TOO_MANY);
	return k + 1 + k / 10;
}

/* OpenSSL does not say why it failed. */
static bool is_honest(enum err e)
{
	return e == ERR_OK || e == ERR_NOMEM || e == ERR_CRYPTO;
}

/* What the plan makes good, and no more dead keys than a test has patience for. */
static void catch_up(void)
{
	advance(11);
	OK(tend());
	OK(tend());
	change_database("DELETE FROM keys WHERE state IN ('revoked', 'removed')");
}

static size_t one_round(size_t act, size_t k)
{
	size_t count;
	enum err e;

	standby = info_of(KEY_STANDBY);
	advance(PERIOD); /* for tend: a rotation is due, a bound, and what retired leaves */
	mem_fail_arm(k, false);
	e = acts[act].run();
	count = mem_fail_count();
	mem_fail_arm(0, false);
	ck_assert_msg(is_honest(e), "%s, allocation %zu: %s", acts[act].name, k, err_name(e));
	catch_up();
	assert_signs_with(info_of(KEY_ACTIVE).kid);
	ck_assert_int_eq(stored(info_of(KEY_ACTIVE).kid).state, KEY_ACTIVE);
	ck_assert_str_ne(info_of(KEY_STANDBY).kid, "");
	ck_assert(!is_held(info_of(KEY_STANDBY).kid));
	return count;
}

START_TEST(no_act_is_left_half_done_for_want_of_memory)
{
	const size_t act = (size_t)_i;
	size_t k = 1;

	while (one_round(act, k) >= k)
		k = after(k);
	ck_assert_uint_gt(k, 1);
}
END_TEST

static size_t arm_at;

static void arm_once(void)
{
	mem_fail_arm(arm_at, false);
	o.after_step = NULL;
}

/* The switch is durable; what fails is to note the exact expiry of the key before it. */
START_TEST(a_switch_counts_when_what_follows_it_fails)
{
	for (int i = 0; i < 8; i++)
		OK(act_rotate()); /* so many rows that reading them takes allocations */
	for (arm_at = 1; arm_at < 8; arm_at++) {
		enum err e;

		standby = info_of(KEY_STANDBY);
		o.after_step = arm_once;
		e = act_rotate();
		mem_fail_arm(0, false);
		ck_assert_msg(is_honest(e), "allocation %zu: %s", arm_at, err_name(e));
		catch_up();
		assert_signs_with(standby.kid);
	}
}
END_TEST

/* Where the commit came before the failure the second call finds it done. */
START_TEST(a_revocation_without_memory_is_ended_by_another_try)
{
	size_t k = 1, count;

	do {
		struct revoke_result r;
		enum err e;

		active = info_of(KEY_ACTIVE);
		mem_fail_arm(k, false);
		e = revoke_key(active.kid, &r);
		count = mem_fail_count();
		mem_fail_arm(0, false);
		if (e)
			e = revoke_key(active.kid, &r);
		ck_assert(e == ERR_OK || e == ERR_REUSED);
		assert_gone(active.kid);
		catch_up();
		assert_signs_with(info_of(KEY_ACTIVE).kid);
		k = after(k);
	} while (count >= k);
}
END_TEST

static size_t open_round(size_t k)
{
	size_t count;
	enum err e;

	keyring_free(o.keyring);
	o.keyring = NULL;
	mem_fail_arm(k, false);
	e = open_keyring(false);
	count = mem_fail_count();
	mem_fail_arm(0, false);
	ck_assert_msg(is_honest(e), "allocation %zu: %s", k, err_name(e));
	if (e)
		OK(open_keyring(false));
	assert_signs_with(info_of(KEY_ACTIVE).kid);
	return count;
}

START_TEST(an_opening_without_memory_changes_nothing)
{
	size_t k = 1;

	active = info_of(KEY_ACTIVE);
	while (open_round(k) >= k)
		k = after(k);
	ck_assert_str_eq(info_of(KEY_ACTIVE).kid, active.kid);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keyring without memory");
	TCase *tc = tcase_create("keyring without memory");
	SRunner *runner = srunner_create(s);
	int failed;

	mem_fail_libraries();
	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, up, keyring_down);
	tcase_add_loop_test(tc, no_act_is_left_half_done_for_want_of_memory, 0, COUNT(acts));
	tcase_add_test(tc, a_switch_counts_when_what_follows_it_fails);
	tcase_add_test(tc, a_revocation_without_memory_is_ended_by_another_try);
	tcase_add_test(tc, an_opening_without_memory_changes_nothing);
	suite_add_tcase(s, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
