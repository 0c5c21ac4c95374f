/* A bump allocator over a chain of blocks. The first block is part of the arena and survives a
 * reset, so that an ordinary request costs no malloc at all.
 *
 * Every byte that is not handed out is zero: blocks come from calloc and a reset wipes what was
 * used. Handing out is therefore an addition, and wiping costs what the request used, not what it
 * could have. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "base/secret.h"

/* AddressSanitizer is told what is handed out, or it would take a whole block for one object. */
#ifdef __has_feature
#define HAS_ASAN __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#else
#define HAS_ASAN 0
#endif
#if HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { FIRST_BLOCK = 4096, BLOCK_MAX = 65536, ALIGN = alignof(max_align_t) };

struct block {
	struct block *next;
	size_t size;
	size_t used;
	alignas(max_align_t) char bytes[];
};

struct arena {
	size_t limit;	 /* bytes in all blocks, at most */
	size_t reserved; /* bytes in all blocks, now */
	size_t used;	 /* bytes handed out */
	bool failed;
	struct block *now;   /* the block we hand out from; the others are full */
	struct block *first; /* allocated together with the arena */
};

static struct block *block_of(struct arena *a)
{
	return (struct block *)((char *)a + (sizeof(*a) + ALIGN - 1) / ALIGN * ALIGN);
}

enum err arena_new(size_t limit, struct arena **ret_arena)
{
	size_t head = (sizeof(struct arena) + ALIGN - 1) / ALIGN * ALIGN;
	struct arena *a = calloc(1, head + sizeof(struct block) + FIRST_BLOCK);

	if (!a)
		return ERR_NOMEM;
	a->limit = limit < FIRST_BLOCK ? FIRST_BLOCK : limit;
	/* so that rounding up never overflows */
	if (a->limit > SIZE_MAX / 2)
		a->limit = SIZE_MAX / 2;
	a->reserved = FIRST_BLOCK;
	a->first = block_of(a);
	a->first->size = FIRST_BLOCK;
	a->now = a->first;
	ASAN_POISON_MEMORY_REGION(a->first->bytes, FIRST_BLOCK);
	*ret_arena = a;
	return ERR_OK;
}

static void wipe_block(struct block *b)
{
	ASAN_UNPOISON_MEMORY_REGION(b->bytes, b->size);
	wipe(b->bytes, b->used);
}

/* The first block is the last of the chain. */
void arena_reset(struct arena *a)
{
	while (a->now != a->first) {
		struct block *b = a->now;

		a->now = b->next;
		wipe_block(b);
		free(b);
	}
	wipe_block(a->first);
	ASAN_POISON_MEMORY_REGION(a->first->bytes, FIRST_BLOCK);
	a->first->used = 0;
	a->reserved = FIRST_BLOCK;
	a->used = 0;
	a->failed = false;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	arena_reset(a);
	free(a);
}

/* A new block for at least n bytes, doubling, within the limit. What is left of the old one is
 * lost. */
static bool grow(struct arena *a, size_t n)
{
	size_t left = a->limit - a->reserved;
	size_t size = a->now->size < BLOCK_MAX / 2 ? a->now->size * 2 : BLOCK_MAX;
	struct block *b;

	if (n > left)
		return false;
	if (size > left)
		size = left;
	if (size < n)
		size = n;
	b = calloc(1, sizeof(*b) + size);
	if (!b)
		return false;
	ASAN_POISON_MEMORY_REGION(b->bytes, size);
	b->size = size;
	b->next = a->now;
	a->now = b;
	a->reserved += size;
	return true;
}

void *arena_alloc(struct arena *a, size_t n)
{
	struct block *b = a->now;
	size_t take;

	if (n > a->limit) {
		a->failed = true;
		return NULL;
	}
	take = n ? (n + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
	if (take > b->size - b->used) {
		if (!grow(a, take)) {
			a->failed = true;
			return NULL;
		}
		b = a->now;
	}
	b->used += take;
	a->used += take;
	ASAN_UNPOISON_MEMORY_REGION(b->bytes + (b->used - take), n);
	return b->bytes + (b->used - take);
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		a->failed = true;
		return NULL;
	}
	return arena_alloc(a, bytes);
}

struct str arena_str(struct arena *a, struct str s)
{
	char *copy;

	if (!s.p)
		return STR_NONE;
	copy = arena_alloc(a, s.n + 1);
	if (!copy)
		return STR_NONE;
	memcpy(copy, s.p, s.n);
	return str_n(copy, s.n);
}

const char *arena_z(struct arena *a, struct str s)
{
	return arena_str(a, s).p;
}

bool arena_failed(const struct arena *a)
{
	return a->failed;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}
