/* Addresses and blocks of addresses, read and written in one place, so that what the configuration
 * takes is what the listeners and the trust in proxies understand. Literals only: a name would mean
 * a resolver, and which address it gives would be decided after the checks. */
#ifndef CHANCERY_SERVER_NETWORK_H
#define CHANCERY_SERVER_NETWORK_H

#include <netinet/in.h>

#include "base/buf.h"

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
bool address_is_v4(const struct address *a);
/* "192.0.2.1", "2001:db8::1" */
void address_write(const struct address *a, char ret_text[ADDRESS_TEXT_MAX]);

/* The address and the port of "192.0.2.1:80" or "[2001:db8::1]:80"; brackets are cut off.
 * ERR_SYNTAX. */
MUST_CHECK enum err address_split(struct str text, struct str *ret_host, int64_t *ret_port);

struct network {
	struct address base;
	unsigned bits; /* of 128 */
};
struct network_list {
	const struct network *items;
	size_t count;
};

/* "10.0.0.0/8", "2001:db8::/32", or one address. ERR_SYNTAX, also for bits beyond the prefix:
 * 10.0.0.1/8 is a slip of the pen whose meaning we will not guess. */
MUST_CHECK enum err network_parse(struct str text, struct network *ret_network);
void network_write(const struct network *n, struct buf *out);
bool network_has(const struct network *n, const struct address *a);
bool network_list_has(const struct network_list *list, const struct address *a);

#endif
