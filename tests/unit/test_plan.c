/* keys/plan: the life of a key as arithmetic. */
#include "base/secret.h"
#include "tests/unit/plan_set.h"

START_TEST(a_healthy_set_needs_nothing)
{
	struct set set = healthy_set();
	struct key_step steps[8];
	char text[256];

	ck_assert_uint_eq(due(&set, 3, NOW, steps), 0);
	ck_assert_ptr_null(
		key_plan_lint(infos(&set), 3, &policy, es256, 1, NOW, text, sizeof(text)));
}
END_TEST

START_TEST(a_switch_comes_at_its_planned_second_and_not_before)
{
	struct set set = quiet_set();
	int64_t at = set.standby.activate_at;
	struct key_step steps[8];

	ck_assert_uint_eq(due(&set, 3, at - 1, steps), 0);
	assert_one_step(&set, at, KEY_ACT_ROTATE, "standby");
	ck_assert_int_eq(key_plan_next(infos(&set), 3, &policy, NOW), at);
	ck_assert_int_eq(key_plan_next(infos(&set), 3, &policy, at + 5), at + 5);
}
END_TEST

START_TEST(a_switch_waits_until_every_verifier_can_hold_the_key)
{
	struct set set = quiet_set();
	struct key_step steps[8];
	int64_t ready_at = 0;

	set.standby.activate_at = NOW - 5;
	set.standby.ready_at = NOW + 50;
	ck_assert_uint_eq(due(&set, 3, NOW + 49, steps), 0);
	assert_one_step(&set, NOW + 50, KEY_ACT_ROTATE, "standby");
	ck_assert(!key_plan_ready(infos(&set), 3, ALG_ES256, NOW + 49, &ready_at));
	ck_assert_int_eq(ready_at, NOW + 50);
	ck_assert(key_plan_ready(infos(&set), 3, ALG_ES256, NOW + 50, &ready_at));
	ck_assert(!key_plan_ready(infos(&set), 3, ALG_RS256, NOW + 50, &ready_at));
	ck_assert_int_eq(ready_at, 0);
}
END_TEST

START_TEST(without_an_active_key_only_a_revoked_one_excuses_haste)
{
	struct set set = quiet_set();
	struct key_step steps[8];

	set.standby.ready_at = NOW + 50;
	set.active.state = KEY_REMOVED;
	set.active.remove_at = NOW;
	ck_assert_uint_eq(due(&set, 3, NOW + 49, steps), 0);
	assert_one_step(&set, NOW + 50, KEY_ACT_ROTATE, "standby");
	set.active.state = KEY_REVOKED;
	set.active.retire_at = set.active.revoked_at = NOW;
	assert_one_step(&set, NOW, KEY_ACT_ROTATE, "standby");
	ck_assert(key_plan_in_emergency(infos(&set), 3, ALG_ES256));
	ck_assert(!key_plan_in_emergency(infos(&set), 3, ALG_RS256));
}
END_TEST

/* Of an algorithm that left keys.algs and comes back. */
START_TEST(what_was_revoked_long_ago_excuses_no_haste_today)
{
	struct set set = quiet_set();
	struct key_step steps[8];

	set.standby.ready_at = NOW + 50;
	set.active.state = KEY_REVOKED;
	set.active.retire_at = set.active.revoked_at = NOW - 20 * DAY;
	ck_assert(!key_plan_in_emergency(infos(&set), 3, ALG_ES256)); /* retired 10 days ago */
	ck_assert_uint_eq(due(&set, 3, NOW + 49, steps), 0);
	assert_one_step(&set, NOW + 50, KEY_ACT_ROTATE, "standby");
	/* a key that was retiring already when it was revoked has left nothing unsigned */
	set.active.revoked_at = NOW;
	ck_assert(!key_plan_in_emergency(infos(&set), 3, ALG_ES256));
	/* nor has one that had never signed */
	set.active.retire_at = NOW;
	set.active.exp_bound = 0;
	ck_assert(!key_plan_in_emergency(infos(&set), 3, ALG_ES256));
	set.active.exp_bound = NOW + TTL;
	ck_assert(key_plan_in_emergency(infos(&set), 3, ALG_ES256));
	/* beside one that signs it is none */
	set.retiring.state = KEY_ACTIVE;
	ck_assert(!key_plan_in_emergency(infos(&set), 3, ALG_ES256));
}
END_TEST

START_TEST(a_missing_standby_is_made_at_once)
{
	struct set set = quiet_set();
	enum alg both[] = { ALG_ES256, ALG_RS256 };
	struct key_step steps[8];

	set.standby.state = KEY_REMOVED;
	set.standby.remove_at = NOW;
	assert_one_step(&set, NOW, KEY_ACT_MAKE_STANDBY, "");
	ck_assert_int_eq(key_plan_next(infos(&set), 3, &policy, NOW), NOW);
	set.standby.state = KEY_STANDBY;
	ck_assert_uint_eq(key_plan_due(infos(&set), 3, &policy, both, 2, &calm, NOW, steps, 8), 1);
	ck_assert_int_eq(steps[0].act, KEY_ACT_MAKE_STANDBY);
	ck_assert_int_eq(steps[0].alg, ALG_RS256);
}
END_TEST

START_TEST(a_key_leaves_at_its_removal_time_and_not_before)
{
	struct set set = quiet_set();
	struct key_step steps[8];

	set.retiring.remove_at = NOW + 77;
	ck_assert_uint_eq(due(&set, 3, NOW + 76, steps), 0);
	assert_one_step(&set, NOW + 77, KEY_ACT_REMOVE, "retiring");
	ck_assert_int_eq(key_plan_next(infos(&set), 3, &policy, NOW), NOW + 77);
}
END_TEST

START_TEST(a_bound_is_raised_a_step_before_tokens_reach_it)
{
	struct set set = quiet_set();
	struct key_step steps[8];
	int64_t at = NOW + 1000;

	set.active.exp_bound = at + TTL + STEP - 1; /* less than a step is left at `at` */
	ck_assert_uint_eq(due(&set, 3, at - 1, steps), 0);
	assert_one_step(&set, at, KEY_ACT_RAISE_BOUND, "active");
	ck_assert_int_eq(key_plan_next(infos(&set), 3, &policy, NOW), at);
	ck_assert_uint_eq(due(&set, 3, at, steps), 1);
	ck_assert_int_eq(steps[0].at, at + TTL + 2 * STEP);
	/* and raised it is not due again for a step */
	set.active.exp_bound = steps[0].at;
	ck_assert_uint_eq(due(&set, 3, at + STEP, steps), 0);
	ck_assert_uint_eq(due(&set, 3, at + STEP + 1, steps), 1);
}
END_TEST

START_TEST(bounds_come_first_and_the_list_ends_at_its_cap)
{
	struct set set = healthy_set();
	struct key_step steps[3];

	set.active.exp_bound = NOW;
	set.standby.activate_at = NOW;
	set.retiring.remove_at = NOW;
	ck_assert_uint_eq(key_plan_due(infos(&set), 3, &policy, es256, 1, &calm, NOW, steps, 3), 3);
	ck_assert_int_eq(steps[0].act, KEY_ACT_RAISE_BOUND);
	ck_assert_int_eq(steps[1].act, KEY_ACT_ROTATE);
	ck_assert_int_eq(steps[2].act, KEY_ACT_REMOVE);
	ck_assert_uint_eq(key_plan_due(infos(&set), 3, &policy, es256, 1, &calm, NOW, steps, 2), 2);
}
END_TEST

START_TEST(max_age_ends_at_the_next_planned_change)
{
	struct set set = quiet_set();
	const struct key_info *keys = infos(&set);
	int64_t at = set.standby.activate_at;

	ck_assert_int_eq(key_plan_max_age(keys, 3, &policy, NOW), AGE);
	ck_assert_int_eq(key_plan_max_age(keys, 3, &policy, at - 10), 10);
	ck_assert_int_eq(key_plan_max_age(keys, 3, &policy, at - 1), 1);
	ck_assert_int_eq(key_plan_max_age(keys, 3, &policy, at),
			 AGE); /* overdue: no known moment */
	/* a bound that is raised changes nothing a verifier sees */
	set.active.exp_bound = NOW + TTL + STEP + 10;
	ck_assert_int_eq(key_plan_max_age(keys, 3, &policy, NOW), AGE);
}
END_TEST

/* ---- what caches are told ---- */

START_TEST(stale_times_follow_from_max_age_and_period)
{
	static const struct {
		int64_t rotate_every, max_age, skew, stale_while, stale_if_error;
	} rows[] = {
		{ 30 * DAY, 900, 60, 450, DAY },
		{ DAY, 900, 60, 450, DAY - 1860 },
		{ 2, 1, 0, 0, 0 },
		{ 4, 1, 0, 0, 2 },
		{ 10, 3, 60, 1, 0 },
		{ 2 * DAY + 60, DAY, 60, DAY / 2, 0 },
		{ 2 * DAY + 61, DAY, 60, DAY / 2, 1 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct key_policy p = policy;

		p.rotate_every = rows[i].rotate_every;
		p.jwks_max_age = rows[i].max_age;
		p.skew = rows[i].skew;
		ck_assert_int_eq(key_plan_stale_while(&p), rows[i].stale_while);
		ck_assert_int_eq(key_plan_stale_if_error(&p), rows[i].stale_if_error);
		ck_assert_int_eq(key_plan_promise(&p), rows[i].max_age + rows[i].stale_while);
	}
}
END_TEST

/* A cache that fetched one second before a standby was published, and has not reached us since. */
START_TEST(what_an_error_excuses_ends_before_the_standby_signs)
{
	for (int64_t period = 2; period < 20 * AGE; period += 7) {
		struct key_policy p = policy;
		int64_t published = NOW, signs = published + period;
		int64_t held_until;

		p.rotate_every = period;
		if (key_plan_stale_if_error(&p) == 0)
			continue;
		held_until = published - 1 + p.jwks_max_age + key_plan_stale_if_error(&p);
		ck_assert_int_lt(held_until + p.skew, signs);
	}
}
END_TEST

START_TEST(no_key_is_removed_before_its_last_token_and_the_skew)
{
	ck_assert_int_eq(key_plan_remove_at(&policy, NOW), NOW + SKEW);
	ck_assert_int_eq(key_plan_bound(&policy, NOW), NOW + TTL + 2 * STEP);
}
END_TEST

struct lint_case {
	const char *sentence;
	size_t offset; /* of the int64_t that is set, from the set's start */
	int64_t value;
};

#define FIELD(member) offsetof(struct set, member)

/* Only force and emergencies override, and say so. */
START_TEST(lint_asks_whether_an_early_key_was_forced)
{
	struct set set = healthy_set();
	char text[256];

	set.active.ready_at = NOW + 1;
	ck_assert_ptr_nonnull(
		key_plan_lint(infos(&set), 3, &policy, es256, 1, NOW, text, sizeof(text)));
	set.active.forced = true;
	ck_assert_ptr_null(
		key_plan_lint(infos(&set), 3, &policy, es256, 1, NOW, text, sizeof(text)));
}
END_TEST

START_TEST(lint_names_the_key_and_the_broken_rule)
{
	static const struct lint_case cases[] = {
		{ "ES256 active (active): signs before every verifier can hold it",
		  FIELD(active.ready_at), NOW + 1 },
		{ "ES256 active (active): exp_bound does not cover the longest token",
		  FIELD(active.exp_bound), NOW + TTL - 1 },
		{ "ES256 retiring (retiring): leaves the key set before its last token expires",
		  FIELD(retiring.remove_at), NOW + 100 + SKEW - 1 },
		{ "ES256 retiring (retiring): leaves the key set before its last token expires",
		  FIELD(retiring.last_exp), 0 },
		{ "ES256 retiring (retiring): signed a token beyond its exp_bound",
		  FIELD(retiring.exp_bound), NOW + 99 },
		{ "ES256 standby (standby): no time of publication, or it is ready before it was "
		  "published",
		  FIELD(standby.publish_at), 0 },
		{ "ES256 standby (standby): no time of publication, or it is ready before it was "
		  "published",
		  FIELD(standby.ready_at), NOW - 10 * DAY - 1 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct set set = healthy_set();
		char text[256];

		memcpy((char *)&set + cases[i].offset, &cases[i].value, sizeof(int64_t));
		ck_assert_pstr_eq(
			key_plan_lint(infos(&set), 3, &policy, es256, 1, NOW, text, sizeof(text)),
			cases[i].sentence);
	}
}
END_TEST

START_TEST(lint_counts_keys_per_algorithm)
{
	static const struct {
		enum key_state active, standby, retiring;
		const char *sentence;
	} cases[] = {
		{ KEY_ACTIVE, KEY_ACTIVE, KEY_REMOVED, "ES256: more than one active key" },
		{ KEY_ACTIVE, KEY_STANDBY, KEY_STANDBY, "ES256: more than one standby" },
		{ KEY_ACTIVE, KEY_REMOVED, KEY_REMOVED, "ES256: no standby" },
		{ KEY_REMOVED, KEY_STANDBY, KEY_REMOVED, "ES256: no active key" },
	};
	struct set set;
	char text[256];

	for (size_t i = 0; i < COUNT(cases); i++) {
		set = healthy_set();
		set.active.state = cases[i].active;
		set.standby.state = cases[i].standby;
		set.retiring.state = cases[i].retiring;
		ck_assert_pstr_eq(
			key_plan_lint(infos(&set), 3, &policy, es256, 1, NOW, text, sizeof(text)),
			cases[i].sentence);
	}
	set = healthy_set();
	memcpy(set.standby.kid, "active", sizeof("active"));
	ck_assert_pstr_eq(key_plan_lint(infos(&set), 3, &policy, es256, 1, NOW, text, sizeof(text)),
			  "ES256 active (standby): two keys have this kid");
	set = healthy_set();
	ck_assert_pstr_eq(
		key_plan_lint(infos(&set), 3, &policy, es256, 1, NOW + DAY, text, sizeof(text)),
		"ES256 active (active): exp_bound does not cover the longest token");
}
END_TEST

START_TEST(a_key_that_left_too_early_or_stays_too_long_is_seen)
{
	struct set set = quiet_set();
	char text[256];

	set.retiring.remove_at = NOW + 100 + SKEW;
	ck_assert_ptr_null(key_plan_lint(infos(&set), 3, &policy, es256, 1,
					 set.retiring.remove_at + STEP, text, sizeof(text)));
	ck_assert_pstr_eq(key_plan_lint(infos(&set), 3, &policy, es256, 1,
					set.retiring.remove_at + STEP + 1, text, sizeof(text)),
			  "ES256 retiring (retiring): should have left the key set");
	set.retiring.state = KEY_REMOVED;
	ck_assert_pstr_eq(
		key_plan_lint(infos(&set), 3, &policy, es256, 1, NOW + 99, text, sizeof(text)),
		"ES256 retiring (removed): left the key set before its last token expires");
	ck_assert_ptr_null(
		key_plan_lint(infos(&set), 3, &policy, es256, 1, NOW + 100, text, sizeof(text)));
}
END_TEST

START_TEST(states_have_names_both_ways)
{
	for (unsigned s = 0; s < KEY_STATE_COUNT; s++) {
		enum key_state back = KEY_STATE_COUNT;

		ck_assert(key_state_by_name(str_z(key_state_name((enum key_state)s)), &back));
		ck_assert_uint_eq(back, s);
	}
	ck_assert(!key_state_by_name(STR("Active"), &(enum key_state){ 0 }));
	ck_assert_str_eq(key_state_name(KEY_STATE_COUNT), "unknown");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_healthy_set_needs_nothing,
		a_switch_comes_at_its_planned_second_and_not_before,
		a_switch_waits_until_every_verifier_can_hold_the_key,
		without_an_active_key_only_a_revoked_one_excuses_haste,
		what_was_revoked_long_ago_excuses_no_haste_today,
		a_missing_standby_is_made_at_once,
		a_key_leaves_at_its_removal_time_and_not_before,
		a_bound_is_raised_a_step_before_tokens_reach_it,
		bounds_come_first_and_the_list_ends_at_its_cap,
		max_age_ends_at_the_next_planned_change,
		stale_times_follow_from_max_age_and_period,
		what_an_error_excuses_ends_before_the_standby_signs,
		no_key_is_removed_before_its_last_token_and_the_skew,
		lint_asks_whether_an_early_key_was_forced,
		lint_names_the_key_and_the_broken_rule,
		lint_counts_keys_per_algorithm,
		a_key_that_left_too_early_or_stays_too_long_is_seen,
		states_have_names_both_ways,
	};
	TCase *tc = tcase_create("plan");

	if (secret_library_init())
		return EXIT_FAILURE;
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(tc, tests[i]);
	return suite_run_case("plan", tc);
}
