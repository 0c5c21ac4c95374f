/* The admin API's routes: handlers, and the rows that routes.c takes into the one table. Every
 * handler is the first function of a chain (server/request/request.h) and runs after auth_admin has
 * said yes.
 *
 * A row names the scopes that open it, chancery:admin among them; `read` opens every GET and
 * nothing else. */
#ifndef CHANCERY_SERVER_ADMIN_H
#define CHANCERY_SERVER_ADMIN_H

#include "server/token/auth.h"
#include "server/request/router.h"

enum err admin_clients_list(struct request *rq);
enum err admin_client_create(struct request *rq);
enum err admin_client_show(struct request *rq);
enum err admin_client_update(struct request *rq);
enum err admin_client_delete(struct request *rq);
enum err admin_secrets_list(struct request *rq);
enum err admin_secret_add(struct request *rq);
enum err admin_secret_remove(struct request *rq);

enum err admin_users_list(struct request *rq);
enum err admin_user_create(struct request *rq);
enum err admin_user_show(struct request *rq);
enum err admin_user_update(struct request *rq);
enum err admin_user_delete(struct request *rq);
enum err admin_user_password(struct request *rq);
enum err admin_user_unlock(struct request *rq);

enum err admin_apis_list(struct request *rq);
enum err admin_api_create(struct request *rq);
enum err admin_api_show(struct request *rq);
enum err admin_api_update(struct request *rq);
enum err admin_api_delete(struct request *rq);
enum err admin_api_secrets_list(struct request *rq);
enum err admin_api_secret_rotate(struct request *rq);

enum err admin_keys_list(struct request *rq);
enum err admin_key_show(struct request *rq);
enum err admin_keys_plan(struct request *rq);
enum err admin_keys_lint(struct request *rq);
enum err admin_keys_rotate(struct request *rq);
enum err admin_key_revoke(struct request *rq);
enum err admin_keys_revoke_all(struct request *rq);
enum err admin_keys_rewrap(struct request *rq);
enum err admin_keys_drill(struct request *rq);
enum err admin_keys_resume(struct request *rq);
enum err admin_keys_tripwire(struct request *rq);
enum err admin_key_import_key(struct request *rq);
enum err admin_key_import(struct request *rq);

enum err admin_audit_list(struct request *rq);

#define ADMIN_DOORS (LISTENER_ADMIN | LISTENER_SOCKET)
#define ADMIN_ROW(doors, verb, path, bits, takes, handler)                                         \
	{ .name = "/admin/v1" path,                                                                \
	  .method = METHOD_##verb,                                                                 \
	  .pattern = "/admin/v1" path,                                                             \
	  .listeners = doors,                                                                      \
	  .auth = AUTH_ADMIN,                                                                      \
	  .scope = ADMIN_SCOPE_ADMIN | (bits),                                                     \
	  .dress = DRESS_PROBLEM,                                                                  \
	  .body = takes,                                                                           \
	  .body_max = takes == BODY_JSON ? ADMIN_BODY_MAX : 0,                                     \
	  .no_store = true,                                                                        \
	  .handle = handler }
#define ADMIN_GET(path, bits, handler)                                                             \
	ADMIN_ROW(ADMIN_DOORS, GET, path, (bits) | ADMIN_SCOPE_READ, BODY_NONE, handler)
#define ADMIN_POST(path, bits, handler) ADMIN_ROW(ADMIN_DOORS, POST, path, bits, BODY_JSON, handler)
#define ADMIN_PATCH(path, bits, handler)                                                           \
	ADMIN_ROW(ADMIN_DOORS, PATCH, path, bits, BODY_JSON, handler)
#define ADMIN_DELETE(path, bits, handler)                                                          \
	ADMIN_ROW(ADMIN_DOORS, DELETE, path, bits, BODY_NONE, handler)

/* What leads to private keys is not to be had from afar, whatever a token says. */
#define ADMIN_LOCAL(verb, path, takes, handler)                                                    \
	ADMIN_ROW(LISTENER_SOCKET, verb, path, ADMIN_SCOPE_ADMIN, takes, handler)

/* clang-format off */
#define ADMIN_ROUTES \
	ADMIN_GET("/clients", ADMIN_SCOPE_CLIENTS, admin_clients_list), \
	ADMIN_POST("/clients", ADMIN_SCOPE_CLIENTS, admin_client_create), \
	ADMIN_GET("/clients/{id}", ADMIN_SCOPE_CLIENTS, admin_client_show), \
	ADMIN_PATCH("/clients/{id}", ADMIN_SCOPE_CLIENTS, admin_client_update), \
	ADMIN_DELETE("/clients/{id}", ADMIN_SCOPE_CLIENTS, admin_client_delete), \
	ADMIN_GET("/clients/{id}/secrets", ADMIN_SCOPE_CLIENTS, admin_secrets_list), \
	ADMIN_POST("/clients/{id}/secrets", ADMIN_SCOPE_CLIENTS, admin_secret_add), \
	ADMIN_DELETE("/clients/{id}/secrets/{sid}", ADMIN_SCOPE_CLIENTS, admin_secret_remove), \
	ADMIN_GET("/users", ADMIN_SCOPE_USERS, admin_users_list), \
	ADMIN_POST("/users", ADMIN_SCOPE_USERS, admin_user_create), \
	ADMIN_GET("/users/{id}", ADMIN_SCOPE_USERS, admin_user_show), \
	ADMIN_PATCH("/users/{id}", ADMIN_SCOPE_USERS, admin_user_update), \
	ADMIN_DELETE("/users/{id}", ADMIN_SCOPE_USERS, admin_user_delete), \
	ADMIN_POST("/users/{id}/password", ADMIN_SCOPE_USERS, admin_user_password), \
	ADMIN_POST("/users/{id}/unlock", ADMIN_SCOPE_USERS, admin_user_unlock), \
	ADMIN_GET("/apis", ADMIN_SCOPE_APIS, admin_apis_list), \
	ADMIN_POST("/apis", ADMIN_SCOPE_APIS, admin_api_create), \
	ADMIN_GET("/apis/{slug}", ADMIN_SCOPE_APIS, admin_api_show), \
	ADMIN_PATCH("/apis/{slug}", ADMIN_SCOPE_APIS, admin_api_update), \
	ADMIN_DELETE("/apis/{slug}", ADMIN_SCOPE_APIS, admin_api_delete), \
	ADMIN_GET("/apis/{slug}/secrets", ADMIN_SCOPE_APIS, admin_api_secrets_list), \
	ADMIN_POST("/apis/{slug}/secrets", ADMIN_SCOPE_APIS, admin_api_secret_rotate), \
	ADMIN_GET("/keys", ADMIN_SCOPE_KEYS, admin_keys_list), \
	ADMIN_GET("/keys/{kid}", ADMIN_SCOPE_KEYS, admin_key_show), \
	ADMIN_GET("/keys/plan", ADMIN_SCOPE_KEYS, admin_keys_plan), \
	ADMIN_GET("/keys/lint", ADMIN_SCOPE_KEYS, admin_keys_lint), \
	ADMIN_POST("/keys/rotate", ADMIN_SCOPE_KEYS, admin_keys_rotate), \
	ADMIN_POST("/keys/{kid}/revoke", ADMIN_SCOPE_KEYS, admin_key_revoke), \
	ADMIN_POST("/keys/revoke-all", ADMIN_SCOPE_ADMIN, admin_keys_revoke_all), \
	ADMIN_POST("/keys/rewrap", ADMIN_SCOPE_ADMIN, admin_keys_rewrap), \
	ADMIN_POST("/keys/drill", ADMIN_SCOPE_KEYS, admin_keys_drill), \
	ADMIN_POST("/keys/resume", ADMIN_SCOPE_KEYS, admin_keys_resume), \
	ADMIN_POST("/keys/tripwire", ADMIN_SCOPE_KEYS, admin_keys_tripwire), \
	ADMIN_LOCAL(GET, "/keys/import", BODY_NONE, admin_key_import_key), \
	ADMIN_LOCAL(POST, "/keys/import", BODY_JSON, admin_key_import), \
	ADMIN_GET("/audit", ADMIN_SCOPE_AUDIT, admin_audit_list),
/* clang-format on */

#endif
