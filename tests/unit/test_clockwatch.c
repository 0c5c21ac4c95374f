/* The clock's watch: what is a jump, and when a doubt ends. */
#include "server/state/clockwatch.h"
#include "tests/unit/suite.h"

enum { WALL = 1700000000, MONO = 5000 };

/* Started without a past: nothing to doubt. */
static struct clockwatch running(void)
{
	struct clockwatch w;

	ck_assert_int_eq(clockwatch_start(&w, 0, WALL, MONO), CLOCK_GOES_WELL);
	ck_assert(!w.in_doubt);
	return w;
}

/* One look, `elapsed` seconds later, with the wall clock off by `drift`. */
static enum clock_jump look(struct clockwatch *w, int64_t elapsed, int64_t drift)
{
	return clockwatch_look(w, w->last.wall + elapsed + drift, w->last.monotonic + elapsed);
}

START_TEST(a_jump_is_more_than_a_step)
{
	static const struct {
		int64_t drift;
		enum clock_jump jump;
	} rows[] = {
		{ 0, CLOCK_GOES_WELL },
		{ CLOCKWATCH_FORWARD, CLOCK_GOES_WELL },
		{ CLOCKWATCH_FORWARD + 1, CLOCK_JUMPED_FORWARD },
		{ 10LL * 365 * 86400, CLOCK_JUMPED_FORWARD },
		{ -CLOCKWATCH_BACK, CLOCK_GOES_WELL },
		{ -CLOCKWATCH_BACK - 1, CLOCK_JUMPED_BACK },
		{ -WALL, CLOCK_JUMPED_BACK },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct clockwatch w = running();

		ck_assert_int_eq(look(&w, 1, rows[i].drift), rows[i].jump);
		ck_assert_int_eq(w.in_doubt, rows[i].jump != CLOCK_GOES_WELL);
		w = running(); /* a look that comes late is no jump by itself */
		ck_assert_int_eq(look(&w, 86400, rows[i].drift), rows[i].jump);
	}
}
END_TEST

START_TEST(a_jump_is_told_once_and_doubted_until_the_clock_has_settled)
{
	struct clockwatch w = running();

	ck_assert_int_eq(look(&w, 1, 86400), CLOCK_JUMPED_FORWARD);
	for (int i = 1; i < CLOCKWATCH_SETTLE; i++) {
		ck_assert_int_eq(look(&w, 1, 0), CLOCK_GOES_WELL);
		ck_assert(w.in_doubt);
	}
	ck_assert_int_eq(look(&w, 1, 0), CLOCK_GOES_WELL);
	ck_assert(!w.in_doubt);
}
END_TEST

START_TEST(a_second_jump_begins_the_doubt_anew)
{
	struct clockwatch w = running();

	ck_assert_int_eq(look(&w, 1, 86400), CLOCK_JUMPED_FORWARD);
	ck_assert_int_eq(look(&w, CLOCKWATCH_SETTLE - 1, 0), CLOCK_GOES_WELL);
	/* back to where it was: the doubt is about this one, too */
	ck_assert_int_eq(look(&w, 1, -86400), CLOCK_JUMPED_BACK);
	ck_assert_int_eq(look(&w, CLOCKWATCH_SETTLE - 1, 0), CLOCK_GOES_WELL);
	ck_assert(w.in_doubt);
	ck_assert_int_eq(look(&w, 1, 0), CLOCK_GOES_WELL);
	ck_assert(!w.in_doubt);
}
END_TEST

START_TEST(the_wall_clock_alone_does_not_settle_a_doubt)
{
	struct clockwatch w = running();

	ck_assert_int_eq(look(&w, 1, 86400), CLOCK_JUMPED_FORWARD);
	ck_assert_int_eq(look(&w, 1, CLOCKWATCH_FORWARD), CLOCK_GOES_WELL);
	ck_assert_int_eq(look(&w, 1, -CLOCKWATCH_FORWARD), CLOCK_GOES_WELL);
	ck_assert_int_eq(look(&w, 1, CLOCKWATCH_FORWARD), CLOCK_GOES_WELL);
	ck_assert(w.in_doubt);
}
END_TEST

START_TEST(small_steps_are_what_time_servers_do)
{
	struct clockwatch w = running();

	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(look(&w, 60, i % 2 ? CLOCKWATCH_BACK : -CLOCKWATCH_BACK),
				 CLOCK_GOES_WELL);
		ck_assert(!w.in_doubt);
	}
}
END_TEST

/* Each too small to be seen; together they would take a key away from under its tokens. */
START_TEST(small_steps_that_add_up_within_a_day_are_a_jump)
{
	for (int direction = -1; direction <= 1; direction += 2) {
		struct clockwatch w = running();
		int64_t astray = 0;
		int steps = 0;

		while (look(&w, 3000, 7 * direction) == CLOCK_GOES_WELL) {
			astray += 7;
			ck_assert_int_le(astray, CLOCKWATCH_FORWARD);
			steps++;
		}
		ck_assert_int_eq(steps, CLOCKWATCH_FORWARD / 7);
		ck_assert(w.in_doubt);
		ck_assert_int_eq(look(&w, 1, 7 * direction), CLOCK_GOES_WELL); /* told once */
		ck_assert_int_eq(look(&w, CLOCKWATCH_SETTLE, 0), CLOCK_GOES_WELL);
		ck_assert(!w.in_doubt);
	}
}
END_TEST

/* Wherever the days of the watch begin. */
START_TEST(also_across_the_end_of_a_day)
{
	struct clockwatch w = running();

	ck_assert_int_eq(look(&w, CLOCKWATCH_DAY - 10, 0), CLOCK_GOES_WELL);
	ck_assert_int_eq(look(&w, 5, 40), CLOCK_GOES_WELL);
	ck_assert_int_eq(look(&w, 10, 0), CLOCK_GOES_WELL);
	ck_assert_int_eq(look(&w, CLOCKWATCH_DAY - 20, 40), CLOCK_JUMPED_FORWARD);
}
END_TEST

/* A poor crystal under a monotonic clock that nobody corrects. */
START_TEST(what_a_bad_oscillator_does_in_a_year_is_none)
{
	struct clockwatch w = running();

	for (int hour = 0; hour < 365 * 24; hour++)
		ck_assert_int_eq(look(&w, 3600, 1), CLOCK_GOES_WELL);
	ck_assert(!w.in_doubt);
}
END_TEST

START_TEST(time_while_nobody_ran_is_doubted_when_it_is_long)
{
	static const struct {
		int64_t last_wall;
		enum clock_jump jump;
	} rows[] = {
		{ 0, CLOCK_GOES_WELL }, /* the first start of all */
		{ WALL, CLOCK_GOES_WELL },
		{ WALL - CLOCKWATCH_GAP, CLOCK_GOES_WELL }, /* an upgrade */
		{ WALL - CLOCKWATCH_GAP - 1, CLOCK_JUMPED_FORWARD },
		{ WALL + CLOCKWATCH_BACK, CLOCK_GOES_WELL },
		{ WALL + CLOCKWATCH_BACK + 1, CLOCK_JUMPED_BACK },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct clockwatch w = { .in_doubt = true, .doubt_since = 1 };

		ck_assert_int_eq(clockwatch_start(&w, rows[i].last_wall, WALL, MONO), rows[i].jump);
		ck_assert_int_eq(w.in_doubt, rows[i].jump != CLOCK_GOES_WELL);
		ck_assert_int_eq(look(&w, CLOCKWATCH_SETTLE, 0), CLOCK_GOES_WELL);
		ck_assert(!w.in_doubt);
	}
}
END_TEST

START_TEST(who_vouches_ends_the_doubt_and_later_jumps_are_seen)
{
	struct clockwatch w = running();

	ck_assert_int_eq(look(&w, 1, 86400), CLOCK_JUMPED_FORWARD);
	/* for the clock as it is now, whatever it did since the last look */
	clockwatch_vouch(&w, w.last.wall + 5000, w.last.monotonic + 1);
	ck_assert(!w.in_doubt);
	ck_assert_int_eq(look(&w, 1, 0), CLOCK_GOES_WELL);
	ck_assert(!w.in_doubt);
	ck_assert_int_eq(look(&w, 1, -86400), CLOCK_JUMPED_BACK);
	ck_assert(w.in_doubt);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_jump_is_more_than_a_step,
		a_jump_is_told_once_and_doubted_until_the_clock_has_settled,
		a_second_jump_begins_the_doubt_anew,
		the_wall_clock_alone_does_not_settle_a_doubt,
		small_steps_are_what_time_servers_do,
		small_steps_that_add_up_within_a_day_are_a_jump,
		also_across_the_end_of_a_day,
		what_a_bad_oscillator_does_in_a_year_is_none,
		time_while_nobody_ran_is_doubted_when_it_is_long,
		who_vouches_ends_the_doubt_and_later_jumps_are_seen,
	};

	return suite_run("clockwatch", tests, COUNT(tests));
}
