/* Does the wall clock go as the monotonic one does, from one look to the next and over days? A jump
 * (a bad time server, a restored virtual machine) must not delete what is not old, retire a key
 * whose tokens live, or make a standby that is ready in ten years (security F7, F8). Tokens go on
 * being issued: refusing them would turn a wrong clock into an outage.
 *
 * After a jump, deletes and rotations pause until the clock has gone well for CLOCKWATCH_SETTLE, or
 * an administrator says that it is right. Pure arithmetic; one owner, the housekeeper. */
#ifndef CHANCERY_SERVER_CLOCKWATCH_H
#define CHANCERY_SERVER_CLOCKWATCH_H

#include <stdbool.h>
#include <stdint.h>

enum {
	CLOCKWATCH_FORWARD = 60, /* seconds ahead of the monotonic clock that are a jump: no more
				  * than verifiers' clocks are allowed (keys.clock_skew) */
	CLOCKWATCH_BACK = 60,	 /* seconds behind it; time servers step by less */
	CLOCKWATCH_GAP = 3600,	 /* seconds nobody ran that are one: an upgrade takes less */
	CLOCKWATCH_SETTLE = 600, /* seconds without a jump that end the doubt */
	CLOCKWATCH_DAY = 86400,	 /* within which small steps add up: tokens live no longer. A clock
				  * that is set by the hour steps by seconds in that time */
};

enum clock_jump { CLOCK_GOES_WELL, CLOCK_JUMPED_FORWARD, CLOCK_JUMPED_BACK };

/* Both clocks at one moment, seconds. */
struct clock_pair {
	int64_t wall, monotonic;
};

struct clockwatch {
	struct clock_pair last; /* look */
	/* of one to two days ago and of the last day, or of the last jump: what went astray since
	 * is a jump, too, in however many steps */
	struct clock_pair older, newer;
	bool in_doubt;
	int64_t doubt_since; /* monotonic, of the last jump */
};

/* `last_wall` is the wall clock as stored by the last run, 0 if there was none. Time that passed
 * while nobody ran cannot be told from a jump, so a gap at the start is one. */
enum clock_jump clockwatch_start(struct clockwatch *w, int64_t last_wall, int64_t wall,
				 int64_t monotonic);
/* A look; to be had about once a second. */
enum clock_jump clockwatch_look(struct clockwatch *w, int64_t wall, int64_t monotonic);
/* Somebody vouches for the clock as it is now. */
void clockwatch_vouch(struct clockwatch *w, int64_t wall, int64_t monotonic);

#endif
