/* The one gate: may this subject receive tokens through this client now? Every grant passes here,
 * at issue and, for refresh, inside the store's transaction (Keycloak's CVE-2026-1609, -9798,
 * -16103 and -88770 were one grant each that forgot). */
#ifndef CHANCERY_SERVER_GATE_H
#define CHANCERY_SERVER_GATE_H

#include "server/store/store.h"

/* `user` is NULL for a client acting for itself. *ret_why is a constant sentence for the log.
 * ERR_INVALID_CLIENT, ERR_INVALID_GRANT. */
MUST_CHECK enum err gate_subject(const struct client *client, const struct user *user,
				 const char **ret_why);

#endif
