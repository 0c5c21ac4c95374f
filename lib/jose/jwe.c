/* Opening a nested token, in the order of RFC 7516 5.2. The header chooses nothing: its `alg` must
 * be the key's and its `enc` the one there is (RFC 8725 3.1). Lengths are judged before anything is
 * computed: a tag of fewer bytes than 16 would be that much easier to guess, and OpenSSL takes any.
 *
 * Opening proves nothing about who made the token: anybody can encrypt to a public key. What comes
 * out is to be verified like every other token. */
#include "jose/jwe.h"

#include <assert.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/json.h"
#include "base/secret.h"
#include "jose/b64.h"
#include "jose/public_key.h"

enum { POINT_LEN = JWE_POINT_LEN, PARTY_MAX = 64, SEGMENTS = 5 };

static_assert((int)JWE_POINT_LEN == 1 + 2 * (int)P256_COORDINATE_LEN, "04 || x || y");

struct jwe_key {
	EVP_PKEY *pkey;
	const char *alg;
};

/* ---- keys ---- */

static const char *alg_of(enum alg kind)
{
	return kind == ALG_RS256 ? "RSA-OAEP-256" : "ECDH-ES";
}

/* The public half is judged like everybody's: size, curve, point. */
static enum err judge_key(EVP_PKEY *pkey, const char **ret_alg)
{
	struct public_key numbers = { .alg = ALG_UNKNOWN };
	EVP_PKEY *rebuilt = NULL;
	enum err e = public_key_of(pkey, &numbers);

	if (!e)
		e = public_key_build(&numbers, &rebuilt);
	EVP_PKEY_free(rebuilt);
	if (!e)
		*ret_alg = alg_of(numbers.alg);
	return e;
}

/* Nobody is there to be asked for a passphrase. */
static int no_passphrase(char *text, int size, int writing, void *arg)
{
	(void)text;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

enum err jwe_key_from_pem(struct str pem, struct jwe_key **ret_key)
{
	AUTO(jwe_key, key) = calloc(1, sizeof(*key));
	BIO *bio;
	enum err e;

	if (!key)
		return ERR_NOMEM;
	if (pem.n > JWKS_SIZE_MAX)
		return ERR_LIMIT;
	ERR_clear_error();
	bio = BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n);
	if (!bio)
		return openssl_error(ERR_NOMEM);
	key->pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	if (!key->pkey)
		return openssl_error(ERR_SYNTAX);
	e = judge_key(key->pkey, &key->alg);
	if (!e)
		*ret_key = TAKE(key);
	return e;
}

enum err jwe_key_ephemeral(struct jwe_key **ret_key, unsigned char ret_point[JWE_POINT_LEN])
{
	AUTO(jwe_key, key) = calloc(1, sizeof(*key));
	struct public_key numbers;
	enum err e;

	if (!key)
		return ERR_NOMEM;
	ERR_clear_error();
	key->pkey = EVP_EC_gen("P-256");
	if (!key->pkey)
		return openssl_error(ERR_CRYPTO);
	key->alg = alg_of(ALG_ES256);
	e = public_key_of(key->pkey, &numbers);
	if (e)
		return e;
	ret_point[0] = POINT_CONVERSION_UNCOMPRESSED;
	memcpy(ret_point + 1, numbers.first.b, P256_COORDINATE_LEN);
	memcpy(ret_point + 1 + P256_COORDINATE_LEN, numbers.second.b, P256_COORDINATE_LEN);
	*ret_key = TAKE(key);
	return ERR_OK;
}

void jwe_key_free(struct jwe_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

/* ---- ECDH-ES ---- */

static enum err peer_of(struct str point, EVP_PKEY **ret_peer)
{
	struct public_key numbers = { .alg = ALG_ES256 };
	enum err e;

	if (point.n != POINT_LEN || point.p[0] != POINT_CONVERSION_UNCOMPRESSED)
		return ERR_UNSUPPORTED;
	numbers.first.n = P256_COORDINATE_LEN;
	numbers.second.n = P256_COORDINATE_LEN;
	memcpy(numbers.first.b, point.p + 1, P256_COORDINATE_LEN);
	memcpy(numbers.second.b, point.p + 1 + P256_COORDINATE_LEN, P256_COORDINATE_LEN);
	e = public_key_build(&numbers, ret_peer);
	return e == ERR_SYNTAX ? ERR_UNSUPPORTED : e; /* not on the curve */
}

static enum err shared_secret(EVP_PKEY *ours, EVP_PKEY *peer,
			      unsigned char ret_z[P256_COORDINATE_LEN])
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ours, NULL);
	size_t n = P256_COORDINATE_LEN;
	bool done = ctx && EVP_PKEY_derive_init(ctx) == 1 &&
		    EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
		    EVP_PKEY_derive(ctx, ret_z, &n) == 1 && n == P256_COORDINATE_LEN;

	EVP_PKEY_CTX_free(ctx);
	return done ? ERR_OK : openssl_error(ERR_CRYPTO);
}

static bool add_number(EVP_MD_CTX *ctx, uint32_t v)
{
	const unsigned char be[] = { (unsigned char)(v >> 24), (unsigned char)(v >> 16),
				     (unsigned char)(v >> 8), (unsigned char)v };

	return EVP_DigestUpdate(ctx, be, sizeof(be)) == 1;
}

static bool add_counted(EVP_MD_CTX *ctx, struct str text)
{
	return add_number(ctx, (uint32_t)text.n) &&
	       (text.n == 0 || EVP_DigestUpdate(ctx, text.p, text.n) == 1);
}

/* Concat KDF of NIST SP 800-56A 5.8.1, as RFC 7518 4.6.2 fills it in; one round. */
static enum err concat_kdf(const unsigned char z[P256_COORDINATE_LEN],
			   const struct jwe_agreement *a, unsigned char *ret_key, size_t n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char digest[32];
	bool done = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 && add_number(ctx, 1) &&
		    EVP_DigestUpdate(ctx, z, P256_COORDINATE_LEN) == 1 && add_counted(ctx, a->id) &&
		    add_counted(ctx, a->apu) && add_counted(ctx, a->apv) &&
		    add_number(ctx, (uint32_t)n * 8) && EVP_DigestFinal_ex(ctx, digest, NULL) == 1;

	if (done)
		memcpy(ret_key, digest, n);
	wipe(digest, sizeof(digest));
	EVP_MD_CTX_free(ctx);
	return done ? ERR_OK : openssl_error(ERR_CRYPTO);
}

enum err jwe_agree(const struct jwe_key *key, const struct jwe_agreement *agreement,
		   unsigned char *ret_key, size_t n)
{
	unsigned char z[P256_COORDINATE_LEN];
	EVP_PKEY *peer = NULL;
	enum err e;

	if (!EVP_PKEY_is_a(key->pkey, "EC") || n > 32)
		return ERR_UNSUPPORTED;
	e = peer_of(agreement->point, &peer);
	if (!e)
		e = shared_secret(key->pkey, peer, z);
	EVP_PKEY_free(peer);
	if (!e)
		e = concat_kdf(z, agreement, ret_key, n);
	wipe(z, sizeof(z));
	return e;
}

/* ---- RSA-OAEP-256 ---- */

/* RFC 7518 4.3: SHA-256 for the hash and for MGF1. */
static bool prepare_oaep(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_decrypt_init(ctx) == 1 &&
	       EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1;
}

static enum err unwrap(const struct jwe_key *key, struct str wrapped,
		       unsigned char ret_key[JWE_KEY_LEN])
{
	unsigned char plain[RSA_BITS_MAX / 8];
	size_t n = sizeof(plain);
	EVP_PKEY_CTX *ctx;
	enum err e = ERR_OK;

	if (wrapped.n != (size_t)EVP_PKEY_get_size(key->pkey))
		return ERR_BAD_SIGNATURE;
	ERR_clear_error();
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
	if (!ctx || !prepare_oaep(ctx))
		e = openssl_error(ERR_CRYPTO);
	else if (EVP_PKEY_decrypt(ctx, plain, &n, (const unsigned char *)wrapped.p, wrapped.n) != 1)
		e = openssl_error(ERR_BAD_SIGNATURE);
	else if (n != JWE_KEY_LEN)
		e = ERR_BAD_SIGNATURE;
	else
		memcpy(ret_key, plain, JWE_KEY_LEN);
	wipe(plain, sizeof(plain));
	EVP_PKEY_CTX_free(ctx);
	return e;
}

/* ---- content ---- */

enum err jwe_content_open(const unsigned char key[JWE_KEY_LEN], const struct jwe_content *c,
			  unsigned char *ret_plain)
{
	unsigned char tag[JWE_TAG_LEN];
	EVP_CIPHER_CTX *ctx;
	enum err e = ERR_OK;
	int n = 0;

	if (c->iv.n != JWE_IV_LEN || c->tag.n != JWE_TAG_LEN || c->text.n > JWT_SIZE_MAX)
		return ERR_SYNTAX;
	memcpy(tag, c->tag.p, sizeof(tag));
	ERR_clear_error();
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx ||
	    EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, (const unsigned char *)c->iv.p) !=
		    1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) != 1 ||
	    EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)c->aad.p, (int)c->aad.n) != 1 ||
	    EVP_DecryptUpdate(ctx, ret_plain, &n, (const unsigned char *)c->text.p,
			      (int)c->text.n) != 1)
		e = openssl_error(ERR_CRYPTO);
	else if (EVP_DecryptFinal_ex(ctx, ret_plain + n, &n) != 1)
		e = openssl_error(ERR_BAD_SIGNATURE);
	EVP_CIPHER_CTX_free(ctx);
	return e;
}

/* ---- the token ---- */

enum { HEADER, WRAPPED, IV, TEXT, TAG };

struct jwe {
	struct str segments[SEGMENTS]; /* encoded */
	struct str bytes[SEGMENTS];    /* decoded, the arena's */
	unsigned char apu[PARTY_MAX], apv[PARTY_MAX], point[POINT_LEN];
	struct jwe_agreement agreement;
};

/* RFC 7516 7.1: five segments. */
static enum err split(struct str token, struct jwe *jwe)
{
	struct str rest = token;

	for (size_t i = 0; i < SEGMENTS; i++) {
		const char *dot = rest.n ? memchr(rest.p, '.', rest.n) : NULL;
		size_t n = dot ? (size_t)(dot - rest.p) : rest.n;

		if (!dot != (i == SEGMENTS - 1))
			return ERR_SYNTAX;
		jwe->segments[i] = str_n(rest.p, n);
		if (dot)
			rest = str_n(dot + 1, rest.n - n - 1);
	}
	return ERR_OK;
}

static enum err decode(struct arena *a, struct str text, struct str *ret_bytes)
{
	size_t cap = text.n / 4 * 3 + 3;
	char *bytes = arena_alloc(a, cap);
	size_t n;
	enum err e;

	if (!bytes)
		return ERR_NOMEM;
	e = b64url_decode(text, bytes, cap, &n);
	if (!e)
		*ret_bytes = str_n(bytes, n);
	return e;
}

static bool member_is(const struct json *header, const char *name, const char *wanted)
{
	struct str text;

	return json_str(json_get(header, name), &text) && str_equal_z(text, wanted);
}

/* RFC 7519 5.2: "JWT", recommended in capitals */
static bool is_nested(const struct json *header)
{
	struct str cty;

	return json_str(json_get(header, "cty"), &cty) && str_case_equal(cty, STR("JWT"));
}

static enum err check_header(const struct json *header, const struct jwe_key *key)
{
	struct str text;

	if (json_type(header) != JSON_OBJECT || !json_str(json_get(header, "alg"), &text) ||
	    !json_str(json_get(header, "enc"), &text))
		return ERR_SYNTAX;
	if (json_get(header, "crit") || json_get(header, "zip") || json_get(header, "b64"))
		return ERR_UNSUPPORTED;
	return member_is(header, "alg", key->alg) && member_is(header, "enc", "A256GCM") &&
			       is_nested(header)
		       ? ERR_OK
		       : ERR_UNSUPPORTED;
}

static enum err read_bytes(const struct json *object, const char *name, unsigned char *ret_bytes,
			   size_t cap, struct str *ret_value)
{
	struct str text;
	size_t n;
	enum err e;

	if (!json_get(object, name))
		return ERR_OK;
	if (!json_str(json_get(object, name), &text))
		return ERR_SYNTAX;
	e = b64url_decode(text, ret_bytes, cap, &n);
	if (!e)
		*ret_value = str_n(ret_bytes, n);
	return e;
}

/* RFC 7518 4.6.1: epk, of public members only, and who may be named. */
static enum err read_agreement(const struct json *header, struct jwe *jwe)
{
	const struct json *epk = json_get(header, "epk");
	struct str x = STR_NONE, y = STR_NONE;
	enum err e;

	if (!member_is(epk, "kty", "EC") || !member_is(epk, "crv", "P-256") || json_get(epk, "d"))
		return ERR_UNSUPPORTED;
	jwe->point[0] = POINT_CONVERSION_UNCOMPRESSED;
	e = read_bytes(epk, "x", jwe->point + 1, P256_COORDINATE_LEN, &x);
	if (!e)
		e = read_bytes(epk, "y", jwe->point + 1 + P256_COORDINATE_LEN, P256_COORDINATE_LEN,
			       &y);
	if (!e && (x.n != P256_COORDINATE_LEN || y.n != P256_COORDINATE_LEN))
		e = ERR_UNSUPPORTED;
	if (!e)
		e = read_bytes(header, "apu", jwe->apu, sizeof(jwe->apu), &jwe->agreement.apu);
	if (!e)
		e = read_bytes(header, "apv", jwe->apv, sizeof(jwe->apv), &jwe->agreement.apv);
	jwe->agreement.id = STR("A256GCM");
	jwe->agreement.point = str_n(jwe->point, sizeof(jwe->point));
	return e;
}

static enum err read_token(struct arena *a, struct str token, const struct jwe_key *key,
			   struct jwe *jwe)
{
	AUTO(json, header) = NULL;
	enum err e = split(token, jwe);

	for (size_t i = 0; !e && i < SEGMENTS; i++)
		e = decode(a, jwe->segments[i], &jwe->bytes[i]);
	if (!e && (jwe->bytes[IV].n != JWE_IV_LEN || jwe->bytes[TAG].n != JWE_TAG_LEN))
		e = ERR_SYNTAX;
	if (!e)
		e = json_parse(jwe->bytes[HEADER], JOSE_HEADER_MAX, &header);
	if (!e)
		e = check_header(header, key);
	if (!e && EVP_PKEY_is_a(key->pkey, "EC"))
		e = read_agreement(header, jwe);
	return e;
}

static enum err find_content_key(const struct jwe *jwe, const struct jwe_key *key,
				 unsigned char ret_key[JWE_KEY_LEN])
{
	if (!EVP_PKEY_is_a(key->pkey, "EC"))
		return unwrap(key, jwe->bytes[WRAPPED], ret_key);
	/* RFC 7518 4.6: agreed directly, nothing is wrapped */
	if (jwe->bytes[WRAPPED].n != 0)
		return ERR_SYNTAX;
	return jwe_agree(key, &jwe->agreement, ret_key, JWE_KEY_LEN);
}

/* RFC 7516 11.5: a key that does not unwrap takes as long as one that does, and ends in the same
 * answer. */
static enum err open_content(const struct jwe *jwe, const struct jwe_key *key,
			     unsigned char *ret_plain)
{
	const struct jwe_content content = {
		.aad = jwe->segments[HEADER],
		.iv = jwe->bytes[IV],
		.text = jwe->bytes[TEXT],
		.tag = jwe->bytes[TAG],
	};
	unsigned char content_key[JWE_KEY_LEN] = { 0 };
	enum err found = find_content_key(jwe, key, content_key);
	enum err opened = ERR_OK;

	if (!found || found == ERR_BAD_SIGNATURE)
		opened = jwe_content_open(content_key, &content, ret_plain);
	wipe(content_key, sizeof(content_key));
	return found ? found : opened;
}

enum err jwe_open(struct arena *a, struct str token, const struct jwe_key *key,
		  struct str *ret_plain)
{
	struct jwe jwe = { .agreement = { .apu = STR_NONE } };
	unsigned char *plain;
	enum err e;

	if (token.n > JWT_SIZE_MAX)
		return ERR_LIMIT;
	e = read_token(a, token, key, &jwe);
	if (e)
		return e;
	plain = arena_alloc(a, jwe.bytes[TEXT].n + 1);
	if (!plain)
		return ERR_NOMEM;
	e = open_content(&jwe, key, plain);
	if (!e)
		*ret_plain = str_n(plain, jwe.bytes[TEXT].n);
	return e;
}
