/* Encrypting to a reader's public key (RFC 7516 5.1): what jwe.h opens. RSA-OAEP-256 or ECDH-ES on
 * P-256, content A256GCM, a signed token within. */
#ifndef CHANCERY_JOSE_JWE_ENCRYPT_H
#define CHANCERY_JOSE_JWE_ENCRYPT_H

#include "base/auto.h"
#include "base/buf.h"
#include "base/json.h"

/* A public key that others read with, its kid, and the one `alg` that goes with its kind.
 * Immutable, shared between threads. */
struct jwe_recipient;

/* A JWK: P-256, or RSA of RSA_BITS_MIN to RSA_BITS_MAX bits. `use` is "enc" or absent, `alg` the
 * kind's ("RSA-OAEP-256", "ECDH-ES") or absent; without `kid` the thumbprint is taken. ERR_SYNTAX,
 * ERR_UNSUPPORTED (private members, too), ERR_LIMIT, ERR_NOMEM, ERR_CRYPTO. */
MUST_CHECK enum err jwe_recipient_from_json(const struct json *object,
					    struct jwe_recipient **ret_recipient);
/* PEM "PUBLIC KEY" or "CERTIFICATE" text. */
MUST_CHECK enum err jwe_recipient_from_pem(struct str pem, struct jwe_recipient **ret_recipient);
void jwe_recipient_free(struct jwe_recipient *r);
AUTO_DEFINE(jwe_recipient)

/* {"kty",...,"use":"enc","alg","kid"}: what jwe_recipient_from_json takes. */
void jwe_recipient_export(const struct jwe_recipient *r, struct jsonw *w);

/* Appends the token to `out`. Content key, IV, OAEP's seed and the key of the agreement come from
 * OpenSSL's generator: two of the four can come from nowhere else. ERR_LIMIT: more than
 * JWT_SIZE_MAX would come out. ERR_NOMEM, ERR_CRYPTO. */
MUST_CHECK enum err jwe_encrypt(const struct jwe_recipient *r, struct str plain, struct buf *out);

#endif
