/* A public key as its numbers, and the way from and to OpenSSL. Private to lib/jose. */
#ifndef CHANCERY_JOSE_PUBLIC_KEY_H
#define CHANCERY_JOSE_PUBLIC_KEY_H

#include "base/limits.h"
#include "base/str.h"
#include "jose/alg.h"

struct evp_pkey_st;

enum { P256_COORDINATE_LEN = 32 };

/* Big-endian octets. */
struct public_number {
	unsigned char b[SIGNATURE_MAX];
	size_t n;
};

/* RS256: modulus and exponent, both without leading zero octets. ES256: x and y, 32 octets each. */
struct public_key {
	enum alg alg;
	struct public_number first, second;
};

/* Judges the numbers as RFC 7518 6.2.1 and 6.3.1 write them and makes an EVP_PKEY that holds
 * nothing else; the caller frees it. ERR_SYNTAX: not written as it must be, not on the curve.
 * ERR_UNSUPPORTED: RSA below RSA_BITS_MIN. ERR_LIMIT: above RSA_BITS_MAX. ERR_NOMEM. */
MUST_CHECK enum err public_key_build(const struct public_key *key, struct evp_pkey_st **ret_pkey);
/* The public numbers of an EVP_PKEY. ERR_UNSUPPORTED: of another kind or curve. */
MUST_CHECK enum err public_key_of(const struct evp_pkey_st *pkey, struct public_key *ret_key);
/* The first block of PEM text: "PUBLIC KEY" or "CERTIFICATE", else ERR_UNSUPPORTED. ERR_SYNTAX. */
MUST_CHECK enum err public_key_of_pem(struct str pem, struct public_key *ret_key);

/* What a failed OpenSSL call means: ERR_NOMEM, or else what the caller says. Empties the error
 * queue. */
MUST_CHECK enum err openssl_error(enum err otherwise);

#endif
