/* Revocations in memory: a hash table of fixed width, so that no request ever waits for it to grow,
 * and a readers' lock. Values are names we made (jti, sid, kid) or an administrator gave, never a
 * caller's choice, so the hash needs no key. */
#include "server/store/revoked.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
	BUCKETS = 1 << 15,
	SLICE = 256, /* buckets purged under one hold of the lock */
	LOAD_PAGE = 1000,
	LOAD_ARENA_MAX = 2 << 20,
};

struct entry {
	struct entry *chain;
	enum revoke_kind kind;
	int64_t iat_max, until;
	size_t n;
	char value[];
};

/* Where the last page read from the table ended. */
struct page_end {
	bool any, last;
	struct revocation row;
	char value[URI_MAX];
};

struct revoked {
	pthread_rwlock_t lock; /* guards the buckets and all they hold */
	_Atomic size_t count;
	_Atomic bool behind;
	size_t max;
	struct feed_list *feeds[FEED_VIEWS]; /* locks of their own */
	struct entry *buckets[BUCKETS];
};

enum err revoked_new(size_t max, struct revoked **ret_revoked)
{
	struct revoked *r = calloc(1, sizeof(*r));
	enum err e = ERR_OK;

	if (!r)
		return ERR_NOMEM;
	pthread_rwlock_init(&r->lock, NULL);
	r->max = max;
	for (int v = 0; v < FEED_VIEWS && !e; v++)
		e = feed_list_new((enum feed_view)v, FEED_ENTRIES_MAX, &r->feeds[v]);
	if (e)
		revoked_free(r);
	else
		*ret_revoked = r;
	return e;
}

static void chain_free(struct entry *e)
{
	while (e) {
		struct entry *next = e->chain;

		free(e);
		e = next;
	}
}

void revoked_free(struct revoked *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		chain_free(r->buckets[i]);
	for (int v = 0; v < FEED_VIEWS; v++)
		feed_list_free(r->feeds[v]);
	pthread_rwlock_destroy(&r->lock);
	free(r);
}

/* FNV-1a */
static struct entry **bucket(struct revoked *r, enum revoke_kind kind, struct str value)
{
	uint32_t h = (2166136261u ^ (uint32_t)kind) * 16777619u;

	for (size_t i = 0; i < value.n; i++)
		h = (h ^ (unsigned char)value.p[i]) * 16777619u;
	return &r->buckets[(h ^ h >> 15) % BUCKETS];
}

static struct entry *find(struct revoked *r, enum revoke_kind kind, struct str value)
{
	struct entry *e = *bucket(r, kind, value);

	while (e && !(e->kind == kind && str_equal(str_n(e->value, e->n), value)))
		e = e->chain;
	return e;
}

static struct entry *entry_new(const struct revocation *from)
{
	struct entry *e = calloc(1, sizeof(*e) + from->value.n);

	if (!e)
		return NULL;
	e->kind = from->kind;
	e->iat_max = from->iat_max;
	e->until = from->until;
	e->n = from->value.n;
	memcpy(e->value, from->value.p, from->value.n);
	return e;
}

static void widen(struct entry *e, const struct revocation *by)
{
	if (by->iat_max > e->iat_max)
		e->iat_max = by->iat_max;
	if (by->until > e->until)
		e->until = by->until;
}

/* What could not be entered everywhere is read again. */
static enum err add_to_feeds(struct revoked *r, const struct revocation *entry)
{
	enum err e = ERR_OK;

	for (int v = 0; v < FEED_VIEWS && !e; v++)
		e = feed_list_add(r->feeds[v], entry);
	if (e)
		atomic_store(&r->behind, true);
	return e;
}

enum err revoked_add(struct revoked *r, const struct revocation *entry)
{
	struct entry *fresh = entry_new(entry);
	struct entry *there;
	enum err e = fresh ? ERR_OK : ERR_NOMEM;

	pthread_rwlock_wrlock(&r->lock);
	there = find(r, entry->kind, entry->value);
	if (there) {
		widen(there, entry);
		e = ERR_OK;
	} else if (fresh) {
		struct entry **at = bucket(r, entry->kind, entry->value);

		fresh->chain = *at;
		*at = fresh;
		fresh = NULL;
		atomic_fetch_add(&r->count, 1);
	} else {
		atomic_store(&r->behind, true);
	}
	pthread_rwlock_unlock(&r->lock);
	free(fresh);
	return e ? e : add_to_feeds(r, entry);
}

/* One page of the table. The value of its last row outlives the arena in `end`. */
static enum err load_page(struct revoked *r, struct db *db, struct arena *a, int64_t now,
			  struct page_end *end)
{
	struct revocation *rows;
	size_t count;
	enum err e = store_revocations(db, a, now, end->any ? &end->row : NULL, LOAD_PAGE, &rows,
				       &count);

	for (size_t i = 0; !e && i < count; i++)
		e = revoked_add(r, &rows[i]);
	if (e)
		return e;
	end->last = count < LOAD_PAGE;
	if (end->last)
		return ERR_OK;
	end->any = true;
	end->row = rows[count - 1];
	if (end->row.value.n > sizeof(end->value))
		return ERR_CORRUPT;
	memcpy(end->value, end->row.value.p, end->row.value.n);
	end->row.value.p = end->value;
	end->row.sid = end->row.client_id = STR_NONE;
	return ERR_OK;
}

enum err revoked_load(struct revoked *r, struct db *db, int64_t now)
{
	AUTO(arena, a) = NULL;
	struct page_end end = { .any = false };
	enum err e;

	/* first: what fails to be entered while we read is read again */
	atomic_store(&r->behind, false);
	e = arena_new(LOAD_ARENA_MAX, &a);

	while (!e && !end.last) {
		e = load_page(r, db, a, now, &end);
		arena_reset(a);
	}
	if (e)
		atomic_store(&r->behind, true);
	return e;
}

/* A jti, a sid and a kid name what is dead altogether: a token of an ended login that was signed a
 * moment after the end is as dead as the others. Clients, users and apis live on. */
static bool time_matters(enum revoke_kind kind)
{
	return kind == REVOKE_CLIENT || kind == REVOKE_USER || kind == REVOKE_API;
}

bool revoked_hit(struct revoked *r, enum revoke_kind kind, struct str value, int64_t iat)
{
	const struct entry *e;
	bool hit;

	if (atomic_load(&r->count) == 0)
		return false;
	pthread_rwlock_rdlock(&r->lock);
	e = find(r, kind, value);
	hit = e && (!time_matters(kind) || iat <= e->iat_max);
	pthread_rwlock_unlock(&r->lock);
	return hit;
}

/* Takes the passed entries out of one bucket and puts them on *out. */
static void sift(struct revoked *r, struct entry **at, int64_t now, struct entry **out)
{
	while (*at) {
		struct entry *e = *at;

		if (e->until >= now) {
			at = &e->chain;
			continue;
		}
		*at = e->chain;
		e->chain = *out;
		*out = e;
		atomic_fetch_sub(&r->count, 1);
	}
}

void revoked_purge(struct revoked *r, int64_t now)
{
	for (size_t first = 0; first < BUCKETS; first += SLICE) {
		struct entry *passed = NULL;

		pthread_rwlock_wrlock(&r->lock);
		for (size_t i = first; i < first + SLICE; i++)
			sift(r, &r->buckets[i], now, &passed);
		pthread_rwlock_unlock(&r->lock);
		chain_free(passed);
	}
	for (int v = 0; v < FEED_VIEWS; v++)
		feed_list_purge(r->feeds[v], now);
}

struct feed_list *revoked_feed(const struct revoked *r, enum feed_view view)
{
	return r->feeds[view];
}

void revoked_keys(struct revoked *r, const struct str *kids, size_t count)
{
	for (int v = 0; v < FEED_VIEWS; v++)
		feed_list_keys(r->feeds[v], kids, count);
}

bool revoked_has_room(struct revoked *r)
{
	return atomic_load(&r->count) < r->max;
}

bool revoked_is_behind(const struct revoked *r)
{
	return atomic_load(&r->behind);
}

size_t revoked_count(struct revoked *r)
{
	return atomic_load(&r->count);
}
