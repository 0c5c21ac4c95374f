/* `chancery key tripwire`: finds tokens in what it is given, asks the server about them in batches,
 * and says where the forged ones stand. */
#include "server/cmd/cmd_input.h"
#include "server/cmd/cmd_key.h"

enum {
	TRIPWIRE_FILE_MAX = 64 << 20,
	BATCH_TOKENS = 100, /* the server's own limits */
	BATCH_BYTES = ADMIN_BODY_MAX - 1024,
};

static const struct out_view view = {
	.id = "verdict",
	.columns = (const struct out_column[]){ { "LINE", "line" },
						{ "VERDICT", "verdict" },
						{ "KID", "kid" },
						{ "JTI", "jti" },
						{ NULL, NULL } },
};

struct search {
	struct remote *r;
	struct jsonw out; /* the list that is printed */
	/* the batch that is gathered */
	struct buf body;
	struct jsonw tokens;
	int64_t lines[BATCH_TOKENS];
	size_t in_batch;
	/* so far */
	int64_t line;
	size_t found, forged;
};

/* ---- asking ---- */

static void batch_begin(struct search *s)
{
	buf_clear(&s->body);
	jsonw_init(&s->tokens, &s->body);
	jsonw_object(&s->tokens);
	jsonw_key(&s->tokens, "tokens");
	jsonw_array(&s->tokens);
	s->in_batch = 0;
}

static void add_item(struct search *s, int64_t line, const struct json *item)
{
	const struct json *v;
	struct str name, verdict;
	void *iter = NULL;

	jsonw_object(&s->out);
	jsonw_member_int(&s->out, "line", line);
	while (json_each(item, &iter, &name, &v)) {
		jsonw_key_str(&s->out, name);
		jsonw_value(&s->out, v);
	}
	jsonw_end_object(&s->out);
	if (json_str(json_get(item, "verdict"), &verdict) && str_equal_z(verdict, "forged"))
		s->forged++;
}

static int batch_send(struct search *s)
{
	struct admin_call call = { .method = "POST", .path = STR("/keys/tripwire") };
	const struct json *items;
	struct reply reply;
	int status;

	if (!s->in_batch)
		return CMD_OK;
	jsonw_end_array(&s->tokens);
	jsonw_end_object(&s->tokens);
	if (buf_end(&s->body, &call.body))
		return cmd_nomem(s->r->c);
	status = admin_send(s->r, &call, &reply);
	items = json_get(reply.body, "items");
	if (!status && json_len(items) != s->in_batch)
		status = cmd_fail(s->r->c, CMD_UNREACHABLE, "the answer is not one of ours");
	for (size_t i = 0; !status && i < s->in_batch; i++)
		add_item(s, s->lines[i], json_at(items, i));
	reply_done(&reply);
	batch_begin(s);
	return status;
}

static int add_token(struct search *s, struct str token)
{
	int status = CMD_OK;

	if (s->in_batch == BATCH_TOKENS || s->body.n + token.n + 8 > BATCH_BYTES)
		status = batch_send(s);
	if (status)
		return status;
	jsonw_str(&s->tokens, token);
	s->lines[s->in_batch++] = s->line;
	s->found++;
	return CMD_OK;
}

/* ---- finding ---- */

static bool is_token_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

static size_t run_of(struct str s)
{
	size_t n = 0;

	while (n < s.n && is_token_char(s.p[n]))
		n++;
	return n;
}

/* The compact JWS at the start of `s` (RFC 7515 7.1): three runs between dots, of which the first
 * is a JSON object in base64url. 0: there is none. */
static size_t jws_at(struct str s)
{
	size_t n = 0;

	if (!str_starts(s, STR("eyJ")))
		return 0;
	for (int part = 0; part < 3; part++) {
		size_t run = run_of(str_n(s.p + n, s.n - n));

		n += run;
		if (!run || (part < 2 && (n == s.n || s.p[n++] != '.')))
			return 0;
	}
	return n <= JWT_SIZE_MAX ? n : 0;
}

static int search_line(struct search *s, struct str line)
{
	int status = CMD_OK;

	s->line++;
	for (size_t i = 0; !status && i < line.n;) {
		size_t n = jws_at(str_n(line.p + i, line.n - i));

		if (n) {
			status = add_token(s, str_n(line.p + i, n));
			i += n;
			continue;
		}
		/* past the rest of this word: a token begins where a word does */
		n = run_of(str_n(line.p + i, line.n - i));
		i += n ? n : 1;
	}
	return status;
}

static int search_text(struct search *s, struct str text)
{
	struct str line;
	int status = CMD_OK;

	batch_begin(s);
	while (!status && str_next(&text, '\n', &line))
		status = search_line(s, line);
	return status ? status : batch_send(s);
}

/* ---- the command ---- */

static int print(struct search *s, struct buf *out)
{
	AUTO(json, list) = NULL;
	struct cmd *c = s->r->c;
	struct str text;
	int status;

	if (buf_end(out, &text) || json_parse(text, CMD_DOCUMENT_MAX, &list))
		return cmd_nomem(c);
	status = out_list(c, &view, list);
	if (status)
		return status;
	if (s->forged)
		return cmd_fail(c, CMD_UNHEALTHY,
				"%zu of %zu tokens are forged: somebody else signs with a key of "
				"ours; `chancery key revoke KID` withdraws it",
				s->forged, s->found);
	cmd_note(c, "%zu tokens, none of them forged.", s->found);
	return CMD_OK;
}

int key_tripwire(struct remote *r)
{
	struct search s = { .r = r };
	struct str text;
	struct buf out;
	int status = input_file(r->c, r->c->args[0], TRIPWIRE_FILE_MAX, &text);

	if (status)
		return status;
	buf_init(&s.body, r->c->arena, ADMIN_BODY_MAX);
	buf_init(&out, r->c->arena, CMD_DOCUMENT_MAX);
	jsonw_init(&s.out, &out);
	jsonw_object(&s.out);
	jsonw_key(&s.out, "items");
	jsonw_array(&s.out);
	status = search_text(&s, text);
	if (status)
		return status;
	if (!s.found)
		return cmd_fail(r->c, CMD_REFUSED, "%s: there is no token in it", r->c->args[0]);
	jsonw_end_array(&s.out);
	jsonw_end_object(&s.out);
	return print(&s, &out);
}
