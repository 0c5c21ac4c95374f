/* The system's clocks and its randomness, behind struct env: the only place that asks for them.
 * Random bytes come from getrandom(2) and nowhere else; a kernel that gives none stops the caller,
 * because a guessable token is worse than no token. */
#include "server/state/env.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/fault.h"

enum {
	SYSTEM_HASH_MEMORY = 19 << 20, /* OWASP's first choice for Argon2id: 19 MiB, 2 passes */
	SYSTEM_HASH_PASSES = 2,
};

static int64_t system_now(const struct env *env)
{
	struct timespec ts;

	(void)env;
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec + FAULT_CLOCK();
}

static int64_t system_monotonic(const struct env *env)
{
	struct timespec ts;

	(void)env;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static enum err system_random(const struct env *env, void *p, size_t n)
{
	unsigned char *at = p;

	(void)env;
	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return ERR_CRYPTO;
		at += got;
		n -= (size_t)got;
	}
	return ERR_OK;
}

void env_system(struct env *ret_env)
{
	*ret_env = (struct env){
		.now = system_now,
		.monotonic = system_monotonic,
		.random = system_random,
		.hash_memory = SYSTEM_HASH_MEMORY,
		.hash_passes = SYSTEM_HASH_PASSES,
	};
}

static void digits(char *at, int value, int width)
{
	for (int i = width - 1; i >= 0; i--, value /= 10)
		at[i] = (char)('0' + value % 10);
}

void rfc3339(int64_t seconds, char ret_text[RFC3339_LEN + 1])
{
	const int64_t last = 253402300799; /* 9999-12-31T23:59:59Z */
	const time_t t = (time_t)(seconds < 0 ? 0 : seconds > last ? last : seconds);
	struct tm tm;

	memcpy(ret_text, "0000-00-00T00:00:00Z", RFC3339_LEN + 1);
	if (!gmtime_r(&t, &tm))
		return;
	digits(ret_text, tm.tm_year + 1900, 4);
	digits(ret_text + 5, tm.tm_mon + 1, 2);
	digits(ret_text + 8, tm.tm_mday, 2);
	digits(ret_text + 11, tm.tm_hour, 2);
	digits(ret_text + 14, tm.tm_min, 2);
	digits(ret_text + 17, tm.tm_sec, 2);
}
