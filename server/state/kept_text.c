/* Shared texts; see the header. */
#include "server/state/kept_text.h"

#include <stdlib.h>

struct kept_text *kept_text_new(size_t max)
{
	struct kept_text *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	atomic_init(&t->refs, 1);
	buf_init(&t->bytes, NULL, max);
	return t;
}

enum err kept_text_end(struct kept_text *t, const char *type)
{
	enum err e = buf_end(&t->bytes, &t->text);

	if (!e)
		jwks_etag(t->text, type, t->etag);
	return e;
}

struct kept_text *kept_text_ref(struct kept_text *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void kept_text_unref(struct kept_text *t)
{
	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	buf_done(&t->bytes);
	free(t);
}
