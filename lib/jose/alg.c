/* The table of signature algorithms. Exact names only: a reader that takes "rs256" or a prefix is
 * one that can be talked into something (RFC 8725 3.1). */
#include "jose/alg.h"

static const struct {
	const char *name;
	const char *kty;
} algs[ALG_COUNT] = {
	[ALG_UNKNOWN] = { "unknown", "" },
	[ALG_ES256] = { "ES256", "EC" },
	[ALG_RS256] = { "RS256", "RSA" },
};

enum alg alg_by_name(struct str name)
{
	for (int i = ALG_UNKNOWN + 1; i < ALG_COUNT; i++) {
		if (str_equal_z(name, algs[i].name))
			return (enum alg)i;
	}
	return ALG_UNKNOWN;
}

const char *alg_name(enum alg alg)
{
	return algs[(unsigned)alg < ALG_COUNT ? alg : ALG_UNKNOWN].name;
}

const char *alg_kty(enum alg alg)
{
	return algs[(unsigned)alg < ALG_COUNT ? alg : ALG_UNKNOWN].kty;
}
