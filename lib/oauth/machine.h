/* Machine secrets: 256 random bits or more, prefixed so that scanners find them, checksummed so
 * that a typing error is told from a guess without touching the database.
 *
 *   text = prefix base64url( payload || crc32(prefix || payload), big-endian )
 *
 * chy_cs_ client secret (32 bytes), chy_rt_ refresh token, chy_at_ opaque access token (32 bytes),
 * chy_as_ secret of one api (32 bytes). */
#ifndef CHANCERY_OAUTH_MACHINE_H
#define CHANCERY_OAUTH_MACHINE_H

#include "base/buf.h"
#include "base/secret.h"

#define MACHINE_CLIENT_SECRET "chy_cs_"
#define MACHINE_REFRESH "chy_rt_"
#define MACHINE_ACCESS "chy_at_"
#define MACHINE_API_SECRET "chy_as_"

void machine_write(struct buf *out, const char *prefix, const void *payload, size_t n);
/* Strict: exact prefix, canonical base64url, exactly n bytes, right checksum. ERR_SYNTAX. */
MUST_CHECK enum err machine_read(struct str text, const char *prefix, void *ret_payload, size_t n);

/* A refresh token names a login and a generation and carries a MAC over everything that makes it
 * this one: neither the database (which holds the seed) nor the key alone can produce it.
 *
 * payload = key id (1) || login id (16) || n (4, big-endian) || MAC (32)
 * MAC     = secret_mac(key, "refresh", issuer, epoch, login id, client id, n, seed) */
enum { LOGIN_ID_LEN = 16, LOGIN_SEED_LEN = 32, REFRESH_MAC_LEN = 32 };

struct refresh_name {
	unsigned char key_id;
	unsigned char login[LOGIN_ID_LEN];
	uint32_t n;
	unsigned char mac[REFRESH_MAC_LEN];
};

struct refresh_bind {
	const struct secret *key;
	unsigned char key_id; /* the key's; a token that names another is not genuine under it */
	struct str issuer;
	int64_t epoch;
	struct str client_id;
	const unsigned char *seed; /* LOGIN_SEED_LEN */
};

void refresh_write(struct buf *out, const struct refresh_bind *bind,
		   const unsigned char login[LOGIN_ID_LEN], uint32_t n);
/* Takes the text apart; nothing is authenticated yet. ERR_SYNTAX. */
MUST_CHECK enum err refresh_read(struct str text, struct refresh_name *ret_name);
bool refresh_genuine(const struct refresh_name *name, const struct refresh_bind *bind);

#endif
