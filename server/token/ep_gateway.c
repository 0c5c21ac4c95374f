/* /gateway/verify on the gateway listener, any method, its body ignored: forward authentication for
 * nginx, Traefik, Caddy, Envoy and HAProxy. The token is judged as introspection judges it, from
 * memory. What stands in the request is the gateway's question and its client's Authorization;
 * whatever else was forwarded is not looked at, and no path decides (docs/gateways.md). */
#include "server/token/endpoints.h"

#include "server/request/app.h"
#include "server/token/auth.h"
#include "server/token/gateway.h"
#include "server/token/token.h"

/* Ours is administration, which happens at its own door. */
static enum err find(struct request *rq, const struct gateway_question *q,
		     struct gateway_target *ret_target)
{
	const struct api_set *set = &rq->snapshot->apis;
	const struct api *api = q->slug.p ? api_by_slug(set, q->slug) : api_find(set, q->audience);

	if (!api)
		return fail(rq, ERR_INVALID_REQUEST, "the gateway asks about no api of ours");
	if (audience_is_reserved(rq->snapshot->config->issuer, api->uri))
		return fail(rq, ERR_INVALID_REQUEST, "the gateway asks about a reserved audience");
	*ret_target = (struct gateway_target){ api->uri, api->gateway_cache };
	return ERR_OK;
}

static enum err judge(struct request *rq, struct str audience, struct str token,
		      struct gateway_identity *ret_id)
{
	struct jwt jwt;
	enum err e = token_verify(rq, token, audience, &jwt);

	if (e)
		return e;
	e = gateway_identify(rq, jwt.claims, ret_id);
	jwt_done(&jwt);
	return e;
}

enum err ep_gateway_verify(struct request *rq)
{
	static const struct gateway_judge ours = { find, judge };
	struct gateway_pass pass;
	enum err e = gateway_decide(rq, &ours, &pass);

	if (!e && rq->snapshot->config->gateway.identity)
		e = gateway_sign_identity(rq, &pass.id, pass.target.audience);
	gateway_count(rq, e);
	return e;
}
