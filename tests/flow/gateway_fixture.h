/* What the gateway tests share: an office with two apis, a client, a user with two roles. */
#ifndef CHANCERY_TESTS_GATEWAY_FIXTURE_H
#define CHANCERY_TESTS_GATEWAY_FIXTURE_H

#include "tests/helpers/flow.h"
#include "tests/unit/suite.h"

#define ISSUER "https://id.example"
#define ORDERS "https://orders.example"
#define BILLING "https://billing.example"
#define ASK_ORDERS "/gateway/verify?audience=https://orders.example"

#define CHALLENGE "Bearer realm=\"chancery\""
#define INVALID CHALLENGE ", error=\"invalid_token\""

/* One per test process: libcheck forks. */
extern struct flow *gateway_flow;
extern const char *gateway_secret; /* of the client "shop" */

void gateway_up(void);
void gateway_up_with_identity(void); /* gateway.identity: on */
void gateway_down(void);

/* Access tokens: for a form sent as "shop"; of the client itself and of alice, for ORDERS. */
struct str token_of(const char *form);
struct str machine_token(void);
struct str user_token(void);
/* Signed by the real signer over claims that our endpoints would not write: those of a client's
 * token for ORDERS about "u-alice", with `members` in place of theirs or besides. */
struct str signed_with(const char *members);

/* GET on the gateway listener. */
struct answer ask_as(const char *target, const char *authorization);
struct answer ask(const char *target, struct str token);
/* Status, challenge (NULL: none), no-store, and none of the identity headers. */
void check_refused(const struct answer *a, int status, const char *challenge);

Suite *gateway_claims_suite(void);
Suite *gateway_identity_suite(void);
Suite *gateway_suite(void);

#endif
