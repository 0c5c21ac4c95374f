/* Private keys and signatures on OpenSSL's EVP_PKEY. A prepared context keeps what every signature
 * would otherwise look up again: the fetched digest and an initialised EVP_PKEY_CTX. */
#include "keys/sign.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/secret.h"

enum {
	RSA_BITS = 2048,
	SHA256_LEN = 32,
	P256_LEN = 32,		       /* one of r and s */
	P256_POINT = 1 + 2 * P256_LEN, /* uncompressed */
	P256_DER_MAX = 72,	       /* SEQUENCE of two INTEGERs of at most 33 bytes */
	PKCS8_MAX = 8192,
	SECURE_HEAP = 512 << 10, /* a held RSA-4096 key has 3 KiB of it, making one 20 */
	SECURE_HEAP_MIN = 32,	 /* bytes of its smallest piece */
};

struct signing_key {
	enum alg alg;
	EVP_PKEY *pkey;
};

struct sign_ctx {
	enum alg alg;
	EVP_PKEY_CTX *sign;
	EVP_MD_CTX *digest;
	EVP_MD *sha256;
};

enum err sign_library_init(void)
{
	static const unsigned char seed[SIGNING_SEED_LEN];
	struct signing_key *key = NULL, *derived = NULL;
	struct sign_ctx *ctx = NULL;
	unsigned char signature[SIGNATURE_MAX];
	size_t n;
	enum err e;

	/* 0 and 2: there is none, or it may be swapped; no more */
	if (!CRYPTO_secure_malloc_initialized())
		CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_HEAP_MIN);
	e = signing_key_generate(ALG_ES256, &key);
	if (!e)
		e = sign_ctx_new(key, &ctx);
	if (!e)
		e = sign(ctx, STR("first use"), signature, sizeof(signature), &n);
	if (!e)
		e = signing_key_derive(seed, &derived);
	sign_ctx_free(ctx);
	signing_key_free(key);
	signing_key_free(derived);
	return e;
}

static enum err wrap(enum alg alg, EVP_PKEY *pkey, struct signing_key **ret_key)
{
	struct signing_key *key = malloc(sizeof(*key));

	if (!key) {
		EVP_PKEY_free(pkey);
		return ERR_NOMEM;
	}
	*key = (struct signing_key){ .alg = alg, .pkey = pkey };
	*ret_key = key;
	return ERR_OK;
}

static EVP_PKEY *generate(enum alg alg)
{
	switch (alg) {
	case ALG_ES256:
		return EVP_EC_gen("P-256");
	case ALG_RS256:
		return EVP_RSA_gen(RSA_BITS);
	case ALG_UNKNOWN:
	case ALG_COUNT:
		break;
	}
	return NULL;
}

enum err signing_key_generate(enum alg alg, struct signing_key **ret_key)
{
	EVP_PKEY *pkey = generate(alg);

	if (!pkey)
		return alg == ALG_ES256 || alg == ALG_RS256 ? ERR_CRYPTO : ERR_UNSUPPORTED;
	return wrap(alg, pkey, ret_key);
}

/* RFC 8725 3.1: one key, one algorithm; so the key must be exactly of its algorithm's kind. */
static bool is_kind_of(EVP_PKEY *pkey, enum alg alg)
{
	char group[32] = "";
	size_t n;
	int bits;

	if (alg == ALG_RS256) {
		bits = EVP_PKEY_get_bits(pkey);
		return EVP_PKEY_is_a(pkey, "RSA") && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
	}
	if (alg != ALG_ES256 || !EVP_PKEY_is_a(pkey, "EC"))
		return false;
	return EVP_PKEY_get_group_name(pkey, group, sizeof(group), &n) &&
	       strcmp(group, "prime256v1") == 0;
}

static EVP_PKEY *parse_pkcs8(struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	PKCS8_PRIV_KEY_INFO *info;
	EVP_PKEY *pkey = NULL;

	if (der.n > PKCS8_MAX)
		return NULL;
	info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)der.n);
	if (info && (const char *)p == der.p + der.n)
		pkey = EVP_PKCS82PKEY(info);
	PKCS8_PRIV_KEY_INFO_free(info);
	return pkey;
}

enum err signing_key_load(enum alg alg, struct str pkcs8, struct signing_key **ret_key)
{
	EVP_PKEY *pkey = parse_pkcs8(pkcs8);

	if (!pkey)
		return ERR_SYNTAX;
	if (!is_kind_of(pkey, alg)) {
		EVP_PKEY_free(pkey);
		return ERR_UNSUPPORTED;
	}
	return wrap(alg, pkey, ret_key);
}

/* ---- from a seed ---- */

/* Numbers on the way from a seed to a key. */
struct p256_numbers {
	EC_GROUP *group;
	BN_CTX *work;
	BIGNUM *limit, *seed, *scalar;
	EC_POINT *point;
	unsigned char point_text[P256_POINT];
};

static bool numbers_init(struct p256_numbers *n)
{
	*n = (struct p256_numbers){
		.group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1),
		.work = BN_CTX_secure_new(),
		.limit = BN_new(),
		.seed = BN_secure_new(),
		.scalar = BN_secure_new(),
	};
	n->point = n->group ? EC_POINT_new(n->group) : NULL;
	return n->work && n->limit && n->seed && n->scalar && n->point;
}

static void numbers_done(struct p256_numbers *n)
{
	EC_POINT_free(n->point);
	BN_clear_free(n->scalar);
	BN_clear_free(n->seed);
	BN_free(n->limit);
	BN_CTX_free(n->work);
	EC_GROUP_free(n->group);
}

/* FIPS 186-5 A.2.1: c mod (n - 1), plus 1, of a c with 128 bits more than n has; the bias is below
 * what anybody could see. */
static bool numbers_fill(struct p256_numbers *n, const unsigned char seed[SIGNING_SEED_LEN])
{
	BN_set_flags(n->seed, BN_FLG_CONSTTIME);
	BN_set_flags(n->scalar, BN_FLG_CONSTTIME);
	return BN_bin2bn(seed, SIGNING_SEED_LEN, n->seed) &&
	       BN_copy(n->limit, EC_GROUP_get0_order(n->group)) && BN_sub_word(n->limit, 1) &&
	       BN_mod(n->scalar, n->seed, n->limit, n->work) && BN_add_word(n->scalar, 1) &&
	       EC_POINT_mul(n->group, n->point, n->scalar, NULL, NULL, n->work) &&
	       EC_POINT_point2oct(n->group, n->point, POINT_CONVERSION_UNCOMPRESSED, n->point_text,
				  sizeof(n->point_text), n->work) == sizeof(n->point_text);
}

static OSSL_PARAM *params_of(const struct p256_numbers *n)
{
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;

	if (b && OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) &&
	    OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, n->point_text,
					     sizeof(n->point_text)) &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, n->scalar))
		params = OSSL_PARAM_BLD_to_param(b);
	OSSL_PARAM_BLD_free(b);
	return params;
}

static EVP_PKEY *key_of(OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *pkey = NULL;

	if (ctx && EVP_PKEY_fromdata_init(ctx) > 0 &&
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) <= 0)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

enum err signing_key_derive(const unsigned char seed[SIGNING_SEED_LEN],
			    struct signing_key **ret_key)
{
	struct p256_numbers n;
	OSSL_PARAM *params = NULL;
	EVP_PKEY *pkey = NULL;

	if (numbers_init(&n) && numbers_fill(&n, seed))
		params = params_of(&n);
	if (params)
		pkey = key_of(params);
	OSSL_PARAM_free(params); /* clears what was secret */
	numbers_done(&n);
	return pkey ? wrap(ALG_ES256, pkey, ret_key) : ERR_CRYPTO;
}

void signing_key_free(struct signing_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey); /* clears the private parts */
	free(key);
}

enum err signing_key_pkcs8(const struct signing_key *key, struct buf *out)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->pkey);
	unsigned char *der = NULL;
	int n;

	if (!info)
		return ERR_CRYPTO;
	n = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	PKCS8_PRIV_KEY_INFO_free(info);
	if (n <= 0)
		return ERR_CRYPTO;
	buf_add(out, der, (size_t)n);
	OPENSSL_clear_free(der, (size_t)n);
	return out->err;
}

enum err signing_key_check(const struct signing_key *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
	bool good = ctx && EVP_PKEY_check(ctx) > 0;

	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return good ? ERR_OK : ERR_UNSUPPORTED;
}

enum err signing_key_public(const struct signing_key *key, struct str kid, struct jwk **ret_key)
{
	return jwk_from_pkey(key->pkey, kid, ret_key);
}

enum alg signing_key_alg(const struct signing_key *key)
{
	return key->alg;
}

static bool prepare(struct sign_ctx *ctx, EVP_PKEY *pkey)
{
	ctx->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	ctx->digest = EVP_MD_CTX_new();
	ctx->sign = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	if (!ctx->sha256 || !ctx->digest || !ctx->sign || EVP_PKEY_sign_init(ctx->sign) <= 0)
		return false;
	if (EVP_PKEY_CTX_set_signature_md(ctx->sign, ctx->sha256) <= 0)
		return false;
	/* RFC 7518 3.3: RSASSA-PKCS1-v1_5 */
	return ctx->alg != ALG_RS256 ||
	       EVP_PKEY_CTX_set_rsa_padding(ctx->sign, RSA_PKCS1_PADDING) > 0;
}

enum err sign_ctx_new(const struct signing_key *key, struct sign_ctx **ret_ctx)
{
	struct sign_ctx *ctx = calloc(1, sizeof(*ctx));

	if (!ctx)
		return ERR_NOMEM;
	ctx->alg = key->alg;
	if (!prepare(ctx, key->pkey)) {
		sign_ctx_free(ctx);
		return ERR_CRYPTO;
	}
	*ret_ctx = ctx;
	return ERR_OK;
}

void sign_ctx_free(struct sign_ctx *ctx)
{
	if (!ctx)
		return;
	EVP_PKEY_CTX_free(ctx->sign);
	EVP_MD_CTX_free(ctx->digest);
	EVP_MD_free(ctx->sha256);
	free(ctx);
}

/* One DER INTEGER, positive and at most 32 bytes, right-aligned into 32. Short forms only: nothing
 * in a P-256 signature is longer than 127 bytes. */
static bool take_integer(struct str *der, unsigned char ret_bytes[P256_LEN])
{
	const unsigned char *p = (const unsigned char *)der->p;
	size_t n;

	if (der->n < 3 || p[0] != 0x02 || p[1] > der->n - 2)
		return false;
	n = p[1];
	p += 2;
	*der = str_n(p + n, der->n - 2 - n);
	if (n > 1 && p[0] == 0) {
		p++;
		n--;
	}
	if (n == 0 || n > P256_LEN)
		return false;
	memset(ret_bytes, 0, P256_LEN - n);
	memcpy(ret_bytes + P256_LEN - n, p, n);
	return true;
}

/* RFC 7518 3.4: r || s, 32 bytes each, instead of OpenSSL's DER. */
static bool der_to_jose(struct str der, unsigned char ret_rs[2 * P256_LEN])
{
	const unsigned char *p = (const unsigned char *)der.p;
	struct str body;

	if (der.n < 2 || p[0] != 0x30 || p[1] != der.n - 2)
		return false;
	body = str_n(p + 2, der.n - 2);
	return take_integer(&body, ret_rs) && take_integer(&body, ret_rs + P256_LEN) && body.n == 0;
}

static enum err sign_es256(struct sign_ctx *ctx, const unsigned char *hash, unsigned char *ret_sig,
			   size_t cap, size_t *ret_len)
{
	unsigned char der[P256_DER_MAX];
	size_t n = sizeof(der);

	if (cap < 2 * P256_LEN)
		return ERR_LIMIT;
	if (EVP_PKEY_sign(ctx->sign, der, &n, hash, SHA256_LEN) <= 0)
		return ERR_CRYPTO;
	if (!der_to_jose(str_n(der, n), ret_sig))
		return ERR_CRYPTO;
	*ret_len = 2 * P256_LEN;
	return ERR_OK;
}

static enum err sign_rs256(struct sign_ctx *ctx, const unsigned char *hash, unsigned char *ret_sig,
			   size_t cap, size_t *ret_len)
{
	size_t n = cap;

	/* fails on its own when `cap` is less than the modulus */
	if (EVP_PKEY_sign(ctx->sign, ret_sig, &n, hash, SHA256_LEN) <= 0)
		return ERR_CRYPTO;
	*ret_len = n;
	return ERR_OK;
}

enum err sign_begin(struct sign_ctx *ctx)
{
	return EVP_DigestInit_ex2(ctx->digest, ctx->sha256, NULL) ? ERR_OK : ERR_CRYPTO;
}

enum err sign_add(struct sign_ctx *ctx, struct str input)
{
	return EVP_DigestUpdate(ctx->digest, input.p, input.n) ? ERR_OK : ERR_CRYPTO;
}

enum err sign_end(struct sign_ctx *ctx, unsigned char *ret_signature, size_t cap, size_t *ret_len)
{
	unsigned char hash[SHA256_LEN];

	if (!EVP_DigestFinal_ex(ctx->digest, hash, NULL))
		return ERR_CRYPTO;
	if (ctx->alg == ALG_ES256)
		return sign_es256(ctx, hash, ret_signature, cap, ret_len);
	return sign_rs256(ctx, hash, ret_signature, cap, ret_len);
}

enum err sign(struct sign_ctx *ctx, struct str input, unsigned char *ret_signature, size_t cap,
	      size_t *ret_len)
{
	enum err e = sign_begin(ctx);

	if (!e)
		e = sign_add(ctx, input);
	return e ? e : sign_end(ctx, ret_signature, cap, ret_len);
}
