/* A set of keys in the middle of its life, for the tests of keys/plan. */
#ifndef CHANCERY_TESTS_PLAN_SET_H
#define CHANCERY_TESTS_PLAN_SET_H

#include "keys/plan.h"
#include "tests/unit/suite.h"

enum { NOW = 1700000000, DAY = 86400, TTL = 600, AGE = 900, SKEW = 60, STEP = 3600 };

static const struct key_outlook calm = { .held_back = 0 };

static const struct key_policy policy = {
	.rotate_every = 30 * DAY,
	.jwks_max_age = AGE,
	.longest_ttl = TTL,
	.skew = SKEW,
	.bound_step = STEP,
};

static const enum alg es256[] = { ALG_ES256 };

/* active, standby, retiring: a set in the middle of its life. */
struct set {
	struct key_info active, standby, retiring;
};

static inline struct set healthy_set(void)
{
	return (struct set){
		.active = { .kid = "active",
			    .alg = ALG_ES256,
			    .state = KEY_ACTIVE,
			    .created_at = NOW - 40 * DAY,
			    .publish_at = NOW - 40 * DAY,
			    .ready_at = NOW - 40 * DAY + AGE + SKEW,
			    .activate_at = NOW - 10 * DAY,
			    .exp_bound = NOW + TTL + 2 * STEP },
		.standby = { .kid = "standby",
			     .alg = ALG_ES256,
			     .state = KEY_STANDBY,
			     .created_at = NOW - 10 * DAY,
			     .publish_at = NOW - 10 * DAY,
			     .ready_at = NOW - 10 * DAY + AGE + SKEW,
			     .activate_at = NOW + 20 * DAY },
		.retiring = { .kid = "retiring",
			      .alg = ALG_ES256,
			      .state = KEY_RETIRING,
			      .created_at = NOW - 70 * DAY,
			      .publish_at = NOW - 70 * DAY,
			      .ready_at = NOW - 70 * DAY + AGE + SKEW,
			      .activate_at = NOW - 40 * DAY,
			      .retire_at = NOW - 10 * DAY,
			      .remove_at = NOW + 100 + SKEW,
			      .exp_bound = NOW + 3000,
			      .last_exp = NOW + 100 },
	};
}

/* The i-th key, as an array of `count`. */
static inline const struct key_info *infos(const struct set *set)
{
	return &set->active;
}

static inline size_t due(const struct set *set, size_t count, int64_t now,
			 struct key_step *ret_steps)
{
	return key_plan_due(infos(set), count, &policy, es256, 1, &calm, now, ret_steps, 8);
}

static inline void assert_one_step(const struct set *set, int64_t now, enum key_act act,
				   const char *kid)
{
	struct key_step steps[8];

	ck_assert_uint_eq(due(set, 3, now, steps), 1);
	ck_assert_int_eq(steps[0].act, act);
	ck_assert_str_eq(steps[0].kid, kid);
	ck_assert_int_eq(steps[0].alg, ALG_ES256);
}

/* Everything but the key asked about is far away. */
static inline struct set quiet_set(void)
{
	struct set set = healthy_set();

	set.active.exp_bound = NOW + 100 * DAY;
	set.retiring.remove_at = NOW + 100 * DAY;
	return set;
}

#endif
