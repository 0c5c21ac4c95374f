/* See the header. */
#include "keys/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "." for a bare name, "/" for a file in the root. */
static enum err folder_of(const char *path, char ret_folder[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	int written;

	if (n)
		written = snprintf(ret_folder, PATH_MAX, "%.*s", (int)n, path);
	else
		written = snprintf(ret_folder, PATH_MAX, "%s", slash ? "/" : ".");
	return written < 0 || written >= PATH_MAX ? ERR_LIMIT : ERR_OK;
}

enum err durable_folder_of(const char *path)
{
	char folder[PATH_MAX];
	enum err e = folder_of(path, folder);
	int fd;

	if (e)
		return e;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ERR_IO;
	if (fsync(fd))
		e = errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO;
	close(fd);
	return e;
}
