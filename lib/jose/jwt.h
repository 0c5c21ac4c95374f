/* Claims of a verified token (RFC 7519 4.1, RFC 9068 4). Missing means no. */
#ifndef CHANCERY_JOSE_JWT_H
#define CHANCERY_JOSE_JWT_H

#include "base/json.h"
#include "jose/jws.h"

enum { JWT_SKEW_MAX = 60, JWT_AUDIENCES_MAX = 16 };

struct jwt {
	struct json *claims; /* owned; the strings below are borrowed from it */
	struct str iss, sub, client_id, scope, jti, sid;
	struct str aud[JWT_AUDIENCES_MAX];
	size_t aud_count;
	int64_t exp, iat, nbf; /* nbf 0 when absent; a fraction is cut off */
};

struct jwt_expect {
	struct str typ; /* compared without case and without "application/" (RFC 9068 4, RFC
			   7515 4.1.9) */
	struct str iss; /* byte-equal */
	struct str aud; /* must be among the token's; absent: not checked */
	int64_t now;
	int64_t skew; /* seconds, at most JWT_SKEW_MAX, for exp, nbf and iat */
	/* jti and client_id may be absent: of an issuer that need not be ours. RFC 9068 2.2 has
	 * them REQUIRED of whoever issues; its section 4 does not ask the resource to look. */
	bool ids_optional;
};

enum jwt_verdict {
	JWT_OK,
	JWT_MALFORMED,	   /* payload no object, a claim of a wrong type or out of range, too many
			      audiences */
	JWT_MISSING_CLAIM, /* one of iss exp aud sub iat, and, unless optional, jti client_id */
	JWT_WRONG_TYPE,
	JWT_WRONG_ISSUER,
	JWT_WRONG_AUDIENCE,
	JWT_EXPIRED,
	JWT_NOT_YET, /* nbf, or iat more than the skew ahead */
	JWT_UNREAD,  /* no memory to read it: nothing is known about the token */
};

/* NumericDate may be integer or real, 0 <= v < 2^53 (RFC 7519 2). Fills ret_jwt (caller: jwt_done)
 * when the verdict is JWT_OK, JWT_EXPIRED, JWT_NOT_YET or JWT_WRONG_AUDIENCE, so that a tool can
 * explain. */
enum jwt_verdict jwt_check(const struct jws *jws, const struct jwt_expect *expect,
			   struct jwt *ret_jwt);
void jwt_done(struct jwt *jwt);
/* Two `typ`, compared as jwt_expect says. */
bool jwt_typ_equal(struct str a, struct str b);
/* A sentence: "the token has expired". */
const char *jwt_verdict_text(enum jwt_verdict v);

#endif
