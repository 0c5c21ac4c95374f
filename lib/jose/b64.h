/* base64url without padding (RFC 7515 2), strict and canonical: no white space, no padding, no '+'
 * or
 * '/', unused trailing bits zero. A second spelling of the same bytes would be a second token. */
#ifndef CHANCERY_JOSE_B64_H
#define CHANCERY_JOSE_B64_H

#include "base/buf.h"

#define B64URL_LEN(n) (((n) * 4 + 2) / 3)

void b64url_encode(struct buf *out, const void *p, size_t n);
/* Writes B64URL_LEN(n) characters and a NUL. */
void b64url_encode_z(const void *p, size_t n, char *ret_text);
/* The same text from pieces of any length; starts with all zero. Ended, it is that again. */
struct b64url_stream {
	unsigned char kept[3]; /* fewer than 3 bytes, which make no character alone */
	size_t n;
};
void b64url_stream_add(struct b64url_stream *s, struct buf *out, const void *p, size_t n);
void b64url_stream_end(struct b64url_stream *s, struct buf *out);
/* ERR_SYNTAX; ERR_LIMIT when more than `cap` bytes come out. */
MUST_CHECK enum err b64url_decode(struct str text, void *ret_bytes, size_t cap, size_t *ret_n);
/* Standard alphabet with required padding (RFC 4648 4), for HTTP Basic; as strict. */
MUST_CHECK enum err b64_decode(struct str text, void *ret_bytes, size_t cap, size_t *ret_n);

#endif
