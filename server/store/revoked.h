/* What is revoked, in memory, asked on every introspection: entries of (kind, value) that hit
 * tokens issued up to a moment. Loaded from the store at start; a writer's operation adds here
 * after its commit and before its answer, so that "revoked" is true at once. Thread-safe. */
#ifndef CHANCERY_SERVER_REVOKED_H
#define CHANCERY_SERVER_REVOKED_H

#include "server/store/store.h"

struct revoked;
MUST_CHECK enum err revoked_new(struct revoked **ret_revoked);
void revoked_free(struct revoked *r);
MUST_CHECK enum err revoked_load(struct revoked *r, struct db *db, int64_t now);
/* ERR_NOMEM: the caller must not answer "revoked" (it answers 503). Widens an entry that is there.
 */
MUST_CHECK enum err revoked_add(struct revoked *r, const struct revocation *entry);
/* A token issued at `iat`. */
bool revoked_hit(struct revoked *r, enum revoke_kind kind, struct str value, int64_t iat);
void revoked_purge(struct revoked *r, int64_t now);
size_t revoked_count(struct revoked *r);

#endif
