/* Slots by the hash's first bytes; a newer token takes a slot over. Nobody can aim at a slot, for
 * the hash has a key, and whoever could would only cost the other a verification. */
#include "server/token/verified.h"

#include <stdlib.h>

enum { TEXTS = 5 };

struct slot {
	unsigned char key[VERIFIED_KEY_LEN];
	uint64_t epoch;
	int64_t until; /* 0: empty */
	struct gateway_identity id;
	char *memory; /* of id's strings */
};

struct verified {
	struct secret key;
	struct slot slots[VERIFIED_MAX];
};

/* The strings of an identity, as one list. */
static void texts_of(struct gateway_identity *id, struct str *ret_texts[TEXTS])
{
	ret_texts[0] = &id->sub;
	ret_texts[1] = &id->client_id;
	ret_texts[2] = &id->scope;
	ret_texts[3] = &id->jti;
	ret_texts[4] = &id->roles;
}

enum err verified_new(const struct secret *key, struct verified **ret_table)
{
	struct verified *t = calloc(1, sizeof(*t));

	if (!t)
		return ERR_NOMEM;
	t->key = *key;
	*ret_table = t;
	return ERR_OK;
}

void verified_free(struct verified *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < VERIFIED_MAX; i++)
		free(t->slots[i].memory);
	secret_wipe(&t->key);
	free(t);
}

void verified_key(const struct verified *t, struct str audience, struct str token,
		  unsigned char ret_key[VERIFIED_KEY_LEN])
{
	const struct str parts[] = { STR("verified"), audience, token };

	secret_mac(&t->key, parts, sizeof(parts) / sizeof(parts[0]), ret_key, VERIFIED_KEY_LEN);
}

static size_t slot_of(const unsigned char key[VERIFIED_KEY_LEN])
{
	return ((size_t)key[0] << 8 | key[1]) % VERIFIED_MAX;
}

bool verified_get(const struct verified *t, const unsigned char key[VERIFIED_KEY_LEN],
		  uint64_t epoch, int64_t now, struct arena *a, struct gateway_identity *ret_id)
{
	const struct slot *s = &t->slots[slot_of(key)];
	struct gateway_identity id = s->id;
	struct str *texts[TEXTS];

	if (s->epoch != epoch || s->until <= now || memcmp(s->key, key, sizeof(s->key)))
		return false;
	texts_of(&id, texts);
	for (size_t i = 0; i < TEXTS; i++)
		*texts[i] = arena_str(a, *texts[i]);
	if (arena_failed(a))
		return false;
	*ret_id = id;
	return true;
}

void verified_put(struct verified *t, const unsigned char key[VERIFIED_KEY_LEN], uint64_t epoch,
		  int64_t until, const struct gateway_identity *id)
{
	struct slot *s = &t->slots[slot_of(key)];
	struct gateway_identity copy = *id;
	struct str *texts[TEXTS];
	size_t size = 1;
	char *at;

	texts_of(&copy, texts);
	for (size_t i = 0; i < TEXTS; i++)
		size += texts[i]->n;
	at = malloc(size);
	if (!at)
		return;
	free(s->memory);
	*s = (struct slot){ .epoch = epoch, .until = until, .memory = at };
	memcpy(s->key, key, sizeof(s->key));
	for (size_t i = 0; i < TEXTS; i++) {
		memcpy(at, texts[i]->p, texts[i]->n);
		texts[i]->p = at;
		at += texts[i]->n;
	}
	s->id = copy;
}
