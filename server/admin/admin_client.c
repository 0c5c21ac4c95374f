/* A client as the admin API sees it. Bodies of POST and patched documents of PATCH go through the
 * same reader, so that a client cannot be patched into something that could not have been created.
 */
#include "server/admin/admin_client.h"

#include "oauth/uri.h"
#include "server/admin/admin_rules.h"
#include "server/token/auth.h"
#include "server/store/lists.h"
#include "server/token/token.h"

enum { GRANTS_MAX = 16, CREATE_ONLY_ROWS = 3 };

#define FIELD(member, name_, type_)                                                                \
	{ .name = name_,                                                                           \
	  .type = type_,                                                                           \
	  .offset = offsetof(struct client_body, member),                                          \
	  .nullable = true }

static const struct json_field client_rows[] = {
	{ .name = "client_id",
	  .type = JSON_STRING,
	  .offset = offsetof(struct client_body, client_id),
	  .required = true },
	FIELD(client_secret, "client_secret", JSON_STRING),
	FIELD(allow_weak, "allow_weak", JSON_BOOL),
	/* from here on also in PATCH */
	FIELD(client_name, "client_name", JSON_STRING),
	FIELD(grant_types, "grant_types", JSON_ARRAY),
	FIELD(scope, "scope", JSON_STRING),
	FIELD(audiences, "audiences", JSON_ARRAY),
	FIELD(introspect, "introspect", JSON_ARRAY),
	FIELD(auth_method, "token_endpoint_auth_method", JSON_STRING),
	FIELD(public, "public", JSON_BOOL),
	FIELD(public_password, "public_password", JSON_BOOL),
	FIELD(access_ttl, "access_ttl", JSON_INT),
	FIELD(alg, "alg", JSON_STRING),
	FIELD(refresh_rotation, "refresh_rotation", JSON_BOOL),
	FIELD(claims, "claims", JSON_OBJECT),
	FIELD(disabled, "disabled", JSON_BOOL),
};
enum { CLIENT_ROW_COUNT = sizeof(client_rows) / sizeof(*client_rows) };

const struct admin_shape client_shape = { client_rows, CLIENT_ROW_COUNT };
const struct admin_shape client_patch_shape = { client_rows + CREATE_ONLY_ROWS,
						CLIENT_ROW_COUNT - CREATE_ONLY_ROWS };

static const char *const auth_method_names[] = {
	[AUTH_METHOD_ANY] = "any",
	[AUTH_METHOD_BASIC] = "client_secret_basic",
	[AUTH_METHOD_POST] = "client_secret_post",
	[AUTH_METHOD_NONE] = "none",
};
enum { AUTH_METHOD_NAMES = sizeof(auth_method_names) / sizeof(*auth_method_names) };

/* ---- lists ---- */

static bool grant_known(struct str name)
{
	return grant_by_name(name) != NULL;
}

static bool introspect_valid(struct str uri)
{
	return str_equal_z(uri, "*") || uri_is_resource(uri);
}

static const struct admin_list_rule grant_rule = {
	.pointer = "/grant_types",
	.max = GRANTS_MAX,
	.valid = grant_known,
	.detail = "there is no such grant type",
};
static const struct admin_list_rule audience_rule = {
	.pointer = "/audiences",
	.max = AUDIENCES_MAX,
	.valid = uri_is_resource,
	.detail = "must be absolute URIs without a fragment",
};
static const struct admin_list_rule introspect_rule = {
	.pointer = "/introspect",
	.max = AUDIENCES_MAX,
	.valid = introspect_valid,
	.detail = "must be absolute URIs without a fragment, or *",
};

static enum err read_lists(struct arena *a, const struct client_body *in, struct client *c,
			   struct admin_fault *fault)
{
	enum err e = admin_check_list(a, in->grant_types, &grant_rule, &c->grants, fault);

	if (!e)
		e = admin_check_list(a, in->audiences, &audience_rule, &c->audiences, fault);
	if (!e)
		e = admin_check_list(a, in->introspect, &introspect_rule, &c->introspect, fault);
	return e ? e : admin_check_scope(a, in->scope, &c->scope, fault);
}

/* ---- what a public client may be (RFC 6749 2.1, 4.4) ---- */

static enum err read_auth_method(const struct client_body *in, bool public_given, struct client *c,
				 struct admin_fault *fault)
{
	const struct str name = in->auth_method.p ? in->auth_method
						  : str_z(in->public ? "none" : "any");
	size_t i = 0;

	while (i < AUTH_METHOD_NAMES && !str_equal_z(name, auth_method_names[i]))
		i++;
	if (i == AUTH_METHOD_NAMES)
		return admin_unprocessable(
			fault, "/token_endpoint_auth_method",
			"must be any, client_secret_basic, client_secret_post or none");
	c->auth_method = (enum auth_method)i;
	/* a patched document says "any" by itself, so that {"public":true} alone is enough */
	if (in->public && c->auth_method == AUTH_METHOD_ANY)
		c->auth_method = AUTH_METHOD_NONE;
	if (public_given && in->public != (c->auth_method == AUTH_METHOD_NONE))
		return admin_unprocessable(fault, "/public",
					   "contradicts token_endpoint_auth_method");
	return ERR_OK;
}

static enum err check_public(const struct client *c, struct admin_fault *fault)
{
	struct str names = c->grants, name;

	if (c->auth_method != AUTH_METHOD_NONE)
		return c->public_password ? admin_unprocessable(fault, "/public_password",
								"is for public clients only")
					  : ERR_OK;
	while (str_next(&names, ' ', &name))
		if (name.n && !grant_by_name(name)->public_allowed)
			return admin_unprocessable(fault, "/grant_types",
						   "a public client cannot use this grant type");
	if (list_has(c->grants, STR("password")) && !c->public_password)
		return admin_unprocessable(
			fault, "/grant_types",
			"a public client needs public_password for the password grant");
	if (c->introspect.n)
		return admin_unprocessable(fault, "/introspect",
					   "a public client cannot introspect");
	return ERR_OK;
}

/* ---- what is reserved ---- */

static bool has_reserved_uri(struct str issuer, struct str list)
{
	struct str uri;

	while (str_next(&list, ' ', &uri))
		if (audience_is_reserved(issuer, uri))
			return true;
	return false;
}

static bool has_reserved_scope(struct str list)
{
	struct str scope;

	while (str_next(&list, ' ', &scope))
		if (scope_is_reserved(scope))
			return true;
	return false;
}

bool client_is_reserved(struct str issuer, const struct client *c)
{
	return has_reserved_scope(c->scope) || has_reserved_uri(issuer, c->audiences) ||
	       has_reserved_uri(issuer, c->introspect);
}

bool client_lost_reserved(struct str issuer, const struct client *before,
			  const struct client *after)
{
	struct str scopes = before->scope, uris = before->audiences, item;

	while (str_next(&scopes, ' ', &item))
		if (scope_is_reserved(item) && !list_has(after->scope, item))
			return true;
	while (str_next(&uris, ' ', &item))
		if (audience_is_reserved(issuer, item) && !list_has(after->audiences, item))
			return true;
	return false;
}

/* "Issued by client credentials only, to confidential clients, in the issuer's own algorithm." A
 * scope under the reserved prefix that means nothing yet would be granted in advance. */
static enum err check_reserved(const struct config *config, const struct client *c,
			       struct admin_fault *fault)
{
	struct str scopes = c->scope, scope;

	if (!client_is_reserved(config->issuer, c))
		return ERR_OK;
	while (str_next(&scopes, ' ', &scope))
		if (scope_is_reserved(scope) && !admin_scope_bits(scope))
			return admin_unprocessable(fault, "/scope",
						   "there is no such chancery: scope");
	if (c->auth_method == AUTH_METHOD_NONE)
		return admin_unprocessable(fault, "/scope",
					   "a public client cannot hold chancery: scopes");
	if (c->grants.n && !str_equal_z(c->grants, "client_credentials"))
		return admin_unprocessable(
			fault, "/grant_types",
			"a client with chancery: scopes uses client_credentials only");
	if (c->alg && c->alg != config->tokens.alg)
		return admin_unprocessable(
			fault, "/alg",
			"a client with chancery: scopes uses the issuer's algorithm");
	return ERR_OK;
}

/* ---- reading ---- */

static enum err read_values(const struct client_source *from, const struct client_body *in,
			    struct client *c, struct admin_fault *fault)
{
	enum err e = admin_check_text(from->arena, "/client_name", in->client_name, ID_MAX,
				      &c->name, fault);

	if (!e)
		e = read_lists(from->arena, in, c, fault);
	if (!e)
		e = admin_check_alg(from->config, in->alg, &c->alg, fault);
	if (!e && in->access_ttl != ADMIN_INT_ABSENT)
		e = admin_check_ttl(in->access_ttl, &c->access_ttl, fault);
	if (!e)
		e = admin_check_claims(from->arena, in->claims, &c->claims, fault);
	c->refresh_rotation = in->refresh_rotation;
	c->public_password = in->public_password;
	c->disabled = in->disabled;
	return e;
}

enum err client_read(const struct client_source *from, struct client_body *ret_body,
		     struct client *ret_client, struct admin_fault *fault)
{
	struct client_body in = { .access_ttl = ADMIN_INT_ABSENT, .refresh_rotation = true };
	struct client c = *ret_client;
	uint64_t seen;
	enum err e = admin_fields(from->arena, from->object, from->shape, &in, &seen, fault);

	if (e)
		return e;
	c.access_ttl = 0;
	e = read_values(from, &in, &c, fault);
	if (!e)
		e = read_auth_method(&in, admin_seen(from->shape, seen, "public"), &c, fault);
	if (!e)
		e = check_public(&c, fault);
	if (!e)
		e = check_reserved(from->config, &c, fault);
	if (e)
		return e;
	*ret_body = in;
	*ret_client = c;
	return ERR_OK;
}

/* ---- writing ---- */

static void write_mutable(struct jsonw *w, const struct client *c)
{
	jsonw_member(w, "client_name", c->name);
	admin_write_list(w, "grant_types", c->grants);
	jsonw_member(w, "scope", c->scope);
	admin_write_list(w, "audiences", c->audiences);
	admin_write_list(w, "introspect", c->introspect);
	jsonw_member_z(w, "token_endpoint_auth_method", auth_method_names[c->auth_method]);
	jsonw_member_bool(w, "public_password", c->public_password);
	admin_write_ttl(w, "access_ttl", c->access_ttl);
	admin_write_alg(w, "alg", c->alg);
	jsonw_member_bool(w, "refresh_rotation", c->refresh_rotation);
	admin_write_claims(w, "claims", c->claims);
	jsonw_member_bool(w, "disabled", c->disabled);
}

void client_write(struct jsonw *w, const struct client *c)
{
	jsonw_object(w);
	jsonw_member(w, "client_id", c->id);
	write_mutable(w, c);
	jsonw_member_bool(w, "public", c->auth_method == AUTH_METHOD_NONE);
	admin_write_time(w, "created_at", c->created_at);
	admin_write_time(w, "updated_at", c->updated_at);
}

enum err client_document(struct arena *a, const struct client *c, struct str *ret_text)
{
	struct jsonw w;
	struct buf b;

	buf_init(&b, a, ADMIN_OBJECT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	write_mutable(&w, c);
	jsonw_end_object(&w);
	return buf_end(&b, ret_text);
}
