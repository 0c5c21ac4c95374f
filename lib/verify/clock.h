/* The time, as a verifier sees it: by its caller's clock or the system's. */
#ifndef CHANCERY_VERIFY_CLOCK_H
#define CHANCERY_VERIFY_CLOCK_H

#include <stdint.h>

/* Both in seconds. Intervals are counted on a clock that nobody sets, which also runs while the
 * machine sleeps: a wrong date must neither stop the refreshing nor make a stale set look fresh. */
struct moment {
	int64_t wall;	/* since 1970, UTC */
	int64_t steady; /* since whenever */
};

/* `now` NULL: the system's clocks. Otherwise the caller's for both. */
struct moment clock_read(int64_t (*now)(void *arg), void *arg);

#endif
