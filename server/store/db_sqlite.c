/* SQLite behind server/store/db.h.
 *
 * What was decided here: every connection is in WAL mode with synchronous=FULL, so that a commit is
 * an fsync; the schema is never trusted to run code (trusted_schema off, defensive, no extensions);
 * deleted content is overwritten (secure_delete=ON: we delete little, and what we delete is hashes,
 * seeds and sealed keys). Page caches are small because the kernel caches the file as well. The log
 * is not moved into the file by the connection that commits: the writer's own thread for it does
 * that. Copies are made in db_sqlite_copy.c. */
#include "server/store/db_sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	BUSY_MILLIS = 200, /* only ever waited for behind a recovery or another program's write */
};

struct db_stmt {
	struct db *db;
	sqlite3_stmt *stmt;
	const char *sql; /* its address is the name */
	int bind_rc;
	struct db_stmt *next;
};

/* One line each: a connection that refuses one of them is not opened. */
static const char settings[] = "PRAGMA synchronous = FULL;"
			       "PRAGMA foreign_keys = ON;"
			       "PRAGMA trusted_schema = OFF;"
			       "PRAGMA cell_size_check = ON;"
			       "PRAGMA secure_delete = ON;"
			       "PRAGMA mmap_size = 0;"
			       "PRAGMA temp_store = MEMORY;";
static const char reader_settings[] = "PRAGMA query_only = ON;"
				      "PRAGMA cache_size = -512;";
/* The log shrinks to 8 MiB when it starts anew after a burst. */
static const char writer_settings[] = "PRAGMA cache_size = -1024;"
				      "PRAGMA wal_autocheckpoint = 0;"
				      "PRAGMA journal_size_limit = 8388608;";

static const char sql_begin[] = "BEGIN";
static const char sql_begin_write[] = "BEGIN IMMEDIATE";
static const char sql_commit[] = "COMMIT";
static const char sql_rollback[] = "ROLLBACK";
static const char sql_savepoint[] = "SAVEPOINT op";
static const char sql_release[] = "RELEASE op";
static const char sql_rollback_to[] = "ROLLBACK TO op";
static const char sql_has_table[] =
	"SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1";

static const struct {
	int code; /* extended, or primary */
	enum err err;
} codes[] = {
	{ SQLITE_OK, ERR_OK },
	{ SQLITE_IOERR_NOMEM, ERR_NOMEM },
	{ SQLITE_IOERR_CORRUPTFS, ERR_CORRUPT },
	{ SQLITE_CONSTRAINT, ERR_CONFLICT },
	{ SQLITE_BUSY, ERR_BUSY },
	{ SQLITE_LOCKED, ERR_BUSY },
	{ SQLITE_PROTOCOL, ERR_BUSY },
	{ SQLITE_FULL, ERR_FULL },
	{ SQLITE_IOERR, ERR_IO },
	{ SQLITE_CANTOPEN, ERR_IO },
	{ SQLITE_READONLY, ERR_IO },
	{ SQLITE_PERM, ERR_IO },
	{ SQLITE_CORRUPT, ERR_CORRUPT },
	{ SQLITE_NOTADB, ERR_CORRUPT },
	{ SQLITE_NOMEM, ERR_NOMEM },
	{ SQLITE_TOOBIG, ERR_LIMIT },
};

static enum err find_code(int code, enum err fallback)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return codes[i].err;
	return fallback;
}

enum err db_sqlite_err(int rc)
{
	return find_code(rc, find_code(rc & 0xff, ERR_INTERNAL));
}

/* The same, for what was done on this connection. */
static enum err code_err(struct db *db, int rc)
{
	if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC)
		db->sync_failed = true;
	return db_sqlite_err(rc);
}

static enum err exec(struct db *db, const char *sql)
{
	return code_err(db, sqlite3_exec(db->conn, sql, NULL, NULL, NULL));
}

static int note_log(void *arg, sqlite3 *conn, const char *name, int pages)
{
	struct db *db = arg;

	(void)conn, (void)name;
	db->log_pages = pages;
	return SQLITE_OK;
}

static enum err harden(struct db *db)
{
	static const struct {
		int option, value;
	} options[] = {
		{ SQLITE_DBCONFIG_DEFENSIVE, 1 },
		{ SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
		{ SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
		{ SQLITE_DBCONFIG_ENABLE_FKEY, 1 },
		{ SQLITE_DBCONFIG_DQS_DML, 0 },
		{ SQLITE_DBCONFIG_DQS_DDL, 0 },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		int rc = sqlite3_db_config(db->conn, options[i].option, options[i].value, NULL);

		if (rc != SQLITE_OK)
			return code_err(db, rc);
	}
	return code_err(db, sqlite3_busy_timeout(db->conn, BUSY_MILLIS));
}

/* The pragma answers with the mode it has, not with an error. */
static enum err enter_wal(struct db *db)
{
	static const char sql[] = "PRAGMA journal_mode = WAL";
	struct db_stmt *s;
	bool row, wal;
	enum err e = db_stmt(db, sql, &s);

	if (!e)
		e = db_step(s, &row);
	if (e)
		return e;
	wal = row && str_equal_z(db_str(s, 0), "wal");
	db_end(s);
	return wal ? ERR_OK : ERR_IO;
}

static enum err configure(struct db *db)
{
	enum err e = harden(db);

	if (!e)
		e = exec(db, settings);
	if (!e)
		e = exec(db, db->mode == DB_WRITE ? writer_settings : reader_settings);
	if (!e && db->mode == DB_WRITE)
		e = enter_wal(db);
	if (!e && db->mode == DB_WRITE)
		sqlite3_wal_hook(db->conn, note_log, db);
	return e;
}

static enum err open_conn(struct db *db, const char *path)
{
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
		    (db->mode == DB_WRITE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
	int rc = sqlite3_open_v2(path, &db->conn, flags, NULL);

	if (rc == SQLITE_OK)
		return configure(db);
	if ((rc & 0xff) == SQLITE_CANTOPEN && access(path, F_OK) != 0 && errno == ENOENT)
		return ERR_NOT_FOUND;
	return code_err(db, rc);
}

enum err db_open(const char *path, enum db_mode mode, bool create, struct db **ret_db)
{
	AUTO(db, db) = calloc(1, sizeof(*db));
	enum err e;

	if (!db)
		return ERR_NOMEM;
	db->mode = mode;
	e = create ? db_sqlite_make_file(path) : ERR_OK;
	if (!e)
		e = open_conn(db, path);
	if (!e)
		*ret_db = TAKE(db);
	return e;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	for (size_t i = 0; i < STMT_BUCKETS; i++) {
		for (struct db_stmt *s = db->buckets[i], *next; s; s = next) {
			next = s->next;
			sqlite3_finalize(s->stmt);
			free(s);
		}
	}
	if (db->conn && db->sync_failed)
		(void)sqlite3_db_config(db->conn, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_close_v2(db->conn);
	free(db);
}

static struct db_stmt **bucket(struct db *db, const char *sql)
{
	return &db->buckets[((uintptr_t)sql >> 4) % STMT_BUCKETS];
}

/* $1 becomes ?1: SQLite takes $1 for a name and numbers names by their first appearance. Text
 * between quotes stays. */
static char *with_numbers(const char *sql)
{
	char *copy = strdup(sql);
	char quote = 0;

	for (char *p = copy; p && *p; p++) {
		if (quote)
			quote = *p == quote ? 0 : quote;
		else if (*p == '\'' || *p == '"')
			quote = *p;
		else if (*p == '$' && p[1] >= '1' && p[1] <= '9')
			*p = '?';
	}
	return copy;
}

static enum err prepare(struct db *db, const char *sql, struct db_stmt **ret_stmt)
{
	struct db_stmt *s = calloc(1, sizeof(*s));
	char *text = with_numbers(sql);
	int rc = SQLITE_NOMEM;

	if (s && text)
		rc = sqlite3_prepare_v3(db->conn, text, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt,
					NULL);
	free(text);
	if (rc != SQLITE_OK) {
		free(s);
		return code_err(db, rc);
	}
	s->db = db;
	s->sql = sql;
	s->next = *bucket(db, sql);
	*bucket(db, sql) = s;
	*ret_stmt = s;
	return ERR_OK;
}

enum err db_stmt(struct db *db, const char *sql, struct db_stmt **ret_stmt)
{
	struct db_stmt *s = *bucket(db, sql);

	while (s && s->sql != sql)
		s = s->next;
	if (!s)
		return prepare(db, sql, ret_stmt);
	db_end(s);
	*ret_stmt = s;
	return ERR_OK;
}

static void bound(struct db_stmt *s, int rc)
{
	if (s->bind_rc == SQLITE_OK)
		s->bind_rc = rc;
}

void db_bind_i64(struct db_stmt *s, int i, int64_t v)
{
	bound(s, sqlite3_bind_int64(s->stmt, i, v));
}

void db_bind_str(struct db_stmt *s, int i, struct str v)
{
	bound(s, v.p ? sqlite3_bind_text64(s->stmt, i, v.p, v.n, SQLITE_TRANSIENT, SQLITE_UTF8)
		     : sqlite3_bind_null(s->stmt, i));
}

void db_bind_bytes(struct db_stmt *s, int i, const void *p, size_t n)
{
	bound(s, n ? sqlite3_bind_blob64(s->stmt, i, p, n, SQLITE_TRANSIENT)
		   : sqlite3_bind_zeroblob(s->stmt, i, 0));
}

enum err db_step(struct db_stmt *s, bool *ret_row)
{
	int rc = s->bind_rc;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s->stmt);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
		*ret_row = rc == SQLITE_ROW;
		if (rc == SQLITE_DONE)
			sqlite3_reset(s->stmt);
		return ERR_OK;
	}
	sqlite3_reset(s->stmt);
	return code_err(s->db, rc);
}

enum err db_run(struct db_stmt *s, int64_t *ret_changed)
{
	bool row = true;

	while (row) {
		enum err e = db_step(s, &row);

		if (e)
			return e;
	}
	if (ret_changed)
		*ret_changed = sqlite3_changes64(s->db->conn);
	return ERR_OK;
}

int64_t db_i64(struct db_stmt *s, int col)
{
	return sqlite3_column_int64(s->stmt, col);
}

struct str db_str(struct db_stmt *s, int col)
{
	const void *p;

	if (sqlite3_column_type(s->stmt, col) == SQLITE_NULL)
		return STR_NONE;
	p = sqlite3_column_blob(s->stmt, col);
	return p ? str_n(p, (size_t)sqlite3_column_bytes(s->stmt, col)) : STR("");
}

void db_end(struct db_stmt *s)
{
	sqlite3_reset(s->stmt);
	sqlite3_clear_bindings(s->stmt);
	s->bind_rc = SQLITE_OK;
}

/* A statement its user left half-way (an early return) would keep its old view of the database
 * alive past the transaction, and the next BEGIN IMMEDIATE on it would be refused. */
static void end_all(struct db *db)
{
	sqlite3_stmt *s = NULL;

	while ((s = sqlite3_next_stmt(db->conn, s)))
		if (sqlite3_stmt_busy(s))
			sqlite3_reset(s);
}

static enum err run_plain(struct db *db, const char *sql)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql, &s);

	return e ? e : db_run(s, NULL);
}

enum err db_begin(struct db *db)
{
	return run_plain(db, db->mode == DB_WRITE ? sql_begin_write : sql_begin);
}

enum err db_commit(struct db *db)
{
	end_all(db);
	return run_plain(db, sql_commit);
}

void db_rollback(struct db *db)
{
	end_all(db);
	/* a rollback that fails leaves the transaction to the next one, whose BEGIN then fails */
	if (db_in_transaction(db) && run_plain(db, sql_rollback))
		(void)exec(db, sql_rollback);
}

enum err db_savepoint(struct db *db)
{
	return run_plain(db, sql_savepoint);
}

enum err db_release(struct db *db)
{
	end_all(db);
	return db_in_transaction(db) ? run_plain(db, sql_release) : ERR_IO;
}

enum err db_rollback_to(struct db *db)
{
	enum err e;

	end_all(db);
	if (!db_in_transaction(db))
		return ERR_IO;
	e = run_plain(db, sql_rollback_to);
	return e ? e : run_plain(db, sql_release);
}

bool db_in_transaction(struct db *db)
{
	return !sqlite3_get_autocommit(db->conn);
}

enum err db_script(struct db *db, const char *sql)
{
	return exec(db, sql);
}

enum err db_checkpoint(struct db *db)
{
	return code_err(db, sqlite3_wal_checkpoint_v2(db->conn, NULL, SQLITE_CHECKPOINT_PASSIVE,
						      NULL, NULL));
}

int64_t db_log_pages(const struct db *db)
{
	return db->log_pages;
}

bool db_sync_failed(const struct db *db)
{
	return db->sync_failed;
}

void db_distrust(struct db *db)
{
	db->sync_failed = true;
}

enum err db_has_table(struct db *db, const char *name, bool *ret_has)
{
	struct db_stmt *s;
	bool row;
	enum err e = db_stmt(db, sql_has_table, &s);

	if (e)
		return e;
	db_bind_str(s, 1, str_z(name));
	e = db_step(s, &row);
	if (e)
		return e;
	db_end(s);
	*ret_has = row;
	return ERR_OK;
}

const char *db_error(struct db *db)
{
	return sqlite3_errmsg(db->conn);
}
