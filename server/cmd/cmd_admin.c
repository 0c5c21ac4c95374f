/* Reaching the admin API and understanding its answers. */
#include "server/cmd/cmd_admin.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "oauth/form.h"
#include "oauth/scope.h"
#include "oauth/uri.h"
#include "server/cmd/cmd_input.h"
#include "server/cmd/cmd_out.h"

enum { CREDENTIALS_MAX = 65536, URL_TEXT_MAX = 8192 };

#define ADMIN_PATH "/admin/v1"

void path_segment(struct buf *out, struct str text)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-_~";

	for (size_t i = 0; i < text.n; i++) {
		/* dots too: "." and ".." as a segment would be eaten on the way */
		if (text.p[i] && strchr(unreserved, text.p[i]))
			buf_byte(out, text.p[i]);
		else
			buf_fmt(out, "%%%02X", (unsigned)(unsigned char)text.p[i]);
	}
}

int check_clear_text(struct cmd *c, struct str url)
{
	struct uri uri = { .host = STR_NONE };

	if (uri_parse(url, &uri) ||
	    (!str_equal_z(uri.scheme, "https") && !str_equal_z(uri.scheme, "http")))
		return cmd_fail(c, CMD_REFUSED, "%.*s: must be an http or https URL", STR_ARG(url));
	if (str_equal_z(uri.scheme, "http") && !uri_host_is_loopback(uri.host))
		return cmd_fail(c, CMD_REFUSED,
				"%.*s: a secret would travel in the clear; use https",
				STR_ARG(url));
	return CMD_OK;
}

/* ---- sending ---- */

void reply_done(struct reply *reply)
{
	json_free(TAKE(reply->body));
}

static int unreachable(struct remote *r, const char *url, const char *why)
{
	if (r->socket)
		return cmd_fail(
			r->c, CMD_UNREACHABLE,
			"the server does not answer at %s (%s); is `chancery serve` running?",
			r->socket, why);
	return cmd_fail(r->c, CMD_UNREACHABLE, "%s: %s", url, why);
}

int remote_send(struct remote *r, const struct http_call *call, struct reply *ret_reply)
{
	struct http_call whole = *call;
	struct http_answer answer;
	char why[HTTP_WHY_MAX];
	enum err e;

	*ret_reply = (struct reply){ .etag = STR_NONE };
	whole.socket = r->socket;
	whole.ca_file = r->ca_file;
	e = http_send(r->http, r->c->arena, &whole, &answer, why);
	if (e == ERR_UNAVAILABLE)
		return unreachable(r, call->url, why);
	if (e == ERR_LIMIT)
		return cmd_fail(r->c, CMD_UNREACHABLE, "%s: the answer is larger than %d bytes",
				call->url, HTTP_ANSWER_MAX);
	if (e)
		return cmd_nomem(r->c);
	ret_reply->status = answer.status;
	ret_reply->text = answer.body;
	if (answer.etag[0])
		ret_reply->etag = arena_str(r->c->arena, str_z(answer.etag));
	if (answer.body.n && json_parse(answer.body, HTTP_ANSWER_MAX, &ret_reply->body))
		ret_reply->body = NULL;
	return CMD_OK;
}

/* The arena text of a builder, or NULL. */
static const char *text_of(struct buf *b)
{
	struct str text;

	return buf_end(b, &text) ? NULL : text.p;
}

static int status_of(int http)
{
	if (http == 409 || http == 412)
		return CMD_CONFLICT;
	return http >= 500 ? CMD_UNREACHABLE : CMD_REFUSED;
}

/* Nothing of ours says 404 without a problem document on the admin listener. */
static int wrong_address(struct cmd *c)
{
	return cmd_fail(c, CMD_REFUSED, "the server answers, but not here (HTTP 404); --url is %s",
			c->row->admin ? "the address of the admin listener (admin.address)"
				      : "the issuer, with its path");
}

/* The command line's name of a member that is wrong: the option that gave it, else the member. */
static void write_culprit(const struct cmd *c, struct str pointer, struct buf *out)
{
	struct str rest = pointer, member = STR_NONE;
	const char *option = NULL;

	if (pointer.n < 2)
		return;
	(void)str_next(&rest, '/', &member); /* what is before the first slash: nothing */
	(void)str_next(&rest, '/', &member);
	for (size_t i = 0; i < c->given_count; i++) {
		const struct cmd_option *o = c->given[i].option;

		if (o->member && str_equal_z(member, o->member))
			option = o->name;
	}
	if (option)
		buf_fmt(out, "--%s", option);
	else
		out_plain(str_n(pointer.p + 1, pointer.n - 1), out);
	buf_z(out, ": ");
}

static void write_missing(const struct cmd *c, struct buf *out)
{
	buf_fmt(out, "there is no %.*s ", (int)strcspn(c->row->words, " "), c->row->words);
	out_plain(str_z(c->args[0]), out);
	if (c->arg_count < 2)
		return;
	buf_z(out, ", or it has no ");
	out_plain(str_z(c->args[1]), out);
}

static void write_laggards(const struct json *laggards, struct buf *out)
{
	struct str name;

	for (size_t i = 0; i < json_len(laggards); i++) {
		if (!json_str(json_at(laggards, i), &name))
			continue;
		buf_z(out, i ? ", " : "; waits for ");
		out_plain(name, out);
	}
}

static void write_refusal(const struct cmd *c, const struct reply *reply, struct buf *out)
{
	static const char *const sentences[] = { "detail", "error_description", "title" };
	struct str sentence = STR_NONE, pointer = STR_NONE, ready = STR_NONE, error = STR_NONE;

	for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]) && !sentence.n; i++)
		(void)json_str(json_get(reply->body, sentences[i]), &sentence);
	(void)json_str(json_get(reply->body, "error"), &error);
	(void)json_str(json_get(reply->body, "pointer"), &pointer);
	(void)json_str(json_get(reply->body, "ready_at"), &ready);
	if (str_ends(sentence, STR(".")))
		sentence.n--;
	/* RFC 6749 5.2's characters are a scope token's and a space */
	if (scope_token_valid(error))
		buf_fmt(out, "%.*s: ", STR_ARG(error));
	write_culprit(c, pointer, out);
	out_plain(sentence.n ? sentence : STR("the server refused"), out);
	if (ready.n) {
		buf_z(out, "; ready at ");
		out_plain(ready, out);
	}
	write_laggards(json_get(reply->body, "laggards"), out);
	/* the sentence of a 422 may end in a command that is there to be copied */
	if (reply->status != 422)
		buf_fmt(out, " (HTTP %d)", reply->status);
}

int admin_refusal(struct cmd *c, const struct reply *reply)
{
	struct buf b;
	const char *text;

	if (reply->status == 404 && !reply->body)
		return wrong_address(c);
	buf_init(&b, c->arena, URL_TEXT_MAX);
	if (reply->status == 404 && c->arg_count)
		write_missing(c, &b);
	else
		write_refusal(c, reply, &b);
	text = text_of(&b);
	return cmd_fail(c, status_of(reply->status), "%s", text ? text : "the server refused");
}

int admin_send(struct remote *r, const struct admin_call *call, struct reply *ret_reply)
{
	struct http_call http = {
		.method = call->method,
		.body = call->body,
		.bearer = r->token,
		.if_match = call->if_match,
	};
	struct buf url;
	int status;

	*ret_reply = (struct reply){ .etag = STR_NONE };
	buf_init(&url, r->c->arena, URL_TEXT_MAX);
	buf_fmt(&url, "%.*s" ADMIN_PATH "%.*s", STR_ARG(r->base), STR_ARG(call->path));
	http.url = text_of(&url);
	if (!http.url)
		return cmd_nomem(r->c);
	if (strcmp(call->method, "POST") == 0 && !call->body.p)
		http.body = STR("{}");
	if (http.body.p)
		http.content_type = strcmp(call->method, "PATCH") == 0
					    ? "application/merge-patch+json"
					    : "application/json";
	status = remote_send(r, &http, ret_reply);
	if (status)
		return status;
	if (ret_reply->status < 200 || ret_reply->status > 299)
		return admin_refusal(r->c, ret_reply);
	return CMD_OK;
}

/* ---- lists ---- */

static enum err page_path(struct cmd *c, struct str path, struct str token, size_t left,
			  struct str *ret_path)
{
	size_t size = left < PAGE_SIZE_MAX ? left : PAGE_SIZE_MAX;
	struct buf b;

	buf_init(&b, c->arena, URL_TEXT_MAX);
	buf_str(&b, path);
	buf_fmt(&b, "%cpage_size=%zu", memchr(path.p, '?', path.n) ? '&' : '?', size);
	if (token.n) {
		buf_z(&b, "&page_token=");
		form_encode(&b, token);
	}
	return buf_end(&b, ret_path);
}

/* A list while its pages come in. */
struct listing {
	struct jsonw w;
	struct str token; /* of the next page; the arena's */
	size_t got, limit;
};

static size_t listing_left(const struct listing *l)
{
	return l->limit ? l->limit - l->got : SIZE_MAX;
}

/* A page may hold fewer items than were asked for; only the token says whether it was the last. */
static int add_page(struct remote *r, struct str path, struct listing *l)
{
	struct admin_call call = { .method = "GET", .path = path };
	struct str token = STR_NONE;
	struct reply reply;
	const struct json *items;
	int status = admin_send(r, &call, &reply);

	items = json_get(reply.body, "items");
	if (!status && json_type(items) != JSON_ARRAY)
		status = cmd_fail(r->c, CMD_UNREACHABLE, "the answer is not a list of ours");
	for (size_t i = 0; !status && i < json_len(items) && listing_left(l) > 0; i++) {
		jsonw_value(&l->w, json_at(items, i));
		l->got++;
	}
	if (!status)
		(void)json_str(json_get(reply.body, "next_page_token"), &token);
	l->token = token.n ? arena_str(r->c->arena, token) : STR_NONE;
	reply_done(&reply);
	return status;
}

static int add_pages(struct remote *r, struct str path, struct listing *l)
{
	struct str page;
	int status;

	do {
		if (page_path(r->c, path, l->token, listing_left(l), &page))
			return cmd_nomem(r->c);
		status = add_page(r, page, l);
	} while (!status && l->token.n && listing_left(l) > 0);
	return status;
}

int admin_list_all(struct remote *r, struct str path, size_t limit, struct json **ret_list)
{
	struct listing l = { .token = STR_NONE, .limit = limit };
	struct buf out;
	struct str text;
	int status;

	buf_init(&out, r->c->arena, CMD_DOCUMENT_MAX);
	jsonw_init(&l.w, &out);
	jsonw_object(&l.w);
	jsonw_key(&l.w, "items");
	jsonw_array(&l.w);
	status = add_pages(r, path, &l);
	if (status)
		return status;
	jsonw_end_array(&l.w);
	jsonw_member_z(&l.w, "next_page_token", "");
	jsonw_end_object(&l.w);
	if (buf_end(&out, &text) || json_parse(text, CMD_DOCUMENT_MAX, ret_list))
		return cmd_nomem(r->c);
	return CMD_OK;
}

/* ---- opening ---- */

static int keep_member(struct cmd *c, const char *path, const struct json *root, const char *name,
		       struct str *ret_value)
{
	struct str value = STR_NONE;

	if (!json_str(json_get(root, name), &value) || !value.n)
		return cmd_fail(c, CMD_REFUSED, "%s: has no \"%s\"", path, name);
	*ret_value = arena_str(c->arena, value);
	return ret_value->p ? CMD_OK : cmd_nomem(c);
}

int credentials_read(struct cmd *c, const char *path, struct credentials *ret_credentials)
{
	AUTO(json, root) = NULL;
	struct credentials found;
	struct str text;
	int status = input_file(c, path, CREDENTIALS_MAX, &text);

	if (status)
		return status;
	input_warn_open(c, path);
	if (json_parse(text, CREDENTIALS_MAX, &root))
		return cmd_fail(c, CMD_REFUSED, "%s: not a JSON object", path);
	status = keep_member(c, path, root, "issuer", &found.issuer);
	if (!status)
		status = keep_member(c, path, root, "client_id", &found.client_id);
	if (!status)
		status = keep_member(c, path, root, "client_secret", &found.client_secret);
	if (!status)
		*ret_credentials = found;
	return status;
}

static int open_http(struct cmd *c, struct remote *r)
{
	const char *why;
	enum err e = http_client_new(&r->http, &why);

	r->ca_file = cmd_env(c, "SSL_CERT_FILE");
	if (e == ERR_UNSUPPORTED)
		return cmd_fail(c, CMD_REFUSED, "%s", why);
	return e ? cmd_nomem(c) : CMD_OK;
}

static int open_socket(struct cmd *c, struct remote *r)
{
	const struct config *config;
	struct stat st;
	int status = cmd_config(c, &config);

	if (status)
		return status;
	if (str_equal_z(config->admin.socket, "off"))
		return cmd_fail(c, CMD_REFUSED,
				"admin.socket is off; use --url with --credentials or "
				"--token-file");
	r->socket = config->admin.socket.p;
	r->base = STR("http://localhost");
	if (stat(r->socket, &st) == 0)
		return CMD_OK;
	if (errno == EACCES)
		return cmd_fail(c, CMD_UNREACHABLE, "%s: %s; be root or the server's own user",
				r->socket, strerror(errno));
	return cmd_fail(c, CMD_UNREACHABLE,
			"no server runs here (%s: %s); start it with `chancery serve`, or name "
			"another place with --data or --url",
			r->socket, strerror(errno));
}

/* Of a client that gets no token for the admin API. */
static int not_for_admin(struct cmd *c, const struct credentials *who)
{
	return cmd_fail(c, CMD_REFUSED,
			"client %.*s may get no tokens for the admin API of %.*s; on the server: "
			"chancery client update %.*s --add-audience %.*s/admin",
			STR_ARG(who->client_id), STR_ARG(who->issuer), STR_ARG(who->client_id),
			STR_ARG(who->issuer));
}

/* One try for a token with this scope. *ret_wrong: it was the scope that was refused. */
static int fetch_scope(struct remote *r, const struct credentials *who, const char *scope,
		       bool *ret_wrong)
{
	struct cmd *c = r->c;
	struct http_call call = { .method = "POST",
				  .content_type = "application/x-www-form-urlencoded" };
	struct buf url, body, user, password;
	struct str error = STR_NONE, token = STR_NONE;
	struct reply reply;
	int status;

	buf_init(&url, c->arena, URL_TEXT_MAX);
	buf_init(&body, c->arena, URL_TEXT_MAX);
	buf_init(&user, c->arena, URL_TEXT_MAX);
	buf_init(&password, c->arena, URL_TEXT_MAX);
	buf_fmt(&url, "%.*s/oauth2/token", STR_ARG(who->issuer));
	buf_z(&body, "grant_type=client_credentials&scope=");
	form_encode(&body, str_z(scope));
	buf_z(&body, "&resource=");
	form_encode(&body, who->issuer);
	buf_z(&body, "%2Fadmin");
	form_encode(&user, who->client_id);
	form_encode(&password, who->client_secret);
	call.url = text_of(&url);
	if (!call.url || buf_end(&body, &call.body) || buf_end(&user, &call.user) ||
	    buf_end(&password, &call.password))
		return cmd_nomem(c);
	status = remote_send(r, &call, &reply);
	if (!status && json_str(json_get(reply.body, "access_token"), &token)) {
		r->token = arena_str(c->arena, token);
	} else if (!status) {
		(void)json_str(json_get(reply.body, "error"), &error);
		*ret_wrong = str_equal_z(error, "invalid_scope");
		if (*ret_wrong)
			status = CMD_REFUSED;
		else if (str_equal_z(error, "invalid_target"))
			status = not_for_admin(c, who);
		else
			status = admin_refusal(c, &reply);
	}
	reply_done(&reply);
	return status;
}

/* The narrowest scope that opens the command and that the client has. */
static int fetch_token(struct remote *r, const struct credentials *who)
{
	char narrow[64];
	const char *const scopes[] = { narrow, "chancery:read", "chancery:admin" };
	bool wrong = false;
	int status = check_clear_text(r->c, who->issuer);

	if (status)
		return status;
	snprintf(narrow, sizeof(narrow), "chancery:%s", r->c->row->scope);
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		if (i == 1 && !(r->c->row->flags & CMD_READS))
			continue;
		wrong = false;
		status = fetch_scope(r, who, scopes[i], &wrong);
		if (!wrong)
			return status;
	}
	return cmd_fail(r->c, CMD_REFUSED,
			"client %.*s has neither the scope %s nor chancery:admin",
			STR_ARG(who->client_id), narrow);
}

static int find_token(struct remote *r)
{
	const char *file = cmd_get(r->c, "token-file");
	const char *credentials = cmd_get(r->c, "credentials");
	struct credentials who;
	int status;

	if (!file == !credentials)
		return cmd_usage(r->c, "--url needs one of --credentials and --token-file");
	if (file) {
		struct str text;

		status = input_file(r->c, file, JWT_SIZE_MAX + 2, &text);
		if (!status)
			input_warn_open(r->c, file);
		while (!status && (str_ends(text, STR("\n")) || str_ends(text, STR("\r"))))
			text.n--;
		if (!status && !str_is_vschar(text))
			status = cmd_fail(r->c, CMD_REFUSED, "%s: not a token", file);
		if (!status)
			r->token = text;
		return status;
	}
	status = credentials_read(r->c, credentials, &who);
	return status ? status : fetch_token(r, &who);
}

static struct str without_slash(struct str url)
{
	while (str_ends(url, STR("/")))
		url.n--;
	return url;
}

int remote_open_admin(struct cmd *c, struct remote *ret_remote)
{
	const char *url = cmd_get(c, "url");
	int status;

	*ret_remote = (struct remote){ .c = c, .token = STR_NONE };
	if (!url && (cmd_has(c, "credentials") || cmd_has(c, "token-file")))
		return cmd_usage(c, "--credentials and --token-file go with --url");
	status = url ? CMD_OK : open_socket(c, ret_remote);
	if (!status)
		status = open_http(c, ret_remote);
	if (status || !url)
		return status;
	ret_remote->base = without_slash(str_z(url));
	status = check_clear_text(c, ret_remote->base);
	return status ? status : find_token(ret_remote);
}

int remote_open_public(struct cmd *c, struct str base, struct remote *ret_remote)
{
	*ret_remote = (struct remote){ .c = c, .token = STR_NONE, .base = without_slash(base) };
	return open_http(c, ret_remote);
}

void remote_done(struct remote *r)
{
	http_client_free(TAKE(r->http));
}
