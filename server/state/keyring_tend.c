/* What is due by the plan, and what an earlier failure left. Called once a second; each visit
 * follows the database first if something is stale, then does what needs no new key, then makes new
 * keys without holding the turn, then does what needs them. */
#include "base/fault.h"
#include "server/state/keyring_priv.h"

enum {
	STEPS_MAX = 16,
	RETRY_US = 10 * 1000 * 1000, /* an RSA key costs a third of a second: not once per tick */
	RETRY_SECONDS = RETRY_US / 1000000,
};

struct visit {
	struct keyring *k;
	struct fresh_key fresh[ALG_COUNT]; /* arena NULL: none was made */
	bool tried;			   /* it was time to, and the signer is there */
	enum err first;			   /* the first failure; others go on */
};

static void note(struct visit *v, enum err e)
{
	if (!v->first)
		v->first = e;
}

/* ---- steps ---- */

static enum err step_bound(struct lane_ctx *ctx, void *arg)
{
	struct act *a = arg;

	return act_conclude(ctx, a, store_key_bound(ctx->db, str_z(a->kid), a->bound));
}

static enum err step_remove(struct lane_ctx *ctx, void *arg)
{
	struct act *a = arg;

	return act_conclude(ctx, a, store_key_remove(ctx->db, str_z(a->kid), a->now));
}

static enum err step_retire_alg(struct lane_ctx *ctx, void *arg)
{
	struct act *a = arg;
	int64_t bound = a->active ? a->active->info.exp_bound : 0;

	return act_conclude(ctx, a,
			    store_key_retire_alg(ctx->db, a->alg,
						 key_plan_remove_at(&a->settings.policy, bound),
						 a->now));
}

/* Durable before the signer may use it: a bound that only the signer knew would be forgotten by a
 * crash. */
static enum err raise_bound(struct act *a)
{
	enum err e = act_write(a, step_bound);

	if (e)
		return e;
	e = FAILPOINT("key.bound.committed");
	if (!e)
		e = signer_bound(a->k->control, str_z(a->kid), a->bound);
	if (e)
		a->k->stale = true;
	return e ? e : act_publish(a);
}

static enum err remove_key(struct act *a)
{
	struct audit_row audit = act_system_row(a, KEY_EVENT_REMOVE, str_z(a->kid));
	enum err e;

	a->audit = &audit;
	e = act_write(a, step_remove);
	a->audit = NULL;
	if (e)
		return e;
	e = FAILPOINT("key.remove.committed");
	if (e) {
		a->k->stale = true;
		return e;
	}
	return act_publish(a);
}

static enum err retire_alg(struct act *a)
{
	struct audit_row audit = act_system_row(a, KEY_EVENT_REMOVE, str_z(a->kid));
	enum err e;

	audit.reason = STR("its algorithm is not in keys.algs any more");
	a->active = keyring_key_in(a->k, a->alg, KEY_ACTIVE);
	a->audit = &audit;
	e = act_write(a, step_retire_alg);
	a->audit = NULL;
	if (e)
		return e;
	e = FAILPOINT("key.retire_alg.committed");
	if (!e && a->active)
		e = signer_drop(a->k->control, str_z(a->active->info.kid));
	if (e && e != ERR_NOT_FOUND) {
		a->k->stale = true;
		return e;
	}
	return act_publish(a);
}

static enum err with_act(struct keyring *k, const struct key_step *step,
			 enum err (*run)(struct act *a))
{
	struct act a;
	enum err e = act_init(&a, k);

	a.alg = step->alg;
	a.bound = step->at;
	memcpy(a.kid, step->kid, sizeof(a.kid));
	if (!e)
		e = run(&a);
	act_done(&a);
	return e;
}

static enum err do_step(struct visit *v, const struct key_step *step)
{
	struct fresh_key *fresh = &v->fresh[step->alg];
	struct rotate_result unused;

	switch (step->act) {
	case KEY_ACT_RAISE_BOUND:
		return with_act(v->k, step, raise_bound);
	case KEY_ACT_REMOVE:
		return with_act(v->k, step, remove_key);
	case KEY_ACT_RETIRE_ALG:
		return with_act(v->k, step, retire_alg);
	case KEY_ACT_MAKE_STANDBY:
		return fresh->arena ? keyring_insert_standby(v->k, fresh, KEY_ORIGIN_SCHEDULE)
				    : ERR_OK;
	case KEY_ACT_ROTATE:
		return fresh->arena ? keyring_switch(v->k, fresh, NULL, &unused) : ERR_OK;
	}
	return ERR_INTERNAL;
}

static size_t due_now(struct keyring *k, struct key_step steps[STEPS_MAX])
{
	struct keyring_settings s = keyring_settings_get(k);
	struct key_outlook outlook = keyring_outlook(k);

	return key_plan_due(k->view->infos, k->view->count, &s.policy, s.algs, s.alg_count,
			    &outlook, keyring_now(k), steps, STEPS_MAX);
}

/* Served too late to sign already. In an emergency, without an active key, nothing is left to wait
 * for. */
static bool must_wait(struct keyring *k, const struct key_step *step)
{
	const struct keyring_key *standby = keyring_key_in(k, step->alg, KEY_STANDBY);

	if (step->act != KEY_ACT_ROTATE || !standby)
		return false;
	if (key_plan_in_emergency(k->view->infos, k->view->count, step->alg))
		return false;
	return keyring_unseen(k, &standby->info) != 0;
}

/* Tells which algorithms want a new key. */
static unsigned do_due(struct visit *v)
{
	struct key_step steps[STEPS_MAX];
	size_t n = due_now(v->k, steps);
	unsigned wanted = 0;

	for (size_t i = 0; i < n; i++) {
		bool wants = steps[i].act == KEY_ACT_MAKE_STANDBY || steps[i].act == KEY_ACT_ROTATE;

		if (must_wait(v->k, &steps[i]))
			continue;
		note(v, do_step(v, &steps[i]));
		if (wants && !v->fresh[steps[i].alg].arena)
			wanted |= 1u << steps[i].alg;
	}
	return wanted;
}

/* ---- a visit ---- */

/* New settings change the text's order and the signer's policy: both come with following. */
static bool take_settings_changed(struct keyring *k)
{
	bool changed;

	pthread_mutex_lock(&k->lock);
	changed = k->settings_changed;
	k->settings_changed = false;
	pthread_mutex_unlock(&k->lock);
	return changed;
}

static enum err make_ready(struct keyring *k)
{
	struct keyring_settings s = keyring_settings_get(k);
	enum err e = keyring_promise(k, &s);

	if (!e && k->stale)
		e = keyring_follow(k);
	return e;
}

static unsigned first_round(struct visit *v)
{
	struct keyring *k = v->k;

	if (take_settings_changed(k)) {
		k->stale = true;
		k->retry_at = 0;
	}
	v->first = signer_ping(k->control);
	if (v->first || k->env->monotonic(k->env) < k->retry_at)
		return 0;
	v->tried = true;
	v->first = make_ready(k);
	return v->first || k->over ? 0 : do_due(v);
}

/* The turn is free: an act by hand may come between, so what is due is asked again. */
static void make_wanted(struct visit *v, unsigned wanted)
{
	for (unsigned alg = 0; alg < ALG_COUNT; alg++) {
		if (wanted >> alg & 1)
			note(v, fresh_key_make(v->k, (enum alg)alg, &v->fresh[alg]));
	}
}

static int64_t next_visit(struct keyring *k, const struct key_policy *policy)
{
	int64_t now = keyring_now(k);

	if (k->retry_at)
		return now + RETRY_SECONDS;
	return key_plan_next(k->view->infos, k->view->count, policy, now);
}

enum err keyring_tend(struct keyring *k, int64_t *ret_next, bool *ret_changed)
{
	struct visit v = { .k = k };
	struct keyring_settings s;
	unsigned wanted;

	keyring_turn_take(k);
	wanted = first_round(&v);
	keyring_turn_end(k);
	make_wanted(&v, wanted);
	keyring_turn_take(k);
	if (wanted && !k->stale && !k->over)
		do_due(&v);
	if (v.tried)
		k->retry_at = v.first ? k->env->monotonic(k->env) + RETRY_US : 0;
	s = keyring_settings_get(k);
	*ret_changed = k->view_serial != k->told_serial;
	k->told_serial = k->view_serial;
	*ret_next = next_visit(k, &s.policy);
	keyring_turn_end(k);
	for (size_t i = 0; i < ALG_COUNT; i++)
		fresh_key_done(&v.fresh[i]);
	return v.first;
}

enum err keyring_ping(struct keyring *k)
{
	enum err e;

	keyring_turn_take(k);
	e = signer_ping(k->control);
	keyring_turn_end(k);
	return e;
}
