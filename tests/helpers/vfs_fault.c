/* A failing disk. SQLite's tables of functions carry no argument of ours into the allocator, and
 * the VFS must outlive every connection, hence the one static struct. */
#include "tests/helpers/vfs_fault.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

struct point {
	_Atomic int passed;
	_Atomic int nth; /* 0: not armed */
	_Atomic int failure;
	_Atomic bool forever;
};

static struct {
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
	sqlite3_mem_methods heap;
	struct point points[VFS_POINT_COUNT];
} fault;

struct file {
	sqlite3_file base;
	sqlite3_file *real; /* stored behind this struct */
};

static enum vfs_failure pass(enum vfs_point at)
{
	struct point *p = &fault.points[at];
	int passed = atomic_fetch_add(&p->passed, 1) + 1;
	int nth = atomic_load(&p->nth);

	if (nth == 0 || passed < nth || (passed > nth && !atomic_load(&p->forever)))
		return VFS_PASS;
	if (atomic_load(&p->failure) == VFS_KILL)
		kill(getpid(), SIGKILL);
	return (enum vfs_failure)atomic_load(&p->failure);
}

void vfs_fault_arm(enum vfs_point point, int nth, enum vfs_failure failure, bool forever)
{
	struct point *p = &fault.points[point];

	atomic_store(&p->nth, 0);
	atomic_store(&p->passed, 0);
	atomic_store(&p->failure, failure);
	atomic_store(&p->forever, forever);
	atomic_store(&p->nth, nth);
}

void vfs_fault_disarm(void)
{
	for (int i = 0; i < VFS_POINT_COUNT; i++)
		atomic_store(&fault.points[i].nth, 0);
}

int vfs_fault_passed(enum vfs_point point)
{
	return atomic_load(&fault.points[point].passed);
}

static sqlite3_file *real(sqlite3_file *f)
{
	return ((struct file *)f)->real;
}

/* ---- the two calls that fail ---- */

static int fault_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	switch (pass(VFS_WRITE)) {
	case VFS_PASS:
		return real(f)->pMethods->xWrite(real(f), p, n, at);
	case VFS_FULL:
		return SQLITE_FULL;
	case VFS_NOMEM:
		return SQLITE_IOERR_NOMEM;
	case VFS_IO:
	case VFS_FSYNC:
	case VFS_KILL:
		break;
	}
	return SQLITE_IOERR_WRITE;
}

static int fault_sync(sqlite3_file *f, int flags)
{
	if (pass(VFS_SYNC) != VFS_PASS)
		return SQLITE_IOERR_FSYNC;
	return real(f)->pMethods->xSync(real(f), flags);
}

/* ---- the others pass through ---- */

static int fault_close(sqlite3_file *f)
{
	return real(f)->pMethods->xClose(real(f));
}

static int fault_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return real(f)->pMethods->xRead(real(f), p, n, at);
}

static int fault_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return real(f)->pMethods->xTruncate(real(f), size);
}

static int fault_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return real(f)->pMethods->xFileSize(real(f), size);
}

static int fault_lock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xLock(real(f), level);
}

static int fault_unlock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xUnlock(real(f), level);
}

static int fault_reserved(sqlite3_file *f, int *held)
{
	return real(f)->pMethods->xCheckReservedLock(real(f), held);
}

static int fault_control(sqlite3_file *f, int op, void *arg)
{
	return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int fault_sector(sqlite3_file *f)
{
	return real(f)->pMethods->xSectorSize(real(f));
}

static int fault_device(sqlite3_file *f)
{
	return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int fault_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **p)
{
	return real(f)->pMethods->xShmMap(real(f), page, size, extend, p);
}

static int fault_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}

static void fault_shm_barrier(sqlite3_file *f)
{
	real(f)->pMethods->xShmBarrier(real(f));
}

static int fault_shm_unmap(sqlite3_file *f, int remove)
{
	return real(f)->pMethods->xShmUnmap(real(f), remove);
}

/* Version 2: with shared memory for the WAL, without memory-mapped pages. */
static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = fault_close,
	.xRead = fault_read,
	.xWrite = fault_write,
	.xTruncate = fault_truncate,
	.xSync = fault_sync,
	.xFileSize = fault_size,
	.xLock = fault_lock,
	.xUnlock = fault_unlock,
	.xCheckReservedLock = fault_reserved,
	.xFileControl = fault_control,
	.xSectorSize = fault_sector,
	.xDeviceCharacteristics = fault_device,
	.xShmMap = fault_shm_map,
	.xShmLock = fault_shm_lock,
	.xShmBarrier = fault_shm_barrier,
	.xShmUnmap = fault_shm_unmap,
};

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
	struct file *file = (struct file *)f;
	int rc;

	(void)vfs;
	file->real = (sqlite3_file *)(file + 1);
	rc = fault.real->xOpen(fault.real, name, file->real, flags, out);
	file->base.pMethods = rc == SQLITE_OK ? &methods : NULL;
	return rc;
}

static void *fault_malloc(int n)
{
	return pass(VFS_ALLOC) == VFS_PASS ? fault.heap.xMalloc(n) : NULL;
}

static void *fault_realloc(void *p, int n)
{
	return pass(VFS_ALLOC) == VFS_PASS ? fault.heap.xRealloc(p, n) : NULL;
}

static void install_heap(void)
{
	sqlite3_mem_methods heap;

	sqlite3_config(SQLITE_CONFIG_GETMALLOC, &fault.heap);
	heap = fault.heap;
	heap.xMalloc = fault_malloc;
	heap.xRealloc = fault_realloc;
	sqlite3_config(SQLITE_CONFIG_MALLOC, &heap);
}

void vfs_fault_install(void)
{
	sqlite3_shutdown();
	install_heap();
	if (sqlite3_initialize() != SQLITE_OK)
		abort();
	fault.real = sqlite3_vfs_find(NULL);
	fault.vfs = *fault.real; /* all that is not a file works on the real one's own terms */
	fault.vfs.pNext = NULL;
	fault.vfs.zName = "fault";
	fault.vfs.szOsFile += (int)sizeof(struct file);
	fault.vfs.xOpen = fault_open;
	if (sqlite3_vfs_register(&fault.vfs, 1) != SQLITE_OK)
		abort();
}
