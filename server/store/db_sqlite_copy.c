/* New files for databases, and copies of one that is in use. */
#include "server/store/db_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys/durable.h"

/* SQLite would make it with the umask's rights; log and index inherit the file's. Closing a
 * descriptor drops every POSIX lock this process has on the file, therefore only a file nobody had
 * open before. */
enum err db_sqlite_make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return errno == EEXIST ? ERR_OK : errno == ENOSPC ? ERR_FULL : ERR_IO;
	close(fd);
	return ERR_OK;
}

/* All pages in one step: the caller is a command or the start of the server, nobody waits behind
 * it. An fsync that fails is the copy's fault and casts no doubt on what is copied. */
static enum err copy_pages(struct db *db, const char *to)
{
	sqlite3 *target = NULL;
	sqlite3_backup *backup;
	int rc = sqlite3_open_v2(to, &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE, NULL);

	if (rc == SQLITE_OK) {
		backup = sqlite3_backup_init(target, "main", db->conn, "main");
		rc = backup ? sqlite3_backup_step(backup, -1) : sqlite3_errcode(target);
		sqlite3_backup_finish(backup);
	}
	sqlite3_close(target);
	return rc == SQLITE_DONE ? ERR_OK : rc == SQLITE_OK ? ERR_BUSY : db_sqlite_err(rc);
}

static enum err sync_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : fsync(fd);

	if (fd >= 0)
		close(fd);
	return rc ? ERR_IO : ERR_OK;
}

enum err db_copy(struct db *db, const char *to)
{
	char part[PATH_MAX];
	int n = snprintf(part, sizeof(part), "%s.part", to);
	enum err e;

	if (n < 0 || (size_t)n >= sizeof(part))
		return ERR_LIMIT;
	if (unlink(part) != 0 && errno != ENOENT) /* of an earlier try that was killed */
		return ERR_IO;
	e = db_sqlite_make_file(part);
	if (!e)
		e = copy_pages(db, part);
	if (!e)
		e = sync_file(part);
	if (!e && rename(part, to) != 0)
		e = ERR_IO;
	if (!e)
		return durable_folder_of(to);
	unlink(part);
	return e;
}
