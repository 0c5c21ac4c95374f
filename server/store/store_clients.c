/* Clients and their secrets. */
#include "server/store/store_priv.h"

#include "server/store/sql.h"

/* $1 to $14, the same in insert and update. */
static void bind_client(struct db_stmt *s, const struct client *c, int64_t at)
{
	db_bind_str(s, 1, c->id);
	store_bind_text(s, 2, c->name);
	db_bind_i64(s, 3, c->disabled);
	db_bind_i64(s, 4, c->auth_method);
	store_bind_text(s, 5, c->grants);
	store_bind_text(s, 6, c->scope);
	store_bind_text(s, 7, c->audiences);
	store_bind_text(s, 8, c->introspect);
	db_bind_i64(s, 9, c->access_ttl);
	store_bind_alg(s, 10, c->alg);
	db_bind_i64(s, 11, c->refresh_rotation);
	db_bind_i64(s, 12, c->public_password);
	store_bind_text(s, 13, c->claims);
	db_bind_i64(s, 14, at);
}

static void read_client(struct arena *a, struct db_stmt *s, void *row)
{
	struct client *c = row;

	*c = (struct client){
		.id = store_text(a, s, 0),
		.name = store_text(a, s, 1),
		.disabled = db_i64(s, 2) != 0,
		.auth_method = (enum auth_method)db_i64(s, 3),
		.grants = store_text(a, s, 4),
		.scope = store_text(a, s, 5),
		.audiences = store_text(a, s, 6),
		.introspect = store_text(a, s, 7),
		.access_ttl = db_i64(s, 8),
		.alg = alg_by_name(db_str(s, 9)),
		.refresh_rotation = db_i64(s, 10) != 0,
		.public_password = db_i64(s, 11) != 0,
		.claims = store_text(a, s, 12),
		.created_at = db_i64(s, 13),
		.updated_at = db_i64(s, 14),
		.version = db_i64(s, 15),
	};
}

static void read_secret(struct arena *a, struct db_stmt *s, void *row)
{
	struct client_secret *secret = row;

	*secret = (struct client_secret){
		.id = store_text(a, s, 0),
		.label = store_text(a, s, 1),
		.kind = (enum secret_kind)db_i64(s, 2),
		.hash = store_text(a, s, 3),
		.created_at = db_i64(s, 4),
		.expires_at = db_i64(s, 5),
		.last_used_at = db_i64(s, 6),
	};
}

/* Every URI of the list names an api; "*" stands for all of them, `built_in` needs no row. */
static enum err check_apis(struct db *db, struct str list, struct str built_in,
			   struct str *ret_missing)
{
	struct str uri;

	while (str_next(&list, ' ', &uri)) {
		enum err e;

		if (uri.n == 0 || str_equal_z(uri, "*") || str_equal(uri, built_in))
			continue;
		e = store_exists(db, sql_api_exists, uri);
		if (e == ERR_NOT_FOUND)
			*ret_missing = uri;
		if (e)
			return e;
	}
	return ERR_OK;
}

static enum err check_lists(struct db *db, const struct client *c, struct str *ret_missing)
{
	enum err e = check_apis(db, c->audiences, c->built_in, ret_missing);

	return e ? e : check_apis(db, c->introspect, c->built_in, ret_missing);
}

static enum err insert_client(struct db *db, const struct client *c)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_client_insert, &s);

	if (e)
		return e;
	bind_client(s, c, c->created_at);
	return db_run(s, NULL);
}

enum err store_client_create(struct db *db, const struct client *c, struct str *ret_missing)
{
	enum err e = store_principal_take(db, c->id, PRINCIPAL_CLIENT, c->created_at);

	if (!e)
		e = check_lists(db, c, ret_missing);
	if (!e)
		e = insert_client(db, c);
	for (size_t i = 0; !e && i < c->secret_count; i++)
		e = store_secret_add(db, c->id, &c->secrets[i]);
	return e;
}

static enum err load_secrets(struct db *db, struct arena *a, struct client *c)
{
	struct store_rows rows = { .arena = a, .size = sizeof(*c->secrets) };
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_secret_list, &s);

	if (e)
		return e;
	db_bind_str(s, 1, c->id);
	db_bind_i64(s, 2, SECRETS_PER_CLIENT_MAX);
	e = store_collect(s, &rows, read_secret);
	if (e)
		return e;
	c->secrets = rows.rows;
	c->secret_count = rows.count;
	return ERR_OK;
}

enum err store_client_get(struct db *db, struct arena *a, struct str id, struct client *ret_client)
{
	struct client c;
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_client_get, &s);

	if (e)
		return e;
	store_bind_text(s, 1, id);
	e = store_one(s);
	if (e)
		return e;
	read_client(a, s, &c);
	db_end(s);
	if (arena_failed(a))
		return ERR_NOMEM;
	e = load_secrets(db, a, &c);
	if (!e)
		*ret_client = c;
	return e;
}

enum err store_client_list(struct db *db, struct arena *a, const struct page *page,
			   struct client **ret_rows, size_t *ret_count)
{
	struct store_rows rows = { .arena = a, .size = sizeof(struct client) };
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_client_list, &s);

	if (!e)
		e = store_bind_page(s, a, page);
	if (!e)
		e = store_collect(s, &rows, read_client);
	for (size_t i = 0; !e && i < rows.count; i++)
		e = load_secrets(db, a, (struct client *)rows.rows + i);
	if (e)
		return e;
	*ret_rows = rows.rows;
	*ret_count = rows.count;
	return ERR_OK;
}

static enum err swap_client(struct db *db, const struct client *c, int64_t version, int64_t now)
{
	struct db_stmt *s;
	int64_t changed;
	enum err e = db_stmt(db, sql_client_update, &s);

	if (e)
		return e;
	bind_client(s, c, now);
	db_bind_i64(s, 15, version);
	e = db_run(s, &changed);
	if (e)
		return e;
	return changed ? ERR_OK : store_why_unchanged(db, sql_client_exists, c->id);
}

static enum err end_client(struct db *db, struct str id, const char *reason, int64_t now,
			   int64_t iat_max, int64_t until)
{
	const struct revocation entry = { REVOKE_CLIENT, id, iat_max, until };

	return store_end_and_revoke(db, sql_login_end_client, reason, now, &entry);
}

enum err store_client_update(struct db *db, const struct client *c, int64_t version, int64_t now,
			     int64_t revoke_until, struct str *ret_missing)
{
	enum err e;

	*ret_missing = STR_NONE;
	e = swap_client(db, c, version, now);
	if (!e)
		e = check_lists(db, c, ret_missing);
	if (!e && c->disabled)
		e = end_client(db, c->id, "client disabled", now, now + END_SLACK, revoke_until);
	return e;
}

/* The id never comes back, so the revocation has no last moment of issue to spare. */
enum err store_client_delete(struct db *db, struct str id, int64_t now, int64_t revoke_until)
{
	int64_t changed = 0;
	enum err e = store_run_key(db, sql_secret_delete_all, id, NULL);

	if (!e)
		e = store_run_key(db, sql_client_delete, id, &changed);
	if (!e && !changed)
		return ERR_NOT_FOUND;
	if (!e)
		e = store_principal_bury(db, id, now);
	return e ? e : end_client(db, id, "client deleted", now, revoke_until, revoke_until);
}

enum err store_secret_add(struct db *db, struct str client_id, const struct client_secret *secret)
{
	struct db_stmt *s;
	int64_t changed;
	enum err e = db_stmt(db, sql_secret_insert, &s);

	if (e)
		return e;
	store_bind_text(s, 1, client_id);
	db_bind_str(s, 2, secret->id);
	store_bind_text(s, 3, secret->label);
	db_bind_i64(s, 4, secret->kind);
	db_bind_bytes(s, 5, secret->hash.p, secret->hash.n);
	db_bind_i64(s, 6, secret->created_at);
	db_bind_i64(s, 7, secret->expires_at);
	db_bind_i64(s, 8, secret->last_used_at);
	db_bind_i64(s, 9, SECRETS_PER_CLIENT_MAX);
	e = db_run(s, &changed);
	if (e || changed)
		return e;
	e = store_exists(db, sql_client_exists, client_id);
	return e ? e : ERR_LIMIT;
}

enum err store_secret_remove(struct db *db, struct str client_id, struct str secret_id)
{
	struct db_stmt *s;
	int64_t changed;
	enum err e = db_stmt(db, sql_secret_delete, &s);

	if (e)
		return e;
	store_bind_text(s, 1, client_id);
	store_bind_text(s, 2, secret_id);
	e = db_run(s, &changed);
	if (e)
		return e;
	return changed ? ERR_OK : ERR_NOT_FOUND;
}

enum err store_secret_used(struct db *db, struct str secret_id, int64_t at)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_secret_used, &s);

	if (e)
		return e;
	store_bind_text(s, 1, secret_id);
	db_bind_i64(s, 2, at);
	return db_run(s, NULL);
}
