/* What the token tests share: one office with two apis, a client, a user. */
#ifndef CHANCERY_TESTS_TOKEN_TESTS_H
#define CHANCERY_TESTS_TOKEN_TESTS_H

#include <check.h>

#include "jose/jwt.h"
#include "tests/helpers/flow.h"

#define ORDERS "https://orders.example"
#define BILLING "https://billing.example"
#define PASSWORD "correct horse battery staple"

/* One fixture per test process: libcheck forks. */
struct office_fixture {
	struct flow flow;
	const char *secret;	/* of the client "shop" */
	struct json *claims[8]; /* what claims_of gave out */
	size_t claims_count;
};
extern struct office_fixture fx;

void office_fixture_up(void);
void office_fixture_down(void);

/* Forms as "shop". */
struct answer token(const char *form);
struct answer introspect(struct str what);
struct answer revoke(struct str what);
/* A login of alice; refresh token in the answer. */
struct answer login(void);
/* The same, whatever comes of it. */
struct answer login_attempt(void);
struct answer refresh(struct str refresh_token);
/* "name=value" with the value form-encoded, appended to text. */
const char *with(const char *form, const char *name, struct str value);
bool is_active(struct str what);
/* The claims (the fixture's) of a token whose signature is checked against the served key set. */
const struct json *claims_of(struct str token_text);

Suite *grant_suite(void);
Suite *refresh_suite(void);
Suite *client_auth_suite(void);
Suite *judge_suite(void);
Suite *feed_suite(void);

#endif
