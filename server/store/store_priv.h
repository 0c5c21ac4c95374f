/* What the store_*.c files share and nobody else needs: rows to structs, structs to parameters, and
 * the acts that ending something always brings along. */
#ifndef CHANCERY_SERVER_STORE_PRIV_H
#define CHANCERY_SERVER_STORE_PRIV_H

#include "server/store/store.h"

enum principal { PRINCIPAL_CLIENT = 1, PRINCIPAL_USER };

/* Absent text is stored as empty: the schema has no NULL. */
void store_bind_text(struct db_stmt *s, int i, struct str text);
/* By name; ALG_UNKNOWN as empty. */
void store_bind_alg(struct db_stmt *s, int i, enum alg alg);
/* A column's bytes, copied to the arena; STR_NONE when that failed (arena_failed tells). */
struct str store_text(struct arena *a, struct db_stmt *s, int col);

/* One row or ERR_NOT_FOUND. With ERR_OK the columns are readable until the caller's db_end. */
MUST_CHECK enum err store_one(struct db_stmt *s);
/* ERR_OK when a row exists whose only parameter is `key`, else ERR_NOT_FOUND. */
MUST_CHECK enum err store_exists(struct db *db, const char *sql, struct str key);
/* Runs a statement whose only parameter is `key`. */
MUST_CHECK enum err store_run_key(struct db *db, const char *sql, struct str key,
				  int64_t *ret_changed);
/* After a compare-and-swap on `version` that changed nothing: ERR_NOT_FOUND or ERR_REUSED. */
MUST_CHECK enum err store_why_unchanged(struct db *db, const char *exists_sql, struct str key);

/* Rows of a query into an array of the arena that doubles; `read` fills one zeroed struct. */
struct store_rows {
	struct arena *arena;
	size_t size; /* of one struct */
	void *rows;
	size_t count, cap;
};
/* The next place, zeroed; NULL when there is no memory. */
void *store_rows_add(struct store_rows *r);
typedef void store_read(struct arena *a, struct db_stmt *s, void *row);
MUST_CHECK enum err store_collect(struct db_stmt *s, struct store_rows *r, store_read *read);
/* Keyset paging on one text key: binds after, prefix, prefix end and limit as $1..$4. */
MUST_CHECK enum err store_bind_page(struct db_stmt *s, struct arena *a, const struct page *page);

/* Takes an id for ever: ERR_CONFLICT if it is or was somebody's. */
MUST_CHECK enum err store_principal_take(struct db *db, struct str id, enum principal kind,
					 int64_t now);
MUST_CHECK enum err store_principal_bury(struct db *db, struct str id, int64_t now);

/* Ends the logins that `sql` names by `value`, and revokes the tokens `entry` describes, in one go.
 */
MUST_CHECK enum err store_end_and_revoke(struct db *db, const char *sql, const char *reason,
					 int64_t now, const struct revocation *entry);

#endif
