/* The one file of lib/ that asks the system for the time. Everywhere else `now` is an argument; but
 * who links libchancery wants a verifier, not a clock to be wound for every request. */
#include "verify/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t seconds_of(clockid_t id)
{
	struct timespec ts = { .tv_sec = 0 };

	clock_gettime(id, &ts);
	return ts.tv_sec;
}

struct moment clock_read(int64_t (*now)(void *arg), void *arg)
{
	struct moment m;

	if (now) {
		m.wall = now(arg);
		m.steady = m.wall;
		return m;
	}
	m.wall = seconds_of(CLOCK_REALTIME);
	m.steady = seconds_of(CLOCK_BOOTTIME);
	return m;
}
