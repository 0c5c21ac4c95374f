/* Opening: everything the database says about keys is read in one step and then followed. The first
 * root and keys of an installation are made here and nowhere else, and written in one step too, so
 * that there is never a root without keys. */
#include <stdlib.h>

#include "base/fault.h"
#include "server/state/keyring_priv.h"

enum { ROOT_FIRST_VERSION = 1, FIRST_KEYS_MAX = 2 * ALG_COUNT };

/* ---- what is there ---- */

struct opening {
	struct keyring *k;
	struct key_rows rows;
};

static enum err keep_roots(struct keyring *k, struct db *db, struct arena *a)
{
	struct root_row *rows;
	size_t count;
	enum err e = store_roots(db, a, &rows, &count);

	k->root_count = 0;
	for (size_t i = 0; i < count && !e; i++)
		e = keyring_keep_root(k, rows[i].version, rows[i].sealed);
	return e;
}

static enum err read_state(struct lane_ctx *ctx, void *arg)
{
	struct opening *o = arg;
	enum err e = key_rows_read(ctx->db, &o->rows);

	if (!e)
		e = keyring_promises_read(ctx->db, &o->k->promises);
	return e ? e : keep_roots(o->k, ctx->db, o->rows.arena);
}

/* ---- the first keys ---- */

struct first_keys {
	struct keyring *k;
	struct keyring_settings settings;
	enum key_origin origin;
	int64_t now;
	struct fresh_key made[FIRST_KEYS_MAX];
	size_t count;
	struct key_rows *out;
};

/* Published "long ago": no verifier holds an older set of an office that opens today; and after an
 * emergency there is none worth holding. */
static enum err make_key(struct first_keys *f, enum alg alg, enum key_state state)
{
	const struct key_policy *policy = &f->settings.policy;
	struct key_row *row = &f->made[f->count].row;
	enum err e = fresh_key_make_in_turn(f->k, alg, &f->made[f->count]);

	if (e)
		return e;
	row->info.state = state;
	row->info.origin = f->origin;
	row->info.created_at = f->now;
	row->info.publish_at = f->now - key_plan_promise(policy) - policy->skew;
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
	bool unused;
	enum err e;

	buf_init(&sealed, NULL, ROOT_SEALED_MAX);
	e = signer_root(k->control, ROOT_FIRST_VERSION, STR_NONE, &sealed, &unused);
	if (!e)
		e = keyring_keep_root(k, ROOT_FIRST_VERSION, str_n(sealed.p, sealed.n));
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
	const struct root_kept *root = &k->roots[k->root_count - 1];
	enum err e = store_root_put(ctx->db, root->version, str_n(root->sealed, root->sealed_len),
				    f->now);

	for (size_t i = 0; i < f->count && !e; i++)
		e = insert_key(ctx->db, f, &f->made[i].row);
	if (!e)
		e = keyring_promises_write(ctx->db, &k->promises);
	return e ? e : key_rows_read(ctx->db, f->out);
}

static void raise_promises(struct keyring *k)
{
	struct keyring_promises p = keyring_promises_of(&k->settings);

	if (k->promises.freshness < p.freshness)
		k->promises.freshness = p.freshness;
	if (k->promises.longest_ttl < p.longest_ttl)
		k->promises.longest_ttl = p.longest_ttl;
}

/* The root is there, and in the signer. */
static enum err make_first(struct keyring *k, enum key_origin origin, struct key_rows *out)
{
	struct first_keys f = {
		.k = k,
		.settings = k->settings,
		.origin = origin,
		.now = keyring_now(k),
		.out = out,
	};
	enum err e;

	raise_promises(k);
	e = make_keys(&f);
	if (!e)
		e = k->store.write(k->store.arg, write_first, &f);
	if (!e)
		e = FAILPOINT("key.first.committed");
	for (size_t i = 0; i < f.count; i++)
		fresh_key_done(&f.made[i]);
	return e;
}

/* ---- opening ---- */

/* Every key of the roots before it is gone for good: the newest one was made by keyring_revoke_all,
 * and waits for its keys. */
static bool is_new_root(const struct keyring *k, const struct key_rows *rows)
{
	int64_t newest = k->roots[k->root_count - 1].version;

	for (size_t i = 0; i < rows->count; i++) {
		const struct key_info *info = &rows->rows[i].info;

		if (info->root_version == newest ||
		    (info->state != KEY_REVOKED && info->state != KEY_REMOVED))
			return false;
	}
	return true;
}

static enum err follow_root(struct opening *o)
{
	struct keyring *k = o->k;
	bool by_next; /* filling the signer finds out again */
	enum err e;

	if (!is_new_root(k, &o->rows))
		return ERR_OK;
	e = keyring_load_roots(k, &by_next);
	return e ? e : make_first(k, KEY_ORIGIN_EMERGENCY, &o->rows);
}

static enum err read_or_make(struct opening *o, bool make)
{
	struct keyring *k = o->k;
	enum err e = k->store.read(k->store.arg, read_state, o);

	if (e)
		return e;
	if (k->root_count && o->rows.count)
		return follow_root(o);
	if (k->root_count || o->rows.count)
		return ERR_CORRUPT;
	if (!make)
		return ERR_NOT_FOUND;
	e = make_root(k);
	return e ? e : make_first(k, KEY_ORIGIN_INIT, &o->rows);
}

/* A crash between sealing everything under the next master key and saying so. */
static enum err fill_signer(struct keyring *k)
{
	bool by_next;
	enum err e;

	k->loaded_at = keyring_now(k);
	e = keyring_fill_signer(k, &by_next);
	if (!e && by_next && k->custody.commit)
		e = k->custody.commit(k->custody.arg);
	return e;
}

static enum err open_view(struct keyring *k, bool make)
{
	struct opening o = { .k = k };
	struct keyring_view *v;
	enum err e = key_rows_new(&o.rows);

	if (e)
		return e;
	e = read_or_make(&o, make);
	if (e) {
		key_rows_done(&o.rows);
		return e;
	}
	e = keyring_view_new(&o.rows, k->settings.default_alg, keyring_now(k), &v);
	if (!e)
		keyring_view_put(k, v);
	return e;
}

static enum err open_all(struct keyring *k, bool make)
{
	enum err e = key_tallies_new(&k->tallies);

	if (!e)
		e = open_view(k, make);
	if (!e)
		k->key_id = (uint8_t)k->roots[k->root_count - 1].version;
	if (!e)
		e = fill_signer(k);
	if (!e)
		e = keyring_promise(k, &k->settings);
	if (!e)
		e = keyring_revoke_listed(k);
	if (!e)
		keyring_end_emergency(k);
	k->told_serial = k->view_serial; /* the caller has not seen an older one */
	if (!e &&
	    !key_plan_find(k->view->infos, k->view->count, k->settings.default_alg, KEY_ACTIVE))
		e = ERR_NOT_READY;
	return e;
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

enum err keyring_open(const struct keyring_means *means, bool make, struct keyring **ret_keyring)
{
	struct keyring *k = keyring_new();
	enum err e;

	if (!k)
		return ERR_NOMEM;
	k->env = means->env;
	k->store = means->store;
	k->control = means->control;
	k->custody = means->custody;
	k->revoked_kids = means->revoked_kids;
	k->opened_at = keyring_now(k);
	keyring_settings_read(means->config, &k->settings);
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
	key_tallies_free(k->tallies);
	pthread_cond_destroy(&k->turn_over);
	pthread_mutex_destroy(&k->lock);
	free(k);
}
