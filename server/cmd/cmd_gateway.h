/* `chancery gateway-config` and `gateway-keys`: what a gateway in front of an api needs to verify
 * the tokens of an issuer, as text for its configuration and as files with the public keys. */
#ifndef CHANCERY_SERVER_CMD_GATEWAY_H
#define CHANCERY_SERVER_CMD_GATEWAY_H

#include "jose/jwk.h"
#include "server/cmd/cmd_admin.h"

int cmd_gateway_config_run(struct cmd *c);
/* cmd_sidecar.c */
int cmd_sidecar_run(struct cmd *c);
int cmd_gateway_keys_run(struct cmd *c);

/* ---- the key set: gateway_set.c ---- */

/* max-age of an answer that has none; not as long as to be wrong for long */
enum { GATEWAY_MAX_AGE_UNSAID = 60 };

struct gateway_set {
	struct jwks *keys;
	int64_t max_age; /* seconds, at least 1 */
};

/* One fetch of what `issuer` publishes, in arena `a`. CMD_UNREACHABLE when there is no answer or
 * none that holds a key: said on stderr. Caller frees ret_set->keys. */
MUST_CHECK int gateway_fetch(struct remote *r, struct arena *a, struct str issuer,
			     struct gateway_set *ret_set);
/* Says what is wrong with an issuer that was given; warns when its keys would come in the clear. */
MUST_CHECK int gateway_issuer(struct cmd *c, const char *given, struct str *ret_issuer);

/* ---- the folder of keys: gateway_folder.c ----
 *
 * KID.pem, what is not unreserved in a URL (RFC 3986 2.3) as %XX. A file begins with a line of ours
 * before the PEM, which readers of PEM skip; only such files are ever overwritten or removed. */

enum { GATEWAY_PEM_MAX = 4096, GATEWAY_FOLDER_MAX = 64 };

struct gateway_key {
	struct str kid, path; /* the arena's */
	enum alg alg;
};

/* The keys that are there, by kid; at most GATEWAY_FOLDER_MAX. Says what is wrong. */
MUST_CHECK int gateway_folder_read(struct cmd *c, struct str folder,
				   struct gateway_key ret_keys[GATEWAY_FOLDER_MAX],
				   size_t *ret_count);
/* Writes what is missing or differs, each file whole or not at all, then removes those of ours that
 * the set does not have. *ret_changed: something was. Says what is wrong; what was done stays. */
MUST_CHECK int gateway_folder_sync(struct cmd *c, struct arena *a, int folder,
				   const struct jwks *keys, bool *ret_changed);

#endif
