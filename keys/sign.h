/* Private signing keys: make, load, sign. Linked into the signer and `init` only; the code that
 * faces the network never includes this. */
#ifndef CHANCERY_KEYS_SIGN_H
#define CHANCERY_KEYS_SIGN_H

#include "base/auto.h"
#include "base/buf.h"
#include "jose/jwk.h"

struct signing_key;

/* Once, in the signer, before it is confined: OpenSSL reads its configuration and whatever else it
 * looks for at first use, and gets locked memory for private numbers, where the system gives it.
 * ERR_CRYPTO. */
MUST_CHECK enum err sign_library_init(void);

/* P-256, or RSA-2048 with e = 65537. RSA takes 0.1 to 1 s. */
MUST_CHECK enum err signing_key_generate(enum alg alg, struct signing_key **ret_key);
/* PKCS#8 DER; must be of `alg`'s kind. */
MUST_CHECK enum err signing_key_load(enum alg alg, struct str pkcs8, struct signing_key **ret_key);
/* The P-256 key that belongs to these bytes, always the same one (FIPS 186-5 A.2.1). They are as
 * secret as the key. ERR_CRYPTO, ERR_NOMEM. */
enum { SIGNING_SEED_LEN = 48 };
MUST_CHECK enum err signing_key_derive(const unsigned char seed[SIGNING_SEED_LEN],
				       struct signing_key **ret_key);
void signing_key_free(struct signing_key *key);
AUTO_DEFINE(signing_key)

/* Wipe the buffer. */
MUST_CHECK enum err signing_key_pkcs8(const struct signing_key *key, struct buf *out);
/* Do its parts fit together? For keys that others made; RSA takes as long as making one.
 * ERR_UNSUPPORTED. */
MUST_CHECK enum err signing_key_check(const struct signing_key *key);
/* New public half; kid as given, or the thumbprint if absent. Caller frees. */
MUST_CHECK enum err signing_key_public(const struct signing_key *key, struct str kid,
				       struct jwk **ret_key);
enum alg signing_key_alg(const struct signing_key *key);

/* A thread's prepared state for one key; not shared. Saves 6 to 17 % of a signature. */
struct sign_ctx;
MUST_CHECK enum err sign_ctx_new(const struct signing_key *key, struct sign_ctx **ret_ctx);
void sign_ctx_free(struct sign_ctx *ctx);
/* JOSE form: ES256 r||s 64 bytes (RFC 7518 3.4), RS256 modulus length (3.3). */
MUST_CHECK enum err sign(struct sign_ctx *ctx, struct str input, unsigned char *ret_signature,
			 size_t cap, size_t *ret_len);
/* The same in pieces; whatever begins anew forgets what was not ended. ERR_CRYPTO. */
MUST_CHECK enum err sign_begin(struct sign_ctx *ctx);
MUST_CHECK enum err sign_add(struct sign_ctx *ctx, struct str input);
MUST_CHECK enum err sign_end(struct sign_ctx *ctx, unsigned char *ret_signature, size_t cap,
			     size_t *ret_len);

#endif
