/* base64, both alphabets, in blocks of 64 characters. libsodium's reader (1.0.18) takes every byte
 * from 0x80 on for the last character of the alphabet, which would give one token many spellings,
 * and its writer costs a sixth of a signature.
 *
 * Characters become sextets and back by comparisons that compilers turn into masks, many at a time,
 * and not by a table: the text may be a secret, and a table leaves its index in the cache. */
#include "jose/b64.h"

#include "base/secret.h"

enum { CHARS = 64, BYTES = 48 }; /* of a block */

/* What one call works on; wiped at its end. */
struct block {
	unsigned char text[CHARS];
	unsigned char sextets[CHARS];
	unsigned char bytes[BYTES];
};

/* A-Z a-z 0-9 - _ (RFC 4648 5). A comparison is 1 or 0. */
static unsigned char url_symbol(unsigned char v)
{
	return (unsigned char)(v + 'A' + (v > 25) * ('a' - 'Z' - 1) - (v > 51) * ('z' + 1 - '0') -
			       (v > 61) * ('9' + 1 - '-') + (v > 62) * ('_' - '-' - 1));
}

static void encode_block(struct block *b)
{
	for (size_t i = 0; i < CHARS / 4; i++) {
		const unsigned char *in = b->bytes + 3 * i;
		unsigned char *out = b->sextets + 4 * i;

		out[0] = in[0] >> 2;
		out[1] = (unsigned char)((in[0] & 3) << 4 | in[1] >> 4);
		out[2] = (unsigned char)((in[1] & 15) << 2 | in[2] >> 6);
		out[3] = in[2] & 63;
	}
	for (size_t i = 0; i < CHARS; i++)
		b->text[i] = url_symbol(b->sextets[i]);
}

void b64url_encode_z(const void *p, size_t n, char *ret_text)
{
	const unsigned char *from = p;
	struct block b = { .bytes = { 0 } };

	while (n > 0) {
		size_t take = n < BYTES ? n : BYTES;

		/* what stays in a last block from the one before does not reach the text */
		memcpy(b.bytes, from, take);
		if (take < BYTES)
			b.bytes[take] = 0;
		encode_block(&b);
		memcpy(ret_text, b.text, B64URL_LEN(take));
		ret_text += B64URL_LEN(take);
		from += take;
		n -= take;
	}
	*ret_text = '\0';
	wipe(&b, sizeof(b));
}

void b64url_encode(struct buf *out, const void *p, size_t n)
{
	const unsigned char *from = p;
	char text[4 * CHARS + 1];

	while (n > 0) {
		size_t take = n < 4 * BYTES ? n : 4 * BYTES;

		b64url_encode_z(from, take, text);
		buf_add(out, text, B64URL_LEN(take));
		from += take;
		n -= take;
	}
	wipe(text, sizeof(text));
}

void b64url_stream_add(struct b64url_stream *s, struct buf *out, const void *p, size_t n)
{
	const unsigned char *from = p;

	while (s->n > 0 && s->n < sizeof(s->kept) && n > 0) {
		s->kept[s->n++] = *from++;
		n--;
	}
	if (s->n == sizeof(s->kept))
		b64url_stream_end(s, out);
	if (s->n > 0)
		return; /* all of it was too little */
	b64url_encode(out, from, n - n % 3);
	s->n = n % 3;
	memcpy(s->kept, from + n - s->n, s->n);
}

void b64url_stream_end(struct b64url_stream *s, struct buf *out)
{
	b64url_encode(out, s->kept, s->n);
	s->n = 0;
}

/* All ones when lo <= c <= hi, else 0. */
static unsigned char within(unsigned char c, unsigned char lo, unsigned char hi)
{
	return (unsigned char)-((c >= lo) & (c <= hi));
}

/* 1 to 64 for the characters of an alphabet that ends in `last`, 0 for every other byte. */
static unsigned char value(unsigned char c, const char last[2])
{
	return (unsigned char)((within(c, 'A', 'Z') & (c - 'A' + 1)) |
			       (within(c, 'a', 'z') & (c - 'a' + 27)) |
			       (within(c, '0', '9') & (c - '0' + 53)) |
			       (-(c == (unsigned char)last[0]) & 63) |
			       (-(c == (unsigned char)last[1]) & 64));
}

/* Not 0 when a character is none of the alphabet's. */
static unsigned char decode_block(struct block *b, const char last[2])
{
	unsigned char bad = 0;

	for (size_t i = 0; i < CHARS; i++) {
		unsigned char v = value(b->text[i], last);

		bad |= v == 0;
		b->sextets[i] = (unsigned char)(v - 1);
	}
	for (size_t i = 0; i < CHARS / 4; i++) {
		const unsigned char *in = b->sextets + 4 * i;
		unsigned char *out = b->bytes + 3 * i;

		out[0] = (unsigned char)(in[0] << 2 | in[1] >> 4);
		out[1] = (unsigned char)(in[1] << 4 | in[2] >> 2);
		out[2] = (unsigned char)(in[2] << 6 | in[3]);
	}
	return bad;
}

/* Text without padding. Whether it is good is known at the end only; what was written by then is
 * not to be used. */
static enum err decode(struct str text, const char last[2], unsigned char *ret_bytes, size_t cap,
		       size_t *ret_n)
{
	const size_t len = text.n / 4 * 3 + text.n % 4 * 3 / 4;
	unsigned char bad = text.n % 4 == 1; /* six bits are no byte */
	struct block b;

	if (len > cap)
		return ERR_LIMIT;
	for (size_t at = 0, n = 0; at < text.n; at += CHARS) {
		size_t chars = text.n - at < CHARS ? text.n - at : CHARS;
		size_t bytes = len - n < BYTES ? len - n : BYTES;

		memset(b.text, 'A', CHARS);
		memcpy(b.text, text.p + at, chars);
		bad |= decode_block(&b, last);
		memcpy(ret_bytes + n, b.bytes, bytes);
		/* RFC 4648 3.5: bits that are left over MUST be zero; 'A' is zero too */
		bad |= bytes < BYTES && b.bytes[bytes] != 0;
		n += bytes;
	}
	wipe(&b, sizeof(b));
	if (bad)
		return ERR_SYNTAX;
	*ret_n = len;
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
