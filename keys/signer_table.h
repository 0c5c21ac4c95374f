/* The keys the signer holds, and what a token must satisfy to be signed by one. Shared by the
 * control thread, which changes it, and the signing threads, which ask it once per token. */
#ifndef CHANCERY_KEYS_SIGNER_TABLE_H
#define CHANCERY_KEYS_SIGNER_TABLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/limits.h"
#include "keys/sign.h"
#include "keys/signer.h"

enum { HELD_MAX = 16, HEADER_TEXT_MAX = 1500 };

struct signer_root;

/* A private key. The table holds one reference and every signature in flight another; the last one
 * out frees it, so that a dropped key is gone with its last signature. */
struct held_key {
	_Atomic unsigned refs;
	char kid[KID_MAX + 1];
	enum alg alg;
	struct signing_key *key;
	const struct signer_root *root; /* what sealed it, and makes its tokens' jti */
	char header[HEADER_TEXT_MAX];	/* base64url of the JOSE header */
	size_t header_len;
	int64_t exp_bound; /* guarded by the table's lock */
	_Atomic int64_t last_exp;
	struct sign_ctx *ctx[SIGNER_CHANNELS_MAX]; /* the i-th is the i-th signing thread's own */
};

/* What a key is for: all that it signs says so in the header's typ (RFC 8725 3.11). */
struct held_use {
	const char *typ;
	int64_t exp_bound;
};
/* Takes `key`, also when it fails. `root` outlives it. */
MUST_CHECK enum err held_key_new(struct str kid, struct signing_key *key,
				 const struct signer_root *root, const struct held_use *use,
				 struct held_key **ret_held);
void held_key_unref(struct held_key *k);

struct key_table {
	pthread_rwlock_t lock; /* guards what follows; held for a few lines */
	struct held_key *held[HELD_MAX];
	struct held_key *active[ALG_COUNT]; /* borrowed from held */
	char issuer[URI_MAX + 1];	    /* "": any that is told first */
	int64_t longest_ttl;		    /* 0: no policy yet, nothing is signed */
	int64_t ttl_limit;		    /* what a policy may say at the most; never changes */
	uint32_t max_rate;		    /* tokens a second; 0: any */
	/* the second (upper half) and how many it has had; not guarded */
	_Atomic uint64_t spent;
};

/* As struct signer_lines. ERR_NOMEM, ERR_LIMIT. */
MUST_CHECK enum err table_init(struct key_table *t, const char *issuer, int64_t longest_ttl);
void table_done(struct key_table *t);

/* As signer_policy. */
MUST_CHECK enum err table_policy(struct key_table *t, struct str issuer, int64_t longest_ttl,
				 uint32_t max_rate);
bool table_holds_keys(struct key_table *t);
/* Takes the reference, also when it fails. As signer_load. */
MUST_CHECK enum err table_load(struct key_table *t, struct held_key *k, bool active);
MUST_CHECK enum err table_activate(struct key_table *t, struct str kid, int64_t exp_bound,
				   int64_t *ret_last_exp);
MUST_CHECK enum err table_bound(struct key_table *t, struct str kid, int64_t exp_bound);
MUST_CHECK enum err table_drop(struct key_table *t, struct str kid);

/* What a token says of itself, and when it is asked for. */
struct token_claim {
	enum alg alg;
	struct str iss;
	int64_t iat, exp;
	int64_t now;
};

/* Against our own clock: a server with a wrong one, or in a stranger's hands, must not stock up
 * tokens of next year. Afterwards iat is sane and exp - iat cannot overflow. */
bool claim_times_hold(const struct token_claim *claim);
/* Is this our issuer? For what is signed by other keys than the table's. ERR_UNAVAILABLE: no policy
 * yet; ERR_INTERNAL: no. */
MUST_CHECK enum err table_check_issuer(struct key_table *t, struct str iss);
/* May a token with these claims be signed by a key that is not the table's? Counts for the rate. As
 * table_admit. */
MUST_CHECK enum err table_admit_other(struct key_table *t, const struct token_claim *claim);
/* May a token with these claims be signed, and by which key: one look under one lock, in which the
 * key's last_exp is raised too, so that a switch that follows reports it. The caller unrefs.
 * ERR_UNAVAILABLE, ERR_INTERNAL as signer_sign. */
MUST_CHECK enum err table_admit(struct key_table *t, const struct token_claim *claim,
				struct held_key **ret_key);

#endif
