/* Foreign keys. Whatever form a private half comes in it becomes PKCS #8, and is then read like a
 * key of our own: one set of checks (keys/sign.c), here and again in the signer. */
#include "keys/import_file.h"

#include <assert.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sodium.h>

#include "jose/b64.h"
#include "keys/sign.h"

enum { COORDINATE_LEN = 32, POINT_LEN = 1 + 2 * COORDINATE_LEN };

/* ---- what both forms become ---- */

static enum alg alg_of(const EVP_PKEY *pkey)
{
	if (EVP_PKEY_is_a(pkey, "EC"))
		return ALG_ES256;
	return EVP_PKEY_is_a(pkey, "RSA") ? ALG_RS256 : ALG_UNKNOWN;
}

static enum err write_pkcs8(const EVP_PKEY *pkey, struct buf *out)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
	unsigned char *der = NULL;
	int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : 0;

	PKCS8_PRIV_KEY_INFO_free(info);
	if (n <= 0)
		return ERR_UNSUPPORTED;
	buf_add(out, der, (size_t)n);
	OPENSSL_clear_free(der, (size_t)n);
	return out->err;
}

/* Takes pkey. */
static enum err take_private(EVP_PKEY *pkey, struct str kid, struct import_file *f)
{
	AUTO(signing_key, key) = NULL;
	enum alg alg = alg_of(pkey);
	enum err e = alg ? write_pkcs8(pkey, &f->pkcs8) : ERR_UNSUPPORTED;

	EVP_PKEY_free(pkey);
	if (!e)
		e = signing_key_load(alg, str_n(f->pkcs8.p, f->pkcs8.n), &key);
	return e ? e : signing_key_public(key, kid, &f->public_key);
}

/* ---- PEM ---- */

/* A key that is encrypted is not ours to open: who asks for the passphrase keeps it. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static enum err read_pem(struct str text, struct str kid, struct import_file *f)
{
	EVP_PKEY *pkey;
	BIO *bio;

	if (!memmem(text.p, text.n, "PRIVATE KEY-----", 16))
		return jwk_from_pem(text, kid, &f->public_key);
	bio = BIO_new_mem_buf(text.p, (int)text.n);
	pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	ERR_clear_error();
	return pkey ? take_private(pkey, kid, f) : ERR_SYNTAX;
}

/* ---- JWK ---- */

/* A private JWK on its way to an EVP_PKEY. What was pushed must live until it is built. */
struct draft {
	OSSL_PARAM_BLD *bld;
	BIGNUM *numbers[8];
	size_t count;
	unsigned char point[POINT_LEN];
};

/* RFC 7518 6.3: how RSA's parts are called there and here. */
static const struct {
	const char *member, *param;
} rsa_parts[] = {
	{ "n", OSSL_PKEY_PARAM_RSA_N },		 { "e", OSSL_PKEY_PARAM_RSA_E },
	{ "d", OSSL_PKEY_PARAM_RSA_D },		 { "p", OSSL_PKEY_PARAM_RSA_FACTOR1 },
	{ "q", OSSL_PKEY_PARAM_RSA_FACTOR2 },	 { "dp", OSSL_PKEY_PARAM_RSA_EXPONENT1 },
	{ "dq", OSSL_PKEY_PARAM_RSA_EXPONENT2 }, { "qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1 },
};

static_assert(sizeof(rsa_parts) / sizeof(rsa_parts[0]) ==
		      sizeof(((struct draft *)0)->numbers) / sizeof(BIGNUM *),
	      "a draft has room for a key");

/* On the heap that OpenSSL wipes. A private RSA key without its primes (RFC 7518 6.3.2 allows it)
 * has no PKCS #8 form. */
static enum err push_number(struct draft *d, const char *param, const struct json *v)
{
	unsigned char bytes[SIGNATURE_MAX];
	BIGNUM *number;
	struct str text;
	size_t n = 0;
	enum err e;

	if (!json_str(v, &text))
		return ERR_UNSUPPORTED;
	number = BN_secure_new();
	if (!number)
		return ERR_NOMEM;
	d->numbers[d->count++] = number;
	e = b64url_decode(text, bytes, sizeof(bytes), &n);
	if (!e &&
	    (!BN_bin2bn(bytes, (int)n, number) || !OSSL_PARAM_BLD_push_BN(d->bld, param, number)))
		e = ERR_NOMEM;
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return e;
}

static enum err draft_rsa(struct draft *d, const struct json *object)
{
	enum err e = json_get(object, "oth") ? ERR_UNSUPPORTED : ERR_OK;

	for (size_t i = 0; !e && i < sizeof(rsa_parts) / sizeof(rsa_parts[0]); i++)
		e = push_number(d, rsa_parts[i].param, json_get(object, rsa_parts[i].member));
	return e;
}

static enum err read_coordinate(const struct json *v, unsigned char ret_bytes[COORDINATE_LEN])
{
	struct str text;
	size_t n;
	enum err e = json_str(v, &text) ? b64url_decode(text, ret_bytes, COORDINATE_LEN, &n)
					: ERR_SYNTAX;

	return !e && n != COORDINATE_LEN ? ERR_SYNTAX : e;
}

/* RFC 7518 6.2 */
static enum err draft_ec(struct draft *d, const struct json *object)
{
	struct str curve = STR_NONE;
	enum err e;

	if (!json_str(json_get(object, "crv"), &curve) || !str_equal_z(curve, "P-256"))
		return ERR_UNSUPPORTED;
	d->point[0] = POINT_CONVERSION_UNCOMPRESSED;
	e = read_coordinate(json_get(object, "x"), d->point + 1);
	if (!e)
		e = read_coordinate(json_get(object, "y"), d->point + 1 + COORDINATE_LEN);
	if (!e && (!OSSL_PARAM_BLD_push_utf8_string(d->bld, OSSL_PKEY_PARAM_GROUP_NAME,
						    "prime256v1", 0) ||
		   !OSSL_PARAM_BLD_push_octet_string(d->bld, OSSL_PKEY_PARAM_PUB_KEY, d->point,
						     POINT_LEN)))
		e = ERR_NOMEM;
	return e ? e : push_number(d, OSSL_PKEY_PARAM_PRIV_KEY, json_get(object, "d"));
}

static enum err build(const struct draft *d, const char *type, EVP_PKEY **ret_pkey)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(d->bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	enum err e = params && ctx ? ERR_OK : ERR_NOMEM;

	if (!e && (EVP_PKEY_fromdata_init(ctx) <= 0 ||
		   EVP_PKEY_fromdata(ctx, ret_pkey, EVP_PKEY_KEYPAIR, params) <= 0))
		e = ERR_SYNTAX;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	ERR_clear_error();
	return e;
}

static enum err build_private(const struct json *object, EVP_PKEY **ret_pkey)
{
	struct draft d = { .bld = OSSL_PARAM_BLD_new() };
	struct str kty = STR_NONE;
	enum err e = ERR_UNSUPPORTED;

	(void)json_str(json_get(object, "kty"), &kty);
	if (!d.bld)
		e = ERR_NOMEM;
	else if (str_equal_z(kty, "RSA"))
		e = draft_rsa(&d, object);
	else if (str_equal_z(kty, "EC"))
		e = draft_ec(&d, object);
	if (!e)
		e = build(&d, kty.p, ret_pkey);
	for (size_t i = 0; i < d.count; i++)
		BN_clear_free(d.numbers[i]);
	OSSL_PARAM_BLD_free(d.bld);
	return e;
}

/* RFC 7517 4.2, 4.4: what a key is not for, it is not taken for. */
static enum err check_purpose(const struct json *object, const struct jwk *key)
{
	struct str use = STR("sig"), alg = STR_NONE;

	(void)json_str(json_get(object, "use"), &use);
	if (!str_equal_z(use, "sig"))
		return ERR_UNSUPPORTED;
	if (json_str(json_get(object, "alg"), &alg) && alg_by_name(alg) != jwk_alg(key))
		return ERR_UNSUPPORTED;
	return ERR_OK;
}

static enum err read_private_jwk(const struct json *object, struct str kid, struct import_file *f)
{
	EVP_PKEY *pkey = NULL;
	enum err e = build_private(object, &pkey);

	if (!e)
		e = take_private(pkey, kid, f);
	return e ? e : check_purpose(object, f->public_key);
}

static enum err read_public_jwk(const struct json *object, struct str kid, struct import_file *f)
{
	AUTO(jwk, key) = NULL;
	enum err e = jwk_from_json(object, &key);

	if (!e && kid.p && !str_equal(kid, jwk_kid(key)))
		return jwk_from_pkey(jwk_pkey(key), kid, &f->public_key);
	if (!e)
		f->public_key = TAKE(key);
	return e;
}

static bool has_kid(const struct json *object, struct str kid)
{
	struct str own;

	return json_str(json_get(object, "kid"), &own) && str_equal(own, kid);
}

static enum err read_jwk(const struct json *object, struct str kid, struct import_file *f)
{
	struct str own = STR_NONE;

	if (json_type(object) != JSON_OBJECT)
		return ERR_SYNTAX;
	(void)json_str(json_get(object, "kid"), &own);
	if (own.p && kid.p && !str_equal(own, kid))
		return ERR_NOT_FOUND;
	if (own.p)
		kid = own;
	return json_get(object, "d") ? read_private_jwk(object, kid, f)
				     : read_public_jwk(object, kid, f);
}

/* RFC 7517 5 */
static enum err read_set(const struct json *keys, struct str kid, struct import_file *f)
{
	if (json_type(keys) != JSON_ARRAY)
		return ERR_SYNTAX;
	if (!kid.p && json_len(keys) > 1)
		return ERR_CONFLICT;
	for (size_t i = 0; i < json_len(keys); i++)
		if (!kid.p || has_kid(json_at(keys, i), kid))
			return read_jwk(json_at(keys, i), kid, f);
	return ERR_NOT_FOUND;
}

static enum err read_json(struct str text, struct str kid, struct import_file *f)
{
	AUTO(json, root) = NULL;
	enum err e = json_parse(text, JWKS_SIZE_MAX, &root);

	if (e)
		return e;
	return json_get(root, "keys") ? read_set(json_get(root, "keys"), kid, f)
				      : read_jwk(root, kid, f);
}

/* ---- the whole ---- */

enum err import_file_read(struct str text, struct str kid, struct import_file *ret_file)
{
	struct import_file f = { .public_key = NULL };
	enum err e;

	buf_init(&f.pkcs8, NULL, SIGNER_IMPORT_KEY_MAX);
	e = memmem(text.p, text.n, "-----BEGIN", 10) ? read_pem(text, kid, &f)
						     : read_json(text, kid, &f);
	if (e)
		import_file_done(&f);
	else
		*ret_file = f;
	return e;
}

void import_file_done(struct import_file *f)
{
	jwk_free(TAKE(f->public_key));
	buf_done(&f->pkcs8);
}

enum err import_file_seal(const struct import_file *f,
			  const unsigned char to[SIGNER_IMPORT_KEY_LEN], struct buf *out)
{
	unsigned char box[SIGNER_IMPORT_KEY_MAX + SIGNER_IMPORT_OVERHEAD];

	if (crypto_box_seal(box, (const unsigned char *)f->pkcs8.p, f->pkcs8.n, to))
		return ERR_CRYPTO;
	buf_add(out, box, f->pkcs8.n + SIGNER_IMPORT_OVERHEAD);
	return out->err;
}
