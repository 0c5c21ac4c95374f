/* Housekeeping: deletes what nothing can need any more, a bounded number of rows a call.
 *
 * Logins are walked by primary key in windows, and where the walk stands is kept in the database.
 * An index that finds the expired ones would have to follow idle_until, and every rotation would
 * pay for it. */
#include "server/store/store_priv.h"

#include "oauth/machine.h"
#include "server/store/sql.h"

static const char cursor_name[] = "purge_cursor";

/* Where the walk stands: nothing (the beginning), or the last login looked at. */
struct cursor {
	unsigned char id[LOGIN_ID_LEN];
	size_t n;
};

static enum err purge_by_time(struct db *db, const char *sql, int64_t before, int64_t *left)
{
	struct db_stmt *s;
	int64_t deleted;
	enum err e = db_stmt(db, sql, &s);

	if (e)
		return e;
	db_bind_i64(s, 1, before);
	db_bind_i64(s, 2, *left);
	e = db_run(s, &deleted);
	if (!e)
		*left -= deleted;
	return e;
}

static bool nibble(char c, unsigned *ret)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	if (at)
		*ret = (unsigned)(at - digits);
	return at != NULL;
}

/* Text that is not a cursor starts the walk anew: at worst it looks at some logins twice. */
static void cursor_read(struct str text, struct cursor *c)
{
	c->n = 0;
	if (text.n != (size_t)2 * LOGIN_ID_LEN)
		return;
	for (size_t i = 0; i < LOGIN_ID_LEN; i++) {
		unsigned high, low;

		if (!nibble(text.p[2 * i], &high) || !nibble(text.p[2 * i + 1], &low))
			return;
		c->id[i] = (unsigned char)(high << 4 | low);
	}
	c->n = LOGIN_ID_LEN;
}

static enum err cursor_load(struct db *db, struct cursor *c)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_meta_get, &s);

	if (e)
		return e;
	db_bind_str(s, 1, str_z(cursor_name));
	c->n = 0;
	e = store_one(s);
	if (e)
		return e == ERR_NOT_FOUND ? ERR_OK : e;
	cursor_read(db_str(s, 0), c);
	db_end(s);
	return ERR_OK;
}

static enum err cursor_store(struct db *db, const struct cursor *c)
{
	struct buf hex;
	struct str text;
	enum err e;

	buf_init(&hex, NULL, (size_t)2 * LOGIN_ID_LEN);
	buf_hex(&hex, c->id, c->n);
	e = buf_end(&hex, &text);
	if (!e)
		e = store_meta_put(db, cursor_name, text);
	buf_done(&hex);
	return e;
}

/* The last id of the next `limit` rows; none left: the walk ends and starts anew. */
static enum err window_end(struct db *db, const struct cursor *from, int64_t limit,
			   struct cursor *ret_to)
{
	struct db_stmt *s;
	struct str id;
	enum err e = db_stmt(db, sql_purge_window, &s);

	if (e)
		return e;
	db_bind_bytes(s, 1, from->id, from->n);
	db_bind_i64(s, 2, limit - 1);
	e = store_one(s);
	ret_to->n = 0;
	if (e)
		return e == ERR_NOT_FOUND ? ERR_OK : e;
	id = db_str(s, 0);
	if (id.n == LOGIN_ID_LEN) {
		memcpy(ret_to->id, id.p, id.n);
		ret_to->n = id.n;
	}
	db_end(s);
	return id.n == LOGIN_ID_LEN ? ERR_OK : ERR_CORRUPT;
}

static enum err delete_window(struct db *db, const struct cursor *from, const struct cursor *to,
			      int64_t now, int64_t *left)
{
	unsigned char top[LOGIN_ID_LEN + 1]; /* above every id */
	struct db_stmt *s;
	int64_t deleted;
	enum err e = db_stmt(db, sql_purge_logins, &s);

	if (e)
		return e;
	memset(top, 0xff, sizeof(top));
	db_bind_bytes(s, 1, from->id, from->n);
	db_bind_bytes(s, 2, to->n ? to->id : top, to->n ? to->n : sizeof(top));
	db_bind_i64(s, 3, now);
	e = db_run(s, &deleted);
	if (!e)
		*left -= deleted;
	return e;
}

static enum err purge_logins(struct db *db, int64_t now, int64_t *left)
{
	struct cursor from, to;
	enum err e = cursor_load(db, &from);

	if (!e)
		e = window_end(db, &from, *left, &to);
	if (!e)
		e = delete_window(db, &from, &to, now, left);
	if (e || (from.n == 0 && to.n == 0))
		return e;
	return cursor_store(db, &to);
}

enum err store_purge(struct db *db, int64_t now, int64_t audit_before, int64_t limit,
		     int64_t *ret_deleted)
{
	int64_t left = limit;
	enum err e = purge_by_time(db, sql_purge_revocations, now, &left);

	if (!e && left > 0)
		e = purge_by_time(db, sql_purge_tokens, now, &left);
	if (!e && left > 0)
		e = purge_by_time(db, sql_purge_api_secrets, now, &left);
	if (!e && left > 0)
		e = purge_by_time(db, sql_purge_audit, audit_before, &left);
	if (!e && left > 0)
		e = purge_logins(db, now, &left);
	if (!e)
		*ret_deleted = limit - left;
	return e;
}
