/* The reader. jansson does the grammar; what it does not bound is refused before it is called: it
 * has a depth limit of 2048 only, and builds values while it reads.
 *
 * A struct json is a json_t seen through a cast: jansson stays in this file, and nobody else can
 * count references wrong, because nobody else sees any. */

/* Five of jansson's type names are also ours. They are renamed while its header is read; its
 * json_is_... macros would see our names afterwards, so this file compares json_typeof() with
 * JANSSON_... instead. */
#define json_type jansson_type
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_ARRAY JANSSON_ARRAY
#define JSON_STRING JANSSON_STRING
#define JSON_REAL JANSSON_REAL
#define JSON_NULL JANSSON_NULL
#include <jansson.h>
#undef json_type
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_REAL
#undef JSON_NULL

#include "base/json.h"
#include "base/limits.h"

static const json_t *peek(const struct json *v)
{
	return (const json_t *)v;
}

static const struct json *wrap(const json_t *v)
{
	return (const struct json *)v;
}

/* The index after the string that begins at `i`, or text.n if it never ends. */
static size_t skip_string(struct str text, size_t i)
{
	for (i++; i < text.n && text.p[i] != '"'; i++) {
		if (text.p[i] == '\\')
			i++;
	}
	return i < text.n ? i + 1 : text.n;
}

/* Stops stack exhaustion by nesting (security rule J10): counts brackets outside strings. Text that
 * is no JSON may be counted wrong; jansson refuses it afterwards. */
static bool too_deep(struct str text)
{
	size_t depth = 0;
	size_t i = 0;

	while (i < text.n) {
		char c = text.p[i];

		if (c == '"') {
			i = skip_string(text, i);
			continue;
		}
		if ((c == '{' || c == '[') && ++depth > JSON_DEPTH_MAX)
			return true;
		if ((c == '}' || c == ']') && depth > 0)
			depth--;
		i++;
	}
	return false;
}

/* jansson reports an allocation that failed either by its code or by saying nothing. Where it fails
 * inside a token it says "invalid token", which we cannot tell from bad input: refused as bad
 * input. */
static enum err load_error(const json_error_t *error)
{
	if (error->text[0] == '\0' || json_error_code(error) == json_error_out_of_memory)
		return ERR_NOMEM;
	return ERR_SYNTAX;
}

static enum err parse(struct str text, size_t max, size_t flags, struct json **ret_root)
{
	json_error_t error = { .line = 0 };
	json_t *root;

	if (text.n > max)
		return ERR_LIMIT;
	if (too_deep(text))
		return ERR_LIMIT;
	/* RFC 7515 4: a name twice is refused, so that no two readers of one header disagree. NUL
	 * is refused, raw and as \u0000, unless JSON_ALLOW_NUL is given: C strings would be cut. */
	root = json_loadb(text.p, text.n, flags | JSON_REJECT_DUPLICATES, &error);
	if (!root)
		return load_error(&error);
	*ret_root = (struct json *)root;
	return ERR_OK;
}

enum err json_parse(struct str text, size_t max, struct json **ret_root)
{
	return parse(text, max, 0, ret_root);
}

enum err json_parse_any(struct str text, size_t max, struct json **ret_root)
{
	return parse(text, max, JSON_DECODE_ANY, ret_root);
}

void json_free(struct json *root)
{
	json_decref((json_t *)root);
}

enum json_type json_type(const struct json *v)
{
	if (!v)
		return JSON_NULL;
	switch (json_typeof(peek(v))) {
	case JANSSON_OBJECT:
		return JSON_OBJECT;
	case JANSSON_ARRAY:
		return JSON_ARRAY;
	case JANSSON_STRING:
		return JSON_STRING;
	case JSON_INTEGER:
		return JSON_INT;
	case JANSSON_REAL:
		return JSON_REAL;
	case JSON_TRUE:
	case JSON_FALSE:
		return JSON_BOOL;
	case JANSSON_NULL:
		break;
	}
	return JSON_NULL;
}

static bool is(const struct json *v, enum json_type type)
{
	return v && json_type(v) == type;
}

const struct json *json_get(const struct json *v, const char *name)
{
	return wrap(json_object_get(peek(v), name));
}

bool json_str(const struct json *v, struct str *ret_value)
{
	if (!is(v, JSON_STRING))
		return false;
	*ret_value = str_n(json_string_value(peek(v)), json_string_length(peek(v)));
	return true;
}

bool json_int(const struct json *v, int64_t *ret_value)
{
	if (!is(v, JSON_INT))
		return false;
	*ret_value = json_integer_value(peek(v));
	return true;
}

bool json_bool(const struct json *v, bool *ret_value)
{
	if (!is(v, JSON_BOOL))
		return false;
	*ret_value = json_typeof(peek(v)) == JSON_TRUE;
	return true;
}

bool json_number(const struct json *v, double *ret_value)
{
	if (!is(v, JSON_INT) && !is(v, JSON_REAL))
		return false;
	*ret_value = json_number_value(peek(v));
	return true;
}

size_t json_len(const struct json *v)
{
	return is(v, JSON_OBJECT) ? json_object_size(peek(v)) : json_array_size(peek(v));
}

const struct json *json_at(const struct json *array, size_t i)
{
	return wrap(json_array_get(peek(array), i));
}

bool json_each(const struct json *object, void **iter, struct str *ret_name,
	       const struct json **ret_value)
{
	json_t *o = (json_t *)peek(object);

	*iter = *iter ? json_object_iter_next(o, *iter) : json_object_iter(o);
	if (!*iter)
		return false;
	*ret_name = str_z(json_object_iter_key(*iter));
	*ret_value = wrap(json_object_iter_value(*iter));
	return true;
}

static bool type_fits(const struct json *v, enum json_type type)
{
	enum json_type is_type = json_type(v);

	return is_type == type || (type == JSON_REAL && is_type == JSON_INT);
}

static void store(const struct json *v, const struct json_field *row, void *target)
{
	char *at = (char *)target + row->offset;

	switch (row->type) {
	case JSON_STRING:
		json_str(v, (struct str *)(void *)at);
		break;
	case JSON_INT:
		json_int(v, (int64_t *)(void *)at);
		break;
	case JSON_BOOL:
		json_bool(v, (bool *)at);
		break;
	case JSON_NULL:
	case JSON_REAL:
	case JSON_ARRAY:
	case JSON_OBJECT:
		*(const struct json **)(void *)at = v;
		break;
	}
}

/* One member against the rows. */
static enum json_fault take_member(struct str name, const struct json *v,
				   const struct json_field *rows, size_t count, void *target,
				   uint64_t *seen)
{
	size_t i = 0;

	while (i < count && !str_equal_z(name, rows[i].name))
		i++;
	if (i == count)
		return JSON_FAULT_UNKNOWN;
	*seen |= UINT64_C(1) << i;
	if (is(v, JSON_NULL) && rows[i].nullable)
		return JSON_FAULT_NONE;
	if (!type_fits(v, rows[i].type))
		return JSON_FAULT_TYPE;
	store(v, &rows[i], target);
	return JSON_FAULT_NONE;
}

static enum err blame(enum json_fault fault, struct str name, enum json_fault *ret_fault,
		      struct str *ret_name)
{
	*ret_fault = fault;
	*ret_name = name;
	return ERR_SYNTAX;
}

enum err json_fields(const struct json *object, const struct json_field *rows, size_t count,
		     void *target, uint64_t *ret_seen, enum json_fault *ret_fault,
		     struct str *ret_name)
{
	uint64_t seen = 0;
	void *iter = NULL;
	struct str name;
	const struct json *v;

	if (!is(object, JSON_OBJECT))
		return blame(JSON_FAULT_TYPE, STR(""), ret_fault, ret_name);
	while (json_each(object, &iter, &name, &v)) {
		enum json_fault fault = take_member(name, v, rows, count, target, &seen);

		if (fault)
			return blame(fault, name, ret_fault, ret_name);
	}
	for (size_t i = 0; i < count; i++) {
		if (rows[i].required && !(seen & UINT64_C(1) << i))
			return blame(JSON_FAULT_MISSING, str_z(rows[i].name), ret_fault, ret_name);
	}
	*ret_seen = seen;
	*ret_fault = JSON_FAULT_NONE;
	return ERR_OK;
}
