/* /admin/v1/keys, what is only looked at: the signing keys, and what the plan has in store for
 * them. No private half is ever near here (server/state/keyring.h). */
#include "server/admin/admin.h"
#include "server/admin/admin_keys.h"
#include "server/request/app.h"

/* ---- rendering ---- */

/* Exact once it is known; until then no token can expire later than the bound. An active key goes
 * on signing: it has no last token. */
static int64_t last_expiry(const struct key_info *k)
{
	if (k->last_exp)
		return k->last_exp;
	return k->state == KEY_RETIRING ? k->exp_bound : 0;
}

void admin_laggards_write(struct jsonw *w, const struct consumers_report *report)
{
	jsonw_array(w);
	for (size_t i = 0; i < report->laggard_count; i++)
		jsonw_z(w, report->laggards[i].name);
	jsonw_end_array(w);
}

static void write_holders(const struct request *rq, struct jsonw *w, const struct key_info *k)
{
	struct consumers_report report;

	if (k->state != KEY_STANDBY) {
		jsonw_key(w, "held_by");
		jsonw_null(w);
		jsonw_key(w, "expected");
		jsonw_null(w);
		jsonw_key(w, "laggards");
		jsonw_null(w);
		return;
	}
	consumers_holding(rq->app->consumers, k->alg, str_z(k->kid), rq->now, &report);
	jsonw_member_int(w, "held_by", report.held);
	jsonw_member_int(w, "expected", report.expected);
	jsonw_key(w, "laggards");
	admin_laggards_write(w, &report);
}

void admin_key_write(const struct request *rq, struct jsonw *w, const struct key_info *k)
{
	jsonw_member_z(w, "kid", k->kid);
	jsonw_member_z(w, "alg", alg_name(k->alg));
	jsonw_member_z(w, "state", key_state_name(k->state));
	jsonw_member_z(w, "origin", key_origin_name(k->origin));
	jsonw_member_bool(w, "forced", k->forced);
	admin_write_time(w, "created_at", k->created_at);
	admin_write_time(w, "publish_at", k->publish_at);
	admin_write_time(w, "ready_at", k->ready_at);
	admin_write_time(w, "activate_at", k->activate_at);
	admin_write_time(w, "retire_at", k->retire_at);
	admin_write_time(w, "remove_at", k->remove_at);
	admin_write_time(w, "revoked_at", k->revoked_at);
	admin_write_time(w, "last_token_expires_at", last_expiry(k));
	write_holders(rq, w, k);
}

const struct keyring_key *admin_key_named(const struct keyring_view *v, struct str kid)
{
	for (size_t i = 0; i < v->count; i++)
		if (str_equal_z(kid, v->keys[i].info.kid))
			return &v->keys[i];
	return NULL;
}

enum err admin_keys_no_body(struct request *rq)
{
	const struct admin_shape nothing = { NULL, 0 };
	struct admin_fault fault = { STR_NONE, STR_NONE };
	uint64_t seen;
	enum err e = admin_fields(rq->arena, rq->json, &nothing, NULL, &seen, &fault);

	return e ? admin_refuse(rq, e, &fault) : ERR_OK;
}

/* ---- GET /keys ---- */

static size_t first_after(const struct keyring_view *v, struct str kid)
{
	for (size_t i = 0; kid.n && i < v->count; i++)
		if (str_equal_z(kid, v->keys[i].info.kid))
			return i + 1;
	return 0;
}

static enum err list_view(struct request *rq, const struct keyring_view *v)
{
	struct admin_page page = { .list = "keys" };
	struct str last = STR_NONE;
	struct jsonw w;
	struct buf b;
	size_t i;
	enum err e = admin_page_read(rq, &page);

	if (e)
		return e;
	buf_init(&b, rq->arena, REQUEST_ARENA_MAX);
	admin_page_begin(&w, &b);
	for (i = first_after(v, page.after); i < v->count; i++) {
		if (!page.size-- || b.n > KEYS_TEXT_MAX)
			break;
		jsonw_object(&w);
		admin_key_write(rq, &w, &v->keys[i].info);
		jsonw_end_object(&w);
		last = str_z(v->keys[i].info.kid);
	}
	admin_page_end(&w, &rq->app->derived.page_token, &page, i < v->count ? last : STR_NONE);
	return respond_json(rq, 200, &b);
}

/* The keyring's own view, not the snapshot's: whoever asks wants to know how it stands now. */
enum err admin_keys_list(struct request *rq)
{
	struct keyring_view *v = keyring_view_get(rq->app->keyring);
	enum err e = list_view(rq, v);

	keyring_view_unref(v);
	return e;
}

/* ---- GET /keys/{kid} ---- */

static enum err show_key(struct request *rq, int status, const struct keyring_key *key)
{
	struct jsonw w;
	struct buf b;

	if (!key)
		return fail(rq, ERR_GONE_RESOURCE, "no such key");
	buf_init(&b, rq->arena, KEYS_TEXT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	admin_key_write(rq, &w, &key->info);
	jsonw_end_object(&w);
	return respond_json(rq, status, &b);
}

enum err admin_key_respond(struct request *rq, int status, struct str kid)
{
	struct keyring_view *v = keyring_view_get(rq->app->keyring);
	enum err e = show_key(rq, status, admin_key_named(v, kid));

	keyring_view_unref(v);
	return e;
}

enum err admin_key_show(struct request *rq)
{
	return admin_key_respond(rq, 200, rq->path_args[0]);
}

/* ---- GET /keys/plan ---- */

enum {
	FORESEEN_MAX = 2 * JWKS_KEYS_MAX,
	PLAN_ROWS_MAX = 4 * FORESEEN_MAX + 1, /* a switch is three rows, and one while it waits */
};

struct plan_row {
	int64_t at;
	const char *event;
	enum alg alg;	 /* ALG_UNKNOWN: of all */
	const char *kid; /* "": a key that is still to be made */
	const char *note;
};

struct plan {
	const struct keyring_view *view;
	struct key_foreseen events[FORESEEN_MAX];
	size_t event_count;
	struct plan_row rows[PLAN_ROWS_MAX];
	size_t count;
};

/* In its place by time, after those of the same moment. */
static void add_row(struct plan *p, struct plan_row row)
{
	size_t i = p->count++;

	for (; i > 0 && p->rows[i - 1].at > row.at; i--)
		p->rows[i] = p->rows[i - 1];
	p->rows[i] = row;
}

static void add_switch(struct plan *p, const struct key_foreseen *e)
{
	const struct key_info *old = key_plan_find(p->view->infos, p->view->count, e->alg,
						   KEY_ACTIVE);
	bool waits = e->latest > e->at;

	if (waits)
		add_row(p, (struct plan_row){ e->at, "wait", e->alg, e->kid,
					      "until verifiers hold it; key list names them" });
	add_row(p, (struct plan_row){ e->latest, "activate", e->alg, e->kid,
				      waits ? "at the latest" : "signs from then on" });
	if (old)
		add_row(p, (struct plan_row){ e->latest, "retire", e->alg, old->kid,
					      "its tokens stay good until they expire" });
	add_row(p, (struct plan_row){ e->latest, "publish", e->alg, "", "the next standby" });
}

static void add_event(struct plan *p, const struct key_foreseen *e)
{
	static const char *const events[KEY_FORESEEN_COUNT] = {
		[KEY_FORESEEN_READY] = "ready",
		[KEY_FORESEEN_BOUND] = "raise_bound",
		[KEY_FORESEEN_LEAVE] = "remove",
		[KEY_FORESEEN_MISSING] = "publish",
	};
	static const char *const notes[KEY_FORESEEN_COUNT] = {
		[KEY_FORESEEN_READY] = "every verifier can hold it: rotation by hand is free",
		[KEY_FORESEEN_BOUND] = "how late its tokens may expire is moved on",
		[KEY_FORESEEN_LEAVE] = "its last token has expired",
		[KEY_FORESEEN_MISSING] = "there is no standby; one is made",
	};

	if (e->kind == KEY_FORESEEN_SWITCH)
		add_switch(p, e);
	else
		add_row(p, (struct plan_row){ e->at, events[e->kind], e->alg, e->kid,
					      notes[e->kind] });
}

static void fill_plan(const struct request *rq, struct plan *p)
{
	struct keyring *k = rq->app->keyring;

	p->event_count = keyring_forecast(k, rq->now, p->events, FORESEEN_MAX);
	if (keyring_outlook(k).clock_in_doubt)
		add_row(p,
			(struct plan_row){ rq->now, "wait", ALG_UNKNOWN, "",
					   "the clock jumped: only bounds move until it has gone "
					   "well for a while, or key resume" });
	for (size_t i = 0; i < p->event_count; i++)
		add_event(p, &p->events[i]);
}

static void write_row(struct jsonw *w, const struct plan_row *row)
{
	jsonw_object(w);
	admin_write_time(w, "at", row->at);
	jsonw_member_z(w, "event", row->event);
	admin_write_alg(w, "alg", row->alg);
	jsonw_key(w, "kid");
	if (row->kid[0])
		jsonw_z(w, row->kid);
	else
		jsonw_null(w);
	jsonw_member_z(w, "note", row->note);
	jsonw_end_object(w);
}

static enum err show_plan(struct request *rq, struct plan *p)
{
	struct jsonw w;
	struct buf b;

	fill_plan(rq, p);
	buf_init(&b, rq->arena, REQUEST_ARENA_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_key(&w, "items");
	jsonw_array(&w);
	for (size_t i = 0; i < p->count; i++)
		write_row(&w, &p->rows[i]);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	return respond_json(rq, 200, &b);
}

enum err admin_keys_plan(struct request *rq)
{
	struct plan *p = arena_new_of(rq->arena, struct plan);
	struct keyring_view *v;
	enum err e;

	if (!p)
		return fail(rq, ERR_NOMEM, "no memory for a plan");
	v = keyring_view_get(rq->app->keyring);
	p->view = v;
	e = show_plan(rq, p);
	keyring_view_unref(v);
	return e;
}
