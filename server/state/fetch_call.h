/* A request to the outside, from the server's side: sent to a fetch child (server/serve/fetch.h),
 * which answers and ends. Nothing here connects to anywhere. One owner, one thread. */
#ifndef CHANCERY_SERVER_FETCH_CALL_H
#define CHANCERY_SERVER_FETCH_CALL_H

#include "base/auto.h"
#include "server/state/fetch_frame.h"

struct fetch;

/* Sends the request; `fd` is taken, also when it fails. Never waits. ERR_SYNTAX: a request that no
 * child takes; ERR_UNAVAILABLE: the child is gone; ERR_NOMEM. Caller frees, which also gives up
 * what is under way. */
MUST_CHECK enum err fetch_start(int fd, const struct fetch_request *request,
				struct fetch **ret_fetch);
void fetch_free(struct fetch *f);
AUTO_DEFINE(fetch)
/* Becomes readable when fetch_poll has news. */
int fetch_fd(const struct fetch *f);
/* Does not wait. ERR_OK once, with parts that live as long as the fetch. ERR_BUSY: not yet.
 * ERR_UNAVAILABLE: the child ended without an answer. ERR_SYNTAX: what it said is none. */
MUST_CHECK enum err fetch_poll(struct fetch *f, struct fetch_answer *ret_answer);
/* The same for threads that may wait. ERR_TIMEOUT in place of ERR_BUSY. */
MUST_CHECK enum err fetch_wait(struct fetch *f, int timeout_ms, struct fetch_answer *ret_answer);

#endif
