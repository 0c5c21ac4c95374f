/* `chancery help`, `version`, and the texts that are made from the table: man page and completion.
 */
#include <stdio.h>

#include "server/cmd/cmd_doc.h"
#include "server/cmd/cmd_out.h"

enum { DOCUMENT_MAX = 1 << 20 };

static const struct out_view version_view = { .id = "version" };

static int run_help(struct cmd *c)
{
	return cmd_help(c, c->args, c->arg_count);
}

static int run_version(struct cmd *c)
{
	struct buf b;
	struct jsonw w;

	if (c->format == FORMAT_TABLE && !cmd_has(c, "field")) {
		printf("chancery %s\n", CHANCERY_VERSION);
		return CMD_OK;
	}
	buf_init(&b, c->arena, 256);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member_z(&w, "version", CHANCERY_VERSION);
	jsonw_end_object(&w);
	return out_text(c, &version_view, &b);
}

static int print(struct cmd *c, struct buf *b)
{
	struct str text;

	if (buf_end(b, &text))
		return cmd_nomem(c);
	return fwrite(text.p, text.n, 1, stdout) == 1
		       ? CMD_OK
		       : cmd_fail(c, CMD_REFUSED, "cannot write to standard output");
}

static int run_man(struct cmd *c)
{
	struct buf b;

	buf_init(&b, c->arena, DOCUMENT_MAX);
	doc_man(CHANCERY_VERSION, &b);
	return print(c, &b);
}

static int run_completion(struct cmd *c)
{
	struct buf b;

	buf_init(&b, c->arena, DOCUMENT_MAX);
	if (!doc_completion(c->args[0], &b))
		return cmd_usage(c, "\"%s\": must be bash, zsh or fish", c->args[0]);
	return print(c, &b);
}

static const struct cmd_row rows[] = {
	{ .words = "help",
	  .args = "[COMMAND...]",
	  .summary = "show help on everything or on one command",
	  .run = run_help,
	  .examples = CMD_EXAMPLES("one command", "chancery help client create", "all of a noun",
				   "chancery help token") },
	{ .words = "version",
	  .summary = "show the version",
	  .run = run_version,
	  .examples = CMD_EXAMPLES("for a script", "chancery version -o quiet") },
	{ .words = "completion",
	  .args = "SHELL",
	  .summary = "write the completion of bash, zsh or fish",
	  .run = run_completion,
	  .examples = CMD_EXAMPLES(
		  "for this shell", ". <(chancery completion bash)", "for good",
		  "chancery completion fish > ~/.config/fish/completions/chancery.fish") },
	{ .words = "man",
	  .flags = CMD_HIDDEN,
	  .summary = "write the man page chancery(1)",
	  .run = run_man },
};

const struct cmd_group cmd_about_group = CMD_GROUP("About", rows);
