/* client_credentials (RFC 6749 4.4): the client acts for itself. Nothing is stored and no refresh
 * token is given (4.4.3); the token is a signature, a log line and a count. */
#include "server/token/endpoints.h"

#include "server/token/token.h"

enum err grant_client_credentials(struct request *rq)
{
	int64_t ttl = rq->snapshot->config->tokens.client_credentials_ttl;
	struct issue *issue = arena_new_of(rq->arena, struct issue);
	enum err e;

	if (!issue)
		return fail(rq, ERR_NOMEM, "no memory for the grant");
	e = token_resolve(rq, STR_NONE, STR_NONE, ttl, &issue->target);
	if (e)
		return e;
	return token_issue(rq, issue);
}
