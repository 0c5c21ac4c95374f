/* A client as the admin API sees it: the body that describes one, the rules it must keep, the
 * object that shows one, and its secrets. */
#ifndef CHANCERY_SERVER_ADMIN_CLIENT_H
#define CHANCERY_SERVER_ADMIN_CLIENT_H

#include "server/admin/admin_act.h"
#include "server/state/config.h"

struct client_body {
	struct str client_id, client_secret;
	bool allow_weak;
	struct str client_name, scope, auth_method, alg;
	const struct json *grant_types, *audiences, *introspect, *claims;
	bool public, public_password, refresh_rotation, disabled;
	int64_t access_ttl;
};
/* Members of POST; and of PATCH, which lacks the id and the secret. */
extern const struct admin_shape client_shape, client_patch_shape;

struct client_source {
	const struct config *config;
	struct arena *arena;
	const struct json *object;
	const struct admin_shape *shape;
};
/* Reads and judges a body. Strings of *ret_client are copies in the arena, those of *ret_body
 * borrowed from the object; ids, times, version and secrets are left alone. ERR_UNPROCESSABLE with
 * the fault. */
MUST_CHECK enum err client_read(const struct client_source *from, struct client_body *ret_body,
				struct client *ret_client, struct admin_fault *fault);

/* Has it a chancery:* scope, or a URI at or below the issuer in one of its lists? Then only a
 * privileged caller may touch it, and client_read has seen to it that it is confidential and uses
 * nothing but client credentials. */
bool client_is_reserved(struct str issuer, const struct client *c);
/* Did `after` lose something reserved that `before` had? Its tokens must end with it. */
bool client_lost_reserved(struct str issuer, const struct client *before,
			  const struct client *after);

/* All members but the secrets. The object is left open. */
void client_write(struct jsonw *w, const struct client *c);
/* What PATCH works on: the members that can be changed. */
MUST_CHECK enum err client_document(struct arena *a, const struct client *c, struct str *ret_text);

/* A secret on its way into the store. */
struct new_secret {
	struct client_secret row;
	struct str presented; /* the operator's own, to be hashed; absent: the server made one */
	struct str shown;     /* what the answer shows, once */
};
/* With `given`: checks it, and new_secret_hash must follow in the hash lane. Else makes one. Fills
 * id and, for a made one, kind and hash. */
MUST_CHECK enum err new_secret_begin(struct request *rq, struct str given, bool weak,
				     struct new_secret *ret_secret, struct admin_fault *fault);
MUST_CHECK enum err new_secret_hash(const struct env *env, struct arena *a, struct new_secret *s);

#endif
