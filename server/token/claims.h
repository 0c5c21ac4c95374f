/* The payload of an access token (RFC 9068 2.2), without the jti: the signer appends that as the
 * last claim (keys/signer.h). */
#ifndef CHANCERY_SERVER_CLAIMS_H
#define CHANCERY_SERVER_CLAIMS_H

#include "server/token/token.h"

/* `login` is NULL when the client acts for itself. ERR_LIMIT: custom claims make the token too
 * long. */
MUST_CHECK enum err claims_write(struct request *rq, const struct issue *issue,
				 const struct login *login, struct buf *out);

#endif
