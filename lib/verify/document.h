/* A document of the issuer that is fetched again and again: the key set, the feed, the feed's keys.
 *
 * What was read of it is immutable and counted; a reader takes a reference and no lock. A new value
 * takes the place of the old one whole, or, when it is bad, not at all. One thread at a time asks
 * for a document; the others go on with what there is. */
#ifndef CHANCERY_VERIFY_DOCUMENT_H
#define CHANCERY_VERIFY_DOCUMENT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/str.h"
#include "chancery.h"
#include "verify/clock.h"

/* The head of a counted value. */
struct shared {
	atomic_size_t references;
	void (*free)(struct shared *value);
};

/* NULL is nothing. */
void shared_unref(struct shared *value);
/* From 0: the maker has the one reference. */
void shared_init(struct shared *value, void (*free)(struct shared *value));

/* Where fetches go, and what is counted of them; shared by a verifier's documents. */
struct source {
	chancery_fetch fetch; /* NULL: nothing can be fetched */
	void *arg;
	pthread_mutex_t lock; /* guards what follows and every document's state */
	pthread_cond_t done;  /* a fetch has ended */
	uint64_t fetches, failures;
	const char *last_failure;
};

enum { DOCUMENT_URL_MAX = 2048 };

struct document;

/* What differs between documents. */
struct document_kind {
	const char *accept;
	size_t limit; /* bytes of a body */
	/* Makes a value of a body. `old` may be NULL. NULL: good; else a constant sentence. */
	const char *(*read)(struct document *d, struct str body, struct moment now,
			    const struct shared *old, struct shared **ret_value);
	/* Writes what is to be fetched, seeing that `old` is known; NULL: the document's url. */
	void (*address)(const struct document *d, const struct shared *old,
			char ret_url[DOCUMENT_URL_MAX]);
};

struct document {
	const struct document_kind *kind;
	struct source *source;
	void *owner; /* of `read` */
	char *url;
	int64_t refresh; /* seconds between two looks; 0: as the answers' max-age says */
	int64_t cooldown;

	/* under source->lock */
	struct shared *value;  /* NULL: nothing was read yet */
	bool busy;	       /* a thread is asking */
	bool failed;	       /* the last time */
	bool asked, confirmed; /* ever */
	int64_t asked_at;      /* steady; when `asked` */
	int64_t due_at;	       /* steady */
	int64_t confirmed_at;  /* steady; the issuer last said that this is it */
	char etag[CHANCERY_ETAG_MAX];
	char etag_url[DOCUMENT_URL_MAX]; /* what gave the etag */
};

enum asked {
	ASKED_NOTHING, /* not due, or asked less than the cool-down ago */
	ASKED_DONE,    /* by us, well or badly */
	ASKED_BUSY,    /* another thread is asking */
};

void source_init(struct source *s);
void source_done(struct source *s);

/* Drops the value; `url` is freed. */
void document_done(struct document *d);
/* A value to begin with, as if confirmed now, before any thread uses the document. */
void document_begin(struct document *d, struct shared *value, struct moment now);
/* A reference, or NULL. *ret_age: seconds since it was confirmed; -1: never. */
struct shared *document_get(struct document *d, struct moment now, int64_t *ret_age);
/* Fetches if it is due, in this thread. */
enum asked document_refresh(struct document *d, struct moment now);
/* Fetches because something is missing in it, unless it was asked for within the cool-down. */
enum asked document_want(struct document *d, struct moment now);
/* The same without fetching: the next document_refresh() will. ASKED_BUSY: it will, or a thread is
 * asking; ASKED_NOTHING: it was asked for within the cool-down. */
enum asked document_mark(struct document *d, struct moment now);
/* The last time somebody asked there was a good answer; what is not in it does not exist. True of a
 * document that is never fetched. */
bool document_is_current(struct document *d);
/* Waits until no thread asks. */
void document_wait(struct document *d);
/* Seconds until it is due; 0: it is. */
int64_t document_due_in(struct document *d, struct moment now);

#endif
