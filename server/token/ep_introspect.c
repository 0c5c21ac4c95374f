/* POST /oauth2/introspect (RFC 7662). Only confidential clients ask. Access tokens: those issued to
 * the caller, or for audiences of its introspect list; refresh tokens: its own. Everything else,
 * whatever the reason, is exactly {"active":false} (2.2), and trouble of ours is 503, never a
 * guess. */
#include "server/token/endpoints.h"

#include "server/store/lists.h"
#include "server/token/auth.h"
#include "server/token/refresh.h"
#include "server/token/token.h"

enum { INTROSPECTION_MAX = 8192 };

struct inspecting {
	struct request *rq;
	struct refresh_request in;
	struct login login;
	struct user user;
};

static enum err inactive(struct request *rq)
{
	count_introspection(rq->metrics, false);
	return respond_text(rq, 200, "application/json", STR("{\"active\":false}"));
}

/* "*" is every audience but the reserved ones: anybody who manages clients may hand it out. */
static bool may_ask_about(const struct request *rq, struct str aud)
{
	struct str list = rq->client->introspect;

	return list_has(list, aud) || (list_has(list, STR("*")) &&
				       !audience_is_reserved(rq->snapshot->config->issuer, aud));
}

static bool may_ask(const struct request *rq, const struct jwt *jwt)
{
	if (str_equal(jwt->client_id, rq->client->id))
		return true;
	for (size_t i = 0; i < jwt->aud_count; i++)
		if (may_ask_about(rq, jwt->aud[i]))
			return true;
	return false;
}

/* RFC 7662 2.2 */
static enum err active(struct request *rq, const struct jwt *jwt)
{
	static const char *const passed[] = { "iss",   "sub",	    "aud", "client_id", "scope",
					      "exp",   "iat",	    "nbf", "jti",	"sid",
					      "roles", "auth_time", "amr" };
	struct jsonw w;
	struct buf b;

	buf_init(&b, rq->arena, INTROSPECTION_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member_bool(&w, "active", true);
	jsonw_member_z(&w, "token_type", "Bearer");
	for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
		const struct json *v = json_get(jwt->claims, passed[i]);

		if (!v)
			continue;
		jsonw_key(&w, passed[i]);
		jsonw_value(&w, v);
	}
	jsonw_end_object(&w);
	count_introspection(rq->metrics, true);
	return respond_json(rq, 200, &b);
}

static enum err judged(struct request *rq, enum err result, const struct jwt *jwt)
{
	if (result == ERR_INVALID_TOKEN)
		return inactive(rq);
	if (result)
		return result;
	rq->log_subject = arena_str(rq->arena, jwt->sub);
	return may_ask(rq, jwt) ? active(rq, jwt) : inactive(rq);
}

static enum err look(struct lane_ctx *ctx, void *arg)
{
	struct inspecting *i = arg;

	return store_login_inspect(ctx->db, i->rq->arena, &i->in, &i->login, &i->user);
}

static enum err after_look(struct request *rq, enum err result)
{
	struct inspecting *i = rq->state;
	struct jsonw w;
	struct buf b;

	if (result == ERR_NOT_FOUND)
		return inactive(rq);
	if (result)
		return fail(rq, result, "the login could not be read");
	rq->log_subject = i->login.user_id;
	buf_init(&b, rq->arena, INTROSPECTION_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member_bool(&w, "active", true);
	jsonw_member_z(&w, "token_type", "refresh_token");
	jsonw_member(&w, "iss", rq->snapshot->config->issuer);
	jsonw_member(&w, "sub", i->login.user_id);
	jsonw_member(&w, "username", i->user.name);
	jsonw_member(&w, "client_id", i->login.client_id);
	jsonw_member(&w, "scope", i->login.scope);
	jsonw_member_int(&w, "iat", i->login.rotated_at);
	jsonw_member_int(&w, "exp", i->login.idle_until);
	jsonw_end_object(&w);
	count_introspection(rq->metrics, true);
	return respond_json(rq, 200, &b);
}

static enum err inspect_refresh(struct request *rq, struct str token)
{
	struct inspecting *i = arena_new_of(rq->arena, struct inspecting);

	if (!i)
		return fail(rq, ERR_NOMEM, "no memory for introspection");
	if (refresh_read(token, &i->in.name))
		return inactive(rq);
	i->rq = rq;
	refresh_request_fill(rq, &i->in);
	rq->state = i;
	return park(rq, LANE_BLOCKING, look, i, after_look);
}

enum err ep_introspect(struct request *rq)
{
	struct str token = form_get(rq->form, "token");

	/* 2.1: the caller must be authorised; a public client has proven nothing */
	if (rq->client->auth_method == AUTH_METHOD_NONE)
		return fail(rq, ERR_INVALID_CLIENT, "a public client may not introspect");
	if (!token.p)
		return fail(rq, ERR_INVALID_REQUEST, "token is missing");
	/* 2.1: the hint is only a hint; the form tells */
	if (str_starts(token, STR(MACHINE_REFRESH)))
		return inspect_refresh(rq, token);
	return token_judge(rq, token, judged);
}
