/* The signature algorithms that exist. A key has exactly one; a header's `alg` is compared with it,
 * never obeyed. `none` has no row (RFC 8725 3.1, 3.2). */
#ifndef CHANCERY_JOSE_ALG_H
#define CHANCERY_JOSE_ALG_H

#include "base/err.h"
#include "base/str.h"

enum alg { ALG_UNKNOWN = 0, ALG_ES256, ALG_RS256, ALG_COUNT };

/* Exact, case-sensitive (RFC 7515 4.1.1); ALG_UNKNOWN otherwise. */
enum alg alg_by_name(struct str name);
const char *alg_name(enum alg alg);
/* "EC" or "RSA" (RFC 7518 6.1). */
const char *alg_kty(enum alg alg);

#endif
