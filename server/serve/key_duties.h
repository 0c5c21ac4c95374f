/* What the housekeeper does about keys, once a second: watches the clock, looks at the key set from
 * outside, asks who holds the standbys, then follows the plan and publishes what changed.
 *
 * Housekeeper's thread only. */
#ifndef CHANCERY_SERVER_KEY_DUTIES_H
#define CHANCERY_SERVER_KEY_DUTIES_H

#include "server/serve/office.h"

struct key_duties;

/* `metrics` is the thread's shard and may be NULL. Reads the wall clock of the last run. */
MUST_CHECK enum err key_duties_new(struct office *o, struct metrics_shard *metrics,
				   struct key_duties **ret_duties);
void key_duties_free(struct key_duties *d);
/* ERR_TIMEOUT: the signer hangs. Other troubles are logged and tried again. */
enum err key_duties_do(struct key_duties *d);
/* Remembers the wall clock; once a minute and at the end. */
void key_duties_minute(struct key_duties *d);
bool key_duties_clock_in_doubt(const struct key_duties *d);
/* The wall clock at the last look and the time that has passed since: what no jump has touched that
 * was not seen. For whatever deletes. */
int64_t key_duties_now(const struct key_duties *d);
/* For poll(): news make key_duties_do due at once. -1: none to wait for. */
int key_duties_fd(const struct key_duties *d);

#endif
