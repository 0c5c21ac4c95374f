/* A sticky byte builder. Heap buffers grow by copying into a fresh block and wiping the old one,
 * never by realloc: realloc may leave a copy of a token behind in freed memory. */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"

enum { FIRST_CAPACITY = 256 };

void buf_init(struct buf *b, struct arena *arena, size_t max)
{
	assert(max < SIZE_MAX / 2);
	*b = (struct buf){ .max = max, .arena = arena };
}

void buf_done(struct buf *b)
{
	if (!b->arena && b->p) {
		wipe(b->p, b->cap);
		free(b->p);
	}
	b->p = NULL;
	b->n = 0;
	b->cap = 0;
}

void buf_clear(struct buf *b)
{
	b->n = 0;
	b->err = ERR_OK;
}

static size_t next_capacity(const struct buf *b, size_t need)
{
	size_t cap = b->cap ? b->cap * 2 : FIRST_CAPACITY;

	if (cap < need)
		cap = need;
	return cap > b->max + 1 ? b->max + 1 : cap;
}

static void move_to(struct buf *b, char *p, size_t cap)
{
	if (b->n)
		memcpy(p, b->p, b->n);
	if (!b->arena && b->p) {
		wipe(b->p, b->cap);
		free(b->p);
	}
	b->p = p;
	b->cap = cap;
}

/* Room for n more bytes and a NUL. */
static bool reserve(struct buf *b, size_t n)
{
	size_t cap;
	char *p;

	if (b->err)
		return false;
	if (n > b->max - b->n) {
		b->err = ERR_LIMIT;
		return false;
	}
	if (b->n + n < b->cap)
		return true;
	cap = next_capacity(b, b->n + n + 1);
	p = b->arena ? arena_alloc(b->arena, cap) : malloc(cap);
	if (!p) {
		b->err = ERR_NOMEM;
		return false;
	}
	move_to(b, p, cap);
	return true;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0 || !reserve(b, n))
		return;
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

void buf_str(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.n);
}

void buf_z(struct buf *b, const char *z)
{
	buf_str(b, str_z(z));
}

void buf_byte(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_i64(struct buf *b, int64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);
	uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	do {
		digits[--at] = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	if (v < 0)
		digits[--at] = '-';
	buf_add(b, digits + at, sizeof(digits) - at);
}

/* Formats into the room there is; when that is too little, makes the room and formats again. */
void buf_fmt(struct buf *b, const char *format, ...)
{
	va_list args;
	int n;

	if (!reserve(b, 0))
		return;
	va_start(args, format);
	n = vsnprintf(b->p + b->n, b->cap - b->n, format, args);
	va_end(args);
	if (n >= 0 && (size_t)n >= b->cap - b->n && reserve(b, (size_t)n)) {
		va_start(args, format);
		n = vsnprintf(b->p + b->n, b->cap - b->n, format, args);
		va_end(args);
	}
	if (n < 0)
		b->err = ERR_INTERNAL;
	if (!b->err)
		b->n += (size_t)n;
}

void buf_hex(struct buf *b, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *bytes = p;

	for (size_t i = 0; i < n; i++) {
		char pair[2] = { digits[bytes[i] >> 4], digits[bytes[i] & 15] };

		buf_add(b, pair, sizeof(pair));
	}
}

enum err buf_end(struct buf *b, struct str *ret_text)
{
	if (!reserve(b, 0))
		return b->err;
	b->p[b->n] = '\0';
	*ret_text = str_n(b->p, b->n);
	return ERR_OK;
}
