/* `chancery user`: people who log in with a password. A user is named by login name, or by "id:"
 * and the stable id that stands in tokens as sub. */
#include "oauth/form.h"
#include "server/cmd/cmd_crud.h"
#include "server/cmd/cmd_input.h"

static const struct crud user_crud = {
	.noun = "user",
	.collection = "/users",
	.view = { .id = "id",
		  .columns = (const struct out_column[]){ { "ID", "id" },
							  { "NAME", "name" },
							  { "EMAIL", "email" },
							  { "ROLES", "roles" },
							  { "DISABLED", "disabled" },
							  { NULL, NULL } } },
};

static int query_path(struct cmd *c, const char *name, const char *value, struct str *ret_path)
{
	struct buf b;

	buf_init(&b, c->arena, ADMIN_BODY_MAX);
	buf_fmt(&b, "/users?%s=", name);
	form_encode(&b, str_z(value));
	return buf_end(&b, ret_path) ? cmd_nomem(c) : CMD_OK;
}

/* The id that the first argument means. */
static int find_user(struct remote *r, struct str *ret_id)
{
	AUTO(json, found) = NULL;
	const char *name = r->c->args[0];
	struct str path, id = STR_NONE;
	int status;

	if (strncmp(name, "id:", 3) == 0) {
		*ret_id = str_z(name + 3);
		return CMD_OK;
	}
	status = query_path(r->c, "name", name, &path);
	if (!status)
		status = admin_list_all(r, path, 0, &found);
	if (status)
		return status;
	if (!json_str(json_get(json_at(json_get(found, "items"), 0), "id"), &id))
		return cmd_fail(r->c, CMD_REFUSED, "there is no user with the name \"%s\"", name);
	*ret_id = arena_str(r->c->arena, id);
	return ret_id->p ? CMD_OK : cmd_nomem(r->c);
}

static int create(struct remote *r)
{
	struct body_member members[] = {
		{ "name", str_z(r->c->args[0]) },
		{ "password", STR_NONE },
		{ NULL, STR_NONE },
	};
	int status = input_secret(r->c, "password", &members[1].value);

	if (!status)
		status = crud_create(r, &user_crud, STR("/users"), members);
	if (!status && !members[1].value.p)
		cmd_note(r->c, "Without a password there is no login; "
			       "`chancery user set-password` gives one.");
	return status;
}

static int list(struct remote *r)
{
	const char *email = cmd_get(r->c, "email"), *name = cmd_get(r->c, "name");
	struct str path = STR("/users");
	int status = CMD_OK;

	if (email && name)
		return cmd_usage(r->c, "--email and --name: one of the two");
	if (email || name)
		status = query_path(r->c, email ? "email" : "name", email ? email : name, &path);
	return status ? status : crud_list(r, &user_crud, path, 0);
}

static int show(struct remote *r)
{
	struct str id;
	int status = find_user(r, &id);

	return status ? status : crud_show(r, &user_crud, id);
}

static int update(struct remote *r)
{
	struct str id;
	int status = find_user(r, &id);

	return status ? status : crud_update(r, &user_crud, id);
}

static int delete(struct remote *r)
{
	struct str id;
	int status = find_user(r, &id);

	return status ? status : crud_delete(r, &user_crud, id, r->c->args[0]);
}

/* POST below the user that answers with nothing we print. */
static int act(struct remote *r, const char *tail, const struct body_member *members,
	       const char *verb)
{
	struct admin_call call = { .method = "POST" };
	struct reply reply;
	struct str id;
	int status = find_user(r, &id);

	if (!status)
		status = crud_path(r->c, &user_crud, id, tail, &call.path);
	if (!status)
		status = crud_body(r->c, members, NULL, &call.body);
	if (status)
		return status;
	status = admin_send(r, &call, &reply);
	reply_done(&reply);
	return status ? status : crud_done(r->c, &user_crud, id, verb);
}

static int set_password(struct remote *r)
{
	struct body_member members[] = { { "password", STR_NONE }, { NULL, STR_NONE } };
	int status = input_secret(r->c, "password", &members[0].value);

	if (!status && !members[0].value.p)
		status = input_prompt(r->c, "New password", true, "--password-stdin",
				      &members[0].value);
	return status ? status : act(r, "password", members, "password_set");
}

static int unlock(struct remote *r)
{
	return act(r, "unlock", NULL, "unlocked");
}

static const struct cmd_option user_settings[] = {
	{ "email", "ADDRESS", "e-mail address", BODY_STRING, "email" },
	{ "role", "ROLE", "a role, for the roles claim", BODY_LIST, "roles", true },
	{ "claim", "NAME=JSON", "custom claim of the user's tokens", BODY_CLAIMS, "claims", true },
	{ NULL },
};

static const struct cmd_option password_stdin[] = {
	{ "password-stdin", NULL, "read the password from standard input" },
	{ NULL },
};

static const struct cmd_option create_options[] = {
	{ "id", "ID", "the stable id (sub); made by the server unless given", BODY_STRING, "id" },
	{ NULL },
};

static const struct cmd_option list_options[] = {
	{ "name", "NAME", "only the one with this name" },
	{ "email", "ADDRESS", "only those with this address" },
	{ NULL },
};

static const struct cmd_option update_options[] = {
	{ "name", "NAME", "another login name", BODY_STRING, "name" },
	{ "add-role", "ROLE", "add a role", BODY_ADD, "roles", true },
	{ "remove-role", "ROLE", "remove a role", BODY_REMOVE, "roles", true },
	{ "disable", NULL, "end all logins and tokens, and let in no more", BODY_TRUE, "disabled" },
	{ "enable", NULL, "undo --disable", BODY_FALSE, "disabled" },
	{ NULL },
};

static const struct cmd_row rows[] = {
	{ .words = "user create",
	  .args = "NAME",
	  .scope = "users",
	  .summary = "make a user",
	  .options = { create_options, user_settings, password_stdin },
	  .admin = create,
	  .examples = CMD_EXAMPLES("with a password from a password manager",
				   "pass show alice | chancery user create alice --email "
				   "alice@example.com --password-stdin",
				   "one who comes from another system",
				   "chancery user create bob --id 7c0e4d --role billing") },
	{ .words = "user list",
	  .scope = "users",
	  .flags = CMD_READS,
	  .summary = "list users",
	  .options = { list_options },
	  .admin = list,
	  .examples = CMD_EXAMPLES("who has this address",
				   "chancery user list --email alice@example.com") },
	{ .words = "user show",
	  .args = "NAME",
	  .scope = "users",
	  .flags = CMD_READS,
	  .summary = "show a user",
	  .admin = show,
	  .examples = CMD_EXAMPLES("by login name", "chancery user show alice", "by id",
				   "chancery user show id:7c0e4d") },
	{ .words = "user update",
	  .args = "NAME",
	  .scope = "users",
	  .summary = "change a user",
	  .details =
		  "--role replaces the roles that are there, \"\" takes them all; --add-role and "
		  "--remove-role edit them.",
	  .options = { user_settings, update_options },
	  .admin = update,
	  .examples = CMD_EXAMPLES("one role more", "chancery user update alice --add-role admin",
				   "out at once", "chancery user update alice --disable") },
	{ .words = "user delete",
	  .args = "NAME",
	  .scope = "users",
	  .flags = CMD_ASKS,
	  .summary = "delete a user for ever",
	  .details = "All logins and tokens end at once. The id can not be used again.",
	  .admin = delete,
	  .examples = CMD_EXAMPLES("without being asked", "chancery user delete alice --yes") },
	{ .words = "user set-password",
	  .args = "NAME",
	  .scope = "users",
	  .summary = "set a user's password",
	  .details =
		  "Asks on the terminal unless --password-stdin is given. Ends the user's logins.",
	  .options = { password_stdin },
	  .admin = set_password,
	  .examples = CMD_EXAMPLES(
		  "asked for on the terminal", "chancery user set-password alice", "from a script",
		  "pwgen 20 1 | chancery user set-password alice --password-stdin") },
	{ .words = "user unlock",
	  .args = "NAME",
	  .scope = "users",
	  .summary = "forget a user's failed logins",
	  .admin = unlock,
	  .examples = CMD_EXAMPLES("after a forgotten password was found again",
				   "chancery user unlock alice") },
};

const struct cmd_group cmd_user_group = CMD_GROUP("Users", rows);
