/* base64 on libsodium: it has no tables that a secret could index, refuses characters outside the
 * alphabet and non-zero trailing bits, and requires or forbids padding as told. What it lacks is a
 * limit that tells "too long" from "malformed", and an output that grows. */
#include "jose/b64.h"

#include <sodium.h>

#include "base/secret.h"

enum { CHUNK = 192 }; /* a multiple of 3: chunks join without padding */

void b64url_encode_z(const void *p, size_t n, char *ret_text)
{
	sodium_bin2base64(ret_text, B64URL_LEN(n) + 1, p, n,
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

void b64url_encode(struct buf *out, const void *p, size_t n)
{
	const unsigned char *bytes = p;
	char text[B64URL_LEN(CHUNK) + 1];

	while (n > 0) {
		size_t take = n < CHUNK ? n : CHUNK;

		b64url_encode_z(bytes, take, text);
		buf_add(out, text, B64URL_LEN(take));
		bytes += take;
		n -= take;
	}
	wipe(text, sizeof(text));
}

static enum err decode(struct str text, size_t len, int variant, void *ret_bytes, size_t cap,
		       size_t *ret_n)
{
	size_t n;

	if (len > cap)
		return ERR_LIMIT;
	/* without an end pointer it fails unless it consumed the whole text */
	if (sodium_base642bin(ret_bytes, cap, text.p, text.n, NULL, &n, NULL, variant) != 0)
		return ERR_SYNTAX;
	*ret_n = n;
	return ERR_OK;
}

enum err b64url_decode(struct str text, void *ret_bytes, size_t cap, size_t *ret_n)
{
	return decode(text, text.n / 4 * 3 + text.n % 4 * 3 / 4,
		      sodium_base64_VARIANT_URLSAFE_NO_PADDING, ret_bytes, cap, ret_n);
}

enum err b64_decode(struct str text, void *ret_bytes, size_t cap, size_t *ret_n)
{
	size_t pad = str_ends(text, STR("==")) ? 2 : str_ends(text, STR("=")) ? 1 : 0;

	if (text.n % 4 != 0)
		return ERR_SYNTAX;
	return decode(text, text.n / 4 * 3 - pad, sodium_base64_VARIANT_ORIGINAL, ret_bytes, cap,
		      ret_n);
}
