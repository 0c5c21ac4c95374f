/* The option table: every option is one row, and a row is enough. File, environment, flags, `config
 * show`, reload, the reference page, the man page and completion all read it. Private to config*.c.
 */
#ifndef CHANCERY_SERVER_CONFIG_OPTIONS_H
#define CHANCERY_SERVER_CONFIG_OPTIONS_H

#include "server/state/config.h"

struct option_kind;

struct option_row {
	const char *name; /* "server.tls.certificate" */
	const struct option_kind *kind;
	size_t offset;		  /* of the value in struct config */
	const char *fallback;	  /* the default, as text; lists comma-separated */
	int64_t min, max;	  /* numbers, durations and lengths */
	const char *const *words; /* kind_word: the names of the enum's values, NULL-ended */
	bool reload;		  /* SIGHUP may change it */
	const char *help;	  /* one sentence */
};

extern const struct option_row option_rows[];
extern const size_t option_row_count;

/* What a source says about one option. */
struct option_text {
	const struct str *items;
	size_t count;
};

/* For the conversion of one value. */
struct option_target {
	struct config *config; /* its data_dir is set: "DIR/" means it */
	struct arena *arena;
	char why[192]; /* on ERR_SYNTAX: what the value must be */
};

const char *option_kind_name(const struct option_row *row);
bool option_is_list(const struct option_row *row);
/* Types and checks one value and puts it in place. ERR_SYNTAX with target->why; ERR_NOMEM. */
MUST_CHECK enum err option_read(const struct option_row *row, const struct option_text *text,
				struct option_target *target);
/* The value as it would be written in the environment: lists comma-separated. */
void option_write(const struct option_row *row, const struct config *config, struct buf *out);

#endif
