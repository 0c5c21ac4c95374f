/* Strict JSON. A reader for what others send, a writer for what we send (the writer appends to a
 * struct buf; order is the order of the calls).
 *
 * The reader refuses duplicate members, NUL characters, invalid UTF-8, trailing bytes, a root that
 * is neither object nor array, depth above JSON_DEPTH_MAX and more than `max` bytes, before it
 * builds anything the input could make large, and numbers that neither int64_t nor double holds
 * (RFC 8259; RFC 7515 4: duplicate header names). What was read is wiped when it is freed. */
#ifndef CHANCERY_BASE_JSON_H
#define CHANCERY_BASE_JSON_H

#include "base/auto.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct json; /* a value; what json_get and json_at return is borrowed from the root */

enum json_type { JSON_NULL, JSON_BOOL, JSON_INT, JSON_REAL, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* Caller frees with json_free. ERR_SYNTAX, ERR_LIMIT, ERR_NOMEM. */
MUST_CHECK enum err json_parse(struct str text, size_t max, struct json **ret_root);
/* As json_parse, but a scalar may stand at the root (for --claim NAME=JSON). */
MUST_CHECK enum err json_parse_any(struct str text, size_t max, struct json **ret_root);
void json_free(struct json *root);
AUTO_DEFINE(json)

/* NULL counts as JSON_NULL. */
enum json_type json_type(const struct json *v);
/* NULL when v is no object or has no such member. */
const struct json *json_get(const struct json *v, const char *name);
/* False (and *ret untouched) when v is NULL or of another type. Strings are borrowed and hold no
 * NUL. */
bool json_str(const struct json *v, struct str *ret_value);
bool json_int(const struct json *v, int64_t *ret_value);
bool json_bool(const struct json *v, bool *ret_value);
/* Int or real. */
bool json_number(const struct json *v, double *ret_value);
/* Elements of an array, members of an object, else 0. */
size_t json_len(const struct json *v);
const struct json *json_at(const struct json *array, size_t i);
/* Walks members in order of the text: start with *iter = NULL; false at the end. */
bool json_each(const struct json *object, void **iter, struct str *ret_name,
	       const struct json **ret_value);
/* Compact, members in order. */
void json_dump(const struct json *v, struct buf *out);

/* What an object may hold, as rows. `offset` is where in the target struct the value goes: struct
 * str for JSON_STRING, int64_t for JSON_INT, bool for JSON_BOOL, const struct json * for the
 * others. `seen` (a bit per row, in order) tells which were present; JSON null counts as present
 * only where `nullable`, and leaves the target as it was. A JSON_REAL row takes an integer too. */
struct json_field {
	const char *name;
	enum json_type type;
	size_t offset;
	bool required;
	bool nullable;
};

enum json_fault { JSON_FAULT_NONE, JSON_FAULT_UNKNOWN, JSON_FAULT_TYPE, JSON_FAULT_MISSING };

/* Fills `target` (in part, when it fails); at most 64 rows. On ERR_SYNTAX *ret_fault and *ret_name
 * (borrowed) say what and which. */
MUST_CHECK enum err json_fields(const struct json *object, const struct json_field *rows,
				size_t count, void *target, uint64_t *ret_seen,
				enum json_fault *ret_fault, struct str *ret_name);

/* Writer. Nest at most JSON_DEPTH_MAX; the buffer's error is the writer's error. */
struct jsonw {
	struct buf *out;
	unsigned depth;
	bool first;
};

void jsonw_init(struct jsonw *w, struct buf *out);
void jsonw_object(struct jsonw *w);
void jsonw_array(struct jsonw *w);
void jsonw_end_object(struct jsonw *w);
void jsonw_end_array(struct jsonw *w);
void jsonw_key(struct jsonw *w, const char *name);
void jsonw_key_str(struct jsonw *w, struct str name);
/* Escapes quotes, backslash and controls; bytes above 0x7f pass (the caller gives UTF-8). */
void jsonw_str(struct jsonw *w, struct str s);
void jsonw_z(struct jsonw *w, const char *z);
void jsonw_int(struct jsonw *w, int64_t v);
void jsonw_bool(struct jsonw *w, bool v);
void jsonw_null(struct jsonw *w);
/* Text that is JSON already. */
void jsonw_raw(struct jsonw *w, struct str json);
void jsonw_value(struct jsonw *w, const struct json *v);
/* key and value in one line */
void jsonw_member(struct jsonw *w, const char *name, struct str value);
void jsonw_member_z(struct jsonw *w, const char *name, const char *value);
void jsonw_member_int(struct jsonw *w, const char *name, int64_t value);
void jsonw_member_bool(struct jsonw *w, const char *name, bool value);

#endif
