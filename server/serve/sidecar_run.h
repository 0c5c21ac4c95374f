/* `chancery gateway`: a sidecar beside a gateway, with the issuer's URL and nothing else. */
#ifndef CHANCERY_SERVER_SIDECAR_RUN_H
#define CHANCERY_SERVER_SIDECAR_RUN_H

#include "server/state/config.h"
#include "server/token/sidecar.h"

struct sidecar_run {
	const struct env *env;
	struct config *config; /* borrowed; issuer, gateway, log and server.workers count */
	const char *feed;      /* as struct sidecar_options */
	int max_staleness;
	const struct sidecar_audience *audiences;
	size_t audience_count;
	const char *ca_file; /* PEM; NULL: the system's */
};

/* Until SIGTERM or SIGINT; SIGHUP reads certificates again. Returns the exit status: 0 after a
 * clean stop, 1 a local fault (said on stderr). */
int sidecar_run(const struct sidecar_run *r);

#endif
