/* `chancery key plan`, `lint` and `drill`: what will happen to the keys, and whether it will go
 * well.
 */
#include "server/cmd/cmd_key.h"

enum { SENTENCE_MAX = 8192 };

static bool for_people(const struct cmd *c)
{
	return c->format == FORMAT_TABLE && !cmd_has(c, "field");
}

static int print_items(struct cmd *c, const struct out_view *view, const struct json *items)
{
	AUTO(json, list) = NULL;
	struct jsonw w;
	struct buf b;
	struct str text;

	buf_init(&b, c->arena, CMD_DOCUMENT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_key(&w, "items");
	jsonw_value(&w, items);
	jsonw_end_object(&w);
	if (buf_end(&b, &text) || json_parse(text, CMD_DOCUMENT_MAX, &list))
		return cmd_nomem(c);
	return out_list(c, view, list);
}

static const struct out_view plan_view = {
	.id = "event",
	.columns = (const struct out_column[]){ { "AT", "at" },
						{ "EVENT", "event" },
						{ "ALG", "alg" },
						{ "KID", "kid" },
						{ "NOTE", "note" },
						{ NULL, NULL } },
};

int key_plan(struct remote *r)
{
	struct admin_call call = { .method = "GET", .path = STR("/keys/plan") };
	struct reply reply;
	int status = admin_send(r, &call, &reply);

	if (!status)
		status = out_list(r->c, &plan_view, reply.body);
	reply_done(&reply);
	return status;
}

static const struct out_view check_view = {
	.id = "name",
	.columns = (const struct out_column[]){ { "CHECK", "name" },
						{ "OK", "ok" },
						{ "NOTE", "note" },
						{ NULL, NULL } },
};
static const struct out_view verdict_view = { .id = "ok" };

static void note_faults(const struct cmd *c, const struct json *faults)
{
	struct str fault, text;
	struct buf b;

	for (size_t i = 0; i < json_len(faults); i++) {
		buf_init(&b, c->arena, SENTENCE_MAX);
		if (!json_str(json_at(faults, i), &fault))
			continue;
		out_plain(fault, &b);
		if (buf_end(&b, &text) == ERR_OK)
			(void)cmd_fail(c, CMD_UNHEALTHY, "%s", text.p);
	}
}

static int print_verdict(struct cmd *c, const struct json *answer)
{
	const struct json *checks = json_get(answer, "checks");
	bool people = for_people(c), ok = false;
	int status = CMD_OK;

	if (!json_bool(json_get(answer, "ok"), &ok))
		return cmd_fail(c, CMD_UNREACHABLE, "the answer is not one of ours");
	if (!people)
		status = out_object(c, &verdict_view, answer);
	else if (checks)
		status = print_items(c, &check_view, checks);
	if (status)
		return status;
	if (people && ok)
		cmd_note(c, "All is well.");
	note_faults(c, json_get(answer, "faults"));
	return ok ? CMD_OK : CMD_UNHEALTHY;
}

static int ask_verdict(struct remote *r, const char *method, struct str path)
{
	struct admin_call call = { .method = method, .path = path };
	struct reply reply;
	int status = admin_send(r, &call, &reply);

	if (!status)
		status = print_verdict(r->c, reply.body);
	reply_done(&reply);
	return status;
}

int key_lint(struct remote *r)
{
	return ask_verdict(r, "GET", STR("/keys/lint"));
}

int key_drill(struct remote *r)
{
	return ask_verdict(r, "POST", STR("/keys/drill"));
}
