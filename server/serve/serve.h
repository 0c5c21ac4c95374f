/* `chancery serve`: from a configuration to a running office. The caller's process becomes the
 * supervisor; signer and server are its children (server/serve/supervisor.h). */
#ifndef CHANCERY_SERVER_SERVE_H
#define CHANCERY_SERVER_SERVE_H

#include "server/state/config.h"

struct serve_options {
	struct config_source source;
	bool migrate; /* false: refuse when migrations are missing (--no-migrate) */
	int ready_fd; /* -1, or where "READY http://127.0.0.1:8080\n" is written once it listens */
};

/* Returns the exit status: 0 after a clean stop; 1 configuration or local fault (said on stderr); 4
 * another server holds the database (its pid said). */
int serve_run(const struct serve_options *options);

#endif
