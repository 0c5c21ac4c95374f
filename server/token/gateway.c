/* The one order of things, whoever judges: the question first, because a gateway that asks wrongly
 * must find out even without a token; then the token, its needs, the answer. */
#include "server/token/gateway.h"

static enum err judge_token(struct request *rq, const struct gateway_judge *judge,
			    const struct gateway_question *q, struct gateway_pass *pass)
{
	struct str token;
	enum err e = gateway_read_token(rq, &token);

	if (!e)
		e = judge->judge(rq, pass->target.audience, token, &pass->id);
	if (e)
		return e;
	rq->log_subject = pass->id.sub;
	rq->log_client = pass->id.client_id;
	rq->log_jti = pass->id.jti;
	return gateway_check_needs(rq, q, &pass->id);
}

enum err gateway_decide(struct request *rq, const struct gateway_judge *judge,
			struct gateway_pass *ret_pass)
{
	struct gateway_question *q = arena_new_of(rq->arena, struct gateway_question);
	struct gateway_pass pass;
	enum err e;

	if (!q)
		return fail(rq, ERR_NOMEM, "no memory for a question");
	e = gateway_read_question(rq, q);
	if (!e)
		e = judge->find(rq, q, &pass.target);
	if (!e)
		e = judge_token(rq, judge, q, &pass);
	if (!e)
		e = gateway_answer(rq, &pass);
	if (!e)
		*ret_pass = pass;
	return e;
}
