/* Who is the client, when a proxy stands before us: the rightmost entry of the forwarding header
 * that is not itself a trusted proxy. What stands left of it anybody may have written, and a header
 * from a peer that is no trusted proxy is not looked at at all. */
#ifndef CHANCERY_SERVER_PROXY_H
#define CHANCERY_SERVER_PROXY_H

#include <netinet/in.h>

#include "base/str.h"
#include "server/state/config.h"
#include "server/http/head.h"

/* An address in one form: IPv4 is IPv4-mapped IPv6, so that ::ffff:192.0.2.1 is not a second name.
 */
struct address {
	unsigned char b[16];
};

enum { ADDRESS_TEXT_MAX = INET6_ADDRSTRLEN };

/* False (and nothing written) for anything but AF_INET and AF_INET6. */
bool address_of(const struct sockaddr *sa, struct address *ret_address);
/* Address literal, no port, no brackets. ERR_SYNTAX. */
MUST_CHECK enum err address_parse(struct str text, struct address *ret_address);
/* "192.0.2.1", "2001:db8::1" */
void address_write(const struct address *a, char ret_text[ADDRESS_TEXT_MAX]);

struct proxies; /* immutable */

/* Addresses or CIDR blocks. ERR_SYNTAX: not of that form, or bits are set beyond the prefix;
 * ERR_NOMEM. */
MUST_CHECK enum err proxies_new(struct str_list blocks, struct proxies **ret_proxies);
void proxies_free(struct proxies *p);
/* The table of one configuration, made when that configuration is first seen. One thread's. */
struct proxies_view {
	struct proxies *table;
	struct config *config; /* referenced */
};
/* NULL while there is no memory for a table: then nobody is trusted. */
const struct proxies *proxies_follow(struct proxies_view *v, struct config *config);
void proxies_forget(struct proxies_view *v);

bool proxies_trust(const struct proxies *p, const struct address *a);

/* The client behind `peer`. X-Forwarded-For, else Forwarded (RFC 7239); when both are there and
 * name different clients, the peer itself: one of the two was written by a stranger. An entry that
 * is no address ("unknown", "_hidden") ends the walk at the proxy that wrote it. */
void proxies_client(const struct proxies *p, const struct address *peer, const struct head *h,
		    struct address *ret_client);

#endif
