/* Who is calling the admin API, and what is reserved to whom.
 *
 * Two credentials exist. The socket's peer, when the kernel says that its uid is root's or ours,
 * may do everything. Anybody else presents a bearer token of this very server, made for the
 * built-in api <issuer>/admin by client credentials, and may do what the scopes in it say. A
 * request over the socket that carries a token is judged by the token alone: a proxy that runs as
 * root must not lend its uid to whoever it forwards for. */
#include "server/token/auth.h"

#include "oauth/basic.h"
#include "server/request/app.h"
#include "server/request/audit.h"
#include "server/request/router.h"
#include "server/token/token.h"

enum { ACTOR_NAME_MAX = sizeof("client:") + ID_MAX };

static enum err actor_name(struct request *rq, const char *kind, struct str id)
{
	struct buf b;

	buf_init(&b, rq->arena, ACTOR_NAME_MAX);
	buf_z(&b, kind);
	buf_str(&b, id);
	return buf_end(&b, &rq->actor.name);
}

static enum err peer_actor(struct request *rq)
{
	struct buf b;

	buf_init(&b, rq->arena, ACTOR_NAME_MAX);
	buf_fmt(&b, "uid:%lld", (long long)rq->peer_uid);
	rq->actor.scopes = ADMIN_SCOPE_ALL;
	return buf_end(&b, &rq->actor.name);
}

/* Admin tokens are a client's own, for one audience: a user's token, or one that another server may
 * also accept (and so replay here), is not one (RFC 9068 5, RFC 8707 3). */
static enum err admit_token(struct request *rq, const struct jwt *jwt)
{
	if (jwt->sid.p || !str_equal(jwt->sub, jwt->client_id))
		return fail(rq, ERR_INVALID_TOKEN, "admin token was not got by client credentials");
	if (jwt->aud_count != 1)
		return fail(rq, ERR_INVALID_TOKEN, "admin token has several audiences");
	rq->actor.scopes = admin_scope_bits(jwt->scope);
	rq->log_client = arena_str(rq->arena, jwt->client_id);
	return actor_name(rq, "client:", jwt->client_id);
}

/* RFC 6750 2.1: the header is the only place we read a token from. */
static enum err token_actor(struct request *rq)
{
	const struct api *api = api_by_slug(&rq->snapshot->apis, STR(ADMIN_API_SLUG));
	struct str scheme, token;
	struct jwt jwt;
	enum err e;

	if (!rq->authorization.p)
		return fail(rq, ERR_NO_TOKEN, "no bearer token");
	if (auth_split(rq->authorization, &scheme, &token) ||
	    !str_case_equal(scheme, STR("Bearer")))
		return fail(rq, ERR_NO_TOKEN, "Authorization holds no bearer token");
	if (!api)
		return fail(rq, ERR_SERVER, "the built-in api is missing");
	e = token_verify(rq, token, api->uri, &jwt);
	if (e)
		return e;
	e = admit_token(rq, &jwt);
	jwt_done(&jwt);
	return e;
}

enum err auth_admin(struct request *rq, unsigned scope)
{
	enum err e;

	if (rq->listener == LISTENER_SOCKET && rq->peer_trusted && !rq->authorization.p)
		e = peer_actor(rq);
	else
		e = token_actor(rq);
	if (e)
		return e;
	if (rq->actor.scopes & scope)
		return ERR_OK;
	/* folded: whoever holds any token of ours could otherwise fill the audit table */
	e = fail(rq, ERR_INSUFFICIENT_SCOPE, "token lacks the scope for %s", rq->route->name);
	audit_refused(rq, AUDIT_ADMIN_DENIED, rq->actor.name);
	return e;
}
