/* /admin/v1/audit: what was done and refused, newest first. */
#include "server/admin/admin.h"
#include "server/admin/admin_act.h"

enum { ID_DIGITS_MAX = 20 };

static void row_write(struct jsonw *w, const struct audit_row *r)
{
	jsonw_object(w);
	jsonw_member_int(w, "id", r->id);
	admin_write_time(w, "at", r->at);
	jsonw_member(w, "event", r->event);
	jsonw_member(w, "outcome", r->outcome);
	jsonw_member(w, "actor", r->actor);
	jsonw_member(w, "target", r->target);
	jsonw_member(w, "address", r->address);
	jsonw_member(w, "request_id", r->request_id);
	jsonw_member(w, "reason", r->reason);
	jsonw_member_int(w, "count", r->count);
	jsonw_end_object(w);
}

static enum err list_group(struct db *db, struct arena *scratch, struct admin_list *l,
			   int64_t limit)
{
	struct audit_row *rows;
	int64_t before = 0;
	size_t count;
	enum err e;

	if (l->page.after.n && str_to_i64(l->page.after, 1, INT64_MAX, &before))
		return ERR_CORRUPT; /* our own MAC stands over it */
	e = store_audit_list(db, scratch, before, limit, &rows, &count);
	for (size_t i = 0; !e && i < count; i++) {
		struct str id;
		struct buf b;

		buf_init(&b, scratch, ID_DIGITS_MAX);
		buf_i64(&b, rows[i].id);
		e = buf_end(&b, &id);
		if (e || !admin_list_next(l, id))
			break;
		row_write(&l->w, &rows[i]);
	}
	return e;
}

enum err admin_audit_list(struct request *rq)
{
	struct admin_list *l = arena_new_of(rq->arena, struct admin_list);
	enum err e;

	if (!l)
		return fail(rq, ERR_NOMEM, "no memory for a list");
	l->group = list_group;
	l->page.list = "audit";
	e = admin_page_read(rq, &l->page);
	return e ? e : admin_list_run(rq, l);
}
