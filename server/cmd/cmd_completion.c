/* Completion of words and option names for three shells. Values are left to the shell's own
 * completion of file names. bash and zsh walk a list of "words: candidates" lines; fish takes one
 * line per candidate. */
#include "server/cmd/cmd_doc.h"

#include <stdio.h>

static bool is_shown(const struct cmd_row *row)
{
	return !(row->flags & CMD_HIDDEN);
}

/* Does a row before `row` have an option of this name that takes a value? */
static bool valued_before(const struct cmd_row *row, const char *name)
{
	const struct cmd_option *o;

	for (const struct cmd_group *const *g = cmd_groups; *g; g++) {
		for (size_t i = 0; i < (*g)->count; i++) {
			if (&(*g)->rows[i] == row)
				return false;
			for (size_t k = 0; (o = cmd_option_at(&(*g)->rows[i], k)); k++) {
				if (o->value && strcmp(o->name, name) == 0)
					return true;
			}
		}
	}
	return false;
}

static void valued_options_of(const struct cmd_row *row, const char *separator, struct buf *out)
{
	const struct cmd_option *o;

	for (size_t i = 0; (o = cmd_option_at(row, i)); i++) {
		if (o->value && !valued_before(row, o->name))
			buf_fmt(out, "%s--%s", separator, o->name);
	}
}

/* "-o<sep>--data<sep>--scope": what the next word is the value of, so that a shell which counts
 * words does not take a value for one of them. */
static void valued_options(struct buf *out, const char *separator)
{
	buf_z(out, "-o");
	for (const struct cmd_option *o = cmd_globals; o->name; o++) {
		if (o->value)
			buf_fmt(out, "%s--%s", separator, o->name);
	}
	for (const struct cmd_group *const *g = cmd_groups; *g; g++) {
		for (size_t i = 0; i < (*g)->count; i++)
			valued_options_of(&(*g)->rows[i], separator, out);
	}
}

/* ---- bash, and zsh through its bashcompinit ---- */

/* Is this the first shown row that begins with the first `n` bytes of its words? */
static bool is_first_with(const struct cmd_row *at, size_t n)
{
	for (const struct cmd_group *const *g = cmd_groups; *g; g++) {
		for (size_t i = 0; i < (*g)->count; i++) {
			const struct cmd_row *row = &(*g)->rows[i];

			if (row == at)
				return true;
			if (is_shown(row) && strncmp(row->words, at->words, n) == 0)
				return false;
		}
	}
	return true;
}

/* The words that may follow the first `n` bytes of `prefix` ("client " gives create list ...). */
static void next_words(struct buf *out, const char *prefix, size_t n)
{
	for (const struct cmd_group *const *g = cmd_groups; *g; g++) {
		for (size_t i = 0; i < (*g)->count; i++) {
			const struct cmd_row *row = &(*g)->rows[i];
			size_t word = strcspn(row->words + (strlen(row->words) > n ? n : 0), " ");

			if (!is_shown(row) || strncmp(row->words, prefix, n) != 0 ||
			    strlen(row->words) <= n)
				continue;
			if (is_first_with(row, n + word))
				buf_fmt(out, " %.*s", (int)word, row->words + n);
		}
	}
}

static void option_names(struct buf *out, const struct cmd_row *row)
{
	const struct cmd_option *o;

	for (size_t i = 0; (o = cmd_option_at(row, i)); i++)
		buf_fmt(out, " --%s", o->name);
}

/* "'client')\n words='create list'" for every beginning of the row that is new. */
static void bash_prefixes(struct buf *out, const struct cmd_row *row)
{
	for (size_t n = 0; row->words[n]; n++) {
		if (row->words[n] != ' ' || !is_first_with(row, n + 1))
			continue;
		buf_fmt(out, "\t\t'%.*s') words='", (int)n, row->words);
		next_words(out, row->words, n + 1);
		buf_z(out, "' ;;\n");
	}
}

static void bash_cases(struct buf *out)
{
	buf_z(out, "\t\t'') words='");
	next_words(out, "", 0);
	buf_z(out, "' ;;\n");
	for (const struct cmd_group *const *g = cmd_groups; *g; g++) {
		for (size_t i = 0; i < (*g)->count; i++) {
			const struct cmd_row *row = &(*g)->rows[i];

			if (!is_shown(row))
				continue;
			bash_prefixes(out, row);
			buf_fmt(out, "\t\t'%s') words='", row->words);
			option_names(out, row);
			buf_z(out, "' ;;\n");
		}
	}
}

static void bash(struct buf *out)
{
	buf_z(out, "# chancery completion for bash; made by `chancery completion bash`\n"
		   "_chancery() {\n"
		   "\tlocal cur=${COMP_WORDS[COMP_CWORD]} path= words= value= i w\n"
		   "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		   "\t\tw=${COMP_WORDS[i]}\n"
		   "\t\t[ \"$w\" = = ] && { value=y; continue; }\n"
		   "\t\t[ -n \"$value\" ] && { value=; continue; }\n"
		   "\t\tcase $w in\n"
		   "\t\t");
	valued_options(out, "|");
	buf_z(out, ") value=y; continue ;;\n"
		   "\t\t-*) continue ;;\n"
		   "\t\tesac\n"
		   "\t\tcase \" $(_chancery_words \"$path\") \" in *\" $w \"*) "
		   "path=\"${path:+$path }$w\" ;; "
		   "esac\n"
		   "\tdone\n"
		   "\tCOMPREPLY=()\n"
		   "\t[ -z \"$value\" ] || return # a value: the shell's own, file names\n"
		   "\twords=$(_chancery_words \"$path\")\n"
		   "\tcase $cur in -*) words=\"$words");
	for (const struct cmd_option *o = cmd_globals; o->name; o++)
		buf_fmt(out, " --%s", o->name);
	buf_z(out, "\" ;; esac\n"
		   "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
		   "}\n"
		   "_chancery_words() {\n"
		   "\tlocal words=\n"
		   "\tcase $1 in\n");
	bash_cases(out);
	buf_z(out, "\tesac\n"
		   "\techo \"$words\"\n"
		   "}\n"
		   "complete -o default -F _chancery chancery\n");
}

static void zsh(struct buf *out)
{
	buf_z(out, "#compdef chancery\n"
		   "autoload -U +X bashcompinit && bashcompinit\n");
	bash(out);
}

/* ---- fish ---- */

static void fish_text(struct buf *out, const char *text)
{
	buf_byte(out, '\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			buf_byte(out, '\\');
		buf_byte(out, *text);
	}
	buf_byte(out, '\'');
}

static void fish_option(struct buf *out, const char *condition, const struct cmd_option *o)
{
	buf_fmt(out, "complete -c chancery%s -l %s%s%s -d ", condition, o->name,
		strcmp(o->name, "output") == 0 ? " -s o" : "", o->value ? " -r" : "");
	fish_text(out, o->help);
	buf_byte(out, '\n');
}

static void fish_row(struct buf *out, const struct cmd_row *row)
{
	struct str rest = str_z(row->words), word;
	char condition[160];
	size_t at = 0;

	while (str_next(&rest, ' ', &word)) {
		buf_fmt(out, "complete -c chancery -f -n '__chancery_at %.*s' -a %.*s", (int)at,
			row->words, STR_ARG(word));
		if (!rest.n) {
			buf_z(out, " -d ");
			fish_text(out, row->summary);
		}
		buf_byte(out, '\n');
		at += word.n + 1;
	}
	snprintf(condition, sizeof(condition), " -n '__chancery_in %s'", row->words);
	for (size_t i = 0; cmd_option_at(row, i); i++)
		fish_option(out, condition, cmd_option_at(row, i));
}

static void fish(struct buf *out)
{
	buf_z(out, "# chancery completion for fish; made by `chancery completion fish`\n"
		   "function __chancery_words\n"
		   "\tset -l value\n"
		   "\tfor w in (commandline -opc)[2..]\n"
		   "\t\tif set -q value[1]\n"
		   "\t\t\tset -e value[1]\n"
		   "\t\t\tcontinue\n"
		   "\t\tend\n"
		   "\t\tswitch $w\n"
		   "\t\t\tcase ");
	valued_options(out, " ");
	buf_z(out,
	      "\n"
	      "\t\t\t\tset value yes\n"
	      "\t\t\tcase '-*'\n"
	      "\t\t\tcase '*'\n"
	      "\t\t\t\techo $w\n"
	      "\t\tend\n"
	      "\tend\n"
	      "end\n"
	      "function __chancery_at\n"
	      "\ttest \"$(__chancery_words | string join ' ')\" = \"$(string join ' ' -- $argv)\"\n"
	      "end\n"
	      "function __chancery_in\n"
	      "\tset -l words (__chancery_words)\n"
	      "\ttest \"$(string join ' ' -- $words[1..(count $argv)])\" = \"$(string join ' ' -- "
	      "$argv)\"\n"
	      "end\n");
	for (const struct cmd_option *o = cmd_globals; o->name; o++)
		fish_option(out, "", o);
	for (const struct cmd_group *const *g = cmd_groups; *g; g++) {
		for (size_t i = 0; i < (*g)->count; i++) {
			if (is_shown(&(*g)->rows[i]))
				fish_row(out, &(*g)->rows[i]);
		}
	}
}

bool doc_completion(const char *shell, struct buf *out)
{
	static const struct {
		const char *name;
		void (*write)(struct buf *out);
	} rows[] = {
		{ "bash", bash },
		{ "zsh", zsh },
		{ "fish", fish },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(shell, rows[i].name) == 0) {
			rows[i].write(out);
			return true;
		}
	}
	return false;
}
