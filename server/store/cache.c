/* Clients in memory. Two parts with the same machinery: clients that exist, and ids that do not.
 * Both are hash tables with a list from the newest to the oldest used; a full part forgets its
 * oldest. The hash needs no key: a part is bounded, so the longest chain anybody can arrange is
 * too. */
#include "server/store/cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/fault.h"

enum { CLIENT_ARENA_MAX = 128 << 10 }; /* the longest lists of limits.h, several times over */

struct entry {
	struct entry *chain;
	struct entry *newer, *older;
	struct client_ref *ref; /* NULL: known to be absent */
	struct str id;		/* stored behind the struct */
};

struct part {
	struct entry **buckets;
	size_t bucket_count; /* a power of two */
	size_t count, max;
	struct entry *newest, *oldest;
};

struct client_cache {
	pthread_mutex_t lock; /* guards what follows */
	uint64_t epoch;	      /* how many invalidations there were */
	struct part present, absent;
};

/* ---- references ---- */

void client_unref(struct client_ref *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	arena_free(c->arena);
	free(c);
}
#define client_ref_free client_unref
AUTO_DEFINE(client_ref)

static struct client_ref *client_ref_share(struct client_ref *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

/* ---- one part; the caller holds the lock ---- */

static enum err part_init(struct part *p, size_t max)
{
	size_t n = 16;

	while (n < max)
		n *= 2;
	*p = (struct part){ .max = max ? max : 1, .bucket_count = n };
	p->buckets = calloc(n, sizeof(struct entry *));
	return p->buckets ? ERR_OK : ERR_NOMEM;
}

/* FNV-1a */
static struct entry **bucket(const struct part *p, struct str id)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < id.n; i++)
		h = (h ^ (unsigned char)id.p[i]) * 16777619u;
	return &p->buckets[h & (p->bucket_count - 1)];
}

static struct entry **find(const struct part *p, struct str id)
{
	struct entry **at = bucket(p, id);

	while (*at && !str_equal((*at)->id, id))
		at = &(*at)->chain;
	return at;
}

static void list_out(struct part *p, struct entry *e)
{
	if (e->newer)
		e->newer->older = e->older;
	else
		p->newest = e->older;
	if (e->older)
		e->older->newer = e->newer;
	else
		p->oldest = e->newer;
}

static void list_in(struct part *p, struct entry *e)
{
	e->newer = NULL;
	e->older = p->newest;
	if (p->newest)
		p->newest->newer = e;
	else
		p->oldest = e;
	p->newest = e;
}

static struct entry *part_use(struct part *p, struct str id)
{
	struct entry *e = *find(p, id);

	if (e && e != p->newest) {
		list_out(p, e);
		list_in(p, e);
	}
	return e;
}

/* NULL when it is not there. */
static struct entry *part_take(struct part *p, struct str id)
{
	struct entry **at = find(p, id);
	struct entry *e = *at;

	if (e) {
		*at = e->chain;
		list_out(p, e);
		p->count--;
	}
	return e;
}

/* What has to make room, or NULL. */
static struct entry *part_add(struct part *p, struct entry *e)
{
	struct entry *oldest = p->count == p->max ? part_take(p, p->oldest->id) : NULL;
	struct entry **at = bucket(p, e->id);

	e->chain = *at;
	*at = e;
	list_in(p, e);
	p->count++;
	return oldest;
}

/* All entries, as a list by `older`. */
static struct entry *part_clear(struct part *p)
{
	struct entry *all = p->newest;

	memset(p->buckets, 0, p->bucket_count * sizeof(struct entry *));
	p->newest = p->oldest = NULL;
	p->count = 0;
	return all;
}

/* ---- entries; freed outside the lock, because a client's memory is wiped ---- */

static struct entry *entry_new(struct str id, struct client_ref *ref)
{
	struct entry *e = calloc(1, sizeof(*e) + id.n);

	if (!e)
		return NULL;
	if (id.n)
		memcpy(e + 1, id.p, id.n);
	e->id = str_n(e + 1, id.n);
	e->ref = ref ? client_ref_share(ref) : NULL;
	return e;
}

static void entry_free(struct entry *e)
{
	if (!e)
		return;
	client_unref(e->ref);
	free(e);
}

static void entries_free(struct entry *e)
{
	while (e) {
		struct entry *older = e->older;

		entry_free(e);
		e = older;
	}
}

/* ---- the cache ---- */

void client_cache_free(struct client_cache *c)
{
	if (!c)
		return;
	if (c->present.buckets)
		entries_free(part_clear(&c->present));
	if (c->absent.buckets)
		entries_free(part_clear(&c->absent));
	free(c->present.buckets);
	free(c->absent.buckets);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
AUTO_DEFINE(client_cache)

enum err client_cache_new(size_t max, size_t absent_max, struct client_cache **ret_cache)
{
	AUTO(client_cache, c) = calloc(1, sizeof(*c));
	enum err e;

	if (!c)
		return ERR_NOMEM;
	pthread_mutex_init(&c->lock, NULL);
	e = part_init(&c->present, max);
	if (!e)
		e = part_init(&c->absent, absent_max);
	if (!e)
		*ret_cache = TAKE(c);
	return e;
}

enum err client_cache_find(struct client_cache *c, struct str id, struct client_ref **ret_client)
{
	struct client_ref *found = NULL;
	enum err e = ERR_BUSY;
	struct entry *entry;

	if (id.n > ID_MAX)
		return ERR_NOT_FOUND; /* no client has such an id, and none is worth remembering */
	pthread_mutex_lock(&c->lock);
	entry = part_use(&c->present, id);
	if (entry)
		found = client_ref_share(entry->ref);
	else if (part_use(&c->absent, id))
		e = ERR_NOT_FOUND;
	pthread_mutex_unlock(&c->lock);
	if (!found)
		return e;
	*ret_client = found;
	return ERR_OK;
}

uint64_t client_cache_epoch(struct client_cache *c)
{
	uint64_t epoch;

	pthread_mutex_lock(&c->lock);
	epoch = c->epoch;
	pthread_mutex_unlock(&c->lock);
	return epoch;
}

/* Keeps what was read at `epoch` (`ref` NULL: its absence), unless something was invalidated since,
 * or another thread has just put the same. No memory for it is no error: the next request reads
 * again. */
static void put(struct client_cache *c, struct str id, struct client_ref *ref, uint64_t epoch)
{
	struct part *part = ref ? &c->present : &c->absent;
	struct entry *fresh = entry_new(id, ref);
	struct entry *out = fresh;

	if (!fresh)
		return;
	pthread_mutex_lock(&c->lock);
	if (c->epoch == epoch && !*find(part, id))
		out = part_add(part, fresh);
	pthread_mutex_unlock(&c->lock);
	entry_free(out);
}

/* Client and secrets are two statements and must be of one moment. */
static enum err read_client(struct db *db, struct arena *a, struct str id,
			    struct client *ret_client)
{
	bool ours = !db_in_transaction(db);
	enum err e = ours ? db_begin(db) : ERR_OK;

	if (e)
		return e;
	e = store_client_get(db, a, id, ret_client);
	if (ours)
		db_rollback(db);
	return e;
}

enum err client_cache_load(struct client_cache *c, struct db *db, struct str id,
			   struct client_ref **ret_client)
{
	AUTO(client_ref, ref) = NULL;
	uint64_t epoch;
	enum err e;

	if (id.n > ID_MAX)
		return ERR_NOT_FOUND;
	ref = calloc(1, sizeof(*ref));
	if (!ref)
		return ERR_NOMEM;
	atomic_init(&ref->refs, 1);
	e = arena_new(CLIENT_ARENA_MAX, &ref->arena);
	if (e)
		return e;
	epoch = client_cache_epoch(c);
	e = read_client(db, ref->arena, id, &ref->client);
	if (!e)
		e = FAILPOINT("cache.read");
	if (e == ERR_NOT_FOUND)
		put(c, id, NULL, epoch);
	if (e)
		return e;
	put(c, id, ref, epoch);
	*ret_client = TAKE(ref);
	return ERR_OK;
}

void client_cache_drop(struct client_cache *c, struct str id)
{
	struct entry *present, *absent;

	pthread_mutex_lock(&c->lock);
	c->epoch++;
	present = part_take(&c->present, id);
	absent = part_take(&c->absent, id);
	pthread_mutex_unlock(&c->lock);
	entry_free(present);
	entry_free(absent);
}

void client_cache_drop_all(struct client_cache *c)
{
	struct entry *present, *absent;

	pthread_mutex_lock(&c->lock);
	c->epoch++;
	present = part_clear(&c->present);
	absent = part_clear(&c->absent);
	pthread_mutex_unlock(&c->lock);
	entries_free(present);
	entries_free(absent);
}

/* The clients in memory, each with a reference for the caller; NULL and 0 when there is no memory.
 */
static struct client_ref **hold_all(struct client_cache *c, size_t *ret_count)
{
	struct client_ref **all = calloc(c->present.max, sizeof(struct client_ref *));
	size_t n = 0;

	if (all) {
		pthread_mutex_lock(&c->lock);
		for (struct entry *e = c->present.newest; e; e = e->older)
			all[n++] = client_ref_share(e->ref);
		pthread_mutex_unlock(&c->lock);
	}
	*ret_count = n;
	return all;
}

void client_cache_used(struct client_cache *c,
		       void (*each)(void *arg, struct str secret_id, int64_t at), void *arg)
{
	size_t count;
	struct client_ref **all = hold_all(c, &count);

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < all[i]->client.secret_count; k++) {
			int64_t at = atomic_exchange(&all[i]->last_used[k], 0);

			if (at)
				each(arg, all[i]->client.secrets[k].id, at);
		}
		client_unref(all[i]);
	}
	free(all);
}
