/* A text that several requests answer with, while it is replaced behind their backs: immutable,
 * shared by references, with the validator of its representation. */
#ifndef CHANCERY_SERVER_KEPT_TEXT_H
#define CHANCERY_SERVER_KEPT_TEXT_H

#include <stdatomic.h>

#include "keys/jwks.h"

struct kept_text {
	_Atomic unsigned refs;
	struct str text; /* in `bytes` */
	char etag[ETAG_LEN + 1];
	struct buf bytes;
};

/* Empty, to be filled through `bytes` (at most `max`), with one reference. NULL: no memory. */
struct kept_text *kept_text_new(size_t max);
/* What stands in `bytes` is the text now; `type` is its media type. ERR_LIMIT, ERR_NOMEM. */
MUST_CHECK enum err kept_text_end(struct kept_text *t, const char *type);
struct kept_text *kept_text_ref(struct kept_text *t);
/* NULL is fine. */
void kept_text_unref(struct kept_text *t);

#endif
