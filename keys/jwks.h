/* The published key set (RFC 7517 5) as one immutable buffer. Keys of the default algorithm first;
 * within one algorithm active, standby, retiring. Always kty, use, alg, kid. */
#ifndef CHANCERY_KEYS_JWKS_H
#define CHANCERY_KEYS_JWKS_H

#include "base/buf.h"
#include "jose/jwk.h"
#include "keys/plan.h"

/* What jwks_parse takes: a larger set could not be read by our own verifiers. */
enum { JWKS_KEYS_MAX = sizeof(((struct jwks *)0)->keys) / sizeof(struct jwk *) };

struct published_key {
	const struct key_info *info;
	const struct jwk *public_key;
};

/* Writes the set; keys not in standby, active or retiring are left out. ERR_LIMIT: more than
 * JWKS_KEYS_MAX. ERR_INTERNAL if no active key of `default_alg` is among them: an empty or
 * signer-less set is never published. */
MUST_CHECK enum err jwks_render(const struct published_key *keys, size_t count,
				enum alg default_alg, struct buf *out);
/* Strong validator (RFC 9110 8.8.3): quoted, from a digest of the text. */
enum { ETAG_LEN = 24 };
void jwks_etag(struct str text, char ret_etag[ETAG_LEN + 1]);

#endif
