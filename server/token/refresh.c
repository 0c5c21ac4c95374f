/* The common ground of everything that takes a refresh token: what it is bound to, and how long its
 * end must be remembered. */
#include "server/token/refresh.h"

int64_t revoke_until(const struct request *rq)
{
	return rq->now + REVOKE_KEEP;
}

void refresh_request_fill(struct request *rq, struct refresh_request *in)
{
	const struct config *config = rq->snapshot->config;

	in->bind = (struct refresh_bind){
		.key = &rq->app->derived.refresh,
		.key_id = rq->app->derived.key_id,
		.issuer = config->issuer,
		.epoch = rq->app->epoch,
		.client_id = rq->client->id,
	};
	in->client_id = rq->client->id;
	in->now = rq->now;
	in->retry_window = config->tokens.refresh_retry;
	in->idle_ttl = config->tokens.refresh_ttl;
	in->revoke_until = revoke_until(rq);
	in->rotate = rq->client->refresh_rotation;
}

enum err revoke_login_now(struct request *rq, const struct login *login)
{
	struct revocation entry = {
		.kind = REVOKE_SID,
		.value = login->sid,
		.iat_max = revoke_until(rq), /* a login that has ended has no good token left */
		.until = revoke_until(rq),
		.client_id = login->client_id,
	};

	return revoked_add(rq->app->revoked, &entry);
}
