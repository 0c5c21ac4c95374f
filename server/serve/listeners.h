/* The doors: sockets, TLS contexts and workers of a running server. Every worker accepts on the
 * public address; the first one also on the admin address and the admin socket. */
#ifndef CHANCERY_SERVER_LISTENERS_H
#define CHANCERY_SERVER_LISTENERS_H

#include "server/serve/office.h"
#include "server/serve/supervisor.h"

struct listeners;

/* The admin socket alone, which must be made before the server is confined; -1 when it is off.
 * Whoever connects now waits until the first worker runs. */
MUST_CHECK enum err listeners_bind(const struct config *c, int *ret_socket,
				   struct config_fault *fault);
/* Listens on the rest and starts the workers; each takes one signing channel. `socket` is taken. On
 * failure nothing is left open and `fault` names the option and the reason. */
MUST_CHECK enum err listeners_open(struct office *o, const struct server_channels *channels,
				   int socket, struct listeners **ret_listeners,
				   struct config_fault *fault);
/* "http://127.0.0.1:8080", with the port that was really taken. */
const char *listeners_public_url(const struct listeners *l);
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
