/* base64, both alphabets. libsodium writes; the reader is ours, because libsodium 1.0.18 reads
 * every byte from 0x80 on as the last character of the alphabet, which would give one token many
 * spellings.
 *
 * Characters are turned into bits and back without a table or a branch that depends on them: the
 * text may be a secret, and a table leaves its index in the cache. */
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

/* All ones when lo <= c <= hi, else 0. All are below 256, so both differences are negative (their
 * top bit is set) inside the range only. */
static uint32_t within(uint32_t c, uint32_t lo, uint32_t hi)
{
	return 0 - (((lo - 1 - c) & (c - hi - 1)) >> 31);
}

/* 1 to 64 for the 64 characters of an alphabet that ends in `c62` and `c63`, 0 for any other byte.
 */
static uint32_t value(unsigned char c, unsigned char c62, unsigned char c63)
{
	return (within(c, 'A', 'Z') & (c - 64u)) | (within(c, 'a', 'z') & (c - 70u)) |
	       (within(c, '0', '9') & (c + 5u)) | (within(c, c62, c62) & 63) |
	       (within(c, c63, c63) & 64);
}

/* Text without padding. Whether it is good is known at the end only; what was written by then is
 * not to be used. */
static enum err decode(struct str text, const char last[2], unsigned char *ret_bytes, size_t cap,
		       size_t *ret_n)
{
	size_t len = text.n / 4 * 3 + text.n % 4 * 3 / 4;
	uint32_t bits = 0, bad = 0;
	unsigned have = 0;
	size_t n = 0;

	if (len > cap)
		return ERR_LIMIT;
	for (size_t i = 0; i < text.n; i++) {
		uint32_t v = value((unsigned char)text.p[i], (unsigned char)last[0],
				   (unsigned char)last[1]) -
			     1;

		bad |= v >> 31;
		bits = bits << 6 | (v & 63);
		have += 6;
		if (have >= 8) {
			have -= 8;
			ret_bytes[n++] = (unsigned char)(bits >> have);
		}
	}
	/* one character alone is no byte; bits left over must be zero (RFC 4648 3.5) */
	bad |= have == 6 || (bits & ((1u << have) - 1)) != 0;
	if (bad)
		return ERR_SYNTAX;
	*ret_n = n;
	return ERR_OK;
}

enum err b64url_decode(struct str text, void *ret_bytes, size_t cap, size_t *ret_n)
{
	return decode(text, "-_", ret_bytes, cap, ret_n);
}

enum err b64_decode(struct str text, void *ret_bytes, size_t cap, size_t *ret_n)
{
	if (text.n % 4 != 0)
		return ERR_SYNTAX;
	if (str_ends(text, STR("==")))
		text.n -= 2;
	else if (str_ends(text, STR("=")))
		text.n -= 1;
	return decode(text, "+/", ret_bytes, cap, ret_n);
}
