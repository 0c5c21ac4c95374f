/* The Authorization header. Both steps are strict, because two readings of one header are two
 * identities: what decides who is calling must have one spelling. */
#include "oauth/basic.h"

#include "base/limits.h"
#include "jose/b64.h"
#include "oauth/form.h"

/* An id and a secret of full length, every byte percent-encoded, in base64. */
enum { CREDENTIALS_MAX = (3 * (ID_MAX + PASSWORD_MAX) + 1 + 2) / 3 * 4 };

enum err auth_split(struct str header, struct str *ret_scheme, struct str *ret_credentials)
{
	struct str rest = str_trim(header);
	struct str scheme;

	if (!str_is_vschar(rest) || !str_next(&rest, ' ', &scheme) || scheme.n == 0)
		return ERR_SYNTAX;
	/* RFC 9110 11.4: one or more spaces, then the credentials */
	rest = str_trim(rest);
	if (rest.n == 0)
		return ERR_SYNTAX;
	*ret_scheme = scheme;
	*ret_credentials = rest;
	return ERR_OK;
}

/* RFC 7617 2: the first colon ends the id; RFC 6749 2.3.1: each half was form-encoded before. */
static enum err split_pair(struct arena *a, struct str pair, struct str *ret_id,
			   struct str *ret_secret)
{
	const char *colon = pair.n ? memchr(pair.p, ':', pair.n) : NULL;
	struct str id, secret;
	size_t id_len;
	enum err e;

	if (!colon)
		return ERR_SYNTAX;
	id_len = (size_t)(colon - pair.p);
	e = form_decode(a, str_n(pair.p, id_len), &id);
	if (!e)
		e = form_decode(a, str_n(colon + 1, pair.n - id_len - 1), &secret);
	if (e)
		return e;
	if (id.n == 0)
		return ERR_SYNTAX;
	if (id.n > ID_MAX || secret.n > PASSWORD_MAX)
		return ERR_LIMIT;
	*ret_id = id;
	*ret_secret = secret;
	return ERR_OK;
}

enum err basic_parse(struct arena *a, struct str credentials, struct str *ret_id,
		     struct str *ret_secret)
{
	size_t cap = credentials.n / 4 * 3;
	char *pair;
	size_t n;
	enum err e;

	if (credentials.n > CREDENTIALS_MAX)
		return ERR_LIMIT;
	pair = arena_alloc(a, cap);
	if (!pair)
		return ERR_NOMEM;
	e = b64_decode(credentials, pair, cap, &n);
	return e ? e : split_pair(a, str_n(pair, n), ret_id, ret_secret);
}
