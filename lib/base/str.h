/* A borrowed run of bytes. Not NUL-terminated unless the maker says so; owns nothing.
 * { NULL, 0 } is "absent", { non-NULL, 0 } is "present and empty". */
#ifndef CHANCERY_BASE_STR_H
#define CHANCERY_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct str {
	const char *p;
	size_t n;
};

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })
#define STR_NONE ((struct str){ NULL, 0 })
/* for "%.*s" */
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct str str_z(const char *z)
{
	return (struct str){ z, z ? strlen(z) : 0 };
}

static inline struct str str_n(const void *p, size_t n)
{
	return (struct str){ p, n };
}

/* Byte for byte (RFC 6749 has no case folding for identifiers). Not for secrets: secret_equal. */
bool str_equal(struct str a, struct str b);
bool str_equal_z(struct str a, const char *z);
/* ASCII letters only; for HTTP scheme and header names. */
bool str_case_equal(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/* Orders by unsigned bytes, a prefix first: <0, 0, >0. */
int str_compare(struct str a, struct str b);

/* Cuts the part before the first `sep` off *rest. False when nothing is left; "a,,b" gives "a", "",
 * "b"; a separator at the very end adds no part: "a," gives "a". */
bool str_next(struct str *rest, char sep, struct str *ret_part);
/* Removes ASCII space and tab at both ends. */
struct str str_trim(struct str s);

/* Decimal, optional '-', no spaces, no leading '+', whole string: else ERR_SYNTAX. Outside:
 * ERR_LIMIT. */
MUST_CHECK enum err str_to_i64(struct str s, int64_t min, int64_t max, int64_t *ret_value);

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool str_is_utf8(struct str s);
/* %x20-7E only: what RFC 6749 A.1, A.2 and A.12 call VSCHAR. */
bool str_is_vschar(struct str s);
bool str_has_nul(struct str s);
/* 0 to 15, in either case; -1 for what is no hexadecimal digit. */
int hex_value(char c);

#endif
