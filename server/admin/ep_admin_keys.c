/* /admin/v1/keys: what the signing keys are, and rotation by hand. No private half is ever near
 * here (server/state/keyring.h). */
#include "server/admin/admin.h"
#include "server/admin/admin_act.h"
#include "server/admin/admin_rules.h"
#include "server/request/app.h"

enum {
	KEYS_TEXT_MAX = 64 << 10,
	PUBLISHED_MAX = JWKS_KEYS_MAX - 16, /* the plan must always be able to add its own */
	REMEMBERED_MAX = 2048,
};

/* ---- rendering ---- */

/* Exact once it is known; until then no token can expire later than the bound. An active key goes
 * on signing: it has no last token. */
static int64_t last_expiry(const struct key_info *k)
{
	if (k->last_exp)
		return k->last_exp;
	return k->state == KEY_RETIRING ? k->exp_bound : 0;
}

static void write_members(struct jsonw *w, const struct key_info *k)
{
	jsonw_member_z(w, "kid", k->kid);
	jsonw_member_z(w, "alg", alg_name(k->alg));
	jsonw_member_z(w, "state", key_state_name(k->state));
	admin_write_time(w, "created_at", k->created_at);
	admin_write_time(w, "publish_at", k->publish_at);
	admin_write_time(w, "activate_at", k->activate_at);
	admin_write_time(w, "retire_at", k->retire_at);
	admin_write_time(w, "remove_at", k->remove_at);
	admin_write_time(w, "last_token_expires_at", last_expiry(k));
}

static const struct key_info *key_named(const struct keyring_view *v, struct str kid)
{
	for (size_t i = 0; i < v->count; i++)
		if (str_equal_z(kid, v->keys[i].info.kid))
			return &v->keys[i].info;
	return NULL;
}

/* ---- GET ---- */

static size_t first_after(const struct keyring_view *v, struct str kid)
{
	for (size_t i = 0; kid.n && i < v->count; i++)
		if (str_equal_z(kid, v->keys[i].info.kid))
			return i + 1;
	return 0;
}

static enum err list_view(struct request *rq, const struct keyring_view *v)
{
	struct admin_page page = { .list = "keys" };
	struct str last = STR_NONE;
	struct jsonw w;
	struct buf b;
	size_t i;
	enum err e = admin_page_read(rq, &page);

	if (e)
		return e;
	buf_init(&b, rq->arena, REQUEST_ARENA_MAX);
	admin_page_begin(&w, &b);
	for (i = first_after(v, page.after); i < v->count; i++) {
		if (!page.size-- || b.n > KEYS_TEXT_MAX)
			break;
		jsonw_object(&w);
		write_members(&w, &v->keys[i].info);
		jsonw_end_object(&w);
		last = str_z(v->keys[i].info.kid);
	}
	admin_page_end(&w, &rq->app->derived.page_token, &page, i < v->count ? last : STR_NONE);
	return respond_json(rq, 200, &b);
}

/* The keyring's own view, not the snapshot's: whoever asks wants to know how it stands now. */
enum err admin_keys_list(struct request *rq)
{
	struct keyring_view *v = keyring_view_get(rq->app->keyring);
	enum err e = list_view(rq, v);

	keyring_view_unref(v);
	return e;
}

static enum err show_key(struct request *rq, const struct key_info *k)
{
	struct jsonw w;
	struct buf b;

	if (!k)
		return fail(rq, ERR_GONE_RESOURCE, "no such key");
	buf_init(&b, rq->arena, KEYS_TEXT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	write_members(&w, k);
	jsonw_end_object(&w);
	return respond_json(rq, 200, &b);
}

enum err admin_key_show(struct request *rq)
{
	struct keyring_view *v = keyring_view_get(rq->app->keyring);
	enum err e = show_key(rq, key_named(v, rq->path_args[0]));

	keyring_view_unref(v);
	return e;
}

/* ---- POST /keys/rotate ---- */

struct rotate_body {
	struct str alg;
	bool force;
};
static const struct json_field rotate_rows[] = {
	{ .name = "alg",
	  .type = JSON_STRING,
	  .offset = offsetof(struct rotate_body, alg),
	  .nullable = true },
	{ .name = "force",
	  .type = JSON_BOOL,
	  .offset = offsetof(struct rotate_body, force),
	  .nullable = true },
};
static const struct admin_shape rotate_shape = { rotate_rows, 2 };

struct rotation {
	struct request *rq;
	enum alg algs[ALG_COUNT];
	size_t count;
	bool force;
	struct audit_row audit;
	struct rotate_result results[ALG_COUNT];
	size_t done; /* of `results` */
	int64_t ready_at;
	bool crowded; /* why it is not ready */
};

static bool is_published(const struct key_info *k)
{
	return k->state == KEY_STANDBY || k->state == KEY_ACTIVE || k->state == KEY_RETIRING;
}

/* Whoever holds chancery:keys alone must not be able to rotate until the key set is too large to be
 * served, or the keys too many to be loaded at the next start: a retired key stays published while
 * its tokens live, and is remembered for ever. *ret_at: when a published one goes; 0: unknown. */
static bool has_room(const struct keyring_view *v, size_t more, int64_t *ret_at)
{
	size_t published = 0;

	*ret_at = 0;
	for (size_t i = 0; i < v->count; i++) {
		const struct key_info *k = &v->infos[i];

		published += is_published(k);
		if (k->state == KEY_RETIRING && (!*ret_at || k->remove_at < *ret_at))
			*ret_at = k->remove_at;
	}
	return published + more <= PUBLISHED_MAX && v->count + more <= REMEMBERED_MAX;
}

/* All algorithms or none: a second one that is not ready must not be found out after the first one
 * has switched. What is ready now stays ready. */
static enum err check_view(struct rotation *r, const struct keyring_view *v, int64_t now)
{
	enum err e = ERR_OK;

	r->crowded = !has_room(v, r->count, &r->ready_at);
	if (r->crowded)
		return ERR_NOT_READY;
	r->ready_at = 0;
	for (size_t i = 0; i < r->count && !r->force; i++) {
		int64_t at = 0;

		if (key_plan_ready(v->infos, v->count, r->algs[i], now, &at))
			continue;
		e = ERR_NOT_READY;
		if (at > r->ready_at)
			r->ready_at = at;
	}
	return e;
}

static enum err check_ready(struct rotation *r, int64_t now)
{
	struct keyring_view *v = keyring_view_get(r->rq->app->keyring);
	enum err e = check_view(r, v, now);

	keyring_view_unref(v);
	return e;
}

/* In the blocking lane: each rotation waits for the writer and the signer. */
static enum err rotate_run(struct lane_ctx *ctx, void *arg)
{
	struct rotation *r = arg;
	enum err e = check_ready(r, ctx->env->now(ctx->env)), published;

	if (e)
		return e;
	for (r->done = 0; !e && r->done < r->count; r->done += !e) {
		r->audit.target = str_z(alg_name(r->algs[r->done]));
		e = keyring_rotate(r->rq->app->keyring, r->algs[r->done], r->force, &r->audit,
				   &r->results[r->done]);
	}
	if (e == ERR_NOT_READY)
		r->ready_at = r->results[r->done].ready_at;
	/* also after a failure: what has been switched must be seen */
	published = r->done ? admin_publish(ctx, r->rq) : ERR_OK;
	return e ? e : published;
}

static enum err rotated_list(struct request *rq, const struct rotation *r,
			     const struct keyring_view *v)
{
	struct jsonw w;
	struct buf b;

	buf_init(&b, rq->arena, KEYS_TEXT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_key(&w, "items");
	jsonw_array(&w);
	for (size_t i = 0; i < r->done; i++) {
		const struct key_info *k = key_named(v, str_z(r->results[i].kid));

		if (!k)
			continue;
		jsonw_object(&w);
		write_members(&w, k);
		jsonw_member_z(&w, "retired", r->results[i].retired);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return respond_json(rq, 202, &b);
}

static enum err rotate_done(struct request *rq, enum err result)
{
	struct rotation *r = rq->state;
	struct keyring_view *v;
	enum err e;

	count_audit(rq->metrics, !result);
	if (result == ERR_NOT_READY) {
		rq->ready_at = r->ready_at;
		rq->description = r->crowded ? "Too many retired keys are still published; wait."
					     : "The standby has not been published long enough; "
					       "force goes ahead.";
		return fail(rq, result, r->crowded ? "too many keys" : "standby is not ready");
	}
	if (result)
		return fail(rq, result, "rotation failed after %zu of %zu: %s", r->done, r->count,
			    err_name(result));
	v = keyring_view_get(rq->app->keyring);
	e = rotated_list(rq, r, v);
	keyring_view_unref(v);
	return e;
}

static enum err rotate_read(struct request *rq, struct rotation *r, struct admin_fault *fault)
{
	const struct config *config = rq->snapshot->config;
	struct rotate_body in = { .force = false };
	enum alg alg;
	uint64_t seen;
	enum err e = admin_fields(rq->arena, rq->json, &rotate_shape, &in, &seen, fault);

	if (!e)
		e = admin_check_alg(config, in.alg, &alg, fault);
	if (e)
		return e;
	r->force = in.force;
	r->count = alg ? 1 : config->keys.alg_count;
	for (size_t i = 0; i < r->count; i++)
		r->algs[i] = alg ? alg : config->keys.algs[i];
	return ERR_OK;
}

enum err admin_keys_rotate(struct request *rq)
{
	struct rotation *r = arena_new_of(rq->arena, struct rotation);
	struct admin_fault fault = { STR_NONE, STR_NONE };
	enum err e;

	if (!r)
		return fail(rq, ERR_NOMEM, "no memory for a rotation");
	e = rotate_read(rq, r, &fault);
	if (e)
		return admin_refuse(rq, e, &fault);
	r->rq = rq;
	audit_fill(rq, AUDIT_KEY_ROTATE, "ok", STR_NONE, &r->audit);
	if (r->force)
		r->audit.reason = STR("forced");
	rq->state = r;
	return park(rq, LANE_BLOCKING, rotate_run, r, rotate_done);
}
