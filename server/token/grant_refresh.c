/* refresh_token (RFC 6749 6, RFC 9700 4.14). One compare-and-swap in the store decides
 * (store_refresh); what is here is the way to it and what each outcome means.
 *
 * A lost answer is normal: the previous token within `refresh_retry` gets the same successor again.
 * An older one, or a later time, means that two parties hold tokens of one login: it ends (RFC 9700
 * 4.14.2). The stored scope never changes; a token may carry less, never more. */
#include "server/token/endpoints.h"

#include "server/request/app.h"
#include "server/request/audit.h"
#include "server/request/router.h"
#include "server/token/refresh.h"
#include "server/token/token.h"

struct refreshing {
	struct request *rq;
	struct refresh_request in;
	struct refresh_result out;
	struct login seen; /* before the step, when a narrower scope or audience is asked */
	struct user seen_user;
	struct audit_row audit;
	struct issue issue;
};

static enum err swap(struct lane_ctx *ctx, void *arg)
{
	struct refreshing *r = arg;
	enum err e = store_refresh(ctx->db, r->rq->arena, &r->in, &r->out);

	if (e)
		return e;
	if (r->out.outcome == REFRESH_REUSED)
		audit_fill(r->rq, AUDIT_REFRESH_REUSE, "ended", r->out.login.user_id, &r->audit);
	else if (r->out.outcome == REFRESH_AHEAD)
		audit_fill(r->rq, AUDIT_REFRESH_AHEAD, "ended", r->out.login.user_id, &r->audit);
	else
		return ERR_OK;
	return store_audit(ctx->db, &r->audit);
}

/* The login has been ended in the store; its access tokens must be dead before anybody is told. */
static enum err ended(struct request *rq, const struct refreshing *r, const char *why)
{
	const struct login *login = &r->out.login;

	audit_count(rq, &r->audit, true);
	if (revoke_login_now(rq, login))
		return fail(rq, ERR_UNAVAILABLE, "no memory to revoke a login");
	rq->log_subject = login->user_id;
	log_begin(rq->log, LOG_WARN, why);
	log_z(rq->log, "request_id", rq->id);
	log_str(rq->log, "client_id", login->client_id);
	log_str(rq->log, "sub", login->user_id);
	log_end(rq->log);
	return fail(rq, ERR_INVALID_GRANT, "%s", why);
}

static enum err issue_again(struct request *rq, struct refreshing *r)
{
	const struct config *config = rq->snapshot->config;
	enum err e;

	rq->log_subject = r->out.login.user_id;
	r->issue.user = &r->out.user;
	r->issue.login = &r->out.login;
	r->issue.refresh = true;
	e = token_resolve(rq, r->out.login.audience, r->out.login.scope, config->tokens.access_ttl,
			  &r->issue.target);
	return e ? e : token_issue(rq, &r->issue);
}

static enum err after_swap(struct request *rq, enum err result)
{
	struct refreshing *r = rq->state;

	if (result)
		return fail(rq, result, "the refresh could not be stored");
	switch (r->out.outcome) {
	case REFRESH_ROTATED:
	case REFRESH_REPEATED:
		return issue_again(rq, r);
	case REFRESH_REUSED:
		return ended(rq, r, "refresh token was used before: login ended");
	case REFRESH_AHEAD:
		return ended(rq, r, "refresh token of the future: login ended");
	case REFRESH_TOO_MANY:
		rq->retry_after = 1;
		count_rate_limited(rq->metrics, route_index(rq), RATE_REFRESH_REPEAT);
		return fail(rq, ERR_RATE_LIMITED, "too many repeats of one refresh token");
	case REFRESH_SUBJECT:
		return fail(rq, ERR_INVALID_GRANT, "client or user may not receive tokens now");
	case REFRESH_UNKNOWN:
		break;
	}
	return fail(rq, ERR_INVALID_GRANT, "refresh token unknown, foreign, expired or ended");
}

static enum err look(struct lane_ctx *ctx, void *arg)
{
	struct refreshing *r = arg;

	return store_login_inspect(ctx->db, r->rq->arena, &r->in, &r->seen, &r->seen_user);
}

/* What was asked must fit what was granted, before the token is spent. What is granted never
 * changes. */
static enum err after_look(struct request *rq, enum err result)
{
	struct refreshing *r = rq->state;
	struct target target;
	enum err e = ERR_OK;

	if (result && result != ERR_NOT_FOUND)
		return fail(rq, result, "the login could not be read");
	if (!result)
		e = token_resolve(rq, r->seen.audience, r->seen.scope,
				  rq->snapshot->config->tokens.access_ttl, &target);
	return e ? e : park(rq, LANE_WRITER, swap, r, after_swap);
}

static bool asks_for_less(const struct request *rq)
{
	return form_get(rq->form, "scope").p || form_nth(rq->form, "resource", 0).p ||
	       form_nth(rq->form, "audience", 0).p;
}

enum err grant_refresh(struct request *rq)
{
	struct str token = form_get(rq->form, "refresh_token");
	struct refreshing *r;

	if (!token.p)
		return fail(rq, ERR_INVALID_REQUEST, "refresh_token is missing");
	r = arena_new_of(rq->arena, struct refreshing);
	if (!r)
		return fail(rq, ERR_NOMEM, "no memory for the grant");
	if (refresh_read(token, &r->in.name))
		return fail(rq, ERR_INVALID_GRANT, "not a refresh token of ours");
	r->rq = rq;
	refresh_request_fill(rq, &r->in);
	rq->state = r;
	if (asks_for_less(rq))
		return park(rq, LANE_BLOCKING, look, r, after_look);
	return park(rq, LANE_WRITER, swap, r, after_swap);
}
