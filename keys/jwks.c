/* The published set as text. Order is a promise: verifiers that take the first key they understand
 * get the one that signs. */
#include "keys/jwks.h"

#include <assert.h>
#include "base/secret.h"

#include "jose/b64.h"

enum { ETAG_BYTES = 16, EC = 1u << ALG_ES256, RSA = 1u << ALG_RS256 };

const struct jwks_kind jwks_kinds[JWKS_KINDS] = {
	[JWKS_WHOLE] = { NULL, NULL, EC | RSA },
	{ "alg", "ES256", 1u << ALG_ES256 },
	{ "alg", "RS256", 1u << ALG_RS256 },
	{ "kty", "EC", EC },
	{ "kty", "RSA", RSA },
};
static_assert(ALG_COUNT == 3, "a new algorithm has its rows");

const char *const jwks_types[JWKS_TYPES] = { "application/json", "application/jwk-set+json" };

size_t jwks_kind_find(struct str param, struct str value)
{
	size_t i = JWKS_WHOLE + 1;

	while (i < JWKS_KINDS && !(str_equal_z(param, jwks_kinds[i].param) &&
				   str_equal_z(value, jwks_kinds[i].value)))
		i++;
	return i;
}

static_assert(ETAG_LEN == B64URL_LEN(ETAG_BYTES) + 2, "quotes around the text");

static bool is_published(const struct key_info *info)
{
	return info->state == KEY_STANDBY || info->state == KEY_ACTIVE ||
	       info->state == KEY_RETIRING;
}

/* Lower comes first: the default algorithm, then the others; active, standby, retiring. */
static unsigned rank(const struct key_info *info, enum alg default_alg)
{
	static const unsigned by_state[KEY_STATE_COUNT] = {
		[KEY_ACTIVE] = 0,
		[KEY_STANDBY] = 1,
		[KEY_RETIRING] = 2,
	};
	unsigned by_alg = info->alg == default_alg ? 0 : (unsigned)info->alg;

	return by_alg * KEY_STATE_COUNT + by_state[info->state];
}

/* Of equal rank the one that signed last, then the kid, so that one set has one text and one ETag.
 */
static bool comes_before(const struct key_info *a, const struct key_info *b, enum alg default_alg)
{
	unsigned rank_a = rank(a, default_alg);
	unsigned rank_b = rank(b, default_alg);

	if (rank_a != rank_b)
		return rank_a < rank_b;
	if (a->retire_at != b->retire_at)
		return a->retire_at > b->retire_at;
	return strcmp(a->kid, b->kid) < 0;
}

static void insert_sorted(const struct published_key **sorted, size_t n,
			  const struct published_key *key, enum alg default_alg)
{
	while (n > 0 && comes_before(key->info, sorted[n - 1]->info, default_alg)) {
		sorted[n] = sorted[n - 1];
		n--;
	}
	sorted[n] = key;
}

/* May the whole set, sorted, go out? */
static enum err check_whole(const struct published_key **sorted, size_t n,
			    const struct published_key *keys, size_t count, enum alg default_alg)
{
	if (n > 0 && sorted[0]->info->alg == default_alg && sorted[0]->info->state == KEY_ACTIVE)
		return ERR_OK;
	for (size_t i = 0; i < count; i++) {
		if (keys[i].info->alg == default_alg && keys[i].info->state == KEY_REVOKED)
			return ERR_OK;
	}
	return ERR_INTERNAL;
}

static enum err write_set(const struct published_key **sorted, size_t n, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_object(&w);
	jsonw_key(&w, "keys");
	jsonw_array(&w);
	for (size_t i = 0; i < n; i++)
		jwk_export(sorted[i]->public_key, &w);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return out->err;
}

enum err jwks_render(const struct published_key *keys, size_t count, size_t kind,
		     enum alg default_alg, struct buf *out)
{
	const struct published_key *sorted[JWKS_KEYS_MAX];
	size_t n = 0;
	enum err e = ERR_OK;

	for (size_t i = 0; i < count; i++) {
		if (!is_published(keys[i].info) ||
		    !(jwks_kinds[kind].algs & 1u << keys[i].info->alg))
			continue;
		if (n == JWKS_KEYS_MAX)
			return ERR_LIMIT;
		insert_sorted(sorted, n++, &keys[i], default_alg);
	}
	if (kind == JWKS_WHOLE)
		e = check_whole(sorted, n, keys, count, default_alg);
	else if (n == 0)
		e = ERR_NOT_FOUND;
	return e ? e : write_set(sorted, n, out);
}

/* Keyed with nothing: secret_mac tells the parts' lengths apart, and there is nothing to hide. */
void jwks_etag(struct str text, const char *type, char ret_etag[ETAG_LEN + 1])
{
	const struct str parts[] = { str_z(type), text };
	static const struct secret no_secret;
	unsigned char digest[ETAG_BYTES];

	secret_mac(&no_secret, parts, 2, digest, sizeof(digest));
	ret_etag[0] = '"';
	b64url_encode_z(digest, ETAG_BYTES, ret_etag + 1);
	ret_etag[ETAG_LEN - 1] = '"';
	ret_etag[ETAG_LEN] = '\0';
}
