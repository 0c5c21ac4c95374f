/* Consumers over a restart. A row's name says the sort: "config:gateway=10.0.0.7", "client:ops",
 * "address:2001:db8::/64". */
#include "server/state/consumers_priv.h"

enum { ROWS_MAX = 4096, ROWS_ARENA_MAX = 8 << 20, NAME_TEXT_MAX = 4096 };

static const char config_prefix[] = "config:", client_prefix[] = "client:",
		  address_prefix[] = "address:";

/* Cuts the prefix off. */
static bool takes_prefix(struct str *text, const char *prefix)
{
	if (!str_starts(*text, str_z(prefix)))
		return false;
	*text = str_n(text->p + strlen(prefix), text->n - strlen(prefix));
	return true;
}

/* Which algorithms it asked for is not stored but follows from the kids; when these tell nothing,
 * it is taken to ask for all. */
static void read_held(struct consumer_track *t, struct str held, const struct keyring_view *v)
{
	struct str kid;
	bool told = false;

	while (str_next(&held, ' ', &kid)) {
		for (size_t i = 0; i < v->count; i++) {
			if (!str_equal_z(kid, v->infos[i].kid))
				continue;
			t->held[v->infos[i].alg] = kid_mark(kid);
			t->asked_at[v->infos[i].alg] = t->last_at;
			told = true;
		}
	}
	for (size_t alg = 0; alg < ALG_COUNT && !told; alg++)
		t->asked_at[alg] = t->last_at;
}

static struct consumer_track *steady_slot(struct consumers *c, struct str text, int64_t now)
{
	struct address a;
	struct str literal;
	size_t i;

	if (!str_next(&text, '/', &literal) || address_parse(literal, &a))
		return NULL;
	i = consumers_steady_place(c, now);
	if (i == CONSUMERS_STEADY_MAX)
		return NULL;
	c->steady_address[i] = consumers_number(&a);
	return &c->steady[i];
}

/* Where what was stored under this name belongs; NULL: nowhere any more. */
static struct consumer_track *slot_of(struct consumers *c, struct str name, int64_t now)
{
	struct client_entry *place;
	struct consumer_rule *row;

	if (takes_prefix(&name, config_prefix)) {
		row = consumers_row(c->rows, c->row_count, name);
		return row ? &row->track : NULL;
	}
	if (takes_prefix(&name, client_prefix) && name.n > 0 && name.n <= ID_MAX) {
		place = consumers_client(c, name, now);
		return place ? &place->track : NULL;
	}
	return takes_prefix(&name, address_prefix) ? steady_slot(c, name, now) : NULL;
}

static void take_stored(struct consumers *c, const struct consumer_row *row,
			const struct keyring_view *v, int64_t now)
{
	struct consumer_track *t;

	if (row->last_at < now - CONSUMERS_KEEP)
		return;
	pthread_mutex_lock(&c->lock);
	t = slot_of(c, row->name, now);
	if (t) {
		*t = (struct consumer_track){ .first_at = row->first_at,
					      .last_at = row->last_at,
					      .fetches = row->fetches };
		read_held(t, row->held, v);
	}
	pthread_mutex_unlock(&c->lock);
}

/* Inside a transaction of our own unless the caller is in one. */
static enum err read_rows(struct db *db, struct arena *a, struct consumer_row **ret_rows,
			  size_t *ret_count)
{
	const bool alone = !db_in_transaction(db);
	enum err e = alone ? db_begin(db) : ERR_OK;

	if (e)
		return e;
	e = store_consumers(db, a, ROWS_MAX, ret_rows, ret_count);
	if (alone)
		db_rollback(db);
	return e;
}

enum err consumers_load(struct consumers *c, struct db *db, const struct keyring_view *v,
			int64_t now)
{
	struct consumer_row *rows;
	struct arena *a;
	size_t count;
	enum err e = arena_new(ROWS_ARENA_MAX, &a);

	if (e)
		return e;
	e = read_rows(db, a, &rows, &count);
	for (size_t i = 0; i < count && !e; i++)
		take_stored(c, &rows[i], v, now);
	arena_free(a);
	return e;
}

static void store_name(const struct consumers *c, const struct consumer_place *p, struct buf *out)
{
	char text[ADDRESS_TEXT_MAX + 4];

	switch (p->sort) {
	case SORT_ROW:
		buf_z(out, config_prefix);
		buf_str(out, c->rows[p->i].text);
		break;
	case SORT_CLIENT:
		buf_z(out, client_prefix);
		buf_z(out, c->clients[p->i].id);
		break;
	case SORT_STEADY:
	case SORT_COUNT:
		consumers_number_write(c->steady_address[p->i], text, sizeof(text));
		buf_z(out, address_prefix);
		buf_z(out, text);
		break;
	}
}

static void write_held(const struct consumer_track *t, const struct keyring_view *v,
		       struct buf *out)
{
	for (size_t i = 0; i < v->count; i++) {
		const struct key_info *info = &v->infos[i];

		if (!t->held[info->alg] || kid_mark(str_z(info->kid)) != t->held[info->alg])
			continue;
		if (out->n > 0)
			buf_byte(out, ' ');
		buf_z(out, info->kid);
	}
}

/* The next one that fetched since the last write, as a row whose texts lie in the buffers. */
static bool next_written(struct consumers *c, struct consumer_place *p,
			 const struct keyring_view *v, struct buf *name, struct buf *held,
			 struct consumer_row *ret_row)
{
	bool found = false;

	pthread_mutex_lock(&c->lock);
	while (!found && consumers_next(c, p))
		found = p->track->noted > c->written;
	if (found) {
		store_name(c, p, name);
		write_held(p->track, v, held);
		*ret_row = (struct consumer_row){ .first_at = p->track->first_at,
						  .last_at = p->track->last_at,
						  .fetches = p->track->fetches };
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}

static enum err write_next(struct consumers *c, struct db *db, const struct keyring_view *v,
			   struct consumer_place *p, bool *ret_found)
{
	struct consumer_row row;
	struct buf name, held;
	enum err e = ERR_OK;

	buf_init(&name, NULL, NAME_TEXT_MAX);
	buf_init(&held, NULL, ALG_COUNT * (KID_MAX + 1));
	*ret_found = next_written(c, p, v, &name, &held, &row);
	if (*ret_found)
		e = buf_end(&name, &row.name);
	if (*ret_found && !e)
		e = buf_end(&held, &row.held);
	if (*ret_found && !e)
		e = store_consumer_put(db, &row);
	buf_done(&name);
	buf_done(&held);
	return e;
}

enum err consumers_write(struct consumers *c, struct db *db, const struct keyring_view *v,
			 int64_t now)
{
	struct consumer_place p = { .track = NULL };
	bool found = true;
	enum err e = ERR_OK;

	pthread_mutex_lock(&c->lock);
	c->writing = c->serial;
	pthread_mutex_unlock(&c->lock);
	while (found && !e)
		e = write_next(c, db, v, &p, &found);
	return e ? e : store_consumers_forget(db, now - CONSUMERS_KEEP);
}

void consumers_written(struct consumers *c)
{
	pthread_mutex_lock(&c->lock);
	c->written = c->writing;
	pthread_mutex_unlock(&c->lock);
}
