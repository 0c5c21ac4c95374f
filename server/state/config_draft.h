/* What the sources say before anything is typed: for every option one text, the last source's.
 * Private to config.c and config_draft.c. */
#ifndef CHANCERY_SERVER_CONFIG_DRAFT_H
#define CHANCERY_SERVER_CONFIG_DRAFT_H

#include "server/state/config_options.h"

enum {
	OPTIONS_MAX = 64, /* room for the table; config_load asserts that it is enough */
	ENV_NAME_MAX = 96,
};

/* In the order in which they win. */
enum origin { FROM_DEFAULT, FROM_CREDENTIAL, FROM_FILE, FROM_ENV, FROM_FLAG };

struct draft {
	struct option_text text;
	enum origin origin;
	size_t line; /* in the file */
};

struct drafts {
	const struct config_source *source;
	struct arena *arena; /* texts are borrowed from the source or live here */
	const char *file;    /* to open, and for messages */
	struct config_warnings *warnings;
	struct config_fault *fault;
	struct draft rows[OPTIONS_MAX]; /* parallel to option_rows */
};

/* Lays default, file, environment and flags over each other. ERR_SYNTAX with the fault; ERR_NOMEM.
 */
MUST_CHECK enum err drafts_collect(struct drafts *d);

bool option_find(struct str name, size_t *ret_i);
/* "CHANCERY_SERVER_TLS_KEY" of "server.tls.key" */
void option_env_name(const char *option, char ret_name[ENV_NAME_MAX]);
/* The value of NAME in "NAME=value" rows; NULL when absent. */
const char *environ_get(const char *const *rows, const char *name);
/* Writes the sentence, returns ERR_SYNTAX. */
enum err config_faulty(struct config_fault *fault, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
