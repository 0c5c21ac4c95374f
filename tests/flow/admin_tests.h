/* What the admin API's tests share: one office, an api, and callers of every kind. */
#ifndef CHANCERY_TESTS_ADMIN_TESTS_H
#define CHANCERY_TESTS_ADMIN_TESTS_H

#include "tests/helpers/flow.h"

#define ISSUER "https://id.example"
#define ORDERS "https://orders.example"

extern struct flow office;

void admin_fixture_up(void);
void admin_fixture_down(void);

/* As root over the socket. */
struct answer root(enum method method, const char *target, const char *json);
/* Over TCP with a bearer token. */
struct answer as(struct str token, enum method method, const char *target, const char *json);
/* The same, whatever comes of it must be `status`. */
struct answer root_gets(int status, enum method method, const char *target, const char *json);
/* A confidential client with client credentials, made over the socket; its secret. */
const char *make_client(const char *id, const char *scope, const char *audience);
/* An access token by client credentials. */
struct str token_of(const char *id, const char *secret);
/* A token of a new client "by-<scope>" for the admin api with this one scope. */
struct str admin_token(const char *scope);
/* Is the token good, asked by a client that may introspect everything? */
bool still_active(struct str token);
const char *format(const char *template, ...) __attribute__((format(printf, 1, 2)));
const struct json *items(const struct answer *a);

#define ck_assert_status(got, want)                                                                \
	do {                                                                                       \
		const struct answer s_ = (got);                                                    \
		ck_assert_msg(s_.status == (want), "status %d, not %d: %s %.*s", s_.status,        \
			      (want), s_.why, STR_ARG(s_.body));                                   \
	} while (0)

Suite *client_suite(void);
Suite *user_suite(void);
Suite *registry_suite(void);
Suite *key_suite(void);
Suite *import_suite(void);
Suite *scope_suite(void);
Suite *openapi_suite(void);

#endif
