/* `chancery config`: what is in force and where it comes from; whether `serve` would start with it;
 * and the reference in config/, written from the table. */
#include <ctype.h>
#include <stdio.h>

#include "server/cmd/cmd_out.h"

enum { CONFIG_TEXT_MAX = 1 << 20, WRAP_COLUMN = 96 };

static const struct out_view config_view = {
	.id = "option",
	.columns = (const struct out_column[]){ { "OPTION", "option" },
						{ "VALUE", "value" },
						{ "FROM", "from" },
						{ NULL, NULL } },
};

static int load(struct cmd *c, const struct config **ret_config)
{
	struct config_warnings warnings;
	struct config_fault fault;
	enum err e = config_load(&c->source, &c->config, &warnings, &fault);

	if (e == ERR_SYNTAX)
		return cmd_fail(c, CMD_REFUSED, "%s", fault.text);
	if (e)
		return cmd_nomem(c);
	for (size_t i = 0; i < warnings.count; i++)
		cmd_note(c, "warning: %s", warnings.text[i]);
	*ret_config = c->config;
	return CMD_OK;
}

static enum err write_option(struct cmd *c, const struct config *config, size_t i, struct jsonw *w)
{
	struct option_view view;
	const char *origin;
	struct buf value;
	struct str text;
	enum err e;

	config_option(i, &view);
	buf_init(&value, c->arena, CONFIG_TEXT_MAX);
	config_value(config, i, &value, &origin);
	e = buf_end(&value, &text);
	if (e)
		return e;
	jsonw_object(w);
	jsonw_member_z(w, "option", view.name);
	jsonw_member(w, "value", text);
	jsonw_member_z(w, "from", origin);
	jsonw_end_object(w);
	return ERR_OK;
}

static int run_show(struct cmd *c)
{
	AUTO(json, root) = NULL;
	const struct config *config;
	struct jsonw w;
	struct buf b;
	struct str text;
	int status = load(c, &config);

	if (status)
		return status;
	buf_init(&b, c->arena, CONFIG_TEXT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_key(&w, "items");
	jsonw_array(&w);
	for (size_t i = 0; i < config_option_count(); i++) {
		if (write_option(c, config, i, &w))
			return cmd_nomem(c);
	}
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	if (buf_end(&b, &text) || json_parse(text, CONFIG_TEXT_MAX, &root))
		return cmd_nomem(c);
	return out_list(c, &config_view, root);
}

static int run_check(struct cmd *c)
{
	const struct config *config;
	struct config_fault fault;
	int status = load(c, &config);

	if (status)
		return status;
	if (config_check_serve(config, &fault))
		return cmd_fail(c, CMD_REFUSED, "%s", fault.text);
	return out_done(c, "valid",
			"The configuration is fine. (Files that it names were not opened.)");
}

/* ---- the reference ---- */

/* A sentence as comment lines of at most WRAP_COLUMN columns. */
static void comment(struct buf *out, const char *indent, const char *text)
{
	struct str rest = str_z(text), word;
	size_t column = 0;

	while (str_next(&rest, ' ', &word)) {
		if (column == 0 || column + 1 + word.n > WRAP_COLUMN) {
			buf_fmt(out, "%s%s#", column ? "\n" : "", indent);
			column = strlen(indent) + 1;
		}
		buf_byte(out, ' ');
		buf_str(out, word);
		column += 1 + word.n;
	}
	buf_byte(out, '\n');
}

/* Opens the sections of `name` that `before` was not in; returns how deep it is. */
static size_t sections(struct buf *out, const char *before, const char *name)
{
	size_t depth = 0, start = 0;

	for (size_t i = 0; name[i]; i++) {
		if (name[i] != '.')
			continue;
		if (strncmp(before, name, i + 1) != 0)
			buf_fmt(out, "%s%*s%.*s:\n", depth ? "" : "\n", (int)depth * 2, "",
				(int)(i - start), name + start);
		depth++;
		start = i + 1;
	}
	return depth;
}

/* Defaults as YAML: a list in brackets, nothing as "". */
static void fallback(struct buf *out, const struct option_view *view)
{
	bool list = strncmp(view->type, "list", 4) == 0;
	struct str rest = str_z(view->fallback), item;
	bool first = true;

	if (!list) {
		buf_z(out, view->fallback[0] ? view->fallback : "\"\"");
		return;
	}
	buf_byte(out, '[');
	while (str_next(&rest, ',', &item)) {
		buf_z(out, first ? "" : ", ");
		buf_str(out, item);
		first = false;
	}
	buf_byte(out, ']');
}

static void reference(struct buf *out)
{
	const char *before = "";
	struct option_view view;

	buf_z(out, "# Every option of chancery, with its default. Written by `chancery config "
		   "reference` "
		   "from the\n# option table; a test compares. An environment variable is "
		   "CHANCERY_ and the "
		   "name in capitals,\n# as CHANCERY_SERVER_TLS_KEY; DIR is the data directory. "
		   "(reload): "
		   "SIGHUP may change it.\n\n");
	for (size_t i = 0; i < config_option_count(); i++) {
		char indent[16];
		size_t depth;

		config_option(i, &view);
		depth = sections(out, before, view.name);
		snprintf(indent, sizeof(indent), "%*s", (int)depth * 2, "");
		comment(out, indent, view.help);
		buf_fmt(out, "%s# %s%s\n", indent, view.type, view.reload ? " (reload)" : "");
		buf_fmt(out, "%s%s: ", indent,
			strrchr(view.name, '.') ? strrchr(view.name, '.') + 1 : view.name);
		fallback(out, &view);
		buf_byte(out, '\n');
		before = view.name;
	}
}

static int run_reference(struct cmd *c)
{
	struct buf b;
	struct str text;

	buf_init(&b, c->arena, CONFIG_TEXT_MAX);
	reference(&b);
	if (buf_end(&b, &text))
		return cmd_nomem(c);
	fwrite(text.p, text.n, 1, stdout);
	return CMD_OK;
}

static const struct cmd_row rows[] = {
	{ .words = "config show",
	  .summary = "show every option, its value and where it comes from",
	  .run = run_show,
	  .examples = CMD_EXAMPLES("all of them", "chancery config show",
				   "what a variable would do",
				   "CHANCERY_LOG_LEVEL=debug chancery config show") },
	{ .words = "config check",
	  .summary = "say whether serve would take this configuration",
	  .run = run_check,
	  .examples = CMD_EXAMPLES("before a restart", "chancery config check", "another file",
				   "chancery config check --config new.yaml") },
	{ .words = "config reference",
	  .flags = CMD_HIDDEN,
	  .summary = "write config/chancery.reference.yaml",
	  .run = run_reference },
};

const struct cmd_group cmd_config_group = CMD_GROUP(NULL, rows);
