/* The doors: sockets, TLS contexts and workers of a running server. Every worker accepts on the
 * public address and on the gateway's; the first one also on the admin address and the admin
 * socket.
 */
#ifndef CHANCERY_SERVER_LISTENERS_H
#define CHANCERY_SERVER_LISTENERS_H

#include "server/serve/office.h"
#include "server/serve/supervisor.h"

struct listeners;

/* Sockets with a name in the file system; -1: off. */
struct door_sockets {
	int admin, gateway;
};
/* These must be made before the server is confined. Whoever connects now waits until the workers
 * run. On failure none is left open. */
MUST_CHECK enum err listeners_bind(const struct config *c, struct door_sockets *ret_sockets,
				   struct config_fault *fault);
void listeners_unbind(struct door_sockets *sockets);
/* How many workers the configuration, or the machine, wants. */
size_t listeners_workers(const struct config *c);

struct listeners_start {
	struct app *app;
	const struct config *config;
	size_t workers; /* 1 to SIGNER_WORKERS_MAX */
	/* A signing channel for each worker, which takes it, and one for the feed. NULL: no server
	 * but a sidecar, with the gateway's doors and no others. */
	const struct server_channels *channels;
	struct door_sockets *sockets; /* taken */
};
/* Listens on the rest and starts the workers. On failure nothing is left open and `fault` names the
 * option and the reason. */
MUST_CHECK enum err listeners_open(const struct listeners_start *start,
				   struct listeners **ret_listeners, struct config_fault *fault);
/* "http://127.0.0.1:8080", with the port that was really taken. */
const char *listeners_public_url(const struct listeners *l);
/* Likewise; "off" without gateway.address. */
const char *listeners_gateway_url(const struct listeners *l);
/* A new signer's channels, one to each worker; they are taken. */
void listeners_set_signer(struct listeners *l, const struct server_channels *channels);
/* Certificates are read anew; on error all listeners keep what they had. */
MUST_CHECK enum err listeners_reload(struct listeners *l, const struct config *next,
				     struct config_fault *fault);
/* Accepts nothing new, lets what is under way finish (10 s), joins the workers. */
void listeners_drain(struct listeners *l);
/* After the lanes have stopped. */
void listeners_free(struct listeners *l);

#endif
