/* Keys by purpose and period; see the header. */
#include "keys/purpose.h"

#include <stdio.h>

#include "base/json.h"
#include "keys/signer_process.h"

#define SEEDS_LABEL "purpose-keys"

static const struct purpose_rule rules[PURPOSE_COUNT] = {
	[PURPOSE_REVOCATIONS] = { .name = "revocations",
				  .typ = "revocations+jwt",
				  .ttl_max = REVOCATIONS_TTL_MAX,
				  .strings = { "iss", "epoch", "cursor" },
				  .list = true },
	[PURPOSE_IDENTITY] = { .name = "identity",
			       .typ = "identity+jwt",
			       .ttl_max = IDENTITY_TTL_MAX,
			       .strings = { "iss", "sub" },
			       .audience_path = "/gateway" },
};

const struct purpose_rule *purpose_rule(unsigned purpose)
{
	return purpose < PURPOSE_COUNT && rules[purpose].name ? &rules[purpose] : NULL;
}

/* ---- deriving ---- */

static enum err derive(const struct signer_root *root, enum purpose purpose, int64_t period,
		       struct signing_key **ret_key)
{
	unsigned char seed[SIGNING_SEED_LEN];
	struct str parts[] = { str_z(rules[purpose].name), STR_NONE };
	char number[24]; /* as text, which all machines write alike */
	struct secret seeds;
	enum err e;

	snprintf(number, sizeof(number), "%lld", (long long)period);
	parts[1] = str_z(number);
	secret_derive(&root->root, SEEDS_LABEL, &seeds);
	secret_mac(&seeds, parts, 2, seed, sizeof(seed));
	e = signing_key_derive(seed, ret_key);
	wipe(seed, sizeof(seed));
	secret_wipe(&seeds);
	return e;
}

/* Its thumbprint is its kid (RFC 7638). */
static enum err derive_public(const struct signer_root *root, enum purpose purpose, int64_t period,
			      struct jwk **ret_key)
{
	AUTO(signing_key, key) = NULL;
	enum err e = derive(root, purpose, period, &key);

	return e ? e : signing_key_public(key, STR_NONE, ret_key);
}

static enum err hold(const struct signer_root *root, enum purpose purpose, int64_t period,
		     struct held_key **ret_held)
{
	const struct held_use use = { .typ = rules[purpose].typ };
	struct signing_key *key;
	AUTO(jwk, public_key) = NULL;
	enum err e = derive(root, purpose, period, &key);

	if (e)
		return e;
	e = signing_key_public(key, STR_NONE, &public_key);
	if (e) {
		signing_key_free(key);
		return e;
	}
	return held_key_new(jwk_kid(public_key), key, root, &use, ret_held);
}

/* ---- holding ---- */

void purpose_keys_init(struct purpose_keys *pk)
{
	*pk = (struct purpose_keys){ .root = NULL };
	pthread_mutex_init(&pk->lock, NULL);
}

static void forget(struct purpose_keys *pk)
{
	for (size_t i = 0; i < PURPOSE_COUNT; i++) {
		held_key_unref(pk->present[i]);
		pk->present[i] = NULL;
	}
}

void purpose_keys_done(struct purpose_keys *pk)
{
	forget(pk);
	pthread_mutex_destroy(&pk->lock);
}

void purpose_keys_root(struct purpose_keys *pk, const struct signer_root *root)
{
	pthread_mutex_lock(&pk->lock);
	if (!pk->root || root->version > pk->root->version) {
		forget(pk);
		pk->root = root;
	}
	pthread_mutex_unlock(&pk->lock);
}

const struct signer_root *purpose_root(struct purpose_keys *pk)
{
	const struct signer_root *root;

	pthread_mutex_lock(&pk->lock);
	root = pk->root; /* written once, before it came here */
	pthread_mutex_unlock(&pk->lock);
	return root;
}

/* The lock is held. */
static enum err turn_over(struct purpose_keys *pk, enum purpose purpose, int64_t period)
{
	struct held_key *fresh;
	enum err e;

	if (!pk->root)
		return ERR_UNAVAILABLE;
	if (pk->present[purpose] && pk->period[purpose] == period)
		return ERR_OK;
	e = hold(pk->root, purpose, period, &fresh);
	if (e)
		return e;
	held_key_unref(pk->present[purpose]);
	pk->present[purpose] = fresh;
	pk->period[purpose] = period;
	return ERR_OK;
}

enum err purpose_key(struct purpose_keys *pk, enum purpose purpose, int64_t now,
		     struct held_key **ret_key)
{
	enum err e;

	pthread_mutex_lock(&pk->lock);
	e = turn_over(pk, purpose, now / PURPOSE_PERIOD);
	if (!e) {
		*ret_key = pk->present[purpose];
		atomic_fetch_add_explicit(&(*ret_key)->refs, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&pk->lock);
	return e;
}

enum err purpose_keys_write(struct purpose_keys *pk, enum purpose purpose, int64_t now,
			    struct buf *out, int64_t *ret_until)
{
	static const int steps[] = { 0, 1, -1 }; /* what signs comes first */
	const int64_t period = now / PURPOSE_PERIOD;
	const struct signer_root *root;
	struct jsonw w;
	enum err e = ERR_OK;

	root = purpose_root(pk);
	if (!root)
		return ERR_UNAVAILABLE;
	jsonw_init(&w, out);
	jsonw_object(&w);
	jsonw_key(&w, "keys");
	jsonw_array(&w);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !e; i++) {
		AUTO(jwk, key) = NULL;

		e = derive_public(root, purpose, period + steps[i], &key);
		if (!e)
			jwk_export(key, &w);
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	*ret_until = (period + 1) * PURPOSE_PERIOD;
	return e ? e : out->err;
}
