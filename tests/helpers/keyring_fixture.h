/* A keyring over a real database and a real signer, a world that stands still, and a store that can
 * be told to fail. One of it, because each test is a process of its own. */
#ifndef CHANCERY_TESTS_KEYRING_FIXTURE_H
#define CHANCERY_TESTS_KEYRING_FIXTURE_H

#include "server/state/keyring.h"
#include "tests/helpers/signer_fixture.h"
#include "tests/helpers/store_fixture.h"

#define OK(expression) ck_assert_int_eq((expression), ERR_OK)

enum { KEYRING_SKEW = 60 }; /* keys.clock_skew of the first configuration */
enum {
	DAY = 86400,
	PERIOD = 30 * DAY,
	MAX_AGE = 900,
	PROMISE = MAX_AGE + MAX_AGE / 2, /* with stale-while-revalidate */
	READY_AFTER = PROMISE + KEYRING_SKEW
};

/* What the store does with a step: runs it (twice, as a writer may), refuses it, or runs it and
 * says that it does not know. */
enum store_mood { STORE_WORKS, STORE_REFUSES, STORE_HIDES_THE_COMMIT };

struct keyring_fixture {
	struct store_fixture store;
	struct signer_fixture signer;
	struct config config;
	struct keyring *keyring;
	struct keyring_custody custody; /* none unless a test puts one in */
	char revoked_kids[160];		/* a file beside the database */
	struct arena *arena;
	struct buf token;
	enum store_mood mood;
	void (*after_step)(void); /* of the store; NULL */
};
extern struct keyring_fixture o;

/* ES256 only, opened with make. */
void keyring_up(void);
void keyring_down(void);
/* The first configuration, again. */
void configure(void);
enum err open_keyring(bool make);
/* As after a crash of server and signer. */
void reopen(void);
int64_t now(void);
void advance(int64_t seconds);

/* A copy of the ES256 key in this state; kid "" if there is none. */
struct key_info info_of(enum key_state state);
size_t count_in(enum key_state state);
void assert_lint(void);
/* What the database itself says, past all views. */
struct key_info stored(const char *kid);
int64_t count_rows(const char *sql);
/* Behind everybody's back; the keyring sees it when it is opened anew. */
void change_database(const char *sql);
/* Does the signer hold its private half? */
bool is_held(const char *kid);
bool is_published(const char *kid);
bool is_listed(const char *kid);

struct issued {
	char text[JWT_SIZE_MAX];
	char kid[KID_MAX + 1];
	int64_t exp;
};
enum err issue(int64_t ttl, struct issued *ret);
/* By the published set alone, as a stranger would. */
bool verifies(const struct issued *token);
void assert_signs_with(const char *kid);

enum err tend(void);
enum err rotate(bool force, struct rotate_result *ret);

/* By uid:0. */
enum err revoke_key(const char *kid, struct revoke_result *ret);
/* Nowhere: not in the signer, not in the set, not in the database, and on the list. */
void assert_gone(const char *kid);
/* One key signs, another waits, and the rules hold; with a standby that was not ready only after a
 * while, so that time goes by here. */
void assert_whole(void);
/* As often as it takes after a failure; each must be good. */
void tend_until_done(void);
/* Opened anew without one. */
void lose_standby(void);

#endif
