/* Making a nested token, in the order of RFC 7516 5.1. A content key is used once, so that a random
 * IV can not meet it twice. */
#include "jose/jwe_encrypt.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "base/limits.h"
#include "base/secret.h"
#include "jose/b64.h"
#include "jose/jwe.h"
#include "jose/jwk.h"
#include "jose/public_key.h"

enum { JWK_TEXT_MAX = 4096, HEADER_TEXT_MAX = 1024 };

struct jwe_recipient {
	struct jwk *key; /* as one for signatures: the numbers are judged alike */
	const char *alg;
	struct public_key numbers;
};

/* ---- keys ---- */

static const char *alg_for(const struct jwk *key)
{
	return jwk_alg(key) == ALG_RS256 ? "RSA-OAEP-256" : "ECDH-ES";
}

/* Takes the key. */
static enum err recipient_of(struct jwk *key, struct jwe_recipient **ret_recipient)
{
	AUTO(jwe_recipient, r) = calloc(1, sizeof(*r));
	enum err e;

	if (!r) {
		jwk_free(key);
		return ERR_NOMEM;
	}
	r->key = key;
	r->alg = alg_for(key);
	e = public_key_of(jwk_pkey(key), &r->numbers);
	if (!e)
		*ret_recipient = TAKE(r);
	return e;
}

static bool says(const struct json *object, const char *name, const char *wanted)
{
	const struct json *v = json_get(object, name);
	struct str text;

	return !v || (json_str(v, &text) && str_equal_z(text, wanted));
}

/* The same key without what it is for, which jwk_from_json would take for signatures only. */
static enum err read_numbers(const struct json *object, struct jwk **ret_key)
{
	static const char *const left_out[] = { "use", "alg", "key_ops" };
	AUTO(json, plain) = NULL;
	struct buf text;
	struct jsonw w;
	struct str name, bytes;
	const struct json *value;
	void *iter = NULL;
	enum err e;

	buf_init(&text, NULL, JWK_TEXT_MAX);
	jsonw_init(&w, &text);
	jsonw_object(&w);
	while (json_each(object, &iter, &name, &value)) {
		if (str_equal_z(name, left_out[0]) || str_equal_z(name, left_out[1]) ||
		    str_equal_z(name, left_out[2]))
			continue;
		jsonw_key_str(&w, name);
		jsonw_value(&w, value);
	}
	jsonw_end_object(&w);
	e = buf_end(&text, &bytes);
	if (!e)
		e = json_parse(bytes, JWK_TEXT_MAX, &plain);
	if (!e)
		e = jwk_from_json(plain, ret_key);
	buf_done(&text);
	return e;
}

enum err jwe_recipient_from_json(const struct json *object, struct jwe_recipient **ret_recipient)
{
	AUTO(jwk, key) = NULL;
	enum err e;

	if (json_type(object) != JSON_OBJECT)
		return ERR_SYNTAX;
	if (!says(object, "use", "enc") || json_get(object, "key_ops"))
		return ERR_UNSUPPORTED;
	e = read_numbers(object, &key);
	if (e)
		return e;
	if (!says(object, "alg", alg_for(key)))
		return ERR_UNSUPPORTED;
	return recipient_of(TAKE(key), ret_recipient);
}

enum err jwe_recipient_from_pem(struct str pem, struct jwe_recipient **ret_recipient)
{
	struct jwk *key;
	enum err e = jwk_from_pem(pem, STR_NONE, &key);

	return e ? e : recipient_of(key, ret_recipient);
}

void jwe_recipient_free(struct jwe_recipient *r)
{
	if (!r)
		return;
	jwk_free(r->key);
	free(r);
}

static void write_number(struct jsonw *w, const char *name, const unsigned char *bytes, size_t n)
{
	char text[B64URL_LEN(SIGNATURE_MAX) + 1];

	b64url_encode_z(bytes, n, text);
	jsonw_member_z(w, name, text);
}

void jwe_recipient_export(const struct jwe_recipient *r, struct jsonw *w)
{
	const bool rsa = r->numbers.alg == ALG_RS256;

	jsonw_object(w);
	jsonw_member_z(w, "kty", alg_kty(r->numbers.alg));
	jsonw_member_z(w, "use", "enc");
	jsonw_member_z(w, "alg", r->alg);
	jsonw_member(w, "kid", jwk_kid(r->key));
	if (!rsa)
		jsonw_member_z(w, "crv", "P-256");
	write_number(w, rsa ? "n" : "x", r->numbers.first.b, r->numbers.first.n);
	write_number(w, rsa ? "e" : "y", r->numbers.second.b, r->numbers.second.n);
	jsonw_end_object(w);
}

/* ---- the content key: 5.1 steps 1 to 6 ---- */

/* What a token is made of. */
struct parts {
	unsigned char key[JWE_KEY_LEN], iv[JWE_IV_LEN], tag[JWE_TAG_LEN];
	unsigned char wrapped[RSA_BITS_MAX / 8];
	size_t wrapped_len; /* 0: agreed, not wrapped */
	unsigned char point[JWE_POINT_LEN];
};

static bool prepare_oaep(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_encrypt_init(ctx) == 1 &&
	       EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1;
}

/* RFC 7518 4.3 */
static enum err wrap_key(const struct jwe_recipient *r, struct parts *p)
{
	EVP_PKEY_CTX *ctx;
	bool done;

	ERR_clear_error();
	p->wrapped_len = sizeof(p->wrapped);
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, jwk_pkey(r->key), NULL);
	done = RAND_priv_bytes(p->key, sizeof(p->key)) == 1 && ctx && prepare_oaep(ctx) &&
	       EVP_PKEY_encrypt(ctx, p->wrapped, &p->wrapped_len, p->key, sizeof(p->key)) == 1;
	EVP_PKEY_CTX_free(ctx);
	return done ? ERR_OK : openssl_error(ERR_CRYPTO);
}

/* RFC 7518 4.6: a key pair for this token alone; agreeing from our side gives what the reader gets
 * from its. */
static enum err agree_key(const struct jwe_recipient *r, struct parts *p)
{
	unsigned char theirs[JWE_POINT_LEN] = { 0x04 }; /* SEC 1 2.3.3, uncompressed */
	const struct jwe_agreement agreement = {
		.id = STR("A256GCM"),
		.point = str_n(theirs, sizeof(theirs)),
	};
	AUTO(jwe_key, ours) = NULL;
	enum err e = jwe_key_ephemeral(&ours, p->point);

	memcpy(theirs + 1, r->numbers.first.b, P256_COORDINATE_LEN);
	memcpy(theirs + 1 + P256_COORDINATE_LEN, r->numbers.second.b, P256_COORDINATE_LEN);
	return e ? e : jwe_agree(ours, &agreement, p->key, sizeof(p->key));
}

/* ---- header and content: steps 12 to 19 ---- */

static void write_epk(struct jsonw *w, const unsigned char point[JWE_POINT_LEN])
{
	jsonw_key(w, "epk");
	jsonw_object(w);
	jsonw_member_z(w, "kty", "EC");
	jsonw_member_z(w, "crv", "P-256");
	write_number(w, "x", point + 1, P256_COORDINATE_LEN);
	write_number(w, "y", point + 1 + P256_COORDINATE_LEN, P256_COORDINATE_LEN);
	jsonw_end_object(w);
}

static enum err write_header(const struct jwe_recipient *r, const struct parts *p, struct buf *out)
{
	struct buf json;
	struct jsonw w;
	enum err e;

	buf_init(&json, NULL, HEADER_TEXT_MAX);
	jsonw_init(&w, &json);
	jsonw_object(&w);
	jsonw_member_z(&w, "alg", r->alg);
	jsonw_member_z(&w, "enc", "A256GCM");
	jsonw_member_z(&w, "cty", "JWT"); /* RFC 7519 5.2 */
	jsonw_member(&w, "kid", jwk_kid(r->key));
	if (!p->wrapped_len)
		write_epk(&w, p->point);
	jsonw_end_object(&w);
	e = json.err;
	if (!e)
		b64url_encode(out, json.p, json.n);
	buf_done(&json);
	return e ? e : out->err;
}

/* RFC 7518 5.3 */
static enum err encrypt_content(struct parts *p, struct str aad, struct str plain,
				unsigned char *ret_text)
{
	EVP_CIPHER_CTX *ctx;
	int n = 0;
	bool done;

	ERR_clear_error();
	ctx = EVP_CIPHER_CTX_new();
	done = ctx && RAND_bytes(p->iv, sizeof(p->iv)) == 1 &&
	       EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, p->key, p->iv) == 1 &&
	       EVP_EncryptUpdate(ctx, NULL, &n, (const unsigned char *)aad.p, (int)aad.n) == 1 &&
	       EVP_EncryptUpdate(ctx, ret_text, &n, (const unsigned char *)plain.p, (int)plain.n) ==
		       1 &&
	       EVP_EncryptFinal_ex(ctx, ret_text + n, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, sizeof(p->tag), p->tag) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return done ? ERR_OK : openssl_error(ERR_CRYPTO);
}

/* RFC 7516 7.1; `out` holds the header already. */
static void write_rest(const struct parts *p, struct str text, struct buf *out)
{
	const struct str segments[] = {
		str_n(p->wrapped, p->wrapped_len),
		str_n(p->iv, sizeof(p->iv)),
		text,
		str_n(p->tag, sizeof(p->tag)),
	};

	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
		buf_byte(out, '.');
		b64url_encode(out, segments[i].p, segments[i].n);
	}
}

static enum err encrypt(const struct jwe_recipient *r, struct parts *p, struct str plain,
			struct buf *out)
{
	const size_t begin = out->n;
	unsigned char *text;
	enum err e = r->numbers.alg == ALG_RS256 ? wrap_key(r, p) : agree_key(r, p);

	if (!e)
		e = write_header(r, p, out);
	if (e)
		return e;
	text = malloc(plain.n);
	if (!text)
		return ERR_NOMEM;
	e = encrypt_content(p, str_n(out->p + begin, out->n - begin), plain, text);
	if (!e)
		write_rest(p, str_n(text, plain.n), out);
	free(text);
	if (!e && !out->err && out->n - begin > JWT_SIZE_MAX)
		return ERR_LIMIT;
	return e ? e : out->err;
}

enum err jwe_encrypt(const struct jwe_recipient *r, struct str plain, struct buf *out)
{
	struct parts p = { .wrapped_len = 0 };
	enum err e;

	if (plain.n == 0 || plain.n > JWT_SIZE_MAX)
		return ERR_LIMIT;
	e = encrypt(r, &p, plain, out);
	wipe(&p, sizeof(p));
	return e;
}
