/* Memory that lives as long as one request (or one parse) and goes at once.
 *
 * Allocation never frees singly. An arena has a hard limit; past it, or when malloc fails, it
 * returns NULL and remembers: arena_failed() stays true until arena_reset. Memory is zeroed when
 * handed out and wiped when the arena is reset or freed, because requests carry passwords and
 * tokens. */
#ifndef CHANCERY_BASE_ARENA_H
#define CHANCERY_BASE_ARENA_H

#include "base/auto.h"
#include "base/err.h"
#include "base/str.h"

struct arena;

/* `limit` bytes in all, rounded up to the first block (4 KiB). Caller frees. */
MUST_CHECK enum err arena_new(size_t limit, struct arena **ret_arena);
void arena_free(struct arena *a);
AUTO_DEFINE(arena)
/* Wipes and keeps the first block for the next request. */
void arena_reset(struct arena *a);

/* Zeroed, aligned for any type; NULL on limit or no memory. n == 0 gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t n);
#define arena_new_of(a, type) ((type *)arena_alloc((a), sizeof(type)))
/* n objects of `size`; NULL also when n * size overflows. */
void *arena_array(struct arena *a, size_t n, size_t size);
/* A NUL-terminated copy. p is NULL on failure; STR_NONE copies to STR_NONE. */
struct str arena_str(struct arena *a, struct str s);
const char *arena_z(struct arena *a, struct str s);

bool arena_failed(const struct arena *a);
size_t arena_used(const struct arena *a);

#endif
