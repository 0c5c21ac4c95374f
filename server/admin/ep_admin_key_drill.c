/* /admin/v1/keys, what is tried out before it is needed: `lint`, whether every rule holds and every
 * standby opens; `drill`, the same and what somebody outside gets of the key set. */
#include <stdio.h>

#include "server/admin/admin.h"
#include "server/admin/admin_keys.h"
#include "server/request/app.h"
#include "server/state/fetch_call.h"
#include "server/state/probe.h"

enum {
	FINDING_MAX = 256,
	FINDINGS_MAX = ALG_COUNT + 3 + PROBE_CHECK_COUNT,
	FETCH_PATIENCE_MS = PROBE_TIMEOUT_MS + 1000, /* the child has a limit of its own */
};

struct finding {
	char name[48];
	bool ok;
	char note[FINDING_MAX];
};

struct rehearsal {
	struct request *rq;
	struct finding findings[FINDINGS_MAX];
	size_t count;
	struct audit_row audit;
	struct probe_result probe;
};

static struct finding *add(struct rehearsal *r, const char *name, bool ok, const char *note)
{
	struct finding *f = &r->findings[r->count++];

	f->ok = ok;
	snprintf(f->name, sizeof(f->name), "%s", name);
	snprintf(f->note, sizeof(f->note), "%s", note);
	return f;
}

static bool all_ok(const struct rehearsal *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (!r->findings[i].ok)
			return false;
	return true;
}

/* ---- what both look at ---- */

static void check_rules(struct rehearsal *r, int64_t now)
{
	char text[FINDING_MAX];
	const char *fault = keyring_lint(r->rq->app->keyring, now, text, sizeof(text));

	add(r, "rules", !fault, fault ? fault : "");
}

static void check_clock(struct rehearsal *r)
{
	bool doubt = keyring_outlook(r->rq->app->keyring).clock_in_doubt;

	add(r, "clock", !doubt,
	    doubt ? "the clock jumped: rotations and deletes wait (key resume)" : "");
}

/* A standby that does not open, or that no key is made for, is found now and not on its day. */
static void check_standby(struct rehearsal *r, enum alg alg)
{
	enum err e = keyring_rehearse(r->rq->app->keyring, alg);
	struct finding *f = add(r, "", !e, "");

	snprintf(f->name, sizeof(f->name), "standby_opens_%s", alg_name(alg));
	if (e == ERR_NOT_FOUND)
		snprintf(f->note, sizeof(f->note), "%s has no standby", alg_name(alg));
	else if (e)
		snprintf(f->note, sizeof(f->note), "the %s standby does not sign in the signer: %s",
			 alg_name(alg), err_name(e));
}

static void check_inside(struct rehearsal *r, int64_t now)
{
	const struct config *config = r->rq->snapshot->config;

	check_rules(r, now);
	check_clock(r);
	for (size_t i = 0; i < config->keys.alg_count; i++)
		check_standby(r, config->keys.algs[i]);
}

static struct rehearsal *rehearsal_new(struct request *rq)
{
	struct rehearsal *r = arena_new_of(rq->arena, struct rehearsal);

	if (!r) {
		(void)fail(rq, ERR_NOMEM, "no memory for a rehearsal");
		return NULL;
	}
	r->rq = rq;
	rq->state = r;
	return r;
}

/* ---- GET /keys/lint ---- */

static enum err lint_run(struct lane_ctx *ctx, void *arg)
{
	check_inside(arg, ctx->env->now(ctx->env));
	return ERR_OK;
}

static enum err lint_done(struct request *rq, enum err result)
{
	const struct rehearsal *r = rq->state;
	struct jsonw w;
	struct buf b;

	if (result)
		return fail(rq, result, "lint failed: %s", err_name(result));
	buf_init(&b, rq->arena, KEYS_TEXT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member_bool(&w, "ok", all_ok(r));
	jsonw_key(&w, "faults");
	jsonw_array(&w);
	for (size_t i = 0; i < r->count; i++)
		if (!r->findings[i].ok)
			jsonw_z(&w, r->findings[i].note);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return respond_json(rq, 200, &b);
}

enum err admin_keys_lint(struct request *rq)
{
	struct rehearsal *r = rehearsal_new(rq);

	return r ? park(rq, LANE_BLOCKING, lint_run, r, lint_done) : ERR_NOMEM;
}

/* ---- POST /keys/drill ---- */

/* What came, or that nothing did. The answer's parts are the fetch's. */
static void ask_outside(const struct app *app, const struct fetch_request *request,
			struct fetch **ret_fetch, struct fetch_answer *ret_answer)
{
	int fd = -1;
	enum err e = app->fetch(app->fetch_arg, &fd);

	if (!e)
		e = fetch_start(fd, request, ret_fetch);
	if (!e)
		e = fetch_wait(*ret_fetch, FETCH_PATIENCE_MS, ret_answer);
	if (!e)
		return;
	*ret_answer = (struct fetch_answer){ .outcome = FETCH_NO_ANSWER };
	ret_answer->parts[FETCH_WHY] = str_z(err_name(e));
}

static void judge_outside(struct rehearsal *r, const struct fetch_request *request, int64_t now)
{
	const struct config *config = r->rq->snapshot->config;
	struct keyring_view *v = keyring_view_get(r->rq->app->keyring);
	const struct probe_target target = {
		.issuer = config->issuer,
		.max_age = config->keys.jwks_max_age,
		.freshness = keyring_freshness(r->rq->app->keyring),
		.keys = v->keys,
		.count = v->count,
	};
	AUTO(fetch, f) = NULL;
	struct fetch_answer answer;

	ask_outside(r->rq->app, request, &f, &answer);
	probe_judge(&answer, &target, now, &r->probe);
	keyring_view_unref(v);
	for (size_t i = 0; i < PROBE_CHECK_COUNT; i++)
		add(r, probe_check_name((enum probe_check)i), r->probe.checks[i].ok,
		    r->probe.checks[i].note);
}

static void check_outside(struct rehearsal *r, int64_t now)
{
	const struct config *config = r->rq->snapshot->config;
	struct fetch_request request;
	char url[FETCH_URL_MAX + 1];

	if (config->keys.probe == KEY_PROBE_OFF)
		add(r, "outside", true, "not done: keys.probe is off");
	else if (!r->rq->app->fetch)
		add(r, "outside", false, "not done: nobody asks outside here");
	else if (probe_request(config->issuer, url, &request))
		add(r, "outside", false, "not done: the issuer is too long");
	else
		judge_outside(r, &request, now);
}

static enum err drill_run(struct lane_ctx *ctx, void *arg)
{
	int64_t now = ctx->env->now(ctx->env);

	check_inside(arg, now);
	check_outside(arg, now);
	return ERR_OK;
}

static enum err record_run(struct lane_ctx *ctx, void *arg)
{
	const struct rehearsal *r = arg;

	return store_audit(ctx->db, &r->audit);
}

static enum err record_done(struct request *rq, enum err result)
{
	const struct rehearsal *r = rq->state;
	struct jsonw w;
	struct buf b;

	audit_count(rq, &r->audit, !result);
	if (result)
		return fail(rq, result, "drill could not be recorded: %s", err_name(result));
	buf_init(&b, rq->arena, KEYS_TEXT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member_bool(&w, "ok", all_ok(r));
	jsonw_key(&w, "checks");
	jsonw_array(&w);
	for (size_t i = 0; i < r->count; i++) {
		jsonw_object(&w);
		jsonw_member_z(&w, "name", r->findings[i].name);
		jsonw_member_bool(&w, "ok", r->findings[i].ok);
		jsonw_member_z(&w, "note", r->findings[i].note);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return respond_json(rq, 200, &b);
}

static enum err drill_done(struct request *rq, enum err result)
{
	struct rehearsal *r = rq->state;

	if (result)
		return fail(rq, result, "drill failed: %s", err_name(result));
	audit_fill(rq, AUDIT_KEY_DRILL, "ok", STR_NONE, &r->audit);
	r->audit.reason = all_ok(r) ? STR("") : STR("not all is well");
	return park(rq, LANE_WRITER, record_run, r, record_done);
}

enum err admin_keys_drill(struct request *rq)
{
	enum err e = admin_keys_no_body(rq);
	struct rehearsal *r;

	if (e)
		return e;
	r = rehearsal_new(rq);
	return r ? park(rq, LANE_BLOCKING, drill_run, r, drill_done) : ERR_NOMEM;
}
