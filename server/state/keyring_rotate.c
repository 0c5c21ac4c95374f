/* Rotation: the standby signs from the next request, the key before it retires, and the next
 * standby is published; one store step. */
#include "base/fault.h"
#include "server/state/keyring_priv.h"

/* Retired with the bound as its last expiry, which covers whatever it signs until the signer
 * switches; the exact one follows. */
static enum err step_rotate(struct lane_ctx *ctx, void *arg)
{
	struct act *a = arg;
	int64_t old_bound = a->active ? a->active->info.exp_bound : 0;
	const struct key_promotion p = { .alg = a->alg,
					 .kid = str_z(a->standby->info.kid),
					 .exp_bound = a->bound,
					 .now = a->now,
					 .forced = a->now < a->standby->info.ready_at };

	return act_conclude(ctx, a,
			    store_key_rotate(ctx->db, &p,
					     key_plan_remove_at(&a->settings.policy, old_bound),
					     &a->fresh->row));
}

static enum err step_settle(struct lane_ctx *ctx, void *arg)
{
	struct act *a = arg;

	return act_conclude(ctx, a,
			    store_key_settle(ctx->db, str_z(a->active->info.kid), a->last_exp,
					     key_plan_remove_at(&a->settings.policy, a->last_exp)));
}

/* The database says so already; now the signer. Failing to note the exact expiry only keeps the old
 * key until its bound. */
static enum err switch_signer(struct act *a)
{
	int64_t reported;
	enum err e = FAILPOINT("key.rotate.committed");

	if (!e)
		e = signer_activate(a->k->control, str_z(a->standby->info.kid), a->bound,
				    &reported);
	if (!e)
		e = FAILPOINT("key.rotate.activated");
	if (e) {
		a->k->stale = true;
		return e;
	}
	if (!a->active)
		return ERR_OK;
	a->last_exp = act_last_expiry(a, &a->active->info, reported);
	a->audit = NULL;
	return act_write(a, step_settle) ? ERR_OK : FAILPOINT("key.rotate.settled");
}

/* What a failure before the store step leaves in the signer: an open standby, which must stay
 * sealed. */
static enum err put_back(struct act *a, enum err e)
{
	keyring_set_switching(a->k, false);
	if (signer_drop(a->k->control, str_z(a->standby->info.kid)))
		a->k->stale = true;
	return e;
}

/* The standby is opened in the signer before anything is written: one that does not open must not
 * become the active key. */
static enum err rotate_now(struct act *a, struct rotate_result *ret_result)
{
	struct rotate_result result = { .kid = "" };
	enum err e, switched;

	memcpy(result.kid, a->standby->info.kid, sizeof(result.kid));
	if (a->active)
		memcpy(result.retired, a->active->info.kid, sizeof(result.retired));
	e = signer_load(a->k->control, &a->standby->info, a->standby->sealed);
	if (!e)
		e = FAILPOINT("key.rotate.loaded");
	if (e)
		return put_back(a, e);
	a->bound = key_plan_bound(&a->settings.policy, a->now);
	keyring_set_switching(a->k, true);
	e = act_write(a, step_rotate);
	if (e)
		return put_back(a, e);
	switched = switch_signer(a);
	e = act_publish(a);
	keyring_set_switching(a->k, switched || e);
	*ret_result = result;
	return switched ? switched : e;
}

static void count_rotation(struct keyring *k, enum err e, bool manual)
{
	pthread_mutex_lock(&k->lock);
	if (e)
		k->counts.failed++;
	else if (manual)
		k->counts.manual++;
	else
		k->counts.scheduled++;
	pthread_mutex_unlock(&k->lock);
}

static enum err rotate(struct act *a, bool manual, struct rotate_result *ret_result)
{
	struct audit_row by_schedule;

	a->active = keyring_key_in(a->k, a->alg, KEY_ACTIVE);
	a->standby = keyring_key_in(a->k, a->alg, KEY_STANDBY);
	if (!a->standby)
		return ERR_NOT_FOUND;
	if (keyring_set_is_full(a->k->view))
		return ERR_BUSY;
	act_fill_standby(a, manual ? KEY_ORIGIN_MANUAL : KEY_ORIGIN_SCHEDULE, a->now);
	by_schedule = act_system_row(a, KEY_EVENT_ROTATE, str_z(a->standby->info.kid));
	if (!manual)
		a->audit = &by_schedule;
	return rotate_now(a, ret_result);
}

enum err keyring_switch(struct keyring *k, struct fresh_key *fresh, const struct audit_row *audit,
			struct rotate_result *ret_result)
{
	struct act a;
	enum err e = act_init(&a, k);

	a.alg = fresh->row.info.alg;
	a.fresh = fresh;
	a.audit = audit;
	if (!e)
		e = rotate(&a, audit != NULL, ret_result);
	count_rotation(k, e, audit != NULL);
	act_done(&a);
	return e;
}

/* ---- by hand ---- */

static enum err ensure_standby(struct keyring *k, enum alg alg)
{
	struct fresh_key fresh;
	enum err e;

	if (keyring_key_in(k, alg, KEY_STANDBY))
		return ERR_OK;
	e = fresh_key_make_in_turn(k, alg, &fresh);
	if (e)
		return e;
	e = keyring_insert_standby(k, &fresh, KEY_ORIGIN_SCHEDULE);
	fresh_key_done(&fresh);
	return e;
}

/* False with the moment from which on every verifier can hold the standby (rule 2). */
static bool is_ready(struct keyring *k, enum alg alg, int64_t *ret_ready_at)
{
	int64_t now = keyring_now(k), unseen;

	if (!key_plan_ready(k->view->infos, k->view->count, alg, now, ret_ready_at))
		return false;
	unseen = keyring_unseen(k, &keyring_key_in(k, alg, KEY_STANDBY)->info);
	if (unseen)
		*ret_ready_at = now + unseen;
	return unseen == 0;
}

/* May it be, now? */
static enum err check_rotation(struct keyring *k, enum alg alg, bool force, int64_t *ret_ready_at)
{
	struct keyring_settings s = keyring_settings_get(k);
	enum err e = keyring_begin(k);

	if (e)
		return e;
	if (!keyring_is_configured(&s, alg))
		return ERR_NOT_FOUND;
	e = ensure_standby(k, alg);
	if (e || force)
		return e;
	return is_ready(k, alg, ret_ready_at) ? ERR_OK : ERR_NOT_READY;
}

enum err keyring_rotate(struct keyring *k, enum alg alg, bool force, const struct audit_row *audit,
			struct rotate_result *ret_result)
{
	static const struct audit_row nobody = { .event = KEY_EVENT_ROTATE };
	struct fresh_key fresh;
	enum err e;

	keyring_turn_take(k);
	e = check_rotation(k, alg, force, &ret_result->ready_at);
	keyring_turn_end(k);
	if (!e)
		e = fresh_key_make(k, alg, &fresh);
	if (e)
		return e;
	keyring_turn_take(k);
	e = check_rotation(k, alg, force, &ret_result->ready_at);
	if (!e)
		e = FAILPOINT("key.rotate.generated");
	if (!e)
		e = keyring_switch(k, &fresh, audit ? audit : &nobody, ret_result);
	keyring_turn_end(k);
	fresh_key_done(&fresh);
	return e;
}
