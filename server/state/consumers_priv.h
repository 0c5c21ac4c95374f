/* The consumers from inside: consumers.c notes fetches, consumers_report.c says whom a rotation
 * waits for, consumers_store.c keeps them over a restart. */
#ifndef CHANCERY_SERVER_CONSUMERS_PRIV_H
#define CHANCERY_SERVER_CONSUMERS_PRIV_H

#include <pthread.h>

#include "server/state/consumer_match.h"
#include "server/state/consumers.h"

enum {
	CONSUMERS_DAY = 86400,
	STRANGERS_BITS = 13, /* 8192 places to count strangers by */
	STRANGERS_WORDS = (1 << STRANGERS_BITS) / 64,
};

/* What is known of one consumer. */
struct consumer_track {
	int64_t first_at, last_at; /* 0: never */
	int64_t fetches;
	int64_t asked_at[ALG_COUNT]; /* last fetch of a document that covers it */
	uint64_t held[ALG_COUNT];    /* kid_mark of the standby in that document */
	uint64_t noted;		     /* serial of the last fetch */
};

struct consumer_rule {	 /* of keys.consumers */
	struct str text; /* heap */
	struct consumer_match match;
	struct consumer_track track;
};

struct client_entry {
	char id[ID_MAX + 1];
	struct consumer_track track;
};

struct candidate {
	int64_t first_at, last_at, fetches;
};

/* How many different strangers there were, about: one bit for each of 8192 classes of addresses. */
struct strangers {
	uint64_t seen[STRANGERS_WORDS];
	int64_t day;
	unsigned count, count_before;
};

struct consumers {
	pthread_mutex_t lock; /* guards what follows */
	uint64_t serial, writing, written;
	int64_t max_age;
	struct consumer_rule *rows;
	size_t row_count;
	struct client_entry clients[CONSUMERS_CLIENTS_MAX];
	uint64_t steady_address[CONSUMERS_STEADY_MAX]; /* 0: free */
	struct consumer_track steady[CONSUMERS_STEADY_MAX];
	uint64_t candidate_address[CONSUMERS_CANDIDATES_MAX]; /* 0: free */
	struct candidate candidates[CONSUMERS_CANDIDATES_MAX];
	struct strangers strangers;
};

enum consumer_sort { SORT_ROW, SORT_CLIENT, SORT_STEADY, SORT_COUNT };

/* One place of one table; track NULL: nobody is there. */
struct consumer_place {
	enum consumer_sort sort;
	size_t i;
	const struct consumer_track *track;
};

/* All tables as one; begin with { 0 }. False: that was the last. Under the lock, like all here. */
bool consumers_next(const struct consumers *c, struct consumer_place *p);
/* A client's place, a free one, or that of one who would be forgotten; NULL: too many clients
 * fetch.
 */
struct client_entry *consumers_client(struct consumers *c, struct str id, int64_t now);
/* A free place for a steady address, or that of one that has stopped; CONSUMERS_STEADY_MAX: none.
 */
size_t consumers_steady_place(const struct consumers *c, int64_t now);
struct consumer_rule *consumers_row(struct consumer_rule *rows, size_t count, struct str text);
uint64_t consumers_number(const struct address *a);
/* "192.0.2.7", "2001:db8::/64" */
void consumers_number_write(uint64_t number, char *out, size_t size);
unsigned consumers_strangers(struct strangers *s, int64_t now);

#endif
