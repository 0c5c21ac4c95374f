/* The handlers behind the public listener's routes, and the grants behind the token endpoint. Each
 * is the first function of a chain (server/request/request.h); the admin API's are in
 * server/admin/admin.h. */
#ifndef CHANCERY_SERVER_ENDPOINTS_H
#define CHANCERY_SERVER_ENDPOINTS_H

#include "server/request/request.h"

/* RFC 6749 3.2, RFC 7662 2, RFC 7009 2: the client is authenticated already */
enum err ep_token(struct request *rq);
enum err ep_introspect(struct request *rq);
enum err ep_revoke(struct request *rq);

/* RFC 7517 5, RFC 8414 3 */
enum err ep_jwks(struct request *rq);
enum err ep_metadata(struct request *rq);
/* The feed of revocations, and the keys that sign it (docs/revocations.md) */
enum err ep_revocations(struct request *rq);
enum err ep_revocations_jwks(struct request *rq);

/* The gateway listener: may this token pass? */
enum err ep_gateway_verify(struct request *rq);
/* The same question to a sidecar, and whether it can answer */
enum err ep_sidecar_verify(struct request *rq);
enum err ep_sidecar_readyz(struct request *rq);
/* The keys of X-Identity */
enum err ep_gateway_jwks(struct request *rq);

enum err ep_livez(struct request *rq);
enum err ep_readyz(struct request *rq);
enum err ep_metrics(struct request *rq);

/* One file each */
enum err grant_client_credentials(struct request *rq);
enum err grant_password(struct request *rq);
enum err grant_refresh(struct request *rq);

#endif
