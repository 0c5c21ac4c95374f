/* The claims of a token. Everything is read before anything is judged, and what is read is exact: a
 * claim of another type is never coerced, a missing one never defaulted (RFC 7519 4.1, RFC 9068 2.2
 * and 4). */
#include "jose/jwt.h"

#define TIME_LIMIT 9007199254740992.0 /* 2^53: beyond it a double skips seconds */

/* RFC 7515 4.1.9 */
static struct str without_application(struct str typ)
{
	const struct str prefix = STR("application/");

	if (typ.n > prefix.n && str_case_equal(str_n(typ.p, prefix.n), prefix))
		return str_n(typ.p + prefix.n, typ.n - prefix.n);
	return typ;
}

bool jwt_typ_equal(struct str a, struct str b)
{
	return str_case_equal(without_application(a), without_application(b));
}

/* Absent leaves *value as it is; false when it is there and no string. */
static bool read_string(const struct json *claims, const char *name, struct str *value)
{
	const struct json *v = json_get(claims, name);

	return !v || json_str(v, value);
}

/* NumericDate (RFC 7519 2). -1 stays in *value when the claim is absent. */
static bool read_time(const struct json *claims, const char *name, int64_t *value)
{
	const struct json *v = json_get(claims, name);
	double seconds;

	if (!v)
		return true;
	if (!json_number(v, &seconds) || !(seconds >= 0) || !(seconds < TIME_LIMIT))
		return false;
	*value = (int64_t)seconds;
	return true;
}

static bool add_audience(const struct json *v, struct jwt *jwt)
{
	return jwt->aud_count < JWT_AUDIENCES_MAX && json_str(v, &jwt->aud[jwt->aud_count++]);
}

/* RFC 7519 4.1.3: a string or an array of strings; every element is looked at (CVE-2020-26160). */
static bool read_audience(const struct json *claims, struct jwt *jwt)
{
	const struct json *v = json_get(claims, "aud");

	if (!v)
		return true;
	if (json_type(v) == JSON_STRING)
		return add_audience(v, jwt);
	if (json_type(v) != JSON_ARRAY || json_len(v) == 0)
		return false;
	for (size_t i = 0; i < json_len(v); i++) {
		if (!add_audience(json_at(v, i), jwt))
			return false;
	}
	return true;
}

static bool read_claims(struct jwt *jwt)
{
	const struct json *c = jwt->claims;

	return json_type(c) == JSON_OBJECT && read_string(c, "iss", &jwt->iss) &&
	       read_string(c, "sub", &jwt->sub) && read_string(c, "client_id", &jwt->client_id) &&
	       read_string(c, "scope", &jwt->scope) && read_string(c, "jti", &jwt->jti) &&
	       read_string(c, "sid", &jwt->sid) && read_audience(c, jwt) &&
	       read_time(c, "exp", &jwt->exp) && read_time(c, "iat", &jwt->iat) &&
	       read_time(c, "nbf", &jwt->nbf);
}

/* RFC 9068 2.2: REQUIRED claims. An empty string says as little as none. */
static bool is_complete(const struct jwt *jwt, bool ids_optional)
{
	return jwt->iss.n && jwt->exp >= 0 && jwt->aud_count && jwt->sub.n && jwt->iat >= 0 &&
	       (ids_optional || (jwt->jti.n && jwt->client_id.n));
}

static bool has_audience(const struct jwt *jwt, struct str aud)
{
	for (size_t i = 0; i < jwt->aud_count; i++) {
		if (str_equal(jwt->aud[i], aud))
			return true;
	}
	return false;
}

static enum jwt_verdict judge_time(const struct jwt *jwt, const struct jwt_expect *expect)
{
	int64_t skew = expect->skew < 0 ? 0 : expect->skew;

	if (skew > JWT_SKEW_MAX)
		skew = JWT_SKEW_MAX;
	/* RFC 7519 4.1.4: the current time MUST be before exp */
	if (expect->now - skew >= jwt->exp)
		return JWT_EXPIRED;
	if (expect->now + skew < jwt->nbf || expect->now + skew < jwt->iat)
		return JWT_NOT_YET;
	return JWT_OK;
}

static enum jwt_verdict judge(const struct jws *jws, const struct jwt *jwt,
			      const struct jwt_expect *expect)
{
	if (!is_complete(jwt, expect->ids_optional))
		return JWT_MISSING_CLAIM;
	/* RFC 8725 3.11, 3.12: a token of another kind never stands in for this one */
	if (!jwt_typ_equal(jws->typ, expect->typ))
		return JWT_WRONG_TYPE;
	if (!str_equal(jwt->iss, expect->iss))
		return JWT_WRONG_ISSUER;
	if (expect->aud.p && !has_audience(jwt, expect->aud))
		return JWT_WRONG_AUDIENCE;
	return judge_time(jwt, expect);
}

/* Verdicts about a token that is ours, or looks like it: worth explaining from its claims. */
static bool is_explained(enum jwt_verdict v)
{
	return v == JWT_OK || v == JWT_EXPIRED || v == JWT_NOT_YET || v == JWT_WRONG_AUDIENCE;
}

enum jwt_verdict jwt_check(const struct jws *jws, const struct jwt_expect *expect,
			   struct jwt *ret_jwt)
{
	struct jwt jwt = { .exp = -1, .iat = -1 };
	enum jwt_verdict v = JWT_MALFORMED;
	enum err e = json_parse(jws->payload, JWT_SIZE_MAX, &jwt.claims);

	if (e)
		return e == ERR_NOMEM ? JWT_UNREAD : JWT_MALFORMED;
	if (read_claims(&jwt))
		v = judge(jws, &jwt, expect);
	if (is_explained(v))
		*ret_jwt = jwt;
	else
		jwt_done(&jwt);
	return v;
}

void jwt_done(struct jwt *jwt)
{
	json_free(jwt->claims);
	*jwt = (struct jwt){ .claims = NULL };
}

const char *jwt_verdict_text(enum jwt_verdict v)
{
	switch (v) {
	case JWT_OK:
		return "the token is valid";
	case JWT_MALFORMED:
		return "the claims are malformed";
	case JWT_MISSING_CLAIM:
		return "a required claim is missing";
	case JWT_WRONG_TYPE:
		return "the token is of another type";
	case JWT_WRONG_ISSUER:
		return "the token is of another issuer";
	case JWT_WRONG_AUDIENCE:
		return "the token is for another audience";
	case JWT_EXPIRED:
		return "the token has expired";
	case JWT_NOT_YET:
		return "the token is not valid yet";
	case JWT_UNREAD:
		return "there is no memory to read the token";
	}
	return "unknown";
}
