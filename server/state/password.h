/* Argon2id, in the hash lane only: the operator's own client secrets and users' passwords.
 *
 * secret_cache: successes under a random key of this process, so that a client with an operator's
 * secret pays 18 ms once and not per request. An entry is a MAC over the stored hash string and the
 * presented secret: when the stored hash changes or goes, the entry can never match again. Users'
 * passwords are not cached. */
#ifndef CHANCERY_SERVER_PASSWORD_H
#define CHANCERY_SERVER_PASSWORD_H

#include "base/arena.h"
#include "server/state/env.h"

/* libsodium's string form, parameters of env. ERR_LIMIT above PASSWORD_MAX; ERR_NOMEM. */
MUST_CHECK enum err password_hash(const struct env *env, struct arena *a, struct str password,
				  struct str *ret_hash);
/* ERR_OK, or ERR_BAD_SIGNATURE: it does not match. ERR_NOMEM, ERR_CORRUPT (`hash` is none of ours):
 * no verdict. *ret_rehash, with ERR_OK: parameters are not those of env. An empty `hash` costs the
 * same as a wrong password and fails (unknown users, users without a password). */
MUST_CHECK enum err password_verify(const struct env *env, struct str hash, struct str password,
				    bool *ret_rehash);

struct secret_cache;
MUST_CHECK enum err secret_cache_new(const struct env *env, size_t max,
				     struct secret_cache **ret_cache);
void secret_cache_free(struct secret_cache *c);
bool secret_cache_has(struct secret_cache *c, struct str hash, struct str presented);
void secret_cache_put(struct secret_cache *c, struct str hash, struct str presented);

#endif
