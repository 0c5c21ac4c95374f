/* Reading, bounded, with the sentence that helps. Everything lands in the command's arena, which is
 * wiped at the end. */
#include "server/cmd/cmd_input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

enum { INPUT_LINE_MAX = 16384 }; /* a token, a password, a secret */

static int read_all(struct cmd *c, int fd, const char *name, size_t max, struct str *ret_text)
{
	char *p = arena_alloc(c->arena, max + 1);
	size_t got = 0;

	if (!p)
		return cmd_nomem(c);
	for (;;) {
		ssize_t n = read(fd, p + got, max + 1 - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cmd_fail(c, CMD_REFUSED, "%s: %s", name, strerror(errno));
		got += (size_t)n;
		if (got > max)
			return cmd_fail(c, CMD_REFUSED, "%s: more than %zu bytes", name, max);
		if (n == 0)
			break;
	}
	p[got] = 0;
	*ret_text = str_n(p, got);
	return CMD_OK;
}

int input_file(struct cmd *c, const char *path, size_t max, struct str *ret_text)
{
	int fd, status;

	if (strcmp(path, "-") == 0) {
		if (c->stdin_taken)
			return cmd_usage(c, "standard input can be read once only");
		c->stdin_taken = true;
		return read_all(c, STDIN_FILENO, "standard input", max, ret_text);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return cmd_fail(c, CMD_REFUSED, "%s: %s", path, strerror(errno));
	status = read_all(c, fd, path, max, ret_text);
	close(fd);
	return status;
}

/* Without the one line end that an editor or `echo` put there. More lines are an accident, and
 * cutting them off would make a secret that nobody knows. */
static int one_line(struct cmd *c, const char *name, struct str text, struct str *ret_line)
{
	if (str_ends(text, STR("\n")))
		text.n--;
	if (str_ends(text, STR("\r")))
		text.n--;
	if (text.n == 0)
		return cmd_fail(c, CMD_REFUSED, "%s is empty", name);
	if (memchr(text.p, '\n', text.n) || str_has_nul(text))
		return cmd_fail(c, CMD_REFUSED, "%s holds more than one line", name);
	*ret_line = text;
	return CMD_OK;
}

int input_stdin_line(struct cmd *c, const char *option, struct str *ret_text)
{
	struct str text;
	int status;

	if (c->stdin_taken)
		return cmd_usage(
			c, "%s: standard input is taken already; use a file for one of the two",
			option);
	status = input_file(c, "-", INPUT_LINE_MAX, &text);
	return status ? status : one_line(c, "standard input", text, ret_text);
}

/* A secret that everybody can read is none; said, not refused: the file is the operator's. */
void input_warn_open(struct cmd *c, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH))
		cmd_note(c, "warning: %s can be read by everybody on this machine; chmod 600 it",
			 path);
}

int input_secret(struct cmd *c, const char *name, struct str *ret_secret)
{
	char from_stdin[32], from_file[32];
	const char *path;
	struct str text;
	int status;

	snprintf(from_stdin, sizeof(from_stdin), "%s-stdin", name);
	snprintf(from_file, sizeof(from_file), "%s-file", name);
	path = cmd_get(c, from_file);
	if (path && cmd_has(c, from_stdin))
		return cmd_usage(c, "--%s and --%s: one of the two", from_stdin, from_file);
	if (cmd_has(c, from_stdin))
		return input_stdin_line(c, from_stdin, ret_secret);
	if (!path) {
		*ret_secret = STR_NONE;
		return CMD_OK;
	}
	input_warn_open(c, path);
	status = input_file(c, path, INPUT_LINE_MAX, &text);
	return status ? status : one_line(c, path, text, ret_secret);
}

/* Reads one line of the terminal with echo off; the terminal is put back whatever happens. */
static int ask_once(struct cmd *c, int tty, const char *question, struct str *ret_line)
{
	struct termios before, quiet;
	char *p = arena_alloc(c->arena, INPUT_LINE_MAX);
	ssize_t n;

	if (!p)
		return cmd_nomem(c);
	if (tcgetattr(tty, &before) < 0)
		return cmd_fail(c, CMD_REFUSED, "the terminal: %s", strerror(errno));
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	dprintf(tty, "%s: ", question);
	if (tcsetattr(tty, TCSAFLUSH, &quiet) < 0)
		return cmd_fail(c, CMD_REFUSED, "the terminal: %s", strerror(errno));
	n = read(tty, p, INPUT_LINE_MAX);
	tcsetattr(tty, TCSAFLUSH, &before);
	dprintf(tty, "\n");
	if (n < 0)
		return cmd_fail(c, CMD_REFUSED, "the terminal: %s", strerror(errno));
	return one_line(c, "the answer", str_n(p, (size_t)n), ret_line);
}

int input_prompt(struct cmd *c, const char *question, bool twice, const char *options,
		 struct str *ret_secret)
{
	struct str first, second;
	int status;
	int tty = isatty(STDIN_FILENO) ? open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY) : -1;

	if (tty < 0)
		return cmd_usage(c, "there is no terminal to ask on; use %s", options);
	status = ask_once(c, tty, question, &first);
	if (!status && twice) {
		status = ask_once(c, tty, "once more", &second);
		if (!status && !str_equal(first, second))
			status = cmd_fail(c, CMD_REFUSED, "the two are not the same");
	}
	close(tty);
	if (!status)
		*ret_secret = first;
	return status;
}

int input_argument(struct cmd *c, const char *argument, struct str *ret_text)
{
	if (strcmp(argument, "-") == 0)
		return input_stdin_line(c, "-", ret_text);
	*ret_text = str_z(argument);
	return CMD_OK;
}
