/* Signing keys and the root. The schema itself holds rule 1: at most one active and one standby key
 * per algorithm; a step that would break it is a conflict, not a race. */
#include "server/store/store_priv.h"

#include "server/store/sql.h"

static enum err read_key(struct arena *a, struct db_stmt *s, struct key_row *row)
{
	struct str kid = db_str(s, 0);
	struct key_info info = {
		.alg = alg_by_name(db_str(s, 1)),
		.root_version = db_i64(s, 4),
		.forced = db_i64(s, 5) != 0,
		.created_at = db_i64(s, 6),
		.publish_at = db_i64(s, 7),
		.ready_at = db_i64(s, 8),
		.activate_at = db_i64(s, 9),
		.retire_at = db_i64(s, 10),
		.remove_at = db_i64(s, 11),
		.revoked_at = db_i64(s, 12),
		.exp_bound = db_i64(s, 13),
		.last_exp = db_i64(s, 14),
	};

	if (kid.n > KID_MAX || info.alg == ALG_UNKNOWN ||
	    !key_state_by_name(db_str(s, 2), &info.state) ||
	    !key_origin_by_name(db_str(s, 3), &info.origin))
		return ERR_CORRUPT;
	memcpy(info.kid, kid.p, kid.n);
	row->info = info;
	row->public_jwk = store_text(a, s, 15);
	row->sealed = store_text(a, s, 16);
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
	db_bind_str(s, 4, str_z(key_origin_name(info->origin)));
	db_bind_i64(s, 5, info->root_version);
	db_bind_i64(s, 6, info->forced);
	db_bind_i64(s, 7, info->created_at);
	db_bind_i64(s, 8, info->publish_at);
	db_bind_i64(s, 9, info->ready_at);
	db_bind_i64(s, 10, info->activate_at);
	db_bind_i64(s, 11, info->retire_at);
	db_bind_i64(s, 12, info->remove_at);
	db_bind_i64(s, 13, info->revoked_at);
	db_bind_i64(s, 14, info->exp_bound);
	db_bind_i64(s, 15, info->last_exp);
	store_bind_text(s, 16, row->public_jwk);
	db_bind_bytes(s, 17, row->sealed.p, row->sealed.n);
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

enum err store_key_promote(struct db *db, const struct key_promotion *p)
{
	struct db_stmt *s;
	int64_t changed;
	enum err e = db_stmt(db, sql_key_promote, &s);

	if (e)
		return e;
	db_bind_str(s, 1, p->kid);
	store_bind_alg(s, 2, p->alg);
	db_bind_i64(s, 3, p->now);
	db_bind_i64(s, 4, p->exp_bound);
	db_bind_i64(s, 5, p->forced);
	e = db_run(s, &changed);
	return e || changed == 1 ? e : ERR_CONFLICT;
}

/* In this order, because constraints hold after every statement. */
enum err store_key_rotate(struct db *db, const struct key_promotion *p, int64_t retired_remove_at,
			  const struct key_row *fresh)
{
	enum err e;

	if (fresh->info.state != KEY_STANDBY || fresh->info.alg != p->alg)
		return ERR_CONFLICT;
	e = retire_active(db, p->alg, retired_remove_at, p->now);
	if (!e)
		e = store_key_promote(db, p);
	return e ? e : store_key_insert(db, fresh);
}

static enum err republish_standby(struct db *db, enum alg alg, int64_t now, int64_t ready_at)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_key_republish, &s);

	if (e)
		return e;
	store_bind_alg(s, 1, alg);
	db_bind_i64(s, 2, now);
	db_bind_i64(s, 3, ready_at);
	return db_run(s, NULL);
}

enum err store_key_import(struct db *db, const struct key_row *row, int64_t retired_remove_at,
			  int64_t standby_ready_at, int64_t now)
{
	enum err e = ERR_OK;

	if (row->info.state == KEY_ACTIVE) {
		e = retire_active(db, row->info.alg, retired_remove_at, now);
		if (!e)
			e = republish_standby(db, row->info.alg, now, standby_ready_at);
	}
	return e ? e : store_key_insert(db, row);
}

enum err store_key_withdraw(struct db *db, enum alg alg, int64_t now)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_key_withdraw, &s);

	if (e)
		return e;
	store_bind_alg(s, 1, alg);
	db_bind_i64(s, 2, now);
	db_bind_bytes(s, 3, NULL, 0);
	return db_run(s, NULL);
}

enum err store_key_retire_alg(struct db *db, enum alg alg, int64_t retired_remove_at, int64_t now)
{
	enum err e = retire_active(db, alg, retired_remove_at, now);

	return e ? e : store_key_withdraw(db, alg, now);
}

enum err store_key_revoke(struct db *db, struct str kid, int64_t now)
{
	struct db_stmt *s;
	int64_t changed;
	enum err e = db_stmt(db, sql_key_revoke, &s);

	if (e)
		return e;
	db_bind_str(s, 1, kid);
	db_bind_i64(s, 2, now);
	db_bind_bytes(s, 3, NULL, 0);
	e = db_run(s, &changed);
	if (e)
		return e;
	return changed ? ERR_OK : ERR_NOT_FOUND;
}

static enum err forget_removed(struct db *db)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_key_forget, &s);

	if (e)
		return e;
	db_bind_i64(s, 1, KEYS_REMEMBERED_MAX);
	return db_run(s, NULL);
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
	enum err e = update_key(db, sql_key_remove, kid, now, NULL);

	return e ? e : forget_removed(db);
}

static void read_root(struct arena *a, struct db_stmt *s, void *row)
{
	struct root_row *r = row;

	*r = (struct root_row){ .version = db_i64(s, 0), .sealed = store_text(a, s, 1) };
}

enum err store_roots(struct db *db, struct arena *a, struct root_row **ret_rows, size_t *ret_count)
{
	struct store_rows rows = { .arena = a, .size = sizeof(struct root_row) };
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_root_list, &s);

	if (!e)
		e = store_collect(s, &rows, read_root);
	if (e)
		return e;
	*ret_rows = rows.rows;
	*ret_count = rows.count;
	return ERR_OK;
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
