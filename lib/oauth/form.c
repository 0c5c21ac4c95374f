/* Form decoding in one pass per parameter, from the body into the arena. Nothing is cut, folded or
 * repaired: what cannot be read one way only is refused. */
#include "oauth/form.h"

/* RFC 8707 2: the parameters that may be given more than once. */
static bool may_repeat(struct str name)
{
	return str_equal_z(name, "resource") || str_equal_z(name, "audience");
}

/* The byte at text[*i], decoded; moves *i past it. -1 for a bad escape. */
static int next_byte(struct str text, size_t *i)
{
	char c = text.p[(*i)++];
	int high, low;

	if (c == '+')
		return ' ';
	if (c != '%')
		return (unsigned char)c;
	if (text.n - *i < 2)
		return -1;
	high = hex_value(text.p[*i]);
	low = hex_value(text.p[*i + 1]);
	*i += 2;
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* NUL would cut the value for whoever reads it as a C string, CR and LF would end a line in a
 * header or a log; no parameter of RFC 6749 appendix A may hold one. */
static bool is_allowed(int byte)
{
	return byte > 0 && byte != '\r' && byte != '\n';
}

enum err form_decode(struct arena *a, struct str text, struct str *ret_value)
{
	char *out = arena_alloc(a, text.n + 1);
	size_t n = 0;

	if (!out)
		return ERR_NOMEM;
	for (size_t i = 0; i < text.n;) {
		int byte = next_byte(text, &i);

		if (!is_allowed(byte))
			return ERR_SYNTAX;
		out[n++] = (char)byte;
	}
	if (!str_is_utf8(str_n(out, n)))
		return ERR_SYNTAX;
	*ret_value = str_n(out, n);
	return ERR_OK;
}

static enum err read_param(struct arena *a, struct str text, struct form_param *ret_param)
{
	const char *equals = memchr(text.p, '=', text.n);
	size_t name_len = equals ? (size_t)(equals - text.p) : text.n;
	struct str value = equals ? str_n(equals + 1, text.n - name_len - 1) : STR("");
	struct form_param param;
	enum err e;

	e = form_decode(a, str_n(text.p, name_len), &param.name);
	if (!e)
		e = form_decode(a, value, &param.value);
	if (!e)
		*ret_param = param;
	return e;
}

static bool has_name(const struct form *f, struct str name)
{
	for (size_t i = 0; i < f->count; i++) {
		if (str_equal(f->params[i].name, name))
			return true;
	}
	return false;
}

static enum err add_param(struct arena *a, struct str text, struct form *f)
{
	struct form_param *param = &f->params[f->count];
	enum err e;

	if (f->count == FORM_PARAMS_MAX)
		return ERR_LIMIT;
	e = read_param(a, text, param);
	if (e)
		return e;
	/* RFC 6749 3.2: MUST NOT be included more than once; an empty first one counts */
	if (has_name(f, param->name) && !may_repeat(param->name))
		return ERR_CONFLICT;
	f->count++;
	return ERR_OK;
}

enum err form_parse(struct arena *a, struct str body, struct form *ret_form)
{
	struct str rest = body, part;
	struct form f;
	enum err e = ERR_OK;

	f.count = 0;
	while (!e && str_next(&rest, '&', &part)) {
		if (part.n > 0)
			e = add_param(a, part, &f);
	}
	if (e)
		return e;
	memcpy(ret_form->params, f.params, f.count * sizeof(f.params[0]));
	ret_form->count = f.count;
	return ERR_OK;
}

struct str form_get(const struct form *f, const char *name)
{
	return form_nth(f, name, 0);
}

struct str form_nth(const struct form *f, const char *name, size_t i)
{
	for (size_t k = 0; k < f->count; k++) {
		const struct form_param *param = &f->params[k];

		if (param->value.n > 0 && str_equal_z(param->name, name) && i-- == 0)
			return param->value;
	}
	return STR_NONE;
}

/* What the WHATWG form encoder leaves alone, as RFC 6749 appendix B asks. */
static bool is_literal(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '*' || c == '-' || c == '.' || c == '_';
}

void form_encode(struct buf *out, struct str value)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		char escape[3] = { '%', digits[c >> 4], digits[c & 15] };

		if (is_literal((char)c))
			buf_byte(out, (char)c);
		else if (c == ' ')
			buf_byte(out, '+');
		else
			buf_add(out, escape, sizeof(escape));
	}
}
