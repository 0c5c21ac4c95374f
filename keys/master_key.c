/* The master key's file. Who may have written or read it decides whether it is worth anything, so
 * owner and mode are judged on the open descriptor, before a byte is used. */
#include "keys/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys/durable.h"

enum {
	OURS_MODE_MAX = 0600,
	OPERATORS_MODE_BAD = 0037, /* group may read, no more; the world nothing */
};

/* NULL when the file is fit to be read. */
static const char *unfit(const struct stat *st, bool ours)
{
	if (!S_ISREG(st->st_mode))
		return "it is not a regular file";
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "it belongs to another user";
	if (ours && (st->st_mode & 07777 & ~(mode_t)OURS_MODE_MAX))
		return "its mode must be 0600";
	if (!ours && (st->st_mode & OPERATORS_MODE_BAD))
		return "its group may at most read it, and the world not at all";
	return NULL;
}

static enum err read_all(int fd, unsigned char *p, size_t cap, size_t *ret_n)
{
	size_t n = 0;

	while (n < cap) {
		ssize_t got = read(fd, p + n, cap - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ERR_IO;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*ret_n = n;
	return ERR_OK;
}

static enum err open_failed(const char **ret_why)
{
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		*ret_why = "there is no such file";
		return ERR_NOT_FOUND;
	case ELOOP:
		*ret_why = "it is a symbolic link";
		return ERR_FORBIDDEN;
	case EACCES:
	case EPERM:
		*ret_why = "we may not read it";
		return ERR_FORBIDDEN;
	default:
		*ret_why = "it could not be opened";
		return ERR_IO;
	}
}

static enum err read_key(int fd, bool ours, struct secret *ret_key, const char **ret_why)
{
	unsigned char bytes[SECRET_LEN + 1]; /* one more, to see that there is no more */
	struct stat st;
	size_t n;
	enum err e;

	if (fstat(fd, &st)) {
		*ret_why = "it could not be examined";
		return ERR_IO;
	}
	*ret_why = unfit(&st, ours);
	if (*ret_why)
		return ERR_FORBIDDEN;
	e = read_all(fd, bytes, sizeof(bytes), &n);
	if (e) {
		*ret_why = "it could not be read";
	} else if (n != SECRET_LEN) {
		*ret_why = "it does not hold exactly 32 bytes";
		e = ERR_SYNTAX;
	} else {
		memcpy(ret_key->b, bytes, SECRET_LEN);
	}
	wipe(bytes, sizeof(bytes));
	return e;
}

enum err master_key_read(const char *path, bool ours, struct secret *ret_key, const char **ret_why)
{
	/* O_NONBLOCK: a FIFO in the key's place must not hang the start */
	int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (ours ? O_NOFOLLOW : 0);
	int fd = open(path, flags);
	enum err e;

	if (fd < 0)
		return open_failed(ret_why);
	e = read_key(fd, ours, ret_key, ret_why);
	close(fd);
	return e;
}

static enum err err_of_errno(void)
{
	if (errno == EEXIST)
		return ERR_CONFLICT;
	return errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO;
}

static enum err write_durably(const char *path, const struct secret *key)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	enum err e = ERR_OK;
	ssize_t n;

	if (fd < 0)
		return err_of_errno();
	do
		n = write(fd, key->b, SECRET_LEN);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		e = err_of_errno();
	else if (n != SECRET_LEN)
		e = ERR_FULL;
	else if (fsync(fd))
		e = err_of_errno();
	if (close(fd) && !e)
		e = ERR_IO;
	return e;
}

/* link() and not rename(): it refuses to replace a key that somebody made in the meantime. */
enum err master_key_create(const char *path, const struct secret *key)
{
	char draft[PATH_MAX];
	int n = snprintf(draft, sizeof(draft), "%s.new", path);
	enum err e;

	if (n < 0 || (size_t)n >= sizeof(draft))
		return ERR_IO;
	if (unlink(draft) && errno != ENOENT) /* what a crash left */
		return ERR_IO;
	e = write_durably(draft, key);
	if (!e && link(draft, path))
		e = err_of_errno();
	unlink(draft);
	return e ? e : durable_folder_of(path);
}
