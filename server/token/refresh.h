/* What the refresh grant, introspection and revocation share about refresh tokens. */
#ifndef CHANCERY_SERVER_REFRESH_H
#define CHANCERY_SERVER_REFRESH_H

#include "server/request/app.h"
#include "server/request/request.h"

/* Everything but the token's own name: key, issuer, epoch, client, clock, windows. */
void refresh_request_fill(struct request *rq, struct refresh_request *in);
/* Until when a revocation written now must be kept: the last token it can hit has expired by then.
 */
int64_t revoke_until(const struct request *rq);
/* Enters a login's end into the memory that introspection asks; the store has it already.
 * ERR_NOMEM: do not answer "done". */
MUST_CHECK enum err revoke_login_now(struct request *rq, const struct login *login);

#endif
