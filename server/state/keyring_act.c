/* What all acts on keys share: the frame of an act, its store step, making a key pair, and
 * following the database after something failed half way. */
#include <time.h>

#include "base/fault.h"
#include "server/state/keyring_priv.h"

enum {
	FRESH_ARENA_MAX = 16 << 10,
	PUBLIC_JWK_MAX = 2048,
	GENERATE_POLL_NS = 2 * 1000 * 1000,
	GENERATE_MAX_US = 60 * 1000 * 1000, /* RSA on the slowest machine */
};

/* ---- store steps; run on the writer, perhaps twice ---- */

enum err act_conclude(struct lane_ctx *ctx, struct act *a, enum err e)
{
	if (!e && a->audit)
		e = store_audit(ctx->db, a->audit);
	return e ? e : key_rows_read(ctx->db, &a->rows);
}

static enum err step_follow(struct lane_ctx *ctx, void *arg)
{
	struct act *a = arg;
	struct str unused;

	return act_conclude(ctx, a,
			    store_root_get(ctx->db, a->rows.arena, &a->newest_root, &unused));
}

static enum err step_insert(struct lane_ctx *ctx, void *arg)
{
	struct act *a = arg;

	return act_conclude(ctx, a, store_key_insert(ctx->db, &a->fresh->row));
}

enum err act_write(struct act *a, enum err (*step)(struct lane_ctx *, void *))
{
	struct keyring *k = a->k;
	enum err e = k->store.write(k->store.arg, step, a);

	if (e)
		k->stale = true;
	return e;
}

enum err act_read(struct act *a)
{
	return act_write(a, step_follow);
}

/* ---- beginning and ending an act ---- */

enum err act_init(struct act *a, struct keyring *k)
{
	*a = (struct act){
		.k = k,
		.settings = keyring_settings_get(k),
		.now = keyring_now(k),
	};
	return key_rows_new(&a->rows);
}

void act_done(struct act *a)
{
	key_rows_done(&a->rows);
}

enum err act_publish(struct act *a)
{
	struct keyring_view *v;
	enum err e = a->rows.err;

	if (!e)
		e = keyring_view_new(&a->rows, a->settings.default_alg, a->now, &v);
	if (e) {
		a->k->stale = true;
		return e;
	}
	keyring_view_put(a->k, v);
	return ERR_OK;
}

struct audit_row act_system_row(const struct act *a, struct str event, struct str target)
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

/* ---- looking ---- */

const struct keyring_key *keyring_key_in(const struct keyring *k, enum alg alg,
					 enum key_state state)
{
	for (size_t i = 0; i < k->view->count; i++) {
		const struct keyring_key *key = &k->view->keys[i];

		if (key->info.alg == alg && key->info.state == state)
			return key;
	}
	return NULL;
}

const struct keyring_key *keyring_key_named(const struct keyring *k, struct str kid)
{
	for (size_t i = 0; i < k->view->count; i++) {
		if (str_equal_z(kid, k->view->keys[i].info.kid))
			return &k->view->keys[i];
	}
	return NULL;
}

/* A rotation adds a key to the published set. One that would not fit any more must not begin: it
 * would sign with a key that nobody is told of. */
bool keyring_set_is_full(const struct keyring_view *v)
{
	size_t published = 0;

	for (size_t i = 0; i < v->count; i++)
		published += v->keys[i].public_key != NULL;
	return published >= JWKS_KEYS_MAX;
}

/* The signer knows exactly what it has signed itself; what a signer before it signed is covered by
 * the longest lifetime from the moment this one was loaded. */
int64_t act_last_expiry(const struct act *a, const struct key_info *old, int64_t reported)
{
	int64_t last = reported > a->now ? reported : a->now;
	int64_t unseen = a->k->loaded_at + a->k->promises.longest_ttl + a->settings.policy.skew;

	if (old->activate_at <= a->k->loaded_at && last < unseen)
		last = unseen;
	if (last < old->last_exp)
		last = old->last_exp; /* an imported key's former server signed until then */
	return last < old->exp_bound ? last : old->exp_bound;
}

/* ---- new keys ---- */

void fresh_key_done(struct fresh_key *f)
{
	arena_free(f->arena);
	f->arena = NULL;
}

static enum err fetch_generated(struct keyring *k, enum alg alg, struct fresh_key *f)
{
	struct buf public_jwk, sealed;
	enum err e;

	buf_init(&public_jwk, f->arena, PUBLIC_JWK_MAX);
	buf_init(&sealed, f->arena, SEALED_MAX);
	f->row = (struct key_row){
		.info = { .alg = alg, .root_version = k->roots[k->root_count - 1].version }
	};
	e = signer_generated(k->control, alg, f->row.info.kid, &public_jwk, &sealed);
	if (!e)
		e = buf_end(&public_jwk, &f->row.public_jwk);
	return e ? e : buf_end(&sealed, &f->row.sealed);
}

static void pause_a_little(void)
{
	const struct timespec t = { .tv_nsec = GENERATE_POLL_NS };

	nanosleep(&t, NULL);
}

/* A signer that was replaced meanwhile has not begun: ERR_NOT_FOUND, and we begin again. */
static enum err begin_or_fetch(struct keyring *k, enum alg alg, bool begin, struct fresh_key *f)
{
	enum err e = begin ? signer_generate_begin(k->control, alg) : ERR_OK;

	return e ? e : fetch_generated(k, alg, f);
}

static enum err make(struct keyring *k, enum alg alg, bool in_turn, struct fresh_key *f)
{
	bool begin = true;
	const int64_t give_up = k->env->monotonic(k->env) + GENERATE_MAX_US;
	enum err e;

	*f = (struct fresh_key){ .arena = NULL };
	e = arena_new(FRESH_ARENA_MAX, &f->arena);
	while (!e) {
		if (!in_turn)
			keyring_turn_take(k);
		e = begin_or_fetch(k, alg, begin, f);
		if (!in_turn)
			keyring_turn_end(k);
		if (e != ERR_BUSY && e != ERR_NOT_FOUND)
			break;
		begin = e == ERR_NOT_FOUND;
		arena_reset(f->arena);
		pause_a_little();
		e = k->env->monotonic(k->env) < give_up ? ERR_OK : ERR_UNAVAILABLE;
	}
	if (e)
		fresh_key_done(f);
	return e;
}

enum err fresh_key_make(struct keyring *k, enum alg alg, struct fresh_key *ret_fresh)
{
	return make(k, alg, false, ret_fresh);
}

enum err fresh_key_make_in_turn(struct keyring *k, enum alg alg, struct fresh_key *ret_fresh)
{
	return make(k, alg, true, ret_fresh);
}

void act_fill_standby(struct act *a, enum key_origin origin, int64_t from)
{
	struct key_info *info = &a->fresh->row.info;
	const struct key_policy *policy = &a->settings.policy;

	info->state = KEY_STANDBY;
	info->origin = origin;
	info->created_at = a->now;
	info->publish_at = a->now;
	info->ready_at = a->now + a->k->promises.freshness + policy->skew;
	info->activate_at = from + policy->rotate_every;
	if (info->activate_at < info->ready_at)
		info->activate_at = info->ready_at;
}

static enum err insert_standby(struct act *a, enum key_origin origin)
{
	struct audit_row audit = act_system_row(a, KEY_EVENT_CREATE, str_z(a->fresh->row.info.kid));
	const struct keyring_key *active = keyring_key_in(a->k, a->alg, KEY_ACTIVE);
	enum err e;

	act_fill_standby(a, origin, active ? active->info.activate_at : INT64_MIN / 2);
	a->audit = &audit;
	e = act_write(a, step_insert);
	a->audit = NULL;
	if (e)
		return e;
	e = FAILPOINT("key.standby.committed");
	if (e) {
		a->k->stale = true;
		return e;
	}
	return act_publish(a);
}

enum err keyring_insert_standby(struct keyring *k, struct fresh_key *fresh, enum key_origin origin)
{
	struct act a;
	enum err e = act_init(&a, k);

	a.alg = fresh->row.info.alg;
	a.fresh = fresh;
	if (!e)
		e = insert_standby(&a, origin);
	act_done(&a);
	return e;
}

/* ---- following the database ---- */

/* A root that we did not know came with the revocation of every key, whose answer was lost. */
enum err keyring_follow_database(struct keyring *k)
{
	struct act a;
	enum err e = act_init(&a, k);

	if (!e)
		e = act_read(&a);
	if (!e && a.newest_root > k->roots[k->root_count - 1].version)
		k->over = true;
	if (!e)
		e = act_publish(&a);
	if (e)
		k->stale = true;
	act_done(&a);
	return e;
}

/* Whatever a signer still holds from an act whose end it did not see: a revoked key would go on
 * signing where no other takes its place, and a standby must stay sealed. */
static enum err drop_others(struct keyring *k)
{
	enum err first = ERR_OK;

	for (size_t i = 0; i < k->view->count; i++) {
		const struct key_info *info = &k->view->infos[i];
		enum err e = info->state == KEY_ACTIVE ? ERR_OK
						       : signer_drop(k->control, str_z(info->kid));

		if (!first && e != ERR_NOT_FOUND)
			first = e;
	}
	return first;
}

enum err keyring_follow_signer(struct keyring *k)
{
	bool by_next;
	enum err e = k->over ? ERR_OK : keyring_fill_signer(k, &by_next);
	enum err dropped = drop_others(k);

	if (!e)
		e = dropped;
	k->stale = e != ERR_OK;
	if (!e)
		keyring_set_switching(k, false);
	return e;
}

enum err keyring_follow(struct keyring *k)
{
	enum err e = keyring_follow_database(k);

	return e ? e : keyring_follow_signer(k);
}

enum err keyring_begin(struct keyring *k)
{
	enum err e = k->stale ? keyring_follow(k) : ERR_OK;

	return e || !k->over ? e : ERR_UNAVAILABLE;
}
