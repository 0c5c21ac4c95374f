/* `chancery client`: OAuth clients and their secrets. */
#include "server/cmd/cmd_crud.h"
#include "server/cmd/cmd_input.h"

static const struct crud client_crud = {
	.noun = "client",
	.collection = "/clients",
	.view = { .id = "client_id",
		  .columns = (const struct out_column[]){ { "CLIENT", "client_id" },
							  { "NAME", "client_name" },
							  { "GRANTS", "grant_types" },
							  { "SCOPE", "scope" },
							  { "AUDIENCES", "audiences" },
							  { "DISABLED", "disabled" },
							  { NULL, NULL } } },
};

static const struct crud secret_crud = {
	.noun = "secret",
	.view = { .id = "id",
		  .columns = (const struct out_column[]){ { "ID", "id" },
							  { "LABEL", "label" },
							  { "KIND", "kind" },
							  { "CREATED", "created_at" },
							  { "EXPIRES", "expires_at" },
							  { "LAST USED", "last_used_at" },
							  { NULL, NULL } } },
};

static bool shows_secret(const struct cmd *c)
{
	const char *field = cmd_get(c, "field");

	return field ? strcmp(field, "client_secret") == 0 : c->format != FORMAT_QUIET;
}

static void note_shown_once(struct cmd *c, struct str own)
{
	if (own.p)
		return;
	if (shows_secret(c))
		cmd_note(c, "The secret is shown this once; the server keeps only its hash.");
	else
		cmd_note(c, "The secret that was made is not shown, and nobody has it; `chancery "
			    "client secret add` makes another.");
}

static int create(struct remote *r)
{
	struct body_member members[] = {
		{ "client_id", str_z(r->c->args[0]) },
		{ "client_secret", STR_NONE },
		{ NULL, STR_NONE },
	};
	int status = input_secret(r->c, "secret", &members[1].value);

	if (!status)
		status = crud_create(r, &client_crud, STR("/clients"), members);
	if (!status && !cmd_has(r->c, "public"))
		note_shown_once(r->c, members[1].value);
	return status;
}

static int list(struct remote *r)
{
	const char *prefix = cmd_get(r->c, "prefix");
	struct str path;
	struct buf b;

	buf_init(&b, r->c->arena, ADMIN_BODY_MAX);
	buf_z(&b, "/clients");
	if (prefix) {
		buf_z(&b, "?prefix=");
		path_segment(&b, str_z(prefix));
	}
	if (buf_end(&b, &path))
		return cmd_nomem(r->c);
	return crud_list(r, &client_crud, path, 0);
}

static int show(struct remote *r)
{
	return crud_show(r, &client_crud, str_z(r->c->args[0]));
}

static int update(struct remote *r)
{
	return crud_update(r, &client_crud, str_z(r->c->args[0]));
}

static int delete(struct remote *r)
{
	return crud_delete(r, &client_crud, str_z(r->c->args[0]), r->c->args[0]);
}

/* ---- secrets ---- */

static int secrets_path(struct cmd *c, struct str *ret_path)
{
	return crud_path(c, &client_crud, str_z(c->args[0]), "secrets", ret_path);
}

static int secret_add(struct remote *r)
{
	struct cmd *c = r->c;
	struct body_member members[] = {
		{ "label", c->arg_count > 1 ? str_z(c->args[1]) : STR_NONE },
		{ "client_secret", STR_NONE },
		{ NULL, STR_NONE },
	};
	struct str path;
	int status = secrets_path(c, &path);

	if (!status)
		status = input_secret(c, "secret", &members[1].value);
	if (!status)
		status = crud_create(r, &secret_crud, path, members);
	if (!status)
		note_shown_once(c, members[1].value);
	return status;
}

static int secret_list(struct remote *r)
{
	struct str path;
	int status = secrets_path(r->c, &path);

	return status ? status : crud_list(r, &secret_crud, path, 0);
}

/* The id of the one secret that has this label. */
static int find_label(struct remote *r, struct str path, const char *label, struct str *ret_id)
{
	AUTO(json, found) = NULL;
	const struct json *items;
	struct str text, id = STR_NONE;
	size_t hits = 0;
	int status = admin_list_all(r, path, 0, &found);

	items = json_get(found, "items");
	for (size_t i = 0; !status && i < json_len(items); i++) {
		const struct json *item = json_at(items, i);

		if (json_str(json_get(item, "label"), &text) && str_equal_z(text, label) &&
		    json_str(json_get(item, "id"), &id))
			hits++;
	}
	if (status)
		return status;
	if (hits == 0)
		return cmd_fail(r->c, CMD_REFUSED,
				"client %s has no secret with the label or id \"%s\"",
				r->c->args[0], label);
	if (hits > 1)
		return cmd_fail(r->c, CMD_REFUSED,
				"%zu secrets have the label \"%s\"; use the id that "
				"`chancery client secret list` shows",
				hits, label);
	*ret_id = arena_str(r->c->arena, id);
	return ret_id->p ? CMD_OK : cmd_nomem(r->c);
}

static int secret_remove(struct remote *r)
{
	struct cmd *c = r->c;
	struct admin_call call = { .method = "DELETE" };
	struct str list_path, id = str_z(c->args[1]);
	struct reply reply;
	struct buf b;
	int status = secrets_path(c, &list_path);

	if (!status && !str_starts(id, STR("sec_")))
		status = find_label(r, list_path, c->args[1], &id);
	if (status)
		return status;
	buf_init(&b, c->arena, ADMIN_BODY_MAX);
	buf_str(&b, list_path);
	buf_byte(&b, '/');
	path_segment(&b, id);
	if (buf_end(&b, &call.path))
		return cmd_nomem(c);
	status = admin_send(r, &call, &reply);
	reply_done(&reply);
	return status ? status : crud_done(c, &secret_crud, id, "removed");
}

/* ---- the rows ---- */

static const struct cmd_option client_settings[] = {
	{ "name", "TEXT", "name for people", BODY_STRING, "client_name" },
	{ "grant", "TYPE", "client_credentials, password or refresh_token", BODY_LIST,
	  "grant_types", true },
	{ "scope", "SCOPE", "a scope it may ask for", BODY_WORDS, "scope", true },
	{ "audience", "URI", "an api it may get tokens for; the first is its default", BODY_LIST,
	  "audiences", true },
	{ "introspect", "URI|*", "audience whose tokens it may introspect", BODY_LIST, "introspect",
	  true },
	{ "public-password", NULL, "let a public client use the password grant", BODY_TRUE,
	  "public_password" },
	{ "auth-method", "METHOD", "pin client_secret_basic or client_secret_post; any takes both",
	  BODY_STRING, "token_endpoint_auth_method" },
	{ "access-ttl", "DURATION", "lifetime of its access tokens; default: the server's",
	  BODY_SECONDS, "access_ttl" },
	{ "alg", "ALG", "ES256 or RS256, where the api does not say; default: the server's",
	  BODY_OR_NULL, "alg" },
	{ "no-rotation", NULL, "keep refresh tokens instead of rotating them", BODY_FALSE,
	  "refresh_rotation" },
	{ "claim", "NAME=JSON", "custom claim of its own tokens", BODY_CLAIMS, "claims", true },
	{ NULL },
};

static const struct cmd_option secret_settings[] = {
	{ "secret-stdin", NULL, "read a secret of your own from standard input" },
	{ "secret-file", "FILE", "read a secret of your own from a file" },
	{ "allow-weak", NULL, "take a secret of fewer than 24 characters", BODY_TRUE,
	  "allow_weak" },
	{ NULL },
};

static const struct cmd_option create_options[] = {
	{ "public", NULL, "a public client: no secret, auth method none", BODY_TRUE, "public" },
	{ NULL },
};

static const struct cmd_option update_options[] = {
	{ "rotation", NULL, "rotate refresh tokens again", BODY_TRUE, "refresh_rotation" },
	{ "no-public-password", NULL, "take the password grant from a public client", BODY_FALSE,
	  "public_password" },
	{ "add-grant", "TYPE", "add a grant", BODY_ADD, "grant_types", true },
	{ "remove-grant", "TYPE", "remove a grant", BODY_REMOVE, "grant_types", true },
	{ "add-scope", "SCOPE", "add a scope", BODY_ADD, "scope", true },
	{ "remove-scope", "SCOPE", "remove a scope", BODY_REMOVE, "scope", true },
	{ "add-audience", "URI", "add an audience", BODY_ADD, "audiences", true },
	{ "remove-audience", "URI", "remove an audience", BODY_REMOVE, "audiences", true },
	{ "add-introspect", "URI", "add an audience to introspect", BODY_ADD, "introspect", true },
	{ "remove-introspect", "URI", "remove one", BODY_REMOVE, "introspect", true },
	{ "disable", NULL, "end its tokens and logins, and give no new ones", BODY_TRUE,
	  "disabled" },
	{ "enable", NULL, "undo --disable", BODY_FALSE, "disabled" },
	{ NULL },
};

static const struct cmd_option list_options[] = {
	{ "prefix", "TEXT", "only ids that begin so" },
	{ NULL },
};

static const struct cmd_option secret_add_options[] = {
	{ "expires-in", "DURATION", "for so long; without it the secret does not expire",
	  BODY_SECONDS, "expires_in" },
	{ NULL },
};

static const struct cmd_row rows[] = {
	{ .words = "client create",
	  .args = "ID",
	  .scope = "clients",
	  .summary = "make a client",
	  .details = "Without --secret-* the server makes a 256-bit secret and shows it once. The "
		     "apis that --audience and --introspect name must exist.",
	  .options = { client_settings, create_options, secret_settings },
	  .admin = create,
	  .examples = CMD_EXAMPLES(
		  "a service that calls an api",
		  "chancery client create billing --grant client_credentials "
		  "--audience https://api.example.com --scope invoices:read",
		  "an application that people log in to",
		  "chancery client create shop --grant password --grant refresh_token "
		  "--audience https://api.example.com",
		  "an administrator elsewhere, for --credentials",
		  "chancery client create ops --grant client_credentials --scope chancery:clients "
		  "--audience "
		  "https://id.example.com/admin "
		  "-o json > ops.json") },
	{ .words = "client list",
	  .scope = "clients",
	  .flags = CMD_READS,
	  .summary = "list clients",
	  .options = { list_options },
	  .admin = list,
	  .examples = CMD_EXAMPLES("the ids, one a line", "chancery client list -o quiet",
				   "those of one team", "chancery client list --prefix shop-") },
	{ .words = "client show",
	  .args = "ID",
	  .scope = "clients",
	  .flags = CMD_READS,
	  .summary = "show a client",
	  .admin = show,
	  .examples = CMD_EXAMPLES("one value", "chancery client show billing --field scope") },
	{ .words = "client update",
	  .args = "ID",
	  .scope = "clients",
	  .summary = "change a client",
	  .details = "A list given replaces the list that is there, \"\" empties it; --add-... and "
		     "--remove-... edit it.",
	  .options = { client_settings, update_options },
	  .admin = update,
	  .examples = CMD_EXAMPLES("one scope more",
				   "chancery client update billing --add-scope invoices:write",
				   "stop it at once", "chancery client update billing --disable") },
	{ .words = "client delete",
	  .args = "ID",
	  .scope = "clients",
	  .flags = CMD_ASKS,
	  .summary = "delete a client for ever",
	  .details = "Its tokens end at once. The id can not be used again.",
	  .admin = delete,
	  .examples = CMD_EXAMPLES("without being asked", "chancery client delete billing --yes") },
	{ .words = "client secret add",
	  .args = "ID [LABEL]",
	  .scope = "clients",
	  .summary = "give a client another secret",
	  .details = "The old ones go on working, so that a secret can be changed without an "
		     "interruption.",
	  .options = { secret_add_options, secret_settings },
	  .admin = secret_add,
	  .examples = CMD_EXAMPLES(
		  "a secret for the next 90 days",
		  "chancery client secret add billing 2027-q1 --expires-in 90d", "one of your own",
		  "chancery client secret add billing mine --secret-file secret.txt") },
	{ .words = "client secret list",
	  .args = "ID",
	  .scope = "clients",
	  .flags = CMD_READS,
	  .summary = "list a client's secrets, with expiry and last use",
	  .admin = secret_list,
	  .examples = CMD_EXAMPLES("which one is in use", "chancery client secret list billing") },
	{ .words = "client secret remove",
	  .args = "ID SECRET",
	  .scope = "clients",
	  .summary = "remove a secret, by its id or label",
	  .admin = secret_remove,
	  .examples = CMD_EXAMPLES("the old one",
				   "chancery client secret remove billing 2026-q4") },
};

const struct cmd_group cmd_client_group = CMD_GROUP("Clients", rows);
