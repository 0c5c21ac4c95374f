/* Names of audit events, and the table where refusals wait to become one row a minute. */
#include "server/request/audit.h"

#include <pthread.h>
#include <stdlib.h>

#include "server/request/app.h"
#include "server/state/ratelimit.h"

static const char *const names[AUDIT_EVENT_COUNT] = {
	[AUDIT_CLIENT_CREATE] = "client.create",
	[AUDIT_CLIENT_UPDATE] = "client.update",
	[AUDIT_CLIENT_DELETE] = "client.delete",
	[AUDIT_SECRET_ADD] = "client.secret.add",
	[AUDIT_SECRET_REMOVE] = "client.secret.remove",
	[AUDIT_API_SECRET] = "api.secret.rotate",
	[AUDIT_USER_CREATE] = "user.create",
	[AUDIT_USER_UPDATE] = "user.update",
	[AUDIT_USER_DELETE] = "user.delete",
	[AUDIT_USER_PASSWORD] = "user.password",
	[AUDIT_USER_UNLOCK] = "user.unlock",
	[AUDIT_API_CREATE] = "api.create",
	[AUDIT_API_UPDATE] = "api.update",
	[AUDIT_API_DELETE] = "api.delete",
	[AUDIT_KEY_ROTATE] = "key.rotate",
	[AUDIT_KEY_CREATE] = "key.create",
	[AUDIT_KEY_REMOVE] = "key.remove",
	[AUDIT_KEY_REVOKE] = "key.revoke",
	[AUDIT_KEY_REVOKE_ALL] = "key.revoke_all",
	[AUDIT_KEY_RELIST] = "key.relist",
	[AUDIT_KEY_IMPORT] = "key.import",
	[AUDIT_KEY_REWRAP] = "key.rewrap",
	[AUDIT_KEY_DRILL] = "key.drill",
	[AUDIT_CLOCK_JUMP] = "clock.jump",
	[AUDIT_CLOCK_RESUME] = "clock.resume",
	[AUDIT_LOGIN_BEGIN] = "login.begin",
	[AUDIT_LOGIN_END] = "login.end",
	[AUDIT_LOGIN_REFUSED] = "login.refused",
	[AUDIT_REFRESH_REUSE] = "refresh.reuse",
	[AUDIT_REFRESH_AHEAD] = "refresh.ahead",
	[AUDIT_TOKEN_REVOKE] = "token.revoke",
	[AUDIT_TOKEN_FORGED] = "token.forged",
	[AUDIT_ADMIN_DENIED] = "admin.denied",
	[AUDIT_SERVER_START] = "server.start",
	[AUDIT_SERVER_STOP] = "server.stop",
	[AUDIT_CONFIG_RELOAD] = "config.reload",
};

const char *audit_name(enum audit_event e)
{
	return (unsigned)e < AUDIT_EVENT_COUNT && names[e] ? names[e] : "unknown";
}

const char *const *audit_names(void)
{
	return names;
}

/* The admin API's caller, else the client that authenticated, else nobody we know. */
static struct str actor_of(struct request *rq)
{
	struct str text;
	struct buf b;

	if (rq->actor.name.p)
		return rq->actor.name;
	if (!rq->client)
		return STR("anonymous");
	buf_init(&b, rq->arena, ID_MAX + sizeof("client:"));
	buf_z(&b, "client:");
	buf_str(&b, rq->client->id);
	return buf_end(&b, &text) == ERR_OK ? text : STR("client");
}

static struct str present(struct str s)
{
	return s.p ? s : STR("");
}

void audit_fill(struct request *rq, enum audit_event event, const char *outcome, struct str target,
		struct audit_row *ret_row)
{
	*ret_row = (struct audit_row){
		.at = rq->now,
		.event = str_z(audit_name(event)),
		.outcome = str_z(outcome),
		.actor = actor_of(rq),
		.target = present(target),
		.address = present(rq->address),
		.request_id = str_z(rq->id),
		.reason = str_z(rq->why),
		.count = 1,
	};
}

static unsigned event_of(const struct audit_row *row)
{
	unsigned e = 0;

	while (e < AUDIT_EVENT_COUNT && !str_equal_z(row->event, names[e]))
		e++;
	return e < AUDIT_EVENT_COUNT ? e : METRICS_NO_TYPE;
}

static enum audit_outcome outcome_of(const struct audit_row *row)
{
	if (str_equal(row->outcome, STR("denied")))
		return AUDIT_DENIED;
	return str_equal(row->outcome, STR("ended")) ? AUDIT_ENDED : AUDIT_OK;
}

void audit_count(struct request *rq, const struct audit_row *row, bool written)
{
	if (written)
		count_audit_event(rq->metrics, event_of(row), outcome_of(row));
	else
		count_audit_error(rq->metrics, event_of(row));
}

/* ---- folding ---- */

enum {
	REASON_LEN = sizeof(((struct request *)0)->why) - 1,
	/* places for "all other subjects", one per event and minute that overflows */
	OTHERS_MAX = 16,
	PLACES = AUDIT_FOLD_MAX + OTHERS_MAX,
};

struct fold {
	int64_t count;	 /* 0: free */
	int64_t written; /* of them, in rows not known to be committed yet */
	int64_t minute;
	int64_t at; /* of the first */
	enum audit_event event;
	char network[NETWORK_LEN + 1];
	char subject[ID_MAX + 1];
	char reason[REASON_LEN + 1];
	char request_id[REQUEST_ID_LEN + 1];
};

struct audit_folder {
	pthread_mutex_t lock; /* guards folds */
	struct fold folds[PLACES];
};

enum err audit_folder_new(struct audit_folder **ret_folder)
{
	struct audit_folder *f = calloc(1, sizeof(*f));

	if (!f)
		return ERR_NOMEM;
	pthread_mutex_init(&f->lock, NULL);
	*ret_folder = f;
	return ERR_OK;
}

void audit_folder_free(struct audit_folder *f)
{
	if (!f)
		return;
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static void copy_cut(char *to, size_t cap, struct str from)
{
	const size_t n = from.n < cap ? from.n : cap - 1;

	if (n > 0)
		memcpy(to, from.p, n);
	to[n] = '\0';
}

static bool same(const struct fold *a, const struct fold *b)
{
	return a->event == b->event && a->minute == b->minute &&
	       strcmp(a->network, b->network) == 0 && strcmp(a->subject, b->subject) == 0;
}

/* The place of `what` among count places, or a free one for it; NULL when there is neither. */
static struct fold *place_of(struct fold *places, size_t count, const struct fold *what)
{
	struct fold *free_place = NULL;

	for (size_t i = 0; i < count; i++) {
		if (places[i].count == 0) {
			free_place = free_place ? free_place : &places[i];
			continue;
		}
		if (same(&places[i], what))
			return &places[i];
	}
	if (free_place)
		*free_place = *what;
	return free_place;
}

static void add(struct audit_folder *f, struct fold *what)
{
	struct fold *place = place_of(f->folds, AUDIT_FOLD_MAX, what);

	if (!place) {
		what->network[0] = '\0';
		copy_cut(what->subject, sizeof(what->subject), STR("others"));
		place = place_of(f->folds + AUDIT_FOLD_MAX, OTHERS_MAX, what);
	}
	/* OTHERS_MAX kinds in one flood: the last row takes the rest, so that no refusal goes
	 * uncounted */
	if (!place)
		place = &f->folds[PLACES - 1];
	place->count++;
}

void audit_fold(struct audit_folder *f, const struct audit_refusal *r)
{
	struct fold what = { .event = r->event, .minute = r->now / 60, .at = r->now };

	network_of(r->address, what.network);
	copy_cut(what.subject, sizeof(what.subject), r->subject);
	copy_cut(what.reason, sizeof(what.reason), r->reason);
	copy_cut(what.request_id, sizeof(what.request_id), r->request_id);
	pthread_mutex_lock(&f->lock);
	add(f, &what);
	pthread_mutex_unlock(&f->lock);
}

void audit_refusal_add(struct request *rq, const struct audit_refusal *r)
{
	if (!rq->app->refusals)
		return;
	audit_fold(rq->app->refusals, r);
	count_audit_event(rq->metrics, r->event, AUDIT_DENIED);
}

void audit_refused(struct request *rq, enum audit_event event, struct str subject)
{
	const struct audit_refusal r = {
		.event = event,
		.subject = subject,
		.address = rq->address,
		.reason = str_z(rq->why),
		.request_id = str_z(rq->id),
		.now = rq->now,
	};

	audit_refusal_add(rq, &r);
}

static bool is_due(const struct fold *fold, int64_t now, bool all)
{
	return fold->count > 0 && (all || fold->minute != now / 60);
}

static enum err write_row(struct db *db, const struct fold *fold)
{
	const struct audit_row row = {
		.at = fold->at,
		.event = str_z(audit_name(fold->event)),
		.outcome = STR("denied"),
		.actor = STR("anonymous"),
		.target = str_z(fold->subject),
		.address = str_z(fold->network),
		.request_id = str_z(fold->request_id),
		.reason = str_z(fold->reason),
		.count = fold->count,
	};

	return store_audit(db, &row);
}

enum err audit_fold_write(struct audit_folder *f, struct db *db, int64_t now, bool all,
			  size_t *ret_rows)
{
	size_t rows = 0;

	for (size_t i = 0; i < PLACES; i++) {
		struct fold copy;
		enum err e;

		pthread_mutex_lock(&f->lock);
		copy = f->folds[i];
		f->folds[i].written = is_due(&copy, now, all) ? copy.count : 0;
		pthread_mutex_unlock(&f->lock);
		if (!is_due(&copy, now, all))
			continue;
		e = write_row(db, &copy);
		if (e)
			return e;
		rows++;
	}
	*ret_rows = rows;
	return ERR_OK;
}

void audit_fold_written(struct audit_folder *f)
{
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < PLACES; i++) {
		f->folds[i].count -= f->folds[i].written;
		f->folds[i].written = 0;
	}
	pthread_mutex_unlock(&f->lock);
}

bool audit_fold_due(struct audit_folder *f, int64_t now)
{
	bool due = false;

	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < PLACES && !due; i++)
		due = is_due(&f->folds[i], now, false);
	pthread_mutex_unlock(&f->lock);
	return due;
}
