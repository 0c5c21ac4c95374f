/* GET /oauth2/revocations: what is revoked, signed, for those who verify tokens themselves. What
 * there is to decide is who reads: a client's or a user's name is nobody else's business, so
 * strangers get only what means nothing without a token in hand. */
#include "server/token/endpoints.h"

#include "server/request/app.h"
#include "server/token/auth.h"
#include "server/token/document.h"

struct reading {
	struct request *rq;
	struct feed_ask ask;
};

/* A client that has authenticated with a secret (Basic knows no other), or whoever is let in at a
 * listener that is not the public one. */
static enum feed_view view_of(const struct request *rq)
{
	return rq->client || rq->listener != LISTENER_PUBLIC ? FEED_FULL : FEED_ANONYMOUS;
}

/* One parameter, once. Others are refused: each would be one more copy in every cache before us. */
static enum err read_since(struct request *rq, struct str *ret_since)
{
	struct form *f;
	enum err e;

	*ret_since = STR_NONE;
	if (rq->query.n == 0)
		return ERR_OK;
	f = arena_new_of(rq->arena, struct form);
	e = f ? form_parse(rq->arena, rq->query, f) : ERR_NOMEM;
	if (e == ERR_NOMEM)
		return fail(rq, e, "no memory for the query");
	if (e || f->count != 1 || !str_equal_z(f->params[0].name, "since"))
		return fail(rq, ERR_INVALID_REQUEST, "not one parameter since");
	*ret_since = f->params[0].value;
	return ERR_OK;
}

/* The request keeps the text alive. */
static enum err respond(struct request *rq, struct kept_text *text)
{
	const struct document d = {
		.text = text->text,
		.type = FEED_TYPE,
		.etag = text->etag,
		.cache_control = STR("no-cache"),
		.vary = "Authorization",
	};
	enum err e;

	rq->kept = text;
	e = document_respond(rq, &d);
	count_feed(rq->metrics, view_of(rq), rq->response.status == 304);
	return e;
}

static enum err make(struct lane_ctx *ctx, void *arg)
{
	struct reading *r = arg;

	(void)ctx;
	return feed_make(r->rq->app->feed, &r->ask, &r->rq->kept);
}

static enum err after_make(struct request *rq, enum err result)
{
	if (result) {
		rq->retry_after = 1;
		return fail(rq, ERR_UNAVAILABLE, "the feed could not be signed: %s",
			    err_name(result));
	}
	return respond(rq, rq->kept);
}

static enum err answer(struct request *rq)
{
	struct reading *r = arena_new_of(rq->arena, struct reading);
	struct kept_text *text;
	struct str since;
	enum err e = r ? read_since(rq, &since) : fail(rq, ERR_NOMEM, "no memory for the feed");

	if (e)
		return e;
	/* what we do not know of must not be taken for good elsewhere either */
	if (revoked_is_behind(rq->app->revoked)) {
		rq->retry_after = 1;
		return fail(rq, ERR_UNAVAILABLE, "revocations are being read again");
	}
	r->rq = rq;
	r->ask = (struct feed_ask){
		.view = view_of(rq),
		.list = revoked_feed(rq->app->revoked, view_of(rq)),
		.issuer = rq->snapshot->config->issuer,
		.since = since,
		.now = rq->now,
	};
	if (!feed_find(rq->app->feed, &r->ask, &text))
		return respond(rq, text);
	return park(rq, LANE_BLOCKING, make, r, after_make);
}

static enum err after_auth(struct request *rq, enum err verdict)
{
	return verdict ? verdict : answer(rq);
}

enum err ep_revocations(struct request *rq)
{
	return auth_client_if_shown(rq, after_auth);
}
