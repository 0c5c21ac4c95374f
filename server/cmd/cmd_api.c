/* `chancery api`: resource servers. Each is one audience, its scopes and its token settings. */
#include "server/cmd/cmd_crud.h"

static const struct crud api_crud = {
	.noun = "api",
	.collection = "/apis",
	.view = { .id = "slug",
		  .columns = (const struct out_column[]){ { "API", "slug" },
							  { "URI", "uri" },
							  { "SCOPES", "scopes" },
							  { "FORMAT", "format" },
							  { "ALG", "alg" },
							  { "TTL", "access_ttl" },
							  { "DISABLED", "disabled" },
							  { NULL, NULL } } },
};

static const struct crud secret_crud = {
	.noun = "secret",
	.view = { .id = "kid",
		  .columns = (const struct out_column[]){ { "KID", "kid" },
							  { "SIGNS", "signs" },
							  { "SIGNS FROM", "sign_from" },
							  { "VERIFIES UNTIL", "verify_until" },
							  { NULL, NULL } } },
};

/* The slug of the api whose URI is `uri`, in the arena; STR_NONE if there is none. */
static int find_uri(struct remote *r, const char *uri, struct str *ret_slug)
{
	AUTO(json, found) = NULL;
	const struct json *items;
	struct str text;
	int status = admin_list_all(r, STR("/apis"), 0, &found);

	*ret_slug = STR_NONE;
	items = json_get(found, "items");
	for (size_t i = 0; !status && i < json_len(items); i++) {
		const struct json *item = json_at(items, i);

		if (json_str(json_get(item, "uri"), &text) && str_equal_z(text, uri) &&
		    json_str(json_get(item, "slug"), &text))
			*ret_slug = arena_str(r->c->arena, text);
	}
	return status;
}

/* The argument is a slug, or the URI: a slug has no colon, a URI always one. */
static int find_api(struct remote *r, struct str *ret_slug)
{
	const char *name = r->c->args[0];
	int status;

	*ret_slug = str_z(name);
	if (!strchr(name, ':'))
		return CMD_OK;
	status = find_uri(r, name, ret_slug);
	if (!status && !ret_slug->p)
		status = cmd_fail(r->c, CMD_REFUSED, "there is no api with the URI %s", name);
	return status;
}

static void note_shown_once(struct cmd *c)
{
	const char *field = cmd_get(c, "field");

	if (field ? strcmp(field, "secret") == 0 : c->format != FORMAT_QUIET)
		cmd_note(c,
			 "The secret is shown this once: give it to the api, and to nobody else.");
	else
		cmd_note(c, "The secret that was made is not shown, and nobody has it; `chancery "
			    "api secret rotate` makes another.");
}

static int create(struct remote *r)
{
	const struct body_member members[] = {
		{ "uri", str_z(r->c->args[0]) },
		{ NULL, STR_NONE },
	};

	int status = crud_create(r, &api_crud, STR("/apis"), members);
	const char *alg = cmd_get(r->c, "alg");

	if (!status && alg && strcmp(alg, "HS256") == 0)
		note_shown_once(r->c);
	return status;
}

static int list(struct remote *r)
{
	return crud_list(r, &api_crud, STR("/apis"), 0);
}

static int show(struct remote *r)
{
	struct str slug;
	int status = find_api(r, &slug);

	return status ? status : crud_show(r, &api_crud, slug);
}

static int update(struct remote *r)
{
	struct str slug;
	int status = find_api(r, &slug);

	return status ? status : crud_update(r, &api_crud, slug);
}

static int delete(struct remote *r)
{
	struct str slug;
	int status = find_api(r, &slug);

	return status ? status : crud_delete(r, &api_crud, slug, r->c->args[0]);
}

/* ---- secrets ---- */

static int secrets_path(struct remote *r, struct str *ret_path)
{
	struct str slug;
	int status = find_api(r, &slug);

	return status ? status : crud_path(r->c, &api_crud, slug, "secrets", ret_path);
}

static int secret_list(struct remote *r)
{
	struct str path;
	int status = secrets_path(r, &path);

	return status ? status : crud_list(r, &secret_crud, path, 0);
}

static int secret_rotate(struct remote *r)
{
	struct str path;
	int status = secrets_path(r, &path);

	if (!status)
		status = crud_create(r, &secret_crud, path, NULL);
	if (!status)
		note_shown_once(r->c);
	return status;
}

static const struct cmd_option rotate_options[] = {
	{ "after", "DURATION", "let the new secret sign only after this time; default: at once",
	  BODY_SECONDS, "sign_after" },
	{ NULL },
};

static const struct cmd_option api_settings[] = {
	{ "name", "TEXT", "name for people", BODY_STRING, "name" },
	{ "scope", "SCOPE", "a scope it knows; without any, it takes the clients' own", BODY_LIST,
	  "scopes", true },
	{ "alg", "ALG",
	  "ES256, RS256 or, with a secret of its own, HS256; default: the client's or the "
	  "server's",
	  BODY_OR_NULL, "alg" },
	{ "format", "FORMAT",
	  "jwt; opaque: readable by introspection only; jwe: encrypted to the api", BODY_STRING,
	  "format" },
	{ "encryption-key", "FILE", "the api's public key, for the format jwe: PEM or JWK",
	  BODY_KEY, "encryption_key" },
	{ "access-ttl", "DURATION", "lifetime of its access tokens; default: the server's",
	  BODY_SECONDS, "access_ttl" },
	{ "gateway-cache", "DURATION",
	  "let gateways keep an answer of /gateway/verify, 10s at most; default: not at all",
	  BODY_SECONDS, "gateway_cache" },
	{ "claims", "NAME", "a custom claim that its tokens carry", BODY_LIST, "claims", true },
	{ NULL },
};

static const struct cmd_option create_options[] = {
	{ "id", "SLUG", "short name; made from the URI unless given", BODY_STRING, "slug" },
	{ NULL },
};

static const struct cmd_option update_options[] = {
	{ "add-scope", "SCOPE", "add a scope", BODY_ADD, "scopes", true },
	{ "remove-scope", "SCOPE", "remove a scope", BODY_REMOVE, "scopes", true },
	{ "disable", NULL, "make its tokens inactive, and give no new ones", BODY_TRUE,
	  "disabled" },
	{ "enable", NULL, "undo --disable", BODY_FALSE, "disabled" },
	{ NULL },
};

static const struct cmd_row rows[] = {
	{ .words = "api create",
	  .args = "URI",
	  .scope = "apis",
	  .summary = "make an api",
	  .details = "The URI is the audience (aud) of its tokens; nothing is fetched from it.",
	  .options = { create_options, api_settings },
	  .admin = create,
	  .examples = CMD_EXAMPLES(
		  "with two scopes",
		  "chancery api create https://api.example.com --scope invoices:read --scope "
		  "invoices:write",
		  "for a gateway that knows only RSA",
		  "chancery api create https://old.example.com --id old --alg RS256",
		  "which verifies with a secret of its own, shown once",
		  "chancery api create https://legacy.example.com --id legacy --alg HS256",
		  "whose tokens only it can read",
		  "chancery api create https://payroll.example.com --format jwe --encryption-key "
		  "payroll.pub.pem",
		  "whose tokens say nothing to those who carry them",
		  "chancery api create https://vault.example.com --format opaque") },
	{ .words = "api list",
	  .scope = "apis",
	  .flags = CMD_READS,
	  .summary = "list apis",
	  .admin = list,
	  .examples = CMD_EXAMPLES("their audiences", "chancery api list --field uri") },
	{ .words = "api show",
	  .args = "SLUG|URI",
	  .scope = "apis",
	  .flags = CMD_READS,
	  .summary = "show an api",
	  .admin = show,
	  .examples = CMD_EXAMPLES("as JSON",
				   "chancery api show https://api.example.com -o json") },
	{ .words = "api update",
	  .args = "SLUG|URI",
	  .scope = "apis",
	  .summary = "change an api",
	  .details =
		  "A list given replaces the list that is there, \"\" empties it; --add-scope and "
		  "--remove-scope edit it.",
	  .options = { api_settings, update_options },
	  .admin = update,
	  .examples = CMD_EXAMPLES("shorter tokens", "chancery api update old --access-ttl 2m",
				   "one scope more",
				   "chancery api update old --add-scope invoices:write") },
	{ .words = "api secret rotate",
	  .args = "SLUG|URI",
	  .scope = "apis",
	  .summary = "make another secret for an HS256 api",
	  .details = "The secret is shown once. The one before verifies on, here, until the last "
		     "token it may have signed has expired. Let the api take both before the new "
		     "one signs: --after gives it the time.",
	  .options = { rotate_options },
	  .admin = secret_rotate,
	  .examples = CMD_EXAMPLES("signs in an hour",
				   "chancery api secret rotate legacy --after 1h") },
	{ .words = "api secret list",
	  .args = "SLUG|URI",
	  .scope = "apis",
	  .flags = CMD_READS,
	  .summary = "list the secrets of an HS256 api, without the secrets",
	  .admin = secret_list,
	  .examples = CMD_EXAMPLES("which one signs", "chancery api secret list legacy") },
	{ .words = "api delete",
	  .args = "SLUG|URI",
	  .scope = "apis",
	  .flags = CMD_ASKS,
	  .summary = "delete an api",
	  .details = "Its tokens become inactive at once.",
	  .admin = delete,
	  .examples = CMD_EXAMPLES("without being asked", "chancery api delete old --yes") },
};

const struct cmd_group cmd_api_group = CMD_GROUP("Apis (resource servers)", rows);
