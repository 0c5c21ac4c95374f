/* Signing keys and the root. The schema itself holds rule 1: at most one active and one standby key
 * per algorithm; a step that would break it is a conflict, not a race. */
#include "server/store/store_priv.h"

#include "server/store/sql.h"

static enum err read_key(struct arena *a, struct db_stmt *s, struct key_row *row)
{
	struct str kid = db_str(s, 0);
	struct key_info info = {
		.alg = alg_by_name(db_str(s, 1)),
		.created_at = db_i64(s, 3),
		.publish_at = db_i64(s, 4),
		.ready_at = db_i64(s, 5),
		.activate_at = db_i64(s, 6),
		.retire_at = db_i64(s, 7),
		.remove_at = db_i64(s, 8),
		.exp_bound = db_i64(s, 9),
		.last_exp = db_i64(s, 10),
	};

	if (kid.n > KID_MAX || info.alg == ALG_UNKNOWN ||
	    !key_state_by_name(db_str(s, 2), &info.state))
		return ERR_CORRUPT;
	memcpy(info.kid, kid.p, kid.n);
	row->info = info;
	row->public_jwk = store_text(a, s, 11);
	row->sealed = store_text(a, s, 12);
	return ERR_OK;
}

enum err store_keys(struct db *db, struct arena *a, struct key_row **ret_rows, size_t *ret_count)
{
	struct store_rows rows = { .arena = a, .size = sizeof(struct key_row) };
	struct db_stmt *s;
	bool more;
	enum err e = db_stmt(db, sql_key_list, &s);

	while (!e && !(e = db_step(s, &more)) && more) {
		struct key_row *row = store_rows_add(&rows);

		e = row ? read_key(a, s, row) : ERR_NOMEM;
		if (e)
			db_end(s);
	}
	if (e)
		return e;
	if (arena_failed(a))
		return ERR_NOMEM;
	*ret_rows = rows.rows;
	*ret_count = rows.count;
	return ERR_OK;
}

enum err store_key_insert(struct db *db, const struct key_row *row)
{
	const struct key_info *info = &row->info;
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_key_insert, &s);

	if (e)
		return e;
	db_bind_str(s, 1, str_z(info->kid));
	store_bind_alg(s, 2, info->alg);
	db_bind_str(s, 3, str_z(key_state_name(info->state)));
	db_bind_i64(s, 4, info->created_at);
	db_bind_i64(s, 5, info->publish_at);
	db_bind_i64(s, 6, info->ready_at);
	db_bind_i64(s, 7, info->activate_at);
	db_bind_i64(s, 8, info->retire_at);
	db_bind_i64(s, 9, info->remove_at);
	db_bind_i64(s, 10, info->exp_bound);
	db_bind_i64(s, 11, info->last_exp);
	store_bind_text(s, 12, row->public_jwk);
	db_bind_bytes(s, 13, row->sealed.p, row->sealed.n);
	return db_run(s, NULL);
}

/* The private half goes in the same step: a key that no longer signs must not be stolen either. */
static enum err retire_active(struct db *db, enum alg alg, int64_t remove_at, int64_t now)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_key_retire, &s);

	if (e)
		return e;
	store_bind_alg(s, 1, alg);
	db_bind_i64(s, 2, now);
	db_bind_i64(s, 3, remove_at);
	db_bind_bytes(s, 4, NULL, 0);
	return db_run(s, NULL);
}

static enum err promote(struct db *db, enum alg alg, struct str kid, int64_t exp_bound, int64_t now)
{
	struct db_stmt *s;
	int64_t changed;
	enum err e = db_stmt(db, sql_key_promote, &s);

	if (e)
		return e;
	db_bind_str(s, 1, kid);
	store_bind_alg(s, 2, alg);
	db_bind_i64(s, 3, now);
	db_bind_i64(s, 4, exp_bound);
	e = db_run(s, &changed);
	return e || changed == 1 ? e : ERR_CONFLICT;
}

/* In this order, because constraints hold after every statement. */
enum err store_key_rotate(struct db *db, enum alg alg, struct str next, int64_t exp_bound,
			  int64_t retired_remove_at, const struct key_row *fresh, int64_t now)
{
	enum err e;

	if (fresh->info.state != KEY_STANDBY || fresh->info.alg != alg)
		return ERR_CONFLICT;
	e = retire_active(db, alg, retired_remove_at, now);
	if (!e)
		e = promote(db, alg, next, exp_bound, now);
	return e ? e : store_key_insert(db, fresh);
}

/* Runs an update of one key: $1 is the kid, the others as given (0: not a parameter). */
static enum err update_key(struct db *db, const char *sql, struct str kid, int64_t first,
			   const int64_t *second)
{
	struct db_stmt *s;
	int64_t changed;
	enum err e = db_stmt(db, sql, &s);

	if (e)
		return e;
	db_bind_str(s, 1, kid);
	db_bind_i64(s, 2, first);
	if (second)
		db_bind_i64(s, 3, *second);
	e = db_run(s, &changed);
	if (e)
		return e;
	return changed ? ERR_OK : ERR_NOT_FOUND;
}

enum err store_key_bound(struct db *db, struct str kid, int64_t exp_bound)
{
	return update_key(db, sql_key_bound, kid, exp_bound, NULL);
}

enum err store_key_settle(struct db *db, struct str kid, int64_t last_exp, int64_t remove_at)
{
	return update_key(db, sql_key_settle, kid, last_exp, &remove_at);
}

enum err store_key_remove(struct db *db, struct str kid, int64_t now)
{
	return update_key(db, sql_key_remove, kid, now, NULL);
}

enum err store_root_get(struct db *db, struct arena *a, int64_t *ret_version,
			struct str *ret_sealed)
{
	struct db_stmt *s;
	struct str sealed;
	enum err e = db_stmt(db, sql_root_get, &s);

	if (!e)
		e = store_one(s);
	if (e)
		return e;
	sealed = store_text(a, s, 1);
	if (!arena_failed(a)) {
		*ret_version = db_i64(s, 0);
		*ret_sealed = sealed;
	}
	db_end(s);
	return arena_failed(a) ? ERR_NOMEM : ERR_OK;
}

enum err store_root_put(struct db *db, int64_t version, struct str sealed, int64_t now)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_root_put, &s);

	if (e)
		return e;
	db_bind_i64(s, 1, version);
	db_bind_bytes(s, 2, sealed.p, sealed.n);
	db_bind_i64(s, 3, now);
	return db_run(s, NULL);
}
