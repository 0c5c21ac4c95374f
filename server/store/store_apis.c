/* Apis. Clients name them by URI and logins remember the URIs they were granted; neither is a
 * reference the schema holds, because an api may go while clients still name it (token_resolve then
 * finds none). */
#include "server/store/store_priv.h"

#include "server/store/sql.h"

static const char *const format_names[API_FORMAT_COUNT] = {
	[API_JWT] = "jwt",
	[API_OPAQUE] = "opaque",
	[API_SHARED] = "hs256",
	[API_JWE] = "jwe",
};

const char *api_format_name(enum api_format format)
{
	return format_names[format];
}

bool api_format_by_name(struct str name, enum api_format *ret_format)
{
	for (unsigned i = 0; i < API_FORMAT_COUNT; i++) {
		if (str_equal_z(name, format_names[i])) {
			*ret_format = (enum api_format)i;
			return true;
		}
	}
	return false;
}

static void read_api(struct arena *a, struct db_stmt *s, void *row)
{
	struct api *api = row;
	enum api_format format = API_JWT;
	/* what we cannot make is not made as something else */
	const bool known = api_format_by_name(db_str(s, 5), &format);

	*api = (struct api){
		.uri = store_text(a, s, 0),
		.slug = store_text(a, s, 1),
		.name = store_text(a, s, 2),
		.scope = store_text(a, s, 3),
		.alg = alg_by_name(db_str(s, 4)),
		.format = format,
		.access_ttl = db_i64(s, 6),
		.claims = store_text(a, s, 7),
		.disabled = !known || db_i64(s, 8) != 0,
		.created_at = db_i64(s, 9),
		.updated_at = db_i64(s, 10),
		.version = db_i64(s, 11),
		.encryption_key = store_text(a, s, 12),
		.gateway_cache = db_i64(s, 13),
	};
}

enum err store_api_create(struct db *db, const struct api *api)
{
	struct db_stmt *s;
	enum err e;

	if (api->uri.n == 0 || api->uri.n > URI_MAX || api->slug.n == 0 || api->slug.n > ID_MAX)
		return ERR_LIMIT;
	e = db_stmt(db, sql_api_insert, &s);
	if (e)
		return e;
	db_bind_str(s, 1, api->uri);
	db_bind_str(s, 2, api->slug);
	store_bind_text(s, 3, api->name);
	store_bind_text(s, 4, api->scope);
	store_bind_alg(s, 5, api->alg);
	db_bind_str(s, 6, str_z(api_format_name(api->format)));
	db_bind_i64(s, 7, api->access_ttl);
	store_bind_text(s, 8, api->claims);
	db_bind_i64(s, 9, api->disabled);
	db_bind_i64(s, 10, api->created_at);
	store_bind_text(s, 11, api->encryption_key);
	db_bind_i64(s, 12, api->gateway_cache);
	return db_run(s, NULL);
}

enum err store_api_get(struct db *db, struct arena *a, struct str slug, struct api *ret_api)
{
	struct api api;
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_api_get, &s);

	if (e)
		return e;
	store_bind_text(s, 1, slug);
	e = store_one(s);
	if (e)
		return e;
	read_api(a, s, &api);
	db_end(s);
	if (arena_failed(a))
		return ERR_NOMEM;
	*ret_api = api;
	return ERR_OK;
}

enum err store_api_list(struct db *db, struct arena *a, struct api **ret_rows, size_t *ret_count)
{
	struct store_rows rows = { .arena = a, .size = sizeof(struct api) };
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_api_list, &s);

	if (!e)
		e = store_collect(s, &rows, read_api);
	if (e)
		return e;
	*ret_rows = rows.rows;
	*ret_count = rows.count;
	return ERR_OK;
}

/* Runs an update or delete that returns the URI of the row it hit; the URI is copied out of the
 * statement, which is stepped to its end. ERR_NOT_FOUND when it hit none. */
static enum err run_returning(struct db_stmt *s, char ret_uri[URI_MAX], size_t *ret_n)
{
	struct str uri;
	enum err e = store_one(s);

	if (e)
		return e;
	uri = db_str(s, 0);
	if (uri.n > URI_MAX) {
		db_end(s);
		return ERR_CORRUPT;
	}
	memcpy(ret_uri, uri.p, uri.n);
	*ret_n = uri.n;
	return db_run(s, NULL);
}

static enum err end_api(struct db *db, struct str uri, const char *reason, int64_t now,
			int64_t until)
{
	const struct revocation entry = { REVOKE_API, uri, now + END_SLACK, until };

	return store_end_and_revoke(db, sql_login_end_api, reason, now, &entry);
}

static void bind_update(struct db_stmt *s, const struct api *api, int64_t version, int64_t now)
{
	store_bind_text(s, 1, api->slug);
	store_bind_text(s, 2, api->name);
	store_bind_text(s, 3, api->scope);
	store_bind_alg(s, 4, api->alg);
	db_bind_str(s, 5, str_z(api_format_name(api->format)));
	db_bind_i64(s, 6, api->access_ttl);
	store_bind_text(s, 7, api->claims);
	db_bind_i64(s, 8, api->disabled);
	db_bind_i64(s, 9, now);
	db_bind_i64(s, 10, version);
	store_bind_text(s, 11, api->encryption_key);
	db_bind_i64(s, 12, api->gateway_cache);
}

enum err store_api_update(struct db *db, const struct api *api, int64_t version, int64_t now,
			  int64_t revoke_until)
{
	char uri[URI_MAX];
	size_t n;
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_api_update, &s);

	if (e)
		return e;
	bind_update(s, api, version, now);
	e = run_returning(s, uri, &n);
	if (e == ERR_NOT_FOUND)
		return store_why_unchanged(db, sql_api_slug_exists, api->slug);
	if (e || !api->disabled)
		return e;
	return end_api(db, str_n(uri, n), "api disabled", now, revoke_until);
}

enum err store_api_delete(struct db *db, struct str slug, int64_t now, int64_t revoke_until)
{
	char uri[URI_MAX];
	size_t n;
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_api_delete, &s);

	if (e)
		return e;
	store_bind_text(s, 1, slug);
	e = run_returning(s, uri, &n);
	if (!e)
		e = store_run_key(db, sql_api_secret_delete, str_n(uri, n), NULL);
	return e ? e : end_api(db, str_n(uri, n), "api deleted", now, revoke_until);
}
