/* /admin/v1/users: create, list, show, change, delete, set a password, unlock.
 *
 * A user cannot hold a chancery:* scope (token.c gives those to clients alone), but may have a role
 * of such a name, which a service might take for the scope: such roles and whoever has one are
 * reserved too. */
#include "server/admin/admin.h"
#include "server/admin/admin_rules.h"
#include "server/admin/admin_user.h"
#include "server/request/app.h"
#include "server/token/refresh.h"

#include "jose/b64.h"

enum { MADE_ID_LEN = 16 };

struct user_act {
	struct admin_act act;
	struct user user; /* the new one; after the step, the row */
	struct str id;
	struct str password; /* to be hashed */
	struct str hash;
};

static const char why_reserved[] = "Only chancery:admin may touch a user with chancery: roles.";
static const char why_granting[] = "Only chancery:admin may give chancery: roles.";

static enum err user_respond(struct request *rq, int status, const struct user *u)
{
	struct jsonw w;
	struct buf b;

	buf_init(&b, rq->arena, USER_OBJECT_MAX);
	jsonw_init(&w, &b);
	user_write(&w, u);
	return admin_respond(rq, status, &b, u->version);
}

/* ---- GET ---- */

/* A name or address is one user at most; the list is then that one. */
static enum err list_one(struct db *db, struct arena *scratch, struct admin_list *l,
			 enum err (*find)(struct db *, struct arena *, struct str, struct user *))
{
	struct user u;
	enum err e = find(db, scratch, l->page.filter, &u);

	if (e == ERR_NOT_FOUND)
		return ERR_OK;
	if (!e && !l->page.after.n && admin_list_next(l, u.id))
		user_write(&l->w, &u);
	return e;
}

static enum err list_by_name(struct db *db, struct arena *scratch, struct admin_list *l,
			     int64_t limit)
{
	(void)limit;
	return list_one(db, scratch, l, store_user_by_name);
}

static enum err list_by_email(struct db *db, struct arena *scratch, struct admin_list *l,
			      int64_t limit)
{
	(void)limit;
	return list_one(db, scratch, l, store_user_by_email);
}

static enum err list_group(struct db *db, struct arena *scratch, struct admin_list *l,
			   int64_t limit)
{
	const struct page page = { .prefix = STR(""), .after = l->page.after, .limit = limit };
	struct user *rows;
	size_t count;
	enum err e = store_user_list(db, scratch, &page, &rows, &count);

	for (size_t i = 0; !e && i < count && admin_list_next(l, rows[i].id); i++)
		user_write(&l->w, &rows[i]);
	return e;
}

static enum err list_filter(struct request *rq, struct admin_list *l)
{
	struct str name, email;
	enum err e = query_get(rq, "name", &name);

	if (!e)
		e = query_get(rq, "email", &email);
	if (e)
		return e;
	if (name.p && email.p)
		return fail(rq, ERR_BAD_REQUEST, "both name and email asked");
	l->page.filter = name.p ? name : email;
	l->group = name.p ? list_by_name : email.p ? list_by_email : list_group;
	return ERR_OK;
}

enum err admin_users_list(struct request *rq)
{
	struct admin_list *l = arena_new_of(rq->arena, struct admin_list);
	enum err e;

	if (!l)
		return fail(rq, ERR_NOMEM, "no memory for a list");
	l->page.list = "users";
	e = list_filter(rq, l);
	if (!e)
		e = admin_page_read(rq, &l->page);
	return e ? e : admin_list_run(rq, l);
}

static enum err show_step(struct lane_ctx *ctx, struct request *rq, void *arg)
{
	return store_user_get(ctx->db, rq->arena, rq->path_args[0], arg);
}

static enum err show_done(struct request *rq, enum err result)
{
	const struct admin_fault none = { STR_NONE, STR_NONE };

	return result ? admin_refuse(rq, result, &none) : user_respond(rq, 200, rq->state);
}

enum err admin_user_show(struct request *rq)
{
	const struct admin_read read = {
		.run = show_step,
		.arg = arena_new_of(rq->arena, struct user),
		.next = show_done,
	};

	return read.arg ? admin_read(rq, &read) : fail(rq, ERR_NOMEM, "no memory for a user");
}

/* ---- what the changes share ---- */

static struct user_act *user_act_new(struct request *rq, enum audit_event event, struct str id)
{
	struct user_act *act = admin_act_new(rq, sizeof(*act));

	if (!act)
		return NULL;
	act->id = id;
	act->act.event = event;
	act->act.target = admin_target(rq, "user:", id);
	return act;
}

/* The row in the step's own transaction, if this caller may touch it and knows its version. */
static enum err load_for_change(struct lane_ctx *ctx, struct user_act *act, struct user *ret_user)
{
	struct request *rq = act->act.rq;
	enum err e = store_user_get(ctx->db, rq->arena, act->id, ret_user);

	if (e)
		return e;
	if (user_is_reserved(ret_user) && !admin_privileged(rq))
		return admin_fault_set(&act->act.fault, ERR_FORBIDDEN, why_reserved);
	return admin_if_match(rq->if_match, ret_user->version) ? ERR_OK : ERR_REUSED;
}

static enum err hash_password(struct lane_ctx *ctx, struct admin_act *base)
{
	struct user_act *act = (struct user_act *)base;

	return password_hash(ctx->env, base->rq->arena, act->password, &act->hash);
}

/* ---- POST /users ---- */

static enum err create_step(struct lane_ctx *ctx, struct admin_act *base)
{
	struct user_act *act = (struct user_act *)base;
	struct user u = act->user;
	enum err e;

	u.created_at = ctx->env->now(ctx->env);
	u.password = act->hash.p ? act->hash : STR("");
	e = store_user_create(ctx->db, &u);
	if (e == ERR_CONFLICT)
		return admin_fault_set(
			&base->fault, e,
			"the name is taken, or the id is or was, by a user or a client");
	return e ? e : store_user_get(ctx->db, base->rq->arena, act->id, &act->user);
}

static enum err create_done(struct request *rq, struct admin_act *base)
{
	struct user_act *act = (struct user_act *)base;

	admin_location(rq, "/admin/v1/users", act->id);
	return user_respond(rq, 201, &act->user);
}

static enum err make_id(struct request *rq, struct str *ret_id)
{
	unsigned char bytes[MADE_ID_LEN];
	struct buf b;
	enum err e = rq->app->env->random(rq->app->env, bytes, sizeof(bytes));

	if (e)
		return e;
	buf_init(&b, rq->arena, 64);
	buf_z(&b, "usr_");
	b64url_encode(&b, bytes, sizeof(bytes));
	return buf_end(&b, ret_id);
}

static enum err create_read(struct request *rq, struct user_act *act)
{
	struct admin_fault *fault = &act->act.fault;
	struct user_body in;
	enum err e = user_read(rq->arena, rq->json, &user_shape, &in, &act->user, fault);

	if (!e && in.password.p)
		e = admin_check_password(rq->snapshot->config, in.password, fault);
	if (e)
		return e;
	if (in.id.p && !admin_id_valid(in.id))
		return admin_unprocessable(fault, "/id",
					   "must be 1 to 255 visible ASCII characters and spaces");
	act->password = in.password;
	act->user.id = in.id;
	return in.id.p ? ERR_OK : make_id(rq, &act->user.id);
}

enum err admin_user_create(struct request *rq)
{
	struct user_act *act = user_act_new(rq, AUDIT_USER_CREATE, STR(""));
	enum err e;

	if (!act)
		return ERR_NOMEM;
	act->act.step = create_step;
	act->act.done = create_done;
	e = create_read(rq, act);
	if (e)
		return admin_refuse(rq, e, &act->act.fault);
	act->id = act->user.id;
	act->act.target = admin_target(rq, "user:", act->id);
	if (user_is_reserved(&act->user) && !admin_privileged(rq))
		return admin_forbid(rq, act->act.target, why_granting);
	if (act->password.p)
		act->act.hash = hash_password;
	return admin_act_run(rq, &act->act);
}

/* ---- PATCH /users/{id} ---- */

static enum err patched(struct user_act *act, const struct user *before, struct user *ret_after)
{
	struct request *rq = act->act.rq;
	struct admin_fault *fault = &act->act.fault;
	AUTO(json, merged) = NULL;
	struct user_body in;
	struct str document;
	enum err e = user_document(rq->arena, before, &document);

	if (!e)
		e = admin_patch(rq->arena, document, rq->json, &user_patch_shape, &merged, fault);
	if (e)
		return e;
	*ret_after = *before;
	return user_read(rq->arena, merged, &user_patch_shape, &in, ret_after, fault);
}

static enum err update_step(struct lane_ctx *ctx, struct admin_act *base)
{
	struct user_act *act = (struct user_act *)base;
	struct user before, after;
	enum err e = load_for_change(ctx, act, &before);

	if (!e)
		e = patched(act, &before, &after);
	if (e)
		return e;
	if (user_is_reserved(&after) && !admin_privileged(base->rq))
		return admin_fault_set(&base->fault, ERR_FORBIDDEN, why_granting);
	e = store_user_update(ctx->db, &after, before.version, ctx->env->now(ctx->env),
			      revoke_until(base->rq));
	if (e == ERR_CONFLICT)
		return admin_fault_set(&base->fault, e, "the name is taken by another user");
	return e ? e : store_user_get(ctx->db, base->rq->arena, act->id, &act->user);
}

static enum err update_done(struct request *rq, struct admin_act *base)
{
	struct user_act *act = (struct user_act *)base;

	if (act->user.disabled) {
		enum err e = admin_revoked(rq, REVOKE_USER, act->id, false);

		if (e)
			return e;
	}
	return user_respond(rq, 200, &act->user);
}

enum err admin_user_update(struct request *rq)
{
	struct user_act *act = user_act_new(rq, AUDIT_USER_UPDATE, rq->path_args[0]);

	if (!act)
		return ERR_NOMEM;
	act->act.step = update_step;
	act->act.done = update_done;
	return admin_act_run(rq, &act->act);
}

/* ---- DELETE /users/{id} ---- */

static enum err delete_step(struct lane_ctx *ctx, struct admin_act *base)
{
	struct user_act *act = (struct user_act *)base;
	struct user before;
	enum err e = load_for_change(ctx, act, &before);

	if (e)
		return e;
	return store_user_delete(ctx->db, act->id, ctx->env->now(ctx->env), revoke_until(base->rq));
}

static enum err delete_done(struct request *rq, struct admin_act *base)
{
	struct user_act *act = (struct user_act *)base;
	enum err e = admin_revoked(rq, REVOKE_USER, act->id, true);

	return e ? e : admin_no_content(rq);
}

enum err admin_user_delete(struct request *rq)
{
	struct user_act *act = user_act_new(rq, AUDIT_USER_DELETE, rq->path_args[0]);

	if (!act)
		return ERR_NOMEM;
	act->act.step = delete_step;
	act->act.done = delete_done;
	return admin_act_run(rq, &act->act);
}

/* ---- POST /users/{id}/password ---- */

struct password_body {
	struct str password;
};
static const struct json_field password_rows[] = {
	{ .name = "password",
	  .type = JSON_STRING,
	  .offset = offsetof(struct password_body, password),
	  .required = true },
};
static const struct admin_shape password_shape = { password_rows, 1 };

static enum err password_step(struct lane_ctx *ctx, struct admin_act *base)
{
	struct user_act *act = (struct user_act *)base;
	struct user before;
	enum err e = load_for_change(ctx, act, &before);

	if (e)
		return e;
	return store_user_password(ctx->db, act->id, act->hash, ctx->env->now(ctx->env),
				   revoke_until(base->rq));
}

static enum err password_done(struct request *rq, struct admin_act *base)
{
	struct user_act *act = (struct user_act *)base;
	enum err e = admin_revoked(rq, REVOKE_USER, act->id, false);

	return e ? e : admin_no_content(rq);
}

enum err admin_user_password(struct request *rq)
{
	struct user_act *act = user_act_new(rq, AUDIT_USER_PASSWORD, rq->path_args[0]);
	struct password_body in;
	uint64_t seen;
	enum err e;

	if (!act)
		return ERR_NOMEM;
	act->act.hash = hash_password;
	act->act.step = password_step;
	act->act.done = password_done;
	e = admin_fields(rq->arena, rq->json, &password_shape, &in, &seen, &act->act.fault);
	if (!e)
		e = admin_check_password(rq->snapshot->config, in.password, &act->act.fault);
	if (e)
		return admin_refuse(rq, e, &act->act.fault);
	act->password = in.password;
	return admin_act_run(rq, &act->act);
}

/* ---- POST /users/{id}/unlock ---- */

static enum err unlock_step(struct lane_ctx *ctx, struct admin_act *base)
{
	struct user_act *act = (struct user_act *)base;

	return load_for_change(ctx, act, &act->user);
}

/* The password grant counts under "u:" and the name (grant_password.c). */
static enum err unlock_done(struct request *rq, struct admin_act *base)
{
	struct user_act *act = (struct user_act *)base;
	struct str name;
	struct buf b;
	enum err e;

	buf_init(&b, rq->arena, ID_MAX + 2);
	buf_z(&b, "u:");
	buf_str(&b, act->user.name);
	e = buf_end(&b, &name);
	if (e)
		return fail(rq, e, "no memory for a name");
	attempts_clear(rq->app->attempts, name);
	return admin_no_content(rq);
}

enum err admin_user_unlock(struct request *rq)
{
	const struct admin_shape nothing = { NULL, 0 };
	struct user_act *act = user_act_new(rq, AUDIT_USER_UNLOCK, rq->path_args[0]);
	uint64_t seen;
	enum err e;

	if (!act)
		return ERR_NOMEM;
	act->act.step = unlock_step;
	act->act.done = unlock_done;
	e = admin_fields(rq->arena, rq->json, &nothing, NULL, &seen, &act->act.fault);
	return e ? admin_refuse(rq, e, &act->act.fault) : admin_act_run(rq, &act->act);
}
