/* What the two files that know SQLite share. Nobody else includes it; db.h is the contract. */
#ifndef CHANCERY_SERVER_DB_SQLITE_H
#define CHANCERY_SERVER_DB_SQLITE_H

#include <sqlite3.h>

#include "server/store/db.h"

enum { STMT_BUCKETS = 64 }; /* about as many statements as a writer keeps */

struct db {
	sqlite3 *conn;
	enum db_mode mode;
	bool sync_failed;
	int64_t log_pages;
	struct db_stmt *buckets[STMT_BUCKETS];
};

/* The extended code where it has a row of its own, else its family's. */
enum err db_sqlite_err(int rc);
/* An empty file of ours alone, unless there is one. ERR_FULL, ERR_IO. */
MUST_CHECK enum err db_sqlite_make_file(const char *path);

#endif
