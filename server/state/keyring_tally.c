/* How many tokens of each key are out: what an emergency asks first. Counted where tokens are
 * issued, in one minute of expiry each, so that what has expired needs no counting back.
 *
 * A slot is one 64-bit word, the minute above and the count below: whoever counts in a new minute
 * takes the slot over from an old one in one compare-and-swap, from any thread. */
#include <stdlib.h>

#include "server/state/keyring_priv.h"

enum {
	TALLY_MINUTES = ACCESS_TTL_MAX / 60 +
			2, /* every minute in which a living token can expire */
	TALLIES_MAX = 2 *
		      JWKS_KEYS_MAX, /* keys that have left are still looked at by old requests */
};

struct key_tally {
	char kid[KID_MAX + 1];
	bool used; /* by the view that was attached last */
	_Atomic uint64_t slots[TALLY_MINUTES];
};

struct key_tallies {
	struct key_tally of[TALLIES_MAX];
};

/* Zeroed by the kernel page by page: what is never counted in costs nothing. */
enum err key_tallies_new(struct key_tallies **ret_tallies)
{
	struct key_tallies *t = calloc(1, sizeof(*t));

	if (!t)
		return ERR_NOMEM;
	*ret_tallies = t;
	return ERR_OK;
}

void key_tallies_free(struct key_tallies *t)
{
	free(t);
}

static struct key_tally *tally_named(struct key_tallies *t, const char *kid)
{
	for (size_t i = 0; i < TALLIES_MAX; i++) {
		if (strcmp(t->of[i].kid, kid) == 0)
			return &t->of[i];
	}
	return NULL;
}

static struct key_tally *tally_take_over(struct key_tallies *t, const char *kid)
{
	for (size_t i = 0; i < TALLIES_MAX; i++) {
		struct key_tally *tally = &t->of[i];

		if (tally->used)
			continue;
		memcpy(tally->kid, kid, strlen(kid) + 1);
		for (size_t m = 0; m < TALLY_MINUTES; m++)
			atomic_store_explicit(&tally->slots[m], 0, memory_order_relaxed);
		return tally;
	}
	return NULL;
}

static void attach(struct key_tallies *t, struct keyring_key *key)
{
	key->tally = tally_named(t, key->info.kid);
	if (!key->tally)
		key->tally = tally_take_over(t, key->info.kid);
	if (key->tally)
		key->tally->used = true;
}

/* First those that have one, so that none of theirs is taken over. */
void key_tallies_attach(struct key_tallies *t, struct keyring_view *v)
{
	for (size_t i = 0; i < TALLIES_MAX; i++)
		t->of[i].used = false;
	for (size_t i = 0; i < v->count; i++) {
		struct key_tally *tally = tally_named(t, v->keys[i].info.kid);

		if (tally && v->keys[i].public_key)
			tally->used = true;
	}
	for (size_t i = 0; i < v->count; i++) {
		if (v->keys[i].public_key)
			attach(t, &v->keys[i]);
	}
}

static struct key_tally *tally_of(const struct keyring_view *v, struct str kid)
{
	for (size_t i = 0; i < v->count; i++) {
		if (str_equal_z(kid, v->keys[i].info.kid))
			return v->keys[i].tally;
	}
	return NULL;
}

void keyring_count_token(const struct keyring_view *v, struct str kid, int64_t exp)
{
	struct key_tally *tally = tally_of(v, kid);
	uint64_t minute = (uint64_t)exp / 60, seen, next;
	_Atomic uint64_t *slot;

	if (!tally)
		return;
	slot = &tally->slots[minute % TALLY_MINUTES];
	seen = atomic_load_explicit(slot, memory_order_relaxed);
	do {
		if (seen >> 32 == minute)
			next = seen + 1;
		else
			next = minute << 32 | 1;
	} while (!atomic_compare_exchange_weak_explicit(slot, &seen, next, memory_order_relaxed,
							memory_order_relaxed));
}

int64_t keyring_outstanding(const struct keyring_view *v, struct str kid, int64_t now)
{
	struct key_tally *tally = tally_of(v, kid);
	int64_t sum = 0;

	for (size_t m = 0; tally && m < TALLY_MINUTES; m++) {
		uint64_t slot = atomic_load_explicit(&tally->slots[m], memory_order_relaxed);

		if ((int64_t)(slot >> 32) >= now / 60)
			sum += (int64_t)(slot & UINT32_MAX);
	}
	return sum;
}

int64_t keyring_latest(const struct keyring_view *v, struct str kid)
{
	struct key_tally *tally = tally_of(v, kid);
	uint64_t latest = 0;

	for (size_t m = 0; tally && m < TALLY_MINUTES; m++) {
		uint64_t slot = atomic_load_explicit(&tally->slots[m], memory_order_relaxed);

		if (slot && (slot >> 32) + 1 > latest)
			latest = (slot >> 32) + 1;
	}
	return (int64_t)latest * 60;
}
