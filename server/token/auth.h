/* Who is calling. auth_client.c: RFC 6749 2.3 on the token, introspection and revocation endpoints.
 * auth_admin.c: the socket's peer, or a bearer token of this server. The first may park.
 * reserved.c: the names that are not everybody's. */
#ifndef CHANCERY_SERVER_AUTH_H
#define CHANCERY_SERVER_AUTH_H

#include "base/secret.h"
#include "server/request/request.h"

/* ADMIN_SCOPE bits; the names are the reserved scopes "chancery:<name>". */
enum {
	ADMIN_SCOPE_ADMIN = 1,
	ADMIN_SCOPE_KEYS = 2,
	ADMIN_SCOPE_CLIENTS = 4,
	ADMIN_SCOPE_USERS = 8,
	ADMIN_SCOPE_APIS = 16,
	ADMIN_SCOPE_AUDIT = 32,
	ADMIN_SCOPE_READ = 64,
	ADMIN_SCOPE_ALL = 127,
};
/* Bits of a space-separated scope text; unknown "chancery:*" names and all else count 0. */
unsigned admin_scope_bits(struct str scope);
/* "chancery:*" names, the issuer and everything below it are reserved. */
bool scope_is_reserved(struct str token);
bool audience_is_reserved(struct str issuer, struct str uri);

/* What is stored of a machine secret, and what a presented one is compared with. */
void client_secret_mac(const struct secret *key, struct str secret, unsigned char ret_hash[32]);
/* The built-in api <issuer>/admin with its reserved scopes; strings in the arena. For the snapshot.
 */
#define ADMIN_API_SLUG "chancery-admin"
MUST_CHECK enum err admin_api_fill(struct str issuer, struct arena *a, struct api *ret_api);

/* Sets rq->client, then calls next(rq, ERR_OK). Exactly one method (RFC 6749 2.3: else
 * ERR_INVALID_REQUEST); unknown, disabled, wrong or expired secret, method not the client's:
 * ERR_INVALID_CLIENT, all alike. */
enum err auth_client(struct request *rq, enum err (*next)(struct request *, enum err));
/* Where nobody need authenticate, at a row without a body: as auth_client when the request carries
 * Basic credentials, whatever they are worth; else `next` gets ERR_OK with no client set. */
enum err auth_client_if_shown(struct request *rq, enum err (*next)(struct request *, enum err));
/* Sets rq->actor. ERR_NO_TOKEN, ERR_INVALID_TOKEN, ERR_INSUFFICIENT_SCOPE (audited). */
enum err auth_admin(struct request *rq, unsigned scope);

#endif
