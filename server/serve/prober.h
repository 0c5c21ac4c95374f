/* Before a standby signs, the housekeeper looks at the published key set as somebody outside gets
 * it (server/state/probe.h), through a fetch child. Only a set that came, and came without a
 * standby that every cache must know by now, holds its activation back; a look that came to nothing
 * is a warning and a count, because it says nothing about what verifiers hold. How long an
 * activation may be held back is the plan's business (keys.wait_max).
 *
 * A standby is looked for from PROBER_LEAD_S before its activation on, until it was seen once.
 * Housekeeper's thread only; nothing here waits. */
#ifndef CHANCERY_SERVER_PROBER_H
#define CHANCERY_SERVER_PROBER_H

#include "server/state/env.h"
#include "server/state/log.h"
#include "server/state/metrics.h"
#include "server/state/probe.h"

enum {
	PROBER_LEAD_S = 60,
	PROBER_REPEAT_S = 30,  /* after a look that did not see it */
	PROBER_PAUSE_S = 10,   /* at least, between any two */
	PROBER_GIVE_UP_S = 15, /* a child lives FETCH_LIFE_S at the most */
};

struct prober_options {
	const struct env *env;
	struct log *log;
	struct metrics_shard *shard; /* of the housekeeper's thread; may be NULL */
	/* Another fetch child: the server's end of its pair. */
	enum err (*connect)(void *arg, int *ret_fd);
	void *arg;
};

struct prober;

MUST_CHECK enum err prober_new(const struct prober_options *options, struct prober **ret_prober);
void prober_free(struct prober *p);
AUTO_DEFINE(prober)
/* Each second, and when prober_fd has news; before the key plan is followed. `target` is what is
 * published at this moment, borrowed for the call; NULL: keys.probe is off. */
void prober_tick(struct prober *p, const struct probe_target *target);
/* As of the last tick: bits 1 << alg whose activation must wait. For the moment of a standby's
 * first look its bit is set too, so that the look comes before the activation. */
unsigned prober_held_back(const struct prober *p);
/* For poll(): the look that is under way; -1: none. */
int prober_fd(const struct prober *p);

#endif
