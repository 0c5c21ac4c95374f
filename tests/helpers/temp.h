/* A folder of a test's own, where TMPDIR says: most tests want files, not a disk's patience. */
#ifndef CHANCERY_TESTS_TEMP_H
#define CHANCERY_TESTS_TEMP_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static inline void temp_folder(char *ret_path, size_t size, const char *name)
{
	const char *root = getenv("TMPDIR");
	const int n = snprintf(ret_path, size, "%s/chancery-%s-XXXXXX",
			       root && *root ? root : "/tmp", name);

	ck_assert_int_lt(n, (int)size);
	ck_assert_ptr_nonnull(mkdtemp(ret_path));
}

#endif
