/* The kids that were revoked, in a file of their own beside the database (DIR/db/revoked-kids): a
 * database restored from before the revocation must not bring a stolen key back to life. One line
 * each, only ever appended, synced before the database is told.
 *
 * A last line that was cut off by a crash is no revocation: nobody was told of it. */
#ifndef CHANCERY_SERVER_REVOKED_KIDS_H
#define CHANCERY_SERVER_REVOKED_KIDS_H

#include "base/buf.h"
#include "base/str.h"

enum { REVOKED_KIDS_FILE_MAX = 1 << 20 };

/* Durable when it returns ERR_OK: file and, when it is new, folder are synced. ERR_FULL: the
 * disk, or a longer file could not be read. ERR_IO. */
MUST_CHECK enum err revoked_kids_add(const char *path, struct str kid, int64_t now);
/* The whole text; nothing when there is no file. ERR_IO, ERR_LIMIT, ERR_NOMEM. */
MUST_CHECK enum err revoked_kids_read(const char *path, struct buf *out);
bool revoked_kids_has(struct str text, struct str kid);

#endif
