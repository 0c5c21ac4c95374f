/* The server's main thread once everything runs: signals, the supervisor's messages, the key plan,
 * and work that is due now and then. It may wait for the lanes; the workers never wait for it. */
#ifndef CHANCERY_SERVER_HOUSEKEEPER_H
#define CHANCERY_SERVER_HOUSEKEEPER_H

#include "server/serve/key_duties.h"
#include "server/serve/listeners.h"
#include "server/serve/office.h"

struct housekeeper {
	struct office *office;
	struct listeners *listeners;
	struct metrics_shard *metrics; /* this thread's; may be NULL */
	struct config_source source;   /* for SIGHUP */
	int signals;		       /* signalfd: TERM, INT, HUP */
	int supervisor;		       /* new signer channels come here */
	struct key_duties *keys;
	bool asked;   /* for another signer; until it comes */
	bool purging; /* old rows are left for the next tick */
	/* monotonic seconds of the next turn of each duty */
	int64_t next_tend, next_minute;
};

/* Returns when SIGTERM or SIGINT came, when a request wants a new start, or when the supervisor
 * went away. */
void housekeeper_run(struct housekeeper *h);
/* After the workers have drained: writes what is still only in memory. */
void housekeeper_finish(struct housekeeper *h);

#endif
