/* The metadata document, and what machines ask about our health. */
#include "server/token/endpoints.h"

#include "server/request/app.h"
#include "server/request/gauges.h"
#include "server/token/document.h"

/* Each (listener, route, method) that was asked for is about 2 KiB of text for good, and a stranger
 * may ask for all of them. */
enum { METRICS_MAX = 4 << 20 };

enum err ep_metadata(struct request *rq)
{
	const struct document d = { .text = rq->snapshot->metadata,
				    .type = "application/json",
				    .etag = rq->snapshot->metadata_etag,
				    .cache_control = STR("public, max-age=300") };

	return document_respond(rq, &d);
}

/* Depends on nothing: a liveness probe that follows the database restarts a healthy server. */
enum err ep_livez(struct request *rq)
{
	return respond_text(rq, 200, "application/json", STR("{\"status\":\"ok\"}"));
}

struct readiness {
	struct request *rq;
	struct str epoch;
};

static enum err touch_database(struct lane_ctx *ctx, void *arg)
{
	struct readiness *r = arg;
	enum err e = store_meta_get(ctx->db, r->rq->arena, "epoch", &r->epoch);

	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* An emergency may leave none for a moment. */
static bool has_active_key(const struct snapshot *s)
{
	for (size_t i = 0; i < s->keys->count; i++) {
		if (s->keys->infos[i].state == KEY_ACTIVE)
			return true;
	}
	return false;
}

static enum err after_touch(struct request *rq, enum err result)
{
	struct writer_stats stats = { .failed = false };
	struct {
		const char *name;
		bool ok;
	} checks[4];
	struct jsonw w;
	struct buf b;
	bool ready = true;

	if (rq->app->writer)
		writer_stats(rq->app->writer, &stats);
	checks[0].name = "database";
	checks[0].ok = !result && !stats.failed;
	checks[1].name = "signer";
	checks[1].ok = rq->signer && rq->signer->fd >= 0;
	checks[2].name = "active_key";
	checks[2].ok = has_active_key(rq->snapshot);
	checks[3].name = "not_draining";
	checks[3].ok = !atomic_load(&rq->app->draining);
	buf_init(&b, rq->arena, 1024);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_key(&w, "checks");
	jsonw_object(&w);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		jsonw_member_bool(&w, checks[i].name, checks[i].ok);
		ready = ready && checks[i].ok;
	}
	jsonw_end_object(&w);
	jsonw_member_z(&w, "status", ready ? "ok" : "unavailable");
	jsonw_end_object(&w);
	if (!ready)
		respond_header(rq, "Retry-After", STR("1"));
	return respond_json(rq, ready ? 200 : 503, &b);
}

enum err ep_readyz(struct request *rq)
{
	struct readiness *r = arena_new_of(rq->arena, struct readiness);

	if (!r)
		return fail(rq, ERR_NOMEM, "no memory for readiness");
	r->rq = rq;
	rq->state = r;
	return park(rq, LANE_BLOCKING, touch_database, r, after_touch);
}

enum err ep_metrics(struct request *rq)
{
	struct metrics_gauges *g = arena_new_of(rq->arena, struct metrics_gauges);
	struct str text;

	if (!g || gauges_fill(rq, g))
		return fail(rq, ERR_NOMEM, "no memory for metrics");
	buf_init(&rq->large, NULL, METRICS_MAX);
	metrics_render(rq->app->metrics, g, &rq->large);
	if (buf_end(&rq->large, &text))
		return fail(rq, ERR_NOMEM, "no memory for metrics");
	return respond_text(rq, 200, "text/plain; version=0.0.4; charset=utf-8", text);
}
