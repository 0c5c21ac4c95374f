/* A shell of a few lines. */
#include "cmd_fixture.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"
#include "server/serve/serve.h"
#include "tests/helpers/temp.h"

static struct json *parsed; /* by must_json */
static char paths[4][128];
static size_t path_at;

void cmd_fixture_up(struct cmd_fixture *f)
{
	*f = (struct cmd_fixture){ .dir = "" };
	ck_assert_int_eq(secret_library_init(), ERR_OK);
	temp_folder(f->dir, sizeof(f->dir), "cmd");
	snprintf(f->data, sizeof(f->data), "--data=%s", f->dir);
	f->out = calloc(1, CMD_FIXTURE_TEXT);
	f->err = calloc(1, CMD_FIXTURE_TEXT);
	ck_assert(f->out && f->err);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

void cmd_fixture_down(struct cmd_fixture *f)
{
	if (f->server > 0) {
		kill(f->server, SIGTERM);
		ck_assert_int_eq(waitpid(f->server, NULL, 0), f->server);
	}
	json_free(parsed);
	parsed = NULL;
	free(f->out);
	free(f->err);
	nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void redirect(int to, FILE *file)
{
	rewind(file);
	dup2(fileno(file), to);
}

static void child(struct cmd_fixture *f, const char *const *argv, FILE *in, FILE *out, FILE *err)
{
	char *copy[CMD_FIXTURE_ARGS] = { NULL };
	struct env env;
	int argc = 0, status;

	setsid(); /* no terminal to ask on, whoever runs the tests */
	redirect(STDIN_FILENO, in);
	redirect(STDOUT_FILENO, out);
	redirect(STDERR_FILENO, err);
	for (; argv[argc] && argc < CMD_FIXTURE_ARGS - 1; argc++)
		copy[argc] = strdup(argv[argc]);
	env_system(&env);
	status = cmd_main(&env, f->environ, argc, copy);
	for (int i = 0; i < argc; i++)
		free(copy[i]);
	fflush(NULL);
	_exit(status);
}

static void read_back(FILE *file, char *text)
{
	size_t n;

	rewind(file);
	n = fread(text, 1, CMD_FIXTURE_TEXT - 1, file);
	text[n] = 0;
	fclose(file);
}

int cmd_fixture_run(struct cmd_fixture *f, const char *const *argv)
{
	FILE *in = tmpfile(), *out = tmpfile(), *err = tmpfile();
	int status;
	pid_t pid;

	ck_assert(in && out && err);
	fputs(f->input ? f->input : "", in);
	fflush(NULL);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		child(f, argv, in, out, err);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	f->status = WEXITSTATUS(status);
	fclose(in);
	read_back(out, f->out);
	read_back(err, f->err);
	f->input = NULL;
	return f->status;
}

void must_refuse(struct cmd_fixture *f, int status, const char *words)
{
	ck_assert_msg(f->status == status, "status %d, not %d: %s", f->status, status, f->err);
	ck_assert_msg(strstr(f->err, words) != NULL, "\"%s\" is not in: %s", words, f->err);
	ck_assert_str_eq(f->out, "");
}

struct json *must_json(struct cmd_fixture *f)
{
	ck_assert_msg(f->status == 0, "status %d: %s", f->status, f->err);
	json_free(parsed);
	parsed = NULL;
	ck_assert_msg(json_parse(str_z(f->out), CMD_FIXTURE_TEXT, &parsed) == ERR_OK, "no JSON: %s",
		      f->out);
	return parsed;
}

void must_print(struct cmd_fixture *f, const char *text)
{
	ck_assert_msg(f->status == 0, "status %d: %s", f->status, f->err);
	ck_assert_str_eq(f->out, text);
}

const char *member(const struct json *object, const char *name)
{
	struct str text = STR("");

	(void)json_str(json_get(object, name), &text);
	return text.p;
}

void make_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

const char *path_in(struct cmd_fixture *f, const char *name)
{
	char *path = paths[path_at++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", f->dir, name);
	return path;
}

/* ---- a server ---- */

static int free_port(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(any);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&any, size), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&any, &size), 0);
	close(fd);
	return ntohs(any.sin_port);
}

static void serve(struct cmd_fixture *f, int ready, const char *const *sets, size_t count)
{
	struct serve_options options = {
		.source = { .data_dir = f->dir,
			    .sets = sets,
			    .set_count = count,
			    .environ = f->environ },
		.migrate = true,
		.ready_fd = ready,
	};

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	_exit(serve_run(&options));
}

void cmd_fixture_serve(struct cmd_fixture *f)
{
	char public[64], admin[64];
	const char *const sets[] = { public, admin, "log.level=error", "server.workers=1" };
	int ready[2], port = free_port(), admin_port = free_port();
	char byte;

	snprintf(public, sizeof(public), "server.address=127.0.0.1:%d", port);
	snprintf(admin, sizeof(admin), "admin.address=127.0.0.1:%d", admin_port);
	snprintf(f->issuer, sizeof(f->issuer), "http://127.0.0.1:%d", port);
	snprintf(f->admin, sizeof(f->admin), "http://127.0.0.1:%d", admin_port);
	ck_assert_msg(RUN_HERE(f, "init", "--issuer", f->issuer) == 0, "%s", f->err);
	ck_assert_int_eq(pipe(ready), 0);
	f->server = fork();
	ck_assert_int_ge(f->server, 0);
	if (f->server == 0) {
		close(ready[0]);
		serve(f, ready[1], sets, sizeof(sets) / sizeof(sets[0]));
	}
	close(ready[1]);
	ck_assert_msg(read(ready[0], &byte, 1) == 1, "the server did not start");
	close(ready[0]);
}
