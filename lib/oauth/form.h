/* application/x-www-form-urlencoded, as the token endpoint reads it (RFC 6749 3.2, appendix B). Our
 * own parser, because libmicrohttpd's folds duplicates and cuts at NUL (CVE-2021-3466,
 * CVE-2023-27371).
 *
 * Refused: a bad escape, NUL or invalid UTF-8 (also after decoding), CR or LF in any spelling, more
 * than FORM_PARAMS_MAX parameters, and any name twice (RFC 6749 3.2) except `resource` and
 * `audience` (RFC 8707 2). An empty value counts as absent (RFC 6749 3.1) but still as a first
 * occurrence. */
#ifndef CHANCERY_OAUTH_FORM_H
#define CHANCERY_OAUTH_FORM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"

struct form_param {
	struct str name;
	struct str value;
};

struct form {
	struct form_param params[FORM_PARAMS_MAX];
	size_t count;
};

/* Decoded copies live in the arena. ERR_SYNTAX, ERR_CONFLICT (a name twice), ERR_LIMIT (too many),
 * ERR_NOMEM. */
MUST_CHECK enum err form_parse(struct arena *a, struct str body, struct form *ret_form);
/* STR_NONE when absent or empty. */
struct str form_get(const struct form *f, const char *name);
/* The i-th value of a name that may repeat (empty ones not counted); STR_NONE after the last. */
struct str form_nth(const struct form *f, const char *name, size_t i);
/* One percent-encoded, '+'-spaced component; ERR_SYNTAX, ERR_NOMEM. */
MUST_CHECK enum err form_decode(struct arena *a, struct str text, struct str *ret_value);
void form_encode(struct buf *out, struct str value);

#endif
