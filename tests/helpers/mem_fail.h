/* An allocator that fails when told to. A program links it with -Wl,--wrap=malloc,--wrap=calloc,
 * --wrap=realloc, which turns the calls of our own objects; mem_fail_libraries() turns those of
 * OpenSSL, which is linked already. Safe from several threads; the count is the process's. */
#ifndef CHANCERY_TESTS_MEM_FAIL_H
#define CHANCERY_TESTS_MEM_FAIL_H

#include <stdbool.h>
#include <stddef.h>

/* Before OpenSSL has allocated anything. */
void mem_fail_libraries(void);
/* The n-th allocation from now on fails (1 is the next one), and with `forever` all after it; 0
 * stops failing. Starts counting again. */
void mem_fail_arm(size_t n, bool forever);
/* Allocations since mem_fail_arm. */
size_t mem_fail_count(void);

#endif
