/* What the outside world gives: time, randomness, the cost of a password hash. Built once in main
 * (or by a test, with its own clock) and passed down; nothing else asks the system for these, but
 * for the log's timestamps, which decide nothing. */
#ifndef CHANCERY_SERVER_ENV_H
#define CHANCERY_SERVER_ENV_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct env {
	/* Unix seconds, the wall clock */
	int64_t (*now)(const struct env *env);
	/* microseconds, never goes back */
	int64_t (*monotonic)(const struct env *env);
	/* ERR_CRYPTO when the kernel gives none; the caller must refuse to go on */
	enum err (*random)(const struct env *env, void *p, size_t n);
	/* Argon2id: bytes and passes (19 MiB, 2; tests 64 KiB, 1) */
	size_t hash_memory;
	unsigned long long hash_passes;
	void *arg; /* the test's */
};

/* The real one. */
void env_system(struct env *ret_env);

/* "2026-11-22T15:54:01Z" (RFC 3339, UTC). Moments outside the years 1970 to 9999 give their nearest
 * end. */
enum { RFC3339_LEN = 20 };
void rfc3339(int64_t seconds, char ret_text[RFC3339_LEN + 1]);

#endif
