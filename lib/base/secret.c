/* Secrets on libsodium. BLAKE2b's own parameter block separates "derive a key" from "authenticate a
 * list": one root key may serve both without an output of one ever being an output of the other. */
#include "base/secret.h"

#include <assert.h>
#include <sodium.h>

enum { MAC_MIN = 8, MAC_MAX = 64 };

static const unsigned char derive_domain[crypto_generichash_blake2b_PERSONALBYTES] =
	"chancery.derive";

enum err secret_library_init(void)
{
	return sodium_init() < 0 ? ERR_CRYPTO : ERR_OK;
}

bool bytes_equal_ct(const void *a, const void *b, size_t n)
{
	return n == 0 || sodium_memcmp(a, b, n) == 0;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	return bytes_equal_ct(a->b, b->b, SECRET_LEN);
}

void wipe(void *p, size_t n)
{
	if (n)
		sodium_memzero(p, n);
}

void secret_wipe(struct secret *s)
{
	wipe(s->b, SECRET_LEN);
}

/* libsodium's hash functions fail on sizes out of range only, and ours are constants. */
void secret_derive(const struct secret *root, const char *label, struct secret *ret_key)
{
	int failed = crypto_generichash_blake2b_salt_personal(
		ret_key->b, SECRET_LEN, (const unsigned char *)label, strlen(label), root->b,
		SECRET_LEN, NULL, derive_domain);

	assert(!failed);
	(void)failed;
}

static void add_length(crypto_generichash_state *state, uint64_t n)
{
	unsigned char le[8];

	for (size_t i = 0; i < sizeof(le); i++)
		le[i] = (unsigned char)(n >> (8 * i));
	crypto_generichash_update(state, le, sizeof(le));
}

/* libsodium documents 16 bytes as the shortest output; shorter ones are the front of such a one. */
void secret_mac(const struct secret *key, const struct str *parts, size_t count, void *ret_mac,
		size_t mac_len)
{
	unsigned char full[MAC_MAX];
	size_t full_len = mac_len < crypto_generichash_BYTES_MIN ? crypto_generichash_BYTES_MIN
								 : mac_len;
	crypto_generichash_state state;

	assert(mac_len >= MAC_MIN && mac_len <= MAC_MAX);
	crypto_generichash_init(&state, key->b, SECRET_LEN, full_len);
	for (size_t i = 0; i < count; i++) {
		add_length(&state, parts[i].n);
		crypto_generichash_update(&state, (const unsigned char *)parts[i].p, parts[i].n);
	}
	crypto_generichash_final(&state, full, full_len);
	memcpy(ret_mac, full, mac_len);
	wipe(full, sizeof(full));
	wipe(&state, sizeof(state));
}

void digest256(struct str data, unsigned char ret_digest[32])
{
	crypto_generichash(ret_digest, 32, (const unsigned char *)data.p, data.n, NULL, 0);
}
