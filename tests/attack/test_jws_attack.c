/* Tokens as attackers made them for other verifiers, each named by what it once got past. */
#include <stdio.h>

#include <openssl/core_names.h>
#include <openssl/x509.h>

#include "base/limits.h"
#include "tests/helpers/keys.h"
#include "tests/unit/suite.h"
#include "tests/unit/tokens.h"

#define PAYLOAD "{\"sub\":\"alice\"}"

static void assert_no_hmac_under(struct str secret, const struct jwk *key)
{
	static const char *const algs[] = { "HS256", "hs256", "ES256", "RS256" };

	for (size_t i = 0; i < COUNT(algs); i++) {
		char header[64];
		char *token;

		snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", algs[i]);
		token = hmac_token(secret, header, PAYLOAD);
		ck_assert_int_ne(token_check_z(token, key), ERR_OK);
		if (i == 0)
			ck_assert_int_eq(token_parse(token), ERR_UNSUPPORTED);
		free(token);
	}
}

/* CVE-2026-11800, CVE-2024-54150, CVE-2026-48526: whatever form of the public key an attacker takes
 * as the HMAC secret */
START_TEST(a_public_key_is_no_hmac_secret)
{
	static const char *const pems[] = { KEY_EC_1, KEY_RSA_2048 };

	for (size_t i = 0; i < COUNT(pems); i++) {
		AUTO(jwk, key) = public_jwk(pems[i]);
		char *pem = public_pem(pems[i]);
		unsigned char *der = NULL;
		int der_len = i2d_PUBKEY(jwk_pkey(key), &der);
		struct buf b;
		struct jsonw w;
		struct str json;

		buf_init(&b, NULL, 2000);
		jsonw_init(&w, &b);
		jwk_export(key, &w);
		ck_assert_int_eq(buf_end(&b, &json), ERR_OK);
		assert_no_hmac_under(str_z(pem), key);
		assert_no_hmac_under(str_n(pem, strlen(pem) - 1), key); /* without newline */
		assert_no_hmac_under(str_n(der, (size_t)der_len), key);
		assert_no_hmac_under(json, key);
		assert_no_hmac_under(jwk_kid(key), key);
		assert_no_hmac_under(STR(""), key);
		buf_done(&b);
		OPENSSL_free(der);
		free(pem);
	}
}
END_TEST

START_TEST(a_modulus_or_a_coordinate_is_no_hmac_secret)
{
	static const struct {
		const char *pem, *param;
	} rows[] = {
		{ KEY_RSA_2048, OSSL_PKEY_PARAM_RSA_N },
		{ KEY_EC_1, OSSL_PKEY_PARAM_EC_PUB_X },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		AUTO(jwk, key) = public_jwk(rows[i].pem);
		BIGNUM *x = NULL;
		unsigned char octets[256];
		int n;

		ck_assert_int_eq(EVP_PKEY_get_bn_param(jwk_pkey(key), rows[i].param, &x), 1);
		n = BN_bn2bin(x, octets);
		assert_no_hmac_under(str_n(octets, (size_t)n), key);
		BN_free(x);
	}
}
END_TEST

/* J2 */
START_TEST(algorithms_that_do_not_exist_are_refused)
{
	static const char *const algs[] = { "none",   "None",	"NONE",	 "nOnE",
					    "",	      "rs256",	"es256", "Es256",
					    "ES256 ", "HS256",	"PS256", "ES384",
					    "ES256K", "ES2567", "EdDSA", "unknown" };
	AUTO(jwk, key) = public_jwk(KEY_EC_1);

	for (size_t i = 0; i < COUNT(algs); i++) {
		char header[64];
		char *input, *bare;

		snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", algs[i]);
		ck_assert_msg(header_parse(header) == ERR_UNSUPPORTED, "%s", header);
		input = signing_input(header, STR(PAYLOAD));
		bare = with_signature(input, "", 0);
		ck_assert_int_eq(token_check_z(bare, key), ERR_UNSUPPORTED);
		free(input);
		free(bare);
	}
	ck_assert_int_eq(header_parse("{\"typ\":\"JWT\"}"), ERR_SYNTAX);
	ck_assert_int_eq(header_parse("{\"alg\":null}"), ERR_SYNTAX);
	ck_assert_int_eq(header_parse("{\"alg\":256}"), ERR_SYNTAX);
	ck_assert_int_eq(header_parse("{\"alg\":[\"ES256\"]}"), ERR_SYNTAX);
	ck_assert_int_eq(header_parse("{\"Alg\":\"ES256\"}"), ERR_SYNTAX);
}
END_TEST

/* J4, CVE-2018-0114: the header brings its own key */
START_TEST(a_key_in_the_header_is_never_used)
{
	AUTO(jwk, ours) = public_jwk(KEY_EC_1);
	AUTO(jwk, theirs) = public_jwk(KEY_EC_2);
	struct buf b;
	struct jsonw w;
	struct str header;
	char *token;

	buf_init(&b, NULL, 1000);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member_z(&w, "alg", "ES256");
	jsonw_key(&w, "jwk");
	jwk_export(theirs, &w);
	jsonw_member_z(&w, "jku", "https://evil.test/jwks.json");
	jsonw_member_z(&w, "x5u", "https://evil.test/cert.pem");
	jsonw_end_object(&w);
	ck_assert_int_eq(buf_end(&b, &header), ERR_OK);
	token = signed_token(KEY_EC_2, header.p, PAYLOAD);
	ck_assert_int_eq(token_check_z(token, ours), ERR_BAD_SIGNATURE);
	free(token);
	/* signed by us, the same header does no harm */
	token = signed_token(KEY_EC_1, header.p, PAYLOAD);
	ck_assert_int_eq(token_check_z(token, ours), ERR_OK);
	free(token);
	buf_done(&b);
}
END_TEST

/* J4, CVE-2025-59420, CVE-2024-28180 */
START_TEST(headers_that_change_the_meaning_of_the_rest_are_refused)
{
	static const char *const members[] = {
		"\"crit\":[\"exp\"]",
		"\"crit\":[]",
		"\"crit\":\"exp\"",
		"\"crit\":null",
		"\"crit\":{}",
		"\"crit\":[\"alg\"]",
		"\"crit\":[\"b64\"],\"b64\":false",
		"\"b64\":false",
		"\"b64\":true",
		"\"zip\":\"DEF\"",
		"\"enc\":\"A128GCM\"",
		"\"crit\":[1]",
	};

	for (size_t i = 0; i < COUNT(members); i++) {
		char header[128];

		snprintf(header, sizeof(header), "{\"alg\":\"ES256\",%s}", members[i]);
		ck_assert_msg(header_parse(header) == ERR_UNSUPPORTED, "%s", header);
	}
}
END_TEST

/* CVE-2025-30204, CVE-2025-27144 */
START_TEST(a_megabyte_of_dots_costs_nothing)
{
	AUTO(arena, a) = NULL;
	char *dots = malloc(1 << 20);
	struct jws jws;

	memset(dots, '.', 1 << 20);
	ck_assert_int_eq(arena_new(1 << 16, &a), ERR_OK);
	ck_assert_int_eq(jws_parse(a, str_n(dots, 1 << 20), &jws), ERR_LIMIT);
	ck_assert_int_eq(jws_parse(a, str_n(dots, JWT_SIZE_MAX), &jws), ERR_SYNTAX);
	ck_assert_uint_eq(arena_used(a), 0);
	free(dots);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_public_key_is_no_hmac_secret,
		a_modulus_or_a_coordinate_is_no_hmac_secret,
		algorithms_that_do_not_exist_are_refused,
		a_key_in_the_header_is_never_used,
		headers_that_change_the_meaning_of_the_rest_are_refused,
		a_megabyte_of_dots_costs_nothing,
	};

	return suite_run("jws_attack", tests, COUNT(tests));
}
