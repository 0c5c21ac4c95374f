/* One text for both discovery paths. Members come from the grant table and the routes' own paths; a
 * member that would be empty is left out (RFC 8414 3.2: zero elements MUST be omitted), which is
 * why there is no response_types_supported yet. */
#include "server/request/metadata.h"

#include "base/json.h"
#include "base/limits.h"
#include "server/token/token.h"

static const char *const methods[] = { "client_secret_basic", "client_secret_post", "none" };
enum { CONFIDENTIAL_METHODS = 2, ALL_METHODS = 3 };

static void write_url(struct jsonw *w, struct arena *a, const char *name, struct str issuer,
		      const char *path)
{
	struct buf b;
	struct str url;

	buf_init(&b, a, URI_MAX + 64);
	buf_str(&b, issuer);
	buf_z(&b, path);
	if (buf_end(&b, &url))
		w->out->err = b.err;
	else
		jsonw_member(w, name, url);
}

static void write_methods(struct jsonw *w, const char *name, size_t count)
{
	jsonw_key(w, name);
	jsonw_array(w);
	for (size_t i = 0; i < count; i++)
		jsonw_z(w, methods[i]);
	jsonw_end_array(w);
}

static void write_grants(struct jsonw *w)
{
	jsonw_key(w, "grant_types_supported");
	jsonw_array(w);
	for (size_t i = 0; i < grant_count; i++)
		jsonw_z(w, grants[i].name);
	jsonw_end_array(w);
}

enum err metadata_render(const struct config *c, struct buf *out)
{
	struct arena *scratch;
	struct jsonw w;
	enum err e = arena_new(16384, &scratch);

	if (e)
		return e;
	jsonw_init(&w, out);
	jsonw_object(&w);
	jsonw_member(&w, "issuer", c->issuer);
	write_url(&w, scratch, "token_endpoint", c->issuer, "/oauth2/token");
	write_url(&w, scratch, "jwks_uri", c->issuer, "/.well-known/jwks.json");
	write_url(&w, scratch, "introspection_endpoint", c->issuer, "/oauth2/introspect");
	write_url(&w, scratch, "revocation_endpoint", c->issuer, "/oauth2/revoke");
	/* RFC 8414 2: others MAY be used as well; a name of ours */
	write_url(&w, scratch, "revocations_uri", c->issuer, "/oauth2/revocations");
	write_grants(&w);
	write_methods(&w, "token_endpoint_auth_methods_supported", ALL_METHODS);
	write_methods(&w, "introspection_endpoint_auth_methods_supported", CONFIDENTIAL_METHODS);
	write_methods(&w, "revocation_endpoint_auth_methods_supported", ALL_METHODS);
	jsonw_end_object(&w);
	arena_free(scratch);
	return out->err;
}
