/* Keys at rest: XChaCha20-Poly1305 under a 256-bit wrapping key, bound to what the plaintext is for, so
 * that a sealed blob cannot stand in another's place (a standby's private key as the active one's, a
 * root key as a signing key).
 *
 * The chain: master.key (a file, or the operator's) seals the root key; the root key, by label, makes
 * every other secret and the key that seals the private signing keys' rows. */
#ifndef CHANCERY_KEYS_SEAL_H
#define CHANCERY_KEYS_SEAL_H

#include "base/buf.h"
#include "base/secret.h"

enum { SEAL_OVERHEAD = 1 + 24 + 16 }; /* version, nonce, tag */

/* `context` is bound, not stored: "signing:<kid>:<alg>", "root:<version>". `nonce` is 24 random bytes. */
void seal(const struct secret *key, struct str context, struct str plain, const unsigned char nonce[24],
	  struct buf *out);
/* ERR_BAD_SIGNATURE: wrong key, wrong context or damaged. Plain text goes to `out` (wipe it). */
MUST_CHECK enum err unseal(const struct secret *key, struct str context, struct str sealed,
			   struct buf *out);

/* master.key: exactly 32 bytes.
 * `ours`: the file chancery made: regular, no link, owned by us (or root), mode 0600 or stricter.
 * Otherwise an operator's path: may be a link; owned by root or us, group-readable at most, never by
 * the world. On failure *ret_why (constant) says which rule. Opens once; reads from that descriptor. */
MUST_CHECK enum err master_key_read(const char *path, bool ours, struct secret *ret_key,
				    const char **ret_why);
/* O_CREAT|O_EXCL, 0600, fsync of file and folder. ERR_CONFLICT if it exists. */
MUST_CHECK enum err master_key_create(const char *path, const struct secret *key);

#endif
