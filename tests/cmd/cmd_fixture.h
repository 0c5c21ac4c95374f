/* Runs command lines as main() would, in a child, and keeps what they print. With a server of its
 * own where a test wants one. */
#ifndef CHANCERY_TESTS_CMD_FIXTURE_H
#define CHANCERY_TESTS_CMD_FIXTURE_H

#include <sys/types.h>

#include "base/json.h"
#include "server/cmd/cmd.h"

enum { CMD_FIXTURE_ARGS = 24, CMD_FIXTURE_TEXT = 1 << 20 };

struct cmd_fixture {
	char dir[64];  /* a data directory that may be made */
	char data[80]; /* "--data=<dir>" */
	const char *environ[8];
	const char *input; /* standard input; NULL: empty */
	/* of the last command */
	int status;
	char *out, *err;
	/* of the server */
	pid_t server;
	char issuer[64], admin[64]; /* URLs */
};

void cmd_fixture_up(struct cmd_fixture *f);
void cmd_fixture_down(struct cmd_fixture *f);
/* init and serve, on free ports; the admin API on TCP too. */
void cmd_fixture_serve(struct cmd_fixture *f);

/* "chancery ARGS..." ending with NULL. */
int cmd_fixture_run(struct cmd_fixture *f, const char *const *argv);
#define RUN(f, ...) cmd_fixture_run((f), (const char *const[]){ "chancery", __VA_ARGS__, NULL })
/* With --data. */
#define RUN_HERE(f, ...) RUN(f, (f)->data, __VA_ARGS__)

/* The status is this, and stdout is empty; stderr holds `words`. */
void must_refuse(struct cmd_fixture *f, int status, const char *words);
/* The status is 0; stdout, as JSON: borrowed until the next call. */
struct json *must_json(struct cmd_fixture *f);
/* stdout is exactly this. */
void must_print(struct cmd_fixture *f, const char *text);
/* A string member, "" if there is none. */
const char *member(const struct json *object, const char *name);

void make_file(const char *path, const char *text, mode_t mode);
/* "<dir>/<name>" */
const char *path_in(struct cmd_fixture *f, const char *name);

#endif
