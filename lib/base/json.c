/* What a JSON value gives: itself, as what it is and as nothing else. Nothing is coerced: "1" is no
 * number, 1 is no truth, 1.0 is no integer. */
#include <assert.h>

#include "base/json_node.h"

enum { JSON_FIELDS_MAX = 64 }; /* bits of `seen` */

enum json_type json_type(const struct json *v)
{
	return v ? v->type : JSON_NULL;
}

static bool is(const struct json *v, enum json_type type)
{
	return v && v->type == type;
}

const struct json *json_get(const struct json *v, const char *name)
{
	if (!is(v, JSON_OBJECT))
		return NULL;
	for (size_t i = 0; i < v->is.list.count; i++) {
		if (str_equal_z(v->is.list.items[i].name, name))
			return &v->is.list.items[i];
	}
	return NULL;
}

bool json_str(const struct json *v, struct str *ret_value)
{
	if (!is(v, JSON_STRING))
		return false;
	*ret_value = v->is.text;
	return true;
}

bool json_int(const struct json *v, int64_t *ret_value)
{
	if (!is(v, JSON_INT))
		return false;
	*ret_value = v->is.integer;
	return true;
}

bool json_bool(const struct json *v, bool *ret_value)
{
	if (!is(v, JSON_BOOL))
		return false;
	*ret_value = v->is.truth;
	return true;
}

bool json_number(const struct json *v, double *ret_value)
{
	if (!is(v, JSON_INT) && !is(v, JSON_REAL))
		return false;
	*ret_value = v->type == JSON_INT ? (double)v->is.integer : v->is.real;
	return true;
}

size_t json_len(const struct json *v)
{
	return is(v, JSON_OBJECT) || is(v, JSON_ARRAY) ? v->is.list.count : 0;
}

const struct json *json_at(const struct json *array, size_t i)
{
	return is(array, JSON_ARRAY) && i < array->is.list.count ? &array->is.list.items[i] : NULL;
}

/* The iterator is the member given last. */
bool json_each(const struct json *object, void **iter, struct str *ret_name,
	       const struct json **ret_value)
{
	const struct json *next;

	if (!is(object, JSON_OBJECT))
		return false;
	next = *iter ? (const struct json *)*iter + 1 : object->is.list.items;
	if (next == object->is.list.items + object->is.list.count)
		return false;
	*iter = (void *)next;
	*ret_name = next->name;
	*ret_value = next;
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

	assert(count <= JSON_FIELDS_MAX);
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
