/* `chancery health`: asks the running server whether it is ready, for people, containers and
 * monitors. */
#include "server/cmd/cmd_admin.h"
#include "server/cmd/cmd_out.h"

static const struct out_view health_view = { .id = "status" };

static int print(struct cmd *c, bool healthy)
{
	struct buf b;
	struct jsonw w;

	buf_init(&b, c->arena, 256);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member_z(&w, "status", healthy ? "ready" : "not ready");
	jsonw_end_object(&w);
	return out_text(c, &health_view, &b);
}

static int ask(struct remote *r)
{
	struct http_call call = { .method = "GET" };
	struct reply reply;
	struct buf url;
	struct str text;
	int status;

	buf_init(&url, r->c->arena, 8192);
	buf_fmt(&url, "%.*s/readyz", STR_ARG(r->base));
	if (buf_end(&url, &text))
		return cmd_nomem(r->c);
	call.url = text.p;
	status = remote_send(r, &call, &reply);
	if (status)
		return status;
	reply_done(&reply);
	status = print(r->c, reply.status == 200);
	return reply.status == 200 || status ? status : CMD_UNHEALTHY;
}

static int run_health(struct cmd *c)
{
	const char *url = cmd_get(c, "url");
	struct remote r;
	int status;

	if (cmd_has(c, "credentials"))
		return cmd_usage(c, "health needs no --credentials");
	status = url ? remote_open_public(c, str_z(url), &r) : remote_open_admin(c, &r);
	if (!status)
		status = ask(&r);
	remote_done(&r);
	return status;
}

static const struct cmd_row rows[] = {
	{ .words = "health",
	  .flags = CMD_PUBLIC,
	  .summary = "ask the running server whether it is ready",
	  .details = "Exit status 0: ready; 3: it answers, but is not; 2: it does not answer.",
	  .run = run_health,
	  .examples = CMD_EXAMPLES("the server of this machine", "chancery health", "another one",
				   "chancery health --url https://id.example.com") },
};

const struct cmd_group cmd_health_group = CMD_GROUP(NULL, rows);
