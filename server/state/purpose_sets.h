/* The published key sets of purposes (keys/signer.h), each asked of the signer once a period and
 * kept. A new root comes with a new process, and so with other keys. Thread-safe. */
#ifndef CHANCERY_SERVER_PURPOSE_SETS_H
#define CHANCERY_SERVER_PURPOSE_SETS_H

#include "keys/signer.h"
#include "server/state/kept_text.h"

struct purpose_sets;
MUST_CHECK enum err purpose_sets_new(struct purpose_sets **ret_sets);
void purpose_sets_free(struct purpose_sets *s);
/* `signer` is the caller's own and is asked if nothing is kept for `now`. The caller unrefs. Errors
 * as signer_purpose_keys. */
MUST_CHECK enum err purpose_sets_get(struct purpose_sets *s, enum purpose purpose,
				     struct signer_channel *signer, int64_t now,
				     struct kept_text **ret_text);

#endif
