/* The keys as the server knows them: public halves, states, the JWKS text; and the acts that change
 * them. Private halves are the signer's (keys/signer.h).
 *
 * A view is immutable and replaced whole. Acts (rotation, raising bounds, removal) run one at a
 * time, whoever calls; each is one store step through the writer, then the signer, then a new view.
 * A crash between them is made good at the next start, a failure by the next keyring_tend: both
 * follow the database. Acts wait for the disk and the signer: never call them on a worker's loop,
 * nor on the writer. They read through the writer too, so that they may be called on the blocking
 * lane. */
#ifndef CHANCERY_SERVER_KEYRING_H
#define CHANCERY_SERVER_KEYRING_H

#include <stdatomic.h>

#include "base/arena.h"
#include "keys/jwks.h"
#include "keys/plan.h"
#include "keys/signer.h"
#include "server/state/config.h"
#include "server/state/env.h"
#include "server/store/lane.h"
#include "server/store/store.h"

enum {
	/* how far ahead exp_bound is raised: a crash keeps a key this much longer, and a write an
	 * hour is the price */
	KEYRING_BOUND_STEP = 3600,
	KEYRING_BOUND_STEP_MIN = 30, /* of periods so short that an hour would be many */
};

struct keyring;

struct keyring_key {
	struct key_info info;
	struct jwk *public_key; /* NULL for removed and revoked */
	struct str sealed;	/* for the signer, nobody else can open it; empty once retiring */
};

struct keyring_view {
	_Atomic unsigned refs;
	struct keyring_key *keys; /* all that the database holds */
	struct key_info *infos;	  /* the same keys' infos, for keys/plan.h */
	size_t count;
	struct str jwks;
	char etag[ETAG_LEN + 1];
	int64_t next_change; /* of the published set, as planned when the view was made; INT64_MAX
			      */
	struct arena *arena;
};
void keyring_view_unref(struct keyring_view *v);
struct keyring_view *keyring_view_get(struct keyring *k);
/* A key that may verify now: active, retiring, or standby. The standby has signed nothing, yet: a
 * view may be a moment older than the switch, and a token of that moment is genuine. NULL
 * otherwise. */
const struct keyring_key *keyring_verifier(const struct keyring_view *v, struct str kid);

/* Runs one store step and waits: through the writer in the server, inline in tests and on the
 * command line. `read` is used by keyring_open only. */
struct keyring_store {
	enum err (*write)(void *arg, enum err (*run)(struct lane_ctx *, void *), void *run_arg);
	enum err (*read)(void *arg, enum err (*run)(struct lane_ctx *, void *), void *run_arg);
	void *arg;
};

/* Opens what the database holds in the signer behind `control`: root, policy, keys; makes root and
 * first keys when there are none and `make` is set (init, dev): published "long ago", so that they
 * are ready. Without them and without `make`: ERR_NOT_FOUND. ERR_CORRUPT: a root without keys or
 * keys without a root; neither is ever made anew beside the other. ERR_BAD_SIGNATURE: another
 * master key sealed them. ERR_NOT_READY: the default algorithm has no active key (one that was
 * added to keys.algs first waits to be published). `control` and what `env` and `store` point to
 * stay the caller's and outlive the keyring. An algorithm without keys gets them from keyring_tend.
 */
MUST_CHECK enum err keyring_open(const struct env *env, const struct config *config,
				 const struct keyring_store *store, struct signer_channel *control,
				 bool make, struct keyring **ret_keyring);
void keyring_free(struct keyring *k);
/* A new signer is there: loads it anew. Takes the descriptor out of `fresh` and puts it in place of
 * the old one, which it closes, between two acts: nobody else may touch the control channel while
 * others may act. (`fresh` may also be the keyring's own channel, already renewed, when nobody
 * acts.) When loading fails keyring_tend tries again. */
MUST_CHECK enum err keyring_reload_signer(struct keyring *k, struct signer_channel *fresh);
MUST_CHECK enum err keyring_derive(struct keyring *k, const char *label, struct secret *ret_key);

struct rotate_result {
	char kid[KID_MAX + 1];	   /* signs now */
	char retired[KID_MAX + 1]; /* "": nothing signed before */
	int64_t ready_at;	   /* with ERR_NOT_READY */
};
/* By hand. ERR_NOT_READY with ready_at unless `force`; ERR_NOT_FOUND: alg not configured; ERR_BUSY:
 * the set is full of retiring keys, wait until some have left. When it returns ERR_OK the next
 * token carries the new kid. `audit` (may be NULL) is written in the same step. */
MUST_CHECK enum err keyring_rotate(struct keyring *k, enum alg alg, bool force,
				   const struct audit_row *audit, struct rotate_result *ret_result);
/* What the plan says is due, and what an earlier failure left; and asks the signer for a sign of
 * life. *ret_next: when to come again (wall clock); *ret_changed: there is a new view. Both are set
 * on failure too; after one it does nothing for some seconds. ERR_TIMEOUT: the signer hangs, and
 * only another one helps (server/serve/supervisor.h). ERR_UNAVAILABLE: it is gone, and another will
 * come. */
MUST_CHECK enum err keyring_tend(struct keyring *k, int64_t *ret_next, bool *ret_changed);
/* Policy from a reloaded configuration; takes effect with the next keyring_tend. */
void keyring_configure(struct keyring *k, const struct config *config);
/* Cache-Control max-age to promise now: never more than what the stored ready_at of the standby
 * allows. */
int64_t keyring_max_age(struct keyring *k, const struct keyring_view *v, int64_t now);
/* The first broken rule of keys/plan.h as a sentence in `text`, or NULL. */
const char *keyring_lint(struct keyring *k, int64_t now, char *text, size_t size);
struct keyring_counts {
	uint64_t scheduled, manual, failed;
};
void keyring_counts(struct keyring *k, struct keyring_counts *ret_counts);

#endif
