/* Kept texts of the feed. A cursor is given out with a text, so only sequence numbers at which a
 * text was signed are cursors: a stranger who makes some up gets the whole list, which is kept
 * anyway, and cannot buy a signature for each. */
#include "server/state/feed.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "base/limits.h"
#include "jose/b64.h"

enum {
	EPOCH_BYTES = 12,
	EPOCH_LEN = B64URL_LEN(EPOCH_BYTES),
	CURSOR_MAX = EPOCH_LEN + 1 + 20,
	CLAIMS_TEXT_MAX = 2 * URI_MAX + 512,
	ENTRY_TEXT_MAX = 6 * URI_MAX + 256, /* every character escaped */
};

/* What readers who hold everything up to `since` are answered; since = 0 is the whole list. */
struct slot {
	bool used;
	uint64_t since;
	struct kept_text *text; /* NULL: not made yet */
	uint64_t seq;		/* up to which it tells */
	int64_t iat, made_us;
};

struct view {
	char epoch[EPOCH_LEN + 1];
	struct slot whole;
	struct slot deltas[FEED_CURSORS]; /* a ring: the oldest cursor gives way */
	size_t next;
};

struct feed {
	const struct env *env;
	pthread_mutex_t lock; /* guards the views; held for a few lines */
	struct view views[FEED_VIEWS];
	pthread_mutex_t making; /* held while one text is made; guards the channel */
	struct signer_channel signer;
	_Atomic uint64_t made, failed;
};

/* ---- cursors ---- */

static void write_cursor(struct buf *b, const struct view *v, uint64_t seq)
{
	buf_z(b, v->epoch);
	buf_fmt(b, ".%llu", (unsigned long long)seq);
}

/* False: no cursor of this view and process, which is as good as none. */
static bool read_cursor(const struct view *v, struct str text, uint64_t *ret_seq)
{
	int64_t n;

	if (text.n < EPOCH_LEN + 2 || text.n > CURSOR_MAX || text.p[EPOCH_LEN] != '.' ||
	    !str_equal_z(str_n(text.p, EPOCH_LEN), v->epoch) ||
	    str_to_i64(str_n(text.p + EPOCH_LEN + 1, text.n - EPOCH_LEN - 1), 0, INT64_MAX, &n))
		return false;
	*ret_seq = (uint64_t)n;
	return true;
}

/* ---- slots; the lock is held ---- */

static struct slot *delta_of(struct view *v, uint64_t since)
{
	for (size_t i = 0; i < FEED_CURSORS; i++) {
		if (v->deltas[i].used && v->deltas[i].since == since)
			return &v->deltas[i];
	}
	return NULL;
}

static struct slot *slot_of(struct view *v, struct str since)
{
	struct slot *delta = NULL;
	uint64_t seq;

	if (since.p && read_cursor(v, since, &seq))
		delta = delta_of(v, seq);
	return delta ? delta : &v->whole;
}

/* A cursor is on its way to readers. */
static void give_out(struct view *v, uint64_t seq)
{
	struct slot *s = &v->deltas[v->next];

	if (delta_of(v, seq))
		return;
	kept_text_unref(s->text);
	*s = (struct slot){ .used = true, .since = seq };
	v->next = (v->next + 1) % FEED_CURSORS;
}

static bool will_do(const struct feed *f, const struct slot *s, const struct feed_ask *ask)
{
	if (!s->text || ask->now < s->iat || ask->now >= s->iat + FEED_RENEW)
		return false;
	return s->seq == feed_list_latest(ask->list) ||
	       f->env->monotonic(f->env) - s->made_us < FEED_PAUSE_US;
}

/* The signer is away: what is still true is still good. */
static bool still_true(const struct feed *f, const struct slot *s, const struct feed_ask *ask)
{
	(void)f;
	return s->text && ask->now >= s->iat && ask->now < s->iat + FEED_LIFETIME &&
	       s->seq == feed_list_latest(ask->list);
}

/* ---- making ---- */

struct making {
	struct feed *f;
	const struct feed_ask *ask;
	uint64_t since, seq;
	bool whole;
	struct kept_text *text;
	struct signer_list list;
	bool begun;
	struct buf entry;
};

static const char *const kind_names[] = {
	[REVOKE_JTI] = "jti",	[REVOKE_SID] = "sid", [REVOKE_CLIENT] = "client",
	[REVOKE_USER] = "user", [REVOKE_KID] = "kid", [REVOKE_API] = "api",
};

static enum err take_entries(void *arg, const struct feed_entry *entries, size_t count)
{
	struct making *m = arg;

	for (size_t i = 0; i < count; i++) {
		const struct feed_entry *from = &entries[i];
		struct jsonw w;

		if (from->until < m->ask->now)
			continue;
		buf_clear(&m->entry);
		jsonw_init(&w, &m->entry);
		jsonw_object(&w);
		jsonw_member_z(&w, "kind", kind_names[from->kind]);
		jsonw_member(&w, "value", from->value);
		if (from->before != FEED_ANY_TIME)
			jsonw_member_int(&w, "before", from->before);
		jsonw_member_int(&w, "until", from->until);
		jsonw_end_object(&w);
		if (m->entry.err)
			return m->entry.err;
		signer_list_add(&m->list, str_n(m->entry.p, m->entry.n));
	}
	return m->list.err;
}

static enum err write_claims(const struct making *m, struct buf *out)
{
	const struct feed_ask *ask = m->ask;
	const struct view *v = &m->f->views[ask->view];
	char cursor_text[CURSOR_MAX + 1];
	struct buf cursor;
	struct str text;
	struct jsonw w;
	enum err e;

	buf_init(&cursor, NULL, CURSOR_MAX);
	write_cursor(&cursor, v, m->seq);
	e = buf_end(&cursor, &text);
	if (!e)
		memcpy(cursor_text, text.p, text.n + 1);
	buf_done(&cursor);
	if (e)
		return e;
	jsonw_init(&w, out);
	jsonw_object(&w);
	jsonw_member(&w, "iss", ask->issuer);
	jsonw_member_int(&w, "iat", ask->now);
	jsonw_member_int(&w, "exp", ask->now + FEED_LIFETIME);
	jsonw_member_z(&w, "epoch", v->epoch);
	jsonw_member_z(&w, "cursor", cursor_text);
	jsonw_member_bool(&w, "full", m->whole);
	jsonw_end_object(&w);
	return out->err;
}

static void abandon(struct making *m)
{
	struct str unused;

	if (m->begun && signer_list_end(&m->list, &unused))
		m->list.err = ERR_OK; /* it was going to be thrown away */
	m->begun = false;
}

/* Begins, and begins anew. */
static void begin(void *arg)
{
	struct making *m = arg;
	struct buf claims;
	struct str text = STR_NONE;
	enum err e;

	abandon(m);
	buf_init(&claims, NULL, CLAIMS_TEXT_MAX);
	/* before the entries are read: what comes meanwhile is told again, not left out */
	m->seq = feed_list_latest(m->ask->list);
	e = write_claims(m, &claims);
	if (!e)
		e = buf_end(&claims, &text);
	signer_list_begin(&m->list, &m->f->signer, PURPOSE_REVOCATIONS, text, &m->text->bytes);
	if (e)
		m->list.err = e;
	m->begun = true;
	buf_done(&claims);
}

static enum err sign_text(struct making *m)
{
	struct str unused;
	enum err e = feed_list_walk(m->ask->list, m->since, take_entries, begin, m);

	if (e) {
		abandon(m);
		return e;
	}
	e = signer_list_end(&m->list, &unused);
	return e ? e : kept_text_end(m->text, FEED_TYPE);
}

/* The caller unrefs what it gets; the slot keeps a reference of its own. */
static void keep(struct making *m)
{
	struct feed *f = m->f;
	struct view *v = &f->views[m->ask->view];
	struct slot *s;

	pthread_mutex_lock(&f->lock);
	/* the cursor that was asked with may have given way meanwhile */
	s = m->whole ? &v->whole : delta_of(v, m->since);
	if (s) {
		kept_text_unref(s->text);
		s->text = kept_text_ref(m->text);
		s->seq = m->seq;
		s->iat = m->ask->now;
		s->made_us = f->env->monotonic(f->env);
	}
	give_out(v, m->seq);
	pthread_mutex_unlock(&f->lock);
}

static enum err make(struct making *m)
{
	enum err e;

	m->text = kept_text_new(FEED_SIZE_MAX);
	if (!m->text)
		return ERR_NOMEM;
	buf_init(&m->entry, NULL, ENTRY_TEXT_MAX);
	e = sign_text(m);
	buf_done(&m->entry);
	if (!e)
		keep(m);
	else
		kept_text_unref(m->text);
	atomic_fetch_add(e ? &m->f->failed : &m->f->made, 1);
	return e;
}

static enum err look(struct feed *f, const struct feed_ask *ask,
		     bool (*good)(const struct feed *, const struct slot *,
				  const struct feed_ask *),
		     struct making *ret_missing, struct kept_text **ret_text)
{
	struct view *v = &f->views[ask->view];
	enum err e = ERR_BUSY;
	struct slot *s;

	pthread_mutex_lock(&f->lock);
	s = slot_of(v, ask->since);
	if (good(f, s, ask)) {
		*ret_text = kept_text_ref(s->text);
		e = ERR_OK;
	}
	*ret_missing = (struct making){
		.f = f, .ask = ask, .since = s->since, .whole = s == &v->whole
	};
	pthread_mutex_unlock(&f->lock);
	return e;
}

/* ---- the outside ---- */

static enum err make_epoch(const struct env *env, char ret_epoch[EPOCH_LEN + 1])
{
	unsigned char bytes[EPOCH_BYTES];
	enum err e = env->random(env, bytes, sizeof(bytes));

	if (!e)
		b64url_encode_z(bytes, sizeof(bytes), ret_epoch);
	return e;
}

enum err feed_new(const struct env *env, struct feed **ret_feed)
{
	struct feed *f = calloc(1, sizeof(*f));
	enum err e = ERR_OK;

	if (!f)
		return ERR_NOMEM;
	f->env = env;
	f->signer.fd = -1;
	pthread_mutex_init(&f->lock, NULL);
	pthread_mutex_init(&f->making, NULL);
	for (size_t i = 0; i < FEED_VIEWS && !e; i++)
		e = make_epoch(env, f->views[i].epoch);
	if (e)
		feed_free(f);
	else
		*ret_feed = f;
	return e;
}

void feed_free(struct feed *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < FEED_VIEWS; i++) {
		kept_text_unref(f->views[i].whole.text);
		for (size_t k = 0; k < FEED_CURSORS; k++)
			kept_text_unref(f->views[i].deltas[k].text);
	}
	signer_channel_close(&f->signer);
	pthread_mutex_destroy(&f->making);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

void feed_set_signer(struct feed *f, int fd)
{
	pthread_mutex_lock(&f->making);
	signer_channel_close(&f->signer);
	f->signer.fd = fd;
	pthread_mutex_unlock(&f->making);
}

enum err feed_find(struct feed *f, const struct feed_ask *ask, struct kept_text **ret_text)
{
	struct making unused;

	return look(f, ask, will_do, &unused, ret_text);
}

enum err feed_make(struct feed *f, const struct feed_ask *ask, struct kept_text **ret_text)
{
	struct making m;
	enum err e;

	pthread_mutex_lock(&f->making);
	e = look(f, ask, will_do, &m, ret_text);
	if (e) {
		e = make(&m);
		if (!e)
			*ret_text = m.text;
	}
	pthread_mutex_unlock(&f->making);
	if (e && !look(f, ask, still_true, &m, ret_text))
		return ERR_OK;
	return e;
}

void feed_signatures(struct feed *f, struct feed_signatures *ret_signatures)
{
	*ret_signatures = (struct feed_signatures){ .made = atomic_load(&f->made),
						    .failed = atomic_load(&f->failed) };
}
