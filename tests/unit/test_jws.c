/* lib/jose/jws.h: what parses, what verifies, and the ways in which others were talked into more.
 */
#include <stdio.h>

#include <openssl/core_names.h>

#include "base/limits.h"
#include "jose/b64.h"
#include "jose/jws.h"
#include "tests/fuzz/rfc7515.h"
#include "tests/helpers/keys.h"
#include "tests/unit/suite.h"
#include "tests/unit/tokens.h"

#define ES "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"k\"}"
#define RS "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k\"}"
#define PAYLOAD "{\"sub\":\"alice\"}"

/* ---- vectors ---- */

static struct jwk *import(const char *text)
{
	AUTO(json, root) = NULL;
	struct jwk *key = NULL;

	ck_assert_int_eq(json_parse(str_z(text), JWKS_SIZE_MAX, &root), ERR_OK);
	ck_assert_int_eq(jwk_from_json(root, &key), ERR_OK);
	return key;
}

START_TEST(rfc7515_appendix_a2_verifies)
{
	AUTO(jwk, key) = import(RFC7515_A2_KEY);

	ck_assert_int_eq(token_check_z(RFC7515_A2_TOKEN, key), ERR_OK);
}
END_TEST

START_TEST(rfc7515_appendix_a3_verifies)
{
	AUTO(jwk, key) = import(RFC7515_A3_KEY);

	ck_assert_int_eq(token_check_z(RFC7515_A3_TOKEN, key), ERR_OK);
}
END_TEST

START_TEST(parsing_tells_header_payload_and_names)
{
	AUTO(arena, a) = NULL;
	char *token = signed_token(KEY_EC_1, ES, PAYLOAD);
	struct jws jws;

	ck_assert_int_eq(arena_new(1 << 16, &a), ERR_OK);
	ck_assert_int_eq(jws_parse(a, str_z(token), &jws), ERR_OK);
	ck_assert_int_eq(jws.alg, ALG_ES256);
	ck_assert(str_equal_z(jws.kid, "k") && str_equal_z(jws.typ, "at+jwt"));
	ck_assert(str_equal_z(jws.payload, PAYLOAD) && str_equal_z(jws.header, ES));
	ck_assert_uint_eq(jws.signature_len, 64);
	ck_assert_ptr_eq(jws.signing_input.p, token);
	ck_assert_int_eq(token[jws.signing_input.n], '.');
	free(token);
}
END_TEST

START_TEST(both_algorithms_verify_under_their_key_and_no_other)
{
	AUTO(jwk, ec) = public_jwk(KEY_EC_1);
	AUTO(jwk, ec2) = public_jwk(KEY_EC_2);
	AUTO(jwk, rsa) = public_jwk(KEY_RSA_2048);
	char *es = signed_token(KEY_EC_1, ES, PAYLOAD);
	char *rs = signed_token(KEY_RSA_2048, RS, PAYLOAD);

	ck_assert_int_eq(token_check_z(es, ec), ERR_OK);
	ck_assert_int_eq(token_check_z(rs, rsa), ERR_OK);
	ck_assert_int_eq(token_check_z(es, ec2), ERR_BAD_SIGNATURE);
	ck_assert_int_eq(token_check_z(es, rsa), ERR_UNSUPPORTED);
	ck_assert_int_eq(token_check_z(rs, ec), ERR_UNSUPPORTED);
	free(es);
	free(rs);
}
END_TEST

/* The conversion to DER drops and adds octets; three hundred signatures meet most of the ways. */
START_TEST(signatures_of_every_shape_verify)
{
	AUTO(jwk, ec) = public_jwk(KEY_EC_1);

	for (int i = 0; i < 300; i++) {
		char payload[32];
		char *token;

		snprintf(payload, sizeof(payload), "{\"n\":%d}", i);
		token = signed_token(KEY_EC_1, ES, payload);
		ck_assert_int_eq(token_check_z(token, ec), ERR_OK);
		free(token);
	}
}
END_TEST

/* ---- signatures ---- */

START_TEST(any_changed_character_of_a_token_is_refused)
{
	static const char *const pems[] = { KEY_EC_1, KEY_RSA_2048 };
	static const char *const headers[] = { ES, RS };

	for (size_t k = 0; k < COUNT(pems); k++) {
		AUTO(jwk, key) = public_jwk(pems[k]);
		char *token = signed_token(pems[k], headers[k], PAYLOAD);
		size_t n = strlen(token);

		for (size_t i = 0; i < n; i++) {
			char kept = token[i];

			token[i] = kept == 'A' ? 'B' : 'A';
			ck_assert_msg(token_check_z(token, key) != ERR_OK, "%zu", i);
			token[i] = kept;
		}
		for (size_t cut = 0; cut < n; cut++)
			ck_assert_msg(token_check(str_n(token, cut), key) != ERR_OK, "%zu", cut);
		ck_assert_int_eq(token_check_z(token, key), ERR_OK);
		free(token);
	}
}
END_TEST

/* P-256's order n and n - 1, n + 1 */
#define ORDER_HEAD                                                                                 \
	"\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad\xa7\x17" \
	"\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25"
#define ZERO31 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ONES31                                                                                     \
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" \
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff"

/* J3, CVE-2022-21449: the psychic signature and its neighbours */
START_TEST(es256_with_r_or_s_outside_of_1_to_n_minus_1_is_refused)
{
	static const char scalars[][33] = {
		ZERO31 "\x00",	   ZERO31 "\x01",     ORDER_HEAD "\x50",
		ORDER_HEAD "\x51", ORDER_HEAD "\x52", ONES31 "\xff",
	};
	AUTO(jwk, key) = public_jwk(KEY_EC_1);
	char *input = signing_input(ES, STR(PAYLOAD));
	unsigned char good[SIGNATURE_MAX];

	ck_assert_uint_eq(raw_signature(KEY_EC_1, str_z(input), good), 64);
	for (size_t r = 0; r <= COUNT(scalars); r++) {
		for (size_t s = 0; s <= COUNT(scalars); s++) {
			unsigned char rs[64];
			bool genuine = r == COUNT(scalars) && s == COUNT(scalars);
			char *token;

			memcpy(rs, r < COUNT(scalars) ? (const void *)scalars[r] : good, 32);
			memcpy(rs + 32, s < COUNT(scalars) ? (const void *)scalars[s] : good + 32,
			       32);
			token = with_signature(input, rs, 64);
			ck_assert_int_eq(token_check_z(token, key),
					 genuine ? ERR_OK : ERR_BAD_SIGNATURE);
			free(token);
		}
	}
	free(input);
}
END_TEST

/* The order added to r or s gives the same residue: a second spelling, if it were taken. */
START_TEST(es256_has_exactly_64_octets)
{
	AUTO(jwk, key) = public_jwk(KEY_EC_1);
	char *input = signing_input(ES, STR(PAYLOAD));
	unsigned char sig[1 + SIGNATURE_MAX] = { 0 };

	ck_assert_uint_eq(raw_signature(KEY_EC_1, str_z(input), sig + 1), 64);
	for (size_t from = 0; from <= 2; from++) {
		for (size_t n = 0; n <= 130; n++) {
			char *token = with_signature(input, sig + from, n);
			bool genuine = from == 1 && n == 64;

			ck_assert_int_eq(token_check_z(token, key),
					 genuine ? ERR_OK : ERR_BAD_SIGNATURE);
			free(token);
		}
	}
	free(input);
}
END_TEST

START_TEST(es256_in_der_is_refused)
{
	AUTO(jwk, key) = public_jwk(KEY_EC_1);
	EVP_PKEY *pkey = private_key(KEY_EC_1);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	char *input = signing_input(ES, STR(PAYLOAD));
	unsigned char der[80];
	size_t n = sizeof(der);
	char *token;

	ck_assert_int_eq(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey), 1);
	ck_assert_int_eq(EVP_DigestSign(ctx, der, &n, (unsigned char *)input, strlen(input)), 1);
	token = with_signature(input, der, n);
	ck_assert_int_eq(token_check_z(token, key), ERR_BAD_SIGNATURE);
	free(token);
	free(input);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
}
END_TEST

START_TEST(rs256_has_exactly_the_length_of_the_modulus)
{
	AUTO(jwk, key) = public_jwk(KEY_RSA_2048);
	char *input = signing_input(RS, STR(PAYLOAD));
	unsigned char sig[1 + SIGNATURE_MAX] = { 0 };

	ck_assert_uint_eq(raw_signature(KEY_RSA_2048, str_z(input), sig + 1), 256);
	for (size_t from = 0; from <= 2; from++) {
		for (size_t n = 254; n <= 258; n++) {
			char *token = with_signature(input, sig + from, n);
			bool genuine = from == 1 && n == 256;

			ck_assert_int_eq(token_check_z(token, key),
					 genuine ? ERR_OK : ERR_BAD_SIGNATURE);
			free(token);
		}
	}
	free(input);
}
END_TEST

START_TEST(rsa_with_another_padding_is_refused)
{
	AUTO(jwk, key) = public_jwk(KEY_RSA_2048);
	EVP_PKEY *pkey = private_key(KEY_RSA_2048);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, (char[]){ "pss" },
						 0),
		OSSL_PARAM_construct_end(),
	};
	char *input = signing_input(RS, STR(PAYLOAD));
	unsigned char sig[256];
	size_t n = sizeof(sig);
	char *token;

	ck_assert_int_eq(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, pkey, params), 1);
	ck_assert_int_eq(EVP_DigestSign(ctx, sig, &n, (unsigned char *)input, strlen(input)), 1);
	token = with_signature(input, sig, n);
	ck_assert_int_eq(token_check_z(token, key), ERR_BAD_SIGNATURE);
	free(token);
	free(input);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
}
END_TEST

/* ---- headers ---- */

/* J1 */
START_TEST(headers_that_are_no_strict_json_object_are_refused)
{
	static const char *const headers[] = {
		"",
		"[]",
		"\"ES256\"",
		"null",
		"[{\"alg\":\"ES256\"}]",
		"{\"alg\":\"ES256\"",
		"{\"alg\":\"ES256\"} ,",
		"{\"alg\":\"ES256\"}{}",
		"{\"alg\":\"ES256\",\"alg\":\"ES256\"}",
		"{\"alg\":\"none\",\"alg\":\"ES256\"}",
		"{\"alg\":\"ES256\",\"\\u0061lg\":\"none\"}",
		"{\"alg\":\"ES256\",\"kid\":\"a\",\"kid\":\"b\"}",
		"{\"alg\":\"ES256\",\"kid\":1}",
		"{\"alg\":\"ES256\",\"kid\":null}",
		"{\"alg\":\"ES256\",\"typ\":[\"JWT\"]}",
		"{\"alg\":\"ES256\",\"kid\":\"a\\u0000b\"}",
		"{\"alg\":\"ES256\",\"kid\":\"\xff\"}",
	};

	for (size_t i = 0; i < COUNT(headers); i++)
		ck_assert_msg(header_parse(headers[i]) == ERR_SYNTAX, "%s", headers[i]);
}
END_TEST

/* J9, J10 */
START_TEST(headers_and_tokens_have_limits)
{
	char text[20000];
	char *token;

	for (int n = KID_MAX; n <= KID_MAX + 1; n++) {
		snprintf(text, sizeof(text), "{\"alg\":\"ES256\",\"kid\":\"%0*d\"}", n, 0);
		ck_assert_int_eq(header_parse(text), n == KID_MAX ? ERR_OK : ERR_LIMIT);
	}
	ck_assert_int_eq(header_parse("{\"alg\":\"ES256\",\"kid\":\"'; DROP TABLE keys;--/../\"}"),
			 ERR_OK);
	for (int n = JOSE_HEADER_MAX; n <= JOSE_HEADER_MAX + 1; n++) {
		snprintf(text, sizeof(text), "{\"alg\":\"ES256\",\"x\":\"%0*d\"}", n - 22, 0);
		ck_assert_int_eq((int)strlen(text), n);
		ck_assert_int_eq(header_parse(text), n == JOSE_HEADER_MAX ? ERR_OK : ERR_LIMIT);
	}
	ck_assert_int_eq(
		header_parse("{\"alg\":\"ES256\",\"x\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}"),
		ERR_LIMIT);
	memset(text, 'a', sizeof(text));
	text[JWT_SIZE_MAX + 1] = '\0';
	ck_assert_int_eq(token_parse(text), ERR_LIMIT);
	text[JWT_SIZE_MAX] = '\0';
	ck_assert_int_eq(token_parse(text), ERR_SYNTAX);
	/* a signature longer than any key of ours makes */
	text[800] = '\0';
	token = signing_input(ES, STR(PAYLOAD));
	snprintf(text + 1000, 4000, "%s.%.700s", token, text);
	ck_assert_int_eq(token_parse(text + 1000), ERR_LIMIT);
	free(token);
}
END_TEST

/* ---- serialisation ---- */

/* J1 */
START_TEST(anything_but_three_strict_segments_is_refused)
{
	static const char *const texts[] = {
		"",
		".",
		"..",
		"...",
		"....",
		"a",
		"a.b",
		"a.b.c.d",
		"eyJhbGciOiJFUzI1NiJ9",
		"eyJhbGciOiJFUzI1NiJ9.",
		"eyJhbGciOiJFUzI1NiJ9.e30",
		".e30.AAAA",
		"eyJhbGciOiJFUzI1NiJ9.e30.AAAA.",
		".eyJhbGciOiJFUzI1NiJ9.e30.AAAA",
		"eyJhbGciOiJFUzI1NiJ9.e30.AAAA.AAAA.AAAA", /* five: JWE */
		"{\"payload\":\"e30\",\"signatures\":[]}",
		"{\"protected\":\"eyJhbGciOiJFUzI1NiJ9\",\"payload\":\"e30\",\"signature\":"
		"\"AAAA\"}",
		"eyJhbGciOiJFUzI1NiJ9=.e30.AAAA",
		"eyJhbGciOiJFUzI1NiJ9.e30=.AAAA",
		"eyJhbGciOiJFUzI1NiJ9.e30.AAA=",
		" eyJhbGciOiJFUzI1NiJ9.e30.AAAA",
		"eyJhbGciOiJFUzI1NiJ9.e30.AAAA ",
		"eyJhbGciOiJFUzI1NiJ9.e30.AAAA\n",
		"eyJhbGciOiJFUzI1NiJ9 .e30.AAAA",
		"eyJhbGciOiJFUzI1NiJ9.e30.AA+A",
		"eyJhbGciOiJFUzI1NiJ9.e30.AA/A",
		"eyJhbGciOiJFUzI1NiJ9.e31.AAAA", /* trailing bits */
		"eyJhbGciOiJFUzI1NiJ9.e30.AAB",
		"eyJhbGciOiJFUzI1NiJ9.e30.A",
		"eyJhbGciOiJFUzI1NiJ9.e30.AA\x80\x80",
	};
	char dots[2000];

	for (size_t i = 0; i < COUNT(texts); i++)
		ck_assert_msg(token_parse(texts[i]) == ERR_SYNTAX, "%s", texts[i]);
	ck_assert_int_eq(token_check(STR("eyJhbGciOiJFUzI1NiJ9.e30.AAAA\0"), NULL), ERR_SYNTAX);
	memset(dots, '.', sizeof(dots));
	memcpy(dots, "eyJhbGciOiJFUzI1NiJ9.e30.", 25);
	ck_assert_int_eq(token_check(str_n(dots, sizeof(dots)), NULL), ERR_SYNTAX);
	ck_assert_int_eq(token_check(STR_NONE, NULL), ERR_SYNTAX);
}
END_TEST

/* CVE-2024-51744: nothing is told about a token that does not parse */
START_TEST(a_refused_token_leaves_the_result_untouched)
{
	AUTO(arena, a) = NULL;
	struct jws jws, before;

	memset(&jws, 0x5a, sizeof(jws));
	memcpy(&before, &jws, sizeof(jws));
	ck_assert_int_eq(arena_new(1 << 16, &a), ERR_OK);
	ck_assert_int_eq(jws_parse(a, STR("eyJhbGciOiJFUzI1NiJ9.e30.AAB"), &jws), ERR_SYNTAX);
	ck_assert_mem_eq(&jws, &before, sizeof(jws));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		rfc7515_appendix_a2_verifies,
		rfc7515_appendix_a3_verifies,
		parsing_tells_header_payload_and_names,
		both_algorithms_verify_under_their_key_and_no_other,
		signatures_of_every_shape_verify,
		any_changed_character_of_a_token_is_refused,
		es256_with_r_or_s_outside_of_1_to_n_minus_1_is_refused,
		es256_has_exactly_64_octets,
		es256_in_der_is_refused,
		rs256_has_exactly_the_length_of_the_modulus,
		rsa_with_another_padding_is_refused,
		headers_that_are_no_strict_json_object_are_refused,
		headers_and_tokens_have_limits,
		anything_but_three_strict_segments_is_refused,
		a_refused_token_leaves_the_result_untouched,
	};

	return suite_run("jws", tests, COUNT(tests));
}
