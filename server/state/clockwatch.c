/* The clock's watch; see the header. */
#include "server/state/clockwatch.h"

/* How far the wall clock went from where the monotonic one says it should be. */
static enum clock_jump judge(int64_t drift, int64_t forward)
{
	if (drift > forward)
		return CLOCK_JUMPED_FORWARD;
	return drift < -CLOCKWATCH_BACK ? CLOCK_JUMPED_BACK : CLOCK_GOES_WELL;
}

/* From here on drift is counted anew: it is told of, or somebody answers for it. */
static void settle_on(struct clockwatch *w, int64_t wall, int64_t monotonic)
{
	w->last = w->older = w->newer = (struct clock_pair){ wall, monotonic };
}

static void note(struct clockwatch *w, enum clock_jump jump, int64_t monotonic)
{
	if (jump != CLOCK_GOES_WELL) {
		w->in_doubt = true;
		w->doubt_since = monotonic;
	} else if (w->in_doubt && monotonic - w->doubt_since >= CLOCKWATCH_SETTLE) {
		w->in_doubt = false;
	}
}

enum clock_jump clockwatch_start(struct clockwatch *w, int64_t last_wall, int64_t wall,
				 int64_t monotonic)
{
	enum clock_jump jump = last_wall ? judge(wall - last_wall, CLOCKWATCH_GAP)
					 : CLOCK_GOES_WELL;

	clockwatch_vouch(w, wall, monotonic);
	note(w, jump, monotonic);
	return jump;
}

static enum clock_jump judge_since(struct clock_pair then, int64_t wall, int64_t monotonic)
{
	return judge((wall - then.wall) - (monotonic - then.monotonic), CLOCKWATCH_FORWARD);
}

enum clock_jump clockwatch_look(struct clockwatch *w, int64_t wall, int64_t monotonic)
{
	enum clock_jump jump = judge_since(w->last, wall, monotonic);

	if (jump == CLOCK_GOES_WELL)
		jump = judge_since(w->older, wall, monotonic);
	if (jump != CLOCK_GOES_WELL)
		settle_on(w, wall, monotonic);
	w->last = (struct clock_pair){ wall, monotonic };
	if (monotonic - w->newer.monotonic >= CLOCKWATCH_DAY) {
		w->older = w->newer;
		w->newer = w->last;
	}
	note(w, jump, monotonic);
	return jump;
}

void clockwatch_vouch(struct clockwatch *w, int64_t wall, int64_t monotonic)
{
	*w = (struct clockwatch){ .in_doubt = false };
	settle_on(w, wall, monotonic);
}
