/* Shuts a process in for good: what it may open (landlock), which system calls it may make
 * (seccomp), no new privileges, no core file, no debugger. Before it has threads, for landlock and
 * seccomp are of the thread that asks and those that it makes afterwards.
 *
 *   signer   opens nothing. Any call that is not on its list kills it, and so does executable
 * memory server   opens what `paths` say. It neither connects nor forks; the calls of a debugger,
 * of a loader of programs and of the kernel's odd corners kill it; others that are not on the list
 * do not exist (ENOSYS), so that a C library that tries a newer call falls back fetch    as the
 * server, and may connect
 *
 * Where a process may not open, it may still ask whether a path exists: landlock knows no stat().
 */
#ifndef CHANCERY_KEYS_CONFINE_H
#define CHANCERY_KEYS_CONFINE_H

#include <stddef.h>

#include "base/err.h"

enum confine_role { CONFINE_SIGNER, CONFINE_SERVER, CONFINE_FETCH };

/* What may be done with a file, or with everything under a folder. */
enum confine_may {
	CONFINE_READ = 1,  /* files and lists of them */
	CONFINE_WRITE = 2, /* and write, make, rename and remove files */
};

struct confine_path {
	const char *path; /* one that does not exist is left out */
	unsigned may;
};

/* What took hold; a kernel without landlock (before 5.13, or switched off) or without seccomp gives
 * less, and that is no error. */
enum confine_held { CONFINED_FILES = 1, CONFINED_CALLS = 2, CONFINED_WHOLE = 3 };

/* ERR_IO, ERR_NOMEM: the kernel knows it and refused; do not go on. */
MUST_CHECK enum err confine(enum confine_role role, const struct confine_path *paths, size_t count,
			    unsigned *ret_held);

#endif
