/* The revocation feed as text: signed when somebody asks and the list has moved on, kept, and
 * shared by all who ask until it moves on again. However many ask, a view costs a signature a
 * second for the whole list and one for each of the last FEED_CURSORS cursors, and none while
 * nothing changes but every FEED_RENEW seconds. */
#ifndef CHANCERY_SERVER_FEED_H
#define CHANCERY_SERVER_FEED_H

#include "keys/signer.h"
#include "server/state/env.h"
#include "server/state/kept_text.h"
#include "server/store/feed_list.h"

#define FEED_TYPE "application/jwt"

enum {
	FEED_LIFETIME = REVOCATIONS_TTL_MAX, /* exp - iat */
	FEED_RENEW = FEED_LIFETIME / 2,	     /* what is served lives as long again at least */
	FEED_CURSORS = 32,		     /* older ones get the whole list */
	FEED_PAUSE_US = 1000000,	     /* a text may be this old when the list has moved on */
	FEED_SIZE_MAX = 32 << 20,	     /* the longest list with the longest names */
};

struct feed;
/* Makes the epochs: cursors of an earlier process mean nothing here. ERR_NOMEM, ERR_CRYPTO. */
MUST_CHECK enum err feed_new(const struct env *env, struct feed **ret_feed);
void feed_free(struct feed *f);
/* A signing channel of the feed's own; taken, and the old one closed. Waits for what is being
 * signed. */
void feed_set_signer(struct feed *f, int fd);

struct feed_ask {
	enum feed_view view;
	struct feed_list *list; /* of this view */
	struct str issuer;
	struct str since; /* a cursor; absent or unknown: the whole list */
	int64_t now;
};
/* What is kept, if it will do; the caller unrefs. ERR_BUSY: it must be made. */
MUST_CHECK enum err feed_find(struct feed *f, const struct feed_ask *ask,
			      struct kept_text **ret_text);
/* Makes it, unless somebody has meanwhile: up to some hundred milliseconds for the longest list, so
 * not on a worker's loop. Without a signer the text of an unchanged list is good until it expires.
 * ERR_UNAVAILABLE, ERR_NOMEM, ERR_LIMIT. */
MUST_CHECK enum err feed_make(struct feed *f, const struct feed_ask *ask,
			      struct kept_text **ret_text);

struct feed_signatures {
	uint64_t made, failed;
};
void feed_signatures(struct feed *f, struct feed_signatures *ret_signatures);

#endif
