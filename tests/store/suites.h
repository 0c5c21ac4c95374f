/* The conformance suite of the store, in five files: what every engine behind server/store/db.h
 * must do.
 */
#ifndef CHANCERY_TESTS_STORE_SUITES_H
#define CHANCERY_TESTS_STORE_SUITES_H

#include <check.h>

#include "tests/helpers/store_fixture.h"

/* One database a test; shared by the files, up before each test and down after it. */
extern struct store_fixture fx;

enum { LATER = FIXTURE_NOW + 50, UNTIL = FIXTURE_NOW + 5000 };

TCase *client_tests(void);
TCase *user_tests(void);
TCase *login_tests(void);
TCase *key_tests(void);
TCase *record_tests(void);
TCase *memory_tests(void);

/* Fails the test with the error's name. */
#define OK(call) ck_assert_str_eq(err_name(call), err_name(ERR_OK))
#define IS(expected, call) ck_assert_str_eq(err_name(call), err_name(expected))
#define STR_EQ(s, z) ck_assert_msg(str_equal_z((s), (z)), "\"%.*s\" is not \"%s\"", STR_ARG(s), (z))

/* Is there a revocation of this kind and value? Fills `ret` when it is not NULL. */
bool find_revocation(enum revoke_kind kind, const char *value, struct revocation *ret);
/* A login of `user` through `client` for `audience`; `byte` fills its id and seed, "sid-<byte>"
 * names it. */
struct login make_login(unsigned char byte, const char *client, const char *user,
			const char *audience);
struct login get_login(unsigned char byte);
/* What is stored now; fails the test when it is not there. */
struct client client_of(const char *id);
struct user user_of(const char *id);
struct api api_of(const char *slug);
/* With nothing but a name. */
enum err create_client(const char *id);
enum err create_user(const char *id, const char *name);

#endif
