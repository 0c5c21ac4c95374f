/* See mem_fail.h. The linker gives our calls the names __wrap_..., and libc's functions __real_...
 */
#include "tests/helpers/mem_fail.h"

#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/crypto.h>

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker chose these names */
void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t n);

static atomic_size_t seen;
static atomic_size_t fail_at;
static atomic_bool fail_forever;

static bool fails_now(void)
{
	size_t n = atomic_fetch_add(&seen, 1) + 1;
	size_t at = atomic_load(&fail_at);

	return at != 0 && (n == at || (n > at && atomic_load(&fail_forever)));
}

void *__wrap_malloc(size_t n)
{
	return fails_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails_now() ? NULL : __real_realloc(p, n);
}
/* NOLINTEND(bugprone-reserved-identifier) */

static void *openssl_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return n ? __wrap_malloc(n) : NULL;
}

static void *openssl_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return __wrap_realloc(p, n);
}

static void openssl_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

void mem_fail_libraries(void)
{
	if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1)
		abort();
}

void mem_fail_arm(size_t n, bool forever)
{
	atomic_store(&fail_at, 0);
	atomic_store(&seen, 0);
	atomic_store(&fail_forever, forever);
	atomic_store(&fail_at, n);
}

size_t mem_fail_count(void)
{
	return atomic_load(&seen);
}
