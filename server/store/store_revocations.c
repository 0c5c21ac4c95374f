/* Revocations: entries, kept until the last token they can hit has expired. */
#include "server/store/store_priv.h"

#include "server/store/sql.h"

enum err store_revoke(struct db *db, const struct revocation *r)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_revoke, &s);

	if (e)
		return e;
	db_bind_i64(s, 1, r->kind);
	db_bind_str(s, 2, r->value);
	db_bind_i64(s, 3, r->iat_max);
	db_bind_i64(s, 4, r->until);
	store_bind_text(s, 5, r->sid);
	store_bind_text(s, 6, r->client_id);
	return db_run(s, NULL);
}

static void read_revocation(struct arena *a, struct db_stmt *s, void *row)
{
	struct revocation *r = row;

	*r = (struct revocation){
		.kind = (enum revoke_kind)db_i64(s, 0),
		.value = store_text(a, s, 1),
		.iat_max = db_i64(s, 2),
		.until = db_i64(s, 3),
		.sid = store_text(a, s, 4),
		.client_id = store_text(a, s, 5),
	};
}

enum err store_revocations(struct db *db, struct arena *a, int64_t now,
			   const struct revocation *after, int64_t limit,
			   struct revocation **ret_rows, size_t *ret_count)
{
	struct store_rows rows = { .arena = a, .size = sizeof(struct revocation) };
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_revocation_page, &s);

	if (e)
		return e;
	db_bind_i64(s, 1, after ? after->kind : 0);
	store_bind_text(s, 2, after ? after->value : STR_NONE);
	db_bind_i64(s, 3, now);
	db_bind_i64(s, 4, limit);
	e = store_collect(s, &rows, read_revocation);
	if (e)
		return e;
	*ret_rows = rows.rows;
	*ret_count = rows.count;
	return ERR_OK;
}
