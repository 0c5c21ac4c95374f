/* Secrets of apis whose tokens are signed with HS256. The schema holds no reference to the api: its
 * end and theirs are one step (store_api_delete). */
#include "server/store/store_priv.h"

#include "server/store/sql.h"

/* One that has not signed yet is replaced: nobody holds a token of it. */
static enum err withdraw(struct db *db, const struct api_secret *fresh)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_api_secret_withdraw, &s);

	if (e)
		return e;
	db_bind_str(s, 1, fresh->uri);
	db_bind_i64(s, 2, fresh->created_at);
	return db_run(s, NULL);
}

static enum err follow(struct db *db, const struct api_secret *fresh, int64_t until)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_api_secret_follow, &s);

	if (e)
		return e;
	db_bind_str(s, 1, fresh->uri);
	db_bind_i64(s, 2, until);
	return db_run(s, NULL);
}

static enum err insert(struct db *db, const struct api_secret *fresh)
{
	struct db_stmt *s;
	int64_t changed;
	enum err e = db_stmt(db, sql_api_secret_insert, &s);

	if (e)
		return e;
	db_bind_str(s, 1, fresh->kid);
	db_bind_str(s, 2, fresh->uri);
	db_bind_bytes(s, 3, fresh->sealed.p, fresh->sealed.n);
	db_bind_i64(s, 4, fresh->created_at);
	db_bind_i64(s, 5, fresh->sign_from);
	db_bind_i64(s, 6, SECRETS_PER_API_MAX);
	e = db_run(s, &changed);
	return !e && changed == 0 ? ERR_LIMIT : e;
}

enum err store_api_secret_add(struct db *db, const struct api_secret *fresh, int64_t until)
{
	enum err e = withdraw(db, fresh);

	if (!e)
		e = follow(db, fresh, until);
	return e ? e : insert(db, fresh);
}

static void read_secret(struct arena *a, struct db_stmt *s, void *row)
{
	struct api_secret *secret = row;

	*secret = (struct api_secret){
		.kid = store_text(a, s, 0),
		.uri = store_text(a, s, 1),
		.sealed = store_text(a, s, 2),
		.created_at = db_i64(s, 3),
		.sign_from = db_i64(s, 4),
		.until = db_i64(s, 5),
	};
}

enum err store_api_secrets(struct db *db, struct arena *a, struct api_secret **ret_rows,
			   size_t *ret_count)
{
	struct store_rows rows = { .arena = a, .size = sizeof(struct api_secret) };
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_api_secret_list, &s);

	if (!e)
		e = store_collect(s, &rows, read_secret);
	if (e)
		return e;
	*ret_rows = rows.rows;
	*ret_count = rows.count;
	return ERR_OK;
}
