/* The issuer's keys (RFC 7517 5), read whole or not at all. */
#include "verify/key_set.h"

#include <stdlib.h>

#include "base/limits.h"

static void key_set_free(struct shared *value)
{
	struct key_set *set = (struct key_set *)value;

	jwks_free(set->jwks);
	free(set);
}

static const char *explain(enum err e)
{
	if (e == ERR_NOMEM || e == ERR_CRYPTO)
		return "no memory for the key set";
	return e == ERR_CONFLICT ? "two keys of the set have one kid" : "the answer is no key set";
}

const char *key_set_read(struct str body, struct shared **ret_value)
{
	AUTO(jwks, jwks) = NULL;
	struct key_set *set;
	enum err e = jwks_parse(body, &jwks);

	if (e)
		return explain(e);
	if (jwks->count == 0)
		return "the key set holds no key that we can use";
	set = calloc(1, sizeof(*set));
	if (!set)
		return explain(ERR_NOMEM);
	shared_init(&set->head, key_set_free);
	set->jwks = TAKE(jwks);
	*ret_value = &set->head;
	return NULL;
}

const struct jwk *key_set_find(const struct shared *value, struct str kid)
{
	return value ? jwks_find(((const struct key_set *)value)->jwks, kid) : NULL;
}

size_t key_set_count(const struct shared *value)
{
	return value ? ((const struct key_set *)value)->jwks->count : 0;
}

static const char *read_document(struct document *d, struct str body, struct moment now,
				 const struct shared *old, struct shared **ret_value)
{
	(void)d;
	(void)now;
	(void)old;
	return key_set_read(body, ret_value);
}

const struct document_kind key_set_kind = {
	.accept = "application/jwk-set+json, application/json",
	.limit = JWKS_SIZE_MAX,
	.read = read_document,
};
