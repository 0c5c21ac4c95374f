/* Users. A name is looked up by its key: trimmed, ASCII letters small, so that "Alice " and "alice"
 * are one account and one lock-out counter. Other scripts are left as they are: folding them
 * depends on a language we do not know. */
#include "server/store/store_priv.h"

#include "server/store/sql.h"

enum err store_user_key(struct str text, struct user_key *ret_key)
{
	text = str_trim(text);
	if (text.n > ID_MAX)
		return ERR_LIMIT;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		ret_key->text[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	ret_key->text[text.n] = '\0';
	ret_key->n = text.n;
	return ERR_OK;
}

static enum err keys_of(const struct user *u, struct user_key *name, struct user_key *email)
{
	enum err e = store_user_key(u->name, name);

	if (e)
		return e;
	return name->n ? store_user_key(u->email, email) : ERR_SYNTAX;
}

static void bind_key(struct db_stmt *s, int i, const struct user_key *key)
{
	db_bind_str(s, i, str_n(key->text, key->n));
}

static void read_user(struct arena *a, struct db_stmt *s, void *row)
{
	struct user *u = row;

	*u = (struct user){
		.id = store_text(a, s, 0),
		.name = store_text(a, s, 1),
		.email = store_text(a, s, 2),
		.roles = store_text(a, s, 3),
		.disabled = db_i64(s, 4) != 0,
		.password = store_text(a, s, 5),
		.claims = store_text(a, s, 6),
		.created_at = db_i64(s, 7),
		.updated_at = db_i64(s, 8),
		.version = db_i64(s, 9),
	};
}

static enum err insert_user(struct db *db, const struct user *u, const struct user_key *name,
			    const struct user_key *email)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_user_insert, &s);

	if (e)
		return e;
	db_bind_str(s, 1, u->id);
	db_bind_str(s, 2, str_trim(u->name));
	store_bind_text(s, 3, str_trim(u->email));
	store_bind_text(s, 4, u->roles);
	db_bind_i64(s, 5, u->disabled);
	store_bind_text(s, 6, u->password);
	store_bind_text(s, 7, u->claims);
	db_bind_i64(s, 8, u->created_at);
	bind_key(s, 9, name);
	bind_key(s, 10, email);
	return db_run(s, NULL);
}

enum err store_user_create(struct db *db, const struct user *u)
{
	struct user_key name, email;
	enum err e = keys_of(u, &name, &email);

	if (!e)
		e = store_principal_take(db, u->id, PRINCIPAL_USER, u->created_at);
	return e ? e : insert_user(db, u, &name, &email);
}

static enum err get_by(struct db *db, struct arena *a, const char *sql, struct str key,
		       struct user *ret_user)
{
	struct user u;
	struct db_stmt *s;
	enum err e = db_stmt(db, sql, &s);

	if (e)
		return e;
	store_bind_text(s, 1, key);
	e = store_one(s);
	if (e)
		return e;
	read_user(a, s, &u);
	db_end(s);
	if (arena_failed(a))
		return ERR_NOMEM;
	*ret_user = u;
	return ERR_OK;
}

/* A name that could not be stored is nobody's. */
static enum err get_by_key(struct db *db, struct arena *a, const char *sql, struct str text,
			   struct user *ret_user)
{
	struct user_key key;

	if (store_user_key(text, &key) || key.n == 0)
		return ERR_NOT_FOUND;
	return get_by(db, a, sql, str_n(key.text, key.n), ret_user);
}

enum err store_user_get(struct db *db, struct arena *a, struct str id, struct user *ret_user)
{
	return get_by(db, a, sql_user_get, id, ret_user);
}

enum err store_user_by_name(struct db *db, struct arena *a, struct str name, struct user *ret_user)
{
	return get_by_key(db, a, sql_user_by_name, name, ret_user);
}

enum err store_user_by_email(struct db *db, struct arena *a, struct str email,
			     struct user *ret_user)
{
	return get_by_key(db, a, sql_user_by_email, email, ret_user);
}

enum err store_user_list(struct db *db, struct arena *a, const struct page *page,
			 struct user **ret_rows, size_t *ret_count)
{
	struct store_rows rows = { .arena = a, .size = sizeof(struct user) };
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_user_list, &s);

	if (!e)
		e = store_bind_page(s, a, page);
	if (!e)
		e = store_collect(s, &rows, read_user);
	if (e)
		return e;
	*ret_rows = rows.rows;
	*ret_count = rows.count;
	return ERR_OK;
}

static enum err swap_user(struct db *db, const struct user *u, int64_t version, int64_t now)
{
	struct user_key name, email;
	struct db_stmt *s;
	int64_t changed;
	enum err e = keys_of(u, &name, &email);

	if (!e)
		e = db_stmt(db, sql_user_update, &s);
	if (e)
		return e;
	store_bind_text(s, 1, u->id);
	db_bind_str(s, 2, str_trim(u->name));
	store_bind_text(s, 3, str_trim(u->email));
	store_bind_text(s, 4, u->roles);
	db_bind_i64(s, 5, u->disabled);
	store_bind_text(s, 6, u->claims);
	db_bind_i64(s, 7, now);
	bind_key(s, 8, &name);
	bind_key(s, 9, &email);
	db_bind_i64(s, 10, version);
	e = db_run(s, &changed);
	if (e)
		return e;
	return changed ? ERR_OK : store_why_unchanged(db, sql_user_exists, u->id);
}

static enum err end_user(struct db *db, struct str id, const char *reason, int64_t now,
			 int64_t iat_max, int64_t until)
{
	const struct revocation entry = { REVOKE_USER, id, iat_max, until };

	return store_end_and_revoke(db, sql_login_end_user, reason, now, &entry);
}

enum err store_user_update(struct db *db, const struct user *u, int64_t version, int64_t now,
			   int64_t revoke_until)
{
	enum err e = swap_user(db, u, version, now);

	if (e || !u->disabled)
		return e;
	return end_user(db, u->id, "user disabled", now, now, revoke_until);
}

enum err store_user_password(struct db *db, struct str id, struct str hash, int64_t now,
			     int64_t revoke_until)
{
	struct db_stmt *s;
	int64_t changed;
	enum err e = db_stmt(db, sql_user_password, &s);

	if (e)
		return e;
	store_bind_text(s, 1, id);
	store_bind_text(s, 2, hash);
	db_bind_i64(s, 3, now);
	e = db_run(s, &changed);
	if (e)
		return e;
	if (!changed)
		return ERR_NOT_FOUND;
	return end_user(db, id, "password changed", now, now, revoke_until);
}

enum err store_user_rehash(struct db *db, struct str id, struct str old, struct str hash)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_user_rehash, &s);

	if (e)
		return e;
	store_bind_text(s, 1, id);
	store_bind_text(s, 2, old);
	store_bind_text(s, 3, hash);
	return db_run(s, NULL);
}

/* The id never comes back, so the revocation has no last moment of issue to spare. */
enum err store_user_delete(struct db *db, struct str id, int64_t now, int64_t revoke_until)
{
	int64_t changed;
	enum err e = store_run_key(db, sql_user_delete, id, &changed);

	if (!e && !changed)
		return ERR_NOT_FOUND;
	if (!e)
		e = store_principal_bury(db, id, now);
	return e ? e : end_user(db, id, "user deleted", now, revoke_until, revoke_until);
}
