/* The judge of `chancery gateway`: libchancery and the issuer's published documents, with no
 * database and no secret. One verifier for each audience; what one of them fetches serves all.
 *
 * Workers judge; one other thread tends. A worker remembers what it has verified, for seconds, and
 * forgets all of it whenever the issuer's documents were looked at again: what is revoked is
 * refused as soon as the feed says so, and a token that comes again costs no signature. */
#ifndef CHANCERY_SERVER_SIDECAR_H
#define CHANCERY_SERVER_SIDECAR_H

#include "chancery.h"
#include "server/state/env.h"
#include "server/token/gateway.h"

enum {
	SIDECAR_AUDIENCES_MAX = 32,
	SIDECAR_WORKERS_MAX = 64,
	SIDECAR_SKEW = 5, /* seconds that our clock and the issuer's may differ */
	SIDECAR_TEND_S = 1,
};

struct sidecar_audience {
	const char *uri;
	const char *slug; /* for /gateway/verify/{api}; NULL: none */
};

struct sidecar_options {
	const struct env *env;
	const char *issuer;
	const char *feed;  /* URL; "": the issuer's; NULL: none, nothing is ever revoked here */
	int max_staleness; /* seconds; of the feed */
	const struct sidecar_audience *audiences; /* copied, but for their strings */
	size_t audience_count;
	unsigned workers;
	chancery_fetch fetch; /* used by the tending thread alone */
	void *fetch_arg;
};

struct sidecar;

/* ERR_SYNTAX with a constant sentence in *ret_why; ERR_NOMEM. Strings are borrowed for its life. */
MUST_CHECK enum err sidecar_new(const struct sidecar_options *options, struct sidecar **ret_sidecar,
				const char **ret_why);
void sidecar_free(struct sidecar *s);
AUTO_DEFINE(sidecar)

/* Fetches what is due; blocks as long as that takes. One thread, every SIDECAR_TEND_S. */
void sidecar_tend(struct sidecar *s);
/* Keys, and the feed where there is one, are there and fresh enough to judge by. Any thread. */
bool sidecar_is_ready(const struct sidecar *s);
/* The last thing that went wrong, a constant sentence; NULL: nothing. Tending thread. */
const char *sidecar_trouble(const struct sidecar *s);

#endif
