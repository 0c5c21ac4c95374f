/* The HTTP client of the command line and of the fetch child (server/serve/fetch.h), over TCP or a
 * UNIX socket.
 *
 * The only file of the program that knows libcurl, and it does not link it: the library is opened
 * by whoever first needs it. The same binary is the server, whose process faces the network and
 * must start at once and stay small; libcurl would bring some twenty libraries, their initialisers
 * and 3 MB into it, for code that the server never calls. */
#ifndef CHANCERY_SERVER_HTTP_CLIENT_H
#define CHANCERY_SERVER_HTTP_CLIENT_H

#include "base/arena.h"
#include "base/auto.h"
#include "base/buf.h"

enum {
	HTTP_ANSWER_MAX = 8 << 20,
	HTTP_WHY_MAX = 256,
	HTTP_ETAG_MAX = 128,
	HTTP_FIELD_MAX = 512,
};

struct http_client;

/* A header field the caller wants to see. */
struct http_field {
	const char *name;
	struct str value; /* several fields of one name with ", " between (RFC 9110 5.3); STR_NONE:
			     none; empty: longer than HTTP_FIELD_MAX */
};

struct http_call {
	const char *method; /* "GET" */
	const char *url;
	const char *socket;	  /* path of a UNIX socket; NULL: by the URL's host */
	const char *ca_file;	  /* PEM bundle; NULL: the system's */
	const char *content_type; /* with a body */
	struct str body;	  /* STR_NONE: none */
	struct str bearer;	  /* a token; STR_NONE: none */
	struct str user,
		password;    /* Basic, already form-encoded (RFC 6749 2.3.1); STR_NONE: none */
	struct str if_match; /* STR_NONE: none */
	const char *accept, *if_none_match; /* NULL: not sent */
	int timeout_ms;			    /* for all of it; 0: 30 s */
	size_t body_max;		    /* 0: HTTP_ANSWER_MAX */
	bool direct; /* through no proxy, and http to addresses of this machine only */
	struct http_field *fields; /* their values are filled in, the arena's */
	size_t field_count;
};

struct http_answer {
	int status;
	struct str body; /* the arena's */
	char etag[HTTP_ETAG_MAX];
};

/* ERR_UNSUPPORTED with *ret_why (constant) when libcurl is not installed; ERR_NOMEM. Caller frees.
 */
MUST_CHECK enum err http_client_new(struct http_client **ret_client, const char **ret_why);
void http_client_free(struct http_client *client);
AUTO_DEFINE(http_client)
/* No redirects, http and https only, certificates checked. ERR_OK with any HTTP status;
 * ERR_UNAVAILABLE: no answer, `why` says; ERR_LIMIT: a longer body; ERR_NOMEM. */
MUST_CHECK enum err http_send(struct http_client *client, struct arena *a,
			      const struct http_call *call, struct http_answer *ret_answer,
			      char why[HTTP_WHY_MAX]);

/* The first max-age of a Cache-Control that is a number of seconds (RFC 9111 5.2.2.1), 0 or more;
 * false: none. */
bool http_max_age(struct str cache_control, int64_t *ret_seconds);

#endif
