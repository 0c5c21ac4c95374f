/* The issuer's list of what it has taken back, as a counted value.
 *
 * A compact JWS, `typ` revocations+jwt, ES256, by a key of <feed>/jwks.json, with
 *
 *	{"iss","iat","exp","epoch","cursor","full",
 *	 "entries":[{"kind":"jti|sid|kid|client|user|api","value","before","until"}]}
 *
 * An entry ends the tokens that were issued up to `before` (absent: all), and is forgotten after
 * `until`. With `full`, the entries are all there are; else they come on top of those of the cursor
 * that was asked with. A kind that we do not know makes the list one that we cannot enforce: it is
 * refused, and tokens are judged no more once the old one is too old. */
#ifndef CHANCERY_VERIFY_FEED_H
#define CHANCERY_VERIFY_FEED_H

#include "jose/jwt.h"
#include "verify/document.h"

/* The owner of a feed's document: whom the list must be of, and the keys that sign it. */
struct feed_terms {
	const char *issuer;
	int64_t skew;
	struct document *keys;
};

enum { FEED_URL_MAX = DOCUMENT_URL_MAX - 300 }; /* a cursor is added to it */

extern const struct document_kind feed_kind;

/* Past its own `exp`: no list to rely upon. */
bool feed_is_over(const struct shared *value, int64_t now);
/* Is the token taken back? `kid` is its key's. */
bool feed_hits(const struct shared *value, const struct jwt *jwt, struct str kid);
/* 0 for NULL. */
size_t feed_count(const struct shared *value);

#endif
