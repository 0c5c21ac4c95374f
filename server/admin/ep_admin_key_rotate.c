/* POST /admin/v1/keys/rotate. It waits for the writer and the signer, so it runs in the blocking
 * lane; its audit row is written in the keyring's own store step. What it changed is published
 * before it is answered. */
#include "server/admin/admin.h"
#include "server/admin/admin_keys.h"
#include "server/admin/admin_rules.h"
#include "server/request/app.h"

enum {
	PUBLISHED_MAX = JWKS_KEYS_MAX - 16, /* the plan must always be able to add its own */
	REMEMBERED_MAX = 2048,
	LAGGARDS_TOLD_MAX = ALG_COUNT * CONSUMERS_LAGGARDS_MAX,
	LAGGARDS_TEXT_MAX = LAGGARDS_TOLD_MAX * (CONSUMER_NAME_MAX + 4),
};

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
	/* why it is not ready */
	int64_t ready_at;
	bool crowded;
	struct str laggards[LAGGARDS_TOLD_MAX];
	size_t laggard_count;
	struct str laggards_text; /* a JSON array; absent: nobody lags */
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

/* A name once, however many standbys it lacks. */
static void add_laggards(struct rotation *r, const struct consumers_report *report)
{
	for (size_t i = 0; i < report->laggard_count; i++) {
		struct str name = str_z(report->laggards[i].name);
		size_t seen = 0;

		while (seen < r->laggard_count && !str_equal(r->laggards[seen], name))
			seen++;
		if (seen == r->laggard_count && seen < LAGGARDS_TOLD_MAX)
			r->laggards[r->laggard_count++] = arena_str(r->rq->arena, name);
	}
}

static enum err write_laggards(struct rotation *r)
{
	struct jsonw w;
	struct buf b;

	buf_init(&b, r->rq->arena, LAGGARDS_TEXT_MAX);
	jsonw_init(&w, &b);
	jsonw_array(&w);
	for (size_t i = 0; i < r->laggard_count; i++)
		jsonw_str(&w, r->laggards[i]);
	jsonw_end_array(&w);
	return buf_end(&b, &r->laggards_text) ? ERR_NOMEM : ERR_NOT_READY;
}

/* Who would meet the new kid without knowing it. */
static enum err check_laggards(struct rotation *r, const struct keyring_view *v, int64_t now)
{
	struct consumers *consumers = r->rq->app->consumers;
	unsigned lagging = consumers_lagging(consumers, v, now);
	struct consumers_report report;

	for (size_t i = 0; i < r->count; i++) {
		const struct key_info *standby = key_plan_find(v->infos, v->count, r->algs[i],
							       KEY_STANDBY);

		if (!standby || !(lagging >> r->algs[i] & 1))
			continue;
		consumers_holding(consumers, r->algs[i], str_z(standby->kid), now, &report);
		add_laggards(r, &report);
	}
	return r->laggard_count ? write_laggards(r) : ERR_OK;
}

/* All algorithms or none: a second one that is not ready must not be found out after the first one
 * has switched. What is ready now stays ready. */
static enum err check_view(struct rotation *r, const struct keyring_view *v, int64_t now)
{
	enum err e = ERR_OK;

	r->laggard_count = 0;
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
	return e || r->force ? e : check_laggards(r, v, now);
}

static enum err check_ready(struct rotation *r, int64_t now)
{
	struct keyring_view *v = keyring_view_get(r->rq->app->keyring);
	enum err e = check_view(r, v, now);

	keyring_view_unref(v);
	return e;
}

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
		const struct keyring_key *key = admin_key_named(v, str_z(r->results[i].kid));

		if (!key)
			continue;
		jsonw_object(&w);
		admin_key_write(rq, &w, &key->info);
		jsonw_member_z(&w, "retired", r->results[i].retired);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return respond_json(rq, 202, &b);
}

static enum err rotate_too_early(struct request *rq, const struct rotation *r)
{
	rq->ready_at = r->ready_at;
	rq->laggards = r->laggards_text;
	if (r->crowded)
		rq->description = "Too many retired keys are still published; wait.";
	else if (r->laggards_text.p)
		rq->description = "Verifiers do not hold the standby yet; force goes ahead.";
	else
		rq->description = "The standby has not been published long enough; force goes "
				  "ahead.";
	return fail(rq, ERR_NOT_READY, "%s",
		    r->crowded		 ? "too many keys"
		    : r->laggards_text.p ? "verifiers do not hold the standby"
					 : "standby is not ready");
}

static enum err rotate_done(struct request *rq, enum err result)
{
	struct rotation *r = rq->state;
	struct keyring_view *v;
	enum err e;

	for (size_t i = 0; i < r->done; i++)
		audit_count(rq, &r->audit, true);
	if (result == ERR_NOT_READY)
		return rotate_too_early(rq, r);
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
