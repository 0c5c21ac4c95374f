/* HS256 (RFC 7518 3.2): a secret shared with one reader. It has no row in alg.c and no struct jwk:
 * whatever verifies with public keys can not be talked into it (RFC 8725 3.1). */
#ifndef CHANCERY_JOSE_HS256_H
#define CHANCERY_JOSE_HS256_H

#include "base/str.h"

enum { HS256_LEN = 32, HS256_SECRET_MIN = 32 /* 3.2: a key of the hash's size or larger */ };

/* HMAC with SHA-256 of a JWS signing input. Compare with bytes_equal_ct. */
void hs256(struct str secret, struct str input, unsigned char ret_mac[HS256_LEN]);

#endif
