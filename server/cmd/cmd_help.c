/* Help, from the table: the overview, a noun's commands, or one command with its options and
 * examples. */
#include "server/cmd/cmd.h"

#include <stdio.h>

enum { HELP_MAX = 65536, SUMMARY_COLUMN = 24, OPTION_COLUMN = 30, HELP_WIDTH = 90 };

static bool is_shown(const struct cmd_row *row)
{
	return !(row->flags & CMD_HIDDEN);
}

static bool is_remote(const struct cmd_row *row)
{
	return row->admin || row->flags & CMD_PUBLIC;
}

void cmd_synopsis(const struct cmd_row *row, struct buf *out)
{
	buf_fmt(out, "chancery %s", row->words);
	if (cmd_option_at(row, 0))
		buf_z(out, " [options]");
	if (row->args)
		buf_fmt(out, " %s", row->args);
}

/* `text` from the present column on, wrapped at HELP_WIDTH, further lines indented by `indent`. */
static void wrapped(struct buf *out, const char *text, int indent, int column)
{
	struct str rest = str_z(text), word;

	while (str_next(&rest, ' ', &word)) {
		if (column > indent && column + 1 + (int)word.n > HELP_WIDTH) {
			buf_fmt(out, "\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			buf_byte(out, ' ');
			column++;
		}
		buf_str(out, word);
		column += (int)word.n;
	}
	buf_byte(out, '\n');
}

/* A left column and its explanation. */
static void entry(struct buf *out, const char *left, const char *text, int column)
{
	int n = (int)strlen(left);

	buf_fmt(out, "  %s", left);
	if (n + 4 > column)
		buf_fmt(out, "\n%*s", column, "");
	else
		buf_fmt(out, "%*s", column - n - 2, "");
	wrapped(out, text, column, column);
}

static void option_entry(struct buf *out, const struct cmd_option *o)
{
	char left[96];

	snprintf(left, sizeof(left), "--%s%s%s%s", o->name, o->value ? " " : "",
		 o->value ? o->value : "", o->repeat ? " ..." : "");
	entry(out, left, o->help, OPTION_COLUMN);
}

static void options_of(struct buf *out, const struct cmd_row *row)
{
	const struct cmd_option *o;

	if (cmd_option_at(row, 0))
		buf_z(out, "\nOptions (... may be repeated):\n");
	for (size_t i = 0; (o = cmd_option_at(row, i)); i++)
		option_entry(out, o);
}

/* Global options are not repeated whole with every command; those that matter to it are. */
static void globals_of(struct buf *out, const struct cmd_row *row)
{
	buf_z(out, "\nGlobal options: --data --config --set -o --field");
	if (row->flags & CMD_ASKS)
		buf_z(out, " --yes");
	if (is_remote(row))
		buf_z(out, " --url --credentials");
	if (row->admin)
		buf_z(out, " --token-file");
	buf_z(out, "; see `chancery help`.\n");
}

static void command(struct buf *out, const struct cmd_row *row)
{
	buf_fmt(out, "chancery %s: %s\n\nUsage: ", row->words, row->summary);
	cmd_synopsis(row, out);
	buf_byte(out, '\n');
	if (row->details) {
		buf_byte(out, '\n');
		wrapped(out, row->details, 0, 0);
	}
	options_of(out, row);
	if (row->examples)
		buf_z(out, "\nExamples:\n");
	for (const char *const *e = row->examples; e && e[0]; e += 2)
		buf_fmt(out, "  # %s\n  %s\n", e[0], e[1]);
	globals_of(out, row);
}

/* The rows that begin with `words`; false if there is none. */
static bool noun(struct buf *out, const char *words)
{
	size_t n = strlen(words);
	bool found = false;

	for (const struct cmd_group *const *g = cmd_groups; *g; g++) {
		for (size_t i = 0; i < (*g)->count; i++) {
			const struct cmd_row *row = &(*g)->rows[i];

			if (!is_shown(row) || strncmp(row->words, words, n) != 0 ||
			    row->words[n] != ' ')
				continue;
			if (!found)
				buf_fmt(out, "chancery %s: commands\n\n", words);
			found = true;
			entry(out, row->words, row->summary, SUMMARY_COLUMN);
		}
	}
	if (found)
		buf_fmt(out, "\n`chancery help %s VERB` shows options and examples.\n", words);
	return found;
}

static void overview(struct buf *out)
{
	buf_z(out, "chancery issues OAuth 2.0 tokens, with signing keys that rotate themselves.\n\n"
		   "Usage: chancery [global options] COMMAND [options] [arguments]\n");
	for (const struct cmd_group *const *g = cmd_groups; *g; g++) {
		if ((*g)->title)
			buf_fmt(out, "\n%s:\n", (*g)->title);
		for (size_t i = 0; i < (*g)->count; i++) {
			if (is_shown(&(*g)->rows[i]))
				entry(out, (*g)->rows[i].words, (*g)->rows[i].summary,
				      SUMMARY_COLUMN);
		}
	}
	buf_z(out, "\nGlobal options:\n");
	for (const struct cmd_option *o = cmd_globals; o->name; o++)
		option_entry(out, o);
	buf_z(out, "\nExit status: 0 done; 1 usage, a local fault, or refused by the server's "
		   "rules; 2 the\n"
		   "server cannot be reached; 3 unhealthy; 4 conflict, or a lock is held.\n"
		   "\n`chancery help COMMAND` shows options and examples. New here? Try: chancery "
		   "dev\n");
}

static bool join(const char *const *words, size_t count, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < count && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", i ? " " : "", words[i]);
	return used < size;
}

int cmd_help(struct cmd *c, const char *const *words, size_t count)
{
	const struct cmd_row *row = NULL;
	char joined[128];
	struct buf out;
	struct str text;
	size_t used = 0;

	buf_init(&out, c->arena, HELP_MAX);
	if (!join(words, count, joined, sizeof(joined)))
		return cmd_fail(c, CMD_REFUSED, "no such command; see `chancery help`");
	if (count)
		row = cmd_find(words, count, &used);
	if (row)
		command(&out, row);
	else if (!count)
		overview(&out);
	else if (!noun(&out, joined))
		return cmd_fail(c, CMD_REFUSED, "no such command: %s; see `chancery help`", joined);
	if (buf_end(&out, &text))
		return cmd_nomem(c);
	fwrite(text.p, text.n, 1, stdout);
	return CMD_OK;
}
