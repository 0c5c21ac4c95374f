/* /admin/v1/apis/{slug}/secrets: the secret that one back end verifies its tokens with. It is shown
 * in the answer to the request that made it and never again; the signer keeps it, sealed.
 *
 * It passes through this process once, in clear. A box as for imported keys would hide it from us
 * and from nobody else: the answer is for whoever may call this API, over HTTP like any other, and
 * a server in a stranger's hands could have a secret made for itself. */
#include "server/admin/admin.h"
#include "server/admin/admin_api.h"
#include "server/admin/admin_rules.h"
#include "server/request/app.h"
#include "server/token/shared.h"

enum {
	SECRET_TEXT_MAX = 128,
	SEALED_ROW_MAX = 256,
	SIGN_AFTER_MAX = 30 * 86400,
	CLOCK_SLACK = 120, /* a back end's clock may be behind ours */
};

struct rotate_body {
	int64_t sign_after;
};
static const struct json_field rotate_rows[] = {
	{ .name = "sign_after",
	  .type = JSON_INT,
	  .offset = offsetof(struct rotate_body, sign_after),
	  .nullable = true },
};
static const struct admin_shape rotate_shape = { rotate_rows, 1 };

struct rotate_act {
	struct admin_act act;
	struct new_api_secret secret;
	struct str slug;
	int64_t sign_after;
};

/* ---- what creating an api shares ---- */

struct making {
	struct new_api_secret *secret;
	void *state;
	enum err (*next)(struct request *rq, enum err result);
};

static enum err make_run(struct lane_ctx *ctx, void *arg)
{
	struct new_api_secret *s = arg;
	char kid[KID_MAX + 1];
	struct buf sealed;
	enum err e;

	(void)ctx;
	buf_init(&s->text, s->rq->arena, SECRET_TEXT_MAX);
	buf_init(&sealed, s->rq->arena, SEALED_ROW_MAX);
	e = keyring_api_secret(s->rq->app->keyring, s->row.uri, kid, &s->text, &sealed);
	if (!e)
		e = buf_end(&sealed, &s->row.sealed);
	if (!e)
		s->row.kid = arena_str(s->rq->arena, str_z(kid));
	return !e && !s->row.kid.p ? ERR_NOMEM : e;
}

static enum err made(struct request *rq, enum err result)
{
	const struct making *m = rq->state;

	rq->state = m->state;
	return m->next(rq, result);
}

enum err new_api_secret_make(struct request *rq, struct str uri, struct new_api_secret *s,
			     enum err (*next)(struct request *rq, enum err result))
{
	struct making *m = arena_new_of(rq->arena, struct making);

	if (!m)
		return fail(rq, ERR_NOMEM, "no memory for a secret");
	*m = (struct making){ .secret = s, .state = rq->state, .next = next };
	s->rq = rq;
	s->row.uri = uri;
	rq->state = m;
	return park(rq, LANE_BLOCKING, make_run, s, made);
}

enum err new_api_secret_store(struct lane_ctx *ctx, struct new_api_secret *s, int64_t sign_from,
			      struct admin_fault *fault)
{
	const int64_t longest = s->rq->snapshot->config->tokens.max_ttl;
	enum err e;

	s->row.created_at = ctx->env->now(ctx->env);
	s->row.sign_from = sign_from;
	e = store_api_secret_add(ctx->db, &s->row, sign_from + longest + CLOCK_SLACK);
	if (e == ERR_LIMIT)
		return admin_fault_set(fault, ERR_CONFLICT,
				       "eight secrets still have tokens: wait until some expire");
	return e;
}

void new_api_secret_write(struct jsonw *w, const struct new_api_secret *s)
{
	jsonw_member(w, "kid", s->row.kid);
	jsonw_member(w, "secret", str_n(s->text.p, s->text.n));
}

/* ---- GET ---- */

static const struct api *find(const struct request *rq)
{
	const struct api *api = api_by_slug(&rq->snapshot->apis, rq->path_args[0]);

	return api ? api : api_find(&rq->snapshot->apis, rq->path_args[0]);
}

static void secret_write(struct jsonw *w, const struct api_secret *s, bool signs)
{
	jsonw_object(w);
	jsonw_member(w, "kid", s->kid);
	jsonw_member_bool(w, "signs", signs);
	admin_write_time(w, "created_at", s->created_at);
	admin_write_time(w, "sign_from", s->sign_from);
	admin_write_time(w, "verify_until", s->until);
	jsonw_end_object(w);
}

enum err admin_api_secrets_list(struct request *rq)
{
	const struct api *api = find(rq);
	const struct api_secret *signs;
	struct jsonw w;
	struct buf b;

	if (!api)
		return fail(rq, ERR_GONE_RESOURCE, "no such api");
	signs = api_secret_signing(api, rq->now);
	buf_init(&b, rq->arena, ADMIN_OBJECT_MAX);
	admin_page_begin(&w, &b);
	for (size_t i = 0; i < api->secret_count; i++)
		secret_write(&w, &api->secrets[i], &api->secrets[i] == signs);
	admin_page_end(&w, NULL, NULL, STR_NONE);
	return respond_json(rq, 200, &b);
}

/* ---- POST ---- */

static enum err rotate_step(struct lane_ctx *ctx, struct admin_act *base)
{
	struct rotate_act *act = (struct rotate_act *)base;
	struct api api;
	enum err e = store_api_get(ctx->db, base->rq->arena, act->slug, &api);

	if (e)
		return e;
	if (api.format != API_SHARED)
		return admin_fault_set(&base->fault, ERR_CONFLICT,
				       "only the tokens of HS256 apis have a secret");
	return new_api_secret_store(ctx, &act->secret, ctx->env->now(ctx->env) + act->sign_after,
				    &base->fault);
}

static enum err answer(struct request *rq, enum err result)
{
	const struct rotate_act *act = rq->state;
	struct jsonw w;
	struct buf b;

	if (result)
		return fail(rq, ERR_UNAVAILABLE, "stored, but not yet in force: %s",
			    err_name(result));
	buf_init(&b, rq->arena, ADMIN_OBJECT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	new_api_secret_write(&w, &act->secret);
	admin_write_time(&w, "sign_from", act->secret.row.sign_from);
	jsonw_end_object(&w);
	return respond_json(rq, 201, &b);
}

static enum err publish(struct request *rq, struct admin_act *base)
{
	(void)base;
	return park(rq, LANE_BLOCKING, admin_publish, rq, answer);
}

static enum err secret_made(struct request *rq, enum err result)
{
	if (result)
		return fail(rq, result, "the signer made no secret: %s", err_name(result));
	return admin_act_run(rq, rq->state);
}

static enum err rotate_read(struct request *rq, struct rotate_act *act)
{
	struct rotate_body in = { .sign_after = ADMIN_INT_ABSENT };
	struct admin_fault *fault = &act->act.fault;
	uint64_t seen;
	enum err e = admin_fields(rq->arena, rq->json, &rotate_shape, &in, &seen, fault);

	if (e)
		return e;
	if (in.sign_after == ADMIN_INT_ABSENT)
		return ERR_OK;
	if (in.sign_after < 0 || in.sign_after > SIGN_AFTER_MAX)
		return admin_unprocessable(fault, "/sign_after", "must be from 0 to 30 days");
	act->sign_after = in.sign_after;
	return ERR_OK;
}

enum err admin_api_secret_rotate(struct request *rq)
{
	const struct api *api = find(rq);
	struct rotate_act *act;
	enum err e;

	if (!api)
		return fail(rq, ERR_GONE_RESOURCE, "no such api");
	act = admin_act_new(rq, sizeof(*act));
	if (!act)
		return ERR_NOMEM;
	act->slug = api->slug;
	act->act.event = AUDIT_API_SECRET;
	act->act.target = admin_target(rq, "api:", api->uri);
	act->act.step = rotate_step;
	act->act.done = publish;
	e = rotate_read(rq, act);
	if (!e && api->format != API_SHARED)
		e = admin_fault_set(&act->act.fault, ERR_CONFLICT,
				    "only the tokens of HS256 apis have a secret");
	if (e)
		return admin_refuse(rq, e, &act->act.fault);
	rq->state = act;
	return new_api_secret_make(rq, api->uri, &act->secret, secret_made);
}
