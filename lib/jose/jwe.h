/* Compact JWE (RFC 7516 7.1), opened with the reader's private key: RSA-OAEP-256 or ECDH-ES on
 * P-256, content A256GCM, a signed token within (RFC 7519 5.2). What
 * encrypts is in jwe_encrypt.h. */
#ifndef CHANCERY_JOSE_JWE_H
#define CHANCERY_JOSE_JWE_H

#include "base/arena.h"
#include "base/auto.h"
#include "base/limits.h"

enum {
	JWE_KEY_LEN = 32, /* of A256GCM's content encryption key (RFC 7518 5.3) */
	JWE_IV_LEN = 12,
	JWE_TAG_LEN = 16,
	JWE_POINT_LEN = 65, /* of P-256, 04 || x || y */
};

/* A private key, and with it the one `alg` that it takes. Immutable, shared between threads. */
struct jwe_key;

/* PEM "PRIVATE KEY" (PKCS #8, not encrypted): RSA of RSA_BITS_MIN to RSA_BITS_MAX bits, or P-256.
 * ERR_SYNTAX, ERR_UNSUPPORTED, ERR_LIMIT, ERR_NOMEM. */
MUST_CHECK enum err jwe_key_from_pem(struct str pem, struct jwe_key **ret_key);
/* A fresh key pair on P-256, for one agreement; ret_point is its public half. ERR_CRYPTO,
 * ERR_NOMEM. */
MUST_CHECK enum err jwe_key_ephemeral(struct jwe_key **ret_key,
				      unsigned char ret_point[JWE_POINT_LEN]);
void jwe_key_free(struct jwe_key *key);
AUTO_DEFINE(jwe_key)

/* Opens a token of at most JWT_SIZE_MAX bytes; *ret_plain is the arena's, which wipes it.
 *
 * Refused with ERR_SYNTAX: not five segments of canonical base64url, a header that is no strict
 * JSON object, an IV or a tag of another length than 96 and 128 bits. ERR_UNSUPPORTED: `alg` that
 * is not the key's, `enc` other than A256GCM, `cty` other than JWT, `crit`, `zip`, an `epk` that is
 * no point of P-256. ERR_BAD_SIGNATURE: the key or the content does not open, and nothing is said
 * of which (RFC 7516 11.5). ERR_LIMIT, ERR_NOMEM, ERR_CRYPTO. */
MUST_CHECK enum err jwe_open(struct arena *a, struct str token, const struct jwe_key *key,
			     struct str *ret_plain);

/* The parts of it that the RFCs have examples of. */

struct jwe_content {
	struct str aad; /* the encoded header */
	struct str iv, text, tag;
};
/* A256GCM (RFC 7518 5.3). ret_plain has room for text.n bytes; they are of no meaning unless
 * ERR_OK. ERR_SYNTAX: IV or tag of another length. ERR_BAD_SIGNATURE, ERR_CRYPTO. */
MUST_CHECK enum err jwe_content_open(const unsigned char key[JWE_KEY_LEN],
				     const struct jwe_content *content, unsigned char *ret_plain);
/* ECDH-ES (RFC 7518 4.6.2) with one round of SHA-256: `n` bytes, at most 32, for the algorithm
 * `id`. `point` is the sender's, 04 || x || y. ERR_UNSUPPORTED: the key is no P-256 key, or the
 * point is not on the curve. ERR_CRYPTO. */
struct jwe_agreement {
	struct str id, apu, apv;
	struct str point;
};
MUST_CHECK enum err jwe_agree(const struct jwe_key *key, const struct jwe_agreement *agreement,
			      unsigned char *ret_key, size_t n);

#endif
