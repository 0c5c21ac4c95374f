/* The writer: JSON straight into a buffer, without a tree. The one bool says whether a comma is
 * due: it is set by an opening bracket and by a key, and cleared by every finished value. */
#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"

void jsonw_init(struct jsonw *w, struct buf *out)
{
	*w = (struct jsonw){ .out = out, .first = true };
}

static void comma(struct jsonw *w)
{
	if (!w->first)
		buf_byte(w->out, ',');
	w->first = false;
}

static void open_bracket(struct jsonw *w, char bracket)
{
	comma(w);
	if (w->depth == JSON_DEPTH_MAX && !w->out->err)
		w->out->err = ERR_LIMIT;
	w->depth++;
	w->first = true;
	buf_byte(w->out, bracket);
}

static void close_bracket(struct jsonw *w, char bracket)
{
	assert(w->depth > 0);
	w->depth--;
	w->first = false;
	buf_byte(w->out, bracket);
}

void jsonw_object(struct jsonw *w)
{
	open_bracket(w, '{');
}

void jsonw_array(struct jsonw *w)
{
	open_bracket(w, '[');
}

void jsonw_end_object(struct jsonw *w)
{
	close_bracket(w, '}');
}

void jsonw_end_array(struct jsonw *w)
{
	close_bracket(w, ']');
}

static void escape(struct buf *out, unsigned char c)
{
	static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (const char *f = short_forms; *f; f += 2) {
		if ((unsigned char)f[0] == c) {
			buf_byte(out, '\\');
			buf_byte(out, f[1]);
			return;
		}
	}
	buf_add(out, "\\u00", 4);
	buf_hex(out, &c, 1);
}

/* RFC 8259 7: quote, backslash and U+0000 to U+001F. Runs that need nothing are copied whole. */
static void quoted(struct buf *out, struct str s)
{
	size_t from = 0;

	buf_byte(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_add(out, s.p + from, i - from);
		escape(out, c);
		from = i + 1;
	}
	if (s.n > from)
		buf_add(out, s.p + from, s.n - from);
	buf_byte(out, '"');
}

void jsonw_key_str(struct jsonw *w, struct str name)
{
	comma(w);
	quoted(w->out, name);
	buf_byte(w->out, ':');
	w->first = true;
}

void jsonw_key(struct jsonw *w, const char *name)
{
	jsonw_key_str(w, str_z(name));
}

void jsonw_str(struct jsonw *w, struct str s)
{
	comma(w);
	quoted(w->out, s);
}

void jsonw_z(struct jsonw *w, const char *z)
{
	jsonw_str(w, str_z(z));
}

void jsonw_int(struct jsonw *w, int64_t v)
{
	comma(w);
	buf_i64(w->out, v);
}

void jsonw_bool(struct jsonw *w, bool v)
{
	jsonw_raw(w, v ? STR("true") : STR("false"));
}

void jsonw_null(struct jsonw *w)
{
	jsonw_raw(w, STR("null"));
}

void jsonw_raw(struct jsonw *w, struct str json)
{
	comma(w);
	buf_str(w->out, json);
}

/* As few digits as give the same double back, which 17 always do. A whole number keeps its ".0", so
 * that a real is read as a real. */
static void real(struct jsonw *w, double v)
{
	char text[32];
	int digits = 15;
	int n;

	assert(isfinite(v));
	do {
		n = snprintf(text, sizeof(text), "%.*g", digits, v);
	} while (strtod(text, NULL) != v && ++digits <= 17);
	assert(n > 0 && (size_t)n < sizeof(text));
	jsonw_raw(w, str_n(text, (size_t)n));
	if (!strpbrk(text, ".e"))
		buf_add(w->out, ".0", 2);
}

static void members(struct jsonw *w, const struct json *object)
{
	void *iter = NULL;
	struct str name;
	const struct json *v;

	jsonw_object(w);
	while (json_each(object, &iter, &name, &v)) {
		jsonw_key_str(w, name);
		jsonw_value(w, v);
	}
	jsonw_end_object(w);
}

static void elements(struct jsonw *w, const struct json *array)
{
	jsonw_array(w);
	for (size_t i = 0; i < json_len(array); i++)
		jsonw_value(w, json_at(array, i));
	jsonw_end_array(w);
}

/* Recursion as deep as the reader let the value be. */
void jsonw_value(struct jsonw *w, const struct json *v)
{
	struct str text = STR_NONE;
	int64_t integer = 0;
	double number = 0;
	bool truth = false;

	switch (json_type(v)) {
	case JSON_NULL:
		jsonw_null(w);
		break;
	case JSON_BOOL:
		json_bool(v, &truth);
		jsonw_bool(w, truth);
		break;
	case JSON_INT:
		json_int(v, &integer);
		jsonw_int(w, integer);
		break;
	case JSON_REAL:
		json_number(v, &number);
		real(w, number);
		break;
	case JSON_STRING:
		json_str(v, &text);
		jsonw_str(w, text);
		break;
	case JSON_ARRAY:
		elements(w, v);
		break;
	case JSON_OBJECT:
		members(w, v);
		break;
	}
}

void json_dump(const struct json *v, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_value(&w, v);
}

void jsonw_member(struct jsonw *w, const char *name, struct str value)
{
	jsonw_key(w, name);
	jsonw_str(w, value);
}

void jsonw_member_z(struct jsonw *w, const char *name, const char *value)
{
	jsonw_key(w, name);
	jsonw_z(w, value);
}

void jsonw_member_int(struct jsonw *w, const char *name, int64_t value)
{
	jsonw_key(w, name);
	jsonw_int(w, value);
}

void jsonw_member_bool(struct jsonw *w, const char *name, bool value)
{
	jsonw_key(w, name);
	jsonw_bool(w, value);
}
