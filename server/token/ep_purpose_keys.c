/* The key sets of purposes (keys/purpose.h): of what is signed and is no access token. None of them
 * is in the main set, so that nothing signed for one purpose passes for another. */
#include "server/token/endpoints.h"

#include "server/request/app.h"
#include "server/token/document.h"

/* The next key is in the set a whole period before it signs, so that no age of a cache matters. */
static enum err respond(struct request *rq, enum purpose purpose)
{
	struct document d = {
		.type = jwks_types[JWKS_TYPE_JSON],
		.cache_control = STR("public, max-age=900"),
	};
	enum err e;

	if (rq->query.n)
		return fail(rq, ERR_INVALID_REQUEST, "a key set takes no parameters");
	e = purpose_sets_get(rq->app->purpose_sets, purpose, rq->signer, rq->now, &rq->kept);
	if (e) {
		rq->retry_after = 1;
		return fail(rq, ERR_UNAVAILABLE, "the signer does not tell its keys: %s",
			    err_name(e));
	}
	d.text = rq->kept->text;
	d.etag = rq->kept->etag;
	return document_respond(rq, &d);
}

enum err ep_revocations_jwks(struct request *rq)
{
	return respond(rq, PURPOSE_REVOCATIONS);
}

enum err ep_gateway_jwks(struct request *rq)
{
	if (!rq->snapshot->config->gateway.identity)
		return fail(rq, ERR_NO_ROUTE, "gateway.identity is off");
	return respond(rq, PURPOSE_IDENTITY);
}
