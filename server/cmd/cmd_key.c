/* `chancery key`: the signing keys. */
#include "server/cmd/cmd_crud.h"

static const struct crud key_crud = {
	.noun = "key",
	.collection = "/keys",
	.view = { .id = "kid",
		  .columns = (const struct out_column[]){ { "KID", "kid" },
							  { "ALG", "alg" },
							  { "STATE", "state" },
							  { "CREATED", "created_at" },
							  { "ACTIVE", "activate_at" },
							  { "RETIRED", "retire_at" },
							  { "LEAVES", "remove_at" },
							  { NULL, NULL } } },
};

static int list(struct remote *r)
{
	return crud_list(r, &key_crud, STR("/keys"), 0);
}

static int rotate(struct remote *r)
{
	struct admin_call call = { .method = "POST", .path = STR("/keys/rotate") };
	struct reply reply;
	int status = crud_body(r->c, NULL, NULL, &call.body);

	if (status)
		return status;
	status = admin_send(r, &call, &reply);
	if (!status && json_get(reply.body, "items"))
		status = out_list(r->c, &key_crud.view, reply.body);
	else if (!status && reply.body)
		status = out_object(r->c, &key_crud.view, reply.body);
	reply_done(&reply);
	return status;
}

static const struct cmd_option rotate_options[] = {
	{ "alg", "ALG", "only the keys of this algorithm", BODY_STRING, "alg" },
	{ "force", NULL, "also when the next key has not been published long enough", BODY_TRUE,
	  "force" },
	{ NULL },
};

static const struct cmd_row rows[] = {
	{ .words = "key list",
	  .scope = "keys",
	  .flags = CMD_READS,
	  .summary = "list signing keys and their states",
	  .admin = list,
	  .examples = CMD_EXAMPLES("the key ids", "chancery key list -o quiet") },
	{ .words = "key rotate",
	  .scope = "keys",
	  .summary = "let the next keys sign from now on",
	  .details =
		  "The switch is done when the command returns; tokens of the old keys stay good "
		  "until "
		  "they expire. It is refused (exit status 4) as long as verifiers may not have "
		  "fetched the next key yet. Keys also rotate by themselves (keys.rotate_every).",
	  .options = { rotate_options },
	  .admin = rotate,
	  .examples = CMD_EXAMPLES("every algorithm", "chancery key rotate", "one, and now",
				   "chancery key rotate --alg ES256 --force") },
};

const struct cmd_group cmd_key_group = CMD_GROUP("Signing keys", rows);
