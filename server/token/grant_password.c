/* password (RFC 6749 4.3), for clients that cannot be changed yet (RFC 9700 2.4 says: must not be
 * used). Off unless the client has it; for a public client only by an option of its own.
 *
 * An unknown user, a wrong password and a disabled user get the same answer at the same cost: each
 * pays one Argon2id. Whether a pair of name and network must wait depends on its failures alone,
 * never on whether the name exists, and the attempt is counted before the hash is computed. */
#include "server/token/endpoints.h"

#include "server/request/app.h"
#include "server/request/audit.h"
#include "server/request/router.h"
#include "server/store/gate.h"
#include "server/store/lists.h"
#include "server/token/token.h"

struct login_attempt {
	struct str counter; /* "u:" name */
	struct str username;
	struct str password;
	struct user user;
	bool found;
	bool right;
	bool rehash;
	struct issue issue;
	struct str new_hash;
	int64_t started_us;
};

/* In the hash lane. An absent user is hashed against nothing, which costs the same. */
static enum err check_password(struct lane_ctx *ctx, void *arg)
{
	struct request *rq = arg;
	struct login_attempt *a = rq->state;
	struct str hash = STR_NONE;
	enum err e;

	a->right = false;
	e = store_user_by_name(ctx->db, rq->arena, a->username, &a->user);
	a->found = !e;
	if (e && e != ERR_NOT_FOUND)
		return e;
	if (a->found)
		hash = a->user.password;
	e = password_verify(ctx->env, hash, a->password, &a->rehash);
	if (e && e != ERR_BAD_SIGNATURE)
		return e;
	a->right = a->found && !e;
	if (a->right && a->rehash && password_hash(ctx->env, rq->arena, a->password, &a->new_hash))
		a->new_hash = STR_NONE; /* the old hash still serves */
	return ERR_OK;
}

static enum err refuse(struct request *rq, struct login_attempt *a, const char *why)
{
	enum err e = fail(rq, ERR_INVALID_GRANT, "%s", why);

	audit_refused(rq, AUDIT_LOGIN_REFUSED, a->found ? a->user.id : STR("unknown"));
	return e;
}

static enum err after_check(struct request *rq, enum err result)
{
	struct login_attempt *a = rq->state;
	const char *why;

	wipe((void *)(uintptr_t)a->password.p, a->password.n);
	if (result) {
		attempts_cancel(rq->app->attempts, a->counter, rq->address);
		return fail(rq, result, "password could not be checked");
	}
	count_password(rq->metrics, a->right,
		       rq->app->env->monotonic(rq->app->env) - a->started_us);
	if (!a->right)
		return refuse(rq, a, a->found ? "wrong password" : "unknown user");
	rq->log_subject = a->user.id;
	/* the gate again in the writer's transaction; here so that a disabled user costs no write
	 */
	if (gate_subject(rq->client, &a->user, &why))
		return refuse(rq, a, why);
	attempts_success(rq->app->attempts, a->counter, rq->address);
	a->issue.user = &a->user;
	a->issue.rehash = a->new_hash;
	return token_issue(rq, &a->issue);
}

static enum err counter_name(struct request *rq, struct login_attempt *a)
{
	struct buf b;

	buf_init(&b, rq->arena, ID_MAX + 2);
	buf_z(&b, "u:");
	buf_str(&b, str_trim(a->username));
	return buf_end(&b, &a->counter);
}

static enum err read_attempt(struct request *rq, struct login_attempt *a)
{
	a->username = form_get(rq->form, "username");
	a->password = form_get(rq->form, "password");
	if (!a->username.p || !a->password.p)
		return fail(rq, ERR_INVALID_REQUEST, "username or password is missing");
	/* refused, never truncated: a hash of a prefix would accept the prefix */
	if (a->username.n > ID_MAX || a->password.n > PASSWORD_MAX)
		return fail(rq, ERR_INVALID_GRANT, "username or password too long");
	return counter_name(rq, a);
}

enum err grant_password(struct request *rq)
{
	const struct config *config = rq->snapshot->config;
	struct login_attempt *a = arena_new_of(rq->arena, struct login_attempt);
	enum err e;

	if (!a)
		return fail(rq, ERR_NOMEM, "no memory for the grant");
	if (rq->client->auth_method == AUTH_METHOD_NONE && !rq->client->public_password)
		return fail(rq, ERR_UNAUTHORIZED_CLIENT,
			    "public client without the password option");
	e = read_attempt(rq, a);
	if (e)
		return e;
	e = token_resolve(rq, STR_NONE, STR_NONE, config->tokens.access_ttl, &a->issue.target);
	if (e)
		return e;
	a->issue.refresh = list_has(rq->client->grants, STR("refresh_token"));
	if (attempts_reserve(rq->app->attempts, a->counter, rq->address, &rq->retry_after)) {
		count_rate_limited(rq->metrics, route_index(rq), RATE_PASSWORD);
		e = fail(rq, ERR_RATE_LIMITED,
			 "too many wrong passwords for this user and network");
		audit_refused(rq, AUDIT_LOGIN_REFUSED, STR("delayed"));
		return e;
	}
	a->started_us = rq->app->env->monotonic(rq->app->env);
	rq->state = a;
	e = park(rq, LANE_HASH, check_password, rq, after_check);
	if (rq->shed)
		attempts_cancel(rq->app->attempts, a->counter, rq->address);
	return e;
}
