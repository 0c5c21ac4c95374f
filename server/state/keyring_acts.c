/* What changes keys. Every act is: make what is needed, one durable store step, then the signer,
 * then a new view. After the store step nothing may be lost by failing: whatever remains undone is
 * marked stale, and the next act begins by following the database. */
#include "base/fault.h"
#include "server/state/keyring_priv.h"

enum {
	STEPS_MAX = 16,
	RETRY_US = 10 * 1000 * 1000, /* an RSA key costs a third of a second: not once per tick */
	RETRY_SECONDS = RETRY_US / 1000000,
	FRESH_ARENA_MAX = 16 << 10,
	PUBLIC_JWK_MAX = 2048,
};

/* One act and its store step; `rows` is what the database holds after it. */
struct act {
	struct keyring *k;
	struct keyring_settings settings;
	int64_t now;
	const struct audit_row *audit;
	struct arena *arena; /* for `fresh` */
	struct key_row fresh;
	const struct keyring_key *active, *standby; /* of the present view; NULL */
	enum alg alg;
	char kid[KID_MAX + 1];
	int64_t bound, last_exp;
	struct key_rows rows;
};

/* ---- store steps; run on the writer, perhaps twice ---- */

static enum err conclude(struct lane_ctx *ctx, struct act *a, enum err e)
{
	if (!e && a->audit)
		e = store_audit(ctx->db, a->audit);
	return e ? e : key_rows_read(ctx->db, &a->rows);
}

static enum err step_read(struct lane_ctx *ctx, void *arg)
{
	return conclude(ctx, arg, ERR_OK);
}

static enum err step_insert(struct lane_ctx *ctx, void *arg)
{
	struct act *a = arg;

	return conclude(ctx, a, store_key_insert(ctx->db, &a->fresh));
}

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

	return conclude(ctx, a,
			store_key_rotate(ctx->db, &p,
					 key_plan_remove_at(&a->settings.policy, old_bound),
					 &a->fresh));
}

static enum err step_settle(struct lane_ctx *ctx, void *arg)
{
	struct act *a = arg;

	return conclude(ctx, a,
			store_key_settle(ctx->db, str_z(a->active->info.kid), a->last_exp,
					 key_plan_remove_at(&a->settings.policy, a->last_exp)));
}

static enum err step_bound(struct lane_ctx *ctx, void *arg)
{
	struct act *a = arg;

	return conclude(ctx, a, store_key_bound(ctx->db, str_z(a->kid), a->bound));
}

static enum err step_remove(struct lane_ctx *ctx, void *arg)
{
	struct act *a = arg;

	return conclude(ctx, a, store_key_remove(ctx->db, str_z(a->kid), a->now));
}

/* An error may hide a commit, so afterwards nobody trusts the present view. */
static enum err write_step(struct act *a, enum err (*run)(struct lane_ctx *, void *))
{
	struct keyring *k = a->k;
	enum err e = k->store.write(k->store.arg, run, a);

	if (e)
		k->stale = true;
	return e;
}

/* ---- beginning and ending an act ---- */

static enum err act_init(struct act *a, struct keyring *k)
{
	enum err e;

	*a = (struct act){
		.k = k,
		.settings = keyring_settings_get(k),
		.now = keyring_now(k),
	};
	e = arena_new(FRESH_ARENA_MAX, &a->arena);
	return e ? e : key_rows_new(&a->rows);
}

static void act_done(struct act *a)
{
	arena_free(a->arena);
	key_rows_done(&a->rows);
}

/* The rows become the view; the act may go on with others. */
static enum err publish(struct act *a)
{
	struct keyring_view *v;
	enum err e;

	e = keyring_view_new(&a->rows, a->settings.default_alg, a->now, &v);
	if (!e)
		keyring_view_put(a->k, v);
	else
		a->k->stale = true;
	return e;
}

static const struct keyring_key *key_in(const struct keyring *k, enum alg alg, enum key_state state)
{
	for (size_t i = 0; i < k->view->count; i++) {
		const struct keyring_key *key = &k->view->keys[i];

		if (key->info.alg == alg && key->info.state == state)
			return key;
	}
	return NULL;
}

static struct audit_row system_row(const struct act *a, struct str event, struct str target)
{
	return (struct audit_row){
		.at = a->now,
		.event = event,
		.outcome = STR("ok"),
		.actor = STR("system"),
		.target = target,
		.count = 1,
	};
}

/* ---- new keys ---- */

enum err keyring_make_key(struct keyring *k, enum alg alg, struct arena *arena, struct key_row *row)
{
	struct buf public_jwk, sealed;
	enum err e;

	*row = (struct key_row){ .info = { .alg = alg, .root_version = k->root_version } };
	buf_init(&public_jwk, arena, PUBLIC_JWK_MAX);
	buf_init(&sealed, arena, SEALED_MAX);
	e = signer_generate(k->control, alg, row->info.kid, &public_jwk, &sealed);
	if (!e)
		e = buf_end(&public_jwk, &row->public_jwk);
	return e ? e : buf_end(&sealed, &row->sealed);
}

/* Rule 2: it is ready when no verifier can hold an older set any more. It takes over one period
 * after the key that takes over now (`from`), yet never before it is ready. */
static enum err make_standby(struct act *a, int64_t from)
{
	const struct key_policy *policy = &a->settings.policy;
	struct key_info *info = &a->fresh.info;
	enum err e = keyring_make_key(a->k, a->alg, a->arena, &a->fresh);

	if (e)
		return e;
	a->now = keyring_now(a->k); /* making it took a while, and it is published from now on */
	info->state = KEY_STANDBY;
	info->origin = KEY_ORIGIN_SCHEDULE;
	info->created_at = a->now;
	info->publish_at = a->now;
	info->ready_at = a->now + a->k->freshness + policy->skew;
	info->activate_at = from + policy->rotate_every;
	if (info->activate_at < info->ready_at)
		info->activate_at = info->ready_at;
	return ERR_OK;
}

static enum err act_make_standby(struct act *a)
{
	struct audit_row audit;
	enum err e;

	a->active = key_in(a->k, a->alg, KEY_ACTIVE);
	e = make_standby(a, a->active ? a->active->info.activate_at : INT64_MIN / 2);
	if (e)
		return e;
	audit = system_row(a, KEY_EVENT_CREATE, str_z(a->fresh.info.kid));
	a->audit = &audit;
	e = write_step(a, step_insert);
	a->audit = NULL;
	return e ? e : publish(a);
}

/* ---- rotation ---- */

/* The latest expiry of any token under the key that has just stopped. The signer knows exactly what
 * it has signed itself; what a signer before it signed is covered by the longest lifetime from the
 * moment this one was loaded. Never beyond the bound, which no signer passed. */
static int64_t last_expiry(const struct act *a, int64_t reported)
{
	const struct key_info *old = &a->active->info;
	int64_t last = reported > a->now ? reported : a->now;
	int64_t unseen = a->k->loaded_at + a->settings.policy.longest_ttl + a->settings.policy.skew;

	if (old->activate_at <= a->k->loaded_at && last < unseen)
		last = unseen;
	return last < old->exp_bound ? last : old->exp_bound;
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
	a->last_exp = last_expiry(a, reported);
	a->audit = NULL;
	return write_step(a, step_settle) ? ERR_OK : FAILPOINT("key.rotate.settled");
}

/* What a failure before the store step leaves in the signer: an open standby, which must stay
 * sealed. */
static enum err put_back(struct act *a, enum err e)
{
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
	if (e)
		return e;
	e = make_standby(a, keyring_now(a->k));
	if (!e)
		e = FAILPOINT("key.rotate.generated");
	if (e)
		return put_back(a, e);
	a->bound = key_plan_bound(&a->settings.policy, a->now);
	e = write_step(a, step_rotate);
	if (e)
		return put_back(a, e);
	switched = switch_signer(a);
	e = publish(a);
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

/* A rotation adds a key to the published set. One that would not fit any more must not begin: it
 * would sign with a key that nobody is told of. */
static bool set_is_full(const struct keyring_view *v)
{
	size_t published = 0;

	for (size_t i = 0; i < v->count; i++)
		published += v->keys[i].public_key != NULL;
	return published >= JWKS_KEYS_MAX;
}

static enum err rotate(struct act *a, bool manual, struct rotate_result *ret_result)
{
	enum err e = ERR_NOT_FOUND;

	a->active = key_in(a->k, a->alg, KEY_ACTIVE);
	a->standby = key_in(a->k, a->alg, KEY_STANDBY);
	if (a->standby)
		e = set_is_full(a->k->view) ? ERR_BUSY : rotate_now(a, ret_result);
	count_rotation(a->k, e, manual);
	return e;
}

/* ---- following the database ---- */

static enum err follow(struct keyring *k)
{
	struct act a;
	enum err e = act_init(&a, k);

	if (!e)
		e = write_step(&a, step_read);
	if (!e)
		e = publish(&a);
	if (!e)
		e = keyring_fill_signer(k);
	k->stale = e != ERR_OK;
	act_done(&a);
	return e;
}

/* ---- by hand ---- */

static bool is_configured(const struct keyring_settings *s, enum alg alg)
{
	for (size_t i = 0; i < s->alg_count; i++) {
		if (s->algs[i] == alg)
			return true;
	}
	return false;
}

static enum err ensure_standby(struct keyring *k, enum alg alg)
{
	struct act a;
	enum err e;

	if (key_in(k, alg, KEY_STANDBY))
		return ERR_OK;
	e = act_init(&a, k);
	a.alg = alg;
	if (!e)
		e = act_make_standby(&a);
	act_done(&a);
	return e;
}

static enum err rotate_by_hand(struct keyring *k, enum alg alg, bool force,
			       const struct audit_row *audit, struct rotate_result *ret_result)
{
	struct keyring_settings s = keyring_settings_get(k);
	struct act a;
	enum err e = k->stale ? follow(k) : ERR_OK;

	if (e)
		return e;
	if (!is_configured(&s, alg))
		return ERR_NOT_FOUND;
	e = ensure_standby(k, alg);
	if (e)
		return e;
	if (!force && !key_plan_ready(k->view->infos, k->view->count, alg, keyring_now(k),
				      &ret_result->ready_at))
		return ERR_NOT_READY;
	e = act_init(&a, k);
	a.alg = alg;
	a.audit = audit;
	if (!e)
		e = rotate(&a, true, ret_result);
	act_done(&a);
	return e;
}

enum err keyring_rotate(struct keyring *k, enum alg alg, bool force, const struct audit_row *audit,
			struct rotate_result *ret_result)
{
	enum err e;

	keyring_turn_take(k);
	e = rotate_by_hand(k, alg, force, audit, ret_result);
	keyring_turn_end(k);
	return e;
}

/* ---- by the plan ---- */

static enum err act_rotate(struct act *a)
{
	struct audit_row audit = system_row(a, KEY_EVENT_ROTATE, str_z(a->kid));
	struct rotate_result unused;

	a->audit = &audit;
	return rotate(a, false, &unused);
}

/* Durable before the signer may use it: a bound that only the signer knew would be forgotten by a
 * crash. */
static enum err act_raise_bound(struct act *a)
{
	enum err e = write_step(a, step_bound);

	if (e)
		return e;
	e = FAILPOINT("key.bound.committed");
	if (!e)
		e = signer_bound(a->k->control, str_z(a->kid), a->bound);
	if (e)
		a->k->stale = true;
	return e ? e : publish(a);
}

static enum err act_remove(struct act *a)
{
	struct audit_row audit = system_row(a, KEY_EVENT_REMOVE, str_z(a->kid));
	enum err e;

	a->audit = &audit;
	e = write_step(a, step_remove);
	a->audit = NULL;
	return e ? e : publish(a);
}

static enum err do_step(struct keyring *k, const struct key_step *step)
{
	static enum err (*const acts[])(struct act *) = {
		[KEY_ACT_MAKE_STANDBY] = act_make_standby,
		[KEY_ACT_ROTATE] = act_rotate,
		[KEY_ACT_RAISE_BOUND] = act_raise_bound,
		[KEY_ACT_REMOVE] = act_remove,
	};
	struct act a;
	enum err e = act_init(&a, k);

	a.alg = step->alg;
	a.bound = step->at;
	memcpy(a.kid, step->kid, sizeof(a.kid));
	if (!e)
		e = acts[step->act](&a);
	act_done(&a);
	return e;
}

/* One that fails does not keep the others waiting; the first failure is told. */
static enum err do_due(struct keyring *k)
{
	struct keyring_settings s = keyring_settings_get(k);
	struct key_step steps[STEPS_MAX];
	size_t n = key_plan_due(k->view->infos, k->view->count, &s.policy, s.algs, s.alg_count,
				keyring_now(k), steps, STEPS_MAX);
	enum err first = ERR_OK;

	for (size_t i = 0; i < n; i++) {
		enum err e = do_step(k, &steps[i]);

		if (!first)
			first = e;
	}
	return first;
}

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

static enum err tend(struct keyring *k)
{
	struct keyring_settings s;
	enum err e;

	if (take_settings_changed(k)) {
		k->stale = true;
		k->retry_at = 0;
	}
	e = signer_ping(k->control);
	if (e || k->env->monotonic(k->env) < k->retry_at)
		return e;
	s = keyring_settings_get(k);
	e = keyring_promise(k, &s);
	if (!e && k->stale)
		e = follow(k);
	if (!e)
		e = do_due(k);
	k->retry_at = e ? k->env->monotonic(k->env) + RETRY_US : 0;
	return e;
}

static int64_t next_visit(const struct keyring *k, const struct key_policy *policy)
{
	int64_t now = keyring_now(k);

	if (k->retry_at)
		return now + RETRY_SECONDS;
	return key_plan_next(k->view->infos, k->view->count, policy, now);
}

enum err keyring_tend(struct keyring *k, int64_t *ret_next, bool *ret_changed)
{
	struct keyring_settings s;
	uint64_t serial;
	enum err e;

	keyring_turn_take(k);
	serial = k->view_serial;
	e = tend(k);
	s = keyring_settings_get(k);
	*ret_changed = k->view_serial != serial;
	*ret_next = next_visit(k, &s.policy);
	keyring_turn_end(k);
	return e;
}
