/* Public numbers from and to OpenSSL 3, through EVP_PKEY and parameters only. The checks are ours,
 * because OpenSSL builds an RSA key from any two numbers; EVP_PKEY_public_check would test them for
 * being prime-free, at a millisecond a key, and refuse e = 3, which RFC 7518 permits. */
#include "jose/public_key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

enum { RSA_EXPONENT_LEN_MAX = 4, POINT_LEN = 1 + 2 * P256_COORDINATE_LEN };

/* Whoever fails for want of memory says so somewhere in the queue; those above it add their own
 * words. */
enum err openssl_error(enum err otherwise)
{
	enum err result = otherwise;
	unsigned long code;

	while ((code = ERR_get_error()) != 0) {
		if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
			result = ERR_NOMEM;
	}
	return result;
}

static bool is_odd(const struct public_number *x)
{
	return x->b[x->n - 1] & 1;
}

static size_t bit_length(const struct public_number *x)
{
	size_t bits = x->n * 8;

	for (unsigned char top = x->b[0]; !(top & 0x80) && bits > 0;
	     top = (unsigned char)(top << 1))
		bits--;
	return bits;
}

/* RFC 7518 2, Base64urlUInt: the fewest octets. A leading zero would be a second spelling of one
 * key. */
static bool is_minimal(const struct public_number *x)
{
	return x->n > 0 && x->b[0] != 0;
}

/* RFC 7518 3.3: 2048 bits or more. An even modulus or exponent, or an exponent of 1, is no RSA key:
 * with e = 1 every message is its own signature. */
static enum err check_rsa(const struct public_number *n, const struct public_number *e)
{
	if (!is_minimal(n) || !is_minimal(e) || !is_odd(n) || !is_odd(e))
		return ERR_SYNTAX;
	if (e->n > RSA_EXPONENT_LEN_MAX || (e->n == 1 && e->b[0] == 1))
		return ERR_SYNTAX;
	if (bit_length(n) < RSA_BITS_MIN)
		return ERR_UNSUPPORTED;
	return bit_length(n) > RSA_BITS_MAX ? ERR_LIMIT : ERR_OK;
}

/* NULL when OpenSSL refuses, or cannot. */
static EVP_PKEY *pkey_from(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;

	if (ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

static enum err build_rsa(const struct public_key *key, EVP_PKEY **ret_pkey)
{
	BIGNUM *n = BN_bin2bn(key->first.b, (int)key->first.n, NULL);
	BIGNUM *e = BN_bin2bn(key->second.b, (int)key->second.n, NULL);
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *pkey = NULL;

	if (n && e && builder && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		params = OSSL_PARAM_BLD_to_param(builder);
	if (params)
		pkey = pkey_from("RSA", params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	BN_free(e);
	BN_free(n);
	if (!pkey)
		return openssl_error(ERR_CRYPTO);
	*ret_pkey = pkey;
	return ERR_OK;
}

/* OpenSSL refuses coordinates of p or more and points off the curve while it reads the point; that
 * stops invalid-curve keys. The cofactor is 1, so every such point is of the right order. What its
 * EC code does not complain of is not the point's fault. */
static enum err build_ec(const struct public_key *key, EVP_PKEY **ret_pkey)
{
	char group[] = "P-256";
	unsigned char point[POINT_LEN] = { POINT_CONVERSION_UNCOMPRESSED };
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY *pkey;

	memcpy(point + 1, key->first.b, P256_COORDINATE_LEN);
	memcpy(point + 1 + P256_COORDINATE_LEN, key->second.b, P256_COORDINATE_LEN);
	pkey = pkey_from("EC", params);
	if (!pkey)
		return openssl_error(ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_EC ? ERR_SYNTAX
										 : ERR_CRYPTO);
	*ret_pkey = pkey;
	return ERR_OK;
}

enum err public_key_build(const struct public_key *key, struct evp_pkey_st **ret_pkey)
{
	enum err e;

	ERR_clear_error(); /* what is in the queue afterwards is about this key */
	switch (key->alg) {
	case ALG_ES256:
		/* RFC 7518 6.2.1.2, 6.2.1.3: the full size of a coordinate */
		if (key->first.n != P256_COORDINATE_LEN || key->second.n != P256_COORDINATE_LEN)
			return ERR_SYNTAX;
		return build_ec(key, ret_pkey);
	case ALG_RS256:
		e = check_rsa(&key->first, &key->second);
		return e ? e : build_rsa(key, ret_pkey);
	case ALG_UNKNOWN:
	case ALG_COUNT:
		break;
	}
	return ERR_UNSUPPORTED;
}

/* `len` 0: as few octets as the number needs. */
static enum err number_of(const EVP_PKEY *pkey, const char *name, size_t len,
			  struct public_number *ret_number)
{
	BIGNUM *x = NULL;
	enum err result = ERR_LIMIT;
	size_t n;

	if (EVP_PKEY_get_bn_param(pkey, name, &x) != 1)
		return openssl_error(ERR_UNSUPPORTED);
	n = len ? len : (size_t)BN_num_bytes(x);
	if (n <= sizeof(ret_number->b) && BN_bn2binpad(x, ret_number->b, (int)n) == (int)n) {
		ret_number->n = n;
		result = ERR_OK;
	}
	BN_free(x);
	return result;
}

/* A curve given by its parameters instead of its name has no name here unless every one of them is
 * P-256's: a generator of the sender's choice (CVE-2020-0601) does not pass. */
static enum err check_curve(const EVP_PKEY *pkey)
{
	char group[32];

	if (EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group),
					   NULL) != 1)
		return openssl_error(ERR_UNSUPPORTED);
	return str_equal_z(str_z(group), "prime256v1") ? ERR_OK : ERR_UNSUPPORTED;
}

static enum err rsa_of(const EVP_PKEY *pkey, struct public_key *ret_key)
{
	enum err e = number_of(pkey, OSSL_PKEY_PARAM_RSA_N, 0, &ret_key->first);

	if (!e)
		e = number_of(pkey, OSSL_PKEY_PARAM_RSA_E, 0, &ret_key->second);
	if (!e)
		ret_key->alg = ALG_RS256;
	return e;
}

static enum err ec_of(const EVP_PKEY *pkey, struct public_key *ret_key)
{
	const size_t len = P256_COORDINATE_LEN;
	enum err e = check_curve(pkey);

	if (!e)
		e = number_of(pkey, OSSL_PKEY_PARAM_EC_PUB_X, len, &ret_key->first);
	if (!e)
		e = number_of(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, len, &ret_key->second);
	if (!e)
		ret_key->alg = ALG_ES256;
	return e;
}

enum err public_key_of(const struct evp_pkey_st *pkey, struct public_key *ret_key)
{
	ERR_clear_error();
	if (EVP_PKEY_is_a(pkey, "RSA"))
		return rsa_of(pkey, ret_key);
	if (EVP_PKEY_is_a(pkey, "EC"))
		return ec_of(pkey, ret_key);
	return ERR_UNSUPPORTED;
}

static EVP_PKEY *pkey_of_certificate(const unsigned char **der, long len)
{
	X509 *certificate = d2i_X509(NULL, der, len);
	EVP_PKEY *pkey = certificate ? X509_get_pubkey(certificate) : NULL;

	X509_free(certificate);
	return pkey;
}

/* One decoded PEM block. `encryption` is what stands in its Proc-Type headers. */
static enum err public_key_of_block(const char *name, const char *encryption,
				    const unsigned char *der, long len, struct public_key *ret_key)
{
	const unsigned char *end = der + len;
	EVP_PKEY *pkey;
	enum err e;

	if (strcmp(name, "PUBLIC KEY") != 0 && strcmp(name, "CERTIFICATE") != 0)
		return ERR_UNSUPPORTED;
	if (encryption[0] != '\0')
		return ERR_SYNTAX;
	pkey = name[0] == 'P' ? d2i_PUBKEY(NULL, &der, len) : pkey_of_certificate(&der, len);
	if (!pkey)
		return openssl_error(ERR_SYNTAX);
	e = der == end ? public_key_of(pkey, ret_key) : ERR_SYNTAX;
	EVP_PKEY_free(pkey);
	return e;
}

enum err public_key_of_pem(struct str pem, struct public_key *ret_key)
{
	char *name = NULL, *encryption = NULL;
	unsigned char *der = NULL;
	long len = 0;
	BIO *bio;
	enum err e;

	if (pem.n > JWKS_SIZE_MAX)
		return ERR_LIMIT;
	ERR_clear_error();
	bio = BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n);
	if (!bio)
		return openssl_error(ERR_NOMEM);
	if (PEM_read_bio(bio, &name, &encryption, &der, &len) == 1)
		e = public_key_of_block(name, encryption, der, len, ret_key);
	else
		e = openssl_error(ERR_SYNTAX);
	BIO_free(bio);
	OPENSSL_free(name);
	OPENSSL_free(encryption);
	/* a private key may have been given by mistake */
	OPENSSL_clear_free(der, (size_t)len);
	return e;
}
