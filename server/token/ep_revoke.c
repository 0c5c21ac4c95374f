/* POST /oauth2/revoke (RFC 7009). A refresh token of any generation ends its login and every access
 * token of it; an access token is revoked by its jti. 200 also for what is unknown (2.2), but never
 * before the revocation is durable and in force. */
#include "server/token/endpoints.h"

#include "server/request/audit.h"
#include "server/token/refresh.h"
#include "server/token/token.h"

struct revoking {
	struct request *rq;
	struct refresh_request in;
	struct login login;
	bool ended;
	struct revocation entry;
	struct audit_row audit;
};

static enum err done(struct request *rq)
{
	return respond_text(rq, 200, NULL, STR_NONE);
}

static struct revoking *revoking_new(struct request *rq)
{
	struct revoking *r = arena_new_of(rq->arena, struct revoking);

	if (!r) {
		(void)fail(rq, ERR_NOMEM, "no memory for the revocation");
		return NULL;
	}
	r->rq = rq;
	rq->state = r;
	return r;
}

static enum err end_login(struct lane_ctx *ctx, void *arg)
{
	struct revoking *r = arg;
	enum err e = store_login_revoke(ctx->db, r->rq->arena, &r->in, &r->ended, &r->login);

	if (e || !r->ended)
		return e;
	audit_fill(r->rq, AUDIT_LOGIN_END, "ok", r->login.user_id, &r->audit);
	return store_audit(ctx->db, &r->audit);
}

static enum err after_end(struct request *rq, enum err result)
{
	struct revoking *r = rq->state;

	if (result)
		return fail(rq, result, "the revocation could not be stored");
	if (!r->ended)
		return done(rq); /* unknown, another client's, or ended before */
	audit_count(rq, &r->audit, true);
	rq->log_subject = r->login.user_id;
	if (revoke_login_now(rq, &r->login))
		return fail(rq, ERR_UNAVAILABLE, "no memory to revoke a login");
	count_revocation(rq->metrics, true);
	return done(rq);
}

static enum err revoke_refresh(struct request *rq, struct str token)
{
	struct revoking *r = revoking_new(rq);

	if (!r)
		return ERR_NOMEM;
	if (refresh_read(token, &r->in.name))
		return done(rq);
	refresh_request_fill(rq, &r->in);
	return park(rq, LANE_WRITER, end_login, r, after_end);
}

static enum err end_token(struct lane_ctx *ctx, void *arg)
{
	struct revoking *r = arg;
	enum err e = store_revoke(ctx->db, &r->entry);

	return e ? e : store_audit(ctx->db, &r->audit);
}

static enum err after_token(struct request *rq, enum err result)
{
	struct revoking *r = rq->state;

	if (result)
		return fail(rq, result, "the revocation could not be stored");
	audit_count(rq, &r->audit, true);
	if (revoked_add(rq->app->revoked, &r->entry))
		return fail(rq, ERR_UNAVAILABLE, "no memory to revoke a token");
	count_revocation(rq->metrics, false);
	return done(rq);
}

static void fill_entry(struct request *rq, const struct jwt *jwt, struct revoking *r)
{
	r->entry = (struct revocation){
		.kind = REVOKE_JTI,
		.value = arena_str(rq->arena, jwt->jti),
		.iat_max = jwt->iat,
		.until = jwt->exp + JWT_SKEW_MAX,
		.sid = arena_str(rq->arena, jwt->sid),
		.client_id = rq->client->id,
	};
	rq->log_jti = r->entry.value;
	audit_fill(rq, AUDIT_TOKEN_REVOKE, "ok", r->entry.value, &r->audit);
}

static enum err revoke_access(struct request *rq, enum err result, const struct jwt *jwt)
{
	struct revoking *r;

	/* 2.2: an invalid token is as good as revoked */
	if (result == ERR_INVALID_TOKEN)
		return done(rq);
	if (result)
		return result;
	/* 2.1: "was issued to the client making the revocation request" */
	if (!str_equal(jwt->client_id, rq->client->id))
		return fail(rq, ERR_INVALID_GRANT, "the token was issued to another client");
	r = revoking_new(rq);
	if (!r)
		return ERR_NOMEM;
	fill_entry(rq, jwt, r);
	if (arena_failed(rq->arena))
		return fail(rq, ERR_NOMEM, "no memory for the revocation");
	if (!revoked_has_room(rq->app->revoked))
		return fail(rq, ERR_UNAVAILABLE, "as many revocations as fit");
	return park(rq, LANE_WRITER, end_token, r, after_token);
}

enum err ep_revoke(struct request *rq)
{
	struct str token = form_get(rq->form, "token");

	if (!token.p)
		return fail(rq, ERR_INVALID_REQUEST, "token is missing");
	if (str_starts(token, STR(MACHINE_REFRESH)))
		return revoke_refresh(rq, token);
	return token_judge(rq, token, revoke_access);
}
