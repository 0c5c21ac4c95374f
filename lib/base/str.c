/* Borrowed runs of bytes: comparing, cutting, checking. Nothing here allocates, and nothing here
 * reads a byte past the length, so that text straight from the network needs no terminator. */
#include "base/str.h"

static unsigned char lower(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? (unsigned char)(u + ('a' - 'A')) : u;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool str_equal(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_equal_z(struct str a, const char *z)
{
	return str_equal(a, str_z(z));
}

bool str_case_equal(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	}
	return true;
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_equal(str_n(s.p, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n &&
	       (suffix.n == 0 || memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0);
}

int str_compare(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n ? memcmp(a.p, b.p, n) : 0;

	if (order)
		return order;
	return (a.n > b.n) - (a.n < b.n);
}

bool str_next(struct str *rest, char sep, struct str *ret_part)
{
	const char *end;

	if (rest->n == 0)
		return false;
	end = memchr(rest->p, sep, rest->n);
	if (!end) {
		*ret_part = *rest;
		*rest = STR_NONE;
		return true;
	}
	*ret_part = str_n(rest->p, (size_t)(end - rest->p));
	*rest = str_n(end + 1, rest->n - ret_part->n - 1);
	return true;
}

struct str str_trim(struct str s)
{
	while (s.n && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* Counts downwards from zero, because the negative half holds one value more. ERR_LIMIT past it. */
static enum err read_negated(struct str digits, int64_t *ret_value)
{
	int64_t v = 0;

	for (size_t i = 0; i < digits.n; i++) {
		int digit = digits.p[i] - '0';

		if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, digit, &v))
			return ERR_LIMIT;
	}
	*ret_value = v;
	return ERR_OK;
}

static bool all_digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	}
	return s.n > 0;
}

enum err str_to_i64(struct str s, int64_t min, int64_t max, int64_t *ret_value)
{
	bool negative = s.n > 0 && s.p[0] == '-';
	struct str digits = negative ? str_n(s.p + 1, s.n - 1) : s;
	int64_t v;
	enum err e;

	if (!all_digits(digits))
		return ERR_SYNTAX;
	e = read_negated(digits, &v);
	if (e)
		return e;
	if (!negative && __builtin_sub_overflow((int64_t)0, v, &v))
		return ERR_LIMIT;
	if (v < min || v > max)
		return ERR_LIMIT;
	*ret_value = v;
	return ERR_OK;
}

static bool is_continuation(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* Length of the one well-formed sequence at p (RFC 3629 4), 0 if there is none in n bytes. The
 * bounds on the second byte keep out overlong forms (E0, F0), surrogates (ED) and what is above
 * U+10FFFF (F4). */
static size_t utf8_sequence(const unsigned char *p, size_t n)
{
	static const struct {
		unsigned char first_lo, first_hi, second_lo, second_hi, length;
	} forms[] = {
		{ 0x00, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	size_t i = 0;

	while (i < sizeof(forms) / sizeof(forms[0]) && p[0] > forms[i].first_hi)
		i++;
	if (i == sizeof(forms) / sizeof(forms[0]) || p[0] < forms[i].first_lo ||
	    n < forms[i].length)
		return 0;
	if (forms[i].length > 1 && (p[1] < forms[i].second_lo || p[1] > forms[i].second_hi))
		return 0;
	for (size_t k = 2; k < forms[i].length; k++) {
		if (!is_continuation(p[k]))
			return 0;
	}
	return forms[i].length;
}

bool str_is_utf8(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t i = 0;

	while (i < s.n) {
		size_t step = p[i] < 0x80 ? 1 : utf8_sequence(p + i, s.n - i);

		if (step == 0)
			return false;
		i += step;
	}
	return true;
}

bool str_is_vschar(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return false;
	}
	return true;
}

bool str_has_nul(struct str s)
{
	return s.n > 0 && memchr(s.p, '\0', s.n) != NULL;
}

int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}
