/* /admin/v1/clients: create, list, show, change, delete.
 *
 * Whoever holds chancery:clients alone manages all clients but those that hold something reserved:
 * those are neither made, nor changed, nor deleted, nor made from an ordinary one, except by a
 * privileged caller. The check stands in the same transaction as the change, before it on the old
 * row and after it on the new. */
#include "server/admin/admin.h"
#include "server/admin/admin_client.h"
#include "server/admin/admin_rules.h"
#include "server/request/app.h"
#include "server/store/lists.h"
#include "server/token/refresh.h"

struct client_act {
	struct admin_act act;
	struct client client; /* the new one; after the step, the row */
	struct new_secret secret;
	struct str id;
	bool ended; /* its tokens ended with this step */
};

static const char why_reserved[] = "Only chancery:admin may touch a client with chancery: scopes.";
static const char why_granting[] = "Only chancery:admin may grant chancery: scopes.";

static struct client_act *client_act_new(struct request *rq, enum audit_event event, struct str id)
{
	struct client_act *act = admin_act_new(rq, sizeof(*act));

	if (!act)
		return NULL;
	act->id = id;
	act->act.event = event;
	act->act.target = admin_target(rq, "client:", id);
	return act;
}

static struct str issuer_of(const struct request *rq)
{
	return rq->snapshot->config->issuer;
}

/* The audience that is an api without a row. */
static struct str built_in(const struct request *rq)
{
	const struct api *api = api_by_slug(&rq->snapshot->apis, STR(ADMIN_API_SLUG));

	return api ? api->uri : STR_NONE;
}

/* An audience or introspect entry that names no api. */
static enum err missing_api(struct client_act *act, const struct client *c, struct str uri)
{
	struct buf b;

	buf_init(&b, act->act.rq->arena, URI_MAX + 128);
	buf_z(&b, "no api has this URI; make it with: chancery api create ");
	buf_str(&b, uri);
	if (buf_end(&b, &act->act.fault.detail))
		return ERR_NOMEM;
	act->act.fault.pointer = list_has(c->audiences, uri) ? STR("/audiences")
							     : STR("/introspect");
	return ERR_UNPROCESSABLE;
}

/* The row in the step's own transaction, if this caller may touch it and knows its version. */
static enum err load_for_change(struct lane_ctx *ctx, struct client_act *act,
				struct client *ret_client)
{
	struct request *rq = act->act.rq;
	enum err e = store_client_get(ctx->db, rq->arena, act->id, ret_client);

	if (e)
		return e;
	if (client_is_reserved(issuer_of(rq), ret_client) && !admin_privileged(rq))
		return admin_fault_set(&act->act.fault, ERR_FORBIDDEN, why_reserved);
	return admin_if_match(rq->if_match, ret_client->version) ? ERR_OK : ERR_REUSED;
}

/* ---- GET /clients, GET /clients/{id} ---- */

static enum err list_group(struct db *db, struct arena *scratch, struct admin_list *l,
			   int64_t limit)
{
	const struct page page = { .prefix = l->page.filter,
				   .after = l->page.after,
				   .limit = limit };
	struct client *rows;
	size_t count;
	enum err e = store_client_list(db, scratch, &page, &rows, &count);

	for (size_t i = 0; !e && i < count && admin_list_next(l, rows[i].id); i++) {
		client_write(&l->w, &rows[i]);
		jsonw_end_object(&l->w);
	}
	return e;
}

enum err admin_clients_list(struct request *rq)
{
	struct admin_list *l = arena_new_of(rq->arena, struct admin_list);
	enum err e;

	if (!l)
		return fail(rq, ERR_NOMEM, "no memory for a list");
	l->group = list_group;
	l->page.list = "clients";
	e = query_get(rq, "prefix", &l->page.filter);
	if (!e)
		e = admin_page_read(rq, &l->page);
	return e ? e : admin_list_run(rq, l);
}

static enum err show_step(struct lane_ctx *ctx, struct request *rq, void *arg)
{
	return store_client_get(ctx->db, rq->arena, rq->path_args[0], arg);
}

static enum err show_done(struct request *rq, enum err result)
{
	const struct admin_fault none = { STR_NONE, STR_NONE };
	const struct client *c = rq->state;
	struct jsonw w;
	struct buf b;

	if (result)
		return admin_refuse(rq, result, &none);
	buf_init(&b, rq->arena, ADMIN_OBJECT_MAX);
	jsonw_init(&w, &b);
	client_write(&w, c);
	jsonw_end_object(&w);
	return admin_respond(rq, 200, &b, c->version);
}

enum err admin_client_show(struct request *rq)
{
	const struct admin_read read = {
		.run = show_step,
		.arg = arena_new_of(rq->arena, struct client),
		.next = show_done,
	};

	return read.arg ? admin_read(rq, &read) : fail(rq, ERR_NOMEM, "no memory for a client");
}

/* ---- POST /clients ---- */

static enum err create_step(struct lane_ctx *ctx, struct admin_act *base)
{
	struct client_act *act = (struct client_act *)base;
	struct client c = act->client;
	struct str missing = STR_NONE;
	enum err e;

	c.created_at = ctx->env->now(ctx->env);
	c.built_in = built_in(base->rq);
	act->secret.row.created_at = c.created_at;
	c.secrets = &act->secret.row;
	c.secret_count = act->secret.row.id.p ? 1 : 0;
	e = store_client_create(ctx->db, &c, &missing);
	if (e == ERR_NOT_FOUND && missing.p)
		return missing_api(act, &c, missing);
	if (e == ERR_CONFLICT)
		return admin_fault_set(&base->fault, e,
				       "this id is taken, or was once, by a client or a user");
	return e ? e : store_client_get(ctx->db, base->rq->arena, act->id, &act->client);
}

static enum err create_done(struct request *rq, struct admin_act *base)
{
	struct client_act *act = (struct client_act *)base;
	struct jsonw w;
	struct buf b;

	client_cache_drop(rq->app->clients, act->id);
	buf_init(&b, rq->arena, ADMIN_OBJECT_MAX);
	jsonw_init(&w, &b);
	client_write(&w, &act->client);
	/* with these two the answer is a credentials file */
	jsonw_member(&w, "issuer", issuer_of(rq));
	if (act->secret.shown.p)
		jsonw_member(&w, "client_secret", act->secret.shown);
	jsonw_end_object(&w);
	admin_location(rq, "/admin/v1/clients", act->id);
	return admin_respond(rq, 201, &b, act->client.version);
}

static enum err hash_secret(struct lane_ctx *ctx, struct admin_act *base)
{
	struct client_act *act = (struct client_act *)base;

	return new_secret_hash(ctx->env, base->rq->arena, &act->secret);
}

static enum err create_secret(struct request *rq, const struct client_body *in,
			      struct client_act *act)
{
	struct admin_fault *fault = &act->act.fault;

	if (act->client.auth_method == AUTH_METHOD_NONE)
		return in->client_secret.p ? admin_unprocessable(fault, "/client_secret",
								 "a public client has no secret")
					   : ERR_OK;
	return new_secret_begin(rq, in->client_secret, in->allow_weak, &act->secret, fault);
}

static enum err create_read(struct request *rq, struct client_act *act)
{
	const struct client_source from = { rq->snapshot->config, rq->arena, rq->json,
					    &client_shape };
	struct client_body in;
	enum err e = client_read(&from, &in, &act->client, &act->act.fault);

	if (e)
		return e;
	if (!admin_id_valid(in.client_id))
		return admin_unprocessable(&act->act.fault, "/client_id",
					   "must be 1 to 255 visible ASCII characters and spaces");
	act->id = act->client.id = in.client_id;
	act->act.target = admin_target(rq, "client:", act->id);
	return create_secret(rq, &in, act);
}

enum err admin_client_create(struct request *rq)
{
	struct client_act *act = client_act_new(rq, AUDIT_CLIENT_CREATE, STR(""));
	enum err e;

	if (!act)
		return ERR_NOMEM;
	act->act.step = create_step;
	act->act.done = create_done;
	e = create_read(rq, act);
	if (e)
		return admin_refuse(rq, e, &act->act.fault);
	if (client_is_reserved(issuer_of(rq), &act->client) && !admin_privileged(rq))
		return admin_forbid(rq, act->act.target, why_granting);
	if (act->secret.presented.p)
		act->act.hash = hash_secret;
	return admin_act_run(rq, &act->act);
}

/* ---- PATCH /clients/{id} ---- */

static enum err patched(struct client_act *act, const struct client *before,
			struct client *ret_after)
{
	struct request *rq = act->act.rq;
	struct client_source from = { rq->snapshot->config, rq->arena, NULL, &client_patch_shape };
	AUTO(json, merged) = NULL;
	struct client_body in;
	struct str document;
	enum err e = client_document(rq->arena, before, &document);

	if (!e)
		e = admin_patch(rq->arena, document, rq->json, from.shape, &merged,
				&act->act.fault);
	if (e)
		return e;
	from.object = merged;
	*ret_after = *before;
	return client_read(&from, &in, ret_after, &act->act.fault);
}

/* A token outlives the scope it was issued for, unless the scope was the power over this server. */
static enum err revoke_lost(struct lane_ctx *ctx, const struct request *rq,
			    const struct client *before, const struct client *after,
			    bool *ret_ended)
{
	const struct revocation entry = {
		.kind = REVOKE_CLIENT,
		.value = after->id,
		.iat_max = ctx->env->now(ctx->env) + END_SLACK,
		.until = revoke_until(rq),
	};

	*ret_ended = after->disabled || client_lost_reserved(issuer_of(rq), before, after);
	/* the store has seen to the disabled ones */
	return *ret_ended && !after->disabled ? store_revoke(ctx->db, &entry) : ERR_OK;
}

static enum err update_step(struct lane_ctx *ctx, struct admin_act *base)
{
	struct client_act *act = (struct client_act *)base;
	struct request *rq = base->rq;
	struct str missing = STR_NONE;
	struct client before, after;
	enum err e = load_for_change(ctx, act, &before);

	if (!e)
		e = patched(act, &before, &after);
	if (e)
		return e;
	if (client_is_reserved(issuer_of(rq), &after) && !admin_privileged(rq))
		return admin_fault_set(&base->fault, ERR_FORBIDDEN, why_granting);
	after.built_in = built_in(rq);
	e = store_client_update(ctx->db, &after, before.version, ctx->env->now(ctx->env),
				revoke_until(rq), &missing);
	if (e == ERR_NOT_FOUND && missing.p)
		return missing_api(act, &after, missing);
	if (!e)
		e = revoke_lost(ctx, rq, &before, &after, &act->ended);
	return e ? e : store_client_get(ctx->db, rq->arena, act->id, &act->client);
}

static enum err update_done(struct request *rq, struct admin_act *base)
{
	struct client_act *act = (struct client_act *)base;

	client_cache_drop(rq->app->clients, act->id);
	if (act->ended) {
		enum err e = admin_revoked(rq, REVOKE_CLIENT, act->id, false);

		if (e)
			return e;
	}
	rq->state = &act->client;
	return show_done(rq, ERR_OK);
}

enum err admin_client_update(struct request *rq)
{
	struct client_act *act = client_act_new(rq, AUDIT_CLIENT_UPDATE, rq->path_args[0]);

	if (!act)
		return ERR_NOMEM;
	act->act.step = update_step;
	act->act.done = update_done;
	return admin_act_run(rq, &act->act);
}

/* ---- DELETE /clients/{id} ---- */

static enum err delete_step(struct lane_ctx *ctx, struct admin_act *base)
{
	struct client_act *act = (struct client_act *)base;
	struct client before;
	enum err e = load_for_change(ctx, act, &before);

	if (e)
		return e;
	return store_client_delete(ctx->db, act->id, ctx->env->now(ctx->env),
				   revoke_until(base->rq));
}

static enum err delete_done(struct request *rq, struct admin_act *base)
{
	struct client_act *act = (struct client_act *)base;
	enum err e;

	client_cache_drop(rq->app->clients, act->id);
	e = admin_revoked(rq, REVOKE_CLIENT, act->id, true);
	return e ? e : admin_no_content(rq);
}

enum err admin_client_delete(struct request *rq)
{
	struct client_act *act = client_act_new(rq, AUDIT_CLIENT_DELETE, rq->path_args[0]);

	if (!act)
		return ERR_NOMEM;
	act->act.step = delete_step;
	act->act.done = delete_done;
	return admin_act_run(rq, &act->act);
}
