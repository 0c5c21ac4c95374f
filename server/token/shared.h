/* Tokens signed with a secret that one back end shares (HS256). */
#ifndef CHANCERY_SERVER_SHARED_H
#define CHANCERY_SERVER_SHARED_H

#include "server/token/token.h"

/* The secret that signs for the api at `now`, or NULL. */
const struct api_secret *api_secret_signing(const struct api *api, int64_t now);

/* RFC 7515 5.2 for a token whose header says HS256: is it signed with a secret of the one api that
 * its `aud` names, and did our signer make it? Nothing else of the claims has been judged.
 * ERR_INVALID_TOKEN with the reason in rq->why; an error of ours when nothing was learnt. */
MUST_CHECK enum err shared_check(struct request *rq, struct str token, struct jws *ret_jws);

#endif
