/* Issuing: the gate, the login where one begins, the signature, the answer. Grants come here with a
 * decision and nothing else; what a token is, is written in this file and claims.c. */
#include "server/token/token.h"

#include "jose/b64.h"
#include "jose/jwe_encrypt.h"
#include "server/request/audit.h"
#include "server/token/claims.h"
#include "server/token/recorded.h"
#include "server/token/refresh.h"
#include "server/token/shared.h"
#include "server/store/gate.h"

enum { SID_BYTES = 16, TOKEN_RESPONSE_MAX = JWT_SIZE_MAX + SCOPE_MAX + 1024 };

/* A login on its way into the store. */
struct beginning {
	struct request *rq;
	struct issue *issue;
	struct login login;
	struct client client; /* as the writer's transaction saw it */
	struct user user;
	struct audit_row audit;
	const char *refused;
	enum err refusal;
};

static enum err check_gate(struct request *rq, const struct client *client, const struct user *user)
{
	const char *why;
	enum err e = gate_subject(client, user, &why);

	return e ? fail(rq, e, "%s", why) : ERR_OK;
}

static void write_refresh(struct request *rq, const struct login *login, struct buf *out)
{
	struct refresh_bind bind = {
		.key = &rq->app->derived.refresh,
		.key_id = rq->app->derived.key_id,
		.issuer = rq->snapshot->config->issuer,
		.epoch = rq->app->epoch,
		.client_id = login->client_id,
		.seed = login->seed,
	};

	refresh_write(out, &bind, login->id, login->n);
}

/* RFC 6749 5.1 */
static enum err answer(struct request *rq, const struct issue *issue, const struct login *login,
		       struct str token)
{
	struct buf refresh, scope, body;
	struct str refresh_text = STR_NONE, scope_text;
	struct jsonw w;

	buf_init(&refresh, rq->arena, 256);
	buf_init(&scope, rq->arena, SCOPE_MAX);
	buf_init(&body, rq->arena, TOKEN_RESPONSE_MAX);
	if (issue->refresh)
		write_refresh(rq, login, &refresh);
	scope_write(&issue->target.scope, &scope);
	if (buf_end(&refresh, &refresh_text) || buf_end(&scope, &scope_text))
		return fail(rq, ERR_NOMEM, "no memory for the answer");
	jsonw_init(&w, &body);
	jsonw_object(&w);
	jsonw_member(&w, "access_token", token);
	jsonw_member_z(&w, "token_type", "Bearer");
	jsonw_member_int(&w, "expires_in", issue->target.ttl);
	if (issue->refresh)
		jsonw_member(&w, "refresh_token", refresh_text);
	jsonw_member(&w, "scope", scope_text);
	jsonw_end_object(&w);
	return respond_json(rq, 200, &body);
}

/* A token on its way out. */
struct issuing {
	struct issue *issue;
	const struct login *login;
	struct made_token token;
};

static enum err sign_claims(struct request *rq, struct issuing *out)
{
	const struct target *target = &out->issue->target;
	const struct env *env = rq->app->env;
	const int64_t began = env->monotonic(env);
	struct signed_token token;
	struct buf text;
	enum err e;

	buf_init(&text, rq->arena, JWT_SIZE_MAX);
	e = signer_sign(rq->signer, TOKEN_ACCESS, target->alg, out->token.claims, &text, &token);
	count_sign(rq->metrics, target->alg, !e, env->monotonic(env) - began);
	if (e)
		return fail(rq, e, "the signer did not sign");
	rq->log_kid = arena_str(rq->arena, str_z(token.kid));
	rq->log_jti = arena_str(rq->arena, str_z(token.jti));
	keyring_count_token(rq->snapshot->keys, str_z(token.kid), out->token.exp);
	out->token.text = token.text;
	return ERR_OK;
}

static enum err hand_out(struct request *rq, const struct issuing *out)
{
	count_token(rq->metrics, (unsigned)(rq->grant - grants), out->issue->refresh);
	return answer(rq, out->issue, out->login, out->token.text);
}

static enum err after_record(struct request *rq, enum err result)
{
	if (result)
		return fail(rq, result, "the token could not be recorded");
	return hand_out(rq, rq->state);
}

static enum err issue_jwt(struct request *rq, struct issuing *out)
{
	enum err e = sign_claims(rq, out);

	return e ? e : hand_out(rq, out);
}

static enum err issue_opaque(struct request *rq, struct issuing *out)
{
	enum err e = opaque_make(rq, &out->token);

	if (e)
		return fail(rq, e, "an opaque token could not be made");
	return token_record(rq, &out->token, out, after_record);
}

static enum err issue_shared(struct request *rq, struct issuing *out)
{
	const struct api_secret *secret = api_secret_signing(out->issue->target.apis[0], rq->now);
	struct signer_api_row row;
	struct signed_token token;
	struct buf text;
	enum err e;

	if (!secret)
		return fail(rq, ERR_UNAVAILABLE, "the api has no secret that signs");
	row = (struct signer_api_row){ .kid = secret->kid, .sealed = secret->sealed };
	buf_init(&text, rq->arena, JWT_SIZE_MAX);
	e = signer_api_sign(rq->signer, &row, out->token.claims, &text, &token);
	if (e == ERR_BAD_SIGNATURE)
		return fail(rq, ERR_UNAVAILABLE,
			    "the api's secret is of a former root: it needs another");
	if (e)
		return fail(rq, e, "the signer did not sign");
	rq->log_kid = arena_str(rq->arena, str_z(token.kid));
	rq->log_jti = arena_str(rq->arena, str_z(token.jti));
	out->token.text = token.text;
	return hand_out(rq, out);
}

/* RFC 7519 5.2, 11.2: signed first, then encrypted, so that the signature is the reader's to see.
 * What is recorded are the claims as they were signed. */
static enum err encrypt_token(struct request *rq, struct issuing *out)
{
	struct made_token *token = &out->token;
	struct jws jws;
	struct buf text;
	enum err e = jws_parse(rq->arena, token->text, &jws);

	if (e)
		return e;
	buf_init(&text, rq->arena, JWT_SIZE_MAX);
	e = jwe_encrypt(out->issue->target.apis[0]->recipient, token->text, &text);
	if (!e)
		e = buf_end(&text, &token->text);
	token->claims = jws.payload;
	token->kid = jws.kid;
	return e;
}

static enum err issue_jwe(struct request *rq, struct issuing *out)
{
	enum err e = sign_claims(rq, out);

	if (e)
		return e;
	e = encrypt_token(rq, out);
	if (e)
		return fail(rq, e == ERR_LIMIT ? ERR_SERVER : e, "a token could not be encrypted");
	return token_record(rq, &out->token, out, after_record);
}

static enum err (*const issue_by_format[API_FORMAT_COUNT])(struct request *, struct issuing *) = {
	[API_JWT] = issue_jwt,
	[API_OPAQUE] = issue_opaque,
	[API_SHARED] = issue_shared,
	[API_JWE] = issue_jwe,
};

static enum err make_and_answer(struct request *rq, struct issue *issue, const struct login *login)
{
	struct issuing *out = arena_new_of(rq->arena, struct issuing);
	struct buf claims;
	enum err e;

	if (!out)
		return fail(rq, ERR_NOMEM, "no memory for a token");
	out->issue = issue;
	out->login = login;
	out->token.exp = rq->now + issue->target.ttl;
	buf_init(&claims, rq->arena, JWT_SIZE_MAX);
	e = claims_write(rq, issue, login, &claims);
	if (!e)
		e = buf_end(&claims, &out->token.claims);
	if (e)
		return fail(rq, e == ERR_LIMIT ? ERR_SERVER : e, "claims could not be written");
	return issue_by_format[issue->target.format](rq, out);
}

/* In the writer's transaction: client and user are read again and pass the gate again, so that a
 * login cannot begin behind the back of a disable that has just been acknowledged. */
static enum err store_beginning(struct lane_ctx *ctx, void *arg)
{
	struct beginning *b = arg;
	struct arena *a = b->rq->arena;
	enum err e;

	b->refusal = ERR_OK;
	e = store_client_get(ctx->db, a, b->rq->client->id, &b->client);
	if (!e)
		e = store_user_get(ctx->db, a, b->issue->user->id, &b->user);
	if (e == ERR_NOT_FOUND) {
		b->refused = "client or user was deleted meanwhile";
		b->refusal = ERR_INVALID_GRANT;
		return ERR_OK;
	}
	if (e)
		return e;
	b->refusal = gate_subject(&b->client, &b->user, &b->refused);
	if (!b->refusal && !str_equal(b->user.password, b->issue->user->password)) {
		b->refused = "the password was changed while it was checked";
		b->refusal = ERR_INVALID_GRANT;
	}
	if (b->refusal)
		return ERR_OK;
	if (b->issue->refresh)
		e = store_login_create(ctx->db, &b->login);
	if (!e && b->issue->rehash.p)
		e = store_user_rehash(ctx->db, b->user.id, b->issue->user->password,
				      b->issue->rehash);
	return e ? e : store_audit(ctx->db, &b->audit);
}

static enum err after_beginning(struct request *rq, enum err result)
{
	struct beginning *b = rq->state;

	if (result)
		return fail(rq, result, "the login could not be stored");
	if (b->refusal)
		return fail(rq, b->refusal, "%s", b->refused);
	audit_count(rq, &b->audit, true);
	return make_and_answer(rq, b->issue, &b->login);
}

static enum err join_audiences(struct request *rq, const struct target *t, struct str *ret)
{
	struct buf b;

	buf_init(&b, rq->arena, AUDIENCES_MAX * (URI_MAX + 1));
	for (size_t i = 0; i < t->api_count; i++) {
		if (i)
			buf_byte(&b, ' ');
		buf_str(&b, t->apis[i]->uri);
	}
	return buf_end(&b, ret);
}

static enum err fill_login(struct request *rq, const struct issue *issue, struct login *l)
{
	const struct config *config = rq->snapshot->config;
	unsigned char sid[SID_BYTES];
	char *sid_text = arena_alloc(rq->arena, B64URL_LEN(SID_BYTES) + 1);
	struct buf scope;
	enum err e;

	if (!sid_text)
		return ERR_NOMEM;
	e = rq->app->env->random(rq->app->env, l->id, sizeof(l->id));
	if (!e)
		e = rq->app->env->random(rq->app->env, l->seed, sizeof(l->seed));
	if (!e)
		e = rq->app->env->random(rq->app->env, sid, sizeof(sid));
	if (e)
		return e;
	b64url_encode_z(sid, sizeof(sid), sid_text);
	l->sid = str_z(sid_text);
	l->client_id = rq->client->id;
	l->user_id = issue->user->id;
	l->amr = STR("pwd"); /* RFC 8176 2 */
	l->auth_time = l->created_at = l->rotated_at = rq->now;
	l->expires_at = rq->now + config->tokens.refresh_max;
	l->idle_until = rq->now + config->tokens.refresh_ttl;
	if (l->idle_until > l->expires_at)
		l->idle_until = l->expires_at;
	buf_init(&scope, rq->arena, SCOPE_MAX);
	scope_write(&issue->target.scope, &scope);
	e = buf_end(&scope, &l->scope);
	return e ? e : join_audiences(rq, &issue->target, &l->audience);
}

static enum err begin_login(struct request *rq, struct issue *issue)
{
	struct beginning *b = arena_new_of(rq->arena, struct beginning);
	enum err e;

	if (!b)
		return fail(rq, ERR_NOMEM, "no memory for a login");
	b->rq = rq;
	b->issue = issue;
	e = fill_login(rq, issue, &b->login);
	if (e)
		return fail(rq, e, "a login could not be made");
	audit_fill(rq, AUDIT_LOGIN_BEGIN, "ok", issue->user->id, &b->audit);
	rq->state = b;
	return park(rq, LANE_WRITER, store_beginning, b, after_beginning);
}

enum err token_issue(struct request *rq, struct issue *issue)
{
	enum err e = check_gate(rq, rq->client, issue->user);

	if (e)
		return e;
	/* under the next root nobody would know it, whatever its format */
	if (atomic_load(&rq->app->wishes->restart))
		return fail(rq, ERR_UNAVAILABLE, "all keys were revoked, the next process follows");
	if (issue->user && !issue->login)
		return begin_login(rq, issue);
	return make_and_answer(rq, issue, issue->login);
}
