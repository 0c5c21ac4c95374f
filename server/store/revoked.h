/* What is revoked, in memory, asked on every introspection: entries of (kind, value) that hit
 * tokens issued up to a moment. Loaded from the store at start; a writer's operation adds here
 * after its commit and before its answer, so that "revoked" is true at once. Thread-safe. */
#ifndef CHANCERY_SERVER_REVOKED_H
#define CHANCERY_SERVER_REVOKED_H

#include "server/store/feed_list.h"

/* Entries beyond which single tokens are not revoked any more: about 100 MB. */
enum { REVOCATIONS_MAX = 1 << 20 };

struct revoked;
MUST_CHECK enum err revoked_new(size_t max, struct revoked **ret_revoked);
void revoked_free(struct revoked *r);
/* Also for the rest of what is there already. */
MUST_CHECK enum err revoked_load(struct revoked *r, struct db *db, int64_t now);
/* May a client revoke one token more? To be asked before it is stored: any client can fill the
 * table, and what the store holds must fit into memory at the next start. What a login, an account
 * or an api costs is its limit; those are always taken. */
bool revoked_has_room(struct revoked *r);
/* ERR_NOMEM: the caller must not answer "revoked" (it answers 503), and revoked_is_behind.
 * Widens an entry that is there. */
MUST_CHECK enum err revoked_add(struct revoked *r, const struct revocation *entry);
/* A token issued at `iat`. */
bool revoked_hit(struct revoked *r, enum revoke_kind kind, struct str value, int64_t iat);
void revoked_purge(struct revoked *r, int64_t now);
/* The store knows of more than we do; revoked_load makes it good. Meanwhile no token may be called
 * good: the caller whose revocation was stored and not entered may not come again. */
bool revoked_is_behind(const struct revoked *r);
/* The same entries for verifiers elsewhere; one list for each kind of reader. */
struct feed_list *revoked_feed(const struct revoked *r, enum feed_view view);
/* As feed_list_keys, for all of them. */
void revoked_keys(struct revoked *r, const struct str *kids, size_t count);
size_t revoked_count(struct revoked *r);

#endif
