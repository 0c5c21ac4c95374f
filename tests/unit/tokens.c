/* See tokens.h. */
#include "tests/unit/tokens.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "jose/b64.h"
#include "tests/helpers/keys.h"

enum { TEXT_MAX = 1 << 16 };

EVP_PKEY *private_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

	ck_assert_ptr_nonnull(pkey);
	BIO_free(bio);
	return pkey;
}

struct jwk *public_jwk(const char *pem)
{
	EVP_PKEY *pkey = private_key(pem);
	struct jwk *key = NULL;

	ck_assert_int_eq(jwk_from_pkey(pkey, STR_NONE, &key), ERR_OK);
	EVP_PKEY_free(pkey);
	return key;
}

char *public_pem(const char *pem)
{
	EVP_PKEY *pkey = private_key(pem);
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	char *text;
	long n;

	ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, pkey), 1);
	n = BIO_get_mem_data(bio, &data);
	text = strndup(data, (size_t)n);
	BIO_free(bio);
	EVP_PKEY_free(pkey);
	return text;
}

/* The heap copy that the tests free. */
static char *finish(struct buf *b)
{
	struct str text;
	char *copy;

	ck_assert_int_eq(buf_end(b, &text), ERR_OK);
	copy = strndup(text.p, text.n);
	buf_done(b);
	return copy;
}

char *signing_input(const char *header, struct str payload)
{
	struct buf b;

	buf_init(&b, NULL, TEXT_MAX);
	b64url_encode(&b, header, strlen(header));
	buf_byte(&b, '.');
	b64url_encode(&b, payload.p, payload.n);
	return finish(&b);
}

char *with_signature(const char *input, const void *signature, size_t n)
{
	struct buf b;

	buf_init(&b, NULL, TEXT_MAX);
	buf_z(&b, input);
	buf_byte(&b, '.');
	b64url_encode(&b, signature, n);
	return finish(&b);
}

/* DER to r || s, each half as wide as the curve. */
static size_t split_der(const unsigned char *der, size_t n, unsigned char *out, int half)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);

	ck_assert_ptr_nonnull(sig);
	ck_assert_int_eq(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, half), half);
	ck_assert_int_eq(BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + half, half), half);
	ECDSA_SIG_free(sig);
	return 2 * (size_t)half;
}

size_t raw_signature(const char *pem, struct str input, unsigned char ret_signature[SIGNATURE_MAX])
{
	EVP_PKEY *pkey = private_key(pem);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char made[SIGNATURE_MAX];
	size_t n = sizeof(made);

	ck_assert_int_eq(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey), 1);
	ck_assert_int_eq(EVP_DigestSign(ctx, made, &n, (const unsigned char *)input.p, input.n), 1);
	if (EVP_PKEY_is_a(pkey, "EC"))
		n = split_der(made, n, ret_signature, (EVP_PKEY_get_bits(pkey) + 7) / 8);
	else
		memcpy(ret_signature, made, n);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return n;
}

char *signed_token(const char *pem, const char *header, const char *payload)
{
	char *input = signing_input(header, str_z(payload));
	unsigned char signature[SIGNATURE_MAX];
	size_t n = raw_signature(pem, str_z(input), signature);
	char *token = with_signature(input, signature, n);

	free(input);
	return token;
}

char *hmac_token(struct str key, const char *header, const char *payload)
{
	char *input = signing_input(header, str_z(payload));
	unsigned char mac[32];
	unsigned n = sizeof(mac);
	char *token;

	ck_assert_ptr_nonnull(HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)input,
				   strlen(input), mac, &n));
	token = with_signature(input, mac, n);
	free(input);
	return token;
}

enum err token_check(struct str token, const struct jwk *key)
{
	AUTO(arena, a) = NULL;
	struct jws jws;
	enum err e;

	ck_assert_int_eq(arena_new(1 << 16, &a), ERR_OK);
	e = jws_parse(a, token, &jws);
	return e ? e : jws_verify(&jws, key);
}

enum err token_check_z(const char *token, const struct jwk *key)
{
	return token_check(str_z(token), key);
}

enum err token_parse(const char *token)
{
	AUTO(arena, a) = NULL;
	struct jws jws;

	ck_assert_int_eq(arena_new(1 << 16, &a), ERR_OK);
	return jws_parse(a, str_z(token), &jws);
}

enum err header_parse(const char *header)
{
	char *token = signed_token(KEY_EC_1, header, "{}");
	enum err e = token_parse(token);

	free(token);
	return e;
}
