/* What a set of keys must become. Each rule is one small question about one key; the exported
 * functions ask them in the order of urgency. Nothing here recomputes a time from the policy that
 * was stored with a key: a changed option moves the future, never a promise. */
#include "keys/plan.h"

static const char *const state_names[KEY_STATE_COUNT] = {
	[KEY_STANDBY] = "standby", [KEY_ACTIVE] = "active",   [KEY_RETIRING] = "retiring",
	[KEY_REMOVED] = "removed", [KEY_REVOKED] = "revoked",
};

const char *key_state_name(enum key_state s)
{
	return (unsigned)s < KEY_STATE_COUNT ? state_names[s] : "unknown";
}

bool key_state_by_name(struct str name, enum key_state *ret_state)
{
	for (unsigned s = 0; s < KEY_STATE_COUNT; s++) {
		if (str_equal_z(name, state_names[s])) {
			*ret_state = (enum key_state)s;
			return true;
		}
	}
	return false;
}

static const char *const origin_names[KEY_ORIGIN_COUNT] = {
	[KEY_ORIGIN_INIT] = "init",	[KEY_ORIGIN_SCHEDULE] = "schedule",
	[KEY_ORIGIN_MANUAL] = "manual", [KEY_ORIGIN_EMERGENCY] = "emergency",
	[KEY_ORIGIN_IMPORT] = "import",
};

const char *key_origin_name(enum key_origin o)
{
	return (unsigned)o < KEY_ORIGIN_COUNT ? origin_names[o] : "unknown";
}

bool key_origin_by_name(struct str name, enum key_origin *ret_origin)
{
	for (unsigned o = 0; o < KEY_ORIGIN_COUNT; o++) {
		if (str_equal_z(name, origin_names[o])) {
			*ret_origin = (enum key_origin)o;
			return true;
		}
	}
	return false;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

const struct key_info *key_plan_find(const struct key_info *keys, size_t count, enum alg alg,
				     enum key_state state)
{
	for (size_t i = 0; i < count; i++) {
		if (keys[i].alg == alg && keys[i].state == state)
			return &keys[i];
	}
	return NULL;
}

/* A key that was revoked before it signed leaves nothing unsigned, and one that was revoked long
 * ago does not excuse an algorithm that has retired since. */
bool key_plan_in_emergency(const struct key_info *keys, size_t count, enum alg alg)
{
	int64_t revoked = 0, retired = 0;

	if (key_plan_find(keys, count, alg, KEY_ACTIVE))
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct key_info *k = &keys[i];

		if (k->alg != alg || !k->exp_bound)
			continue;
		if (k->state == KEY_REVOKED)
			revoked = later(revoked, k->retire_at);
		else
			retired = later(retired, k->retire_at);
	}
	return revoked > 0 && revoked >= retired;
}

/* ---- when ---- */

/* The moment the bound must be raised: less than a step is left beyond the longest token. */
static int64_t bound_due_at(const struct key_info *active, const struct key_policy *policy)
{
	return active->exp_bound - policy->longest_ttl - policy->bound_step + 1;
}

/* The moment the standby takes over. A planned switch waits until every verifier can hold the key,
 * even if it was planned earlier; after an emergency (the active key was revoked) nothing is left
 * to wait for; a first key of a new algorithm waits for its publication like any other (rule 2). */
static int64_t switch_due_at(const struct key_info *keys, size_t count,
			     const struct key_info *standby)
{
	if (key_plan_find(keys, count, standby->alg, KEY_ACTIVE))
		return later(standby->activate_at, standby->ready_at);
	if (key_plan_in_emergency(keys, count, standby->alg))
		return 0;
	return standby->ready_at;
}

/* INT64_MAX: never. `policy` NULL leaves out what no verifier sees. */
static int64_t key_due_at(const struct key_info *keys, size_t count, const struct key_info *key,
			  const struct key_policy *policy)
{
	switch (key->state) {
	case KEY_STANDBY:
		return switch_due_at(keys, count, key);
	case KEY_ACTIVE:
		return policy ? bound_due_at(key, policy) : INT64_MAX;
	case KEY_RETIRING:
		return key->remove_at;
	case KEY_REMOVED:
	case KEY_REVOKED:
	case KEY_STATE_COUNT:
		break;
	}
	return INT64_MAX;
}

/* ---- what is due ---- */

struct steps {
	struct key_step *at;
	size_t count, cap;
};

static void add_step(struct steps *out, const struct key_step *step)
{
	if (out->count < out->cap)
		out->at[out->count++] = *step;
}

static struct key_step step_for(enum key_act act, const struct key_info *key, int64_t at)
{
	struct key_step step = { .act = act, .alg = key->alg, .at = at };

	memcpy(step.kid, key->kid, sizeof(step.kid));
	return step;
}

/* A bound that is reached refuses tokens, so it comes first. */
static void plan_bound(const struct key_info *active, const struct key_policy *policy, int64_t now,
		       struct steps *out)
{
	struct key_step step;

	if (!active || now < bound_due_at(active, policy))
		return;
	step = step_for(KEY_ACT_RAISE_BOUND, active, key_plan_bound(policy, now));
	add_step(out, &step);
}

/* Where nothing signs, nobody is waited for: a verifier that lacks the key loses nothing. */
static bool is_held_back(const struct key_info *keys, size_t count, enum alg alg,
			 const struct key_outlook *outlook)
{
	return (outlook->held_back >> alg & 1) && key_plan_find(keys, count, alg, KEY_ACTIVE);
}

static void plan_switch(const struct key_info *keys, size_t count, enum alg alg, int64_t patience,
			int64_t now, struct steps *out)
{
	const struct key_info *standby = key_plan_find(keys, count, alg, KEY_STANDBY);
	struct key_step step = { .act = KEY_ACT_MAKE_STANDBY, .alg = alg, .at = now };

	if (standby) {
		if (now < switch_due_at(keys, count, standby) + patience)
			return;
		step = step_for(KEY_ACT_ROTATE, standby, now);
	}
	add_step(out, &step);
}

/* Did a revocation take what is missing? A doubtful clock must not leave an algorithm without a key
 * that signs, nor without the one for the next emergency: both are made good whatever it says. A
 * promoted standby signs from the moment of the revocation. */
static bool lacks_by_emergency(const struct key_info *keys, size_t count, enum alg alg)
{
	const struct key_info *active = key_plan_find(keys, count, alg, KEY_ACTIVE);

	if (!active)
		return key_plan_in_emergency(keys, count, alg);
	if (key_plan_find(keys, count, alg, KEY_STANDBY))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (keys[i].alg == alg && keys[i].state == KEY_REVOKED &&
		    keys[i].revoked_at >= active->activate_at)
			return true;
	}
	return false;
}

static bool is_among(const enum alg *algs, size_t alg_count, enum alg alg)
{
	for (size_t i = 0; i < alg_count; i++) {
		if (algs[i] == alg)
			return true;
	}
	return false;
}

/* One step an algorithm: its active key is found, or its standby where there is none. */
static void plan_retirements(const struct key_info *keys, size_t count, const enum alg *algs,
			     size_t alg_count, int64_t now, struct steps *out)
{
	for (size_t i = 0; i < count; i++) {
		struct key_step step = step_for(KEY_ACT_RETIRE_ALG, &keys[i], now);
		bool leads = keys[i].state == KEY_ACTIVE ||
			     (keys[i].state == KEY_STANDBY &&
			      !key_plan_find(keys, count, keys[i].alg, KEY_ACTIVE));

		if (leads && !is_among(algs, alg_count, keys[i].alg))
			add_step(out, &step);
	}
}

static void plan_removals(const struct key_info *keys, size_t count, int64_t now, struct steps *out)
{
	for (size_t i = 0; i < count; i++) {
		struct key_step step = step_for(KEY_ACT_REMOVE, &keys[i], now);

		if (keys[i].state == KEY_RETIRING && now >= keys[i].remove_at)
			add_step(out, &step);
	}
}

size_t key_plan_due(const struct key_info *keys, size_t count, const struct key_policy *policy,
		    const enum alg *algs, size_t alg_count, const struct key_outlook *outlook,
		    int64_t now, struct key_step *ret_steps, size_t cap)
{
	struct steps out = { .at = ret_steps, .cap = cap };

	for (size_t i = 0; i < alg_count; i++)
		plan_bound(key_plan_find(keys, count, algs[i], KEY_ACTIVE), policy, now, &out);
	for (size_t i = 0; i < alg_count; i++) {
		bool held_back = is_held_back(keys, count, algs[i], outlook);

		if (outlook->clock_in_doubt && !lacks_by_emergency(keys, count, algs[i]))
			continue;
		plan_switch(keys, count, algs[i], held_back ? policy->wait_max : 0, now, &out);
	}
	if (outlook->clock_in_doubt)
		return out.count;
	plan_retirements(keys, count, algs, alg_count, now, &out);
	plan_removals(keys, count, now, &out);
	return out.count;
}

int64_t key_plan_next(const struct key_info *keys, size_t count, const struct key_policy *policy,
		      int64_t now)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < count; i++) {
		next = sooner(next, key_due_at(keys, count, &keys[i], policy));
		if (keys[i].state == KEY_ACTIVE &&
		    !key_plan_find(keys, count, keys[i].alg, KEY_STANDBY))
			next = now;
	}
	return later(next, now);
}

bool key_plan_ready(const struct key_info *keys, size_t count, enum alg alg, int64_t now,
		    int64_t *ret_ready_at)
{
	const struct key_info *standby = key_plan_find(keys, count, alg, KEY_STANDBY);

	if (standby && now >= standby->ready_at)
		return true;
	*ret_ready_at = standby ? standby->ready_at : 0;
	return false;
}

/* ---- how long ---- */

int64_t key_plan_bound(const struct key_policy *policy, int64_t now)
{
	return now + policy->longest_ttl + 2 * policy->bound_step;
}

int64_t key_plan_remove_at(const struct key_policy *policy, int64_t last_exp)
{
	return last_exp + policy->skew;
}

int64_t key_plan_next_change(const struct key_info *keys, size_t count, int64_t now)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < count; i++) {
		int64_t at = key_due_at(keys, count, &keys[i], NULL);

		if (at > now)
			next = sooner(next, at);
	}
	return next;
}

int64_t key_plan_max_age(const struct key_info *keys, size_t count, const struct key_policy *policy,
			 int64_t now)
{
	int64_t next = key_plan_next_change(keys, count, now);

	return later(1, sooner(policy->jwks_max_age, next - now));
}

enum { STALE_IF_ERROR_MAX = 86400 };

int64_t key_plan_stale_while(const struct key_policy *policy)
{
	return policy->jwks_max_age / 2;
}

int64_t key_plan_promise(const struct key_policy *policy)
{
	return policy->jwks_max_age + key_plan_stale_while(policy);
}

int64_t key_plan_stale_if_error(const struct key_policy *policy)
{
	int64_t room = policy->rotate_every - 2 * policy->jwks_max_age - policy->skew;

	return sooner(later(room, 0), STALE_IF_ERROR_MAX);
}

/* ---- what is to come ---- */

static const char *const event_names[KEY_FORESEEN_COUNT] = {
	[KEY_FORESEEN_READY] = "ready",		 [KEY_FORESEEN_SWITCH] = "switch",
	[KEY_FORESEEN_BOUND] = "raise_bound",	 [KEY_FORESEEN_LEAVE] = "leave",
	[KEY_FORESEEN_MISSING] = "make_standby",
};

const char *key_foreseen_name(enum key_foreseen_kind kind)
{
	return (unsigned)kind < KEY_FORESEEN_COUNT ? event_names[kind] : "unknown";
}

struct forecast {
	int64_t now;
	struct key_foreseen *events;
	size_t count, cap;
};

/* In its place by time; of the same moment, the order in which they were found. Where there is no
 * room for all, the soonest stay. */
static void foresee(struct forecast *f, enum key_foreseen_kind kind, enum alg alg, const char *kid,
		    int64_t at)
{
	struct key_foreseen event = { .kind = kind, .alg = alg, .at = later(at, f->now) };
	size_t i = f->count;

	event.latest = event.at;
	memcpy(event.kid, kid, strlen(kid) + 1);
	for (; i > 0 && f->events[i - 1].at > event.at; i--) {
		if (i < f->cap)
			f->events[i] = f->events[i - 1];
	}
	if (i < f->cap)
		f->events[i] = event;
	f->count += f->count < f->cap;
}

static void foresee_key(struct forecast *f, const struct key_info *keys, size_t count,
			const struct key_info *k, const struct key_policy *policy)
{
	if (k->state == KEY_STANDBY && k->ready_at > f->now)
		foresee(f, KEY_FORESEEN_READY, k->alg, k->kid, k->ready_at);
	if (k->state == KEY_STANDBY)
		foresee(f, KEY_FORESEEN_SWITCH, k->alg, k->kid, switch_due_at(keys, count, k));
	if (k->state == KEY_ACTIVE)
		foresee(f, KEY_FORESEEN_BOUND, k->alg, k->kid, bound_due_at(k, policy));
	if (k->state == KEY_RETIRING)
		foresee(f, KEY_FORESEEN_LEAVE, k->alg, k->kid, k->remove_at);
}

size_t key_plan_forecast(const struct key_info *keys, size_t count, const struct key_policy *policy,
			 const enum alg *algs, size_t alg_count, const struct key_outlook *outlook,
			 int64_t now, struct key_foreseen *ret_events, size_t cap)
{
	struct forecast f = { .now = now, .events = ret_events, .cap = cap };

	for (size_t i = 0; i < alg_count; i++) {
		if (!key_plan_find(keys, count, algs[i], KEY_STANDBY))
			foresee(&f, KEY_FORESEEN_MISSING, algs[i], "", now);
	}
	for (size_t i = 0; i < count; i++)
		foresee_key(&f, keys, count, &keys[i], policy);
	for (size_t i = 0; i < f.count; i++) {
		struct key_foreseen *e = &f.events[i];
		const struct key_info *standby = key_plan_find(keys, count, e->alg, KEY_STANDBY);

		if (e->kind == KEY_FORESEEN_SWITCH && is_held_back(keys, count, e->alg, outlook))
			e->latest = later(now,
					  switch_due_at(keys, count, standby) + policy->wait_max);
	}
	return f.count;
}
