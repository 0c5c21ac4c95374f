/* What every handler does to its request: refuse with a sentence, answer, leave work to a lane.
 * Nothing here knows HTTP's wire or a route. */
#include "server/request/request.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "jose/b64.h"
#include "server/request/app.h"

enum err request_begin(struct request *rq)
{
	unsigned char id[16];
	enum err e;

	_Static_assert(B64URL_LEN(sizeof(id)) == REQUEST_ID_LEN, "the id's text");
	rq->now = rq->app->env->now(rq->app->env);
	rq->started_us = rq->app->env->monotonic(rq->app->env);
	e = rq->app->env->random(rq->app->env, id, sizeof(id));
	if (e)
		return e;
	b64url_encode_z(id, sizeof(id), rq->id);
	rq->snapshot = snapshot_get(rq->app);
	return ERR_OK;
}

void request_done(struct request *rq)
{
	buf_done(&rq->large);
	kept_text_unref(rq->kept);
	rq->kept = NULL;
	json_free(rq->json_owned);
	rq->json_owned = NULL;
	rq->json = NULL;
	if (rq->client_ref)
		client_unref(rq->client_ref);
	rq->client_ref = NULL;
	rq->client = NULL;
	if (rq->snapshot)
		snapshot_unref(rq->snapshot);
	rq->snapshot = NULL;
}

enum err fail(struct request *rq, enum err e, const char *format, ...)
{
	va_list args;

	if (rq->why[0])
		return e;
	va_start(args, format);
	vsnprintf(rq->why, sizeof(rq->why), format, args);
	va_end(args);
	return e;
}

/* lane_run_inline may or may not call it; nobody waits here. */
static void nobody_waits(struct task *task)
{
	(void)task;
}

/* A lane that has stopped (or never was) takes nothing. */
static enum err submit(const struct app *app, enum lane lane, struct task *task)
{
	switch (lane) {
	case LANE_WRITER:
		return app->writer ? writer_submit(app->writer, task) : ERR_UNAVAILABLE;
	case LANE_HASH:
		return app->hash ? pool_submit(app->hash, task) : ERR_UNAVAILABLE;
	case LANE_BLOCKING:
		return app->blocking ? pool_submit(app->blocking, task) : ERR_UNAVAILABLE;
	case LANE_COUNT:
		break;
	}
	return ERR_INTERNAL;
}

enum err park(struct request *rq, enum lane lane, enum err (*run)(struct lane_ctx *, void *),
	      void *arg, enum err (*next)(struct request *, enum err result))
{
	enum err e;

	rq->task = (struct task){ .run = run, .arg = arg, .done = worker_post, .owner = rq };
	rq->next = next;
	rq->shed = false;
	if (rq->db) {
		rq->task.done = nobody_waits;
		lane_run_inline(rq->db, rq->app->env, lane, &rq->task);
		return next(rq, rq->task.result);
	}
	/* once submitted the request is the lane's until worker_post: nothing below may touch it */
	e = submit(rq->app, lane, &rq->task);
	if (e == ERR_OK)
		return ERR_PARKED;
	rq->shed = true;
	rq->retry_after = 1;
	return fail(rq, ERR_UNAVAILABLE, "a lane takes no more work: %s", err_name(e));
}

void respond_header(struct request *rq, const char *name, struct str value)
{
	struct response *r = &rq->response;

	assert(r->header_count < RESPONSE_HEADERS_MAX);
	r->headers[r->header_count++] = (struct header){ name, value };
}

enum err respond_text(struct request *rq, int status, const char *content_type, struct str body)
{
	rq->response.status = status;
	rq->response.content_type = content_type;
	rq->response.body = body;
	return ERR_OK;
}

enum err respond_json(struct request *rq, int status, struct buf *body)
{
	struct str text;
	enum err e;

	e = buf_end(body, &text);
	if (e)
		return fail(rq, e, "the answer does not fit: %s", err_name(e));
	return respond_text(rq, status, "application/json", text);
}

static enum err query_read(struct request *rq)
{
	struct form *f = arena_new_of(rq->arena, struct form);
	enum err e;

	if (!f)
		return fail(rq, ERR_NOMEM, "no room for the query");
	e = form_parse(rq->arena, rq->query, f);
	if (e == ERR_NOMEM)
		return fail(rq, e, "no room for the query");
	if (e)
		return fail(rq, ERR_INVALID_REQUEST, "query string: %s", err_name(e));
	rq->query_form = f;
	return ERR_OK;
}

enum err query_get(struct request *rq, const char *name, struct str *ret_value)
{
	enum err e = rq->query_form ? ERR_OK : query_read(rq);

	if (e)
		return e;
	*ret_value = form_get(rq->query_form, name);
	return ERR_OK;
}
