/* From argv to an exit status: parses, looks at the global options, runs the row's function. */
#include "server/cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "server/cmd/cmd_admin.h"

static void say(const char *prefix, const char *format, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void say(const char *prefix, const char *format, va_list ap)
{
	fputs(prefix, stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
}

int cmd_fail(const struct cmd *c, int status, const char *format, ...)
{
	va_list ap;

	(void)c;
	va_start(ap, format);
	say("chancery: ", format, ap);
	va_end(ap);
	return status;
}

void cmd_note(const struct cmd *c, const char *format, ...)
{
	va_list ap;

	(void)c;
	va_start(ap, format);
	say("", format, ap);
	va_end(ap);
}

int cmd_usage(const struct cmd *c, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say("chancery: ", format, ap);
	va_end(ap);
	if (c->row)
		fprintf(stderr, "See `chancery help %s`.\n", c->row->words);
	else
		fputs("See `chancery help`.\n", stderr);
	return c->row && c->row->flags & CMD_DECIDES ? VERIFY_UNDECIDED : CMD_REFUSED;
}

int cmd_nomem(const struct cmd *c)
{
	return cmd_fail(c, CMD_REFUSED, "out of memory");
}

const char *cmd_env(const struct cmd *c, const char *name)
{
	size_t n = strlen(name);

	for (const char *const *row = c->environ; row && *row; row++) {
		if (strncmp(*row, name, n) == 0 && (*row)[n] == '=')
			return *row + n + 1;
	}
	return NULL;
}

const char *cmd_get(const struct cmd *c, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < c->given_count; i++) {
		if (strcmp(c->given[i].option->name, name) == 0)
			value = c->given[i].value;
	}
	return value;
}

bool cmd_has(const struct cmd *c, const char *name)
{
	for (size_t i = 0; i < c->given_count; i++) {
		if (strcmp(c->given[i].option->name, name) == 0)
			return true;
	}
	return false;
}

const char *cmd_nth(const struct cmd *c, const char *name, size_t i)
{
	for (size_t k = 0; k < c->given_count; k++) {
		if (strcmp(c->given[k].option->name, name) == 0 && i-- == 0)
			return c->given[k].value;
	}
	return NULL;
}

int cmd_config(struct cmd *c, const struct config **ret_config)
{
	struct config_warnings warnings;
	struct config_fault fault;
	enum err e;

	if (!c->config) {
		e = config_load(&c->source, &c->config, &warnings, &fault);
		if (e == ERR_SYNTAX)
			return cmd_fail(c, CMD_REFUSED, "%s", fault.text);
		if (e)
			return cmd_nomem(c);
	}
	*ret_config = c->config;
	return CMD_OK;
}

/* One line from the terminal; true for "y" or "yes". */
static bool terminal_says_yes(int tty)
{
	char answer[16];
	ssize_t n = read(tty, answer, sizeof(answer));
	struct str word;

	if (n <= 0 || answer[n - 1] != '\n')
		return false;
	word = str_trim(str_n(answer, (size_t)n - 1));
	return str_case_equal(word, STR("y")) || str_case_equal(word, STR("yes"));
}

int cmd_confirm(struct cmd *c, const char *format, ...)
{
	va_list ap;
	bool yes;
	int tty;

	if (cmd_has(c, "yes"))
		return CMD_OK;
	tty = isatty(STDIN_FILENO) ? open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY) : -1;
	if (tty < 0)
		return cmd_usage(c, "%s needs --yes where there is no terminal to ask on",
				 c->row->words);
	va_start(ap, format);
	vdprintf(tty, format, ap);
	va_end(ap);
	dprintf(tty, " [y/N] ");
	yes = terminal_says_yes(tty);
	close(tty);
	return yes ? CMD_OK : cmd_fail(c, CMD_REFUSED, "nothing was changed");
}

static int read_format(struct cmd *c)
{
	static const struct {
		const char *name;
		enum cmd_format format;
	} rows[] = {
		{ "table", FORMAT_TABLE },
		{ "json", FORMAT_JSON },
		{ "yaml", FORMAT_YAML },
		{ "quiet", FORMAT_QUIET },
	};
	const char *given = cmd_get(c, "output");

	if (!given)
		return CMD_OK;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(given, rows[i].name) == 0) {
			c->format = rows[i].format;
			return CMD_OK;
		}
	}
	return cmd_usage(c, "-o %s: must be table, json, yaml or quiet", given);
}

/* Options that name another server are refused where no server is spoken to. */
static int check_remote(const struct cmd *c)
{
	static const struct {
		const char *name;
		bool public;
	} rows[] = {
		{ "url", true },
		{ "credentials", true },
		{ "token-file", false },
	};
	bool public = c->row->flags & CMD_PUBLIC;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (cmd_has(c, rows[i].name) && !c->row->admin && !(public && rows[i].public))
			return cmd_usage(c, "%s does not take --%s", c->row->words, rows[i].name);
	}
	return CMD_OK;
}

static int read_globals(struct cmd *c)
{
	size_t n = 0;

	for (const char *set; (set = cmd_nth(c, "set", n)); n++)
		c->sets[n] = set;
	c->source = (struct config_source){
		.data_dir = cmd_get(c, "data"),
		.file = cmd_get(c, "config"),
		.sets = c->sets,
		.set_count = n,
		.environ = c->environ,
	};
	return read_format(c);
}

static int remote_run(struct cmd *c)
{
	struct remote r;
	int status = remote_open_admin(c, &r);

	if (!status)
		status = c->row->admin(&r);
	remote_done(&r);
	return status;
}

static int run(struct cmd *c, int argc, char **argv)
{
	bool help = false;
	int status = cmd_parse(c, argc, argv, &help);

	if (status)
		return status;
	if (help)
		return cmd_help(c, c->args, c->arg_count);
	status = read_globals(c);
	if (!status)
		status = check_remote(c);
	if (status)
		return status;
	return c->row->admin ? remote_run(c) : c->row->run(c);
}

int cmd_main(const struct env *env, const char *const *environment, int argc, char **argv)
{
	struct cmd c = { .env = env, .environ = environment };
	int status;

	if (arena_new(CMD_ARENA_MAX, &c.arena))
		return cmd_nomem(&c);
	status = run(&c, argc, argv);
	if (fflush(stdout) != 0 && status == CMD_OK)
		status = cmd_fail(&c, CMD_REFUSED, "cannot write to standard output: %s",
				  strerror(errno));
	config_unref(c.config);
	arena_free(c.arena);
	return status;
}
