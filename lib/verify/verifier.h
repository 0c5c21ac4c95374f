/* A verifier from within. */
#ifndef CHANCERY_VERIFY_VERIFIER_H
#define CHANCERY_VERIFY_VERIFIER_H

#include "chancery.h"
#include "jose/jwe.h"
#include "jose/jwt.h"
#include "verify/document.h"
#include "verify/feed.h"

/* Of the heap, wiped. */
struct shared_secret {
	char *p;
	size_t n;
};

struct chancery {
	struct source source;
	struct document keys;
	struct document feed_keys, feed; /* when has_feed */
	struct feed_terms terms;

	char *issuer, *audience;
	unsigned algorithms;
	int64_t skew;
	int64_t keys_max_staleness;
	bool has_feed;
	int64_t feed_max_staleness;
	bool deferred;
	struct shared_secret secrets[2]; /* HS256; the first has n 0: public keys */
	struct jwe_key *private_key;	 /* NULL: tokens are not encrypted */
	chancery_proof proof;
	int64_t (*now)(void *arg);
	void *now_arg;
};

struct chancery_claims {
	struct jwt jwt;
	size_t text_len;
	char text[]; /* the payload, and a NUL */
};

/* Is the token signed with one of the verifier's secrets? */
bool verifier_shares(const struct chancery *v, const struct jws *jws);
/* The set to judge by, or NULL when there is none that is fresh enough. Fetches unless deferred.
 * shared_unref. */
struct shared *verifier_keys(struct chancery *v, struct moment now);
/* The same of the revocations. */
struct shared *verifier_feed(struct chancery *v, struct moment now);
/* A key was not found. ASKED_DONE: it is worth looking again; ASKED_BUSY: the issuer is being
 * asked, or will be by chancery_tend(); ASKED_NOTHING: it was asked not long ago. */
enum asked verifier_missed(struct chancery *v, struct moment now);

static inline bool verifier_is_shared(const struct chancery *v)
{
	return v->secrets[0].n > 0;
}

static inline struct moment verifier_now(const struct chancery *v)
{
	return clock_read(v->now, v->now_arg);
}

#endif
