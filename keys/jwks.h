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

/* The documents that exist: the whole set, and what a verifier may ask for instead, by one
 * parameter of the query. A closed list, so that each can be made beforehand and caches hold no
 * more. */
struct jwks_kind {
	const char *param, *value; /* NULL: the whole set */
	unsigned algs;		   /* bits 1 << alg */
};
enum { JWKS_WHOLE, JWKS_KINDS = 5 };
extern const struct jwks_kind jwks_kinds[JWKS_KINDS];
/* The kind that `param` and `value` ask for; JWKS_KINDS when there is none. */
size_t jwks_kind_find(struct str param, struct str value);

/* Writes one of them; keys not in standby, active or retiring are left out. ERR_LIMIT: more than
 * JWKS_KEYS_MAX. ERR_NOT_FOUND: no key of this kind is published.
 *
 * Of the whole set, ERR_INTERNAL if no active key of `default_alg` is among the keys: an empty or
 * signer-less set is never published, with one exception. When a revoked key of that algorithm is
 * among them, an emergency has left it without a key for a moment, and the set goes out without; as
 * {"keys":[]} when nothing at all is published: the bad key must leave verifiers all the same. */
MUST_CHECK enum err jwks_render(const struct published_key *keys, size_t count, size_t kind,
				enum alg default_alg, struct buf *out);

/* The set's media types (RFC 8259 11; RFC 7517 8.5.1). */
enum { JWKS_TYPE_JSON, JWKS_TYPE_JWK_SET, JWKS_TYPES };
extern const char *const jwks_types[JWKS_TYPES];
/* Strong validator (RFC 9110 8.8.3): quoted, from a digest of the text and its media type, because
 * two representations never share one. */
enum { ETAG_LEN = 24 };
void jwks_etag(struct str text, const char *type, char ret_etag[ETAG_LEN + 1]);

#endif
