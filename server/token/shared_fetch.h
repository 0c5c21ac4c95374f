/* Several verifiers of one issuer want the same documents: in one round each is fetched once, and
 * whoever asks for it again in that round gets the same answer. One thread. */
#ifndef CHANCERY_SERVER_SHARED_FETCH_H
#define CHANCERY_SERVER_SHARED_FETCH_H

#include "base/auto.h"
#include "base/err.h"
#include "chancery.h"

struct shared_fetch;

MUST_CHECK enum err shared_fetch_new(chancery_fetch fetch, void *arg,
				     struct shared_fetch **ret_shared);
void shared_fetch_free(struct shared_fetch *s);
AUTO_DEFINE(shared_fetch)

/* What was fetched is asked for anew from here on. */
void shared_fetch_round(struct shared_fetch *s);
/* A chancery_fetch; `arg` is the struct shared_fetch. */
int shared_fetch_get(void *arg, const struct chancery_request *request,
		     struct chancery_response *response);

#endif
