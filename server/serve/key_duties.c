/* The key duties; see the header. */
#include "server/serve/key_duties.h"

#include <stdlib.h>

#include "server/serve/prober.h"
#include "server/state/clockwatch.h"

struct key_duties {
	struct office *office;
	struct metrics_shard *metrics;
	struct prober *prober;
	struct clockwatch clock;
	unsigned waits;	  /* algorithms that were held back at the last look */
	bool unpublished; /* the keyring has a view that no snapshot has yet */
};

static const char meta_wall[] = "clock.wall";

static int64_t wall(const struct key_duties *d)
{
	return d->office->env.now(&d->office->env);
}

static int64_t monotonic(const struct key_duties *d)
{
	return d->office->env.monotonic(&d->office->env) / 1000000;
}

static void complain(struct key_duties *d, const char *msg, enum err e)
{
	log_say(d->office->app.log, LOG_ERROR, msg, "error", err_name(e));
}

/* ---- the clock (security F7, F8) ---- */

static void alarm_about(struct key_duties *d, enum clock_jump jump)
{
	const char *what = jump == CLOCK_JUMPED_BACK
				   ? "the clock went back"
				   : "the clock went ahead, or nobody ran for long";

	if (jump == CLOCK_GOES_WELL)
		return;
	log_say(d->office->app.log, LOG_ERROR,
		"clock in doubt: deletes and rotations pause until it has gone well for "
		"ten minutes or `chancery key resume` vouches for it",
		"reason", what);
	office_record(d->office, d->metrics, AUDIT_CLOCK_JUMP, what);
}

static void watch_clock(struct key_duties *d)
{
	bool before = d->clock.in_doubt;

	if (atomic_exchange(&d->office->wishes.clock_vouched, false))
		clockwatch_vouch(&d->clock, wall(d), monotonic(d));
	else
		alarm_about(d, clockwatch_look(&d->clock, wall(d), monotonic(d)));
	if (before && !d->clock.in_doubt)
		log_say(d->office->app.log, LOG_WARN,
			"the clock is trusted again; deletes and rotations go on", NULL, NULL);
	atomic_store(&d->office->wishes.clock_in_doubt, d->clock.in_doubt);
	keyring_set_time(d->office->app.keyring, d->clock.last.wall);
}

static enum err write_wall(struct lane_ctx *ctx, void *arg)
{
	return store_meta_put_i64(ctx->db, meta_wall, *(const int64_t *)arg);
}

/* While it is in doubt the last good one stays: after a restart a jump of more than
 * CLOCKWATCH_GAP, or back, is doubted again. */
void key_duties_minute(struct key_duties *d)
{
	int64_t now = key_duties_now(d);
	enum err e = d->clock.in_doubt ? ERR_OK : office_write(d->office, write_wall, &now);

	if (e)
		complain(d, "the time of day could not be remembered", e);
}

/* ---- whom a rotation waits for ---- */

static void look_outside(struct key_duties *d, const struct keyring_view *v)
{
	const struct config *config = d->office->config;
	const struct probe_target target = {
		.issuer = config->issuer,
		.max_age = config->keys.jwks_max_age,
		.freshness = keyring_freshness(d->office->app.keyring),
		.keys = v->keys,
		.count = v->count,
	};

	prober_tick(d->prober, config->keys.probe == KEY_PROBE_AUTO ? &target : NULL);
}

static void say_waits(struct key_duties *d, unsigned waits)
{
	if (waits & ~d->waits)
		log_say(d->office->app.log, LOG_INFO,
			"a standby is not everywhere yet; its rotation may wait for that", NULL,
			NULL);
	d->waits = waits;
}

static void look_ahead(struct key_duties *d)
{
	struct keyring *k = d->office->app.keyring;
	struct keyring_view *v = keyring_view_get(k);
	struct key_outlook outlook = { .clock_in_doubt = d->clock.in_doubt };
	unsigned lagging = consumers_lagging(d->office->app.consumers, v, wall(d));

	look_outside(d, v);
	outlook.held_back = lagging | prober_held_back(d->prober);
	say_waits(d, outlook.held_back);
	keyring_set_outlook(k, &outlook);
	keyring_view_unref(v);
}

/* ---- the plan ---- */

static void publish(struct key_duties *d)
{
	struct office *o = d->office;
	enum err e = snapshot_rebuild(&o->app, o->db, o->config);

	if (e) {
		complain(d, "new keys could not be published; will try again", e);
		return;
	}
	d->unpublished = false;
	log_say(o->app.log, LOG_INFO, "signing keys changed", NULL, NULL);
}

enum err key_duties_do(struct key_duties *d)
{
	int64_t next = 0;
	bool changed = false;
	enum err e;

	watch_clock(d);
	look_ahead(d);
	e = keyring_tend(d->office->app.keyring, &next, &changed);
	if (e && e != ERR_TIMEOUT)
		complain(d, "key plan could not be followed; will try again", e);
	d->unpublished = d->unpublished || changed;
	if (d->unpublished)
		publish(d);
	if (keyring_is_over(d->office->app.keyring))
		atomic_store(&d->office->wishes.restart, true);
	return e;
}

int64_t key_duties_now(const struct key_duties *d)
{
	return d->clock.last.wall + monotonic(d) - d->clock.last.monotonic;
}

bool key_duties_clock_in_doubt(const struct key_duties *d)
{
	return d->clock.in_doubt;
}

int key_duties_fd(const struct key_duties *d)
{
	return prober_fd(d->prober);
}

/* ---- beginning and end ---- */

enum err key_duties_new(struct office *o, struct metrics_shard *metrics,
			struct key_duties **ret_duties)
{
	const struct prober_options options = {
		.env = &o->env,
		.log = o->app.log,
		.shard = metrics,
		.connect = o->app.fetch,
		.arg = o->app.fetch_arg,
	};
	struct key_duties *d = calloc(1, sizeof(*d));
	int64_t last_wall = 0;
	enum err e = d ? store_meta_get_i64(o->db, meta_wall, &last_wall) : ERR_NOMEM;

	if (!e)
		e = prober_new(&options, &d->prober);
	if (e) {
		free(d);
		return e;
	}
	d->office = o;
	d->metrics = metrics;
	alarm_about(d, clockwatch_start(&d->clock, last_wall, wall(d), monotonic(d)));
	*ret_duties = d;
	return ERR_OK;
}

void key_duties_free(struct key_duties *d)
{
	if (!d)
		return;
	prober_free(d->prober);
	free(d);
}
