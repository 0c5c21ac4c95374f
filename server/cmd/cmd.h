/* The command line. Commands are rows; what is parsed, what help shows, the man page and completion
 * are all read from them, so that nothing can be documented that does not exist.
 *
 * A command is a function from a struct cmd to an exit status. stdout carries its data and nothing
 * else; every sentence goes to stderr. One process runs one command, so its memory is one arena. */
#ifndef CHANCERY_SERVER_CMD_H
#define CHANCERY_SERVER_CMD_H

#include "base/arena.h"
#include "base/buf.h"
#include "server/state/config.h"
#include "server/state/env.h"

enum cmd_status {
	CMD_OK = 0,
	CMD_REFUSED = 1,     /* usage, a local fault, or refused by the server's rules */
	CMD_UNREACHABLE = 2, /* the server cannot be reached, or cannot work now */
	CMD_UNHEALTHY = 3,
	CMD_CONFLICT = 4, /* or a lock is held */
};
/* `token verify` speaks for scripts and has its own: 0 valid, 1 invalid, 2 could not decide. */
enum { VERIFY_VALID = 0, VERIFY_INVALID = 1, VERIFY_UNDECIDED = 2 };

enum {
	CMD_ARGS_MAX = 4,
	CMD_GIVEN_MAX = 256,
	CMD_LISTS_MAX = 4,
	CMD_ARENA_MAX = 192 << 20, /* a listing of everything, twice */
	CMD_DOCUMENT_MAX = 64 << 20,
};

/* How an option stands in the body of the request that a command sends. */
enum body_kind {
	BODY_NOT = 0, /* it does not: the command reads it */
	BODY_STRING,
	BODY_OR_NULL, /* as BODY_STRING; "default" gives null */
	BODY_LIST,    /* every occurrence an element of an array */
	BODY_WORDS,   /* every occurrence a word of one string */
	BODY_TRUE,    /* a switch */
	BODY_FALSE,
	BODY_SECONDS, /* a duration; "default" gives null */
	BODY_KEY,     /* a file, PEM or JWK: a public key to encrypt to, as a JWK */
	BODY_CLAIMS,  /* NAME=JSON, every occurrence a member of an object */
	BODY_ADD,     /* edits the list or words that are there */
	BODY_REMOVE,
};

struct cmd_option {
	const char *name;  /* "access-ttl" */
	const char *value; /* "DURATION"; NULL: a switch */
	const char *help;
	enum body_kind kind;
	const char *member; /* of the body */
	bool repeat;
};

enum cmd_flags {
	CMD_HIDDEN = 1,	  /* not in help: for the build and for tests */
	CMD_PUBLIC = 2,	  /* a client of the public endpoints: --url, --credentials */
	CMD_ASKS = 4,	  /* needs --yes without a terminal */
	CMD_READS = 8,	  /* changes nothing: the scope chancery:read opens it too */
	CMD_DECIDES = 16, /* status 1 is an answer ("invalid"), so wrong usage is 2 */
};

struct cmd;
struct remote; /* cmd_admin.h */

struct cmd_row {
	const char *words;   /* "client secret add" */
	const char *args;    /* "ID [LABEL]", brackets for what may be left out; NULL for none */
	const char *summary; /* one line, no full stop */
	const char *details; /* more sentences, or NULL */
	/* Lists that each end with a NULL name; commands share them. */
	const struct cmd_option *options[CMD_LISTS_MAX];
	const char *const *examples; /* pairs of a purpose and a command line; NULL-ended */
	unsigned flags;
	/* One of the two. `admin` makes it a client of the admin API: over the socket, or with
	 * --url and
	 * --credentials or --token-file, through the scope "chancery:<scope>". */
	int (*run)(struct cmd *c);
	int (*admin)(struct remote *r);
	const char *scope;
};
#define CMD_EXAMPLES(...)                                                                          \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

/* Commands of one noun, in the order help shows them. */
struct cmd_group {
	const char *title; /* for the overview */
	const struct cmd_row *rows;
	size_t count;
};
#define CMD_GROUP(text, array)                                                                     \
	{ .title = (text), .rows = (array), .count = sizeof(array) / sizeof((array)[0]) }
extern const struct cmd_group *const cmd_groups[]; /* NULL-ended */
extern const struct cmd_option cmd_globals[];	   /* ends with a NULL name */

enum cmd_format { FORMAT_TABLE, FORMAT_JSON, FORMAT_YAML, FORMAT_QUIET };

struct cmd_given {
	const struct cmd_option *option;
	const char *value; /* NULL for a switch */
};

struct cmd {
	const struct env *env;
	const char *const *environ;
	struct arena *arena;
	const struct cmd_row *row;
	const char *args[CMD_ARGS_MAX];
	size_t arg_count;
	struct cmd_given given[CMD_GIVEN_MAX]; /* global options too, in the order given */
	size_t given_count;
	const char *sets[CMD_GIVEN_MAX]; /* values of --set */
	struct config_source source;
	enum cmd_format format;
	bool stdin_taken;      /* one secret a call comes from standard input */
	struct config *config; /* loaded by cmd_config */
};

/* Runs the command that argv names. Returns the exit status. */
int cmd_main(const struct env *env, const char *const *environment, int argc, char **argv);

/* "chancery: sentence" on stderr; returns `status`. */
int cmd_fail(const struct cmd *c, int status, const char *format, ...) PRINTF_LIKE(3, 4);
/* A sentence on stderr. */
void cmd_note(const struct cmd *c, const char *format, ...) PRINTF_LIKE(2, 3);
/* As cmd_fail with CMD_REFUSED, and how to get help. */
int cmd_usage(const struct cmd *c, const char *format, ...) PRINTF_LIKE(2, 3);
int cmd_nomem(const struct cmd *c);

/* A variable of the environment; NULL when it is not set. */
const char *cmd_env(const struct cmd *c, const char *name);
/* The last value of an option; NULL when it was not given. */
const char *cmd_get(const struct cmd *c, const char *name);
bool cmd_has(const struct cmd *c, const char *name);
/* The i-th value of an option that repeats; NULL after the last. */
const char *cmd_nth(const struct cmd *c, const char *name, size_t i);

/* The configuration of this command's sources, loaded once; the faults are said. *ret_config is
 * borrowed. */
MUST_CHECK int cmd_config(struct cmd *c, const struct config **ret_config);
/* Asks "... [y/N]" on the terminal unless --yes; without a terminal it refuses. CMD_OK: go on. */
MUST_CHECK int cmd_confirm(struct cmd *c, const char *format, ...) PRINTF_LIKE(2, 3);

/* Splits argv into command, arguments and options; says what is wrong. `*ret_help`: --help was
 * asked, and words stand in c->args. (cmd_args.c) */
MUST_CHECK int cmd_parse(struct cmd *c, int argc, char **argv, bool *ret_help);
const struct cmd_row *cmd_find(const char *const *words, size_t count, size_t *ret_used);
/* The row's i-th option, over all its lists; NULL after the last. */
const struct cmd_option *cmd_option_at(const struct cmd_row *row, size_t i);

/* ---- what is read from the table: cmd_help.c, cmd_man.c ---- */

/* Help on the command, the noun or (no words) the whole. */
int cmd_help(struct cmd *c, const char *const *words, size_t count);
/* "chancery client create ID [options]" */
void cmd_synopsis(const struct cmd_row *row, struct buf *out);

extern const struct cmd_group cmd_serve_group, cmd_client_group, cmd_user_group, cmd_api_group,
	cmd_key_group, cmd_token_group, cmd_audit_group, cmd_migrate_group, cmd_config_group,
	cmd_health_group, cmd_about_group, cmd_gateway_group;

#endif
