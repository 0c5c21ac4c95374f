/* The keys behind documents that are no tokens: one P-256 key for each purpose and period, made
 *from the root when it is first asked for. Shared by the control thread, which says what the root
 *is, and the signing threads.
 *
 *	seed  = BLAKE2b-384, keyed with the root's "purpose-keys" key, of (purpose's name, period)
 *	key   = seed as a number, as FIPS 186-5 A.2.1 reduces it
 *	period = the signer's clock / PURPOSE_PERIOD
 *
 * Stored keys would need what tokens' keys have: a table, a plan, promises to caches. These are a
 * function of the root: they are there at every start, nobody can lose them, and a new root makes
 * others. */
#ifndef CHANCERY_KEYS_PURPOSE_H
#define CHANCERY_KEYS_PURPOSE_H

#include <pthread.h>

#include "keys/signer_table.h"

/* What a purpose's documents must be. */
struct purpose_rule {
	const char *name; /* in the derivation: never changes */
	const char *typ;
	int64_t ttl_max;
	const char *strings[4];	   /* claims that must be there, as text that is not empty */
	const char *audience_path; /* `aud` is the issuer followed by this; NULL: there is none */
	bool list;		   /* it has the list of signer_frame.h */
};
/* NULL: there is no such purpose. */
const struct purpose_rule *purpose_rule(unsigned purpose);

struct purpose_keys {
	pthread_mutex_t lock;		/* guards what follows; held while a key is made, 50 us */
	const struct signer_root *root; /* the highest version held; NULL: none yet */
	struct held_key *present[PURPOSE_COUNT];
	int64_t period[PURPOSE_COUNT]; /* of present */
};

void purpose_keys_init(struct purpose_keys *pk);
void purpose_keys_done(struct purpose_keys *pk);
/* A root came; if it is the highest so far, keys are its from now on. It outlives `pk`. */
void purpose_keys_root(struct purpose_keys *pk, const struct signer_root *root);
/* That root, for whoever works with it beside these keys; NULL: none yet. Any thread. */
const struct signer_root *purpose_root(struct purpose_keys *pk);
/* The key that signs at `now`; the caller unrefs. ERR_UNAVAILABLE: no root. */
MUST_CHECK enum err purpose_key(struct purpose_keys *pk, enum purpose purpose, int64_t now,
				struct held_key **ret_key);
/* As signer_purpose_keys. */
MUST_CHECK enum err purpose_keys_write(struct purpose_keys *pk, enum purpose purpose, int64_t now,
				       struct buf *out, int64_t *ret_until);

#endif
