/* The messages between supervisor and server, and the descriptors that travel in them. */
#ifndef CHANCERY_SERVER_SUPERVISOR_LINK_H
#define CHANCERY_SERVER_SUPERVISOR_LINK_H

#include "server/serve/supervisor.h"

/* Sends copies of control and signing channels; the caller's stay open. False: not delivered. */
bool link_send_channels(int fd, const struct server_channels *channels);
/* What the server wants. ERR_OK: a new signer; ERR_BUSY: nothing; ERR_NOT_FOUND: it is gone. */
MUST_CHECK enum err link_recv_request(int fd);

#endif
