/* What the server may still reach once it is confined (keys/confine.h): its database's folder, the
 * files of its certificates, and a few of the kernel's that it reads. Neither the configuration nor
 * the master key is among them. */
#ifndef CHANCERY_SERVER_SHUT_IN_H
#define CHANCERY_SERVER_SHUT_IN_H

#include "server/state/config.h"

/* Before any thread, database or worker exists. *ret_whole: files and calls are both confined, and
 * nothing that is left open to it holds the master key. */
MUST_CHECK enum err shut_in(const struct config *c, bool *ret_whole,
			    struct config_fault *ret_fault);

#endif
