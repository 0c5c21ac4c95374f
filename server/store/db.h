/* The seam between our SQL and an engine: open, statement, bind, step, transaction. Only
 * db_sqlite*.c know sqlite3; db_postgres.c will sit beside them.
 *
 * SQL is portable (docs/architecture.md, "Store"): parameters $1..$n (rewritten to ?n for SQLite,
 * which would number names by first appearance), BIGINT and BYTEA, truth 0/1, seconds from C, ON
 * CONFLICT, RETURNING stepped to its end. A struct db belongs to one thread at a time. */
#ifndef CHANCERY_SERVER_DB_H
#define CHANCERY_SERVER_DB_H

#include "base/auto.h"
#include "base/err.h"
#include "base/str.h"

struct db;
struct db_stmt;

enum db_mode { DB_READ, DB_WRITE };

/* WAL, synchronous=FULL, foreign_keys, trusted_schema off, cell_size_check, defensive,
 * secure_delete. The file must exist unless `create`. ERR_NOT_FOUND, ERR_IO, ERR_CORRUPT,
 * ERR_NOMEM. */
MUST_CHECK enum err db_open(const char *path, enum db_mode mode, bool create, struct db **ret_db);
/* The last writer to close moves the log into the file, unless an fsync failed on it. */
void db_close(struct db *db);
#define db_free db_close
AUTO_DEFINE(db)

/* A prepared statement for `sql`, kept and found again by the pointer's address: pass constants of
 * sql.h only. Reset and unbound. */
MUST_CHECK enum err db_stmt(struct db *db, const char *sql, struct db_stmt **ret_stmt);
/* Binding is sticky: the first failure comes out of db_step. Indices start at 1. Bytes are copied.
 */
void db_bind_i64(struct db_stmt *s, int i, int64_t v);
void db_bind_str(struct db_stmt *s, int i, struct str v); /* STR_NONE binds NULL */
void db_bind_bytes(struct db_stmt *s, int i, const void *p, size_t n);
/* *ret_row: a row is there. ERR_CONFLICT for a constraint, ERR_BUSY, ERR_FULL, ERR_IO, ERR_CORRUPT,
 * ERR_NOMEM. After the last row or an error the statement is reset. */
MUST_CHECK enum err db_step(struct db_stmt *s, bool *ret_row);
/* Steps to the end; *ret_changed (may be NULL) counts rows changed. */
MUST_CHECK enum err db_run(struct db_stmt *s, int64_t *ret_changed);
/* Columns start at 0; borrowed until the next step. */
int64_t db_i64(struct db_stmt *s, int col);
struct str db_str(struct db_stmt *s, int col); /* NULL gives STR_NONE; also for BYTEA */
/* Ends early. */
void db_end(struct db_stmt *s);

MUST_CHECK enum err db_begin(struct db *db); /* BEGIN IMMEDIATE on a writer, deferred on a reader */
MUST_CHECK enum err db_commit(struct db *db);
/* Also ends every statement left half-way, which would keep an old view of the database alive;
 * harmless when there is neither. */
void db_rollback(struct db *db);
MUST_CHECK enum err db_savepoint(struct db *db);
MUST_CHECK enum err db_release(struct db *db);
/* ERR_IO when the transaction is gone altogether. */
MUST_CHECK enum err db_rollback_to(struct db *db);
bool db_in_transaction(struct db *db);

/* Several statements, for migrations. */
MUST_CHECK enum err db_script(struct db *db, const char *sql);
/* An online copy to a new file (0600, fsynced, then renamed into place). */
MUST_CHECK enum err db_copy(struct db *db, const char *to);
/* Moves what it can from the log into the file without waiting for anybody. ERR_BUSY: another does
 * it. */
MUST_CHECK enum err db_checkpoint(struct db *db);
/* Pages in the log after this writer's last commit; 0 where an engine looks after its log itself.
 */
int64_t db_log_pages(const struct db *db);
/* An fsync failed on this connection: what was written since the last one may be lost although a
 * later fsync succeeds (Linux forgets the error with the pages). Nothing may be acknowledged any
 * more. */
bool db_sync_failed(const struct db *db);
/* As if it had: db_close then leaves the log alone for the next start to read from the disk. */
void db_distrust(struct db *db);
MUST_CHECK enum err db_has_table(struct db *db, const char *name, bool *ret_has);
/* The engine's own words on the last failure; borrowed. For the log. */
const char *db_error(struct db *db);

#endif
