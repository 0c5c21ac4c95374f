/* The frame around every administrative act, so that no endpoint can forget a part of it: the audit
 * row in the act's own transaction, the mapping of the store's facts to statuses, the record of a
 * refusal that smells of escalation, memory made right before the answer. */
#include "server/admin/admin_act.h"

#include <assert.h>

#include "server/request/app.h"
#include "server/token/auth.h"
#include "server/token/refresh.h"

enum {
	TARGET_MAX = 16 + URI_MAX,
	GROUP_ROWS = 50,
	GROUP_ARENA_MAX = 4 << 20,  /* GROUP_ROWS rows with every list full */
	LIST_BYTES_MAX = 144 << 10, /* and one object more, within the request's arena */
};

void *admin_act_new(struct request *rq, size_t size)
{
	struct admin_act *act = arena_alloc(rq->arena, size);

	if (!act) {
		(void)fail(rq, ERR_NOMEM, "no memory for an administrative act");
		return NULL;
	}
	act->rq = rq;
	return act;
}

bool admin_privileged(const struct request *rq)
{
	return rq->actor.scopes & ADMIN_SCOPE_ADMIN;
}

struct str admin_target(struct request *rq, const char *kind, struct str id)
{
	struct str text;
	struct buf b;

	buf_init(&b, rq->arena, TARGET_MAX);
	buf_z(&b, kind);
	buf_str(&b, str_n(id.p, id.n > URI_MAX ? URI_MAX : id.n));
	return buf_end(&b, &text) ? str_z(kind) : text;
}

/* ---- refusals ---- */

/* The store's words in HTTP's. What is not named here stays what it is: 500, 503 or already an
 * answer. */
static enum err on_the_wire(enum err e)
{
	static const struct {
		enum err fact, answer;
	} rows[] = {
		{ ERR_NOT_FOUND, ERR_GONE_RESOURCE },
		{ ERR_CONFLICT, ERR_EXISTS },
		{ ERR_REUSED, ERR_PRECONDITION },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].fact == e)
			return rows[i].answer;
	return e;
}

enum err admin_refuse(struct request *rq, enum err e, const struct admin_fault *fault)
{
	e = on_the_wire(e);
	if (!fault->detail.p)
		return fail(rq, e, "refused: %s", err_name(e));
	(void)fail(rq, e, "%.*s%s%.*s", STR_ARG(fault->pointer), fault->pointer.p ? ": " : "",
		   STR_ARG(fault->detail));
	if (e == ERR_UNPROCESSABLE)
		rq->pointer = fault->pointer;
	rq->description = arena_z(rq->arena, fault->detail);
	return e;
}

static enum err forbid_step(struct lane_ctx *ctx, void *arg)
{
	return store_audit(ctx->db, arg);
}

/* Refused either way; what could not be recorded is told to the log. */
static enum err forbid_done(struct request *rq, enum err result)
{
	const struct audit_row *row = rq->state;

	audit_count(rq, row, !result);
	rq->description = row->reason.p;
	return fail(rq, ERR_FORBIDDEN, "%s%s", row->reason.p,
		    result ? " (audit row not written)" : "");
}

enum err admin_forbid(struct request *rq, struct str target, const char *why)
{
	struct audit_row *row = arena_new_of(rq->arena, struct audit_row);

	if (!row)
		return fail(rq, ERR_NOMEM, "no memory for a refusal's record");
	audit_fill(rq, AUDIT_ADMIN_DENIED, "denied", target, row);
	row->reason = str_z(why);
	rq->state = row;
	return park(rq, LANE_WRITER, forbid_step, row, forbid_done);
}

/* ---- acts ---- */

static enum err act_step(struct lane_ctx *ctx, void *arg)
{
	struct admin_act *act = arg;
	enum err e;

	act->fault = (struct admin_fault){ STR_NONE, STR_NONE };
	e = act->step(ctx, act);
	return e ? e : store_audit(ctx->db, &act->row);
}

static enum err act_done(struct request *rq, enum err result)
{
	struct admin_act *act = rq->state;

	if (result == ERR_FORBIDDEN)
		return admin_forbid(rq, act->target, act->fault.detail.p);
	if (result)
		return admin_refuse(rq, result, &act->fault);
	audit_count(rq, &act->row, true);
	return act->done(rq, act);
}

static enum err hash_step(struct lane_ctx *ctx, void *arg)
{
	struct admin_act *act = arg;

	return act->hash(ctx, act);
}

static enum err hash_done(struct request *rq, enum err result)
{
	if (result)
		return fail(rq, result, "could not be hashed: %s", err_name(result));
	return park(rq, LANE_WRITER, act_step, rq->state, act_done);
}

enum err admin_act_run(struct request *rq, struct admin_act *act)
{
	audit_fill(rq, act->event, "ok", act->target, &act->row);
	rq->state = act;
	if (act->hash)
		return park(rq, LANE_HASH, hash_step, act, hash_done);
	return park(rq, LANE_WRITER, act_step, act, act_done);
}

enum err admin_revoked(struct request *rq, enum revoke_kind kind, struct str value, bool for_ever)
{
	const int64_t now = rq->app->env->now(rq->app->env);
	const int64_t until = revoke_until(rq);
	const struct revocation entry = {
		.kind = kind,
		.value = value,
		.iat_max = for_ever ? until : now,
		.until = until,
	};

	if (revoked_add(rq->app->revoked, &entry))
		return fail(rq, ERR_UNAVAILABLE, "stored, but not yet revoked in memory");
	return ERR_OK;
}

enum err admin_publish(struct lane_ctx *ctx, void *arg)
{
	const struct request *rq = arg;

	/* the configuration in force, which may be a newer one than the request's */
	return snapshot_rebuild(rq->app, ctx->db, NULL);
}

/* ---- reads ---- */

static enum err read_step(struct lane_ctx *ctx, void *arg)
{
	struct request *rq = arg;
	const struct admin_read *read = rq->state;
	enum err e = db_begin(ctx->db);

	if (e)
		return e;
	e = read->run(ctx, rq, read->arg);
	db_rollback(ctx->db);
	return e;
}

static enum err read_done(struct request *rq, enum err result)
{
	const struct admin_read *read = rq->state;

	rq->state = read->arg;
	return read->next(rq, result);
}

enum err admin_read(struct request *rq, const struct admin_read *read)
{
	struct admin_read *mine = arena_new_of(rq->arena, struct admin_read);

	if (!mine)
		return fail(rq, ERR_NOMEM, "no memory for a read");
	*mine = *read;
	rq->state = mine;
	return park(rq, LANE_BLOCKING, read_step, rq, read_done);
}

/* ---- lists ---- */

bool admin_list_next(struct admin_list *l, struct str key)
{
	l->seen++;
	if (l->shown == l->page.size || (l->shown && l->out->n > LIST_BYTES_MAX)) {
		l->full = true;
		return false;
	}
	assert(key.n <= sizeof(l->last)); /* ids and URIs are bounded when they are made */
	memcpy(l->last, key.p, key.n);
	l->last_len = key.n;
	l->shown++;
	return true;
}

/* One group: rows in memory of their own, which goes at once. */
static enum err list_group(struct lane_ctx *ctx, struct admin_list *l, int64_t limit)
{
	AUTO(arena, scratch) = NULL;
	enum err e = arena_new(GROUP_ARENA_MAX, &scratch);

	if (e)
		return e;
	l->seen = 0;
	l->page.after = str_n(l->last, l->last_len);
	return l->group(ctx->db, scratch, l, limit);
}

static enum err list_write(struct lane_ctx *ctx, struct admin_list *l, struct buf *out)
{
	enum err e = ERR_OK;

	l->out = out;
	admin_page_begin(&l->w, out);
	while (!e && !l->full) {
		/* one more than may be shown tells whether there is another page */
		int64_t left = l->page.size - l->shown + 1;
		int64_t limit = left < GROUP_ROWS ? left : GROUP_ROWS;

		e = list_group(ctx, l, limit);
		if (l->seen < limit)
			break;
	}
	admin_page_end(&l->w, l->key, &l->page, l->full ? str_n(l->last, l->last_len) : STR_NONE);
	return e;
}

static enum err list_step(struct lane_ctx *ctx, struct request *rq, void *arg)
{
	struct admin_list *l = arg;
	struct str text;
	struct buf out;
	enum err e;

	buf_init(&out, NULL, LIST_BYTES_MAX + ADMIN_OBJECT_MAX);
	e = list_write(ctx, l, &out);
	if (!e)
		e = buf_end(&out, &text);
	if (!e) {
		l->text = arena_str(rq->arena, text);
		e = l->text.p ? ERR_OK : ERR_NOMEM;
	}
	buf_done(&out);
	return e;
}

static enum err list_done(struct request *rq, enum err result)
{
	const struct admin_list *l = rq->state;

	if (result)
		return fail(rq, result, "list could not be read: %s", err_name(result));
	return respond_text(rq, 200, "application/json", l->text);
}

enum err admin_list_run(struct request *rq, struct admin_list *l)
{
	const struct admin_read read = { .run = list_step, .arg = l, .next = list_done };

	if (l->page.after.n > sizeof(l->last))
		return fail(rq, ERR_BAD_REQUEST, "page_token too long");
	memcpy(l->last, l->page.after.p, l->page.after.n);
	l->last_len = l->page.after.n;
	l->key = &rq->app->derived.page_token;
	return admin_read(rq, &read);
}

/* ---- answers ---- */

enum err admin_respond(struct request *rq, int status, struct buf *body, int64_t version)
{
	if (version)
		admin_etag(rq, version);
	return respond_json(rq, status, body);
}

enum err admin_no_content(struct request *rq)
{
	return respond_text(rq, 204, NULL, STR(""));
}
