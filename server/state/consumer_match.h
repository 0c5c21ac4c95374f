/* Rows of keys.consumers: a name, and how the one who is meant is known. That is decided here, by
 * the operator, never by what a fetcher says of itself. */
#ifndef CHANCERY_SERVER_CONSUMER_MATCH_H
#define CHANCERY_SERVER_CONSUMER_MATCH_H

#include "server/state/network.h"

enum { CERTIFICATE_HASH_LEN = 32 };

struct consumer_match {
	struct str name; /* of the text that was read */
	bool by_certificate;
	struct network network;
	unsigned char certificate[CERTIFICATE_HASH_LEN]; /* SHA-256 of its DER, as of RFC 8705's
							    x5t#S256 */
};

/* "name=network", or "name=sha256:" and 64 hexadecimal digits, colons between pairs as openssl
 * prints them or none. ERR_SYNTAX. */
MUST_CHECK enum err consumer_match_parse(struct str text, struct consumer_match *ret_match);

/* `address` NULL: none. `certificate`: of CERTIFICATE_HASH_LEN bytes, whose key the fetcher proved
 * to hold; NULL: none. */
bool consumer_match_fits(const struct consumer_match *m, const struct address *address,
			 const unsigned char *certificate);

#endif
