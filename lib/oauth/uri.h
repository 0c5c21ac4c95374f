/* The little we need of RFC 3986: is this an absolute URI without fragment (RFC 8707 2), and what
 * are an issuer's parts (RFC 8414 2). No normalisation: identifiers compare byte for byte. */
#ifndef CHANCERY_OAUTH_URI_H
#define CHANCERY_OAUTH_URI_H

#include "base/err.h"
#include "base/str.h"

struct uri {
	struct str scheme, host, port, path; /* host without brackets; path "" or "/...",
					     or what follows the colon when there is no "//" */
	bool has_query, has_fragment, has_userinfo;
};

/* Absolute, printable ASCII, at most URI_MAX. `urn:x` parses with empty host. ERR_SYNTAX,
 * ERR_LIMIT. */
MUST_CHECK enum err uri_parse(struct str text, struct uri *ret_uri);
/* What `resource` and an api's audience may be: absolute, no fragment. */
bool uri_is_resource(struct str text);
/* Is `uri` this base, or below it? Letters of any size, for what a person or a careless reader
 * would take for it. */
bool uri_is_below(struct str base, struct str uri);
/* "http" or "https", host, no query, fragment, userinfo or percent-encoding, no trailing slash, no
 * empty or dot segments. */
bool uri_is_issuer(struct str text, struct uri *ret_uri);
/* The authority of an http or https URL: a host, perhaps a port, no userinfo (RFC 9110 4.2.4). */
bool uri_is_web_authority(struct str text);
/* 127.0.0.0/8, ::1 or the word localhost. */
bool uri_host_is_loopback(struct str host);

#endif
