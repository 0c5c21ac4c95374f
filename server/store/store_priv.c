/* Rows to structs and back, for the store_*.c files. */
#include "server/store/store_priv.h"

#include "server/store/sql.h"

void store_bind_text(struct db_stmt *s, int i, struct str text)
{
	db_bind_str(s, i, text.p ? text : STR(""));
}

void store_bind_alg(struct db_stmt *s, int i, enum alg alg)
{
	db_bind_str(s, i, alg == ALG_UNKNOWN ? STR("") : str_z(alg_name(alg)));
}

struct str store_text(struct arena *a, struct db_stmt *s, int col)
{
	return arena_str(a, db_str(s, col));
}

enum err store_one(struct db_stmt *s)
{
	bool row;
	enum err e = db_step(s, &row);

	if (e)
		return e;
	return row ? ERR_OK : ERR_NOT_FOUND;
}

enum err store_exists(struct db *db, const char *sql, struct str key)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql, &s);

	if (e)
		return e;
	store_bind_text(s, 1, key);
	e = store_one(s);
	db_end(s);
	return e;
}

enum err store_run_key(struct db *db, const char *sql, struct str key, int64_t *ret_changed)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql, &s);

	if (e)
		return e;
	store_bind_text(s, 1, key);
	return db_run(s, ret_changed);
}

enum err store_why_unchanged(struct db *db, const char *exists_sql, struct str key)
{
	enum err e = store_exists(db, exists_sql, key);

	return e ? e : ERR_REUSED;
}

void *store_rows_add(struct store_rows *r)
{
	enum { FIRST = 8 };

	if (r->count == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : FIRST;
		void *bigger = arena_array(r->arena, cap, r->size);

		if (!bigger)
			return NULL;
		if (r->count)
			memcpy(bigger, r->rows, r->count * r->size);
		r->rows = bigger;
		r->cap = cap;
	}
	return (char *)r->rows + r->count++ * r->size;
}

enum err store_collect(struct db_stmt *s, struct store_rows *r, store_read *read)
{
	for (;;) {
		bool row;
		void *place;
		enum err e = db_step(s, &row);

		if (e)
			return e;
		if (!row)
			break;
		place = store_rows_add(r);
		if (place)
			read(r->arena, s, place);
		if (arena_failed(r->arena)) {
			db_end(s);
			return ERR_NOMEM;
		}
	}
	return ERR_OK;
}

/* Everything that begins with a prefix lies between it and it with the last code point appended. */
static struct str prefix_end(struct arena *a, struct str prefix)
{
	static const char last[] = "\xf4\x8f\xbf\xbf";
	char *p = arena_alloc(a, prefix.n + sizeof(last) - 1);

	if (!p)
		return STR_NONE;
	if (prefix.n)
		memcpy(p, prefix.p, prefix.n);
	memcpy(p + prefix.n, last, sizeof(last) - 1);
	return str_n(p, prefix.n + sizeof(last) - 1);
}

enum err store_bind_page(struct db_stmt *s, struct arena *a, const struct page *page)
{
	struct str end = prefix_end(a, page->prefix);

	if (!end.p)
		return ERR_NOMEM;
	store_bind_text(s, 1, page->after);
	store_bind_text(s, 2, page->prefix);
	store_bind_text(s, 3, end);
	db_bind_i64(s, 4, page->limit);
	return ERR_OK;
}

enum err store_principal_take(struct db *db, struct str id, enum principal kind, int64_t now)
{
	struct db_stmt *s;
	enum err e;

	if (id.n == 0 || id.n > ID_MAX)
		return ERR_LIMIT;
	e = db_stmt(db, sql_principal_insert, &s);
	if (e)
		return e;
	db_bind_str(s, 1, id);
	db_bind_i64(s, 2, kind);
	db_bind_i64(s, 3, now);
	return db_run(s, NULL);
}

enum err store_principal_bury(struct db *db, struct str id, int64_t now)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_principal_bury, &s);

	if (e)
		return e;
	db_bind_str(s, 1, id);
	db_bind_i64(s, 2, now);
	return db_run(s, NULL);
}

enum err store_end_and_revoke(struct db *db, const char *sql, const char *reason, int64_t now,
			      const struct revocation *entry)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql, &s);

	if (e)
		return e;
	store_bind_text(s, 1, entry->value);
	db_bind_i64(s, 2, now);
	db_bind_str(s, 3, str_z(reason));
	e = db_run(s, NULL);
	return e ? e : store_revoke(db, entry);
}
