/* POST /oauth2/token (RFC 6749 3.2). The router has authenticated the client; what remains is which
 * grant, and whether the client may use it. Everything else is the grant's file and token.c. */
#include "server/token/endpoints.h"

#include "server/store/lists.h"
#include "server/token/token.h"

const struct grant grants[] = {
	{ "client_credentials", false, grant_client_credentials },
	{ "password", true, grant_password },
	{ "refresh_token", true, grant_refresh },
};
const size_t grant_count = sizeof(grants) / sizeof(grants[0]);

const struct grant *grant_by_name(struct str name)
{
	for (size_t i = 0; i < grant_count; i++)
		if (str_equal_z(name, grants[i].name))
			return &grants[i];
	return NULL;
}

enum err ep_token(struct request *rq)
{
	struct str type = form_get(rq->form, "grant_type");
	const struct grant *grant;

	if (!type.p)
		return fail(rq, ERR_INVALID_REQUEST, "grant_type is missing");
	grant = grant_by_name(type);
	if (!grant)
		return fail(rq, ERR_UNSUPPORTED_GRANT_TYPE, "unknown grant_type");
	rq->log_grant = str_z(grant->name);
	rq->grant = grant;
	if (!list_has(rq->client->grants, type))
		return fail(rq, ERR_UNAUTHORIZED_CLIENT, "grant is not this client's");
	/* RFC 6749 4.4: client credentials are for confidential clients only */
	if (rq->client->auth_method == AUTH_METHOD_NONE && !grant->public_allowed)
		return fail(rq, ERR_UNAUTHORIZED_CLIENT, "grant is not for public clients");
	return grant->decide(rq);
}
