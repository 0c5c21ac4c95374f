/* lib/jose/jwk.h: public keys and sets of them. */
#include <stdio.h>

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/limits.h"
#include "jose/b64.h"
#include "jose/jwk.h"
#include "tests/helpers/keys.h"
#include "tests/unit/suite.h"
#include "tests/unit/tokens.h"

/* RFC 7638 3.1 */
#define RFC7638_N                                                                                  \
	"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"  \
	"BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0"  \
	"_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWh"  \
	"AI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
#define RFC7638_KEY                                                                                \
	"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N                                                      \
	"\",\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}"

/* RFC 7515 A.3.1 */
#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
/* the same and an octet of zero */
#define EC_X_AND_ZERO "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEUA"
#define EC_Y_AND_ZERO "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0A"
#define EC_XY "\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\""
#define EC_KEY "{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY "}"

static enum err import(const char *text, struct jwk **ret_key)
{
	AUTO(json, root) = NULL;

	ck_assert_msg(json_parse(str_z(text), JWKS_SIZE_MAX, &root) == ERR_OK, "%s", text);
	return jwk_from_json(root, ret_key);
}

static struct jwk *must_import(const char *text)
{
	struct jwk *key = NULL;

	ck_assert_msg(import(text, &key) == ERR_OK, "%s", text);
	return key;
}

static void assert_refused(const char *text, enum err want)
{
	struct jwk *key = NULL;
	enum err e = import(text, &key);

	ck_assert_msg(e == want, "%s: %s, not %s", text, err_name(e), err_name(want));
	ck_assert_ptr_null(key);
}

/* ---- keys ---- */

START_TEST(rfc7638_section_3_1_thumbprint)
{
	AUTO(jwk, key) = must_import(RFC7638_KEY);
	char text[THUMBPRINT_LEN + 1];

	ck_assert_int_eq(jwk_thumbprint(key, text), ERR_OK);
	ck_assert_str_eq(text, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	ck_assert(str_equal_z(jwk_kid(key), "2011-04-29"));
	ck_assert_int_eq(jwk_alg(key), ALG_RS256);
}
END_TEST

START_TEST(a_key_without_kid_is_named_by_its_thumbprint)
{
	AUTO(jwk, key) = must_import(EC_KEY);
	char text[THUMBPRINT_LEN + 1];

	ck_assert_int_eq(jwk_thumbprint(key, text), ERR_OK);
	ck_assert_str_eq(text, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
	ck_assert(str_equal_z(jwk_kid(key), text));
}
END_TEST

START_TEST(an_exported_key_has_its_public_members_and_comes_back_the_same)
{
	static const char *const pems[] = { KEY_EC_1, KEY_RSA_2048 };

	for (size_t i = 0; i < COUNT(pems); i++) {
		AUTO(jwk, key) = public_jwk(pems[i]);
		AUTO(jwk, again) = NULL;
		struct buf one, two;
		struct jsonw w;
		struct str text, same;

		buf_init(&one, NULL, 2000);
		jsonw_init(&w, &one);
		jwk_export(key, &w);
		ck_assert_int_eq(buf_end(&one, &text), ERR_OK);
		again = must_import(text.p);
		buf_init(&two, NULL, 2000);
		jsonw_init(&w, &two);
		jwk_export(again, &w);
		ck_assert_int_eq(buf_end(&two, &same), ERR_OK);
		ck_assert_str_eq(text.p, same.p);
		ck_assert_ptr_nonnull(strstr(text.p, "\"use\":\"sig\",\"alg\":\""));
		ck_assert_ptr_null(strstr(text.p, "\"d\""));
		buf_done(&one);
		buf_done(&two);
	}
}
END_TEST

START_TEST(the_private_half_of_a_pkey_stays_where_it_is)
{
	AUTO(jwk, key) = public_jwk(KEY_EC_1);
	AUTO(jwk, rsa) = public_jwk(KEY_RSA_2048);
	BIGNUM *secret = NULL;

	ck_assert_int_ne(EVP_PKEY_get_bn_param(jwk_pkey(key), OSSL_PKEY_PARAM_PRIV_KEY, &secret),
			 1);
	ck_assert_int_ne(EVP_PKEY_get_bn_param(jwk_pkey(rsa), OSSL_PKEY_PARAM_RSA_D, &secret), 1);
}
END_TEST

START_TEST(rfc7517_members_that_are_allowed_are_taken)
{
	static const char *const texts[] = {
		EC_KEY,
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"alg\":\"ES256\",\"use\":\"sig\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"key_ops\":[\"sign\",\"verify\"]}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"x5c\":[\"?\"],\"unknown\":{}}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"kid\":\"' OR 1=1; --/../\"}",
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"Aw\"}",     /* 3 */
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"_____w\"}", /* 2^32 - 1 */
	};

	for (size_t i = 0; i < COUNT(texts); i++)
		jwk_free(must_import(texts[i]));
}
END_TEST

/* J2, J3, J8; RFC 7517 4, RFC 7518 6 */
START_TEST(keys_that_are_not_public_signing_keys_of_ours_are_refused)
{
	static const char *const unsupported[] = {
		"{\"kty\":\"oct\",\"k\":\"AAAA\"}",
		"{\"kty\":\"oct\"}",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" EC_X "\"}",
		"{\"kty\":\"ec\",\"crv\":\"P-256\"," EC_XY "}",
		"{\"kty\":\"\",\"crv\":\"P-256\"," EC_XY "}",
		"{\"kty\":\"EC\",\"crv\":\"P-384\"," EC_XY "}",
		"{\"kty\":\"EC\",\"crv\":\"p-256\"," EC_XY "}",
		"{\"kty\":\"EC\",\"crv\":\"secp256k1\"," EC_XY "}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"alg\":\"RS256\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"alg\":\"HS256\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"alg\":\"none\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"alg\":\"es256\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"alg\":\"\"}",
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAB\",\"alg\":\"ES256\"}",
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAB\",\"alg\":\"PS256\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"use\":\"enc\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"use\":\"\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"key_ops\":[\"sign\"]}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"key_ops\":[]}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"d\":\"AA\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"d\":null}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"k\":\"AA\"}",
	};
	static const char *const private_members[] = {
		"d", "p", "q", "dp", "dq", "qi", "oth", "k"
	};

	for (size_t i = 0; i < COUNT(unsupported); i++)
		assert_refused(unsupported[i], ERR_UNSUPPORTED);
	for (size_t i = 0; i < COUNT(private_members); i++) {
		char text[1000];

		snprintf(text, sizeof(text),
			 "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"AQAB\",\"%s\":\"AQ\"}", RFC7638_N,
			 private_members[i]);
		assert_refused(text, ERR_UNSUPPORTED);
	}
}
END_TEST

START_TEST(keys_that_are_not_written_as_the_rfc_says_are_refused)
{
	static const char *const syntax[] = {
		"[]",
		"{}",
		"{\"crv\":\"P-256\"," EC_XY "}",
		"{\"kty\":5,\"crv\":\"P-256\"," EC_XY "}",
		"{\"kty\":\"EC\"," EC_XY "}",
		"{\"kty\":\"EC\",\"crv\":null," EC_XY "}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"y\":\"" EC_Y "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"alg\":1}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"use\":[\"sig\"]}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"key_ops\":\"verify\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"key_ops\":[1]}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"kid\":\"\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\"," EC_XY ",\"kid\":7}",
		/* y of another point, swapped coordinates, zero: off the curve */
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_X "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_Y "\",\"y\":\"" EC_X "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\","
		"\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
		"\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
		/* not below the field's prime */
		"{\"kty\":\"EC\",\"crv\":\"P-256\","
		"\"x\":\"_____________________________________________8\",\"y\":\"" EC_Y "\"}",
		/* 31 and 33 octets */
		"{\"kty\":\"EC\",\"crv\":\"P-256\","
		"\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"y\":\"" EC_Y "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AH_Nzidw9sRdQYPL7m_bS3tYBzM1e-nvE7rPbjx7"
		"0VRF\",\"y\":\"" EC_Y "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X_AND_ZERO "\",\"y\":\"" EC_Y "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y_AND_ZERO "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "=\",\"y\":\"" EC_Y "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\\n\",\"y\":\"" EC_Y "\"}",
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\"}",
		"{\"kty\":\"RSA\",\"e\":\"AQAB\"}",
		"{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}",
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"\"}",
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQ\"}",      /* 1 */
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AA\"}",      /* 0 */
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAC\"}",    /* even */
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AAEAAQ\"}",  /* leading zero */
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":\"AQAAAAE\"}", /* 2^32 + 1 */
		"{\"kty\":\"RSA\",\"n\":\"" RFC7638_N "\",\"e\":65537}",
	};

	for (size_t i = 0; i < COUNT(syntax); i++)
		assert_refused(syntax[i], ERR_SYNTAX);
	ck_assert_int_eq(jwk_from_json(NULL, NULL), ERR_SYNTAX);
}
END_TEST

/* A modulus of `n` octets with given ends, as a JWK. */
static void rsa_text(size_t n, unsigned char first, unsigned char last, char *out, size_t size)
{
	unsigned char modulus[600];
	char text[B64URL_LEN(sizeof(modulus)) + 1];

	memset(modulus, 0x55, sizeof(modulus));
	modulus[0] = first;
	modulus[n - 1] = last;
	b64url_encode_z(modulus, n, text);
	snprintf(out, size, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"AQAB\"}", text);
}

START_TEST(moduli_of_the_wrong_size_or_parity_are_refused)
{
	static const struct {
		size_t n;
		unsigned char first, last;
		enum err e;
	} rows[] = {
		{ 256, 0x80, 0x01, ERR_OK },	      { 256, 0x7f, 0x01, ERR_UNSUPPORTED },
		{ 128, 0x80, 0x01, ERR_UNSUPPORTED }, { 256, 0x80, 0x02, ERR_SYNTAX },
		{ 257, 0x00, 0x01, ERR_SYNTAX },      { 257, 0x01, 0x01, ERR_OK },
		{ 512, 0xff, 0x01, ERR_OK },	      { 513, 0x01, 0x01, ERR_LIMIT },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[1000];

		rsa_text(rows[i].n, rows[i].first, rows[i].last, text, sizeof(text));
		if (rows[i].e)
			assert_refused(text, rows[i].e);
		else
			jwk_free(must_import(text));
	}
}
END_TEST

/* J9 */
START_TEST(a_kid_is_opaque_and_bounded)
{
	char text[1000];
	char kid[KID_MAX + 2];

	memset(kid, 'k', sizeof(kid));
	snprintf(text, sizeof(text), "{\"kty\":\"EC\",\"crv\":\"P-256\",%s,\"kid\":\"%.*s\"}",
		 EC_XY, KID_MAX, kid);
	jwk_free(must_import(text));
	snprintf(text, sizeof(text), "{\"kty\":\"EC\",\"crv\":\"P-256\",%s,\"kid\":\"%.*s\"}",
		 EC_XY, KID_MAX + 1, kid);
	assert_refused(text, ERR_LIMIT);
}
END_TEST

/* ---- PEM ---- */

static char *certificate_pem(const char *key_pem)
{
	EVP_PKEY *pkey = private_key(key_pem);
	X509 *x = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	char *text;

	ck_assert(X509_set_pubkey(x, pkey) && X509_gmtime_adj(X509_getm_notBefore(x), 0) &&
		  X509_gmtime_adj(X509_getm_notAfter(x), 3600) &&
		  X509_sign(x, pkey, EVP_sha256()) && PEM_write_bio_X509(bio, x));
	ck_assert_int_gt(BIO_get_mem_data(bio, &data), 0);
	text = strndup(data, (size_t)BIO_pending(bio));
	BIO_free(bio);
	X509_free(x);
	EVP_PKEY_free(pkey);
	return text;
}

static void must_become(const struct jwk *key, const char *pem)
{
	struct buf out;
	struct str text;

	buf_init(&out, NULL, 4096);
	ck_assert_int_eq(jwk_to_pem(key, &out), ERR_OK);
	ck_assert_int_eq(buf_end(&out, &text), ERR_OK);
	ck_assert_str_eq(text.p, pem);
	buf_done(&out);
}

START_TEST(pem_of_a_public_key_and_of_a_certificate_give_the_same_key)
{
	static const char *const pems[] = { KEY_EC_1, KEY_RSA_2048 };

	for (size_t i = 0; i < COUNT(pems); i++) {
		AUTO(jwk, want) = public_jwk(pems[i]);
		AUTO(jwk, key) = NULL;
		AUTO(jwk, certified) = NULL;
		char *pem = public_pem(pems[i]), *certificate = certificate_pem(pems[i]);

		ck_assert_int_eq(jwk_from_pem(str_z(pem), STR_NONE, &key), ERR_OK);
		ck_assert(str_equal(jwk_kid(key), jwk_kid(want)));
		must_become(want, pem);
		ck_assert_int_eq(jwk_from_pem(str_z(certificate), STR("mine"), &certified), ERR_OK);
		ck_assert(str_equal_z(jwk_kid(certified), "mine"));
		ck_assert_int_eq(EVP_PKEY_eq(jwk_pkey(certified), jwk_pkey(want)), 1);
		free(pem);
		free(certificate);
	}
}
END_TEST

/* One PEM block of these octets, with or without the headers of an encrypted one. Caller: free. */
static char *pem_block(const void *der, long n, bool encrypted)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	char *text;
	long len;

	ck_assert_int_gt(PEM_write_bio(bio, "PUBLIC KEY",
				       encrypted ? "Proc-Type: 4,ENCRYPTED\n" : "", der, n),
			 0);
	len = BIO_get_mem_data(bio, &data);
	text = strndup(data, (size_t)len);
	BIO_free(bio);
	return text;
}

START_TEST(pem_of_a_key_and_something_more_is_refused)
{
	AUTO(jwk, want) = public_jwk(KEY_EC_1);
	struct jwk *key = NULL;
	unsigned char der[200] = { 0 };
	unsigned char *end = der;
	int n = i2d_PUBKEY(jwk_pkey(want), &end);
	char *exact = pem_block(der, n, false);
	char *longer = pem_block(der, n + 1, false);
	char *encrypted = pem_block(der, n, true);
	char *huge = calloc(1, JWKS_SIZE_MAX + 2);

	ck_assert_int_eq(jwk_from_pem(str_z(longer), STR_NONE, &key), ERR_SYNTAX);
	ck_assert_int_eq(jwk_from_pem(str_z(encrypted), STR_NONE, &key), ERR_SYNTAX);
	memset(huge, '\n', JWKS_SIZE_MAX + 1);
	memcpy(huge, exact, strlen(exact));
	ck_assert_int_eq(jwk_from_pem(str_z(huge), STR_NONE, &key), ERR_LIMIT);
	ck_assert_ptr_null(key);
	huge[JWKS_SIZE_MAX] = '\0';
	ck_assert_int_eq(jwk_from_pem(str_z(huge), STR_NONE, &key), ERR_OK);
	jwk_free(key);
	free(exact);
	free(longer);
	free(encrypted);
	free(huge);
}
END_TEST

START_TEST(pem_of_anything_else_is_refused)
{
	static const char *const private_keys[] = { KEY_EC_1, KEY_RSA_2048 };
	static const char *const other_kinds[] = { KEY_P384, KEY_RSA_1024 };
	static const char *const broken[] = {
		"",
		"not pem",
		"-----BEGIN PUBLIC KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\n?\n-----END PUBLIC KEY-----\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	};
	struct jwk *key = NULL;

	for (size_t i = 0; i < COUNT(private_keys); i++)
		ck_assert_int_eq(jwk_from_pem(str_z(private_keys[i]), STR_NONE, &key),
				 ERR_UNSUPPORTED);
	for (size_t i = 0; i < COUNT(other_kinds); i++) {
		char *pem = public_pem(other_kinds[i]);

		ck_assert_int_eq(jwk_from_pem(str_z(pem), STR_NONE, &key), ERR_UNSUPPORTED);
		free(pem);
	}
	for (size_t i = 0; i < COUNT(broken); i++)
		ck_assert_msg(jwk_from_pem(str_z(broken[i]), STR_NONE, &key) == ERR_SYNTAX, "%s",
			      broken[i]);
	ck_assert_ptr_null(key);
}
END_TEST

/* ---- sets ---- */

START_TEST(rfc7517_appendix_a1_set_keeps_the_signing_key)
{
	/* its EC key is for encryption */
	static const char text[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
				   "\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
				   "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\","
				   "\"use\":\"enc\",\"kid\":\"1\"}," RFC7638_KEY "]}";
	AUTO(jwks, set) = NULL;

	ck_assert_int_eq(jwks_parse(str_z(text), &set), ERR_OK);
	ck_assert_uint_eq(set->count, 1);
	ck_assert_ptr_eq(jwks_find(set, STR("2011-04-29")), set->keys[0]);
	ck_assert_ptr_null(jwks_find(set, STR("1")));
	ck_assert_ptr_null(jwks_find(set, STR("2011-04-2")));
	ck_assert_ptr_null(jwks_find(set, STR_NONE));
}
END_TEST

START_TEST(sets_that_are_ambiguous_or_no_sets_are_refused)
{
	static const struct {
		const char *text;
		enum err e;
	} rows[] = {
		{ "{\"keys\":[]}", ERR_OK },
		{ "{\"keys\":[1,\"x\",null,{},[]]}", ERR_OK },
		{ "{\"keys\":[" EC_KEY "," EC_KEY "]}", ERR_CONFLICT },
		{ "{\"keys\":{}}", ERR_SYNTAX },
		{ "{}", ERR_SYNTAX },
		{ "[]", ERR_SYNTAX },
		{ "{\"keys\":[],\"keys\":[]}", ERR_SYNTAX },
		{ "", ERR_SYNTAX },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		AUTO(jwks, set) = NULL;

		ck_assert_msg(jwks_parse(str_z(rows[i].text), &set) == rows[i].e, "%s",
			      rows[i].text);
		ck_assert_ptr_eq(set ? set->keys[0] : NULL, NULL);
	}
}
END_TEST

START_TEST(a_set_holds_64_keys_at_most)
{
	for (int n = 64; n <= 65; n++) {
		AUTO(jwks, set) = NULL;
		struct buf b;
		struct str text;

		buf_init(&b, NULL, JWKS_SIZE_MAX);
		buf_z(&b, "{\"keys\":[1");
		for (int i = 1; i < n; i++)
			buf_z(&b, ",1");
		buf_z(&b, "]}");
		ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
		ck_assert_int_eq(jwks_parse(text, &set), n == 64 ? ERR_OK : ERR_LIMIT);
		buf_done(&b);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		rfc7638_section_3_1_thumbprint,
		a_key_without_kid_is_named_by_its_thumbprint,
		an_exported_key_has_its_public_members_and_comes_back_the_same,
		the_private_half_of_a_pkey_stays_where_it_is,
		rfc7517_members_that_are_allowed_are_taken,
		keys_that_are_not_public_signing_keys_of_ours_are_refused,
		keys_that_are_not_written_as_the_rfc_says_are_refused,
		moduli_of_the_wrong_size_or_parity_are_refused,
		a_kid_is_opaque_and_bounded,
		pem_of_a_public_key_and_of_a_certificate_give_the_same_key,
		pem_of_a_key_and_something_more_is_refused,
		pem_of_anything_else_is_refused,
		rfc7517_appendix_a1_set_keeps_the_signing_key,
		sets_that_are_ambiguous_or_no_sets_are_refused,
		a_set_holds_64_keys_at_most,
	};

	return suite_run("jwk", tests, COUNT(tests));
}
