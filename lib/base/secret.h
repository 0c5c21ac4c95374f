/* Key material and what may be done with it: compare in constant time, derive, authenticate, wipe.
 *
 * A struct secret is always 32 bytes. It has no printer, so that it cannot be logged by accident.
 * Lists given to secret_mac are encoded with their lengths, so that ("ab","c") and ("a","bc")
 * differ. */
#ifndef CHANCERY_BASE_SECRET_H
#define CHANCERY_BASE_SECRET_H

#include "base/err.h"
#include "base/str.h"

enum { SECRET_LEN = 32 };

struct secret {
	unsigned char b[SECRET_LEN];
};

/* Loads libsodium; once per process, before anything else here. ERR_CRYPTO: do not go on. */
MUST_CHECK enum err secret_library_init(void);

bool secret_equal(const struct secret *a, const struct secret *b);
/* Constant time in the content; lengths are public. */
bool bytes_equal_ct(const void *a, const void *b, size_t n);
/* Not removed by the compiler. */
void wipe(void *p, size_t n);
void secret_wipe(struct secret *s);

/* Keyed BLAKE2b over a domain label: the one way a key is made from another. */
void secret_derive(const struct secret *root, const char *label, struct secret *ret_key);
/* Keyed BLAKE2b over `count` parts, 8 to 64 bytes out. */
void secret_mac(const struct secret *key, const struct str *parts, size_t count, void *ret_mac,
		size_t mac_len);
/* Unkeyed, 32 bytes: for checksums of migrations and ETags, never for secrets. */
void digest256(struct str data, unsigned char ret_digest[32]);

#endif
