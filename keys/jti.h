/* The jti of our tokens, for the signer's side; those who verify use keys/signer.h.
 *
 *   jti = base64url( key id (1) || random (12) || MAC (8) )
 *   MAC = secret_mac(jti key, kid, payload up to and including the jti's opening quote, key id ||
 * random)
 *
 * A signing key that leaks cannot make a jti: a good signature with a bad MAC tells of the theft.
 */
#ifndef CHANCERY_KEYS_JTI_H
#define CHANCERY_KEYS_JTI_H

#include "base/buf.h"
#include "base/secret.h"

enum { JTI_RANDOM = 12, JTI_MAC = 8, JTI_BYTES = 1 + JTI_RANDOM + JTI_MAC, JTI_TEXT = 28 };

/* Completes `payload`, which holds the claims without their closing brace. ERR_LIMIT, ERR_NOMEM. */
MUST_CHECK enum err jti_append(struct buf *payload, const struct secret *jti_key, struct str kid,
			       unsigned char key_id, const unsigned char random[JTI_RANDOM],
			       char ret_jti[JTI_TEXT + 1]);

#endif
