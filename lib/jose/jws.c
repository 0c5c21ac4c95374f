/* Compact JWS, in the order of RFC 7515 5.2. Parsing decides what the text says and verifying
 * whether the key agrees; the header never chooses either the key or the algorithm, it is only
 * compared (RFC 8725 3.1: HS256 with a public key as the secret, `none`, an embedded `jwk`). */
#include "jose/jws.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "jose/b64.h"
#include "jose/public_key.h"

enum { ES256_LEN = 64, SCALAR_LEN = 32, DER_MAX = 2 + 2 * (2 + 1 + SCALAR_LEN) };

struct segments {
	struct str header, payload, signature;
	struct str signing_input;
};

/* RFC 7515 7.1: three segments. The text is searched, not split: a megabyte of dots costs nothing
 * (CVE-2025-30204), and is too long anyway. */
static enum err split(struct str token, struct segments *ret_segments)
{
	const char *end = token.p + token.n;
	const char *first = memchr(token.p, '.', token.n);
	const char *second = first ? memchr(first + 1, '.', (size_t)(end - first) - 1) : NULL;

	if (!second || memchr(second + 1, '.', (size_t)(end - second) - 1))
		return ERR_SYNTAX;
	*ret_segments = (struct segments){
		.header = str_n(token.p, (size_t)(first - token.p)),
		.payload = str_n(first + 1, (size_t)(second - first) - 1),
		.signature = str_n(second + 1, (size_t)(end - second) - 1),
		.signing_input = str_n(token.p, (size_t)(second - token.p)),
	};
	return ERR_OK;
}

static enum err decode(struct arena *a, struct str text, struct str *ret_bytes)
{
	size_t cap = text.n / 4 * 3 + 3;
	char *bytes;
	size_t n;
	enum err e;

	bytes = arena_alloc(a, cap);
	if (!bytes)
		return ERR_NOMEM;
	e = b64url_decode(text, bytes, cap, &n);
	if (e)
		return e;
	*ret_bytes = str_n(bytes, n);
	return ERR_OK;
}

/* An optional header parameter that is a string; the copy outlives the parsed header. */
static enum err header_string(struct arena *a, const struct json *header, const char *name,
			      struct str *ret_value)
{
	const struct json *v = json_get(header, name);
	struct str value;

	*ret_value = STR_NONE;
	if (!v)
		return ERR_OK;
	if (!json_str(v, &value))
		return ERR_SYNTAX;
	*ret_value = arena_str(a, value);
	return ret_value->p ? ERR_OK : ERR_NOMEM;
}

/* Parameters that change what the rest means. We understand no extension, so any `crit` names one
 * we do not understand or is malformed (RFC 7515 4.1.11, CVE-2025-59420); `b64` (RFC 7797), `zip`
 * and `enc` would make other bytes of the payload (CVE-2024-28180). */
static bool has_refused_member(const struct json *header)
{
	static const char *const names[] = { "crit", "b64", "zip", "enc" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (json_get(header, names[i]))
			return true;
	}
	return false;
}

/* A reader says beforehand which family it takes: the header is compared, never obeyed. */
static enum err read_alg(struct str name, bool shared, enum alg *ret_alg)
{
	*ret_alg = shared ? ALG_UNKNOWN : alg_by_name(name);
	if (shared ? str_equal_z(name, "HS256") : *ret_alg != ALG_UNKNOWN)
		return ERR_OK;
	return ERR_UNSUPPORTED;
}

static enum err read_header(struct arena *a, const struct json *header, bool shared,
			    struct jws *jws)
{
	struct str name;
	enum err e;

	if (json_type(header) != JSON_OBJECT)
		return ERR_SYNTAX;
	if (has_refused_member(header))
		return ERR_UNSUPPORTED;
	/* RFC 7515 4.1.1: MUST be present */
	if (!json_str(json_get(header, "alg"), &name))
		return ERR_SYNTAX;
	e = read_alg(name, shared, &jws->alg);
	if (!e)
		e = header_string(a, header, "kid", &jws->kid);
	if (!e)
		e = header_string(a, header, "typ", &jws->typ);
	if (!e && jws->kid.n > KID_MAX)
		e = ERR_LIMIT;
	return e;
}

static enum err parse(struct arena *a, struct str text, size_t max, bool shared,
		      struct jws *ret_jws)
{
	AUTO(json, header) = NULL;
	struct jws jws = { .alg = ALG_UNKNOWN };
	struct segments seg;
	enum err e;

	if (text.n > max)
		return ERR_LIMIT;
	if (text.n == 0)
		return ERR_SYNTAX;
	e = split(text, &seg);
	if (!e)
		e = decode(a, seg.header, &jws.header);
	if (!e)
		e = json_parse(jws.header, JOSE_HEADER_MAX, &header);
	if (!e)
		e = read_header(a, header, shared, &jws);
	if (!e)
		e = decode(a, seg.payload, &jws.payload);
	if (!e)
		e = b64url_decode(seg.signature, jws.signature, sizeof(jws.signature),
				  &jws.signature_len);
	if (e)
		return e;
	jws.signing_input = seg.signing_input;
	*ret_jws = jws;
	return ERR_OK;
}

enum err jws_parse_long(struct arena *a, struct str text, size_t max, struct jws *ret_jws)
{
	return parse(a, text, max, false, ret_jws);
}

enum err jws_parse(struct arena *a, struct str token, struct jws *ret_jws)
{
	return parse(a, token, JWT_SIZE_MAX, false, ret_jws);
}

enum err jws_parse_shared(struct arena *a, struct str token, struct jws *ret_jws)
{
	return parse(a, token, JWT_SIZE_MAX, true, ret_jws);
}

/* r and s must be in [1, n-1] (RFC 7518 3.4, CVE-2022-21449: zeros verified under any key). The
 * numbers are public; the comparison may take as long as it likes. */
static bool scalar_in_range(const unsigned char x[SCALAR_LEN])
{
	static const unsigned char zero[SCALAR_LEN];
	static const unsigned char order[SCALAR_LEN] = {
		0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
		0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
	};

	return memcmp(x, zero, SCALAR_LEN) != 0 && memcmp(x, order, SCALAR_LEN) < 0;
}

/* A DER INTEGER: no leading zero octets but the one that keeps it positive. Returns its length. */
static size_t der_integer(const unsigned char x[SCALAR_LEN], unsigned char *out)
{
	size_t skip = 0;
	size_t n, pad;

	while (skip < SCALAR_LEN - 1 && x[skip] == 0)
		skip++;
	n = SCALAR_LEN - skip;
	pad = x[skip] >> 7;
	out[0] = 0x02;
	out[1] = (unsigned char)(n + pad);
	out[2] = 0;
	memcpy(out + 2 + pad, x + skip, n);
	return 2 + pad + n;
}

/* ECDSA-Sig-Value of RFC 3279 2.2.3, which OpenSSL wants, from r || s, which RFC 7518 3.4 has. */
static size_t der_signature(const unsigned char rs[ES256_LEN], unsigned char out[DER_MAX])
{
	size_t n = 2;

	n += der_integer(rs, out + n);
	n += der_integer(rs + SCALAR_LEN, out + n);
	out[0] = 0x30;
	out[1] = (unsigned char)(n - 2);
	return n;
}

/* RSASSA-PKCS1-v1_5 for RSA (RFC 7518 3.3), nothing to choose for EC. */
static bool prepare(EVP_PKEY_CTX *ctx, EVP_PKEY *pkey)
{
	return EVP_PKEY_verify_init(ctx) == 1 &&
	       EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
	       (!EVP_PKEY_is_a(pkey, "RSA") ||
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1);
}

/* Both our algorithms sign the SHA-256 of the signing input. We hash it ourselves: EVP_DigestVerify
 * copies its context before the last step, and when there is no memory for that, says "bad". */
static enum err verify_digest(EVP_PKEY *pkey, struct str input, struct str signature)
{
	unsigned char digest[32];
	EVP_PKEY_CTX *ctx;
	enum err result = ERR_OK;
	int fits;

	ERR_clear_error(); /* what is in the queue afterwards is about this signature */
	if (EVP_Digest(input.p, input.n, digest, NULL, EVP_sha256(), NULL) != 1)
		return openssl_error(ERR_CRYPTO);
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	if (!ctx || !prepare(ctx, pkey)) {
		result = openssl_error(ERR_CRYPTO);
	} else {
		fits = EVP_PKEY_verify(ctx, (const unsigned char *)signature.p, signature.n, digest,
				       sizeof(digest));
		/* 0 is "does not fit"; below it nothing was judged, and 3.5 does not always say
		 * that it was for want of memory */
		if (fits != 1)
			result = openssl_error(fits == 0 ? ERR_BAD_SIGNATURE : ERR_CRYPTO);
	}
	EVP_PKEY_CTX_free(ctx);
	return result;
}

static enum err verify_es256(const struct jws *jws, EVP_PKEY *pkey)
{
	unsigned char der[DER_MAX];

	if (jws->signature_len != ES256_LEN || !scalar_in_range(jws->signature) ||
	    !scalar_in_range(jws->signature + SCALAR_LEN))
		return ERR_BAD_SIGNATURE;
	return verify_digest(pkey, jws->signing_input,
			     str_n(der, der_signature(jws->signature, der)));
}

static enum err verify_rs256(const struct jws *jws, EVP_PKEY *pkey)
{
	if (jws->signature_len != (size_t)EVP_PKEY_get_size(pkey))
		return ERR_BAD_SIGNATURE;
	return verify_digest(pkey, jws->signing_input, str_n(jws->signature, jws->signature_len));
}

enum err jws_verify(const struct jws *jws, const struct jwk *key)
{
	if (jws->alg != jwk_alg(key))
		return ERR_UNSUPPORTED;
	switch (jwk_alg(key)) {
	case ALG_ES256:
		return verify_es256(jws, jwk_pkey(key));
	case ALG_RS256:
		return verify_rs256(jws, jwk_pkey(key));
	case ALG_UNKNOWN:
	case ALG_COUNT:
		break;
	}
	return ERR_UNSUPPORTED;
}
