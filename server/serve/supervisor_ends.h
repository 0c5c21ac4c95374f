/* What the supervisor's children begin with: the channels between them, and nothing else open. */
#ifndef CHANCERY_SERVER_SUPERVISOR_ENDS_H
#define CHANCERY_SERVER_SUPERVISOR_ENDS_H

#include <sys/types.h>

#include "server/serve/supervisor.h"

/* Both ends of all channels of one signer. */
struct signer_ends {
	struct server_channels ours; /* for the server */
	int line;		     /* for ourselves: the signer's custody line */
	int control;
	int custody;
	int signing[SIGNER_CHANNELS_MAX];
	size_t count;
};

/* Makes them, for `workers` signing channels. ERR_LIMIT, ERR_IO. */
MUST_CHECK enum err ends_open(size_t workers, struct signer_ends *ret_ends);
void ends_close_signers(struct signer_ends *ends);
void ends_close_servers(struct server_channels *channels);
/* Sets it to -1, which may be closed again. */
void ends_close(int *fd);

/* ---- in a child ---- */

/* The kernel kills it when its parent dies; it ends at once where that has happened already. */
void ends_die_with(pid_t parent);
/* Only these (they are sorted) and the standard three stay open, whoever opened the others. */
void ends_close_all_but(int *keep, size_t count);

#endif
