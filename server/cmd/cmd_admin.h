/* The command line as a client of the admin API: over the UNIX socket, where the kernel says who we
 * are, or over --url with a token (given, or fetched with --credentials). */
#ifndef CHANCERY_SERVER_CMD_ADMIN_H
#define CHANCERY_SERVER_CMD_ADMIN_H

#include "base/json.h"
#include "server/cmd/cmd.h"
#include "server/state/http_client.h"

/* {"issuer","client_id","client_secret"}, as `client create -o json` prints it. */
struct credentials {
	struct str issuer, client_id, client_secret; /* the command's arena */
};
MUST_CHECK int credentials_read(struct cmd *c, const char *path,
				struct credentials *ret_credentials);

struct remote {
	struct cmd *c;
	struct http_client *http;
	const char *socket;  /* NULL: TCP */
	const char *ca_file; /* of $SSL_CERT_FILE, as curl and OpenSSL know it */
	struct str base;     /* no trailing slash */
	struct str token;    /* STR_NONE over the socket */
};

struct reply {
	int status;
	struct json *body; /* NULL when there was none, or none that is JSON */
	struct str text;
	struct str etag; /* STR_NONE when there was none */
};
void reply_done(struct reply *reply);

/* Says what is wrong; the caller calls remote_done also after a failure. */
MUST_CHECK int remote_open_admin(struct cmd *c, struct remote *ret_remote);
/* The public endpoints at `base`, without credentials of its own. */
MUST_CHECK int remote_open_public(struct cmd *c, struct str base, struct remote *ret_remote);
void remote_done(struct remote *r);

/* One request of the admin API; `path` is below /admin/v1 and encoded (path_segment). Anything but
 * 2xx is said on stderr and becomes an exit status: 409 and 412 CMD_CONFLICT, 5xx CMD_UNREACHABLE,
 * else CMD_REFUSED. reply_done also after a failure. */
struct admin_call {
	const char *method;
	struct str path;
	struct str body;     /* JSON; STR_NONE: none */
	struct str if_match; /* STR_NONE: none */
};
MUST_CHECK int admin_send(struct remote *r, const struct admin_call *call, struct reply *ret_reply);
/* One request as it is; CMD_OK with any HTTP status. */
MUST_CHECK int remote_send(struct remote *r, const struct http_call *call, struct reply *ret_reply);
/* Says the server's refusal in its own words. */
int admin_refusal(struct cmd *c, const struct reply *reply);
/* All pages of a list (or the first `limit` items, 0: all) as one document of the same form. */
MUST_CHECK int admin_list_all(struct remote *r, struct str path, size_t limit,
			      struct json **ret_list);

/* RFC 3986 3.3: one segment, everything but unreserved characters encoded. */
void path_segment(struct buf *out, struct str text);
/* May a secret go there? https, a loopback host, or a UNIX socket. Says why not. */
MUST_CHECK int check_clear_text(struct cmd *c, struct str url);

/* ---- bodies from options: cmd_body.c ---- */

/* Writes the members that the given options mean; the caller opened the object. `now` is the object
 * as it stands, for options that add or remove; NULL when creating. */
MUST_CHECK int body_options(struct cmd *c, const struct json *now, struct jsonw *w);
/* Do the options given edit what is there (BODY_ADD, BODY_REMOVE)? */
bool body_edits(const struct cmd *c);
/* Does any option given stand in the body? */
bool body_given(const struct cmd *c);

#endif
