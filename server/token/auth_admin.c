/* Who is calling the admin API, and what is reserved to whom.
 *
 * Two credentials exist. The socket's peer, when the kernel says that its uid is root's or ours,
 * may do everything. Anybody else presents a bearer token of this very server, made for the
 * built-in api <issuer>/admin by client credentials, and may do what the scopes in it say. A
 * request over the socket that carries a token is judged by the token alone: a proxy that runs as
 * root must not lend its uid to whoever it forwards for.
 *
 * Names under "chancery:" and URIs at or below the issuer are reserved. They are told apart here
 * and nowhere else, so that the rules of token.c and of the admin endpoints cannot drift apart. */
#include "server/token/auth.h"

#include "oauth/basic.h"
#include "server/request/app.h"
#include "server/request/audit.h"
#include "server/request/router.h"
#include "server/token/token.h"

#define RESERVED_PREFIX "chancery:"
#define ADMIN_API_PATH "/admin"

enum { ACTOR_NAME_MAX = sizeof("client:") + ID_MAX };

static const struct {
	const char *name;
	unsigned bit;
} admin_scopes[] = {
	{ "chancery:admin", ADMIN_SCOPE_ADMIN },     { "chancery:keys", ADMIN_SCOPE_KEYS },
	{ "chancery:clients", ADMIN_SCOPE_CLIENTS }, { "chancery:users", ADMIN_SCOPE_USERS },
	{ "chancery:apis", ADMIN_SCOPE_APIS },	     { "chancery:audit", ADMIN_SCOPE_AUDIT },
	{ "chancery:read", ADMIN_SCOPE_READ },
};
enum { ADMIN_SCOPE_COUNT = sizeof(admin_scopes) / sizeof(admin_scopes[0]) };

unsigned admin_scope_bits(struct str scope)
{
	struct str token;
	unsigned bits = 0;

	while (str_next(&scope, ' ', &token))
		for (size_t i = 0; i < ADMIN_SCOPE_COUNT; i++)
			if (str_equal_z(token, admin_scopes[i].name))
				bits |= admin_scopes[i].bit;
	return bits;
}

bool scope_is_reserved(struct str token)
{
	return str_starts(token, STR(RESERVED_PREFIX));
}

/* Tokens compare audiences byte for byte, so another spelling would open nothing here; but it could
 * fool a person, or a verifier that folds case, and nobody needs it. */
bool audience_is_reserved(struct str issuer, struct str uri)
{
	if (!issuer.n || uri.n < issuer.n || !str_case_equal(str_n(uri.p, issuer.n), issuer))
		return false;
	return uri.n == issuer.n || (uri.p[issuer.n] && strchr("/?#", uri.p[issuer.n]));
}

static enum err admin_api_uri(struct str issuer, struct arena *a, struct str *ret_uri)
{
	struct buf b;

	buf_init(&b, a, URI_MAX + sizeof(ADMIN_API_PATH));
	buf_str(&b, issuer);
	buf_z(&b, ADMIN_API_PATH);
	return buf_end(&b, ret_uri);
}

enum err admin_api_fill(struct str issuer, struct arena *a, struct api *ret_api)
{
	struct api api = {
		.slug = STR(ADMIN_API_SLUG),
		.name = STR("Administration of this server"),
		.format = STR("jwt"),
		.claims = STR(""),
	};
	struct buf scopes;
	enum err e;

	buf_init(&scopes, a, SCOPE_MAX);
	for (size_t i = 0; i < ADMIN_SCOPE_COUNT; i++) {
		if (i)
			buf_byte(&scopes, ' ');
		buf_z(&scopes, admin_scopes[i].name);
	}
	e = buf_end(&scopes, &api.scope);
	if (!e)
		e = admin_api_uri(issuer, a, &api.uri);
	if (e)
		return e;
	*ret_api = api;
	return ERR_OK;
}

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
	for (size_t i = 0; i < ADMIN_SCOPE_COUNT; i++)
		rq->actor.scopes |= admin_scopes[i].bit;
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
	struct str scheme, token, aud;
	struct jwt jwt;
	enum err e;

	if (!rq->authorization.p)
		return fail(rq, ERR_NO_TOKEN, "no bearer token");
	if (auth_split(rq->authorization, &scheme, &token) ||
	    !str_case_equal(scheme, STR("Bearer")))
		return fail(rq, ERR_NO_TOKEN, "Authorization holds no bearer token");
	e = admin_api_uri(rq->snapshot->config->issuer, rq->arena, &aud);
	if (e)
		return fail(rq, e, "no memory for the audience");
	e = token_verify(rq, token, aud, &jwt);
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
