/* The feed's entries: an array in the order of arrival with a hash over (kind, value). Entries
 * leave the array only when it is put together anew: by a purge, or by a merge.
 *
 * A merge takes the oldest quarter. What is old hits little: most tokens that a broader entry could
 * hit besides have expired by then. Its steps are rows, from the narrowest loss to the widest, and
 * it stops at the first that makes enough room. */
#include "server/store/feed_list.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { BUCKETS_MIN = 64, WALKS_MAX = 8 };

struct node {
	struct feed_entry entry; /* value is in text */
	int64_t time;		 /* a broader entry must reach up to here */
	uint32_t chain;		 /* index + 1 of the next in its bucket */
	struct str sid, client;	 /* in text; n = 0: unknown */
	char *text;		 /* NULL: merged, and on its way out */
};

struct feed_list {
	pthread_mutex_t lock; /* guards what follows */
	enum feed_view view;
	size_t max, count, cap;
	struct node *nodes;
	uint32_t *buckets;
	size_t bucket_count;  /* a power of two */
	uint64_t arrangement; /* grows when nodes change places */
	uint64_t merged;
	char kids[FEED_KIDS_MAX][KID_MAX + 1];
	size_t kid_count;
	_Atomic uint64_t latest;
};

/* ---- kinds ---- */

#define BIT(kind) (1u << (kind))
#define ALL_KINDS                                                                                  \
	(BIT(REVOKE_JTI) | BIT(REVOKE_SID) | BIT(REVOKE_KID) | BIT(REVOKE_CLIENT) |                \
	 BIT(REVOKE_USER) | BIT(REVOKE_API))

static const unsigned kinds_shown[FEED_VIEWS] = {
	[FEED_ANONYMOUS] = BIT(REVOKE_JTI) | BIT(REVOKE_SID) | BIT(REVOKE_KID),
	[FEED_FULL] = ALL_KINDS,
};

/* In this order, until there is room. */
static const struct merge_step {
	unsigned views; /* bits */
	unsigned from;	/* kinds */
	enum revoke_kind to;
} merge_steps[] = {
	{ BIT(FEED_ANONYMOUS) | BIT(FEED_FULL), BIT(REVOKE_JTI), REVOKE_SID },
	{ BIT(FEED_FULL), BIT(REVOKE_JTI) | BIT(REVOKE_SID), REVOKE_CLIENT },
	{ BIT(FEED_ANONYMOUS) | BIT(FEED_FULL), ALL_KINDS & ~BIT(REVOKE_KID), REVOKE_KID },
};

/* A token's own second, an act's second; of what is dead for ever, when it came to be so. */
static int64_t time_of(const struct revocation *r)
{
	return r->iat_max < r->until ? r->iat_max : r->until - REVOKE_KEEP + END_SLACK;
}

static int64_t before_of(const struct revocation *r)
{
	return BIT(r->kind) & (BIT(REVOKE_JTI) | BIT(REVOKE_SID) | BIT(REVOKE_KID)) ? FEED_ANY_TIME
										    : r->iat_max;
}

/* ---- the hash; the lock is held ---- */

static uint32_t *bucket(const struct feed_list *l, enum revoke_kind kind, struct str value)
{
	uint32_t h = (2166136261u ^ (uint32_t)kind) * 16777619u; /* FNV-1a */

	for (size_t i = 0; i < value.n; i++)
		h = (h ^ (unsigned char)value.p[i]) * 16777619u;
	return &l->buckets[(h ^ h >> 15) & (l->bucket_count - 1)];
}

static struct node *find(const struct feed_list *l, enum revoke_kind kind, struct str value)
{
	for (uint32_t at = *bucket(l, kind, value); at; at = l->nodes[at - 1].chain) {
		struct node *n = &l->nodes[at - 1];

		if (n->text && n->entry.kind == kind && str_equal(n->entry.value, value))
			return n;
	}
	return NULL;
}

static void chain_in(struct feed_list *l, size_t i)
{
	struct node *n = &l->nodes[i];
	uint32_t *head = bucket(l, n->entry.kind, n->entry.value);

	n->chain = *head;
	*head = (uint32_t)i + 1;
}

static void hash_anew(struct feed_list *l)
{
	memset(l->buckets, 0, l->bucket_count * sizeof(*l->buckets));
	for (size_t i = 0; i < l->count; i++)
		chain_in(l, i);
}

/* ---- one entry; the lock is held ---- */

static struct str put_text(char **at, struct str s)
{
	const struct str copy = str_n(*at, s.n);

	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

static bool node_init(struct node *n, const struct node *from)
{
	char *text = malloc(from->entry.value.n + from->sid.n + from->client.n + 1);

	if (!text)
		return false;
	*n = *from;
	n->text = text;
	n->entry.value = put_text(&text, from->entry.value);
	n->sid = put_text(&text, from->sid);
	n->client = put_text(&text, from->client);
	return true;
}

static bool widen(struct node *n, const struct node *by)
{
	const struct node old = *n;

	if (by->entry.before > n->entry.before)
		n->entry.before = by->entry.before;
	if (by->entry.until > n->entry.until)
		n->entry.until = by->entry.until;
	if (by->time > n->time)
		n->time = by->time;
	return n->entry.before != old.entry.before || n->entry.until != old.entry.until;
}

static bool make_room(struct feed_list *l)
{
	const size_t cap = l->cap ? l->cap * 2 : BUCKETS_MIN;
	struct node *nodes;
	uint32_t *buckets;

	if (l->count < l->cap)
		return true;
	buckets = calloc(cap, sizeof(*buckets));
	nodes = buckets ? realloc(l->nodes, cap * sizeof(*nodes)) : NULL;
	if (!nodes) {
		free(buckets);
		return false;
	}
	free(l->buckets);
	l->nodes = nodes;
	l->buckets = buckets;
	l->cap = l->bucket_count = cap;
	hash_anew(l);
	return true;
}

static uint64_t next_seq(struct feed_list *l)
{
	return atomic_fetch_add(&l->latest, 1) + 1;
}

static enum err put(struct feed_list *l, const struct node *from)
{
	struct node *there = l->count ? find(l, from->entry.kind, from->entry.value) : NULL;

	if (there) {
		if (widen(there, from))
			there->entry.seq = next_seq(l);
		return ERR_OK;
	}
	if (!make_room(l) || !node_init(&l->nodes[l->count], from))
		return ERR_NOMEM;
	l->nodes[l->count].entry.seq = next_seq(l);
	chain_in(l, l->count++);
	return ERR_OK;
}

static void drop(struct node *n)
{
	free(n->text);
	n->text = NULL;
}

static void close_ranks(struct feed_list *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->count; i++) {
		if (l->nodes[i].text)
			l->nodes[kept++] = l->nodes[i];
	}
	if (kept == l->count)
		return;
	l->count = kept;
	l->arrangement++;
	hash_anew(l);
}

/* ---- merging; the lock is held ---- */

static int compare_times(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The moment up to which entries are old: so many that three quarters of the list would stay. */
static bool old_until(const struct feed_list *l, int64_t *ret_time)
{
	const size_t surplus = l->count - l->max * 3 / 4;
	int64_t *times = malloc(l->count * sizeof(*times));

	if (!times)
		return false;
	for (size_t i = 0; i < l->count; i++)
		times[i] = l->nodes[i].time;
	qsort(times, l->count, sizeof(*times), compare_times);
	*ret_time = times[surplus - 1];
	free(times);
	return true;
}

/* Into the one entry that the step names. The broader one is in before the narrower one is out. */
static enum err merge_into(struct feed_list *l, size_t i, enum revoke_kind to, struct str value)
{
	const struct node from = l->nodes[i];
	const struct node broader = {
		.entry = { .kind = to,
			   .value = value,
			   .before = from.time,
			   .until = from.entry.until },
		.time = from.time,
		.client = to == REVOKE_SID ? from.client : STR_NONE,
	};

	return put(l, &broader);
}

static enum err merge_into_keys(struct feed_list *l, size_t i)
{
	enum err e = l->kid_count ? ERR_OK : ERR_NOT_FOUND;

	for (size_t k = 0; !e && k < l->kid_count; k++)
		e = merge_into(l, i, REVOKE_KID, str_z(l->kids[k]));
	return e;
}

/* ERR_NOT_FOUND: no broader entry of this kind is known for it. */
static enum err merge_node(struct feed_list *l, size_t i, enum revoke_kind to)
{
	const struct node *n = &l->nodes[i];
	const struct str owner = to == REVOKE_SID ? n->sid : n->client;

	if (to == REVOKE_KID)
		return merge_into_keys(l, i);
	return owner.n ? merge_into(l, i, to, owner) : ERR_NOT_FOUND;
}

static void run_step(struct feed_list *l, const struct merge_step *step, int64_t time)
{
	for (size_t i = 0; i < l->count; i++) {
		struct node *n = &l->nodes[i];

		if (!n->text || n->time > time || !(step->from & BIT(n->entry.kind)))
			continue;
		if (merge_node(l, i, step->to))
			continue;   /* it stays as it is, for the next step or for good */
		drop(&l->nodes[i]); /* which may have moved */
		l->merged++;
	}
	close_ranks(l);
}

static void merge(struct feed_list *l)
{
	const size_t target = l->max * 3 / 4;
	int64_t time;

	if (!old_until(l, &time))
		return; /* larger than it should be, until there is memory */
	for (size_t i = 0; i < sizeof(merge_steps) / sizeof(merge_steps[0]); i++) {
		if (l->count <= target + l->kid_count)
			return;
		if (merge_steps[i].views & BIT(l->view))
			run_step(l, &merge_steps[i], time);
	}
}

/* ---- the lock is taken here ---- */

enum err feed_list_new(enum feed_view view, size_t max, struct feed_list **ret_list)
{
	struct feed_list *l = calloc(1, sizeof(*l));

	if (!l)
		return ERR_NOMEM;
	pthread_mutex_init(&l->lock, NULL);
	l->view = view;
	l->max = max;
	*ret_list = l;
	return ERR_OK;
}

void feed_list_free(struct feed_list *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->count; i++)
		free(l->nodes[i].text);
	free(l->nodes);
	free(l->buckets);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

enum err feed_list_add(struct feed_list *l, const struct revocation *r)
{
	const struct node n = {
		.entry = { .kind = r->kind,
			   .value = r->value,
			   .before = before_of(r),
			   .until = r->until },
		.time = time_of(r),
		.sid = r->sid,
		.client = r->client_id,
	};
	enum err e;

	if (!(kinds_shown[l->view] & BIT(r->kind)))
		return ERR_OK;
	pthread_mutex_lock(&l->lock);
	e = put(l, &n);
	if (!e && l->count > l->max + l->kid_count)
		merge(l);
	pthread_mutex_unlock(&l->lock);
	return e;
}

void feed_list_keys(struct feed_list *l, const struct str *kids, size_t count)
{
	pthread_mutex_lock(&l->lock);
	l->kid_count = 0;
	for (size_t i = 0; i < count && l->kid_count < FEED_KIDS_MAX; i++) {
		char *to = l->kids[l->kid_count];

		if (kids[i].n > KID_MAX)
			continue;
		memcpy(to, kids[i].p, kids[i].n);
		to[kids[i].n] = '\0';
		l->kid_count++;
	}
	pthread_mutex_unlock(&l->lock);
}

void feed_list_purge(struct feed_list *l, int64_t now)
{
	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->count; i++) {
		if (l->nodes[i].entry.until < now)
			drop(&l->nodes[i]);
	}
	if (l->count)
		close_ranks(l);
	pthread_mutex_unlock(&l->lock);
}

uint64_t feed_list_latest(const struct feed_list *l)
{
	return atomic_load(&l->latest);
}

void feed_list_counts(struct feed_list *l, struct feed_counts *ret_counts)
{
	pthread_mutex_lock(&l->lock);
	*ret_counts = (struct feed_counts){ .entries = l->count, .merged = l->merged };
	pthread_mutex_unlock(&l->lock);
}

/* ---- walking ---- */

/* A piece of the list, copied. */
struct slice {
	struct feed_entry entries[FEED_SLICE];
	size_t count;
	size_t at; /* the next place to look at */
	uint64_t arrangement;
	char text[FEED_SLICE * URI_MAX];
};

/* ERR_NOT_FOUND: that was the end; ERR_BUSY: places have changed since the walk began. */
static enum err copy_slice(struct feed_list *l, uint64_t since, struct slice *s)
{
	char *at = s->text;
	enum err e = ERR_OK;

	s->count = 0;
	pthread_mutex_lock(&l->lock);
	if (s->at == 0)
		s->arrangement = l->arrangement;
	else if (s->arrangement != l->arrangement)
		e = ERR_BUSY;
	for (size_t n = 0; !e && n < FEED_SLICE; n++, s->at++) {
		const struct feed_entry *from;

		if (s->at >= l->count) {
			e = ERR_NOT_FOUND;
			break;
		}
		from = &l->nodes[s->at].entry;
		if (from->seq <= since)
			continue;
		s->entries[s->count] = *from;
		s->entries[s->count++].value = put_text(&at, from->value);
	}
	pthread_mutex_unlock(&l->lock);
	return e;
}

static enum err walk_once(struct feed_list *l, uint64_t since, struct slice *s,
			  enum err (*take)(void *, const struct feed_entry *, size_t), void *arg)
{
	enum err e = ERR_OK, taken = ERR_OK;

	s->at = 0;
	while (!e && !taken) {
		e = copy_slice(l, since, s);
		if (e != ERR_BUSY && s->count)
			taken = take(arg, s->entries, s->count);
	}
	if (taken)
		return taken;
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err feed_list_walk(struct feed_list *l, uint64_t since,
			enum err (*take)(void *arg, const struct feed_entry *entries, size_t count),
			void (*again)(void *arg), void *arg)
{
	struct slice *s = malloc(sizeof(*s));
	enum err e = s ? ERR_BUSY : ERR_NOMEM;

	for (int i = 0; e == ERR_BUSY && i < WALKS_MAX; i++) {
		again(arg);
		e = walk_once(l, since, s, take, arg);
	}
	free(s);
	return e;
}
