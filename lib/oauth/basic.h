/* Authorization: Basic with form-encoded halves (RFC 7617 2, RFC 6749 2.3.1), and the scheme of any
 * Authorization header. */
#ifndef CHANCERY_OAUTH_BASIC_H
#define CHANCERY_OAUTH_BASIC_H

#include "base/arena.h"

/* Splits "Scheme credentials". Scheme names compare without case (RFC 9110 11.1). ERR_SYNTAX. */
MUST_CHECK enum err auth_split(struct str header, struct str *ret_scheme,
			       struct str *ret_credentials);
/* The credentials of a Basic header, strict base64, first ':' splits, then each half form-decoded.
 * Copies in the arena. ERR_SYNTAX, ERR_LIMIT, ERR_NOMEM. */
MUST_CHECK enum err basic_parse(struct arena *a, struct str credentials, struct str *ret_id,
				struct str *ret_secret);

#endif
