/* Key sets of purposes; see the header. */
#include "server/state/purpose_sets.h"

#include <pthread.h>
#include <stdlib.h>

enum { SET_MAX = 8192 };

struct purpose_sets {
	pthread_mutex_t lock; /* guards what follows */
	struct {
		struct kept_text *text; /* NULL: none yet */
		int64_t until;
	} kept[PURPOSE_COUNT];
};

enum err purpose_sets_new(struct purpose_sets **ret_sets)
{
	struct purpose_sets *s = calloc(1, sizeof(*s));

	if (!s)
		return ERR_NOMEM;
	pthread_mutex_init(&s->lock, NULL);
	*ret_sets = s;
	return ERR_OK;
}

void purpose_sets_free(struct purpose_sets *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < PURPOSE_COUNT; i++)
		kept_text_unref(s->kept[i].text);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static struct kept_text *find(struct purpose_sets *s, enum purpose purpose, int64_t now)
{
	struct kept_text *found = NULL;

	pthread_mutex_lock(&s->lock);
	if (s->kept[purpose].text && now < s->kept[purpose].until &&
	    now >= s->kept[purpose].until - PURPOSE_PERIOD)
		found = kept_text_ref(s->kept[purpose].text);
	pthread_mutex_unlock(&s->lock);
	return found;
}

static void keep(struct purpose_sets *s, enum purpose purpose, struct kept_text *text,
		 int64_t until)
{
	struct kept_text *old;

	pthread_mutex_lock(&s->lock);
	old = s->kept[purpose].text;
	s->kept[purpose].text = kept_text_ref(text);
	s->kept[purpose].until = until;
	pthread_mutex_unlock(&s->lock);
	kept_text_unref(old);
}

/* Two threads may ask at once; what they get is the same. */
enum err purpose_sets_get(struct purpose_sets *s, enum purpose purpose,
			  struct signer_channel *signer, int64_t now, struct kept_text **ret_text)
{
	struct kept_text *text = find(s, purpose, now);
	int64_t until;
	enum err e;

	if (text) {
		*ret_text = text;
		return ERR_OK;
	}
	text = kept_text_new(SET_MAX);
	if (!text)
		return ERR_NOMEM;
	e = signer_purpose_keys(signer, purpose, &text->bytes, &until);
	if (!e)
		e = kept_text_end(text, jwks_types[JWKS_TYPE_JSON]);
	if (e) {
		kept_text_unref(text);
		return e;
	}
	keep(s, purpose, text, until);
	*ret_text = text;
	return ERR_OK;
}
