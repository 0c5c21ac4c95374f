/* Collects the values that are states and not counts. Nothing here is on the path of a token. */
#include "server/request/gauges.h"

#include "server/request/audit.h"
#include "server/request/router.h"
#include "server/token/token.h"

static enum err route_names(struct request *rq, struct metrics_gauges *g)
{
	const char **names = arena_array(rq->arena, route_count, sizeof(*names));

	if (!names)
		return ERR_NOMEM;
	for (size_t i = 0; i < route_count; i++)
		names[i] = routes[i].name;
	g->routes = names;
	g->route_count = route_count;
	return ERR_OK;
}

static enum err grant_names(struct request *rq, struct metrics_gauges *g)
{
	const char **names = arena_array(rq->arena, grant_count, sizeof(*names));

	if (!names)
		return ERR_NOMEM;
	for (size_t i = 0; i < grant_count; i++)
		names[i] = grants[i].name;
	g->grants = names;
	g->grant_count = grant_count;
	return ERR_OK;
}

static void fill_lanes(const struct app *app, struct metrics_gauges *g)
{
	struct writer_stats w = { .batches = 0 };

	if (app->writer)
		writer_stats(app->writer, &w);
	g->writer_batches = w.batches;
	g->writer_operations = w.operations;
	g->writer_reruns = w.reruns;
	g->writer_failures = w.failures;
	g->writer_shed = w.shed;
	g->writer_queued = w.queued;
	if (app->hash) {
		g->hash_queued = pool_queued(app->hash);
		g->hash_shed = pool_shed(app->hash);
	}
	if (app->blocking) {
		g->blocking_queued = pool_queued(app->blocking);
		g->blocking_shed = pool_shed(app->blocking);
	}
}

static void fill_keys(const struct request *rq, struct metrics_gauges *g)
{
	const struct keyring_view *v = rq->snapshot->keys;
	size_t cap = sizeof(g->keys) / sizeof(g->keys[0]);
	struct consumers_counts consumers;
	struct keyring_counts counts;

	consumers_count(rq->app->consumers, v, rq->now, &consumers);
	g->consumers_holding = consumers.holding;
	g->consumers_lagging = consumers.lagging;
	g->consumers_anonymous = consumers.anonymous;
	keyring_counts(rq->app->keyring, &counts);
	g->key_rotations_scheduled = counts.scheduled;
	g->key_rotations_emergency = counts.emergency;
	g->key_rotations_manual = counts.manual;
	g->key_rotations_failed = counts.failed;
	for (size_t i = 0; i < v->count && g->key_count < cap; i++) {
		const struct key_info *k = &v->keys[i].info;

		if (k->state == KEY_REMOVED || k->state == KEY_REVOKED)
			continue;
		g->keys[g->key_count].kid = str_z(k->kid);
		g->keys[g->key_count].alg = alg_name(k->alg);
		g->keys[g->key_count].state = key_state_name(k->state);
		g->keys[g->key_count].age = rq->now - k->created_at;
		g->key_count++;
		if (k->state == KEY_STANDBY && k->activate_at &&
		    (!g->next_rotation_at || k->activate_at < g->next_rotation_at))
			g->next_rotation_at = k->activate_at;
	}
}

static void fill_feed(const struct app *app, struct metrics_gauges *g)
{
	struct feed_signatures signatures;
	struct feed_counts counts;

	for (int v = 0; v < FEED_VIEWS; v++) {
		feed_list_counts(revoked_feed(app->revoked, (enum feed_view)v), &counts);
		g->feed[v].entries = counts.entries;
		g->feed[v].merged = counts.merged;
	}
	feed_signatures(app->feed, &signatures);
	g->feed_signed = signatures.made;
	g->feed_sign_failed = signatures.failed;
}

enum err gauges_fill(struct request *rq, struct metrics_gauges *ret_gauges)
{
	struct metrics_gauges *g = ret_gauges;
	const struct app *app = rq->app;
	enum err e;

	g->version = CHANCERY_VERSION;
	g->log_dropped = app->log ? log_dropped(app->log) : 0;
	g->started_at = app->started_at;
	g->config_reloaded_at = atomic_load(&app->config_reloaded_at);
	g->confined = app->confined;
	g->clock_in_doubt = atomic_load(&app->wishes->clock_in_doubt);
	g->config_reload_ok = atomic_load(&app->config_reload_ok);
	g->audit_types = audit_names();
	g->audit_type_count = AUDIT_EVENT_COUNT;
	fill_lanes(app, g);
	fill_keys(rq, g);
	fill_feed(app, g);
	e = route_names(rq, g);
	return e ? e : grant_names(rq, g);
}
