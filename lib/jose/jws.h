/* Compact JWS (RFC 7515 3.1, 7.1): take apart and verify. Signing lives in keys/, where the private
 * keys are. */
#ifndef CHANCERY_JOSE_JWS_H
#define CHANCERY_JOSE_JWS_H

#include "base/arena.h"
#include "base/limits.h"
#include "jose/jwk.h"

struct jws {
	enum alg alg;		  /* as the header says; only compared */
	struct str kid;		  /* absent or opaque bytes */
	struct str typ;		  /* absent or as written */
	struct str signing_input; /* header '.' payload, of the token text */
	struct str payload;	  /* decoded; in the arena */
	struct str header;	  /* decoded; in the arena */
	unsigned char signature[SIGNATURE_MAX];
	size_t signature_len;
};

/* RFC 7515 5.2 steps 1 to 7: three segments, strict base64url, header a JSON object without
 * duplicate names. Refused: more than JWT_SIZE_MAX, `crit` in any form (4.1.11), `b64`, `zip`,
 * `enc`, an unknown `alg` (ERR_UNSUPPORTED). `jku`, `jwk`, `x5u`, `x5c` never choose a key.
 * Everything is borrowed from `token` or the arena. ERR_SYNTAX, ERR_UNSUPPORTED, ERR_LIMIT,
 * ERR_NOMEM. */
MUST_CHECK enum err jws_parse(struct arena *a, struct str token, struct jws *ret_jws);

/* The same for what is no token: up to `max` bytes. */
MUST_CHECK enum err jws_parse_long(struct arena *a, struct str text, size_t max,
				   struct jws *ret_jws);

/* The same for a token whose header says HS256 and nothing else (jose/hs256.h). Its alg stays
 * ALG_UNKNOWN, so that jws_verify takes it under no key. */
MUST_CHECK enum err jws_parse_shared(struct arena *a, struct str token, struct jws *ret_jws);

/* RFC 7515 5.2 step 8. The key's algorithm must equal the header's: ERR_UNSUPPORTED. ES256: exactly
 * 64 bytes, r and s in [1, n-1]; RS256: exactly the modulus length. ERR_BAD_SIGNATURE;
 * ERR_NOMEM or ERR_CRYPTO when nothing was learnt about the signature. */
MUST_CHECK enum err jws_verify(const struct jws *jws, const struct jwk *key);

#endif
