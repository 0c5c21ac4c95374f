/* A growing byte buffer born with its ceiling. Sticky: append freely, check once at the end. After
 * the first failure (ceiling, no memory) every call is ignored and buf_end tells.
 *
 * With an arena the bytes are the arena's and buf_done does nothing; without one they are heap and
 * buf_done wipes and frees them. */
#ifndef CHANCERY_BASE_BUF_H
#define CHANCERY_BASE_BUF_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct buf {
	char *p;
	size_t n;
	size_t cap;
	size_t max;
	struct arena *arena;
	enum err err;
};

/* `max` counts content bytes; one more is kept for the NUL that buf_end promises. */
void buf_init(struct buf *b, struct arena *arena, size_t max);
void buf_done(struct buf *b);
/* Forgets content and error, keeps memory. */
void buf_clear(struct buf *b);

/* Not from the buffer's own content: it may move. */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_z(struct buf *b, const char *z);
void buf_byte(struct buf *b, char c);
void buf_i64(struct buf *b, int64_t v);
void buf_fmt(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* Lower-case hexadecimal. */
void buf_hex(struct buf *b, const void *p, size_t n);

/* The content, NUL-terminated after its last byte; borrowed from the buffer. ERR_LIMIT or
 * ERR_NOMEM. */
MUST_CHECK enum err buf_end(struct buf *b, struct str *ret_text);

#endif
