/* A token that is let in has one spelling; one that verifies is one of the two that were signed. */
#include "base/limits.h"
#include "jose/b64.h"
#include "jose/jwt.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/rfc7515.h"

static void verify(const struct jws *jws, const char *jwk_text, struct str token,
		   const char *genuine)
{
	AUTO(json, root) = NULL;
	AUTO(jwk, key) = NULL;

	MUST(json_parse(str_z(jwk_text), JWKS_SIZE_MAX, &root) == ERR_OK);
	MUST(jwk_from_json(root, &key) == ERR_OK);
	if (jws_verify(jws, key) == ERR_OK)
		MUST(str_equal_z(token, genuine));
}

static void check_spelling(const struct jws *jws, struct str token)
{
	struct buf b;
	struct str text;

	buf_init(&b, NULL, JWT_SIZE_MAX);
	b64url_encode(&b, jws->header.p, jws->header.n);
	buf_byte(&b, '.');
	b64url_encode(&b, jws->payload.p, jws->payload.n);
	buf_byte(&b, '.');
	b64url_encode(&b, jws->signature, jws->signature_len);
	MUST(buf_end(&b, &text) == ERR_OK && str_equal(text, token));
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct jwt_expect expect = { .typ = STR("at+jwt"), .iss = STR("joe"), .now = 100 };
	struct str token = str_n(data, size);
	AUTO(arena, a) = NULL;
	struct jws jws;
	struct jwt jwt = { .claims = NULL };

	MUST(arena_new(1 << 16, &a) == ERR_OK);
	if (jws_parse(a, token, &jws))
		return 0;
	check_spelling(&jws, token);
	verify(&jws, RFC7515_A2_KEY, token, RFC7515_A2_TOKEN);
	verify(&jws, RFC7515_A3_KEY, token, RFC7515_A3_TOKEN);
	if (jwt_check(&jws, &expect, &jwt) == JWT_OK)
		MUST(jwt.aud_count > 0 && jwt.exp > 100 && jwt.sub.n > 0);
	jwt_done(&jwt);
	return 0;
}
