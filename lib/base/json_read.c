/* The reader of JSON (RFC 8259): one pass over a private copy of the text, in which strings are
 * decoded where they stand, since no escape is shorter than what it stands for. Values go into an
 * arena of their own, are freed at once, and are wiped, because bodies carry secrets.
 *
 * It is not a library's, for what the widely used one does out of memory: jansson 2.14 leaves
 * characters out of a string when it cannot enlarge its buffer, and calls that success. A client id
 * or an audience would become another one. (It also opens /dev/urandom, which a confined process
 * does not have.) tests/fuzz/fuzz_json.c holds the two against each other. */
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "base/json_node.h"
#include "base/limits.h"

enum {
	/* a value of 40 bytes takes two of text at least; blocks may be left half full */
	BYTES_PER_BYTE = 64,
	BYTES_ALWAYS = 8192,
	FEW_MEMBERS = 16, /* so few are compared each with each */
};

struct reader {
	struct arena *arena;
	char *at; /* the copy ends with a NUL, and holds no other: every scan stops there */
	unsigned depth;
	struct buf stack; /* values of the lists that are not closed yet */
};

static void skip_space(struct reader *r)
{
	while (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')
		r->at++;
}

static bool take(struct reader *r, char c)
{
	skip_space(r);
	if (*r->at != c)
		return false;
	r->at++;
	return true;
}

/* ---- strings ---- */

/* Four hexadecimal digits; -1 when there are not as many. */
static int32_t read_unit(struct reader *r)
{
	int32_t unit = 0;

	for (int i = 0; i < 4; i++) {
		int digit = hex_value(*r->at);

		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
		r->at++;
	}
	return unit;
}

/* The code point of "\uXXXX", or of the pair that stands for one above U+FFFF; `at` is behind the
 * first two characters. -1 for NUL and for half a pair: no UTF-8 says either. */
static int32_t read_code_point(struct reader *r)
{
	int32_t high = read_unit(r);
	int32_t low;

	if (high <= 0 || (high >= 0xdc00 && high <= 0xdfff))
		return -1;
	if (high < 0xd800 || high > 0xdbff)
		return high;
	if (r->at[0] != '\\' || r->at[1] != 'u')
		return -1;
	r->at += 2;
	low = read_unit(r);
	if (low < 0xdc00 || low > 0xdfff)
		return -1;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static char *put_utf8(char *out, int32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
		return out;
	}
	if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*out++ = (char)(0x80 | (c & 0x3f));
	return out;
}

/* Decodes the escape at `at` to *out and moves both on. */
static enum err read_escape(struct reader *r, char **out)
{
	static const char pairs[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
	char kind = r->at[1];
	int32_t c;

	for (const char *p = pairs; *p; p += 2) {
		if (*p == kind) {
			*(*out)++ = p[1];
			r->at += 2;
			return ERR_OK;
		}
	}
	if (kind != 'u')
		return ERR_SYNTAX;
	r->at += 2;
	c = read_code_point(r);
	if (c < 0)
		return ERR_SYNTAX;
	*out = put_utf8(*out, c);
	return ERR_OK;
}

/* From the opening quote to behind the closing one, whose place the NUL takes if none comes before.
 */
static enum err read_string(struct reader *r, struct str *ret_text)
{
	char *start = r->at + 1;
	char *out = start;

	r->at = start;
	while (*r->at != '"') {
		enum err e = ERR_OK;

		/* RFC 8259 7: controls must be escaped; the NUL at the end is one */
		if ((unsigned char)*r->at < 0x20)
			return ERR_SYNTAX;
		if (*r->at == '\\')
			e = read_escape(r, &out);
		else
			*out++ = *r->at++;
		if (e)
			return e;
	}
	r->at++;
	*out = '\0';
	*ret_text = str_n(start, (size_t)(out - start));
	return ERR_OK;
}

/* ---- numbers and words ---- */

static bool skip_digits(struct reader *r)
{
	const char *start = r->at;

	while (*r->at >= '0' && *r->at <= '9')
		r->at++;
	return r->at > start;
}

/* RFC 8259 6. *ret_whole: neither fraction nor exponent. */
static bool skip_number(struct reader *r, bool *ret_whole)
{
	bool whole = true;

	if (*r->at == '-')
		r->at++;
	if (*r->at == '0')
		r->at++;
	else if (!skip_digits(r))
		return false;
	if (*r->at == '.') {
		whole = false;
		r->at++;
		if (!skip_digits(r))
			return false;
	}
	if (*r->at == 'e' || *r->at == 'E') {
		whole = false;
		r->at++;
		if (*r->at == '+' || *r->at == '-')
			r->at++;
		if (!skip_digits(r))
			return false;
	}
	*ret_whole = whole;
	return true;
}

/* The program that links libchancery may have a locale in which 1.5 is 1 (glibc has "C" ready and
 * allocates nothing for it). */
static enum err read_real(const char *text, double *ret_value)
{
	locale_t plain = newlocale(LC_ALL_MASK, "C", NULL);

	if (!plain)
		return ERR_NOMEM;
	*ret_value = strtod_l(text, NULL, plain);
	freelocale(plain);
	return isfinite(*ret_value) ? ERR_OK : ERR_SYNTAX;
}

/* What neither an int64_t nor a double can hold is refused, not rounded. */
static enum err read_number(struct reader *r, struct json *v)
{
	const char *start = r->at;
	bool whole;

	if (!skip_number(r, &whole))
		return ERR_SYNTAX;
	if (whole) {
		v->type = JSON_INT;
		return str_to_i64(str_n(start, (size_t)(r->at - start)), INT64_MIN, INT64_MAX,
				  &v->is.integer) == ERR_OK
			       ? ERR_OK
			       : ERR_SYNTAX;
	}
	v->type = JSON_REAL;
	return read_real(start, &v->is.real);
}

static enum err read_word(struct reader *r, struct json *v)
{
	static const struct {
		struct str word;
		enum json_type type;
		bool truth;
	} words[] = {
		{ { "true", 4 }, JSON_BOOL, true },
		{ { "false", 5 }, JSON_BOOL, false },
		{ { "null", 4 }, JSON_NULL, false },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strncmp(r->at, words[i].word.p, words[i].word.n) == 0) {
			v->type = words[i].type;
			v->is.truth = words[i].truth;
			r->at += words[i].word.n;
			return ERR_OK;
		}
	}
	return ERR_SYNTAX;
}

/* ---- lists ---- */

static int compare_names(const void *a, const void *b)
{
	return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* Sorted, equal names are neighbours: an object of thousands of members is not compared each with
 * each. */
static enum err check_many_names(struct arena *a, const struct json *items, size_t count)
{
	struct str *names = arena_array(a, count, sizeof(*names));

	if (!names)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++)
		names[i] = items[i].name;
	qsort(names, count, sizeof(*names), compare_names);
	for (size_t i = 1; i < count; i++) {
		if (str_equal(names[i - 1], names[i]))
			return ERR_SYNTAX;
	}
	return ERR_OK;
}

/* RFC 7515 4: a name twice is refused, so that no two readers of one text disagree. */
static enum err check_names(struct arena *a, const struct json *items, size_t count)
{
	if (count > FEW_MEMBERS)
		return check_many_names(a, items, count);
	for (size_t i = 1; i < count; i++) {
		for (size_t k = 0; k < i; k++) {
			if (str_equal(items[i].name, items[k].name))
				return ERR_SYNTAX;
		}
	}
	return ERR_OK;
}

/* Takes the values from `base` on off the stack and puts them side by side, for json_at. */
static enum err close_list(struct reader *r, size_t base, struct json *list)
{
	size_t bytes = r->stack.n - base;
	struct json *items;

	if (r->stack.err)
		return r->stack.err;
	items = arena_alloc(r->arena, bytes);
	if (!items)
		return ERR_NOMEM;
	if (bytes)
		memcpy(items, r->stack.p + base, bytes);
	r->stack.n = base;
	list->is.list.items = items;
	list->is.list.count = bytes / sizeof(*items);
	return list->type == JSON_OBJECT ? check_names(r->arena, items, list->is.list.count)
					 : ERR_OK;
}

static enum err read_value(struct reader *r, struct json *v);

static enum err read_name(struct reader *r, struct str *ret_name)
{
	enum err e;

	skip_space(r);
	if (*r->at != '"')
		return ERR_SYNTAX;
	e = read_string(r, ret_name);
	if (e)
		return e;
	return take(r, ':') ? ERR_OK : ERR_SYNTAX;
}

/* Elements or members up to `close`; the bracket before them is taken. */
static enum err read_items(struct reader *r, bool named, char close)
{
	if (take(r, close))
		return ERR_OK;
	do {
		struct json item = { .name = STR_NONE };
		enum err e = named ? read_name(r, &item.name) : ERR_OK;

		if (!e)
			e = read_value(r, &item);
		if (e)
			return e;
		buf_add(&r->stack, &item, sizeof(item));
	} while (take(r, ','));
	return take(r, close) ? ERR_OK : ERR_SYNTAX;
}

/* J10: the depth bounds the recursion, and whoever walks the value may recurse as well. */
static enum err read_list(struct reader *r, struct json *v)
{
	size_t base = r->stack.n;
	bool named = *r->at == '{';
	enum err e;

	if (r->depth == JSON_DEPTH_MAX)
		return ERR_LIMIT;
	r->at++;
	r->depth++;
	v->type = named ? JSON_OBJECT : JSON_ARRAY;
	e = read_items(r, named, named ? '}' : ']');
	r->depth--;
	return e ? e : close_list(r, base, v);
}

static enum err read_value(struct reader *r, struct json *v)
{
	skip_space(r);
	if (*r->at == '{' || *r->at == '[')
		return read_list(r, v);
	if (*r->at == '"') {
		v->type = JSON_STRING;
		return read_string(r, &v->is.text);
	}
	if (*r->at == '-' || (*r->at >= '0' && *r->at <= '9'))
		return read_number(r, v);
	return read_word(r, v);
}

/* ---- the whole text ---- */

static enum err read_text(struct arena *a, struct str text, struct json_root **ret_root)
{
	struct json_root *root = arena_new_of(a, struct json_root);
	struct reader r = { .arena = a, .at = (char *)arena_z(a, text) };
	enum err e;

	if (!root || !r.at)
		return ERR_NOMEM;
	buf_init(&r.stack, NULL, BYTES_PER_BYTE * text.n + BYTES_ALWAYS);
	e = read_value(&r, &root->value);
	skip_space(&r);
	/* bytes after the value; of a NUL we know that it is the end */
	if (!e && *r.at != '\0')
		e = ERR_SYNTAX;
	buf_done(&r.stack);
	root->arena = a;
	if (!e)
		*ret_root = root;
	return e;
}

enum err json_parse_any(struct str text, size_t max, struct json **ret_root)
{
	AUTO(arena, a) = NULL;
	struct json_root *root;
	enum err e;

	if (text.n > max)
		return ERR_LIMIT;
	if (text.n == 0 || str_has_nul(text) || !str_is_utf8(text))
		return ERR_SYNTAX;
	e = arena_new(BYTES_PER_BYTE * text.n + BYTES_ALWAYS, &a);
	if (!e)
		e = read_text(a, text, &root);
	if (e)
		return e;
	a = NULL; /* the root's now */
	*ret_root = &root->value;
	return ERR_OK;
}

enum err json_parse(struct str text, size_t max, struct json **ret_root)
{
	struct json *root = NULL;
	enum err e = json_parse_any(text, max, &root);

	if (e)
		return e;
	if (json_type(root) != JSON_OBJECT && json_type(root) != JSON_ARRAY) {
		json_free(root);
		return ERR_SYNTAX;
	}
	*ret_root = root;
	return ERR_OK;
}

void json_free(struct json *root)
{
	if (root)
		arena_free(((struct json_root *)root)->arena);
}
