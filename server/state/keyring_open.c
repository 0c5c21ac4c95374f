/* Opening: everything the database says about keys is read in one step and then followed. The first
 * root and keys of an installation are made here and nowhere else, and written in one step too, so
 * that there is never a root without keys. */
#include <stdlib.h>

#include "server/state/keyring_priv.h"

enum { ROOT_FIRST_VERSION = 1, FIRST_KEYS_MAX = 2 * ALG_COUNT, FIRST_ARENA_MAX = 64 << 10 };

/* ---- what is there ---- */

struct opening {
	struct keyring *k;
	struct key_rows rows;
	bool has_root;
};

static enum err keep_root(struct keyring *k, int64_t version, struct str sealed)
{
	if (sealed.n > sizeof(k->root_sealed) || version <= 0 || version > UINT32_MAX)
		return ERR_CORRUPT;
	k->root_version = version;
	memcpy(k->root_sealed, sealed.p, sealed.n);
	k->root_sealed_len = sealed.n;
	return ERR_OK;
}

static enum err read_state(struct lane_ctx *ctx, void *arg)
{
	struct opening *o = arg;
	struct str sealed;
	int64_t version;
	enum err e = key_rows_read(ctx->db, &o->rows);

	if (!e)
		e = keyring_freshness_read(ctx->db, &o->k->freshness);
	if (e)
		return e;
	e = store_root_get(ctx->db, o->rows.arena, &version, &sealed);
	o->has_root = e == ERR_OK;
	if (e == ERR_NOT_FOUND)
		return ERR_OK;
	return e ? e : keep_root(o->k, version, sealed);
}

/* ---- the first keys ---- */

struct first_keys {
	struct keyring *k;
	struct keyring_settings settings;
	int64_t now;
	struct arena *arena;
	struct key_row made[FIRST_KEYS_MAX];
	size_t count;
	struct key_rows *out;
};

/* Published "long ago": no verifier holds an older set of an office that opens today. */
static enum err make_key(struct first_keys *f, enum alg alg, enum key_state state)
{
	const struct key_policy *policy = &f->settings.policy;
	struct key_row *row = &f->made[f->count];
	enum err e = keyring_make_key(f->k, alg, f->arena, row);

	if (e)
		return e;
	row->info.state = state;
	row->info.created_at = f->now;
	row->info.publish_at = f->now - policy->jwks_max_age - policy->skew;
	row->info.ready_at = f->now;
	row->info.activate_at = f->now;
	if (state == KEY_ACTIVE)
		row->info.exp_bound = key_plan_bound(policy, f->now);
	else
		row->info.activate_at += policy->rotate_every;
	f->count++;
	return ERR_OK;
}

static enum err make_keys(struct first_keys *f)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < f->settings.alg_count && !e; i++) {
		e = make_key(f, f->settings.algs[i], KEY_ACTIVE);
		if (!e)
			e = make_key(f, f->settings.algs[i], KEY_STANDBY);
	}
	return e;
}

static enum err make_root(struct keyring *k)
{
	struct buf sealed;
	bool by_next;
	enum err e;

	buf_init(&sealed, NULL, ROOT_SEALED_MAX);
	e = signer_root(k->control, ROOT_FIRST_VERSION, STR_NONE, &sealed, &by_next);
	if (!e)
		e = keep_root(k, ROOT_FIRST_VERSION, str_n(sealed.p, sealed.n));
	buf_done(&sealed);
	return e;
}

static enum err insert_key(struct db *db, const struct first_keys *f, const struct key_row *row)
{
	const struct audit_row audit = {
		.at = f->now,
		.event = KEY_EVENT_CREATE,
		.outcome = STR("ok"),
		.actor = STR("system"),
		.target = str_z(row->info.kid),
		.count = 1,
	};
	enum err e = store_key_insert(db, row);

	return e ? e : store_audit(db, &audit);
}

static enum err write_first(struct lane_ctx *ctx, void *arg)
{
	struct first_keys *f = arg;
	const struct keyring *k = f->k;
	enum err e = store_root_put(ctx->db, k->root_version,
				    str_n(k->root_sealed, k->root_sealed_len), f->now);

	for (size_t i = 0; i < f->count && !e; i++)
		e = insert_key(ctx->db, f, &f->made[i]);
	if (!e)
		e = keyring_freshness_write(ctx->db, f->settings.policy.jwks_max_age);
	return e ? e : key_rows_read(ctx->db, f->out);
}

static enum err make_first(struct keyring *k, struct key_rows *out)
{
	struct first_keys f = {
		.k = k,
		.settings = k->settings,
		.now = keyring_now(k),
		.out = out,
	};
	enum err e = arena_new(FIRST_ARENA_MAX, &f.arena);

	if (!e)
		e = make_root(k);
	if (!e)
		e = make_keys(&f);
	if (!e)
		e = k->store.write(k->store.arg, write_first, &f);
	if (!e)
		k->freshness = f.settings.policy.jwks_max_age;
	arena_free(f.arena);
	return e;
}

/* ---- opening ---- */

static enum err read_or_make(struct opening *o, bool make)
{
	struct keyring *k = o->k;
	enum err e = k->store.read(k->store.arg, read_state, o);

	if (e)
		return e;
	if (o->has_root && o->rows.count)
		return ERR_OK;
	if (o->has_root || o->rows.count)
		return ERR_CORRUPT;
	return make ? make_first(k, &o->rows) : ERR_NOT_FOUND;
}

static enum err open_all(struct keyring *k, bool make)
{
	struct opening o = { .k = k };
	enum err e = key_rows_new(&o.rows);

	if (e)
		return e;
	e = read_or_make(&o, make);
	if (e) {
		key_rows_done(&o.rows);
		return e;
	}
	e = keyring_view_new(&o.rows, k->settings.default_alg, keyring_now(k), &k->view);
	if (e)
		return e;
	if (!key_plan_find(k->view->infos, k->view->count, k->settings.default_alg, KEY_ACTIVE))
		return ERR_NOT_READY;
	k->loaded_at = keyring_now(k);
	e = keyring_fill_signer(k);
	return e ? e : keyring_promise(k, &k->settings);
}

static struct keyring *keyring_new(void)
{
	struct keyring *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	if (pthread_mutex_init(&k->lock, NULL)) {
		free(k);
		return NULL;
	}
	if (pthread_cond_init(&k->turn_over, NULL)) {
		pthread_mutex_destroy(&k->lock);
		free(k);
		return NULL;
	}
	return k;
}

enum err keyring_open(const struct env *env, const struct config *config,
		      const struct keyring_store *store, struct signer_channel *control, bool make,
		      struct keyring **ret_keyring)
{
	struct keyring *k = keyring_new();
	enum err e;

	if (!k)
		return ERR_NOMEM;
	k->env = env;
	k->store = *store;
	k->control = control;
	keyring_settings_read(config, &k->settings);
	e = open_all(k, make);
	if (e)
		keyring_free(k);
	else
		*ret_keyring = k;
	return e;
}

void keyring_free(struct keyring *k)
{
	if (!k)
		return;
	keyring_view_unref(k->view);
	pthread_cond_destroy(&k->turn_over);
	pthread_mutex_destroy(&k->lock);
	free(k);
}
