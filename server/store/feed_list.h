/* The entries of the revocation feed, as one kind of reader sees them: bounded, numbered in the
 * order in which they came, and merged when there are too many. What is merged becomes broader and
 * is never dropped: a reader may refuse a token that is good, never take one that is revoked.
 *
 * Thread-safe. Adding costs little, but for one time in thousands, when it merges (milliseconds).
 */
#ifndef CHANCERY_SERVER_FEED_LIST_H
#define CHANCERY_SERVER_FEED_LIST_H

#include "server/store/store.h"

/* Who reads: strangers see names that mean nothing outside a token, our own see all. */
enum feed_view { FEED_ANONYMOUS, FEED_FULL, FEED_VIEWS };

enum {
	/* About 3 MiB of text. Logins of a day that ended, at one every three seconds. */
	FEED_ENTRIES_MAX = 1 << 15,
	FEED_KIDS_MAX = 64, /* as many as a key set has */
	FEED_SLICE = 256,
};

/* Every token of it, whenever issued. */
#define FEED_ANY_TIME INT64_MAX

struct feed_entry {
	enum revoke_kind kind;
	struct str value;
	int64_t before; /* tokens issued up to and including; FEED_ANY_TIME */
	int64_t until;	/* may be forgotten afterwards */
	uint64_t seq;	/* 1 and up; anew when the entry grows */
};

struct feed_list;
/* At most `max` entries, and one for each key. */
MUST_CHECK enum err feed_list_new(enum feed_view view, size_t max, struct feed_list **ret_list);
void feed_list_free(struct feed_list *l);

/* Kinds that this view does not show are passed over. An entry that is there grows; if it has
 * nothing to grow by, nothing changes. ERR_NOMEM: it is not in the list. */
MUST_CHECK enum err feed_list_add(struct feed_list *l, const struct revocation *r);
/* The kids that may verify now. What has no owner that a broader entry could name is merged into
 * them. Until they are told the list grows instead. */
void feed_list_keys(struct feed_list *l, const struct str *kids, size_t count);
/* Takes out what may be forgotten. */
void feed_list_purge(struct feed_list *l, int64_t now);
/* The latest number; 0: nothing was ever added. One atomic load. */
uint64_t feed_list_latest(const struct feed_list *l);

struct feed_counts {
	size_t entries;
	uint64_t merged; /* entries that went into broader ones, since the start */
};
void feed_list_counts(struct feed_list *l, struct feed_counts *ret_counts);

/* Gives every entry with a number above `since`, in pieces so that nobody waits for long; those
 * that come meanwhile may be among them. `take` is called without the lock; entries live during its
 * call. Its error ends the walk. ERR_BUSY: the list was put together anew each time; try again. */
MUST_CHECK enum err feed_list_walk(struct feed_list *l, uint64_t since,
				   enum err (*take)(void *arg, const struct feed_entry *entries,
						    size_t count),
				   void (*again)(void *arg), void *arg);

#endif
