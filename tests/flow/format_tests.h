/* What the tests of token formats share: an office with an api of plain JWTs and one of opaque
 * tokens, a client, a user. */
#ifndef CHANCERY_TESTS_FORMAT_TESTS_H
#define CHANCERY_TESTS_FORMAT_TESTS_H

#include "tests/helpers/flow.h"
#include "tests/unit/suite.h"

#define ORDERS "https://orders.example"
#define VAULT "https://vault.example"
#define PASSWORD "correct horse battery staple"
#define APIS "/admin/v1/apis"

/* One per test process: libcheck forks. */
struct formats_fixture {
	struct flow flow;
	const char *secret; /* of the client "shop" */
};
extern struct formats_fixture fmt;

void formats_up(void);
void formats_down(void);

/* As root over the socket; another status ends the test. */
struct answer root(int status, enum method method, const char *target, const char *json);
/* "name=value" with the value form-encoded, appended to form. */
const char *with(const char *form, const char *name, struct str value);
struct answer as_shop(const char *target, const char *form);
/* Token answers for one audience: for the client, and for alice. */
struct answer machine(const char *audience);
struct answer login(const char *audience);
/* The access token of an answer that must be 200. */
struct str text_of(struct answer a);
struct answer introspect(struct str token);
bool is_active(struct str token);
bool file_holds(const char *path, struct str needle);

TCase *opaque_case(void);
TCase *shared_case(void);
TCase *jwe_case(void);

#endif
