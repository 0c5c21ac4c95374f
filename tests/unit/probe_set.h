/* Keys as the keyring has them and sets as a web server might show them, for the tests of probe and
 * prober. All are public examples of RFC 7517 A.1 and RFC 7515 A.3. */
#ifndef CHANCERY_TESTS_PROBE_SET_H
#define CHANCERY_TESTS_PROBE_SET_H

#include <check.h>
#include <stdio.h>

#include "server/state/probe.h"

#define EC_JWK(kid)                                                                                \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"kid\":\"" kid "\","                 \
	"\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","                                   \
	"\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}"
#define OTHER_EC_JWK(kid)                                                                          \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"ES256\",\"kid\":\"" kid "\","                 \
	"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                                   \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define RSA_JWK(kid)                                                                               \
	"{\"kty\":\"RSA\",\"alg\":\"RS256\",\"kid\":\"" kid "\",\"e\":\"AQAB\",\"n\":"             \
	"\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc" \
	"_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0" \
	"_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhA" \
	"I4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\"}"

static inline struct jwk *probe_jwk(const char *text)
{
	AUTO(json, object) = NULL;
	struct jwk *key = NULL;

	ck_assert_int_eq(json_parse(str_z(text), 4096, &object), ERR_OK);
	ck_assert_int_eq(jwk_from_json(object, &key), ERR_OK);
	return key;
}

/* `jwk` NULL: none, as of removed and revoked ones. Caller: jwk_free(key.public_key). */
static inline struct keyring_key probe_key(const char *kid, enum alg alg, enum key_state state,
					   const char *jwk)
{
	struct keyring_key key = { .info = { .alg = alg, .state = state } };

	snprintf(key.info.kid, sizeof(key.info.kid), "%s", kid);
	if (jwk)
		key.public_key = probe_jwk(jwk);
	return key;
}

#endif
