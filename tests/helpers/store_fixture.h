/* A migrated database in a folder of its own, a writer connection, an arena and a settable world.
 * Fails the running test (libcheck) when something cannot be made. */
#ifndef CHANCERY_TESTS_STORE_FIXTURE_H
#define CHANCERY_TESTS_STORE_FIXTURE_H

#include "base/arena.h"
#include "server/store/lane.h"
#include "server/store/store.h"
#include "tests/helpers/fake_env.h"

enum { FIXTURE_NOW = 1700000000 };

struct store_fixture {
	char dir[64];	   /* removed with all it holds */
	char db_path[128]; /* dir/chancery.db */
	struct fake_env fake;
	struct db *db;	     /* a writer */
	struct arena *arena; /* roomy */
};

void store_fixture_up(struct store_fixture *f);
void store_fixture_down(struct store_fixture *f);
/* Closes and opens the database again, as a restart would. */
void store_fixture_reopen(struct store_fixture *f);

/* Things most tests need; each fails the test if it cannot be made. */
void store_fixture_api(struct store_fixture *f, const char *uri, const char *slug,
		       const char *scope);
/* A confidential client with every grant, `scope` and `audiences`, without a secret. */
void store_fixture_client(struct store_fixture *f, const char *id, const char *scope,
			  const char *audiences);
void store_fixture_user(struct store_fixture *f, const char *id, const char *name);

#endif
