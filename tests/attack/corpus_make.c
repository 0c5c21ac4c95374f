/* See corpus_make.h. Everything is signed by OpenSSL directly (tests/unit/tokens.h). */
#include "tests/attack/corpus_make.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/x509.h>

#include "base/limits.h"
#include "tests/helpers/keys.h"
#include "tests/unit/tokens.h"

/* ---- who signs ---- */

char *make_by_us(const struct draft *d)
{
	return signed_token(d->w->ec_pem, d->header, d->payload);
}

char *make_by_rsa(const struct draft *d)
{
	return signed_token(d->w->rsa_pem, d->header, d->payload);
}

char *make_by_stranger(const struct draft *d)
{
	return signed_token(KEY_EC_2, d->header, d->payload);
}

/* CVE-2016-10555 and its many children: the public key as an HMAC secret */
char *make_by_hmac_of_pem(const struct draft *d)
{
	char *pem = public_pem(d->w->ec_pem);
	char *token = hmac_token(str_z(pem), d->header, d->payload);

	free(pem);
	return token;
}

char *make_by_hmac_of_rsa_pem(const struct draft *d)
{
	char *pem = public_pem(d->w->rsa_pem);
	char *token = hmac_token(str_n(pem, strlen(pem) - 1), d->header, d->payload);

	free(pem);
	return token;
}

char *make_by_hmac_of_der(const struct draft *d)
{
	EVP_PKEY *key = private_key(d->w->ec_pem);
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key, &der);
	char *token = hmac_token(str_n(der, (size_t)n), d->header, d->payload);

	OPENSSL_free(der);
	EVP_PKEY_free(key);
	return token;
}

static char *jwk_of(const char *pem)
{
	AUTO(jwk, key) = public_jwk(pem);
	struct buf b;
	struct jsonw w;
	struct str text;
	char *copy;

	buf_init(&b, NULL, CORPUS_TEXT_MAX);
	jsonw_init(&w, &b);
	jwk_export(key, &w);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	copy = strndup(text.p, text.n);
	buf_done(&b);
	return copy;
}

char *make_by_hmac_of_jwk(const struct draft *d)
{
	char *jwk = jwk_of(d->w->ec_pem);
	char *token = hmac_token(str_z(jwk), d->header, d->payload);

	free(jwk);
	return token;
}

char *make_by_hmac_of_kid(const struct draft *d)
{
	return hmac_token(str_z(d->w->ec_kid), d->header, d->payload);
}

char *make_by_hmac_of_nothing(const struct draft *d)
{
	return hmac_token(STR(""), d->header, d->payload);
}

/* CVE-2018-0114: the stranger's own key in the header, and its signature */
char *make_by_stranger_with_jwk(const struct draft *d)
{
	char *jwk = jwk_of(KEY_EC_2);
	char header[CORPUS_TEXT_MAX];
	char *token;

	snprintf(header, sizeof(header), "%.*s,\"jwk\":%s}", (int)strlen(d->header) - 1, d->header,
		 jwk);
	token = signed_token(KEY_EC_2, header, d->payload);
	free(jwk);
	return token;
}

/* ---- signatures ---- */

static char *with_bytes(const struct draft *d, const void *signature, size_t n)
{
	char *input = signing_input(d->header, str_z(d->payload));
	char *token = with_signature(input, signature, n);

	free(input);
	return token;
}

/* The good signature, changed. */
static char *bent(const struct draft *d, size_t (*bend)(unsigned char *s, size_t n))
{
	char *input = signing_input(d->header, str_z(d->payload));
	unsigned char s[SIGNATURE_MAX + 1];
	size_t n = bend(s, raw_signature(d->w->ec_pem, str_z(input), s));
	char *token = with_signature(input, s, n);

	free(input);
	return token;
}

char *make_without_signature(const struct draft *d)
{
	return with_bytes(d, "", 0);
}

/* CVE-2022-21449 */
char *make_of_zeros(const struct draft *d)
{
	static const unsigned char zeros[64];

	return with_bytes(d, zeros, sizeof(zeros));
}

char *make_of_ones(const struct draft *d)
{
	unsigned char ones[64];

	memset(ones, 0xff, sizeof(ones));
	return with_bytes(d, ones, sizeof(ones));
}

/* r = 0 and s = 0 each alone, and r = n, which is 0 again */
static size_t zero_r(unsigned char *s, size_t n)
{
	memset(s, 0, 32);
	return n;
}

static size_t zero_s(unsigned char *s, size_t n)
{
	memset(s + 32, 0, 32);
	return n;
}

static size_t swap(unsigned char *s, size_t n)
{
	unsigned char r[32];

	memcpy(r, s, 32);
	memcpy(s, s + 32, 32);
	memcpy(s + 32, r, 32);
	return n;
}

static size_t flip(unsigned char *s, size_t n)
{
	s[n - 1] ^= 1;
	return n;
}

static size_t cut(unsigned char *s, size_t n)
{
	(void)s;
	return n - 1;
}

static size_t grow(unsigned char *s, size_t n)
{
	s[n] = 0;
	return n + 1;
}

char *make_with_zero_r(const struct draft *d)
{
	return bent(d, zero_r);
}

char *make_with_zero_s(const struct draft *d)
{
	return bent(d, zero_s);
}

char *make_with_halves_swapped(const struct draft *d)
{
	return bent(d, swap);
}

char *make_with_a_bit_flipped(const struct draft *d)
{
	return bent(d, flip);
}

char *make_with_a_byte_less(const struct draft *d)
{
	return bent(d, cut);
}

char *make_with_a_byte_more(const struct draft *d)
{
	return bent(d, grow);
}

/* RFC 3279's form, which OpenSSL makes and RFC 7518 3.4 does not want */
char *make_in_der(const struct draft *d)
{
	EVP_PKEY *key = private_key(d->w->ec_pem);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	char *input = signing_input(d->header, str_z(d->payload));
	unsigned char der[128];
	size_t n = sizeof(der);
	char *token;

	ck_assert_int_eq(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	ck_assert_int_eq(EVP_DigestSign(ctx, der, &n, (const unsigned char *)input, strlen(input)),
			 1);
	token = with_signature(input, der, n);
	free(input);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return token;
}

/* A good signature, of another token. */
char *make_with_the_signature_of_another(const struct draft *d)
{
	char *other = signed_token(d->w->ec_pem, d->header, "{\"sub\":\"somebody\"}");
	char *input = signing_input(d->header, str_z(d->payload));
	char token[CORPUS_TEXT_MAX];

	snprintf(token, sizeof(token), "%s%s", input, strrchr(other, '.'));
	free(other);
	free(input);
	return strdup(token);
}

/* ---- spellings ---- */

/* The good token between two texts. */
static char *around(const struct draft *d, const char *before, const char *after)
{
	char *good = make_by_us(d);
	char text[CORPUS_TEXT_MAX];

	snprintf(text, sizeof(text), "%s%s%s", before, good, after);
	free(good);
	return strdup(text);
}

char *make_padded(const struct draft *d)
{
	return around(d, "", "==");
}

char *make_with_a_space(const struct draft *d)
{
	return around(d, "", " ");
}

char *make_with_a_newline(const struct draft *d)
{
	return around(d, "", "\n");
}

char *make_with_its_scheme(const struct draft *d)
{
	return around(d, "Bearer ", "");
}

char *make_with_a_fourth_segment(const struct draft *d)
{
	return around(d, "", ".AAAA");
}

char *make_with_an_empty_segment_before(const struct draft *d)
{
	return around(d, ".", "");
}

/* The shape of a JWE (RFC 7516 7.1). */
char *make_with_five_segments(const struct draft *d)
{
	return around(d, "", ".AAAA.AAAA");
}

/* 64 bytes leave four bits in the last character: 15 other spellings of the same signature. */
char *make_with_bits_left_over(const struct draft *d)
{
	char *token = make_by_us(d);
	char *last = token + strlen(token) - 1;

	*last = (char)(*last + 1); /* A, Q, g or w: what follows is in the alphabet */
	return token;
}

/* RFC 4648 4 instead of 5 */
char *make_in_the_other_alphabet(const struct draft *d)
{
	char *token = around(d, "", "");
	bool changed = false;

	for (char *p = token; *p; p++) {
		if (*p == '-' || *p == '_') {
			*p = *p == '-' ? '+' : '/';
			changed = true;
		}
	}
	if (!changed)
		token[0] = '+';
	return token;
}

/* RFC 7515 7.2 */
char *make_in_json(const struct draft *d)
{
	char *token = make_by_us(d);
	char *payload = strchr(token, '.'), *signature = strrchr(token, '.');
	char text[CORPUS_TEXT_MAX];

	*payload++ = '\0';
	*signature++ = '\0';
	snprintf(text, sizeof(text),
		 "{\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}", token, payload,
		 signature);
	free(token);
	return strdup(text);
}

char *make_of_two_segments(const struct draft *d)
{
	return signing_input(d->header, str_z(d->payload));
}

/* CVE-2025-30204 */
char *make_of_dots(const struct draft *d)
{
	char dots[JWT_SIZE_MAX];

	(void)d;
	memset(dots, '.', sizeof(dots));
	return strndup(dots, sizeof(dots));
}

char *make_of_nothing(const struct draft *d)
{
	(void)d;
	return strdup("");
}

char *make_of_two_dots(const struct draft *d)
{
	(void)d;
	return strdup("..");
}

char *make_of_a_huge_payload(const struct draft *d)
{
	char payload[CORPUS_TEXT_MAX];

	snprintf(payload, sizeof(payload), "%.*s,\"pad\":\"%08500d\"}", (int)strlen(d->payload) - 1,
		 d->payload, 0);
	return signed_token(d->w->ec_pem, d->header, payload);
}

char *make_of_no_json(const struct draft *d)
{
	return signed_token(d->w->ec_pem, d->header, "sub=alice");
}

char *make_of_a_json_list(const struct draft *d)
{
	return signed_token(d->w->ec_pem, d->header, "[]");
}

char *make_of_deep_json(const struct draft *d)
{
	char payload[CORPUS_TEXT_MAX];
	size_t n = (size_t)snprintf(payload, sizeof(payload),
				    "%.*s,\"deep\":", (int)strlen(d->payload) - 1, d->payload);

	memset(payload + n, '[', 1000);
	memset(payload + n + 1000, ']', 1000);
	payload[n + 2000] = '}';
	payload[n + 2001] = '\0';
	return signed_token(d->w->ec_pem, d->header, payload);
}
