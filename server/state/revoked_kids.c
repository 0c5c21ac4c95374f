/* The file of revoked kids; see the header. */
#include "server/state/revoked_kids.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/limits.h"
#include "keys/durable.h"

enum { LINE_MAX_LEN = KID_MAX + 32 };

static enum err error_of(int error)
{
	return error == ENOSPC || error == EDQUOT ? ERR_FULL : ERR_IO;
}

/* The whole line or nothing: half a line that got its end later could name a kid that was never
 * revoked. */
static enum err append(int fd, off_t size, struct str line)
{
	ssize_t n = write(fd, line.p, line.n);
	enum err e = n < 0 ? error_of(errno) : ERR_FULL; /* why else would it be short */

	if (n == (ssize_t)line.n)
		return ERR_OK;
	if (n > 0 && ftruncate(fd, size) < 0)
		return ERR_IO;
	return e;
}

/* A line that an earlier crash cut off gets its end first, so that ours is one of its own. */
static enum err write_line(int fd, struct str line)
{
	struct stat st;
	char last = '\n';
	enum err e = ERR_OK;

	if (fstat(fd, &st) < 0)
		return ERR_IO;
	if (st.st_size + 1 + (off_t)line.n > REVOKED_KIDS_FILE_MAX)
		return ERR_FULL; /* or the next start could not read it */
	if (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1)
		return ERR_IO;
	if (last != '\n')
		e = append(fd, st.st_size, STR("\n"));
	if (!e)
		e = append(fd, st.st_size + (last != '\n'), line);
	if (e)
		return e;
	return fsync(fd) == 0 ? ERR_OK : ERR_IO;
}

enum err revoked_kids_add(const char *path, struct str kid, int64_t now)
{
	struct str line;
	struct buf text;
	enum err e = FAILPOINT("revoked_kids.write");
	int fd;

	if (!e && !strchr(path, '/'))
		e = ERR_IO; /* whichever folder we happen to be in is not the database's */
	if (e)
		return e;
	buf_init(&text, NULL, LINE_MAX_LEN);
	buf_str(&text, kid);
	buf_fmt(&text, " %lld\n", (long long)now);
	e = buf_end(&text, &line);
	fd = e ? -1 : open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (!e && fd < 0)
		e = error_of(errno);
	if (!e)
		e = write_line(fd, line);
	if (!e)
		e = durable_folder_of(path);
	if (fd >= 0)
		close(fd);
	buf_done(&text);
	return e;
}

static enum err read_all(int fd, struct buf *out)
{
	char piece[4096];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0)
		buf_add(out, piece, (size_t)n);
	return n < 0 ? ERR_IO : out->err;
}

enum err revoked_kids_read(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	enum err e;

	if (fd < 0)
		return errno == ENOENT ? ERR_OK : ERR_IO;
	e = read_all(fd, out);
	close(fd);
	return e;
}

/* A kid of ours holds no space, an imported one may: the time behind the last space is what ends
 * it. */
static struct str kid_of(struct str line)
{
	const char *space = line.n ? memrchr(line.p, ' ', line.n) : NULL;

	return space ? str_n(line.p, (size_t)(space - line.p)) : STR_NONE;
}

bool revoked_kids_has(struct str text, struct str kid)
{
	const char *end;

	while (text.n && (end = memchr(text.p, '\n', text.n))) {
		size_t n = (size_t)(end - text.p);
		struct str listed = kid_of(str_n(text.p, n));

		if (listed.n && str_equal(listed, kid))
			return true;
		text = str_n(end + 1, text.n - n - 1);
	}
	return false;
}
