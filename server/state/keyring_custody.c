/* The master key changes, the root changes, keys come from elsewhere. A new master key is prepared
 * by who keeps it, everything is sealed under it in one store step, and only then is it the present
 * one; a crash before the last step is made good at the next start, where the next master key opens
 * what the present one does not. */
#include "base/fault.h"
#include "server/state/keyring_priv.h"
#include "server/state/revoked_kids.h"

struct resealing {
	struct act act;
	struct root_kept roots[SIGNER_ROOTS_MAX];
	size_t count;
};

/* ---- sealing the roots anew ---- */

static enum err seal_root(struct keyring *k, const struct root_kept *old, struct root_kept *ret)
{
	struct buf sealed;
	enum err e;

	buf_init(&sealed, NULL, ROOT_SEALED_MAX);
	e = signer_reseal_root(k->control, old->version, str_n(old->sealed, old->sealed_len),
			       &sealed);
	if (!e && sealed.n > sizeof(ret->sealed))
		e = ERR_LIMIT;
	if (!e) {
		*ret = (struct root_kept){ .version = old->version, .sealed_len = sealed.n };
		memcpy(ret->sealed, sealed.p, sealed.n);
	}
	buf_done(&sealed);
	return e;
}

static enum err prepare(struct resealing *r)
{
	struct keyring *k = r->act.k;
	enum err e;

	if (!k->custody.prepare)
		return ERR_UNSUPPORTED;
	e = k->custody.prepare(k->custody.arg);
	for (r->count = 0; !e && r->count < k->root_count; r->count += !e)
		e = seal_root(k, &k->roots[r->count], &r->roots[r->count]);
	return e;
}

static enum err put_roots(struct db *db, const struct resealing *r)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < r->count && !e; i++)
		e = store_root_put(db, r->roots[i].version,
				   str_n(r->roots[i].sealed, r->roots[i].sealed_len), r->act.now);
	return e;
}

/* What is durable is what we keep, too. */
static enum err adopt(struct resealing *r)
{
	struct keyring *k = r->act.k;

	memcpy(k->roots, r->roots, r->count * sizeof(*r->roots));
	k->root_count = r->count;
	return k->custody.commit(k->custody.arg);
}

/* ---- another master key ---- */

static enum err step_rewrap(struct lane_ctx *ctx, void *arg)
{
	struct resealing *r = arg;

	return act_conclude(ctx, &r->act, put_roots(ctx->db, r));
}

static enum err rewrap(struct resealing *r)
{
	enum err e = prepare(r);

	if (!e)
		e = FAILPOINT("key.rewrap.prepared");
	if (!e)
		e = act_write(&r->act, step_rewrap);
	if (!e)
		e = FAILPOINT("key.rewrap.committed");
	return e ? e : adopt(r);
}

enum err keyring_rewrap(struct keyring *k, const struct audit_row *audit, size_t *ret_roots)
{
	struct resealing r = { .count = 0 };
	enum err e;

	keyring_turn_take(k);
	e = keyring_begin(k);
	if (e) {
		keyring_turn_end(k);
		return e;
	}
	e = act_init(&r.act, k);
	r.act.audit = audit;
	if (!e)
		e = rewrap(&r);
	if (!e)
		*ret_roots = r.count;
	act_done(&r.act);
	keyring_turn_end(k);
	return e;
}

/* ---- everything anew ---- */

static enum err revoke_key(struct db *db, const struct act *a, const struct key_info *info)
{
	const struct revocation entry = { .kind = REVOKE_KID,
					  .value = str_z(info->kid),
					  .iat_max = INT64_MAX,
					  .until = a->now + a->k->promises.longest_ttl +
						   a->settings.policy.skew };
	enum err e = store_key_revoke(db, str_z(info->kid), a->now);

	if (e == ERR_NOT_FOUND)
		e = ERR_OK; /* by an earlier try that failed after its commit */
	return e ? e : store_revoke(db, &entry);
}

static bool is_alive(const struct key_info *info)
{
	return info->state != KEY_REVOKED && info->state != KEY_REMOVED;
}

static enum err step_revoke_all(struct lane_ctx *ctx, void *arg)
{
	struct resealing *r = arg;
	const struct keyring_view *v = r->act.k->view;
	enum err e = ERR_OK;

	for (size_t i = 0; i < v->count && !e; i++) {
		if (is_alive(&v->infos[i]))
			e = revoke_key(ctx->db, &r->act, &v->infos[i]);
	}
	if (!e)
		e = put_roots(ctx->db, r);
	return act_conclude(ctx, &r->act, e);
}

static enum err add_new_root(struct resealing *r)
{
	struct keyring *k = r->act.k;
	struct root_kept *fresh = &r->roots[r->count];
	struct buf sealed;
	enum err e;

	if (r->count == SIGNER_ROOTS_MAX)
		return ERR_LIMIT;
	*fresh = (struct root_kept){ .version = k->roots[k->root_count - 1].version + 1 };
	buf_init(&sealed, NULL, ROOT_SEALED_MAX);
	e = signer_new_root(k->control, fresh->version, &sealed);
	if (!e) {
		memcpy(fresh->sealed, sealed.p, sealed.n);
		fresh->sealed_len = sealed.n;
		r->count++;
	}
	buf_done(&sealed);
	return e;
}

static enum err list_all(const struct act *a)
{
	const struct keyring_view *v = a->k->view;
	enum err e = ERR_OK;

	for (size_t i = 0; a->k->revoked_kids && i < v->count && !e; i++) {
		if (is_alive(&v->infos[i]))
			e = revoked_kids_add(a->k->revoked_kids, str_z(v->infos[i].kid), a->now);
	}
	return e ? e : FAILPOINT("key.revoke_all.listed");
}

/* The signer goes on with the old keys until it is started again, so nothing may be signed any
 * more: they are dropped here. */
static void drop_all(struct keyring *k)
{
	for (size_t i = 0; i < k->view->count; i++) {
		enum err e;

		if (k->view->infos[i].state != KEY_ACTIVE)
			continue;
		e = signer_drop(k->control, str_z(k->view->infos[i].kid));
		if (e && e != ERR_NOT_FOUND) /* dropped by an earlier try */
			k->stale = true;
	}
}

/* It is durable. What fails from here on is made good by the next start, or asked for again. */
static enum err end_all(struct resealing *r)
{
	struct keyring *k = r->act.k;
	enum err e = FAILPOINT("key.revoke_all.committed"), published;

	if (e) {
		k->stale = true;
		return e;
	}
	k->over = true;
	drop_all(k);
	published = act_publish(&r->act);
	e = k->custody.commit(k->custody.arg);
	return e ? e : published;
}

/* A try before this one was durable and not ended. ERR_NOT_FOUND: it was only not told. */
static enum err end_again(struct keyring *k)
{
	enum err e = k->custody.commit(k->custody.arg);

	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err revoke_all(struct resealing *r)
{
	enum err e = prepare(r);

	if (!e)
		e = add_new_root(r);
	if (!e)
		e = list_all(&r->act);
	if (!e)
		e = act_write(&r->act, step_revoke_all);
	return e ? e : end_all(r);
}

static void measure_all(const struct keyring *k, const struct act *a,
			struct revoke_result ret_results[REVOKE_ALL_MAX], size_t *ret_count)
{
	size_t n = 0;

	for (size_t i = 0; i < k->view->count && n < REVOKE_ALL_MAX; i++) {
		if (is_alive(&k->view->infos[i]))
			keyring_measure(a, &k->view->keys[i], &ret_results[n++]);
	}
	*ret_count = n;
}

enum err keyring_revoke_all(struct keyring *k, const struct audit_row *audit,
			    struct revoke_result ret_results[REVOKE_ALL_MAX], size_t *ret_count)
{
	struct resealing r = { .count = 0 };
	enum err e;

	keyring_turn_take(k);
	e = k->stale ? keyring_follow(k) : ERR_OK;
	if (e) {
		keyring_turn_end(k);
		return e;
	}
	e = act_init(&r.act, k);
	r.act.audit = audit;
	if (!e)
		measure_all(k, &r.act, ret_results, ret_count);
	if (!e)
		e = k->over ? end_again(k) : revoke_all(&r);
	act_done(&r.act);
	keyring_turn_end(k);
	return e;
}

/* ---- secrets of single apis ---- */

enum err keyring_api_secret(struct keyring *k, struct str uri, char ret_kid[KID_MAX + 1],
			    struct buf *secret, struct buf *sealed)
{
	enum err e;

	keyring_turn_take(k);
	e = k->over ? ERR_UNAVAILABLE : signer_api_secret(k->control, uri, ret_kid, secret, sealed);
	keyring_turn_end(k);
	return e;
}

/* ---- keys of a former server ---- */

enum err keyring_import_key(struct keyring *k, unsigned char ret_public[SIGNER_IMPORT_KEY_LEN])
{
	enum err e;

	keyring_turn_take(k);
	e = signer_import_key(k->control, ret_public);
	keyring_turn_end(k);
	return e;
}

static enum err step_import(struct lane_ctx *ctx, void *arg)
{
	struct act *a = arg;
	int64_t old_bound = a->active ? a->active->info.exp_bound : 0;

	return act_conclude(
		ctx, a,
		store_key_import(
			ctx->db, &a->row, key_plan_remove_at(&a->settings.policy, old_bound),
			a->now + a->k->promises.freshness + a->settings.policy.skew, a->now));
}

static void fill_import(struct act *a)
{
	const struct key_import *in = a->import;
	struct key_info *info = &a->row.info;

	*info = (struct key_info){
		.alg = in->alg,
		.state = in->state,
		.origin = KEY_ORIGIN_IMPORT,
		.root_version = a->k->roots[a->k->root_count - 1].version,
		.created_at = a->now,
		/* its verifiers have held it since the former server signed with it */
		.publish_at = a->now,
		.ready_at = a->now,
		.activate_at = a->now,
	};
	memcpy(info->kid, in->kid.p, in->kid.n);
	if (in->state == KEY_ACTIVE) {
		a->bound = key_plan_bound(&a->settings.policy, a->now);
		if (a->bound < in->tokens_until)
			a->bound = in->tokens_until;
		info->exp_bound = a->bound;
		info->last_exp = in->tokens_until; /* no less when it retires */
		return;
	}
	info->retire_at = a->now;
	info->exp_bound = info->last_exp = in->tokens_until;
	info->remove_at = key_plan_remove_at(&a->settings.policy, in->tokens_until);
}

/* Held before the database says that it signs, like any key that takes over. */
static enum err open_import(struct act *a)
{
	struct key_info held = a->row.info;

	if (a->import->state != KEY_ACTIVE)
		return ERR_OK;
	held.state = KEY_STANDBY;
	return signer_load(a->k->control, &held, a->row.sealed);
}

static enum err switch_to_import(struct act *a)
{
	int64_t reported;
	enum err e = FAILPOINT("key.import.committed");

	if (e || a->import->state != KEY_ACTIVE)
		return e;
	return signer_activate(a->k->control, a->import->kid, a->bound, &reported);
}

/* A row that cannot be shown would be durable before that is noticed, and stop every start. */
static enum err check_public(const struct act *a)
{
	enum err e = key_row_check(&a->row);

	return e == ERR_CORRUPT ? ERR_SYNTAX : e;
}

static enum err put_import(struct act *a)
{
	enum err e, switched;

	fill_import(a);
	e = check_public(a);
	if (e)
		return e;
	a->active = a->import->state == KEY_ACTIVE ? keyring_key_in(a->k, a->alg, KEY_ACTIVE)
						   : NULL;
	e = open_import(a);
	if (!e)
		e = act_write(a, step_import);
	if (e) {
		if (a->import->state == KEY_ACTIVE && signer_drop(a->k->control, a->import->kid))
			a->k->stale = true;
		return e;
	}
	switched = switch_to_import(a);
	if (switched)
		a->k->stale = true;
	e = act_publish(a);
	return switched ? switched : e;
}

/* As the signer takes it; and no kid may break the list of revoked ones. */
static bool is_kid(struct str kid)
{
	return kid.n > 0 && kid.n <= KID_MAX && str_is_vschar(kid) && !memchr(kid.p, ' ', kid.n);
}

static enum err may_come(const struct act *a)
{
	const struct keyring_key *known = keyring_key_named(a->k, a->import->kid);
	struct buf list;
	enum err e = ERR_OK;

	if (!is_kid(a->import->kid))
		return ERR_SYNTAX;
	if (keyring_set_is_full(a->k->view))
		return ERR_BUSY;
	if (known)
		return known->info.state == KEY_REVOKED ? ERR_FORBIDDEN : ERR_CONFLICT;
	if (!a->k->revoked_kids)
		return ERR_OK;
	buf_init(&list, NULL, REVOKED_KIDS_FILE_MAX);
	e = revoked_kids_read(a->k->revoked_kids, &list);
	if (!e && revoked_kids_has(str_n(list.p, list.n), a->import->kid))
		e = ERR_FORBIDDEN;
	buf_done(&list);
	return e;
}

static enum err open_box(struct act *a, struct buf *public_jwk, struct buf *sealed)
{
	const struct key_import *in = a->import;
	enum err e;

	if (in->state != KEY_ACTIVE) {
		a->row.public_jwk = in->public_jwk;
		return ERR_OK;
	}
	e = signer_import(a->k->control, in->alg, in->kid, in->box, public_jwk, sealed);
	if (!e)
		e = buf_end(public_jwk, &a->row.public_jwk);
	return e ? e : buf_end(sealed, &a->row.sealed);
}

static enum err import(struct act *a)
{
	struct buf public_jwk, sealed;
	enum err e = may_come(a);

	if (e)
		return e;
	buf_init(&public_jwk, NULL, SEALED_MAX);
	buf_init(&sealed, NULL, SEALED_MAX);
	e = open_box(a, &public_jwk, &sealed);
	if (!e)
		e = put_import(a);
	buf_done(&public_jwk);
	buf_done(&sealed);
	return e;
}

enum err keyring_import(struct keyring *k, const struct key_import *in)
{
	struct act a;
	enum err e;

	keyring_turn_take(k);
	e = keyring_begin(k);
	if (e) {
		keyring_turn_end(k);
		return e;
	}
	e = act_init(&a, k);
	a.import = in;
	a.alg = in->alg;
	a.audit = in->audit;
	if (!e)
		e = import(&a);
	act_done(&a);
	keyring_turn_end(k);
	return e;
}

/* ---- rehearsal ---- */

static enum err probe_standby(const struct act *a, enum alg alg)
{
	for (size_t i = 0; i < a->rows.count; i++) {
		const struct key_row *row = &a->rows.rows[i];

		if (row->info.alg == alg && row->info.state == KEY_STANDBY)
			return signer_probe(a->k->control, &row->info, row->sealed);
	}
	return ERR_NOT_FOUND;
}

enum err keyring_rehearse(struct keyring *k, enum alg alg)
{
	struct act a;
	enum err e;

	keyring_turn_take(k);
	e = act_init(&a, k);
	if (!e)
		e = act_read(&a);
	if (!e)
		e = probe_standby(&a, alg);
	act_done(&a);
	keyring_turn_end(k);
	return e;
}
