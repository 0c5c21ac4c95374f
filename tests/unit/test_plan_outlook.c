/* keys/plan: what holds a switch back, which algorithms leave, and what is foreseen. */
#include "tests/unit/plan_set.h"

enum { WAIT_MAX = 7200 };

static struct key_policy patient_policy(void)
{
	struct key_policy p = policy;

	p.wait_max = WAIT_MAX;
	return p;
}

static size_t due_with(const struct set *set, const struct key_outlook *outlook, int64_t now,
		       struct key_step steps[8])
{
	struct key_policy p = patient_policy();

	return key_plan_due(infos(set), 3, &p, es256, 1, outlook, now, steps, 8);
}

START_TEST(a_switch_that_is_held_back_waits_and_then_goes_ahead)
{
	static const struct key_outlook held = { .held_back = 1u << ALG_ES256 };
	static const struct key_outlook other = { .held_back = 1u << ALG_RS256 };
	struct set set = quiet_set();
	int64_t at = set.standby.activate_at;
	struct key_step steps[8];

	ck_assert_uint_eq(due_with(&set, &held, at, steps), 0);
	ck_assert_uint_eq(due_with(&set, &held, at + WAIT_MAX - 1, steps), 0);
	ck_assert_uint_eq(due_with(&set, &held, at + WAIT_MAX, steps), 1);
	ck_assert_int_eq(steps[0].act, KEY_ACT_ROTATE);
	ck_assert_uint_eq(due_with(&set, &other, at - 1, steps), 0);
	ck_assert_uint_eq(due_with(&set, &other, at, steps), 1);
	/* counted from when it was due, which is not before it is ready */
	set.standby.ready_at = at + 100;
	ck_assert_uint_eq(due_with(&set, &held, at + 99 + WAIT_MAX, steps), 0);
	ck_assert_uint_eq(due_with(&set, &held, at + 100 + WAIT_MAX, steps), 1);
	/* bounds and removals do not wait */
	set.active.exp_bound = set.retiring.remove_at = NOW;
	ck_assert_uint_eq(due_with(&set, &held, NOW, steps), 2);
	ck_assert_int_eq(steps[0].act, KEY_ACT_RAISE_BOUND);
	ck_assert_int_eq(steps[1].act, KEY_ACT_REMOVE);
}
END_TEST

START_TEST(where_nothing_signs_nobody_is_waited_for)
{
	static const struct key_outlook held = { .held_back = 1u << ALG_ES256 };
	struct set set = quiet_set();
	struct key_step steps[8];

	set.active.state = KEY_REVOKED;
	set.active.retire_at = set.active.revoked_at = NOW;
	ck_assert_uint_eq(due_with(&set, &held, NOW, steps), 1);
	ck_assert_int_eq(steps[0].act, KEY_ACT_ROTATE);
	set.active.state = KEY_REMOVED; /* a first key: its publication is all that counts */
	set.standby.ready_at = NOW + 50;
	ck_assert_uint_eq(due_with(&set, &held, NOW + 49, steps), 0);
	ck_assert_uint_eq(due_with(&set, &held, NOW + 50, steps), 1);
}
END_TEST

START_TEST(a_clock_in_doubt_moves_bounds_and_nothing_else)
{
	static const struct key_outlook doubt = { .clock_in_doubt = true };
	struct set set = healthy_set();
	struct key_step steps[8];

	set.active.exp_bound = set.standby.activate_at = set.retiring.remove_at = NOW;
	ck_assert_uint_eq(due_with(&set, &doubt, NOW, steps), 1);
	ck_assert_int_eq(steps[0].act, KEY_ACT_RAISE_BOUND);
	set.active.exp_bound = NOW + 100 * DAY;
	set.standby.state = KEY_REMOVED; /* one is missing, and one has a foreign algorithm */
	set.retiring = (struct key_info){ .kid = "r", .alg = ALG_RS256, .state = KEY_ACTIVE };
	ck_assert_uint_eq(due_with(&set, &doubt, NOW, steps), 0);
	ck_assert_uint_eq(due_with(&set, &calm, NOW, steps), 2);
}
END_TEST

START_TEST(what_a_revocation_took_is_made_good_whatever_the_clock)
{
	static const struct key_outlook doubt = { .clock_in_doubt = true };
	struct set set = quiet_set();
	struct key_step steps[8];

	/* nothing signs: the standby does, and where there is none one is made */
	set.active.state = KEY_REVOKED;
	set.active.retire_at = set.active.revoked_at = NOW;
	ck_assert_uint_eq(due_with(&set, &doubt, NOW, steps), 1);
	ck_assert_int_eq(steps[0].act, KEY_ACT_ROTATE);
	set.standby.state = KEY_REMOVED;
	ck_assert_uint_eq(due_with(&set, &doubt, NOW, steps), 1);
	ck_assert_int_eq(steps[0].act, KEY_ACT_MAKE_STANDBY);
	/* the standby took over, and none stands behind it */
	set.standby.state = KEY_ACTIVE;
	set.standby.activate_at = NOW;
	set.standby.exp_bound = NOW + 100 * DAY;
	ck_assert_uint_eq(due_with(&set, &doubt, NOW, steps), 1);
	ck_assert_int_eq(steps[0].act, KEY_ACT_MAKE_STANDBY);
	/* a revocation of long ago excuses nothing, nor does one where nothing is missing */
	set.active.revoked_at = NOW - 1;
	ck_assert_uint_eq(due_with(&set, &doubt, NOW, steps), 0);
	set = quiet_set();
	set.retiring.state = KEY_REVOKED;
	set.retiring.revoked_at = set.standby.activate_at = NOW;
	ck_assert_uint_eq(due_with(&set, &doubt, NOW, steps), 0);
}
END_TEST

START_TEST(an_algorithm_that_is_configured_no_more_retires_in_one_step)
{
	static const enum alg rs256[] = { ALG_RS256 };
	struct set set = quiet_set();
	struct key_step steps[8];

	set.retiring.alg = ALG_RS256;
	set.retiring.state = KEY_STANDBY;
	set.retiring.ready_at = NOW + 50;
	ck_assert_uint_eq(key_plan_due(infos(&set), 3, &policy, rs256, 1, &calm, NOW, steps, 8), 1);
	ck_assert_int_eq(steps[0].act, KEY_ACT_RETIRE_ALG);
	ck_assert_str_eq(steps[0].kid, "active");
	ck_assert_int_eq(steps[0].alg, ALG_ES256);
	/* a standby alone goes, too; what retires anyway stays until its time */
	set.active.state = KEY_RETIRING;
	set.active.remove_at = NOW + 10;
	ck_assert_uint_eq(key_plan_due(infos(&set), 3, &policy, rs256, 1, &calm, NOW, steps, 8), 1);
	ck_assert_int_eq(steps[0].act, KEY_ACT_RETIRE_ALG);
	ck_assert_str_eq(steps[0].kid, "standby");
	set.standby.state = KEY_REMOVED;
	ck_assert_uint_eq(key_plan_due(infos(&set), 3, &policy, rs256, 1, &calm, NOW, steps, 8), 0);
	ck_assert_uint_eq(
		key_plan_due(infos(&set), 3, &policy, rs256, 1, &calm, NOW + 10, steps, 8), 1);
	ck_assert_int_eq(steps[0].act, KEY_ACT_REMOVE);
}
END_TEST

/* ---- what is to come ---- */

struct foreseen_row {
	enum key_foreseen_kind kind;
	const char *kid;
	int64_t at, latest;
};

static void assert_foreseen(const struct set *set, const struct key_outlook *outlook,
			    const enum alg *algs, size_t alg_count, const struct foreseen_row *rows,
			    size_t count)
{
	struct key_policy p = patient_policy();
	struct key_foreseen events[8];

	ck_assert_uint_eq(
		key_plan_forecast(infos(set), 3, &p, algs, alg_count, outlook, NOW, events, 8),
		count);
	for (size_t i = 0; i < count; i++) {
		ck_assert_int_eq(events[i].kind, rows[i].kind);
		ck_assert_str_eq(events[i].kid, rows[i].kid);
		ck_assert_int_eq(events[i].at, rows[i].at);
		ck_assert_int_eq(events[i].latest, rows[i].latest);
	}
	/* the soonest, where there is room for few */
	ck_assert_uint_eq(
		key_plan_forecast(infos(set), 3, &p, algs, alg_count, outlook, NOW, events, 1), 1);
	ck_assert_int_eq(events[0].kind, rows[0].kind);
	ck_assert_int_eq(events[0].at, rows[0].at);
	ck_assert_uint_eq(
		key_plan_forecast(infos(set), 3, &p, algs, alg_count, outlook, NOW, events, 0), 0);
}

START_TEST(events_are_foreseen_in_order_of_time)
{
	struct set set = healthy_set();
	int64_t bound = set.active.exp_bound - TTL - STEP + 1;
	int64_t leaves = set.retiring.remove_at, switches = set.standby.activate_at;
	const struct foreseen_row rows[] = {
		{ KEY_FORESEEN_READY, "standby", NOW + 50, NOW + 50 },
		{ KEY_FORESEEN_LEAVE, "retiring", leaves, leaves },
		{ KEY_FORESEEN_BOUND, "active", bound, bound },
		{ KEY_FORESEEN_SWITCH, "standby", switches, switches },
	};

	set.standby.ready_at = NOW + 50;
	assert_foreseen(&set, &calm, es256, 1, rows, COUNT(rows));
}
END_TEST

START_TEST(what_is_overdue_or_missing_is_foreseen_for_now)
{
	static const enum alg both[] = { ALG_ES256, ALG_RS256 };
	struct set set = healthy_set();
	const struct foreseen_row rows[] = {
		{ KEY_FORESEEN_MISSING, "", NOW, NOW },
		{ KEY_FORESEEN_BOUND, "active", NOW, NOW },
		{ KEY_FORESEEN_SWITCH, "standby", NOW, NOW },
		{ KEY_FORESEEN_LEAVE, "retiring", NOW, NOW },
	};

	set.active.exp_bound = NOW;
	set.standby.activate_at = NOW - 5;
	set.retiring.remove_at = NOW - 7;
	assert_foreseen(&set, &calm, both, 2, rows, COUNT(rows));
}
END_TEST

START_TEST(a_switch_that_may_wait_is_foreseen_with_its_last_moment)
{
	static const struct key_outlook held = { .held_back = 1u << ALG_ES256 };
	struct set set = quiet_set();
	int64_t at = set.standby.activate_at;
	struct key_policy p = patient_policy();
	struct key_foreseen event;

	ck_assert_uint_eq(key_plan_forecast(infos(&set), 2, &p, es256, 1, &held, NOW, &event, 1),
			  1);
	ck_assert_int_eq(event.kind, KEY_FORESEEN_SWITCH);
	ck_assert_int_eq(event.at, at);
	ck_assert_int_eq(event.latest, at + WAIT_MAX);
	/* overdue: now, and what is left of the patience */
	ck_assert_uint_eq(
		key_plan_forecast(infos(&set), 2, &p, es256, 1, &held, at + 10, &event, 1), 1);
	ck_assert_int_eq(event.at, at + 10);
	ck_assert_int_eq(event.latest, at + WAIT_MAX);
	ck_assert_uint_eq(key_plan_forecast(infos(&set), 2, &p, es256, 1, &held, at + 2 * WAIT_MAX,
					    &event, 1),
			  1);
	ck_assert_int_eq(event.latest, at + 2 * WAIT_MAX);
}
END_TEST

START_TEST(events_and_origins_have_names)
{
	for (unsigned i = 0; i < KEY_FORESEEN_COUNT; i++)
		ck_assert_str_ne(key_foreseen_name((enum key_foreseen_kind)i), "unknown");
	ck_assert_str_eq(key_foreseen_name(KEY_FORESEEN_COUNT), "unknown");
	for (unsigned i = 0; i < KEY_ORIGIN_COUNT; i++) {
		enum key_origin back = KEY_ORIGIN_COUNT;

		ck_assert(key_origin_by_name(str_z(key_origin_name((enum key_origin)i)), &back));
		ck_assert_uint_eq(back, i);
	}
	ck_assert(!key_origin_by_name(STR("Import"), &(enum key_origin){ 0 }));
	ck_assert_str_eq(key_origin_name(KEY_ORIGIN_COUNT), "unknown");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_switch_that_is_held_back_waits_and_then_goes_ahead,
		where_nothing_signs_nobody_is_waited_for,
		a_clock_in_doubt_moves_bounds_and_nothing_else,
		what_a_revocation_took_is_made_good_whatever_the_clock,
		an_algorithm_that_is_configured_no_more_retires_in_one_step,
		events_are_foreseen_in_order_of_time,
		what_is_overdue_or_missing_is_foreseen_for_now,
		a_switch_that_may_wait_is_foreseen_with_its_last_moment,
		events_and_origins_have_names,
	};

	return suite_run("plan outlook", tests, COUNT(tests));
}
