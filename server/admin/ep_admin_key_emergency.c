/* /admin/v1/keys, what is done when something is wrong: a key is bad, or all are; the master key is
 * to change; the clock is right after all. Each act waits for the writer and the signer, so it runs
 * in the blocking lane; its audit row is written in the keyring's own store step. What it changed
 * is published, and what it revoked is revoked in memory, before it is answered. */
#include "server/admin/admin.h"
#include "server/admin/admin_keys.h"
#include "server/request/app.h"

/* ---- POST /keys/{kid}/revoke ---- */

/* By token, in an hour. Each ends a key for good and a line of the list with it (revoked_kids.h):
 * who stole a token of chancery:keys must not burn keys until the list is full and the next true
 * emergency refused. The socket's peer may always; `revoke-all` needs chancery:admin, and roots are
 * few. Two at the same moment may make it one more. */
enum { REVOKED_BY_TOKEN_MAX = 12, REVOKED_WINDOW = 3600 };

struct emergency {
	struct request *rq;
	struct audit_row audit;
	struct str kid; /* absent: every key */
	bool again;	/* it was revoked before */
	int64_t wait;	/* seconds, with ERR_RATE_LIMITED */
	int64_t cached_until;
	size_t count;
	struct revoke_result results[REVOKE_ALL_MAX];
};

static void result_write(struct jsonw *w, const struct emergency *m, const struct revoke_result *r)
{
	jsonw_member_z(w, "kid", r->kid);
	jsonw_member_z(w, "signs_now", r->signs_now);
	jsonw_member_int(w, "outstanding_tokens", r->outstanding);
	jsonw_member_bool(w, "outstanding_exact", r->exact);
	admin_write_time(w, "latest_expiry", r->latest_expiry);
	admin_write_time(w, "cached_until", m->cached_until);
}

/* 0: now. Else seconds until the earliest of the last REVOKED_BY_TOKEN_MAX is an hour old. By what
 * the database knows, whoever did it, so that no restart begins anew. */
static int64_t wait_for_measure(const struct keyring_view *v, int64_t now)
{
	int64_t last[REVOKED_BY_TOKEN_MAX] = { 0 }, wait; /* the latest first */

	for (size_t i = 0; i < v->count; i++) {
		int64_t at = v->infos[i].revoked_at;

		for (size_t place = 0; place < REVOKED_BY_TOKEN_MAX; place++) {
			int64_t other = last[place];

			if (at <= other)
				continue;
			last[place] = at;
			at = other;
		}
	}
	wait = last[REVOKED_BY_TOKEN_MAX - 1] + REVOKED_WINDOW - now;
	return wait > 0 ? wait : 0;
}

/* What is revoked already costs nothing, and is told; what is not there neither. */
static enum err check_measure(struct emergency *m, int64_t now)
{
	struct request *rq = m->rq;
	struct keyring_view *v;
	const struct keyring_key *key;

	if (!rq->authorization.p)
		return ERR_OK; /* the socket's peer */
	v = keyring_view_get(rq->app->keyring);
	key = admin_key_named(v, m->kid);
	if (key && key->info.state != KEY_REVOKED)
		m->wait = wait_for_measure(v, now);
	keyring_view_unref(v);
	return m->wait ? ERR_RATE_LIMITED : ERR_OK;
}

/* The set that is served is now one without the bad key; caches took the last one with it home
 * until this moment, not until the database knew. */
static enum err withdraw(struct lane_ctx *ctx, struct emergency *m)
{
	enum err e = admin_publish(ctx, m->rq);

	m->cached_until = keyring_cached_until(m->rq->app->keyring, ctx->env->now(ctx->env));
	return e;
}

/* Published also after a failure: what has been done must be seen. And before anything is made: an
 * RSA key takes a second or so, in which nobody should fetch the bad one. */
static enum err revoke_run(struct lane_ctx *ctx, void *arg)
{
	struct emergency *m = arg;
	struct keyring *k = m->rq->app->keyring;
	enum err e = check_measure(m, ctx->env->now(ctx->env)), published;

	if (e)
		return e;
	e = keyring_revoke(k, m->kid, &m->audit, &m->results[0]);
	if (e == ERR_NOT_FOUND)
		return e;
	m->again = e == ERR_REUSED;
	published = withdraw(ctx, m);
	if (e || published)
		return m->again ? published : e ? e : published;
	keyring_make_good(k, m->results[0].alg, &m->results[0]);
	return admin_publish(ctx, m->rq);
}

static enum err refuse_measure(struct request *rq, int64_t wait)
{
	rq->retry_after = wait;
	rq->description =
		"Too many keys were revoked within the hour; over the server's own socket "
		"there is no limit.";
	return fail(rq, ERR_RATE_LIMITED, "a token has revoked enough keys for now");
}

/* Entered in memory also after a failure: whoever calls a key bad does not want its tokens to be
 * good until the next try. */
static enum err revoke_done(struct request *rq, enum err result)
{
	const struct emergency *m = rq->state;
	struct jsonw w;
	struct buf b;
	enum err entered;

	if (result == ERR_NOT_FOUND)
		return fail(rq, ERR_GONE_RESOURCE, "no such key");
	if (result == ERR_RATE_LIMITED)
		return refuse_measure(rq, m->wait);
	entered = admin_revoked(rq, REVOKE_KID, m->kid, true);
	if (result)
		return fail(rq, result, "revocation was cut off: %s", err_name(result));
	if (!m->again)
		audit_count(rq, &m->audit, true);
	if (entered)
		return entered;
	buf_init(&b, rq->arena, KEYS_TEXT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	result_write(&w, m, &m->results[0]);
	jsonw_end_object(&w);
	return respond_json(rq, 200, &b);
}

static struct emergency *emergency_new(struct request *rq, enum audit_event event, struct str kid)
{
	struct emergency *m = arena_new_of(rq->arena, struct emergency);

	if (!m) {
		(void)fail(rq, ERR_NOMEM, "no memory for an emergency");
		return NULL;
	}
	m->rq = rq;
	m->kid = kid;
	audit_fill(rq, event, "ok", kid, &m->audit);
	rq->state = m;
	return m;
}

enum err admin_key_revoke(struct request *rq)
{
	enum err e = admin_keys_no_body(rq);
	struct emergency *m;

	if (e)
		return e;
	m = emergency_new(rq, AUDIT_KEY_REVOKE, rq->path_args[0]);
	return m ? park(rq, LANE_BLOCKING, revoke_run, m, revoke_done) : ERR_NOMEM;
}

/* ---- POST /keys/revoke-all ---- */

/* What the keeper of the master key says of the next one; nothing has changed then. */
static const struct {
	enum err fact, answer;
	const char *description;
} custody_refusals[] = {
	{ ERR_UNSUPPORTED, ERR_UNPROCESSABLE, "The master key cannot change here." },
	{ ERR_NOT_FOUND, ERR_NOT_READY,
	  "There is no next master key: put it beside the present one, as FILE.next." },
	{ ERR_FORBIDDEN, ERR_NOT_READY,
	  "The next master key's file has the wrong owner or mode, or cannot be read." },
	{ ERR_SYNTAX, ERR_NOT_READY, "The next master key's file must hold 32 bytes." },
	{ ERR_CONFLICT, ERR_NOT_READY, "The next master key is the present one." },
	{ ERR_LIMIT, ERR_NOT_READY, "Too many root keys are held." },
};

enum err admin_custody_refuse(struct request *rq, enum err result, const char *what)
{
	for (size_t i = 0; i < sizeof(custody_refusals) / sizeof(*custody_refusals); i++) {
		if (custody_refusals[i].fact != result)
			continue;
		rq->description = custody_refusals[i].description;
		return fail(rq, custody_refusals[i].answer, "%s refused: %s", what,
			    err_name(result));
	}
	return fail(rq, result, "%s failed: %s", what, err_name(result));
}

static enum err revoke_all_run(struct lane_ctx *ctx, void *arg)
{
	struct emergency *m = arg;
	enum err e = keyring_revoke_all(m->rq->app->keyring, &m->audit, m->results, &m->count);

	return e ? e : withdraw(ctx, m);
}

static enum err revoke_all_done(struct request *rq, enum err result)
{
	const struct emergency *m = rq->state;
	enum err entered = ERR_OK;
	struct jsonw w;
	struct buf b;

	if (result)
		return admin_custody_refuse(rq, result, "revocation of every key");
	audit_count(rq, &m->audit, true);
	buf_init(&b, rq->arena, KEYS_TEXT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_key(&w, "items");
	jsonw_array(&w);
	for (size_t i = 0; i < m->count; i++) {
		enum err e = admin_revoked(rq, REVOKE_KID, str_z(m->results[i].kid), true);

		entered = entered ? entered : e;
		jsonw_object(&w);
		result_write(&w, m, &m->results[i]);
		jsonw_end_object(&w);
	}
	jsonw_end_array(&w);
	jsonw_member_bool(&w, "restarts", true);
	jsonw_end_object(&w);
	atomic_store(&rq->app->wishes->restart, true);
	return entered ? entered : respond_json(rq, 202, &b);
}

enum err admin_keys_revoke_all(struct request *rq)
{
	enum err e = admin_keys_no_body(rq);
	struct emergency *m;

	if (e)
		return e;
	m = emergency_new(rq, AUDIT_KEY_REVOKE_ALL, STR_NONE);
	return m ? park(rq, LANE_BLOCKING, revoke_all_run, m, revoke_all_done) : ERR_NOMEM;
}

/* ---- POST /keys/rewrap ---- */

struct rewrap {
	struct request *rq;
	struct audit_row audit;
	size_t roots;
};

static enum err rewrap_run(struct lane_ctx *ctx, void *arg)
{
	struct rewrap *r = arg;

	(void)ctx;
	return keyring_rewrap(r->rq->app->keyring, &r->audit, &r->roots);
}

static enum err rewrap_done(struct request *rq, enum err result)
{
	const struct rewrap *r = rq->state;
	struct jsonw w;
	struct buf b;

	if (result)
		return admin_custody_refuse(rq, result, "rewrap");
	audit_count(rq, &r->audit, true);
	buf_init(&b, rq->arena, KEYS_TEXT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member_int(&w, "roots", (int64_t)r->roots);
	jsonw_end_object(&w);
	return respond_json(rq, 200, &b);
}

enum err admin_keys_rewrap(struct request *rq)
{
	struct rewrap *r = arena_new_of(rq->arena, struct rewrap);
	enum err e = admin_keys_no_body(rq);

	if (e)
		return e;
	if (!r)
		return fail(rq, ERR_NOMEM, "no memory for a rewrap");
	r->rq = rq;
	audit_fill(rq, AUDIT_KEY_REWRAP, "ok", STR_NONE, &r->audit);
	rq->state = r;
	return park(rq, LANE_BLOCKING, rewrap_run, r, rewrap_done);
}

/* ---- POST /keys/resume ---- */

static enum err resume_step(struct lane_ctx *ctx, struct admin_act *act)
{
	(void)ctx;
	(void)act;
	return ERR_OK; /* the audit row is all there is to store */
}

static enum err resume_done(struct request *rq, struct admin_act *act)
{
	(void)act;
	atomic_store(&rq->app->wishes->clock_vouched, true);
	return admin_no_content(rq);
}

enum err admin_keys_resume(struct request *rq)
{
	enum err e = admin_keys_no_body(rq);
	struct admin_act *act;

	if (e)
		return e;
	act = admin_act_new(rq, sizeof(*act));
	if (!act)
		return ERR_NOMEM;
	act->event = AUDIT_CLOCK_RESUME;
	act->target = STR_NONE;
	act->step = resume_step;
	act->done = resume_done;
	return admin_act_run(rq, act);
}
