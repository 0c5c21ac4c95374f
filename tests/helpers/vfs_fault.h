/* A disk and a heap for SQLite that fail when told: an SQLite VFS over the real one, and an
 * allocator over the real one. The only place in the tests that knows sqlite3.
 *
 * Everything is counted from the moment of arming. Safe from several threads. */
#ifndef CHANCERY_TESTS_VFS_FAULT_H
#define CHANCERY_TESTS_VFS_FAULT_H

#include <stdbool.h>

enum vfs_point { VFS_WRITE, VFS_SYNC, VFS_ALLOC, VFS_POINT_COUNT };

enum vfs_failure {
	VFS_PASS,
	VFS_FULL,  /* no space */
	VFS_IO,	   /* the write or read fails */
	VFS_FSYNC, /* the fsync fails */
	VFS_NOMEM, /* only for VFS_ALLOC, which knows no other */
	VFS_KILL,  /* SIGKILL to this process instead */
};

/* Once per process, before the first database is opened. */
void vfs_fault_install(void);
/* Fails the nth passage (1: the next) of `point`, and with `forever` every one after it. */
void vfs_fault_arm(enum vfs_point point, int nth, enum vfs_failure failure, bool forever);
void vfs_fault_disarm(void);
/* Passages since the point was armed (or since the start). */
int vfs_fault_passed(enum vfs_point point);

#endif
