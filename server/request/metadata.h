/* Authorization server metadata (RFC 8414 2, OpenID Connect Discovery 3) from the tables the code
 * runs on: what is advertised works, and what works is advertised. */
#ifndef CHANCERY_SERVER_METADATA_H
#define CHANCERY_SERVER_METADATA_H

#include "base/buf.h"
#include "server/state/config.h"

MUST_CHECK enum err metadata_render(const struct config *c, struct buf *out);

#endif
