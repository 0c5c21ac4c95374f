/* From argv to a command, its arguments and options. Own parsing, because getopt keeps its state in
 * globals and does not know which of our tables it reads. Options may stand anywhere, as "--name
 * value" or
 * "--name=value"; "--" ends them; "-" alone is an argument. */
#include "server/cmd/cmd.h"

#include <stdio.h>

#include "jose/b64.h"
#include "server/state/nearest.h"

/* The words of a row against what was typed: the number of words if all of them match, else 0. */
static size_t words_match(const char *row, const char *const *words, size_t count)
{
	struct str rest = str_z(row), word;
	size_t n = 0;

	while (str_next(&rest, ' ', &word)) {
		if (n == count || !str_equal_z(word, words[n]))
			return 0;
		n++;
	}
	return n;
}

const struct cmd_row *cmd_find(const char *const *words, size_t count, size_t *ret_used)
{
	for (const struct cmd_group *const *g = cmd_groups; *g; g++) {
		for (size_t i = 0; i < (*g)->count; i++) {
			const struct cmd_row *row = &(*g)->rows[i];
			size_t n = words_match(row->words, words, count);

			if (n) {
				*ret_used = n;
				return row;
			}
		}
	}
	return NULL;
}

/* How many of the first words some row begins with. */
static size_t words_known(const char *const *words, size_t count)
{
	size_t best = 0;

	for (const struct cmd_group *const *g = cmd_groups; *g; g++) {
		for (size_t i = 0; i < (*g)->count; i++) {
			struct str rest = str_z((*g)->rows[i].words), word;
			size_t n = 0;

			while (n < count && str_next(&rest, ' ', &word) &&
			       str_equal_z(word, words[n]))
				n++;
			if (n > best)
				best = n;
		}
	}
	return best;
}

/* The word that could stand where `words[known]` is wrong. */
static void offer_words(struct nearest *n, const char *const *words, size_t known)
{
	for (const struct cmd_group *const *g = cmd_groups; *g; g++) {
		for (size_t i = 0; i < (*g)->count; i++) {
			const struct cmd_row *row = &(*g)->rows[i];
			struct str rest = str_z(row->words), word = STR_NONE;
			size_t k = 0;
			bool same = true;

			while (str_next(&rest, ' ', &word) && k < known)
				same = same && str_equal_z(word, words[k++]);
			if (same && k == known && word.p && !(row->flags & CMD_HIDDEN))
				nearest_offer(n, word, word.p);
		}
	}
}

static int unknown_command(const struct cmd *c, const char *const *words, size_t count)
{
	size_t known = words_known(words, count);
	char path[128] = "";
	struct nearest n;
	size_t used = 0;

	for (size_t i = 0; i < known && used < sizeof(path) - 1; i++)
		used += (size_t)snprintf(path + used, sizeof(path) - used, "%s ", words[i]);
	if (known == count)
		return cmd_fail(c, CMD_REFUSED, "%sneeds one word more; see `chancery help %.*s`",
				path, (int)used - 1, path);
	nearest_init(&n, str_z(words[known]));
	offer_words(&n, words, known);
	if (!nearest_best(&n))
		return cmd_fail(c, CMD_REFUSED, "no such command: %s%s; see `chancery help%s%.*s`",
				path, words[known], used ? " " : "", used ? (int)used - 1 : 0,
				path);
	return cmd_fail(c, CMD_REFUSED, "no such command: %s%s; did you mean `chancery %s%.*s`?",
			path, words[known], path, (int)strcspn(nearest_best(&n), " "),
			nearest_best(&n));
}

const struct cmd_option *cmd_option_at(const struct cmd_row *row, size_t i)
{
	for (size_t list = 0; list < CMD_LISTS_MAX; list++) {
		for (const struct cmd_option *o = row->options[list]; o && o->name; o++) {
			if (i-- == 0)
				return o;
		}
	}
	return NULL;
}

static const struct cmd_option *find_global(struct str name)
{
	for (const struct cmd_option *o = cmd_globals; o->name; o++) {
		if (str_equal_z(name, o->name))
			return o;
	}
	return NULL;
}

static const struct cmd_option *find_option(const struct cmd *c, struct str name)
{
	const struct cmd_option *o = find_global(name);

	if (o || !c->row)
		return o;
	for (size_t i = 0; (o = cmd_option_at(c->row, i)); i++) {
		if (str_equal_z(name, o->name))
			return o;
	}
	return NULL;
}

static int unknown_option(const struct cmd *c, struct str name)
{
	const struct cmd_option *o;
	struct nearest n;

	nearest_init(&n, name);
	for (o = cmd_globals; o->name; o++)
		nearest_offer(&n, str_z(o->name), o->name);
	for (size_t i = 0; c->row && (o = cmd_option_at(c->row, i)); i++)
		nearest_offer(&n, str_z(o->name), o->name);
	if (!nearest_best(&n))
		return cmd_usage(c, "no such option: --%.*s", STR_ARG(name));
	return cmd_usage(c, "no such option: --%.*s; did you mean --%s?", STR_ARG(name), n.best);
}

struct scan {
	int argc, at;
	char **argv;
	const char *words[CMD_ARGS_MAX + 4]; /* command words and arguments alike */
	size_t word_count;
	bool help, ended;
};

static int keep_option(struct cmd *c, const struct cmd_option *option, const char *value)
{
	for (size_t i = 0; i < c->given_count && !option->repeat; i++) {
		if (c->given[i].option == option)
			return cmd_usage(c, "--%s is there twice", option->name);
	}
	if (c->given_count == CMD_GIVEN_MAX)
		return cmd_usage(c, "more than %d options", CMD_GIVEN_MAX);
	if (option->member && value && !str_is_utf8(str_z(value)))
		return cmd_usage(c, "--%s: not UTF-8", option->name);
	c->given[c->given_count++] = (struct cmd_given){ .option = option, .value = value };
	return CMD_OK;
}

/* "--name", "--name=value", "--name value" */
static int long_option(struct cmd *c, struct scan *s, const char *text)
{
	const char *equals = strchr(text, '=');
	struct str name = equals ? str_n(text, (size_t)(equals - text)) : str_z(text);
	const struct cmd_option *option = find_option(c, name);

	if (str_equal_z(name, "help")) {
		s->help = true;
		return CMD_OK;
	}
	if (!option)
		return unknown_option(c, name);
	if (!option->value)
		return equals ? cmd_usage(c, "--%s takes no value", option->name)
			      : keep_option(c, option, NULL);
	if (equals)
		return keep_option(c, option, equals + 1);
	if (s->at + 1 >= s->argc)
		return cmd_usage(c, "--%s needs a value: %s", option->name, option->value);
	return keep_option(c, option, s->argv[++s->at]);
}

static int add_word(struct cmd *c, struct scan *s, const char *word)
{
	size_t used;

	if (s->word_count == sizeof(s->words) / sizeof(s->words[0]))
		return cmd_usage(c, "too many arguments");
	s->words[s->word_count++] = word;
	if (!c->row)
		c->row = cmd_find(s->words, s->word_count, &used);
	return CMD_OK;
}

/* -o FORMAT, -oFORMAT, -h */
static int short_option(struct cmd *c, struct scan *s, const char *text)
{
	if (strcmp(text, "h") == 0) {
		s->help = true;
		return CMD_OK;
	}
	if (text[0] != 'o')
		return cmd_usage(c, "no such option: -%s", text);
	if (text[1])
		return keep_option(c, find_global(STR("output")), text + 1);
	return long_option(c, s, "output");
}

/* A key's id, RFC 7638's thumbprint, is base64url of 32 bytes, and one of 64 begins with '-': an
 * argument all the same. No option of ours is called like one. */
static bool is_thumbprint(const char *text)
{
	unsigned char bytes[32];
	size_t n;

	return !b64url_decode(str_z(text), bytes, sizeof(bytes), &n) && n == sizeof(bytes);
}

static int scan_one(struct cmd *c, struct scan *s)
{
	const char *text = s->argv[s->at];

	if (s->ended || text[0] != '-' || !text[1] || is_thumbprint(text))
		return add_word(c, s, text);
	if (strcmp(text, "--") == 0) {
		s->ended = true;
		return CMD_OK;
	}
	return text[1] == '-' ? long_option(c, s, text + 2) : short_option(c, s, text + 1);
}

/* How many arguments the row's own words ask for: "ID [LABEL]" one or two, "[WORD...]" any number.
 */
static void count_args(const struct cmd_row *row, size_t *ret_min, size_t *ret_max)
{
	struct str rest = str_z(row->args), word;

	*ret_min = *ret_max = 0;
	while (str_next(&rest, ' ', &word)) {
		*ret_min += word.p[0] != '[';
		*ret_max = str_ends(word, STR("...]")) ? CMD_ARGS_MAX : *ret_max + 1;
	}
}

static int check_count(const struct cmd *c)
{
	size_t min, max;

	count_args(c->row, &min, &max);
	if (c->arg_count < min)
		return cmd_usage(c, "%s needs: %s", c->row->words, c->row->args);
	if (c->arg_count > max)
		return cmd_usage(c, "\"%s\" is one argument too many", c->args[max]);
	return CMD_OK;
}

int cmd_parse(struct cmd *c, int argc, char **argv, bool *ret_help)
{
	struct scan s = { .argc = argc, .argv = argv };
	size_t used = 0;
	int status = CMD_OK;

	for (s.at = 1; s.at < argc && !status; s.at++)
		status = scan_one(c, &s);
	if (status)
		return status;
	*ret_help = s.help || s.word_count == 0;
	if (!*ret_help && !cmd_find(s.words, s.word_count, &used))
		return unknown_command(c, s.words, s.word_count);
	if (*ret_help)
		used = 0; /* help takes the words themselves */
	for (size_t i = used; i < s.word_count; i++) {
		if (c->arg_count == CMD_ARGS_MAX)
			return cmd_usage(c, "too many arguments");
		c->args[c->arg_count++] = s.words[i];
	}
	return *ret_help ? CMD_OK : check_count(c);
}
