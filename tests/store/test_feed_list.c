/* The feed's entries: order, growth, and what becomes of them when there are too many. */
#include <stdio.h>

#include "server/store/feed_list.h"
#include "tests/unit/suite.h"

enum { NOW = 1700000000, TAKEN_MAX = 4096 };

static struct feed_list *list;

static void open_list(enum feed_view view, size_t max)
{
	static const struct str kids[] = { { "key-1", 5 }, { "key-2", 5 } };

	ck_assert_int_eq(feed_list_new(view, max, &list), ERR_OK);
	feed_list_keys(list, kids, COUNT(kids));
}

static void down(void)
{
	feed_list_free(list);
	list = NULL;
}

/* A token issued at `iat`; owners may be "". */
static void add_token(const char *jti, const char *sid, const char *client, int64_t iat)
{
	const struct revocation r = {
		.kind = REVOKE_JTI,
		.value = str_z(jti),
		.iat_max = iat,
		.until = iat + 600,
		.sid = str_z(sid),
		.client_id = str_z(client),
	};

	ck_assert_int_eq(feed_list_add(list, &r), ERR_OK);
}

/* A login that ended at `at`. */
static void add_login(const char *sid, const char *client, int64_t at)
{
	const struct revocation r = {
		.kind = REVOKE_SID,
		.value = str_z(sid),
		.iat_max = at + REVOKE_KEEP,
		.until = at + REVOKE_KEEP,
		.client_id = str_z(client),
	};

	ck_assert_int_eq(feed_list_add(list, &r), ERR_OK);
}

static void add_account(enum revoke_kind kind, const char *value, int64_t at)
{
	const struct revocation r = {
		.kind = kind, .value = str_z(value), .iat_max = at, .until = at + REVOKE_KEEP
	};

	ck_assert_int_eq(feed_list_add(list, &r), ERR_OK);
}

/* ---- reading ---- */

struct taken {
	struct feed_entry entries[TAKEN_MAX];
	char values[TAKEN_MAX][64];
	size_t count;
	int begun;
};
static struct taken taken;

static void again(void *arg)
{
	(void)arg;
	taken.count = 0;
	taken.begun++;
}

static enum err take(void *arg, const struct feed_entry *entries, size_t count)
{
	(void)arg;
	for (size_t i = 0; i < count; i++) {
		ck_assert_uint_lt(taken.count, TAKEN_MAX);
		snprintf(taken.values[taken.count], 64, "%.*s", STR_ARG(entries[i].value));
		taken.entries[taken.count++] = entries[i];
	}
	return ERR_OK;
}

static size_t walk(uint64_t since)
{
	ck_assert_int_eq(feed_list_walk(list, since, take, again, NULL), ERR_OK);
	return taken.count;
}

static const struct feed_entry *entry(enum revoke_kind kind, const char *value)
{
	walk(0);
	for (size_t i = 0; i < taken.count; i++) {
		if (taken.entries[i].kind == kind && strcmp(taken.values[i], value) == 0)
			return &taken.entries[i];
	}
	return NULL;
}

/* Does the list say that such a token is dead? As a reader would judge it. */
static bool kills(const char *jti, const char *sid, const char *client, const char *kid,
		  int64_t iat)
{
	const struct {
		enum revoke_kind kind;
		const char *value;
	} marks[] = { { REVOKE_JTI, jti },
		      { REVOKE_SID, sid },
		      { REVOKE_CLIENT, client },
		      { REVOKE_KID, kid } };

	for (size_t i = 0; i < COUNT(marks); i++) {
		const struct feed_entry *e = entry(marks[i].kind, marks[i].value);

		if (e && iat <= e->before)
			return true;
	}
	return false;
}

static uint64_t merged(void)
{
	struct feed_counts counts;

	feed_list_counts(list, &counts);
	return counts.merged;
}

/* ---- order ---- */

START_TEST(entries_come_after_the_number_that_was_asked)
{
	uint64_t after_first;

	open_list(FEED_FULL, 100);
	ck_assert_uint_eq(feed_list_latest(list), 0);
	ck_assert_uint_eq(walk(0), 0);
	add_token("a", "", "shop", NOW);
	after_first = feed_list_latest(list);
	add_token("b", "", "shop", NOW);
	ck_assert_uint_eq(walk(0), 2);
	ck_assert_uint_eq(walk(after_first), 1);
	ck_assert_str_eq(taken.values[0], "b");
	ck_assert_uint_eq(walk(feed_list_latest(list)), 0);
}
END_TEST

START_TEST(an_entry_that_grows_is_told_again_and_one_that_does_not_is_not)
{
	uint64_t latest;

	open_list(FEED_FULL, 100);
	add_account(REVOKE_CLIENT, "shop", NOW);
	latest = feed_list_latest(list);
	add_account(REVOKE_CLIENT, "shop", NOW);
	add_account(REVOKE_CLIENT, "shop", NOW - 5);
	ck_assert_uint_eq(feed_list_latest(list), latest);
	add_account(REVOKE_CLIENT, "shop", NOW + 5);
	ck_assert_uint_eq(walk(latest), 1);
	ck_assert_int_eq(taken.entries[0].before, NOW + 5);
	ck_assert_uint_eq(walk(0), 1);
}
END_TEST

START_TEST(strangers_see_what_means_nothing_without_a_token)
{
	static const struct {
		enum revoke_kind kind;
		bool shown;
	} kinds[] = { { REVOKE_JTI, true },	{ REVOKE_SID, true },	{ REVOKE_KID, true },
		      { REVOKE_CLIENT, false }, { REVOKE_USER, false }, { REVOKE_API, false } };

	open_list(FEED_ANONYMOUS, 100);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		const uint64_t before = feed_list_latest(list);

		add_account(kinds[i].kind, "x", NOW);
		ck_assert_msg((feed_list_latest(list) > before) == kinds[i].shown, "%d",
			      kinds[i].kind);
	}
}
END_TEST

START_TEST(what_is_over_leaves)
{
	open_list(FEED_FULL, 100);
	for (int i = 0; i < 50; i++) {
		char jti[16];

		snprintf(jti, sizeof(jti), "t%d", i);
		add_token(jti, "", "", NOW + i);
	}
	feed_list_purge(list, NOW + 600); /* until is NOW + i + 600 */
	ck_assert_uint_eq(walk(0), 50);
	feed_list_purge(list, NOW + 625);
	ck_assert_uint_eq(walk(0), 25);
	ck_assert_ptr_null(entry(REVOKE_JTI, "t24"));
	ck_assert_ptr_nonnull(entry(REVOKE_JTI, "t25"));
	add_token("t24", "", "", NOW + 24); /* it may come again */
	ck_assert_ptr_nonnull(entry(REVOKE_JTI, "t24"));
}
END_TEST

/* ---- merging ---- */

/* Eight tokens and room for eight: the ninth merges the oldest. */
static void fill(const char *const sids[8], const char *const clients[8])
{
	for (int i = 0; i < 8; i++) {
		char jti[16];

		snprintf(jti, sizeof(jti), "t%d", i);
		add_token(jti, sids[i], clients[i], NOW + i);
	}
}

/* Room is for 8 and 2 keys: fill, and three more of a time after all others. */
static const struct merge_case {
	const char *name;
	enum feed_view view;
	const char *sids[8], *clients[8];
	/* what the five oldest have become */
	enum revoke_kind kind;
	const char *value;
	int64_t before;
} merge_cases[] = {
	{ "one login",
	  FEED_FULL,
	  { "s", "s", "s", "s", "s", "u", "v", "w" },
	  { "c", "c", "c", "c", "c", "c", "c", "c" },
	  REVOKE_SID,
	  "s",
	  NOW + 4 },
	{ "one login, to strangers",
	  FEED_ANONYMOUS,
	  { "s", "s", "s", "s", "s", "u", "v", "w" },
	  { "c", "c", "c", "c", "c", "c", "c", "c" },
	  REVOKE_SID,
	  "s",
	  NOW + 4 },
	{ "one client",
	  FEED_FULL,
	  { "", "", "", "", "", "", "", "" },
	  { "c", "c", "c", "c", "c", "d", "e", "f" },
	  REVOKE_CLIENT,
	  "c",
	  NOW + 4 },
	{ "logins of one client",
	  FEED_FULL,
	  { "1", "2", "3", "4", "5", "6", "7", "8" },
	  { "c", "c", "c", "c", "c", "d", "e", "f" },
	  REVOKE_CLIENT,
	  "c",
	  NOW + 4 },
	{ "one client, to strangers",
	  FEED_ANONYMOUS,
	  { "", "", "", "", "", "", "", "" },
	  { "c", "c", "c", "c", "c", "d", "e", "f" },
	  REVOKE_KID,
	  "key-1",
	  NOW + 4 },
	{ "nobody's",
	  FEED_FULL,
	  { "", "", "", "", "", "", "", "" },
	  { "", "", "", "", "", "", "", "" },
	  REVOKE_KID,
	  "key-2",
	  NOW + 4 },
};

START_TEST(the_oldest_merge_into_the_narrowest_entry_that_makes_room)
{
	const struct merge_case *c = &merge_cases[_i];
	const struct feed_entry *e;

	open_list(c->view, 8);
	fill(c->sids, c->clients);
	add_token("x", "", "", NOW + 100);
	add_token("y", "", "", NOW + 100);
	ck_assert_uint_eq(merged(), 0);
	add_token("z", "", "", NOW + 100);
	ck_assert_uint_ge(merged(), 5);
	e = entry(c->kind, c->value);
	ck_assert_msg(e, "%s", c->name);
	ck_assert_int_eq(e->before, c->before);
	ck_assert_int_eq(e->until, c->before + 600);
	for (int i = 0; i < 5; i++) {
		char jti[16];

		snprintf(jti, sizeof(jti), "t%d", i);
		ck_assert_msg(!entry(REVOKE_JTI, jti), "%s: %s", c->name, jti);
		ck_assert(kills(jti, c->sids[i], c->clients[i], "key-1", NOW + i));
	}
	for (int i = 5; i < 8; i++) {
		char jti[16];

		snprintf(jti, sizeof(jti), "t%d", i);
		ck_assert_msg(entry(REVOKE_JTI, jti), "%s: %s", c->name, jti);
	}
	/* issued since: not hit by what was broadened */
	ck_assert(!kills("new", "s", "c", "key-1", c->before + 1));
}
END_TEST

START_TEST(a_revoked_key_is_not_narrowed_by_a_merge)
{
	static const char *const nobody[8] = { "", "", "", "", "", "", "", "" };
	const struct revocation key = {
		.kind = REVOKE_KID, .value = STR("key-1"), .iat_max = INT64_MAX, .until = NOW + 900
	};

	open_list(FEED_ANONYMOUS, 8);
	ck_assert_int_eq(feed_list_add(list, &key), ERR_OK);
	fill(nobody, nobody);
	add_token("x", "", "", NOW + 100);
	add_token("y", "", "", NOW + 100);
	ck_assert_uint_gt(merged(), 0);
	ck_assert(entry(REVOKE_KID, "key-1")->before == FEED_ANY_TIME);
	ck_assert_int_lt(entry(REVOKE_KID, "key-2")->before, NOW + 100);
}
END_TEST

START_TEST(without_keys_to_name_nothing_is_dropped)
{
	char jti[16];

	ck_assert_int_eq(feed_list_new(FEED_ANONYMOUS, 8, &list), ERR_OK);
	for (int i = 0; i < 40; i++) {
		snprintf(jti, sizeof(jti), "t%d", i);
		add_token(jti, "", "", NOW + i);
	}
	ck_assert_uint_eq(walk(0), 40);
}
END_TEST

/* A reader who was there before the merge and takes what is newer knows at least as much. */
START_TEST(what_is_newer_than_a_merge_covers_what_went_into_it)
{
	static const char *const nobody[8] = { "", "", "", "", "", "", "", "" };
	uint64_t before;

	open_list(FEED_ANONYMOUS, 8);
	fill(nobody, nobody);
	add_token("x", "", "", NOW + 100);
	before = feed_list_latest(list);
	add_token("y", "", "", NOW + 100);
	add_token("z", "", "", NOW + 100);
	walk(before);
	for (size_t i = 0; i < taken.count; i++) {
		if (taken.entries[i].kind == REVOKE_KID)
			return;
	}
	ck_abort_msg("the broader entries are not among the newer");
}
END_TEST

/* Thousands of all kinds, in no order: never more than there is room for, and everything that was
 * ever revoked stays so. */
START_TEST(a_flood_stays_within_bounds_and_drops_nothing)
{
	enum { FLOOD = 3000, ROOM = 64 };
	const enum feed_view view = (enum feed_view)_i;
	static char names[FLOOD][16];

	open_list(view, ROOM);
	for (int i = 0; i < FLOOD; i++) {
		char sid[16], client[16];
		const int64_t at = NOW + (i * 7919) % FLOOD;

		snprintf(names[i], sizeof(names[i]), "n%d", i);
		snprintf(sid, sizeof(sid), i % 3 ? "s%d" : "", i % 500);
		snprintf(client, sizeof(client), i % 5 ? "c%d" : "", i % 20);
		if (i % 7)
			add_token(names[i], sid, client, at);
		else
			add_login(names[i], client, at);
		if (i % 100 == 0)
			ck_assert_uint_le(walk(0), ROOM + 2);
	}
	for (int i = 0; i < FLOOD; i += 11) {
		char sid[16], client[16];
		const int64_t at = NOW + (i * 7919) % FLOOD;

		snprintf(sid, sizeof(sid), i % 3 ? "s%d" : "", i % 500);
		snprintf(client, sizeof(client), i % 5 ? "c%d" : "", i % 20);
		ck_assert_msg(i % 7 ? kills(names[i], sid, client, "key-1", at)
				    : kills("", names[i], client, "key-2", at),
			      "%d", i);
	}
}
END_TEST

/* ---- walking ---- */

static enum err take_and_merge(void *arg, const struct feed_entry *entries, size_t count)
{
	(void)arg;
	if (taken.begun == 1 && taken.count == 0)
		feed_list_purge(list, NOW + 600); /* somebody puts the list together anew */
	return take(NULL, entries, count);
}

START_TEST(a_walk_begins_anew_when_entries_change_places)
{
	enum { MANY = 3 * FEED_SLICE };

	open_list(FEED_FULL, 4096);
	add_token("old", "", "", NOW - 1);
	for (int i = 0; i < MANY; i++) {
		char jti[16];

		snprintf(jti, sizeof(jti), "t%d", i);
		add_token(jti, "", "", NOW);
	}
	taken.begun = 0;
	ck_assert_int_eq(feed_list_walk(list, 0, take_and_merge, again, NULL), ERR_OK);
	ck_assert_int_eq(taken.begun, 2);
	ck_assert_uint_eq(taken.count, MANY);
}
END_TEST

static enum err refuse(void *arg, const struct feed_entry *entries, size_t count)
{
	(void)arg;
	(void)entries;
	(void)count;
	return ERR_UNAVAILABLE;
}

START_TEST(the_takers_error_ends_the_walk)
{
	open_list(FEED_FULL, 100);
	add_token("a", "", "", NOW);
	ck_assert_int_eq(feed_list_walk(list, 0, refuse, again, NULL), ERR_UNAVAILABLE);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		entries_come_after_the_number_that_was_asked,
		an_entry_that_grows_is_told_again_and_one_that_does_not_is_not,
		strangers_see_what_means_nothing_without_a_token,
		what_is_over_leaves,
		a_revoked_key_is_not_narrowed_by_a_merge,
		without_keys_to_name_nothing_is_dropped,
		what_is_newer_than_a_merge_covers_what_went_into_it,
		a_walk_begins_anew_when_entries_change_places,
		the_takers_error_ends_the_walk,
	};
	TCase *t = tcase_create("feed list");

	tcase_add_checked_fixture(t, NULL, down);
	tcase_add_loop_test(t, the_oldest_merge_into_the_narrowest_entry_that_makes_room, 0,
			    COUNT(merge_cases));
	tcase_add_loop_test(t, a_flood_stays_within_bounds_and_drops_nothing, 0, FEED_VIEWS);
	for (size_t i = 0; i < COUNT(tests); i++)
		tcase_add_test(t, tests[i]);
	return suite_run_case("feed list", t);
}
