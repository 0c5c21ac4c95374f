/* What one worker has verified lately, so that the same token need not be verified again: a bounded
 * table, found by a keyed hash of token and audience, for the worker's thread alone. */
#ifndef CHANCERY_SERVER_VERIFIED_H
#define CHANCERY_SERVER_VERIFIED_H

#include "base/secret.h"
#include "server/token/gateway.h"

enum { VERIFIED_MAX = 4096, VERIFIED_KEY_LEN = 32 };

struct verified;

/* `key`: random, of this process. ERR_NOMEM. */
MUST_CHECK enum err verified_new(const struct secret *key, struct verified **ret_table);
void verified_free(struct verified *t);

void verified_key(const struct verified *t, struct str audience, struct str token,
		  unsigned char ret_key[VERIFIED_KEY_LEN]);
/* Entered at `epoch` and not past its end: copied into the arena. False: not there. */
bool verified_get(const struct verified *t, const unsigned char key[VERIFIED_KEY_LEN],
		  uint64_t epoch, int64_t now, struct arena *a, struct gateway_identity *ret_id);
/* Takes the place of whatever hashes to the same slot. Without memory nothing is remembered. */
void verified_put(struct verified *t, const unsigned char key[VERIFIED_KEY_LEN], uint64_t epoch,
		  int64_t until, const struct gateway_identity *id);

#endif
