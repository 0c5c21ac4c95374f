/* `chancery key`: the signing keys. */
#include "server/cmd/cmd_key.h"

enum { SENTENCE_MAX = 8192 };

const struct crud key_crud = {
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

/* ---- key list ---- */

static void add_laggards(const struct json *laggards, int64_t missing, struct buf *b)
{
	size_t named = json_len(laggards);
	struct str name;

	for (size_t i = 0; i < named; i++) {
		if (!json_str(json_at(laggards, i), &name))
			continue;
		buf_z(b, i ? ", " : "; ");
		out_plain(name, b);
	}
	if (missing > (int64_t)named)
		buf_fmt(b, "%s%lld more", named ? " and " : "; ",
			(long long)(missing - (int64_t)named));
	buf_z(b, missing == 1 ? " does not" : " do not");
}

/* "ES256: 11 of 12 hold the standby; gw-eu-3 does not" */
static void note_holders(const struct cmd *c, const struct json *key)
{
	int64_t held = 0, expected = 0;
	struct str alg = STR_NONE, text;
	struct buf b;

	if (!json_int(json_get(key, "expected"), &expected) || !expected ||
	    !json_int(json_get(key, "held_by"), &held))
		return;
	(void)json_str(json_get(key, "alg"), &alg);
	buf_init(&b, c->arena, SENTENCE_MAX);
	out_plain(alg, &b);
	buf_fmt(&b, ": %lld of %lld hold the standby", (long long)held, (long long)expected);
	if (held < expected)
		add_laggards(json_get(key, "laggards"), expected - held, &b);
	if (buf_end(&b, &text) == ERR_OK)
		cmd_note(c, "%s", text.p);
}

static int list(struct remote *r)
{
	AUTO(json, keys) = NULL;
	const struct json *items;
	int status = admin_list_all(r, STR("/keys"), 0, &keys);

	if (!status)
		status = out_list(r->c, &key_crud.view, keys);
	items = json_get(keys, "items");
	for (size_t i = 0; !status && i < json_len(items); i++)
		note_holders(r->c, json_at(items, i));
	return status;
}

/* ---- key rotate ---- */

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

/* ---- key revoke ---- */

static const struct out_view revoked_view = {
	.id = "kid",
	.columns = (const struct out_column[]){ { "KID", "kid" },
						{ "TOKENS", "outstanding_tokens" },
						{ "EXACT", "outstanding_exact" },
						{ "LATEST EXPIRY", "latest_expiry" },
						{ "CACHED UNTIL", "cached_until" },
						{ NULL, NULL } },
};

static int revoke_all(struct remote *r)
{
	struct admin_call call = { .method = "POST", .path = STR("/keys/revoke-all") };
	struct reply reply;
	int status = cmd_confirm(r->c, "Revoke every key, and replace the root and the master key? "
				       "Every token ends at once; this can not be undone.");

	if (status)
		return status;
	status = admin_send(r, &call, &reply);
	if (!status)
		status = out_list(r->c, &revoked_view, reply.body);
	if (!status)
		cmd_note(r->c, "Every key is revoked; the server starts again with new ones.");
	reply_done(&reply);
	return status;
}

static int revoke_one(struct remote *r, const char *kid)
{
	struct admin_call call = { .method = "POST" };
	struct reply reply;
	int status = crud_path(r->c, &key_crud, str_z(kid), "revoke", &call.path);

	if (!status)
		status = cmd_confirm(r->c,
				     "Revoke the key %s? Its tokens end at once, and it never "
				     "comes back.",
				     kid);
	if (status)
		return status;
	status = admin_send(r, &call, &reply);
	if (!status)
		status = out_object(r->c, &revoked_view, reply.body);
	reply_done(&reply);
	return status;
}

static int revoke(struct remote *r)
{
	bool all = cmd_has(r->c, "all");

	if (all == (r->c->arg_count > 0))
		return cmd_usage(r->c, "name one key, or all of them with --all");
	return all ? revoke_all(r) : revoke_one(r, r->c->args[0]);
}

/* ---- key rewrap, resume ---- */

static int rewrap(struct remote *r)
{
	static const struct out_view view = { .id = "roots" };
	struct admin_call call = { .method = "POST", .path = STR("/keys/rewrap") };
	struct reply reply;
	int status = admin_send(r, &call, &reply);

	if (!status)
		status = out_object(r->c, &view, reply.body);
	if (!status)
		cmd_note(r->c, "The next master key is in force. If keys.master_key_file is a path "
			       "of your own, put FILE.next in its place before the next start.");
	reply_done(&reply);
	return status;
}

static int resume(struct remote *r)
{
	struct admin_call call = { .method = "POST", .path = STR("/keys/resume") };
	struct reply reply;
	int status = admin_send(r, &call, &reply);

	reply_done(&reply);
	return status ? status
		      : out_done(r->c, "resumed",
				 "The clock is vouched for; rotations and deletes go on.");
}

/* ---- the rows ---- */

static const struct cmd_option rotate_options[] = {
	{ "alg", "ALG", "only the keys of this algorithm", BODY_STRING, "alg" },
	{ "force", NULL, "also when verifiers may not hold the next key yet", BODY_TRUE, "force" },
	{ NULL },
};

static const struct cmd_option revoke_options[] = {
	{ "all", NULL, "every key, the root key and the master key" },
	{ NULL },
};

static const struct cmd_row rows[] = {
	{ .words = "key list",
	  .scope = "keys",
	  .flags = CMD_READS,
	  .summary = "list signing keys, and who holds the next ones",
	  .admin = list,
	  .examples = CMD_EXAMPLES("the key ids", "chancery key list -o quiet") },
	{ .words = "key plan",
	  .scope = "keys",
	  .flags = CMD_READS,
	  .summary = "show what will happen to the keys, and when",
	  .admin = key_plan,
	  .examples = CMD_EXAMPLES("the next rotations", "chancery key plan") },
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
	{ .words = "key revoke",
	  .args = "[KID]",
	  .scope = "keys",
	  .flags = CMD_ASKS,
	  .summary = "withdraw a key that is in wrong hands",
	  .details =
		  "The next key signs from the next request, ready or not; the bad one leaves the "
		  "key set, its tokens are inactive, and it never comes back, not even with an "
		  "older database. The answer says how many tokens that hits, and until when a "
		  "verifier's cache may still trust the key. With --all (the socket, or "
		  "chancery:admin) every key goes, the root and the master key are replaced, and "
		  "the server starts again.",
	  .options = { revoke_options },
	  .admin = revoke,
	  .examples = CMD_EXAMPLES(
		  "one key, without being asked",
		  "chancery key revoke --yes 7H0cUEAV1BLwKZnZKyIWG9x2v8BpZ3tYOUGbKg",
		  "custody is in doubt", "chancery key revoke --all") },
	{ .words = "key lint",
	  .scope = "keys",
	  .flags = CMD_READS,
	  .summary = "check every rule of the keys",
	  .details = "Also whether the next keys open in the signer. Exit status 3: a rule is "
		     "broken.",
	  .admin = key_lint,
	  .examples = CMD_EXAMPLES("for a monitor", "chancery key lint -o json") },
	{ .words = "key drill",
	  .scope = "keys",
	  .summary = "rehearse the next rotation",
	  .details = "What `key lint` checks, and the key set as it is fetched at the issuer's "
		     "public address: whether caches and proxies show it as promised. Exit status "
		     "3: not all is well.",
	  .admin = key_drill,
	  .examples = CMD_EXAMPLES("before the day", "chancery key drill") },
	{ .words = "key import",
	  .args = "FILE|-",
	  .scope = "admin",
	  .summary = "take over a key of a former server",
	  .details =
		  "FILE holds PEM, a JWK or a JWK set. An active key signs from now on; its "
		  "private "
		  "half is sealed here to the signer, and nobody else can open it. A retiring key "
		  "only verifies, until its last token has expired: its public half is enough. "
		  "Over "
		  "the server's UNIX socket alone.",
	  .options = { key_import_options },
	  .admin = key_import,
	  .examples = CMD_EXAMPLES(
		  "verify what the old server has issued",
		  "chancery key import old-jwks.json --kid 2024-a --state retiring --for 24h",
		  "go on signing with its key",
		  "chancery key import old-key.pem --kid 2024-a --state active") },
	{ .words = "key tripwire",
	  .args = "FILE|-",
	  .scope = "keys",
	  .summary = "find forged tokens among captured ones",
	  .details =
		  "Looks for tokens in every line, so logs can be given as they are. `forged` has "
		  "a "
		  "good signature of a key of ours, and our signer did not make it: somebody else "
		  "has that key. `unproven` is of an imported key, or of a root that is gone. Exit "
		  "status 3: a forgery was found.",
	  .admin = key_tripwire,
	  .examples = CMD_EXAMPLES("what a gateway has logged", "chancery key tripwire gateway.log",
				   "one token", "chancery key tripwire - < token") },
	{ .words = "key rewrap",
	  .scope = "admin",
	  .summary = "seal everything under the next master key",
	  .details = "Invalidates nothing. A master key in the data directory is made by itself; "
		     "of an "
		     "own keys.master_key_file the next one is read from FILE.next.",
	  .admin = rewrap,
	  .examples = CMD_EXAMPLES("a new master key", "chancery key rewrap") },
	{ .words = "key resume",
	  .scope = "keys",
	  .summary = "say that the clock is right, after it jumped",
	  .details = "After a jump of the clock rotations and deletes wait until it has gone well "
		     "for ten minutes; this ends the wait.",
	  .admin = resume,
	  .examples = CMD_EXAMPLES("after a check of the clock", "chancery key resume") },
};

const struct cmd_group cmd_key_group = CMD_GROUP("Signing keys", rows);
