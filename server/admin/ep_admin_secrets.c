/* /admin/v1/clients/{id}/secrets: several labelled secrets per client, so that one can be replaced
 * without a moment in which none works. A secret is shown once, when the server made it; a hash is
 * never shown. */
#include "server/admin/admin.h"
#include "server/admin/admin_client.h"
#include "server/admin/admin_rules.h"
#include "server/request/app.h"
#include "server/token/auth.h"

#include "jose/b64.h"
#include "oauth/machine.h"

enum {
	MADE_SECRET_LEN = 32,
	SECRET_ID_LEN = 12, /* 16 characters */
	SECRET_LIFE_MAX = 10 * 366 * 24 * 3600,
};

struct secret_body {
	struct str label, expires_at, client_secret;
	int64_t expires_in;
	bool allow_weak;
};

#define FIELD(member, type_)                                                                       \
	{ .name = #member,                                                                         \
	  .type = type_,                                                                           \
	  .offset = offsetof(struct secret_body, member),                                          \
	  .nullable = true }
static const struct json_field secret_rows[] = {
	FIELD(label, JSON_STRING),	FIELD(expires_in, JSON_INT),
	FIELD(expires_at, JSON_STRING), FIELD(client_secret, JSON_STRING),
	FIELD(allow_weak, JSON_BOOL),
};
static const struct admin_shape secret_shape = { secret_rows,
						 sizeof(secret_rows) / sizeof(*secret_rows) };

struct secret_act {
	struct admin_act act;
	struct new_secret secret;
	struct str client_id, secret_id;
};

/* ---- making one ---- */

static enum err secret_id(struct request *rq, struct str *ret_id)
{
	unsigned char bytes[SECRET_ID_LEN];
	struct buf b;
	enum err e = rq->app->env->random(rq->app->env, bytes, sizeof(bytes));

	if (e)
		return e;
	buf_init(&b, rq->arena, 32);
	buf_z(&b, "sec_");
	b64url_encode(&b, bytes, sizeof(bytes));
	return buf_end(&b, ret_id);
}

static enum err make_secret(struct request *rq, struct new_secret *s)
{
	unsigned char bytes[MADE_SECRET_LEN];
	unsigned char *mac = arena_alloc(rq->arena, SECRET_LEN);
	struct buf b;
	enum err e = mac ? rq->app->env->random(rq->app->env, bytes, sizeof(bytes)) : ERR_NOMEM;

	if (e)
		return e;
	buf_init(&b, rq->arena, 128);
	machine_write(&b, MACHINE_CLIENT_SECRET, bytes, sizeof(bytes));
	wipe(bytes, sizeof(bytes));
	e = buf_end(&b, &s->shown);
	if (e)
		return e;
	client_secret_mac(&rq->app->derived.client_secret, s->shown, mac);
	s->row.kind = SECRET_MACHINE;
	s->row.hash = str_n(mac, SECRET_LEN);
	return ERR_OK;
}

enum err new_secret_begin(struct request *rq, struct str given, bool weak,
			  struct new_secret *ret_secret, struct admin_fault *fault)
{
	enum err e = secret_id(rq, &ret_secret->row.id);

	if (e)
		return e;
	if (!given.p)
		return make_secret(rq, ret_secret);
	e = admin_check_secret(given, weak, fault);
	if (!e)
		ret_secret->presented = given;
	return e;
}

enum err new_secret_hash(const struct env *env, struct arena *a, struct new_secret *s)
{
	s->row.kind = SECRET_ARGON2ID;
	return password_hash(env, a, s->presented, &s->row.hash);
}

/* ---- rendering ---- */

static void secret_write(struct jsonw *w, const struct client_secret *s, struct str shown)
{
	jsonw_object(w);
	jsonw_member(w, "id", s->id);
	jsonw_member(w, "label", s->label);
	jsonw_member_z(w, "kind", s->kind == SECRET_MACHINE ? "generated" : "own");
	admin_write_time(w, "created_at", s->created_at);
	admin_write_time(w, "expires_at", s->expires_at);
	admin_write_time(w, "last_used_at", s->last_used_at);
	if (shown.p)
		jsonw_member(w, "client_secret", shown);
	jsonw_end_object(w);
}

/* ---- GET ---- */

static enum err list_step(struct lane_ctx *ctx, struct request *rq, void *arg)
{
	return store_client_get(ctx->db, rq->arena, rq->path_args[0], arg);
}

static enum err list_done(struct request *rq, enum err result)
{
	const struct admin_fault none = { STR_NONE, STR_NONE };
	const struct client *c = rq->state;
	struct jsonw w;
	struct buf b;

	if (result)
		return admin_refuse(rq, result, &none);
	buf_init(&b, rq->arena, ADMIN_OBJECT_MAX);
	admin_page_begin(&w, &b);
	for (size_t i = 0; i < c->secret_count; i++)
		secret_write(&w, &c->secrets[i], STR_NONE);
	/* SECRETS_PER_CLIENT_MAX is far below a page */
	admin_page_end(&w, NULL, NULL, STR_NONE);
	return respond_json(rq, 200, &b);
}

enum err admin_secrets_list(struct request *rq)
{
	const struct admin_read read = {
		.run = list_step,
		.arg = arena_new_of(rq->arena, struct client),
		.next = list_done,
	};

	return read.arg ? admin_read(rq, &read) : fail(rq, ERR_NOMEM, "no memory for a client");
}

/* ---- what both changes ask first ---- */

static enum err may_change(struct lane_ctx *ctx, struct secret_act *act, struct client *ret_client)
{
	struct request *rq = act->act.rq;
	enum err e = store_client_get(ctx->db, rq->arena, act->client_id, ret_client);

	if (e)
		return e;
	if (client_is_reserved(rq->snapshot->config->issuer, ret_client) && !admin_privileged(rq))
		return admin_fault_set(
			&act->act.fault, ERR_FORBIDDEN,
			"Only chancery:admin may touch the secrets of a client with chancery: "
			"scopes.");
	return ERR_OK;
}

static struct secret_act *secret_act_new(struct request *rq, enum audit_event event)
{
	struct secret_act *act = admin_act_new(rq, sizeof(*act));

	if (!act)
		return NULL;
	act->client_id = rq->path_args[0];
	act->secret_id = rq->path_args[1];
	act->act.event = event;
	act->act.target = admin_target(rq, "client:", act->client_id);
	return act;
}

/* ---- POST ---- */

static enum err add_step(struct lane_ctx *ctx, struct admin_act *base)
{
	struct secret_act *act = (struct secret_act *)base;
	struct client c;
	enum err e = may_change(ctx, act, &c);

	if (e)
		return e;
	if (c.auth_method == AUTH_METHOD_NONE)
		return admin_unprocessable(&base->fault, "", "a public client has no secret");
	act->secret.row.created_at = ctx->env->now(ctx->env);
	e = store_secret_add(ctx->db, act->client_id, &act->secret.row);
	if (e == ERR_LIMIT)
		return admin_fault_set(&base->fault, ERR_EXISTS,
				       "the client has 8 secrets; remove one first");
	return e;
}

static enum err add_done(struct request *rq, struct admin_act *base)
{
	struct secret_act *act = (struct secret_act *)base;
	struct jsonw w;
	struct buf b;

	client_cache_drop(rq->app->clients, act->client_id);
	buf_init(&b, rq->arena, ADMIN_OBJECT_MAX);
	jsonw_init(&w, &b);
	secret_write(&w, &act->secret.row, act->secret.shown);
	return respond_json(rq, 201, &b);
}

static enum err hash_secret(struct lane_ctx *ctx, struct admin_act *base)
{
	struct secret_act *act = (struct secret_act *)base;

	return new_secret_hash(ctx->env, base->rq->arena, &act->secret);
}

static enum err read_expires_in(int64_t now, int64_t seconds, int64_t *ret_at,
				struct admin_fault *fault)
{
	if (seconds < 1 || seconds > SECRET_LIFE_MAX)
		return admin_unprocessable(fault, "/expires_in",
					   "must be from one second to ten years");
	*ret_at = now + seconds;
	return ERR_OK;
}

static enum err read_expires_at(int64_t now, struct str text, int64_t *ret_at,
				struct admin_fault *fault)
{
	int64_t at;

	if (admin_time_parse(text, &at))
		return admin_unprocessable(fault, "/expires_at",
					   "must be a time as 2026-12-31T00:00:00Z");
	if (at <= now)
		return admin_unprocessable(fault, "/expires_at", "must be in the future");
	*ret_at = at;
	return ERR_OK;
}

static enum err read_expiry(int64_t now, const struct secret_body *in, int64_t *ret_at,
			    struct admin_fault *fault)
{
	if (in->expires_in != ADMIN_INT_ABSENT && in->expires_at.p)
		return admin_unprocessable(fault, "/expires_at",
					   "give expires_in or expires_at, not both");
	if (in->expires_in != ADMIN_INT_ABSENT)
		return read_expires_in(now, in->expires_in, ret_at, fault);
	return in->expires_at.p ? read_expires_at(now, in->expires_at, ret_at, fault) : ERR_OK;
}

static enum err add_read(struct request *rq, struct secret_act *act)
{
	struct secret_body in = { .expires_in = ADMIN_INT_ABSENT };
	struct admin_fault *fault = &act->act.fault;
	uint64_t seen;
	enum err e = admin_fields(rq->arena, rq->json, &secret_shape, &in, &seen, fault);

	if (!e)
		e = admin_check_text(rq->arena, "/label", in.label, LABEL_MAX,
				     &act->secret.row.label, fault);
	if (!e)
		e = read_expiry(rq->now, &in, &act->secret.row.expires_at, fault);
	return e ? e : new_secret_begin(rq, in.client_secret, in.allow_weak, &act->secret, fault);
}

enum err admin_secret_add(struct request *rq)
{
	struct secret_act *act = secret_act_new(rq, AUDIT_SECRET_ADD);
	enum err e;

	if (!act)
		return ERR_NOMEM;
	act->act.step = add_step;
	act->act.done = add_done;
	e = add_read(rq, act);
	if (e)
		return admin_refuse(rq, e, &act->act.fault);
	if (act->secret.presented.p)
		act->act.hash = hash_secret;
	return admin_act_run(rq, &act->act);
}

/* ---- DELETE ---- */

static enum err remove_step(struct lane_ctx *ctx, struct admin_act *base)
{
	struct secret_act *act = (struct secret_act *)base;
	struct client c;
	enum err e = may_change(ctx, act, &c);

	return e ? e : store_secret_remove(ctx->db, act->client_id, act->secret_id);
}

static enum err remove_done(struct request *rq, struct admin_act *base)
{
	struct secret_act *act = (struct secret_act *)base;

	client_cache_drop(rq->app->clients, act->client_id);
	return admin_no_content(rq);
}

enum err admin_secret_remove(struct request *rq)
{
	struct secret_act *act = secret_act_new(rq, AUDIT_SECRET_REMOVE);

	if (!act)
		return ERR_NOMEM;
	act->act.step = remove_step;
	act->act.done = remove_done;
	return admin_act_run(rq, &act->act);
}
