/* Audit rows, the few values that have no table of their own, and housekeeping. */
#include "server/store/store_priv.h"

#include "oauth/machine.h"
#include "server/store/sql.h"

enum err store_audit(struct db *db, const struct audit_row *row)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_audit_insert, &s);

	if (e)
		return e;
	db_bind_i64(s, 1, row->at);
	db_bind_str(s, 2, row->event);
	store_bind_text(s, 3, row->outcome);
	store_bind_text(s, 4, row->actor);
	store_bind_text(s, 5, row->target);
	store_bind_text(s, 6, row->address);
	store_bind_text(s, 7, row->request_id);
	store_bind_text(s, 8, row->reason);
	db_bind_i64(s, 9, row->count);
	return db_run(s, NULL);
}

static void read_audit(struct arena *a, struct db_stmt *s, void *row)
{
	struct audit_row *audit = row;

	*audit = (struct audit_row){
		.id = db_i64(s, 0),
		.at = db_i64(s, 1),
		.event = store_text(a, s, 2),
		.outcome = store_text(a, s, 3),
		.actor = store_text(a, s, 4),
		.target = store_text(a, s, 5),
		.address = store_text(a, s, 6),
		.request_id = store_text(a, s, 7),
		.reason = store_text(a, s, 8),
		.count = db_i64(s, 9),
	};
}

enum err store_audit_list(struct db *db, struct arena *a, int64_t before, int64_t limit,
			  struct audit_row **ret_rows, size_t *ret_count)
{
	struct store_rows rows = { .arena = a, .size = sizeof(struct audit_row) };
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_audit_list, &s);

	if (e)
		return e;
	db_bind_i64(s, 1, before ? before : INT64_MAX);
	db_bind_i64(s, 2, limit);
	e = store_collect(s, &rows, read_audit);
	if (e)
		return e;
	*ret_rows = rows.rows;
	*ret_count = rows.count;
	return ERR_OK;
}

enum err store_meta_get(struct db *db, struct arena *a, const char *name, struct str *ret_value)
{
	struct str value;
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_meta_get, &s);

	if (e)
		return e;
	db_bind_str(s, 1, str_z(name));
	e = store_one(s);
	if (e)
		return e;
	value = store_text(a, s, 0);
	db_end(s);
	if (!value.p)
		return ERR_NOMEM;
	*ret_value = value;
	return ERR_OK;
}

enum err store_meta_put(struct db *db, const char *name, struct str value)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_meta_put, &s);

	if (e)
		return e;
	db_bind_str(s, 1, str_z(name));
	store_bind_text(s, 2, value);
	return db_run(s, NULL);
}

enum { META_NUMBER_ARENA = 1024, META_NUMBER_MAX = 32 };

enum err store_meta_get_i64(struct db *db, const char *name, int64_t *ret_value)
{
	struct arena *a;
	struct str text;
	enum err e = arena_new(META_NUMBER_ARENA, &a);

	if (e)
		return e;
	e = store_meta_get(db, a, name, &text);
	if (e == ERR_NOT_FOUND) {
		*ret_value = 0;
		e = ERR_OK;
	} else if (!e && str_to_i64(text, 0, INT64_MAX, ret_value)) {
		e = ERR_CORRUPT;
	}
	arena_free(a);
	return e;
}

enum err store_meta_put_i64(struct db *db, const char *name, int64_t value)
{
	struct buf text;
	struct str digits;
	enum err e;

	buf_init(&text, NULL, META_NUMBER_MAX);
	buf_i64(&text, value);
	e = buf_end(&text, &digits);
	if (!e)
		e = store_meta_put(db, name, digits);
	buf_done(&text);
	return e;
}
