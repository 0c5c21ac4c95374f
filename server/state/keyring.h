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
struct key_tally;

struct keyring_key {
	struct key_info info;
	struct jwk *public_key;	 /* NULL for removed and revoked */
	struct str public_jwk;	 /* its text, for all */
	struct str sealed;	 /* for the signer, nobody else can open it; empty once retiring */
	struct key_tally *tally; /* what was issued under it; NULL: not published */
};

/* A document of keys/jwks.h, made with the view. */
struct jwks_document {
	struct str text; /* absent: no key of this kind is published */
	char etags[JWKS_TYPES][ETAG_LEN + 1];
};

struct keyring_view {
	_Atomic unsigned refs;
	struct keyring_key *keys; /* all that the database holds */
	struct key_info *infos;	  /* the same keys' infos, for keys/plan.h */
	size_t count;
	struct jwks_document documents[JWKS_KINDS];
	uint64_t standby[ALG_COUNT]; /* kid_mark of each algorithm's standby; 0: there is none */
	int64_t next_change; /* of the published set, as planned when the view was made; INT64_MAX
			      */
	struct arena *arena;
};
void keyring_view_unref(struct keyring_view *v);
/* A kid as a number that is not 0: to compare kids of ours, not to keep strangers out. */
uint64_t kid_mark(struct str kid);
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

/* Who keeps the master key (server/serve/broker.h). prepare: the next one is ready and the signer
 * holds it, too (ERR_NOT_FOUND: the operator has not put it there). commit: everything is sealed
 * under it. NULL functions: the master key cannot change (command line, tests). */
struct keyring_custody {
	enum err (*prepare)(void *arg);
	enum err (*commit)(void *arg);
	void *arg;
};

/* What a keyring works with. It all stays the caller's and outlives the keyring. */
struct keyring_means {
	const struct env *env;
	const struct config *config; /* only during the call */
	struct keyring_store store;
	struct signer_channel *control;
	struct keyring_custody custody;
	const char *revoked_kids; /* path (revoked_kids.h); NULL: none is kept */
};

/* Opens what the database holds in the signer: root, policy, keys; makes root and first keys when
 * there are none and `make` is set (init, dev): published "long ago", so that they are ready.
 * Without them and without `make`: ERR_NOT_FOUND. ERR_CORRUPT: a root without any key or keys
 * without a root; neither is ever made anew beside the other. Where every key of earlier roots was
 * revoked (keyring_revoke_all), the newest root gets its first keys here. A kid in the file of
 * revoked kids is revoked if the database says otherwise, and the default algorithm gets a key that
 * signs if a revocation left it without. ERR_BAD_SIGNATURE: another master key sealed them.
 * ERR_NOT_READY: the default algorithm has no active key (one that was added to keys.algs first
 * waits to be published). An algorithm without keys gets them from keyring_tend. */
MUST_CHECK enum err keyring_open(const struct keyring_means *means, bool make,
				 struct keyring **ret_keyring);
void keyring_free(struct keyring *k);
/* A new signer is there: loads it anew. Takes the descriptor out of `fresh` and puts it in place of
 * the old one, which it closes, between two acts: nobody else may touch the control channel while
 * others may act. (`fresh` may also be the keyring's own channel, already renewed, when nobody
 * acts.) When loading fails keyring_tend tries again. */
MUST_CHECK enum err keyring_reload_signer(struct keyring *k, struct signer_channel *fresh);
MUST_CHECK enum err keyring_derive(struct keyring *k, const char *label, struct secret *ret_key);
/* The same of the root of this version. ERR_NOT_FOUND: the signer does not hold it. */
MUST_CHECK enum err keyring_derive_at(struct keyring *k, int64_t version, const char *label,
				      struct secret *ret_key);

/* The version of the root that secrets are derived from: 1 to 255. It changes with the process only
 * (keyring_revoke_all). */
uint8_t keyring_key_id(const struct keyring *k);

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
/* The wall clock as somebody has just judged it (clockwatch.h). From here on the keyring's time
 * goes on by the monotonic clock until the next judgement, so that a jump that nobody has seen yet,
 * while a key is being made, say, dates and removes nothing. A keyring that is told nothing asks
 * the wall clock. */
void keyring_set_time(struct keyring *k, int64_t wall);
/* Why an algorithm waits; set by the housekeeper before keyring_tend (keys/plan.h). */
void keyring_set_outlook(struct keyring *k, const struct key_outlook *outlook);
struct key_outlook keyring_outlook(struct keyring *k);

/* ---- emergencies ---- */

struct revoke_result {
	char kid[KID_MAX + 1];
	enum alg alg;
	char signs_now[KID_MAX + 1]; /* of its algorithm; "": none until one is made */
	int64_t outstanding;	     /* tokens under it that have not expired */
	bool exact;	       /* else there may be more: some were issued before this process */
	int64_t latest_expiry; /* no token under it lives longer; 0: it has signed none */
};
/* The key is bad: on the list of revoked kids, out of the database and the set, its private half
 * wiped; the standby signs from the next request, ready or not. ERR_NOT_FOUND; ERR_REUSED: it was
 * revoked before (ret_result is filled). After any other error call again: what was done stays. */
MUST_CHECK enum err keyring_revoke(struct keyring *k, struct str kid, const struct audit_row *audit,
				   struct revoke_result *ret_result);
/* Afterwards, when the set without the bad key is served: makes what is missing, a standby, and a
 * key that signs where none does. An RSA key takes a second or so, in which others act. What fails
 * to be made is made by keyring_tend. `ret` (may be NULL) is told what signs now. */
void keyring_make_good(struct keyring *k, enum alg alg, struct revoke_result *ret);
/* No cache that keeps our promises trusts a key longer that was last served at `served_until`. */
int64_t keyring_cached_until(struct keyring *k, int64_t served_until);
enum { REVOKE_ALL_MAX = JWKS_KEYS_MAX };
/* Custody is in doubt: every key is revoked, a new root sealed under a new master key. From then on
 * nothing is signed and every act is refused with ERR_UNAVAILABLE: the server must start again, and
 * then makes its first keys (keyring_open). After an error call again; what was durable by then is
 * not told again. */
MUST_CHECK enum err keyring_revoke_all(struct keyring *k, const struct audit_row *audit,
				       struct revoke_result ret_results[REVOKE_ALL_MAX],
				       size_t *ret_count);

/* Every key was revoked, perhaps by a commit whose answer was lost: only another start helps. */
bool keyring_is_over(struct keyring *k);

/* ---- custody ---- */

/* Everything is sealed under the next master key, and nothing else changes. ERR_NOT_FOUND: there is
 * no next one; ERR_UNSUPPORTED: not here. *ret_roots: how many roots were sealed. */
MUST_CHECK enum err keyring_rewrap(struct keyring *k, const struct audit_row *audit,
				   size_t *ret_roots);
/* The signer's public key for boxes with private keys (keys/signer.h). */
MUST_CHECK enum err keyring_import_key(struct keyring *k,
				       unsigned char ret_public[SIGNER_IMPORT_KEY_LEN]);
/* As signer_api_secret. */
MUST_CHECK enum err keyring_api_secret(struct keyring *k, struct str uri, char ret_kid[KID_MAX + 1],
				       struct buf *secret, struct buf *sealed);
/* A key of a former server. Retiring: `public_key` verifies until `tokens_until`. Active: the box
 * holds its private half, it signs from the next request, and the key that signed until now
 * retires: its tokens' verifiers know it already. ERR_CONFLICT: the kid is taken; ERR_BUSY: the set
 * is full; ERR_FORBIDDEN: the kid was revoked; ERR_SYNTAX: a kid that is not 1 to KID_MAX visible
 * ASCII characters, or a public key that is none, or not of this kid and algorithm; else as
 * signer_import. */
struct key_import {
	enum alg alg;
	struct str kid;
	enum key_state state;
	struct str public_jwk; /* retiring: JSON text as jwk_export writes it */
	struct str box;	       /* active */
	int64_t tokens_until; /* the last token of the former server expires; 0 with active: none */
	const struct audit_row *audit;
};
MUST_CHECK enum err keyring_import(struct keyring *k, const struct key_import *in);
/* Opens the standby of `alg` in the signer, as the database holds it now, signs with it, and
 * forgets it: will it work when its turn comes? ERR_NOT_FOUND: there is none. */
MUST_CHECK enum err keyring_rehearse(struct keyring *k, enum alg alg);

/* ---- what was issued ---- */

/* A token was signed. Any thread. */
void keyring_count_token(const struct keyring_view *v, struct str kid, int64_t exp);
/* Tokens under this kid that expire after `now`, to the minute. */
int64_t keyring_outstanding(const struct keyring_view *v, struct str kid, int64_t now);
/* The end of the minute in which the last of those counted expires; 0: none was counted. */
int64_t keyring_latest(const struct keyring_view *v, struct str kid);
/* Nobody holds a token of this standby: it has signed nothing. False while it is taking over. */
bool keyring_is_silent(struct keyring *k, struct str kid);

/* What the plan says is due, and what an earlier failure left; and asks the signer for a sign of
 * life. *ret_next: when to come again (wall clock); *ret_changed: there is a new view since the
 * last time, whoever made it: an act by hand that failed at its end may have left one. Both are set
 * on failure too; after one it does nothing for some seconds. ERR_TIMEOUT: the signer hangs, and
 * only another one helps (server/serve/supervisor.h). ERR_UNAVAILABLE: it is gone, and another will
 * come. */
MUST_CHECK enum err keyring_tend(struct keyring *k, int64_t *ret_next, bool *ret_changed);
/* No more than that sign of life, for who wants to know sooner. */
MUST_CHECK enum err keyring_ping(struct keyring *k);
/* Requests see this view from now on: a standby does not sign before every set that was served
 * without it has expired. To be called for each view that is served, by any thread; a keyring that
 * nobody tells goes by its stored times alone. */
void keyring_served(struct keyring *k, const struct keyring_view *v);
/* The longest time a cache may hold a set as fresh, as promised so far. Seconds. */
int64_t keyring_freshness(struct keyring *k);
/* Policy from a reloaded configuration; takes effect with the next keyring_tend. */
void keyring_configure(struct keyring *k, const struct config *config);
/* What caches may be told now about a view (RFC 9111 5.2.2, RFC 5861); 0 for the stale times: leave
 * them out. Never more together than what the stored ready_at of the standby allows; max_age ends
 * at the next planned change and is never below 1. While an emergency has left an algorithm without
 * an active key the next change has no known moment: 1 second, nothing stale. */
struct jwks_promise {
	int64_t max_age, stale_while, stale_if_error;
};
struct jwks_promise keyring_jwks_promise(struct keyring *k, const struct keyring_view *v,
					 int64_t now);
/* What is to come (keys/plan.h). */
size_t keyring_forecast(struct keyring *k, int64_t now, struct key_foreseen *ret_events,
			size_t cap);
/* The first broken rule of keys/plan.h as a sentence in `text`, or that the list of revoked kids
 * lacks one; NULL. Reads that file: not on a worker's loop. */
const char *keyring_lint(struct keyring *k, int64_t now, char *text, size_t size);
struct keyring_counts {
	uint64_t scheduled, manual, emergency, failed;
};
void keyring_counts(struct keyring *k, struct keyring_counts *ret_counts);

#endif
