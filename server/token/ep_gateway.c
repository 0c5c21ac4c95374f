/* /gateway/verify on the gateway listener, any method, its body ignored: forward authentication for
 * nginx, Traefik, Caddy, Envoy and HAProxy. The token is judged as introspection judges it, from
 * memory. What stands in the request is the gateway's question and its client's Authorization;
 * whatever else was forwarded is not looked at, and no path decides (docs/gateways.md). */
#include "server/token/endpoints.h"

#include "server/request/app.h"
#include "server/store/lists.h"
#include "server/token/auth.h"
#include "server/token/gateway.h"
#include "server/token/token.h"

/* The api asked about. Ours is administration, which happens at its own door. */
static enum err find_api(struct request *rq, const struct gateway_question *q,
			 const struct api **ret_api)
{
	const struct api_set *set = &rq->snapshot->apis;
	const struct api *api = q->slug.p ? api_by_slug(set, q->slug) : api_find(set, q->audience);

	if (!api)
		return fail(rq, ERR_INVALID_REQUEST, "the gateway asks about no api of ours");
	if (audience_is_reserved(rq->snapshot->config->issuer, api->uri))
		return fail(rq, ERR_INVALID_REQUEST, "the gateway asks about a reserved audience");
	*ret_api = api;
	return ERR_OK;
}

/* A token that also opens the admin API must not travel through a gateway (RFC 8707 3); one that is
 * bound to a key proves nothing without the proof, which a gateway does not hand on (RFC 9449 7.1).
 */
static enum err check_use(struct request *rq, const struct jwt *jwt)
{
	for (size_t i = 0; i < jwt->aud_count; i++) {
		if (audience_is_reserved(rq->snapshot->config->issuer, jwt->aud[i]))
			return fail(rq, ERR_INVALID_TOKEN, "token has a reserved audience");
	}
	if (json_get(jwt->claims, "cnf"))
		return fail(rq, ERR_INVALID_TOKEN, "token is bound to a key");
	return ERR_OK;
}

/* RFC 9068 2.2.3.1, as one text. Ours has strings without spaces; anything else is none of ours. */
static enum err join_roles(struct request *rq, const struct jwt *jwt, struct str *ret_roles)
{
	const struct json *roles = json_get(jwt->claims, "roles");
	struct str one;
	struct buf b;

	buf_init(&b, rq->arena, JWT_SIZE_MAX);
	for (size_t i = 0; i < json_len(roles); i++) {
		if (!json_str(json_at(roles, i), &one) || !scope_token_valid(one))
			return fail(rq, ERR_INVALID_TOKEN, "roles are no list of names");
		list_add(&b, one);
	}
	if (buf_end(&b, ret_roles))
		return fail(rq, ERR_NOMEM, "no memory for roles");
	return ERR_OK;
}

/* Copied: the claims go before the answer does. Only a login's tokens carry sid. */
static enum err identify(struct request *rq, const struct jwt *jwt, struct gateway_identity *ret_id)
{
	struct arena *a = rq->arena;
	struct gateway_identity id = {
		.sub = arena_str(a, jwt->sub),
		.client_id = arena_str(a, jwt->client_id),
		.scope = arena_str(a, jwt->scope.p ? jwt->scope : STR("")),
		.jti = arena_str(a, jwt->jti),
		.user = jwt->sid.n > 0,
		.exp = jwt->exp,
	};
	enum err e = join_roles(rq, jwt, &id.roles);

	if (e)
		return e;
	if (arena_failed(a))
		return fail(rq, ERR_NOMEM, "no memory for an identity");
	rq->log_subject = id.sub;
	rq->log_client = id.client_id;
	rq->log_jti = id.jti;
	*ret_id = id;
	return ERR_OK;
}

static enum err judge(struct request *rq, const struct api *api, struct str token,
		      struct gateway_identity *ret_id)
{
	struct jwt jwt;
	enum err e = token_verify(rq, token, api->uri, &jwt);

	if (e)
		return e;
	e = check_use(rq, &jwt);
	if (!e)
		e = identify(rq, &jwt, ret_id);
	jwt_done(&jwt);
	return e;
}

static enum err decide(struct request *rq)
{
	struct gateway_question *q = arena_new_of(rq->arena, struct gateway_question);
	const struct api *api;
	struct gateway_identity id;
	struct str token;
	enum err e;

	if (!q)
		return fail(rq, ERR_NOMEM, "no memory for a question");
	e = gateway_read_question(rq, q);
	if (!e)
		e = find_api(rq, q, &api);
	if (!e)
		e = gateway_read_token(rq, &token);
	if (!e)
		e = judge(rq, api, token, &id);
	if (!e)
		e = gateway_check_needs(rq, q, &id);
	if (!e)
		e = gateway_answer(rq, &id);
	if (!e && rq->snapshot->config->gateway.identity)
		e = gateway_sign_identity(rq, &id, api->uri);
	return e;
}

enum err ep_gateway_verify(struct request *rq)
{
	enum err e = decide(rq);

	gateway_count(rq, e);
	return e;
}
