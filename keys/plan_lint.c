/* The invariants of a set of keys, as rows: what `key lint` says and what every test of the keyring
 * asks after each crash. The first sentence that is true of the set is a fault. */
#include "keys/plan.h"

#include <inttypes.h>
#include <stdio.h>

struct set {
	const struct key_info *keys;
	size_t count;
	const struct key_policy *policy;
	int64_t now;
};

static size_t count_of(const struct set *set, enum alg alg, enum key_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < set->count; i++)
		n += set->keys[i].alg == alg && set->keys[i].state == state;
	return n;
}

/* ---- about one algorithm ---- */

static bool no_active(const struct set *set, enum alg alg)
{
	return count_of(set, alg, KEY_ACTIVE) == 0 && count_of(set, alg, KEY_REVOKED) == 0;
}

static bool two_active(const struct set *set, enum alg alg)
{
	return count_of(set, alg, KEY_ACTIVE) > 1;
}

static bool two_standby(const struct set *set, enum alg alg)
{
	return count_of(set, alg, KEY_STANDBY) > 1;
}

static bool no_standby(const struct set *set, enum alg alg)
{
	return count_of(set, alg, KEY_STANDBY) == 0;
}

static const struct alg_rule {
	bool (*broken)(const struct set *set, enum alg alg);
	const char *sentence;
} alg_rules[] = {
	{ no_active, "no active key" },
	{ two_active, "more than one active key" },
	{ two_standby, "more than one standby" },
	{ no_standby, "no standby" },
};

/* ---- about one key ---- */

static bool is_published(const struct key_info *key)
{
	return key->state == KEY_STANDBY || key->state == KEY_ACTIVE || key->state == KEY_RETIRING;
}

static bool no_kid(const struct set *set, const struct key_info *key)
{
	(void)set;
	return key->kid[0] == '\0';
}

static bool same_kid(const struct set *set, const struct key_info *key)
{
	for (const struct key_info *other = set->keys; other < key; other++) {
		if (strcmp(other->kid, key->kid) == 0)
			return true;
	}
	return false;
}

static bool unpublished(const struct set *set, const struct key_info *key)
{
	(void)set;
	return is_published(key) && (key->publish_at <= 0 || key->ready_at < key->publish_at);
}

/* One that was forced, by hand or by an emergency, is marked so, and that is all the rule asks. */
static bool signs_too_early(const struct set *set, const struct key_info *key)
{
	return key->state == KEY_ACTIVE && !key->forced &&
	       (set->now < key->ready_at || key->activate_at < key->ready_at);
}

static bool bound_missing(const struct set *set, const struct key_info *key)
{
	return key->state == KEY_ACTIVE && key->exp_bound < set->now + set->policy->longest_ttl;
}

static bool leaves_too_early(const struct set *set, const struct key_info *key)
{
	int64_t last = key->last_exp ? key->last_exp : key->exp_bound;

	return key->state == KEY_RETIRING && key->remove_at < last + set->policy->skew;
}

static bool beyond_bound(const struct set *set, const struct key_info *key)
{
	(void)set;
	return key->exp_bound && key->last_exp > key->exp_bound;
}

static bool left_too_early(const struct set *set, const struct key_info *key)
{
	int64_t last = key->last_exp ? key->last_exp : key->exp_bound;

	return key->state == KEY_REMOVED && set->now < last;
}

static bool stays_too_long(const struct set *set, const struct key_info *key)
{
	return key->state == KEY_RETIRING && set->now > key->remove_at + set->policy->bound_step;
}

static bool revoked_at_no_time(const struct set *set, const struct key_info *key)
{
	(void)set;
	return (key->state == KEY_REVOKED) != (key->revoked_at > 0);
}

static const struct key_rule {
	bool (*broken)(const struct set *set, const struct key_info *key);
	const char *sentence;
} key_rules[] = {
	{ no_kid, "a key has no kid" },
	{ same_kid, "two keys have this kid" },
	{ unpublished, "no time of publication, or it is ready before it was published" },
	{ signs_too_early, "signs before every verifier can hold it" },
	{ bound_missing, "exp_bound does not cover the longest token" },
	{ beyond_bound, "signed a token beyond its exp_bound" },
	{ leaves_too_early, "leaves the key set before its last token expires" },
	{ left_too_early, "left the key set before its last token expires" },
	{ stays_too_long, "should have left the key set" },
	{ revoked_at_no_time, "revoked without a time, or a time without being revoked" },
};

static const char *lint_alg(const struct set *set, enum alg alg, char *text, size_t size)
{
	for (size_t i = 0; i < sizeof(alg_rules) / sizeof(alg_rules[0]); i++) {
		if (!alg_rules[i].broken(set, alg))
			continue;
		snprintf(text, size, "%s: %s", alg_name(alg), alg_rules[i].sentence);
		return text;
	}
	return NULL;
}

static const char *lint_key(const struct set *set, const struct key_info *key, char *text,
			    size_t size)
{
	for (size_t i = 0; i < sizeof(key_rules) / sizeof(key_rules[0]); i++) {
		if (!key_rules[i].broken(set, key))
			continue;
		snprintf(text, size, "%s %s (%s): %s", alg_name(key->alg), key->kid,
			 key_state_name(key->state), key_rules[i].sentence);
		return text;
	}
	return NULL;
}

const char *key_plan_lint(const struct key_info *keys, size_t count,
			  const struct key_policy *policy, const enum alg *algs, size_t alg_count,
			  int64_t now, char *text, size_t size)
{
	const struct set set = { .keys = keys, .count = count, .policy = policy, .now = now };
	const char *fault = NULL;

	for (size_t i = 0; i < alg_count && !fault; i++)
		fault = lint_alg(&set, algs[i], text, size);
	for (size_t i = 0; i < count && !fault; i++)
		fault = lint_key(&set, &keys[i], text, size);
	return fault;
}
