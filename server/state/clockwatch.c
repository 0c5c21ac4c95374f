/* The clock's watch; see the header. */
#include "server/state/clockwatch.h"

/* How far the wall clock went from where the monotonic one says it should be. */
static enum clock_jump judge(int64_t drift, int64_t forward)
{
	if (drift > forward)
		return CLOCK_JUMPED_FORWARD;
	return drift < -CLOCKWATCH_BACK ? CLOCK_JUMPED_BACK : CLOCK_GOES_WELL;
}

static enum clock_jump note(struct clockwatch *w, enum clock_jump jump, int64_t monotonic)
{
	if (jump != CLOCK_GOES_WELL) {
		w->in_doubt = true;
		w->doubt_since = monotonic;
	} else if (w->in_doubt && monotonic - w->doubt_since >= CLOCKWATCH_SETTLE) {
		w->in_doubt = false;
	}
	return jump;
}

enum clock_jump clockwatch_start(struct clockwatch *w, int64_t last_wall, int64_t wall,
				 int64_t monotonic)
{
	*w = (struct clockwatch){ .wall = wall, .monotonic = monotonic };
	return note(w, last_wall ? judge(wall - last_wall, CLOCKWATCH_GAP) : CLOCK_GOES_WELL,
		    monotonic);
}

enum clock_jump clockwatch_look(struct clockwatch *w, int64_t wall, int64_t monotonic)
{
	enum clock_jump jump = judge((wall - w->wall) - (monotonic - w->monotonic),
				     CLOCKWATCH_FORWARD);

	w->wall = wall;
	w->monotonic = monotonic;
	return note(w, jump, monotonic);
}

void clockwatch_vouch(struct clockwatch *w, int64_t wall, int64_t monotonic)
{
	*w = (struct clockwatch){ .wall = wall, .monotonic = monotonic };
}
