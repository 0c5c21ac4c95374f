/* A key set as a counted value. */
#ifndef CHANCERY_VERIFY_KEY_SET_H
#define CHANCERY_VERIFY_KEY_SET_H

#include "jose/jwk.h"
#include "verify/document.h"

struct key_set {
	struct shared head;
	struct jwks *jwks;
};

/* NULL: good; else a constant sentence. A set without a key that we can use is refused: it is more
 * likely a mistake than an issuer that signs nothing. */
const char *key_set_read(struct str body, struct shared **ret_value);
/* Borrowed; NULL when there is no such key, or no set. */
const struct jwk *key_set_find(const struct shared *value, struct str kid);
/* 0 for NULL. */
size_t key_set_count(const struct shared *value);

/* Documents of this kind have no use for their owner. */
extern const struct document_kind key_set_kind;

#endif
