/* Argon2id through libsodium, and the memory of operator secrets that passed it.
 *
 * libsodium maps 19 MiB for every hash and unmaps them afterwards; more than half of the time is
 * page faults (14.9 ms with, 6.5 ms in memory that is kept; one core, AVX-512). It takes no memory
 * from its caller. What would save the faults was tried and left: an mmap() of our own, interposed
 * for the whole process, with the present arena in a thread-local variable; and libargon2, which
 * does take memory but has no AVX2 in Debian (17.0 ms in kept memory). Pages that go back to the
 * kernel are at least never found again by anybody.
 *
 * Salts are libsodium's own, from getrandom(2): it offers no string form for a given salt. */
#include "server/state/password.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/secret.h"

_Static_assert(PASSWORD_MAX <= crypto_pwhash_argon2id_PASSWD_MAX, "a password always fits");

static enum err alike_cost(const struct env *env, struct str password)
{
	static const unsigned char salt[crypto_pwhash_argon2id_SALTBYTES];
	unsigned char out[32];
	int failed;

	failed = crypto_pwhash_argon2id(out, sizeof(out), password.p ? password.p : "", password.n,
					salt, env->hash_passes, env->hash_memory,
					crypto_pwhash_argon2id_ALG_ARGON2ID13);
	wipe(out, sizeof(out));
	return failed ? ERR_NOMEM : ERR_BAD_SIGNATURE;
}

enum err password_hash(const struct env *env, struct arena *a, struct str password,
		       struct str *ret_hash)
{
	char text[crypto_pwhash_argon2id_STRBYTES];

	if (password.n > PASSWORD_MAX)
		return ERR_LIMIT;
	if (crypto_pwhash_argon2id_str(text, password.p ? password.p : "", password.n,
				       env->hash_passes, env->hash_memory))
		return ERR_NOMEM;
	*ret_hash = arena_str(a, str_z(text));
	return ret_hash->p ? ERR_OK : ERR_NOMEM;
}

/* libsodium says -1 for everything and leaves the reason in errno: EINVAL is a password that does
 * not match, ENOMEM is memory; with neither the stored string is not one of Argon2id. */
static enum err verdict(int error)
{
	if (error == EINVAL)
		return ERR_BAD_SIGNATURE;
	return error == ENOMEM ? ERR_NOMEM : ERR_CORRUPT;
}

enum err password_verify(const struct env *env, struct str hash, struct str password,
			 bool *ret_rehash)
{
	char text[crypto_pwhash_argon2id_STRBYTES] = { 0 };
	const char *p = password.p ? password.p : "";

	if (password.n > PASSWORD_MAX)
		return ERR_BAD_SIGNATURE; /* no stored one is as long; says nothing about the user
					   */
	if (hash.n == 0)
		return alike_cost(env, password);
	if (hash.n >= sizeof(text))
		return ERR_CORRUPT;
	memcpy(text, hash.p, hash.n);
	errno = 0;
	if (crypto_pwhash_argon2id_str_verify(text, p, password.n))
		return verdict(errno);
	*ret_rehash = crypto_pwhash_argon2id_str_needs_rehash(text, env->hash_passes,
							      env->hash_memory) != 0;
	return ERR_OK;
}

/* ---- operator secrets that passed ---- */

enum { PROVEN_MAC_LEN = 32, PROVEN_WAYS = 4 };

struct proven {
	unsigned char mac[PROVEN_MAC_LEN];
	bool used;
};

/* Sets of PROVEN_WAYS places; the MAC's first bytes choose the set, so that nobody can aim. */
struct secret_cache {
	struct secret key;
	pthread_mutex_t lock; /* guards places and next_way */
	size_t sets;
	unsigned next_way; /* the place that goes when a set is full */
	struct proven places[];
};

enum err secret_cache_new(const struct env *env, size_t max, struct secret_cache **ret_cache)
{
	const size_t sets = max / PROVEN_WAYS > 0 ? max / PROVEN_WAYS : 1;
	struct secret_cache *c;

	if (max > SIZE_MAX / (2 * sizeof(struct proven)))
		return ERR_LIMIT;
	c = calloc(1, sizeof(*c) + sets * PROVEN_WAYS * sizeof(struct proven));
	if (!c)
		return ERR_NOMEM;
	if (env->random(env, c->key.b, sizeof(c->key.b))) {
		free(c);
		return ERR_CRYPTO;
	}
	c->sets = sets;
	pthread_mutex_init(&c->lock, NULL);
	*ret_cache = c;
	return ERR_OK;
}

void secret_cache_free(struct secret_cache *c)
{
	if (!c)
		return;
	secret_wipe(&c->key);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void proven_mac(const struct secret_cache *c, struct str hash, struct str presented,
		       unsigned char ret_mac[PROVEN_MAC_LEN])
{
	const struct str parts[] = { hash, presented };

	secret_mac(&c->key, parts, 2, ret_mac, PROVEN_MAC_LEN);
}

static struct proven *set_of(struct secret_cache *c, const unsigned char mac[PROVEN_MAC_LEN])
{
	uint64_t n;

	memcpy(&n, mac, sizeof(n));
	return &c->places[n % c->sets * PROVEN_WAYS];
}

static struct proven *find(struct proven *set, const unsigned char mac[PROVEN_MAC_LEN])
{
	for (size_t i = 0; i < PROVEN_WAYS; i++) {
		if (set[i].used && bytes_equal_ct(set[i].mac, mac, PROVEN_MAC_LEN))
			return &set[i];
	}
	return NULL;
}

bool secret_cache_has(struct secret_cache *c, struct str hash, struct str presented)
{
	unsigned char mac[PROVEN_MAC_LEN];
	bool found;

	proven_mac(c, hash, presented, mac);
	pthread_mutex_lock(&c->lock);
	found = find(set_of(c, mac), mac) != NULL;
	pthread_mutex_unlock(&c->lock);
	wipe(mac, sizeof(mac));
	return found;
}

static struct proven *place_for(struct secret_cache *c, struct proven *set)
{
	for (size_t i = 0; i < PROVEN_WAYS; i++) {
		if (!set[i].used)
			return &set[i];
	}
	return &set[c->next_way++ % PROVEN_WAYS];
}

void secret_cache_put(struct secret_cache *c, struct str hash, struct str presented)
{
	unsigned char mac[PROVEN_MAC_LEN];
	struct proven *set;

	proven_mac(c, hash, presented, mac);
	pthread_mutex_lock(&c->lock);
	set = set_of(c, mac);
	if (!find(set, mac)) {
		struct proven *place = place_for(c, set);

		memcpy(place->mac, mac, sizeof(mac));
		place->used = true;
	}
	pthread_mutex_unlock(&c->lock);
	wipe(mac, sizeof(mac));
}
