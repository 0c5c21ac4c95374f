/* Emergencies. The order is: the list of revoked kids (a file, synced), the database, the signer,
 * the view; then what is missing is made. Whatever is cut off in between goes on from the list or
 * the database at the next start, and never back. */
#include "base/fault.h"
#include "server/state/keyring_priv.h"
#include "server/state/revoked_kids.h"

/* ---- store steps ---- */

/* The standby takes over at once, ready or not: a verifier that does not hold it yet fetches it
 * when it meets its kid, and the other choice is no token at all. */
static enum err promote_standby(struct db *db, const struct act *a)
{
	const struct key_promotion p = { .alg = a->alg,
					 .kid = str_z(a->standby->info.kid),
					 .exp_bound = a->bound,
					 .now = a->now,
					 .forced = a->now < a->standby->info.ready_at };

	return store_key_promote(db, &p);
}

/* It would stay in the way of one that does open. */
static enum err withdraw_standby(struct db *db, const struct act *a)
{
	const struct keyring_key *standby = keyring_key_in(a->k, a->alg, KEY_STANDBY);
	struct audit_row audit = act_system_row(a, KEY_EVENT_REMOVE, str_z(standby->info.kid));
	enum err e = store_key_withdraw(db, a->alg, a->now);

	audit.reason = STR("its private half does not open");
	return e ? e : store_audit(db, &audit);
}

static enum err step_revoke(struct lane_ctx *ctx, void *arg)
{
	struct act *a = arg;
	enum err e = store_key_revoke(ctx->db, str_z(a->kid), a->now);

	if (!e && a->standby)
		e = promote_standby(ctx->db, a);
	if (!e && a->withdraw)
		e = withdraw_standby(ctx->db, a);
	if (!e)
		e = store_revoke(ctx->db, a->entry);
	return act_conclude(ctx, a, e);
}

/* ---- one key ---- */

/* Every token under it was counted by this process. */
static bool is_counted(const struct act *a, const struct key_info *info)
{
	return info->state == KEY_STANDBY ||
	       (info->activate_at > a->k->opened_at && info->origin != KEY_ORIGIN_IMPORT);
}

/* No token under it expires later; 0: it has signed none. */
static int64_t latest_expiry(const struct act *a, const struct key_info *info)
{
	int64_t counted = keyring_latest(a->k->view, str_z(info->kid));

	switch (info->state) {
	case KEY_ACTIVE:
		return is_counted(a, info) && counted < info->exp_bound ? counted : info->exp_bound;
	case KEY_RETIRING:
	case KEY_REMOVED:
	case KEY_REVOKED:
		return info->last_exp ? info->last_exp : info->exp_bound;
	case KEY_STANDBY:
	case KEY_STATE_COUNT:
		break;
	}
	return 0;
}

/* The count of a key that has left the set is gone. */
static bool is_exact(const struct act *a, const struct key_info *info)
{
	if (info->state == KEY_REVOKED || info->state == KEY_REMOVED)
		return latest_expiry(a, info) <= a->now; /* none is left */
	return is_counted(a, info);
}

/* With stale times (RFC 5861): who reaches us has the next set when the old one is no longer fresh,
 * who does not may go on. A second more, because ours are cut off, and caches count whole ones. */
int64_t keyring_cached_until(struct keyring *k, int64_t served_until)
{
	struct keyring_settings s = keyring_settings_get(k);
	int64_t cut_off = s.policy.jwks_max_age + key_plan_stale_if_error(&s.policy);
	int64_t fresh = keyring_freshness(k);

	return served_until + 1 + (fresh > cut_off ? fresh : cut_off);
}

void keyring_measure(const struct act *a, const struct keyring_key *key, struct revoke_result *ret)
{
	*ret = (struct revoke_result){
		.alg = key->info.alg,
		.outstanding = keyring_outstanding(a->k->view, str_z(key->info.kid), a->now),
		.exact = is_exact(a, &key->info),
		.latest_expiry = latest_expiry(a, &key->info),
	};
	memcpy(ret->kid, key->info.kid, sizeof(ret->kid));
}

/* The bad key is gone from the signer when this returns: by the switch, or dropped. */
static enum err switch_signer(struct act *a)
{
	int64_t unused;
	enum err e = FAILPOINT("key.revoke.committed");

	if (!e && a->standby)
		e = signer_activate(a->k->control, str_z(a->standby->info.kid), a->bound, &unused);
	if (!e)
		e = signer_drop(a->k->control, str_z(a->kid));
	if (e == ERR_NOT_FOUND)
		e = ERR_OK; /* not held: it retired, or the switch dropped it */
	return e ? e : FAILPOINT("key.revoke.switched");
}

/* A standby that does not open cannot help: the algorithm waits for a new one. Without a signer
 * that cannot be known, and the next one will have it. */
static void choose_successor(struct act *a, const struct keyring_key *key)
{
	enum err e = ERR_OK;

	a->standby = NULL;
	if (key->info.state != KEY_ACTIVE)
		return;
	a->standby = keyring_key_in(a->k, a->alg, KEY_STANDBY);
	if (a->standby)
		e = signer_load(a->k->control, &a->standby->info, a->standby->sealed);
	if (e && e != ERR_UNAVAILABLE)
		a->standby = NULL;
	a->withdraw = e == ERR_BAD_SIGNATURE;
	a->bound = key_plan_bound(&a->settings.policy, a->now);
}

static void count_emergency(struct keyring *k)
{
	pthread_mutex_lock(&k->lock);
	k->counts.emergency++;
	pthread_mutex_unlock(&k->lock);
}

static enum err revoke_now(struct act *a, const struct keyring_key *key)
{
	/* the bound, because a token may be signed until the signer switches */
	const struct revocation entry = { .kind = REVOKE_KID,
					  .value = str_z(a->kid),
					  .iat_max = INT64_MAX,
					  .until = key->info.exp_bound + a->settings.policy.skew };
	enum err e, switched;

	choose_successor(a, key);
	a->entry = &entry;
	keyring_set_switching(a->k, a->standby != NULL);
	e = act_write(a, step_revoke);
	if (e)
		return e;
	count_emergency(a->k);
	switched = switch_signer(a);
	if (switched)
		a->k->stale = true;
	e = act_publish(a);
	keyring_set_switching(a->k, switched || e);
	if (!switched && !e)
		e = FAILPOINT("key.revoke.published");
	return switched ? switched : e;
}

static enum err list_kid(struct keyring *k, struct str kid, int64_t now)
{
	enum err e = k->revoked_kids ? revoked_kids_add(k->revoked_kids, kid, now) : ERR_OK;

	return e ? e : FAILPOINT("key.revoke.listed");
}

static enum err revoke(struct act *a, bool listed, struct revoke_result *ret)
{
	const struct keyring_key *key = keyring_key_named(a->k, str_z(a->kid));
	enum err e = ERR_OK;

	if (!key)
		return ERR_NOT_FOUND;
	a->alg = key->info.alg;
	keyring_measure(a, key, ret);
	if (key->info.state == KEY_REVOKED)
		return ERR_REUSED;
	if (!listed)
		e = list_kid(a->k, str_z(a->kid), a->now);
	if (!e)
		e = revoke_now(a, key);
	return e;
}

static void name_successor(const struct keyring *k, enum alg alg, struct revoke_result *ret)
{
	const struct keyring_key *active = keyring_key_in(k, alg, KEY_ACTIVE);

	if (active)
		memcpy(ret->signs_now, active->info.kid, sizeof(ret->signs_now));
}

/* The turn is the caller's. */
static enum err revoke_in_turn(struct keyring *k, struct str kid, const struct audit_row *audit,
			       bool listed, struct revoke_result *ret)
{
	struct act a;
	enum err e = act_init(&a, k);

	if (!e && kid.n > KID_MAX)
		e = ERR_NOT_FOUND;
	if (!e) {
		memcpy(a.kid, kid.p, kid.n);
		a.audit = audit;
		e = revoke(&a, listed, ret);
	}
	if (!e || e == ERR_REUSED)
		name_successor(k, a.alg, ret);
	act_done(&a);
	return e;
}

/* What the database says is enough to begin with. A signer that is gone, or another key that does
 * not open, keeps no bad key in the set. */
static enum err begin(struct keyring *k)
{
	enum err e = k->stale ? keyring_follow_database(k) : ERR_OK;

	if (!e && k->stale)
		k->stale = keyring_follow_signer(k) != ERR_OK;
	return e;
}

enum err keyring_revoke(struct keyring *k, struct str kid, const struct audit_row *audit,
			struct revoke_result *ret_result)
{
	struct revoke_result result = { .kid = "" };
	enum err e;

	keyring_turn_take(k);
	e = begin(k);
	if (!e)
		e = revoke_in_turn(k, kid, audit, false, &result);
	if (!e && keyring_relist(k))
		e = ERR_OK; /* what it lacks of others is no error of this one; lint tells */
	keyring_turn_end(k);
	*ret_result = result;
	return e;
}

/* ---- what is missing afterwards ---- */

static bool lacks_keys(struct keyring *k, enum alg alg)
{
	struct keyring_settings s = keyring_settings_get(k);

	return keyring_is_configured(&s, alg) &&
	       (!keyring_key_in(k, alg, KEY_STANDBY) || !keyring_key_in(k, alg, KEY_ACTIVE));
}

/* A standby first, which then takes over with another behind it. Others may have had the turn since
 * it was found missing. */
static enum err put_missing(struct keyring *k, enum alg alg, struct fresh_key *fresh)
{
	struct rotate_result unused;
	enum err e = keyring_begin(k);

	if (e || !lacks_keys(k, alg))
		return e;
	if (!keyring_key_in(k, alg, KEY_STANDBY))
		return keyring_insert_standby(k, fresh, KEY_ORIGIN_EMERGENCY);
	return keyring_switch(k, fresh, NULL, &unused);
}

static bool lacks_keys_now(struct keyring *k, enum alg alg)
{
	bool lacks;

	keyring_turn_take(k);
	lacks = !k->over && lacks_keys(k, alg);
	keyring_turn_end(k);
	return lacks;
}

static enum err make_missing(struct keyring *k, enum alg alg)
{
	struct fresh_key fresh;
	enum err e = fresh_key_make(k, alg, &fresh);

	if (e)
		return e;
	keyring_turn_take(k);
	e = put_missing(k, alg, &fresh);
	keyring_turn_end(k);
	fresh_key_done(&fresh);
	return e;
}

void keyring_make_good(struct keyring *k, enum alg alg, struct revoke_result *ret)
{
	enum err e = ERR_OK;

	for (int made = 0; made < 2 && !e && lacks_keys_now(k, alg); made++)
		e = make_missing(k, alg);
	keyring_turn_take(k);
	k->stale = k->stale || e;
	if (ret)
		name_successor(k, alg, ret);
	keyring_turn_end(k);
}

void keyring_end_emergency(struct keyring *k)
{
	enum alg alg = k->settings.default_alg;

	if (!keyring_key_in(k, alg, KEY_ACTIVE) && keyring_key_in(k, alg, KEY_REVOKED))
		keyring_make_good(k, alg, NULL);
}

/* ---- what the list says, at the start ---- */

/* Those that sign come last: a standby that is on the list, too, must not take over first. */
static const struct keyring_key *next_listed(const struct keyring *k, struct str list)
{
	const struct keyring_key *found = NULL;

	for (size_t i = 0; i < k->view->count; i++) {
		const struct keyring_key *key = &k->view->keys[i];

		if (key->info.state == KEY_REVOKED || !revoked_kids_has(list, str_z(key->info.kid)))
			continue;
		if (!found || found->info.state == KEY_ACTIVE)
			found = key;
	}
	return found;
}

static enum err revoke_from(struct keyring *k, struct str list)
{
	const struct keyring_key *key;
	enum err e = ERR_OK;

	while (!e && (key = next_listed(k, list))) {
		const struct audit_row audit = { .at = keyring_now(k),
						 .event = KEY_EVENT_REVOKE,
						 .outcome = STR("ok"),
						 .actor = STR("system"),
						 .target = str_z(key->info.kid),
						 .reason = STR("on the list of revoked kids"),
						 .count = 1 };
		struct revoke_result unused;

		e = revoke_in_turn(k, str_z(key->info.kid), &audit, true, &unused);
	}
	return e;
}

enum err keyring_revoke_listed(struct keyring *k)
{
	enum err e = keyring_with_list(k, revoke_from);

	if (!e && keyring_relist(k))
		e = ERR_OK; /* no reason not to start; lint tells */
	return e;
}
