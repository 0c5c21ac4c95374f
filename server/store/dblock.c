/* The lock on DIR/db/lock. */
#include "server/store/dblock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"

enum { PID_TEXT_MAX = 24 };

/* What the holder wrote. For a holder in another pid namespace (two containers on one volume),
 * whose number the kernel cannot tell us. */
static pid_t written_pid(int fd)
{
	char text[PID_TEXT_MAX];
	ssize_t n = pread(fd, text, sizeof(text), 0);
	int64_t pid;

	if (n <= 1 || str_to_i64(str_n(text, (size_t)n - 1), 1, INT32_MAX, &pid))
		return 0;
	return (pid_t)pid;
}

static pid_t holder(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK && l.l_pid > 0)
		return l.l_pid;
	return written_pid(fd);
}

static enum err lock(int fd, pid_t *ret_holder)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_SETLK, &l) == 0)
		return ERR_OK;
	if (errno != EACCES && errno != EAGAIN)
		return ERR_IO;
	*ret_holder = holder(fd);
	return ERR_BUSY;
}

/* For people, and for holder(); a full disk is no reason not to start. */
static void write_pid(int fd)
{
	char text[PID_TEXT_MAX];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (n > 0 && ftruncate(fd, 0) == 0)
		(void)!pwrite(fd, text, (size_t)n, 0);
}

enum err dblock_take(const char *path, int *ret_fd, pid_t *ret_holder)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	enum err e;

	if (fd < 0)
		return ERR_IO;
	e = lock(fd, ret_holder);
	if (e) {
		close(fd);
		return e;
	}
	write_pid(fd);
	*ret_fd = fd;
	return ERR_OK;
}

void dblock_drop(int fd)
{
	if (fd >= 0)
		close(fd);
}
