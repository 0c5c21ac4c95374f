/* The admin API's JSON. Bodies are declared as rows and refused with a pointer to the member at
 * fault; a merge patch is applied to the document a GET would show (without what cannot be changed)
 * and the result is read like a new object, so that PATCH has no rules of its own. */
#include "server/admin/admin_json.h"

#include <time.h>

#include "jose/b64.h"
#include "server/request/app.h"

enum {
	MERGED_MAX = ADMIN_OBJECT_MAX + 6 * ADMIN_BODY_MAX, /* a control character grows sixfold */
	PAGE_MAC_LEN = 16,
	PAGE_KEY_MAX = URI_MAX,
	PAGE_TOKEN_MAX = B64URL_LEN(PAGE_MAC_LEN + PAGE_KEY_MAX),
	MEMBER_NAME_SHOWN = 64, /* longer names are not repeated to whoever sent them */
	LOCATION_MAX = 64 + 3 * URI_MAX,
};

enum err admin_unprocessable(struct admin_fault *fault, const char *pointer, const char *detail)
{
	*fault = (struct admin_fault){ str_z(pointer), str_z(detail) };
	return ERR_UNPROCESSABLE;
}

enum err admin_fault_set(struct admin_fault *fault, enum err e, const char *detail)
{
	*fault = (struct admin_fault){ STR_NONE, str_z(detail) };
	return e;
}

/* ---- reading ---- */

/* RFC 6901 3: ~ and / in a name are ~0 and ~1. */
static enum err member_pointer(struct arena *a, struct str name, struct str *ret_pointer)
{
	struct buf b;

	buf_init(&b, a, 2 * MEMBER_NAME_SHOWN + 1);
	buf_byte(&b, '/');
	for (size_t i = 0; i < name.n && name.n <= MEMBER_NAME_SHOWN; i++) {
		if (name.p[i] == '~')
			buf_z(&b, "~0");
		else if (name.p[i] == '/')
			buf_z(&b, "~1");
		else
			buf_byte(&b, name.p[i]);
	}
	return buf_end(&b, ret_pointer);
}

static enum err member_fault(struct arena *a, struct str name, const char *detail,
			     struct admin_fault *fault)
{
	enum err e = member_pointer(a, name, &fault->pointer);

	if (e)
		return e;
	fault->detail = str_z(detail);
	return ERR_UNPROCESSABLE;
}

static const char *const type_details[] = {
	[JSON_NULL] = "must be null",	       [JSON_BOOL] = "must be true or false",
	[JSON_INT] = "must be a whole number", [JSON_REAL] = "must be a number",
	[JSON_STRING] = "must be a string",    [JSON_ARRAY] = "must be an array",
	[JSON_OBJECT] = "must be an object",
};

static const struct json_field *shape_row(const struct admin_shape *shape, struct str name)
{
	for (size_t i = 0; i < shape->count; i++)
		if (str_equal_z(name, shape->rows[i].name))
			return &shape->rows[i];
	return NULL;
}

static const char *fault_detail(const struct admin_shape *shape, enum json_fault what,
				struct str name)
{
	const struct json_field *row = shape_row(shape, name);

	if (what == JSON_FAULT_MISSING)
		return "this member is required";
	if (what == JSON_FAULT_TYPE && row)
		return type_details[row->type];
	return "there is no such member, or it cannot be set here";
}

enum err admin_fields(struct arena *a, const struct json *object, const struct admin_shape *shape,
		      void *target, uint64_t *ret_seen, struct admin_fault *fault)
{
	enum json_fault what = JSON_FAULT_NONE;
	struct str name = STR_NONE;
	enum err e;

	e = json_fields(object, shape->rows, shape->count, target, ret_seen, &what, &name);
	if (e != ERR_SYNTAX)
		return e;
	return member_fault(a, name, fault_detail(shape, what, name), fault);
}

bool admin_seen(const struct admin_shape *shape, uint64_t seen, const char *name)
{
	const struct json_field *row = shape_row(shape, str_z(name));

	return row && seen & UINT64_C(1) << (row - shape->rows);
}

/* ---- RFC 7396 ---- */

static const struct json *member(const struct json *object, struct str name)
{
	const struct json *v;
	struct str have;
	void *iter = NULL;

	while (object && json_each(object, &iter, &have, &v))
		if (str_equal(have, name))
			return v;
	return NULL;
}

/* Section 2, MergePatch(Target, Patch), for a Patch that is an object. Depth is bounded by the
 * parser's. */
static void merge(struct jsonw *w, const struct json *target, const struct json *patch)
{
	const struct json *v;
	struct str name;
	void *iter = NULL;

	if (target && json_type(target) != JSON_OBJECT)
		target = NULL;
	jsonw_object(w);
	while (target && json_each(target, &iter, &name, &v)) {
		if (member(patch, name))
			continue;
		jsonw_key_str(w, name);
		jsonw_value(w, v);
	}
	iter = NULL;
	while (json_each(patch, &iter, &name, &v)) {
		if (json_type(v) == JSON_NULL)
			continue;
		jsonw_key_str(w, name);
		if (json_type(v) == JSON_OBJECT)
			merge(w, member(target, name), v);
		else
			jsonw_value(w, v);
	}
	jsonw_end_object(w);
}

static enum err patch_names(struct arena *a, const struct json *patch,
			    const struct admin_shape *shape, struct admin_fault *fault)
{
	const struct json *v;
	struct str name;
	void *iter = NULL;

	while (json_each(patch, &iter, &name, &v))
		if (!shape_row(shape, name))
			return member_fault(a, name, fault_detail(shape, JSON_FAULT_UNKNOWN, name),
					    fault);
	return ERR_OK;
}

enum err admin_patch(struct arena *a, struct str document, const struct json *patch,
		     const struct admin_shape *shape, struct json **ret_merged,
		     struct admin_fault *fault)
{
	AUTO(json, before) = NULL;
	struct jsonw w;
	struct str text;
	struct buf b;
	enum err e;

	e = patch_names(a, patch, shape, fault);
	if (!e)
		e = json_parse(document, ADMIN_OBJECT_MAX, &before);
	if (e)
		return e;
	/* not in the arena: a patch as large as may be would fill it twice over */
	buf_init(&b, NULL, MERGED_MAX);
	jsonw_init(&w, &b);
	merge(&w, before, patch);
	e = buf_end(&b, &text);
	if (!e)
		e = json_parse(text, MERGED_MAX, ret_merged);
	buf_done(&b);
	return e;
}

/* ---- writing ---- */

void admin_write_time(struct jsonw *w, const char *name, int64_t at)
{
	char text[RFC3339_LEN + 1];

	jsonw_key(w, name);
	if (!at) {
		jsonw_null(w);
		return;
	}
	rfc3339(at, text);
	jsonw_z(w, text);
}

void admin_write_list(struct jsonw *w, const char *name, struct str list)
{
	struct str item;

	jsonw_key(w, name);
	jsonw_array(w);
	while (str_next(&list, ' ', &item))
		if (item.n)
			jsonw_str(w, item);
	jsonw_end_array(w);
}

void admin_write_alg(struct jsonw *w, const char *name, enum alg alg)
{
	jsonw_key(w, name);
	if (alg)
		jsonw_z(w, alg_name(alg));
	else
		jsonw_null(w);
}

void admin_write_ttl(struct jsonw *w, const char *name, int64_t seconds)
{
	jsonw_key(w, name);
	if (seconds)
		jsonw_int(w, seconds);
	else
		jsonw_null(w);
}

void admin_write_claims(struct jsonw *w, const char *name, struct str claims)
{
	jsonw_key(w, name);
	jsonw_raw(w, claims.n ? claims : STR("{}"));
}

/* ---- times ---- */

/* Cuts `n` digits off *rest. */
static bool digits(struct str *rest, size_t n, int *ret_value)
{
	int value = 0;

	if (rest->n < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (rest->p[i] < '0' || rest->p[i] > '9')
			return false;
		value = value * 10 + (rest->p[i] - '0');
	}
	*rest = str_n(rest->p + n, rest->n - n);
	*ret_value = value;
	return true;
}

static bool letter(struct str *rest, const char *any_of)
{
	if (!rest->n || !rest->p[0] || !strchr(any_of, rest->p[0]))
		return false;
	*rest = str_n(rest->p + 1, rest->n - 1);
	return true;
}

/* RFC 3339 5.6 time-offset: Z or +hh:mm, and then nothing. */
static bool time_offset(struct str *rest, int64_t *ret_seconds)
{
	const int sign = rest->n && rest->p[0] == '-' ? -1 : 1;
	int hours, minutes;

	*ret_seconds = 0;
	if (letter(rest, "Zz"))
		return rest->n == 0;
	if (!letter(rest, "+-") || !digits(rest, 2, &hours) || !letter(rest, ":") ||
	    !digits(rest, 2, &minutes))
		return false;
	*ret_seconds = sign * (int64_t)(hours * 3600 + minutes * 60);
	return hours < 24 && minutes < 60 && rest->n == 0;
}

static bool time_fraction(struct str *rest)
{
	int ignored;

	if (!letter(rest, "."))
		return true;
	if (!digits(rest, 1, &ignored))
		return false;
	while (digits(rest, 1, &ignored))
		;
	return true;
}

/* timegm() repairs a 31st of February; a date that had to be repaired is none. */
static bool calendar(struct tm *tm, int64_t *ret_seconds)
{
	struct tm given = *tm;
	time_t at = timegm(tm);

	if (tm->tm_mday != given.tm_mday || tm->tm_mon != given.tm_mon ||
	    tm->tm_hour != given.tm_hour || tm->tm_min != given.tm_min ||
	    tm->tm_sec != given.tm_sec)
		return false;
	*ret_seconds = at;
	return true;
}

enum err admin_time_parse(struct str text, int64_t *ret_seconds)
{
	struct tm tm = { .tm_isdst = 0 };
	struct str rest = text;
	int64_t at, offset;

	if (!digits(&rest, 4, &tm.tm_year) || !letter(&rest, "-") ||
	    !digits(&rest, 2, &tm.tm_mon) || !letter(&rest, "-") ||
	    !digits(&rest, 2, &tm.tm_mday) || !letter(&rest, "Tt") ||
	    !digits(&rest, 2, &tm.tm_hour) || !letter(&rest, ":") ||
	    !digits(&rest, 2, &tm.tm_min) || !letter(&rest, ":") || !digits(&rest, 2, &tm.tm_sec) ||
	    !time_fraction(&rest) || !time_offset(&rest, &offset))
		return ERR_SYNTAX;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (!calendar(&tm, &at))
		return ERR_SYNTAX;
	if (at - offset < 0)
		return ERR_LIMIT;
	*ret_seconds = at - offset;
	return ERR_OK;
}

/* ---- entity tags and locations ---- */

void admin_etag(struct request *rq, int64_t version)
{
	struct str text;
	struct buf b;

	buf_init(&b, rq->arena, 32);
	buf_fmt(&b, "\"%lld\"", (long long)version);
	if (buf_end(&b, &text) == ERR_OK)
		respond_header(rq, "ETag", text);
}

bool admin_if_match(struct str if_match, int64_t version)
{
	struct str tag;
	int64_t have;

	if (!if_match.p || str_equal_z(str_trim(if_match), "*"))
		return true;
	while (str_next(&if_match, ',', &tag)) {
		tag = str_trim(tag);
		if (tag.n < 3 || tag.p[0] != '"' || tag.p[tag.n - 1] != '"')
			continue; /* weak tags never match here */
		if (str_to_i64(str_n(tag.p + 1, tag.n - 2), 1, INT64_MAX, &have) == ERR_OK &&
		    have == version)
			return true;
	}
	return false;
}

/* RFC 3986 2.3: everything but unreserved characters. */
static void percent_encode(struct buf *out, struct str text)
{
	static const char unreserved[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] && strchr(unreserved, text.p[i]))
			buf_byte(out, text.p[i]);
		else
			buf_fmt(out, "%%%02X", (unsigned char)text.p[i]);
	}
}

void admin_location(struct request *rq, const char *collection, struct str id)
{
	struct str text;
	struct buf b;

	buf_init(&b, rq->arena, LOCATION_MAX);
	buf_z(&b, collection);
	buf_byte(&b, '/');
	percent_encode(&b, id);
	if (buf_end(&b, &text) == ERR_OK)
		respond_header(rq, "Location", text);
}

/* ---- pages ---- */

static void page_mac(const struct secret *key, const struct admin_page *page, struct str last,
		     unsigned char ret_mac[PAGE_MAC_LEN])
{
	const struct str parts[] = { str_z(page->list), page->filter.p ? page->filter : STR(""),
				     last };

	secret_mac(key, parts, sizeof(parts) / sizeof(*parts), ret_mac, PAGE_MAC_LEN);
}

static enum err page_token_read(struct request *rq, struct str token, struct admin_page *page)
{
	unsigned char mac[PAGE_MAC_LEN];
	char *bytes = arena_alloc(rq->arena, PAGE_MAC_LEN + PAGE_KEY_MAX);
	size_t n;

	if (!bytes)
		return fail(rq, ERR_NOMEM, "no memory for a page token");
	if (b64url_decode(token, bytes, PAGE_MAC_LEN + PAGE_KEY_MAX, &n) || n < PAGE_MAC_LEN)
		return fail(rq, ERR_BAD_REQUEST, "malformed page_token");
	page->after = str_n(bytes + PAGE_MAC_LEN, n - PAGE_MAC_LEN);
	page_mac(&rq->app->derived.page_token, page, page->after, mac);
	if (!bytes_equal_ct(mac, bytes, sizeof(mac)))
		return fail(rq, ERR_BAD_REQUEST, "page_token is not of this list");
	return ERR_OK;
}

enum err admin_page_read(struct request *rq, struct admin_page *page)
{
	struct str size, token;
	enum err e;

	page->size = PAGE_SIZE_DEFAULT;
	page->after = STR("");
	e = query_get(rq, "page_size", &size);
	if (!e)
		e = query_get(rq, "page_token", &token);
	if (e)
		return e;
	if (size.p && str_to_i64(size, 1, PAGE_SIZE_MAX, &page->size)) {
		rq->description = "page_size must be a number from 1 to 500.";
		return fail(rq, ERR_BAD_REQUEST, "page_size out of range");
	}
	if (!token.p)
		return ERR_OK;
	rq->description = "page_token must come from the same list with the same filter.";
	e = page_token_read(rq, token, page);
	if (!e)
		rq->description = NULL;
	return e;
}

void admin_page_begin(struct jsonw *w, struct buf *out)
{
	jsonw_init(w, out);
	jsonw_object(w);
	jsonw_key(w, "items");
	jsonw_array(w);
}

void admin_page_end(struct jsonw *w, const struct secret *key, const struct admin_page *page,
		    struct str last)
{
	unsigned char bytes[PAGE_MAC_LEN + PAGE_KEY_MAX];
	char token[PAGE_TOKEN_MAX + 1] = "";

	if (last.p && last.n <= PAGE_KEY_MAX) {
		page_mac(key, page, last, bytes);
		memcpy(bytes + PAGE_MAC_LEN, last.p, last.n);
		b64url_encode_z(bytes, PAGE_MAC_LEN + last.n, token);
	}
	jsonw_end_array(w);
	jsonw_member_z(w, "next_page_token", token);
	jsonw_end_object(w);
}
