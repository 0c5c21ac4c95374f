/* An outside world a test can set: the clock stands still until told otherwise, randomness is a
 * stream that repeats (or the kernel's), a password hash costs next to nothing. Safe from several
 * threads. */
#ifndef CHANCERY_TESTS_FAKE_ENV_H
#define CHANCERY_TESTS_FAKE_ENV_H

#include <stdatomic.h>
#include <stdbool.h>

#include "server/state/env.h"

struct fake_env {
	struct env env;	     /* what the code under test gets */
	_Atomic int64_t now; /* Unix seconds */
	_Atomic int64_t micros;
	_Atomic uint64_t drawn; /* 64-bit words of the stream given out */
	_Atomic bool real_random;
	_Atomic bool no_random; /* the kernel gives none: ERR_CRYPTO */
};

/* `f` must stay where it is. A stream of its own for every test: it starts at 0. */
void fake_env_init(struct fake_env *f, int64_t now);
/* Both clocks. */
void fake_env_advance(struct fake_env *f, int64_t seconds);

#endif
