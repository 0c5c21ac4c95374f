/* Failed passwords per (user, network): after LOGIN_FAILURES_FREE a delay of LOGIN_DELAY_FIRST
 * doubling to LOGIN_DELAY_MAX; forgotten ATTEMPTS_FORGET after the last. An attempt is reserved
 * before hashing, so that parallel guesses cannot outrun the counter (CVE-2024-4629). Networks are
 * /24 and /48: a stranger elsewhere cannot lock the owner out. Counted on the monotonic clock, in a
 * bounded table; the name counts whether or not it exists, ASCII-caseless and trimmed as the store
 * compares it. Thread-safe. */
#ifndef CHANCERY_SERVER_RATELIMIT_H
#define CHANCERY_SERVER_RATELIMIT_H

#include "base/limits.h"
#include "server/state/env.h"
#include "base/str.h"

enum { ATTEMPTS_FORGET = 86400, NETWORK_LEN = 63 };

/* "192.0.2.0/24", "2001:db8:1::/48" (an IPv4-mapped address counts as IPv4); what is no address (a
 * socket's peer) as it is, cut to NETWORK_LEN. */
void network_of(struct str address, char ret_text[NETWORK_LEN + 1]);

struct attempts;
/* Room for about `max` pairs, rounded to a power of two. */
MUST_CHECK enum err attempts_new(const struct env *env, size_t max, struct attempts **ret_attempts);
void attempts_free(struct attempts *a);
/* Counts one failure in advance. ERR_RATE_LIMITED with the seconds to wait; nothing is then
 * counted. */
MUST_CHECK enum err attempts_reserve(struct attempts *a, struct str user, struct str address,
				     int64_t *ret_wait);
/* The password was right: the pair starts anew. */
void attempts_success(struct attempts *a, struct str user, struct str address);
/* The attempt never reached a verdict (lane full, store away): takes the reservation back. */
void attempts_cancel(struct attempts *a, struct str user, struct str address);
/* `user unlock`: every network. */
void attempts_clear(struct attempts *a, struct str user);

#endif
