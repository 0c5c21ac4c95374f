/* The keys as the server knows them: public halves, states, the JWKS text; and the acts that change
 * them. Private halves are the signer's (keys/signer.h).
 *
 * A view is immutable and replaced whole. Acts (rotation, raising bounds, removal) are run by one thread,
 * the housekeeper, one at a time; each is one store step through the writer, then the signer, then a new
 * view. A crash between them is made good at the next start, which follows the database. */
#ifndef CHANCERY_SERVER_KEYRING_H
#define CHANCERY_SERVER_KEYRING_H

#include <stdatomic.h>

#include "base/arena.h"
#include "keys/jwks.h"
#include "keys/plan.h"
#include "keys/signer.h"
#include "server/config.h"
#include "server/env.h"
#include "server/lane.h"
#include "server/store.h"

struct keyring;

struct keyring_key {
	struct key_info info;
	struct jwk *public_key; /* NULL for removed and revoked */
};

struct keyring_view {
	_Atomic unsigned refs;
	struct keyring_key *keys; /* all that the database holds */
	size_t count;
	struct str jwks;
	char etag[ETAG_LEN + 1];
	int64_t next_change; /* for max-age */
	struct arena *arena;
};
void keyring_view_unref(struct keyring_view *v);
struct keyring_view *keyring_view_get(struct keyring *k);
/* A key that may verify now: active or retiring (a standby has signed nothing). NULL otherwise. */
const struct keyring_key *keyring_verifier(const struct keyring_view *v, struct str kid);

/* Runs one store step: through the writer in the server, inline in tests and on the command line. */
struct keyring_store {
	enum err (*write)(void *arg, enum err (*run)(struct lane_ctx *, void *), void *run_arg);
	enum err (*read)(void *arg, enum err (*run)(struct lane_ctx *, void *), void *run_arg);
	void *arg;
};

/* Opens what the database holds in the signer behind `control`: root, policy, keys; makes root and first
 * keys when there are none and `make` is set (init, dev): published "long ago", so that they are ready.
 * Without them and without `make`: ERR_NOT_FOUND. */
MUST_CHECK enum err keyring_open(const struct env *env, const struct config *config,
				 const struct keyring_store *store, struct signer_channel *control,
				 bool make, struct keyring **ret_keyring);
void keyring_free(struct keyring *k);
/* A new signer stands behind the control channel: loads it anew. */
MUST_CHECK enum err keyring_reload_signer(struct keyring *k, struct signer_channel *control);
MUST_CHECK enum err keyring_derive(struct keyring *k, const char *label, struct secret *ret_key);

struct rotate_result {
	char kid[KID_MAX + 1];	    /* signs now */
	char retired[KID_MAX + 1];
	int64_t ready_at;	    /* with ERR_NOT_READY */
};
/* By hand. ERR_NOT_READY with ready_at unless `force`; ERR_NOT_FOUND: alg not configured. When it returns
 * ERR_OK the next token carries the new kid. */
MUST_CHECK enum err keyring_rotate(struct keyring *k, enum alg alg, bool force, const struct audit_row *audit,
				   struct rotate_result *ret_result);
/* What the plan says is due. *ret_next: when to come again. Changes the view when something was done. */
MUST_CHECK enum err keyring_tend(struct keyring *k, int64_t *ret_next, bool *ret_changed);
/* Policy from a reloaded configuration. */
void keyring_configure(struct keyring *k, const struct config *config);
/* Cache-Control max-age to promise now. */
int64_t keyring_max_age(struct keyring *k, const struct keyring_view *v, int64_t now);
struct keyring_counts { uint64_t scheduled, manual, failed; };
void keyring_counts(struct keyring *k, struct keyring_counts *ret_counts);

#endif
