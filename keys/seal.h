/* Keys at rest: XChaCha20-Poly1305 under a 256-bit wrapping key, bound to what the plaintext is
 * for, so that a sealed blob cannot stand in another's place (a standby's private key as the active
 * one's, a root key as a signing key).
 *
 * The chain: master.key (a file, or the operator's) seals the root key; the root key, by label,
 * makes every other secret and the key that seals the private signing keys' rows. */
#ifndef CHANCERY_KEYS_SEAL_H
#define CHANCERY_KEYS_SEAL_H

#include "base/buf.h"
#include "base/secret.h"

enum {
	SEAL_OVERHEAD = 1 + 24 + 16, /* version, nonce, tag */
	SEAL_PLAIN_MAX = 4096,	     /* RSA-4096 as PKCS#8 is 2,400 bytes */
	SEALED_MAX = SEAL_PLAIN_MAX + SEAL_OVERHEAD,
};

/* `context` is bound, not stored: "signing:<kid>:<alg>", "root:<version>". `nonce` is 24 random
 * bytes. More than SEAL_PLAIN_MAX leaves ERR_LIMIT in the buffer. */
void seal(const struct secret *key, struct str context, struct str plain,
	  const unsigned char nonce[24], struct buf *out);
/* ERR_BAD_SIGNATURE: wrong key, wrong context or damaged. Plain text goes to `out` (wipe it).
 * ERR_LIMIT and ERR_NOMEM are the buffer's. */
MUST_CHECK enum err unseal(const struct secret *key, struct str context, struct str sealed,
			   struct buf *out);

/* master.key: exactly 32 bytes.
 * `ours`: the file chancery made: regular, no link, owned by us (or root), mode 0600 or stricter.
 * Otherwise an operator's path: may be a link; owned by root or us, group-readable at most, never
 * by the world. On failure *ret_why (constant) says which rule: ERR_NOT_FOUND there is none,
 * ERR_FORBIDDEN kind, owner or mode, ERR_SYNTAX not 32 bytes, ERR_IO. Opens once; reads from that
 * descriptor, so that what was judged is what is read. */
MUST_CHECK enum err master_key_read(const char *path, bool ours, struct secret *ret_key,
				    const char **ret_why);
/* O_CREAT|O_EXCL, 0600, fsync of file and folder; the name appears only when the bytes are durable.
 * ERR_CONFLICT if it exists, ERR_FULL, ERR_IO. */
MUST_CHECK enum err master_key_create(const char *path, const struct secret *key);

#endif
