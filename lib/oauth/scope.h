/* Scope lists (RFC 6749 3.3): tokens of %x21 / %x23-5B / %x5D-7E, one space between, order without
 * meaning, case-sensitive. A list is a borrowed array of at most SCOPES_MAX tokens. */
#ifndef CHANCERY_OAUTH_SCOPE_H
#define CHANCERY_OAUTH_SCOPE_H

#include "base/buf.h"
#include "base/limits.h"

struct scope {
	struct str tokens[SCOPES_MAX];
	size_t count;
};

/* Tokens are borrowed from `text`. Leading, trailing or doubled spaces, other characters:
 * ERR_SYNTAX. Too many or too long: ERR_LIMIT. A token twice counts once. Empty text: an empty
 * list. */
MUST_CHECK enum err scope_parse(struct str text, struct scope *ret_scope);
bool scope_token_valid(struct str token);
bool scope_has(const struct scope *s, struct str token);
/* False when full. */
bool scope_add(struct scope *s, struct str token);
void scope_write(const struct scope *s, struct buf *out);

#endif
