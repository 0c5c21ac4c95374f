/* Making a data directory: what `init` does for ever and `dev` for an afternoon.
 *
 * A mark (".init") is the first thing made and the last thing taken away, so that a directory in
 * which the work was cut off is told from a finished one by a look. A failure takes back what was
 * made. */
#ifndef CHANCERY_SERVER_CMD_SETUP_H
#define CHANCERY_SERVER_CMD_SETUP_H

#include "server/cmd/cmd.h"

enum setup_state {
	SETUP_ABSENT,	/* nothing of ours is there: it may be made */
	SETUP_COMPLETE, /* database and master key, finished */
	SETUP_BROKEN,	/* neither; the reason was said */
};

/* Root making files in a directory of the service's own account would lock the service out of them:
 * goes on as the directory's owner, for good. Nothing to do for anybody else. */
MUST_CHECK int setup_become_owner(struct cmd *c, const char *dir);
/* Looks, changes nothing. A broken one is CMD_REFUSED, and said with what to do. */
MUST_CHECK int setup_look(struct cmd *c, const struct config *config, enum setup_state *ret_state);
/* Makes directory, master key (unless the configuration names the operator's), database, first keys
 * and, where there is none, chancery.yaml with the issuer. The state must be SETUP_ABSENT. */
MUST_CHECK int setup_make(struct cmd *c, const struct config *config);

#endif
