/* `chancery token`: what a client does at the public endpoints, by hand. */
#include "oauth/form.h"
#include "server/cmd/cmd_admin.h"
#include "server/cmd/cmd_input.h"
#include "server/cmd/cmd_out.h"
#include "server/cmd/cmd_verify.h"

enum { FORM_TEXT_MAX = 65536 };

static const struct out_view token_view = { .id = "access_token" };

/* Who asks, and where. */
struct caller {
	struct cmd *c;
	struct str base; /* the issuer, or --url */
	struct str id;
	struct str secret; /* STR_NONE: a public client */
};

static int find_secret(struct caller *who)
{
	int status;

	if (cmd_has(who->c, "public")) {
		who->secret = STR_NONE;
		return CMD_OK;
	}
	status = input_secret(who->c, "secret", &who->secret);
	if (!status && !who->secret.p)
		status = input_prompt(who->c, "Client secret", false,
				      "--secret-stdin, --secret-file, --credentials, or --public",
				      &who->secret);
	return status;
}

/* --credentials says all three; else --client and a secret, at --url or the issuer configured here.
 */
static int find_caller(struct cmd *c, struct caller *ret_who)
{
	const char *file = cmd_get(c, "credentials"), *client = cmd_get(c, "client");
	const char *url = cmd_get(c, "url");
	const struct config *config;
	struct credentials found;
	int status;

	*ret_who = (struct caller){ .c = c, .secret = STR_NONE };
	if (!file == !client)
		return cmd_usage(c, "who asks? --client ID or --credentials FILE");
	if (file) {
		status = credentials_read(c, file, &found);
		if (!status)
			*ret_who = (struct caller){ c, found.issuer, found.client_id,
						    found.client_secret };
	} else {
		ret_who->id = str_z(client);
		status = url ? CMD_OK : cmd_config(c, &config);
		if (!status && !url)
			ret_who->base = config->issuer;
		if (!status)
			status = find_secret(ret_who);
	}
	if (!status && url)
		ret_who->base = str_z(url);
	if (!status && !ret_who->base.n)
		return cmd_usage(c, "where? --url URL, or --data DIR of a server on this machine");
	return status ? status : check_clear_text(c, ret_who->base);
}

static void field(struct buf *form, const char *name, struct str value)
{
	if (!value.p)
		return;
	if (form->n)
		buf_byte(form, '&');
	buf_z(form, name);
	buf_byte(form, '=');
	form_encode(form, value);
}

/* --scope, joined; --audience, each as `resource` (RFC 8707 2). */
static void common_fields(struct cmd *c, struct buf *form)
{
	struct buf words;
	struct str scope;
	const char *value;

	buf_init(&words, c->arena, FORM_TEXT_MAX);
	for (size_t i = 0; (value = cmd_nth(c, "scope", i)); i++)
		buf_fmt(&words, "%s%s", i ? " " : "", value);
	if (buf_end(&words, &scope) == ERR_OK && scope.n)
		field(form, "scope", scope);
	for (size_t i = 0; (value = cmd_nth(c, "audience", i)); i++)
		field(form, "resource", str_z(value));
}

/* RFC 6749 2.3.1: Basic with form-encoded halves; a public client names itself in the body. */
static int post(const struct caller *who, const char *path, struct buf *form,
		struct reply *ret_reply)
{
	struct cmd *c = who->c;
	struct http_call call = { .method = "POST",
				  .content_type = "application/x-www-form-urlencoded" };
	struct buf url, user, password;
	struct str text;
	struct remote r;
	int status;

	*ret_reply = (struct reply){ .body = NULL };
	buf_init(&url, c->arena, FORM_TEXT_MAX);
	buf_init(&user, c->arena, FORM_TEXT_MAX);
	buf_init(&password, c->arena, FORM_TEXT_MAX);
	status = remote_open_public(c, who->base, &r);
	buf_fmt(&url, "%.*s%s", STR_ARG(r.base), path);
	form_encode(&user, who->id);
	form_encode(&password, who->secret);
	if (!who->secret.p)
		field(form, "client_id", who->id);
	if (!status &&
	    (buf_end(&url, &text) || buf_end(form, &call.body) ||
	     (who->secret.p && (buf_end(&user, &call.user) || buf_end(&password, &call.password)))))
		status = cmd_nomem(c);
	call.url = text.p;
	if (!status)
		status = remote_send(&r, &call, ret_reply);
	remote_done(&r);
	if (!status && ret_reply->status != 200)
		status = admin_refusal(c, ret_reply);
	return status;
}

/* Posts and prints the JSON that comes back. */
static int post_and_print(const struct caller *who, const char *path, struct buf *form)
{
	struct reply reply;
	int status = post(who, path, form, &reply);

	if (!status && json_type(reply.body) != JSON_OBJECT)
		status = cmd_fail(who->c, CMD_UNREACHABLE, "the answer is not a JSON object");
	if (!status)
		status = out_object(who->c, &token_view, reply.body);
	reply_done(&reply);
	return status;
}

static int client_credentials(struct cmd *c)
{
	struct caller who;
	struct buf form;
	int status = find_caller(c, &who);

	if (status)
		return status;
	buf_init(&form, c->arena, FORM_TEXT_MAX);
	field(&form, "grant_type", STR("client_credentials"));
	common_fields(c, &form);
	return post_and_print(&who, "/oauth2/token", &form);
}

static int password(struct cmd *c)
{
	const char *user = cmd_get(c, "user");
	struct str secret = STR_NONE;
	struct caller who;
	struct buf form;
	int status;

	if (!user)
		return cmd_usage(c, "whose token? --user NAME");
	status = find_caller(c, &who);
	if (!status)
		status = input_secret(c, "password", &secret);
	if (!status && !secret.p)
		status = input_prompt(c, "Password", false, "--password-stdin", &secret);
	if (status)
		return status;
	buf_init(&form, c->arena, FORM_TEXT_MAX);
	field(&form, "grant_type", STR("password"));
	field(&form, "username", str_z(user));
	field(&form, "password", secret);
	common_fields(c, &form);
	return post_and_print(&who, "/oauth2/token", &form);
}

/* A refresh token is a secret that lives for weeks: through standard input only. An access token is
 * over in minutes; it may be an argument. */
static int find_token(struct cmd *c, struct str *ret_token)
{
	if (strncmp(c->args[0], "chy_rt_", 7) == 0)
		return cmd_usage(
			c, "a refresh token is a secret: give \"-\" and put it on standard input");
	return input_argument(c, c->args[0], ret_token);
}

static int refresh(struct cmd *c)
{
	struct str token;
	struct caller who;
	struct buf form;
	int status;

	if (strcmp(c->args[0], "-") != 0)
		return cmd_usage(
			c, "a refresh token is a secret: give \"-\" and put it on standard input");
	status = find_token(c, &token);
	if (!status)
		status = find_caller(c, &who);
	if (status)
		return status;
	buf_init(&form, c->arena, FORM_TEXT_MAX);
	field(&form, "grant_type", STR("refresh_token"));
	field(&form, "refresh_token", token);
	common_fields(c, &form);
	return post_and_print(&who, "/oauth2/token", &form);
}

static int introspect(struct cmd *c)
{
	struct str token;
	struct caller who;
	struct buf form;
	int status = find_token(c, &token);

	if (!status)
		status = find_caller(c, &who);
	if (status)
		return status;
	buf_init(&form, c->arena, FORM_TEXT_MAX);
	field(&form, "token", token);
	return post_and_print(&who, "/oauth2/introspect", &form);
}

static int revoke(struct cmd *c)
{
	struct str token;
	struct caller who;
	struct reply reply;
	struct buf form;
	int status = find_token(c, &token);

	if (!status)
		status = find_caller(c, &who);
	if (status)
		return status;
	buf_init(&form, c->arena, FORM_TEXT_MAX);
	field(&form, "token", token);
	status = post(&who, "/oauth2/revoke", &form, &reply);
	reply_done(&reply);
	if (status)
		return status;
	/* RFC 7009 2.2: a token that is not this client's is answered alike */
	return out_done(c, "revoked", "Revoked, if it was a token of this client.");
}

/* ---- the rows ---- */

static const struct cmd_option client_options[] = {
	{ "client", "ID", "the client that asks" },
	{ "secret-stdin", NULL, "read the client's secret from standard input" },
	{ "secret-file", "FILE", "read the client's secret from a file" },
	{ NULL },
};

static const struct cmd_option public_option[] = {
	{ "public", NULL, "the client is public, it has no secret" },
	{ NULL },
};

static const struct cmd_option request_options[] = {
	{ "scope", "SCOPE", "ask for this scope; without, for all the client has", .repeat = true },
	{ "audience", "URI", "ask for a token for this api; without, the client's first",
	  .repeat = true },
	{ NULL },
};

static const struct cmd_option password_options[] = {
	{ "user", "NAME", "the user who logs in" },
	{ "password-stdin", NULL, "read the user's password from standard input" },
	{ NULL },
};

static const struct cmd_option verify_options[] = {
	{ "jwks", "FILE|URL", "the key set to verify with" },
	{ "key", "FILE", "one public key: PEM, certificate or JWK" },
	{ "issuer", "URL",
	  "who must have issued it; without --jwks and --key also where the keys are" },
	{ "audience", "URI", "who it must be for" },
	{ "alg", "ALG", "the only algorithm to take: ES256 or RS256" },
	{ "signature-only", NULL, "check no claims: not type, time, issuer or audience" },
	{ NULL },
};

static const struct cmd_row rows[] = {
	{ .words = "token client-credentials",
	  .flags = CMD_PUBLIC,
	  .summary = "get a token for a client itself",
	  .options = { client_options, request_options },
	  .run = client_credentials,
	  .examples = CMD_EXAMPLES(
		  "from the server of this machine",
		  "chancery token client-credentials --client billing --secret-file billing.secret",
		  "from anywhere, and only the token",
		  "chancery token client-credentials --credentials billing.json --field "
		  "access_token") },
	{ .words = "token password",
	  .flags = CMD_PUBLIC,
	  .summary = "get a token for a user, by password",
	  .options = { password_options, client_options, public_option, request_options },
	  .run = password,
	  .examples = CMD_EXAMPLES(
		  "asked for the password on the terminal",
		  "chancery token password --credentials shop.json --user alice") },
	{ .words = "token refresh",
	  .args = "-",
	  .flags = CMD_PUBLIC,
	  .summary = "get a token with a refresh token, from standard input",
	  .options = { client_options, public_option, request_options },
	  .run = refresh,
	  .examples = CMD_EXAMPLES(
		  "the old one is used up by this",
		  "chancery token refresh --credentials shop.json - < refresh-token") },
	{ .words = "token introspect",
	  .args = "TOKEN|-",
	  .flags = CMD_PUBLIC,
	  .summary = "ask the server about a token (RFC 7662)",
	  .options = { client_options },
	  .run = introspect,
	  .examples = CMD_EXAMPLES("is it active", "chancery token introspect --credentials "
						   "gateway.json --field active - < token") },
	{ .words = "token revoke",
	  .args = "TOKEN|-",
	  .flags = CMD_PUBLIC,
	  .summary = "revoke a token (RFC 7009); a refresh token ends its login",
	  .options = { client_options, public_option },
	  .run = revoke,
	  .examples = CMD_EXAMPLES(
		  "log out", "chancery token revoke --credentials shop.json - < refresh-token") },
	{ .words = "token decode",
	  .args = "TOKEN|-",
	  .summary = "show what a token says, without verifying it",
	  .run = cmd_decode_run,
	  .examples = CMD_EXAMPLES("one claim",
				   "chancery token decode --field claims.sub - < token") },
	{ .words = "token verify",
	  .args = "TOKEN|-",
	  .flags = CMD_DECIDES,
	  .summary = "verify a token with the public keys, without a server",
	  .details =
		  "Says which check failed. Exit status 0: valid; 1: invalid; 2: could not be "
		  "decided. "
		  "Five seconds of clock difference are allowed. Whether a token was revoked only "
		  "`token introspect` can tell.",
	  .options = { verify_options },
	  .run = cmd_verify_run,
	  .examples = CMD_EXAMPLES(
		  "with the keys the issuer publishes",
		  "chancery token verify --issuer https://id.example.com --audience "
		  "https://api.example.com - < token",
		  "with keys from a file",
		  "chancery token verify --jwks jwks.json --issuer https://id.example.com - < "
		  "token") },
};

const struct cmd_group cmd_token_group = CMD_GROUP("Tokens", rows);
