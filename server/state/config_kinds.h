/* What kinds of options there are: how the text of a row becomes a value and a value text again.
 * Private to config*.c; the rows are config_options.c's. */
#ifndef CHANCERY_SERVER_CONFIG_KINDS_H
#define CHANCERY_SERVER_CONFIG_KINDS_H

#include "server/state/config_options.h"

struct option_kind {
	const char *name; /* as the reference page says it */
	bool list;
	enum err (*read)(const struct option_row *row, const struct option_text *text,
			 struct option_target *t);
	void (*write)(const struct option_row *row, const struct config *c, struct buf *out);
};

extern const struct option_kind kind_issuer, kind_resource, kind_storage, kind_path,
	kind_path_or_off, kind_address, kind_address_or_off, kind_networks, kind_consumers,
	kind_workers, kind_count, kind_duration, kind_word, kind_alg, kind_algs;

#endif
