/* The admin API's JSON: what bodies may hold, how objects and times are written, merge patches,
 * entity tags and page tokens. Shared by the ep_admin_*.c; knows no object of the registry.
 *
 * Checks are pure: they fill a struct admin_fault and return ERR_UNPROCESSABLE, so that they can
 * run in a lane as well as on the loop. admin_refuse (server/admin/admin_act.h) makes the answer of
 * it.
 */
#ifndef CHANCERY_SERVER_ADMIN_JSON_H
#define CHANCERY_SERVER_ADMIN_JSON_H

#include "base/json.h"
#include "base/secret.h"
#include "jose/alg.h"
#include "server/request/request.h"

/* One object of ours as text: lists of AUDIENCES_MAX URIs, twice, are the largest part. */
enum { ADMIN_OBJECT_MAX = 64 << 10 };

/* What is wrong with a request: where (RFC 6901, "/scope"; absent: nowhere in particular) and what.
 */
struct admin_fault {
	struct str pointer;
	struct str detail;
};
/* Literals. Returns ERR_UNPROCESSABLE. */
enum err admin_unprocessable(struct admin_fault *fault, const char *pointer, const char *detail);
/* As admin_unprocessable with another error and no pointer; returns `e`. */
enum err admin_fault_set(struct admin_fault *fault, enum err e, const char *detail);

/* What an integer member holds that was not given; as a value it is out of every range we take. */
#define ADMIN_INT_ABSENT INT64_MIN

/* The members an object may have; `target` of admin_fields is the struct their offsets mean. */
struct admin_shape {
	const struct json_field *rows;
	size_t count;
};
/* Unknown, missing and wrongly typed members are ERR_UNPROCESSABLE with a pointer. Strings are
 * borrowed from `object`. *ret_seen as in json_fields. */
MUST_CHECK enum err admin_fields(struct arena *a, const struct json *object,
				 const struct admin_shape *shape, void *target, uint64_t *ret_seen,
				 struct admin_fault *fault);
/* Was this member there? */
bool admin_seen(const struct admin_shape *shape, uint64_t seen, const char *name);

/* RFC 7396: `document` (text of an object of ours) after `patch`; a patch that names a member
 * outside `shape` is ERR_UNPROCESSABLE, also when its value is null. Caller frees. */
MUST_CHECK enum err admin_patch(struct arena *a, struct str document, const struct json *patch,
				const struct admin_shape *shape, struct json **ret_merged,
				struct admin_fault *fault);

/* ---- members of answers ---- */

/* RFC 3339 UTC, or null for 0. */
void admin_write_time(struct jsonw *w, const char *name, int64_t at);
/* A list of the store as an array of strings. */
void admin_write_list(struct jsonw *w, const char *name, struct str list);
/* The algorithm's name, or null for "the configuration's". */
void admin_write_alg(struct jsonw *w, const char *name, enum alg alg);
/* Seconds, or null for "the configuration's". */
void admin_write_ttl(struct jsonw *w, const char *name, int64_t seconds);
/* JSON object text as it is stored; "" is {}. */
void admin_write_claims(struct jsonw *w, const char *name, struct str claims);

/* "2026-11-22T16:00:00Z", or with an offset; fractions are cut off. ERR_SYNTAX; ERR_LIMIT before
 * 1970 or after 9999. */
MUST_CHECK enum err admin_time_parse(struct str text, int64_t *ret_seconds);

/* ---- entity tags ---- */

/* ETag: "<version>" (RFC 9110 8.8.3). */
void admin_etag(struct request *rq, int64_t version);
/* If-Match against a row's version, by strong comparison (RFC 9110 13.1.1). An absent header
 * matches. */
bool admin_if_match(struct str if_match, int64_t version);
/* Location of a new object: `collection` and the percent-encoded `id`. */
void admin_location(struct request *rq, const char *collection, struct str id);

/* ---- pages ---- */

/* A page token names the last row shown and is bound by a MAC to the list and filter it came from,
 * so that it can be neither made nor used elsewhere. */
struct admin_page {
	const char *list;  /* "clients" */
	struct str filter; /* as the request gave it; STR_NONE without */
	struct str after;  /* "" from the start */
	int64_t size;
};
/* Reads page_size and page_token; `list` and `filter` stand already. ERR_BAD_REQUEST (fail() was
 * called). */
MUST_CHECK enum err admin_page_read(struct request *rq, struct admin_page *page);
/* {"items":[ ... ],"next_page_token":"..."}: begin, items, end. `last` is the key of the last row
 * written when there are more, else STR_NONE. `key` authenticates the token. */
void admin_page_begin(struct jsonw *w, struct buf *out);
void admin_page_end(struct jsonw *w, const struct secret *key, const struct admin_page *page,
		    struct str last);

#endif
