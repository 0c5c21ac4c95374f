/* Who fetches the key set. A row each, because one is written once a minute and read at the start.
 */
#include "server/store/store_priv.h"

#include "server/store/sql.h"

static void read_consumer(struct arena *a, struct db_stmt *s, void *row)
{
	struct consumer_row *c = row;

	*c = (struct consumer_row){ .name = store_text(a, s, 0),
				    .first_at = db_i64(s, 1),
				    .last_at = db_i64(s, 2),
				    .fetches = db_i64(s, 3),
				    .held = store_text(a, s, 4) };
}

enum err store_consumers(struct db *db, struct arena *a, int64_t limit,
			 struct consumer_row **ret_rows, size_t *ret_count)
{
	struct store_rows rows = { .arena = a, .size = sizeof(struct consumer_row) };
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_consumer_list, &s);

	if (e)
		return e;
	db_bind_i64(s, 1, limit);
	e = store_collect(s, &rows, read_consumer);
	if (e)
		return e;
	*ret_rows = rows.rows;
	*ret_count = rows.count;
	return ERR_OK;
}

enum err store_consumer_put(struct db *db, const struct consumer_row *row)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_consumer_put, &s);

	if (e)
		return e;
	db_bind_str(s, 1, row->name);
	db_bind_i64(s, 2, row->first_at);
	db_bind_i64(s, 3, row->last_at);
	db_bind_i64(s, 4, row->fetches);
	store_bind_text(s, 5, row->held);
	return db_run(s, NULL);
}

enum err store_consumers_forget(struct db *db, int64_t before)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_consumer_forget, &s);

	if (e)
		return e;
	db_bind_i64(s, 1, before);
	return db_run(s, NULL);
}
