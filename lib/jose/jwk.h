/* Public keys as JSON Web Keys (RFC 7517, 7518 6): import, export, thumbprint. RSA of RSA_BITS_MIN
 * to RSA_BITS_MAX bits with an odd exponent >= 3 and < 2^32, and P-256 points on the curve; nothing
 * else. Immutable once made, shared freely between threads. */
#ifndef CHANCERY_JOSE_JWK_H
#define CHANCERY_JOSE_JWK_H

#include "base/auto.h"
#include "base/buf.h"
#include "base/json.h"
#include "jose/alg.h"

struct jwk;
struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

enum { THUMBPRINT_LEN = 43 };

/* A JWK object. Private members (d, p, q, dp, dq, qi, oth, k) are refused with ERR_UNSUPPORTED, as
 * is a `use` other than "sig", `key_ops` without "verify", an unknown `kty`, `crv` or `alg`, or an
 * `alg` that does not belong to the `kty`. Without `alg` the kty's only algorithm of ours is taken.
 * Without `kid` the thumbprint is; an empty one is ERR_SYNTAX. Numbers must be written canonically
 * (RFC 7518 2, 6.2.1.2). ERR_SYNTAX, ERR_UNSUPPORTED, ERR_LIMIT; ERR_NOMEM or ERR_CRYPTO when
 * nothing was learnt about the key. */
MUST_CHECK enum err jwk_from_json(const struct json *object, struct jwk **ret_key);
/* PEM "PUBLIC KEY" or "CERTIFICATE" text (no private keys); kid as given, or the thumbprint if
 * absent. */
MUST_CHECK enum err jwk_from_pem(struct str pem, struct str kid, struct jwk **ret_key);
/* Copies the public half of `pkey`; a private half stays where it is. `kid` absent: the thumbprint.
 * For keys/. */
MUST_CHECK enum err jwk_from_pkey(struct evp_pkey_st *pkey, struct str kid, struct jwk **ret_key);
void jwk_free(struct jwk *key);
AUTO_DEFINE(jwk)

enum alg jwk_alg(const struct jwk *key);
struct str jwk_kid(const struct jwk *key);
struct evp_pkey_st *jwk_pkey(const struct jwk *key);
/* RFC 7638 with SHA-256, 43 characters and a NUL. */
MUST_CHECK enum err jwk_thumbprint(const struct jwk *key, char ret_text[THUMBPRINT_LEN + 1]);
/* {"kty","use":"sig","alg","kid",...} public members only. */
void jwk_export(const struct jwk *key, struct jsonw *w);

/* PEM "PUBLIC KEY" (RFC 7468 13). ERR_CRYPTO, ERR_NOMEM; errors of `out` stay in it. */
MUST_CHECK enum err jwk_to_pem(const struct jwk *key, struct buf *out);

/* A set (RFC 7517 5): at most 64 keys. Members that are not usable are skipped (5: SHOULD ignore);
 * two keys with one kid are refused with ERR_CONFLICT. ERR_SYNTAX, ERR_LIMIT, ERR_NOMEM. */
struct jwks {
	struct jwk *keys[64];
	size_t count;
};
MUST_CHECK enum err jwks_parse(struct str text, struct jwks **ret_set);
void jwks_free(struct jwks *set);
AUTO_DEFINE(jwks)
/* NULL if there is none. */
const struct jwk *jwks_find(const struct jwks *set, struct str kid);

#endif
