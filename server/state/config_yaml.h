/* A configuration file as a flat list of what it says: "section.key" and a scalar or a list of
 * scalars, with the line. Nothing is typed here: `on`, `010` and `1e3` stay the text that was
 * written, and the option table (config_options.c) decides what the text means. */
#ifndef CHANCERY_SERVER_CONFIG_YAML_H
#define CHANCERY_SERVER_CONFIG_YAML_H

#include "base/buf.h"

enum {
	CONFIG_FILE_MAX = 65536,  /* ten times a file that sets every option with a comment each */
	CONFIG_ENTRIES_MAX = 128, /* sections and options together; the table has a third of that */
	CONFIG_LIST_MAX = 64,	  /* trusted proxies of a large site */
	CONFIG_DEPTH_MAX = 3,	  /* server: { tls: { key: ... } } */
	CONFIG_KEY_MAX = 64,	  /* bytes of one key as written */
	CONFIG_WHY_MAX = 192,
};

enum config_entry_kind {
	CONFIG_SECTION, /* a mapping; its members follow as entries of their own */
	CONFIG_SCALAR,
	CONFIG_LIST,
	CONFIG_NOTHING, /* "key:" with nothing behind it */
};

struct config_entry {
	enum config_entry_kind kind;
	struct str key;
	const struct str *items; /* one for a scalar */
	size_t count;
	size_t line; /* from 1 */
};

struct config_entries {
	struct config_entry rows[CONFIG_ENTRIES_MAX];
	size_t count;
};

struct config_yaml_fault {
	char why[CONFIG_WHY_MAX];
	size_t line; /* 0: the file as a whole */
};

/* YAML, and therefore JSON. Refused (ERR_SYNTAX, with the fault): what is not YAML, aliases,
 * anchors and tags (an alias makes one text mean another, and expands without limit), a second
 * document, a key twice, deeper than CONFIG_DEPTH_MAX, lists of anything but scalars, control
 * characters. ERR_LIMIT, with the fault; ERR_NOMEM. Strings live in the arena. An empty file says
 * nothing. */
MUST_CHECK enum err config_yaml_read(struct arena *a, struct str text,
				     struct config_entries *ret_entries,
				     struct config_yaml_fault *ret_fault);

#endif
