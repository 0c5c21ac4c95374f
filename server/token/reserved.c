/* Names under "chancery:" and URIs at or below the issuer are reserved. They are told apart here
 * and nowhere else, so that the rules of the token side and of the admin endpoints cannot drift
 * apart. */
#include "server/token/auth.h"

#include "oauth/uri.h"

#define RESERVED_PREFIX "chancery:"
#define ADMIN_API_PATH "/admin"

static const struct {
	const char *name;
	unsigned bit;
} admin_scopes[] = {
	{ "chancery:admin", ADMIN_SCOPE_ADMIN },     { "chancery:keys", ADMIN_SCOPE_KEYS },
	{ "chancery:clients", ADMIN_SCOPE_CLIENTS }, { "chancery:users", ADMIN_SCOPE_USERS },
	{ "chancery:apis", ADMIN_SCOPE_APIS },	     { "chancery:audit", ADMIN_SCOPE_AUDIT },
	{ "chancery:read", ADMIN_SCOPE_READ },
};
enum { ADMIN_SCOPE_COUNT = sizeof(admin_scopes) / sizeof(admin_scopes[0]) };

unsigned admin_scope_bits(struct str scope)
{
	struct str token;
	unsigned bits = 0;

	while (str_next(&scope, ' ', &token))
		for (size_t i = 0; i < ADMIN_SCOPE_COUNT; i++)
			if (str_equal_z(token, admin_scopes[i].name))
				bits |= admin_scopes[i].bit;
	return bits;
}

bool scope_is_reserved(struct str token)
{
	return str_starts(token, STR(RESERVED_PREFIX));
}

/* Tokens compare audiences byte for byte, so another spelling would open nothing here; but it could
 * fool a person, or a verifier that folds case, and nobody needs it. */
bool audience_is_reserved(struct str issuer, struct str uri)
{
	return uri_is_below(issuer, uri);
}

static enum err admin_api_uri(struct str issuer, struct arena *a, struct str *ret_uri)
{
	struct buf b;

	buf_init(&b, a, URI_MAX + sizeof(ADMIN_API_PATH));
	buf_str(&b, issuer);
	buf_z(&b, ADMIN_API_PATH);
	return buf_end(&b, ret_uri);
}

enum err admin_api_fill(struct str issuer, struct arena *a, struct api *ret_api)
{
	struct api api = {
		.slug = STR(ADMIN_API_SLUG),
		.name = STR("Administration of this server"),
		.format = API_JWT,
		.claims = STR(""),
	};
	struct buf scopes;
	enum err e;

	buf_init(&scopes, a, SCOPE_MAX);
	for (size_t i = 0; i < ADMIN_SCOPE_COUNT; i++) {
		if (i)
			buf_byte(&scopes, ' ');
		buf_z(&scopes, admin_scopes[i].name);
	}
	e = buf_end(&scopes, &api.scope);
	if (!e)
		e = admin_api_uri(issuer, a, &api.uri);
	if (e)
		return e;
	*ret_api = api;
	return ERR_OK;
}
