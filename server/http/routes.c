/* Every door of the house, one row each. A column left out is zero, and zero refuses (AUTH_DENY).
 */
#include "server/request/router.h"

#include "server/admin/admin.h"
#include "server/token/endpoints.h"

enum {
	EVERYWHERE = LISTENER_PUBLIC | LISTENER_ADMIN | LISTENER_SOCKET,
	INSIDE = LISTENER_ADMIN | LISTENER_SOCKET,
	VERIFIERS = LISTENER_PUBLIC | LISTENER_GATEWAY,
};

#define DOCUMENT_AT(path, where, handler)                                                          \
	{ .name = path,                                                                            \
	  .method = METHOD_GET,                                                                    \
	  .pattern = path,                                                                         \
	  .listeners = where,                                                                      \
	  .auth = AUTH_NONE,                                                                       \
	  .dress = DRESS_OAUTH,                                                                    \
	  .handle = handler }
#define DOCUMENT(path, handler) DOCUMENT_AT(path, LISTENER_PUBLIC, handler)
#define OAUTH_FORM(path, handler)                                                                  \
	{ .name = path,                                                                            \
	  .method = METHOD_POST,                                                                   \
	  .pattern = path,                                                                         \
	  .listeners = LISTENER_PUBLIC,                                                            \
	  .auth = AUTH_CLIENT,                                                                     \
	  .dress = DRESS_OAUTH,                                                                    \
	  .body = BODY_FORM,                                                                       \
	  .body_max = FORM_SIZE_MAX,                                                               \
	  .no_store = true,                                                                        \
	  .handle = handler }
#define HEALTH(path, where, handler)                                                               \
	{ .name = path,                                                                            \
	  .method = METHOD_GET,                                                                    \
	  .pattern = path,                                                                         \
	  .listeners = where,                                                                      \
	  .auth = AUTH_NONE,                                                                       \
	  .dress = DRESS_STATUS,                                                                   \
	  .no_store = true,                                                                        \
	  .handle = handler }

/* Envoy puts its client's path and query behind the second form, whatever they are. */
#define GATEWAY_VERIFY(path, tail, where, handler)                                                 \
	{ .name = path,                                                                            \
	  .any_method = true,                                                                      \
	  .pattern = path tail,                                                                    \
	  .listeners = where,                                                                      \
	  .auth = AUTH_NONE, /* the handler judges the token itself */                             \
	  .dress = DRESS_STATUS,                                                                   \
	  .body = BODY_IGNORED,                                                                    \
	  .body_max = GATEWAY_BODY_MAX,                                                            \
	  .handle = handler }

#define GATEWAY_VERIFIES(where, handler)                                                           \
	GATEWAY_VERIFY("/gateway/verify", "", where, handler),                                     \
		GATEWAY_VERIFY("/gateway/verify/{api}", "", where, handler),                       \
		GATEWAY_VERIFY("/gateway/verify/{api}", "/{*}", where, handler)

const struct route routes[] = {
	OAUTH_FORM("/oauth2/token", ep_token),
	OAUTH_FORM("/oauth2/introspect", ep_introspect),
	OAUTH_FORM("/oauth2/revoke", ep_revoke),
	DOCUMENT("/.well-known/jwks.json", ep_jwks),
	DOCUMENT("/.well-known/openid-configuration", ep_metadata),
	DOCUMENT("/.well-known/oauth-authorization-server", ep_metadata),
	DOCUMENT_AT("/oauth2/revocations", VERIFIERS, ep_revocations),
	DOCUMENT_AT("/oauth2/revocations/jwks.json", VERIFIERS, ep_revocations_jwks),
	HEALTH("/livez", EVERYWHERE | LISTENER_SIDECAR, ep_livez),
	HEALTH("/readyz", EVERYWHERE, ep_readyz),
	HEALTH("/metrics", INSIDE, ep_metrics),
	GATEWAY_VERIFIES(LISTENER_GATEWAY, ep_gateway_verify),
	GATEWAY_VERIFIES(LISTENER_SIDECAR, ep_sidecar_verify),
	HEALTH("/readyz", LISTENER_SIDECAR, ep_sidecar_readyz),
	DOCUMENT_AT("/gateway/jwks.json", LISTENER_GATEWAY, ep_gateway_jwks),
	ADMIN_ROUTES
};
const size_t route_count = sizeof(routes) / sizeof(routes[0]);
