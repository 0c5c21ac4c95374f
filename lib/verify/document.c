/* See document.h. The lock is held for a few lines around a fetch, never during one; a document's
 * `busy` is what keeps the second thread away meanwhile. */
#include "verify/document.h"

#include <stdlib.h>

#include "base/secret.h"

enum {
	FETCH_TIMEOUT = 10,
	REFRESH_MIN = 60,
	REFRESH_MAX = 86400,
	REFRESH_DEFAULT = 900, /* the issuer's own keys.jwks_max_age */
	LATE_MAX = 60,	       /* a thread's look at the clock, when it comes to act on it */
};

void shared_init(struct shared *value, void (*free)(struct shared *value))
{
	atomic_init(&value->references, 1);
	value->free = free;
}

void shared_unref(struct shared *value)
{
	if (value && atomic_fetch_sub(&value->references, 1) == 1)
		value->free(value);
}

static struct shared *shared_ref(struct shared *value)
{
	if (value)
		atomic_fetch_add(&value->references, 1);
	return value;
}

void source_init(struct source *s)
{
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->done, NULL);
}

void source_done(struct source *s)
{
	pthread_cond_destroy(&s->done);
	pthread_mutex_destroy(&s->lock);
}

void document_done(struct document *d)
{
	shared_unref(d->value);
	free(d->url);
	*d = (struct document){ .url = NULL };
}

void document_begin(struct document *d, struct shared *value, struct moment now)
{
	d->value = value;
	d->confirmed = true;
	d->confirmed_at = now.steady;
}

struct shared *document_get(struct document *d, struct moment now, int64_t *ret_age)
{
	struct shared *value;

	pthread_mutex_lock(&d->source->lock);
	value = shared_ref(d->value);
	*ret_age = d->confirmed ? now.steady - d->confirmed_at : -1;
	pthread_mutex_unlock(&d->source->lock);
	return value;
}

/* ---- one fetch ---- */

/* What a fetch begins with and ends in. */
struct errand {
	char url[DOCUMENT_URL_MAX];
	char etag[CHANCERY_ETAG_MAX]; /* "": none to compare with */
	struct shared *old;
	struct chancery_response response;
	struct shared *value; /* NULL: the old one stays */
	const char *failure;  /* NULL: none */
};

/* Under the lock. */
static void errand_begin(struct document *d, struct moment now, struct errand *e)
{
	d->busy = true;
	d->asked = true;
	d->asked_at = now.steady;
	d->source->fetches++;
	e->old = shared_ref(d->value);
	if (d->kind->address)
		d->kind->address(d, e->old, e->url);
	else
		memcpy(e->url, d->url, strlen(d->url) + 1);
	/* an ETag is of one URL (RFC 9110 8.8.3) */
	if (e->old && strcmp(e->url, d->etag_url) == 0)
		memcpy(e->etag, d->etag, sizeof(e->etag));
}

static void take_body(struct document *d, struct moment now, struct errand *e)
{
	const struct chancery_response *r = &e->response;

	if (r->body_len > r->body_max)
		e->failure = "the answer is too long";
	else
		e->failure = d->kind->read(d, str_n(r->body, r->body_len), now, e->old, &e->value);
}

static void errand_judge(struct document *d, struct moment now, struct errand *e, int failed)
{
	if (failed)
		e->failure = "the issuer does not answer";
	else if (e->response.status == 304 && e->etag[0])
		e->failure = NULL;
	else if (e->response.status == 200)
		take_body(d, now, e);
	else
		e->failure = "the issuer's answer is neither 200 nor 304";
}

/* Without the lock. */
static void errand_run(struct document *d, struct moment now, struct errand *e)
{
	const struct chancery_request request = {
		.url = e->url,
		.accept = d->kind->accept,
		.if_none_match = e->etag[0] ? e->etag : NULL,
		.timeout = FETCH_TIMEOUT,
	};
	struct source *s = d->source;

	e->response.body_max = d->kind->limit;
	e->response.body = malloc(e->response.body_max);
	if (!e->response.body)
		e->failure = "no memory for an answer";
	else
		errand_judge(d, now, e, s->fetch(s->arg, &request, &e->response));
	free(e->response.body);
}

/* At 80 % of what the answer promised, so that the next one is here before this one ends. */
static int64_t refresh_after(const struct document *d, int64_t max_age)
{
	if (d->refresh)
		return d->refresh;
	if (max_age <= 0)
		max_age = REFRESH_DEFAULT;
	if (max_age < REFRESH_MIN)
		max_age = REFRESH_MIN;
	if (max_age > REFRESH_MAX)
		max_age = REFRESH_MAX;
	return max_age / 5 * 4;
}

static void keep_etag(struct document *d, const struct errand *e)
{
	const char *end = memchr(e->response.etag, '\0', sizeof(e->response.etag));

	d->etag[0] = '\0';
	if (!end)
		return;
	memcpy(d->etag, e->response.etag, sizeof(d->etag));
	memcpy(d->etag_url, e->url, sizeof(d->etag_url));
}

/* Under the lock; what is left in *e is to be dropped. */
static void errand_end(struct document *d, struct moment now, struct errand *e)
{
	struct shared *given_up = NULL;

	d->busy = false;
	d->failed = e->failure != NULL;
	if (d->failed) {
		d->source->failures++;
		d->source->last_failure = e->failure;
		d->due_at = now.steady + (d->refresh ? d->refresh : d->cooldown);
	} else {
		d->confirmed = true;
		d->confirmed_at = now.steady;
		d->due_at = now.steady + refresh_after(d, e->response.max_age);
	}
	if (e->value) {
		given_up = d->value;
		d->value = e->value;
		keep_etag(d, e);
	}
	e->value = given_up;
	pthread_cond_broadcast(&d->source->done);
}

static void ask(struct document *d, struct moment now, struct errand *e)
{
	errand_run(d, now, e);
	pthread_mutex_lock(&d->source->lock);
	errand_end(d, now, e);
	pthread_mutex_unlock(&d->source->lock);
	shared_unref(e->old);
	shared_unref(e->value);
}

/* ---- when ---- */

/* When a caller's clock went back, what was to be in an hour must not be in a year. A thread that
 * was kept waiting since it looked at the clock is no such case. */
static bool went_back(const struct document *d, struct moment now)
{
	return now.steady < d->asked_at - LATE_MAX;
}

static bool is_due(const struct document *d, struct moment now)
{
	return !d->asked || now.steady >= d->due_at || went_back(d, now);
}

static bool is_cool(const struct document *d, struct moment now)
{
	return !d->asked || now.steady - d->asked_at >= d->cooldown || went_back(d, now);
}

static enum asked ask_if(struct document *d, struct moment now,
			 bool (*may)(const struct document *d, struct moment now))
{
	struct errand e = { .old = NULL };
	enum asked asked = ASKED_NOTHING;

	if (!d->source->fetch)
		return ASKED_NOTHING;
	pthread_mutex_lock(&d->source->lock);
	if (d->busy) {
		asked = ASKED_BUSY;
	} else if (may(d, now)) {
		asked = ASKED_DONE;
		errand_begin(d, now, &e);
	}
	pthread_mutex_unlock(&d->source->lock);
	if (asked == ASKED_DONE)
		ask(d, now, &e);
	return asked;
}

enum asked document_refresh(struct document *d, struct moment now)
{
	return ask_if(d, now, is_due);
}

enum asked document_want(struct document *d, struct moment now)
{
	return ask_if(d, now, is_cool);
}

enum asked document_mark(struct document *d, struct moment now)
{
	enum asked asked = ASKED_NOTHING;

	if (!d->source->fetch)
		return asked;
	pthread_mutex_lock(&d->source->lock);
	if (d->busy || is_cool(d, now)) {
		asked = ASKED_BUSY;
		if (!d->busy)
			d->due_at = now.steady;
	}
	pthread_mutex_unlock(&d->source->lock);
	return asked;
}

bool document_is_current(struct document *d)
{
	bool current;

	pthread_mutex_lock(&d->source->lock);
	current = !d->source->fetch || (d->asked && !d->busy && !d->failed);
	pthread_mutex_unlock(&d->source->lock);
	return current;
}

void document_wait(struct document *d)
{
	pthread_mutex_lock(&d->source->lock);
	while (d->busy)
		pthread_cond_wait(&d->source->done, &d->source->lock);
	pthread_mutex_unlock(&d->source->lock);
}

int64_t document_due_in(struct document *d, struct moment now)
{
	int64_t left;

	pthread_mutex_lock(&d->source->lock);
	left = d->asked ? d->due_at - now.steady : 0;
	pthread_mutex_unlock(&d->source->lock);
	return left > 0 ? left : 0;
}
