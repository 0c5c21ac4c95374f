/* `chancery key import`: reads the key file, seals a private half to the signer's key, and sends
 * the box. What it read is wiped with the command's memory. */
#include "jose/b64.h"
#include "keys/import_file.h"
#include "server/cmd/cmd_input.h"
#include "server/cmd/cmd_key.h"

enum { KEY_FILE_MAX = 65536, BODY_MAX = 16384 };

const struct cmd_option key_import_options[] = {
	{ "state", "STATE", "active: it signs from now on; retiring: it only verifies", BODY_NOT,
	  "state" },
	{ "kid", "KID", "which key of a set; or its key id, where the file has none", BODY_NOT,
	  "kid" },
	{ "alg", "ALG", "ES256 or RS256; must be the key's", BODY_NOT, "alg" },
	{ "tokens-until", "TIME", "retiring: when the last token expires, 2026-11-22T16:00:00Z",
	  BODY_NOT, "tokens_until" },
	{ "for", "DURATION", "retiring: the same, counted from now", BODY_NOT, "tokens_until" },
	{ NULL },
};

/* ---- the file ---- */

static int unreadable(struct cmd *c, struct str text, enum err e)
{
	const char *path = c->args[0];

	if (e == ERR_NOT_FOUND)
		return cmd_fail(c, CMD_REFUSED, "%s: there is no key with the id %s", path,
				cmd_get(c, "kid"));
	if (e == ERR_CONFLICT)
		return cmd_fail(c, CMD_REFUSED, "%s: holds several keys; name one with --kid",
				path);
	if (e == ERR_NOMEM)
		return cmd_nomem(c);
	if (memmem(text.p, text.n, "ENCRYPTED", 9))
		return cmd_fail(c, CMD_REFUSED, "%s: is encrypted; `openssl pkey -in %s` opens it",
				path, path);
	if (e == ERR_UNSUPPORTED || e == ERR_LIMIT)
		return cmd_fail(c, CMD_REFUSED,
				"%s: not a key we take: P-256, or RSA of 2048 to 4096 bits (with "
				"its primes), for signatures",
				path);
	return cmd_fail(c, CMD_REFUSED, "%s: neither PEM nor a JWK", path);
}

static int read_file(struct cmd *c, struct import_file *ret_file)
{
	const char *alg = cmd_get(c, "alg");
	struct str text;
	int status = input_file(c, c->args[0], KEY_FILE_MAX, &text);
	enum err e;

	if (status)
		return status;
	e = import_file_read(text, str_z(cmd_get(c, "kid")), ret_file);
	if (e)
		return unreadable(c, text, e);
	if (!alg || alg_by_name(str_z(alg)) == jwk_alg(ret_file->public_key))
		return CMD_OK;
	import_file_done(ret_file);
	return cmd_fail(c, CMD_REFUSED, "%s: is not a key for %s", c->args[0], alg);
}

/* ---- the body ---- */

static void begin_body(struct cmd *c, struct buf *b, struct jsonw *w,
		       const struct import_file *file)
{
	buf_init(b, c->arena, BODY_MAX);
	jsonw_init(w, b);
	jsonw_object(w);
	jsonw_member_z(w, "alg", alg_name(jwk_alg(file->public_key)));
	jsonw_member(w, "kid", jwk_kid(file->public_key));
	jsonw_member_z(w, "state", cmd_get(c, "state"));
}

/* The signer's key of this moment; a signer that is started again makes another. */
static int fetch_key(struct remote *r, unsigned char ret_key[SIGNER_IMPORT_KEY_LEN])
{
	struct admin_call call = { .method = "GET", .path = STR("/keys/import") };
	struct str text = STR_NONE;
	struct reply reply;
	size_t n = 0;
	int status = admin_send(r, &call, &reply);

	if (!status &&
	    (!json_str(json_get(reply.body, "public_key"), &text) ||
	     b64url_decode(text, ret_key, SIGNER_IMPORT_KEY_LEN, &n) || n != SIGNER_IMPORT_KEY_LEN))
		status = cmd_fail(r->c, CMD_UNREACHABLE, "the answer is not a key of ours");
	reply_done(&reply);
	return status;
}

static int active_body(struct remote *r, const struct import_file *file, struct str *ret_body)
{
	unsigned char key[SIGNER_IMPORT_KEY_LEN];
	struct buf box, text, b;
	struct str sealed;
	struct jsonw w;
	int status;

	if (cmd_has(r->c, "tokens-until") || cmd_has(r->c, "for"))
		return cmd_usage(r->c, "an active key has no end: --tokens-until and --for go with "
				       "--state retiring");
	if (!file->pkcs8.n)
		return cmd_fail(r->c, CMD_REFUSED,
				"%s: holds no private key; --state retiring needs none",
				r->c->args[0]);
	status = fetch_key(r, key);
	if (status)
		return status;
	buf_init(&box, r->c->arena, BODY_MAX);
	buf_init(&text, r->c->arena, BODY_MAX);
	if (import_file_seal(file, key, &box))
		return cmd_fail(r->c, CMD_REFUSED, "the key could not be sealed");
	b64url_encode(&text, box.p, box.n);
	begin_body(r->c, &b, &w, file);
	if (buf_end(&text, &sealed))
		return cmd_nomem(r->c);
	jsonw_member(&w, "sealed", sealed);
	jsonw_end_object(&w);
	return buf_end(&b, ret_body) ? cmd_nomem(r->c) : CMD_OK;
}

static int read_end(struct cmd *c, char ret_time[RFC3339_LEN + 1])
{
	const char *until = cmd_get(c, "tokens-until"), *lifetime = cmd_get(c, "for");
	int64_t seconds;

	if (!until == !lifetime)
		return cmd_usage(c, "--state retiring needs --tokens-until or --for: when does the "
				    "last token of this key expire?");
	if (until && strlen(until) > RFC3339_LEN)
		return cmd_usage(c, "--tokens-until %s: must be a time like 2026-11-22T16:00:00Z",
				 until);
	if (until) {
		memcpy(ret_time, until, strlen(until) + 1);
		return CMD_OK;
	}
	if (duration_parse(str_z(lifetime), &seconds))
		return cmd_usage(c, "--for %s: must be a duration like 90s, 15m, 2h or 30d",
				 lifetime);
	rfc3339(c->env->now(c->env) + seconds, ret_time);
	return CMD_OK;
}

static int retiring_body(struct cmd *c, const struct import_file *file, struct str *ret_body)
{
	char until[RFC3339_LEN + 1];
	struct jsonw w;
	struct buf b;
	int status = read_end(c, until);

	if (status)
		return status;
	begin_body(c, &b, &w, file);
	jsonw_key(&w, "public_jwk");
	jwk_export(file->public_key, &w);
	jsonw_member_z(&w, "tokens_until", until);
	jsonw_end_object(&w);
	return buf_end(&b, ret_body) ? cmd_nomem(c) : CMD_OK;
}

/* ---- the command ---- */

static int send_body(struct remote *r, struct str body)
{
	struct admin_call call = { .method = "POST", .path = STR("/keys/import"), .body = body };
	struct reply reply;
	int status = admin_send(r, &call, &reply);

	if (!status)
		status = out_object(r->c, &key_crud.view, reply.body);
	reply_done(&reply);
	return status;
}

static int import(struct remote *r, bool active)
{
	struct import_file file;
	struct str body;
	int status = read_file(r->c, &file);

	if (status)
		return status;
	status = active ? active_body(r, &file, &body) : retiring_body(r->c, &file, &body);
	if (!status)
		status = send_body(r, body);
	if (!status && !active && file.pkcs8.n)
		cmd_note(r->c,
			 "The private key in %s was not needed, and did not leave this "
			 "command.",
			 r->c->args[0]);
	import_file_done(&file);
	return status;
}

int key_import(struct remote *r)
{
	const char *state = cmd_get(r->c, "state");
	bool active = state && strcmp(state, "active") == 0;

	if (!active && (!state || strcmp(state, "retiring") != 0))
		return cmd_usage(r->c, "--state must be active or retiring");
	if (!r->socket)
		return cmd_usage(r->c, "keys are imported over the server's UNIX socket alone, not "
				       "with --url");
	return import(r, active);
}
