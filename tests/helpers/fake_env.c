/* struct env for tests. */
#include "tests/helpers/fake_env.h"

#include <string.h>
#include <sys/random.h>

static struct fake_env *fake_of(const struct env *env)
{
	return env->arg;
}

static int64_t fake_now(const struct env *env)
{
	return atomic_load(&fake_of(env)->now);
}

static int64_t fake_monotonic(const struct env *env)
{
	return atomic_load(&fake_of(env)->micros);
}

/* splitmix64: any two positions of the stream look unrelated, which is all a test needs. */
static uint64_t stream(uint64_t position)
{
	uint64_t z = (position + 1) * 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static enum err fake_random(const struct env *env, void *p, size_t n)
{
	struct fake_env *f = fake_of(env);

	if (atomic_load(&f->no_random))
		return ERR_CRYPTO;
	if (atomic_load(&f->real_random))
		return getrandom(p, n, 0) == (ssize_t)n ? ERR_OK : ERR_CRYPTO;
	for (size_t at = 0; at < n; at += sizeof(uint64_t)) {
		uint64_t word = stream(atomic_fetch_add(&f->drawn, 1));

		memcpy((char *)p + at, &word, n - at < sizeof(word) ? n - at : sizeof(word));
	}
	return ERR_OK;
}

void fake_env_init(struct fake_env *f, int64_t now)
{
	*f = (struct fake_env){
		.env = { .now = fake_now,
			 .monotonic = fake_monotonic,
			 .random = fake_random,
			 .hash_memory = 64 << 10,
			 .hash_passes = 1,
			 .arg = f },
		.now = now,
		.micros = 1000000,
	};
}

void fake_env_advance(struct fake_env *f, int64_t seconds)
{
	atomic_fetch_add(&f->now, seconds);
	atomic_fetch_add(&f->micros, seconds * 1000000);
}
