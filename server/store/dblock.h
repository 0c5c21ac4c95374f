/* One server owns a database. The lock is the kernel's: it goes with the process, however that
 * ends, and nobody has to clean up after a crash. Taken in the process that opens the database,
 * after the fork (POSIX locks are not inherited). */
#ifndef CHANCERY_SERVER_DBLOCK_H
#define CHANCERY_SERVER_DBLOCK_H

#include <sys/types.h>

#include "base/err.h"

/* Makes the file (0600) if need be and writes our pid into it. ERR_BUSY: another process holds it,
 * *ret_holder is its pid (0 if it cannot be told). ERR_IO. The descriptor is the lock: keep it, and
 * open the file nowhere else in this process, because closing any descriptor of it would drop the
 * lock. */
MUST_CHECK enum err dblock_take(const char *path, int *ret_fd, pid_t *ret_holder);
/* Accepts -1. */
void dblock_drop(int fd);

#endif
