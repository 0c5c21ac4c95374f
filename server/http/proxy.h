/* Who is the client, when a proxy stands before us: the rightmost entry of the forwarding header
 * that is not itself a trusted proxy. What stands left of it anybody may have written, and a header
 * from a peer that is no trusted proxy is not looked at at all. */
#ifndef CHANCERY_SERVER_PROXY_H
#define CHANCERY_SERVER_PROXY_H

#include "server/http/head.h"
#include "server/state/network.h"

/* The client behind `peer`. X-Forwarded-For, else Forwarded (RFC 7239); when both are there and
 * name different clients, the peer itself: one of the two was written by a stranger. An entry that
 * is no address ("unknown", "_hidden") ends the walk at the proxy that wrote it. */
void proxy_client(const struct network_list *trusted, const struct address *peer,
		  const struct head *h, struct address *ret_client);

#endif
