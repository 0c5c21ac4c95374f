/* Sealed blobs. The first byte is the format's version and is authenticated with the context, so
 * that a later format cannot be taken for this one. */
#include "keys/seal.h"

#include <assert.h>
#include <sodium.h>

enum {
	SEAL_VERSION = 1,
	NONCE_LEN = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG_LEN = crypto_aead_xchacha20poly1305_ietf_ABYTES,
	CONTEXT_MAX = 255,
};

static_assert(SEAL_OVERHEAD == 1 + NONCE_LEN + TAG_LEN, "the header promises these sizes");
static_assert(SECRET_LEN == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "a secret is a key");

/* What is authenticated besides the text: version, then context. */
struct bound {
	unsigned char b[1 + CONTEXT_MAX];
	size_t n;
};

static struct bound bound_to(struct str context)
{
	struct bound bound = { .b = { SEAL_VERSION }, .n = 1 + context.n };

	assert(context.n <= CONTEXT_MAX);
	memcpy(bound.b + 1, context.p, context.n);
	return bound;
}

void seal(const struct secret *key, struct str context, struct str plain,
	  const unsigned char nonce[24], struct buf *out)
{
	unsigned char text[SEAL_PLAIN_MAX + TAG_LEN];
	struct bound bound = bound_to(context);
	unsigned long long n;

	if (plain.n > SEAL_PLAIN_MAX) {
		out->err = ERR_LIMIT;
		return;
	}
	crypto_aead_xchacha20poly1305_ietf_encrypt(text, &n, (const unsigned char *)plain.p,
						   plain.n, bound.b, bound.n, NULL, nonce, key->b);
	buf_byte(out, SEAL_VERSION);
	buf_add(out, nonce, NONCE_LEN);
	buf_add(out, text, (size_t)n);
}

enum err unseal(const struct secret *key, struct str context, struct str sealed, struct buf *out)
{
	unsigned char plain[SEAL_PLAIN_MAX];
	struct bound bound = bound_to(context);
	const unsigned char *nonce = (const unsigned char *)sealed.p + 1;
	struct str text;
	unsigned long long n;

	if (sealed.n < SEAL_OVERHEAD || sealed.n > SEALED_MAX || sealed.p[0] != SEAL_VERSION)
		return ERR_BAD_SIGNATURE;
	text = str_n(sealed.p + 1 + NONCE_LEN, sealed.n - 1 - NONCE_LEN);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, &n, NULL,
						       (const unsigned char *)text.p, text.n,
						       bound.b, bound.n, nonce, key->b))
		return ERR_BAD_SIGNATURE;
	buf_add(out, plain, (size_t)n);
	wipe(plain, (size_t)n);
	return out->err;
}
