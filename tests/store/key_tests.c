/* Signing keys and roots: the steps of a key's life, and the rules the schema itself holds. */
#include "tests/store/suites.h"

#include <stdio.h>

enum { NOW = FIXTURE_NOW };

static struct key_row key_row(const char *kid, enum alg alg, enum key_state state)
{
	struct key_row row = {
		.info = { .alg = alg,
			  .state = state,
			  .origin = KEY_ORIGIN_MANUAL,
			  .root_version = 7,
			  .created_at = NOW,
			  .publish_at = NOW,
			  .ready_at = NOW + 10,
			  .activate_at = NOW + 20,
			  .exp_bound = NOW + 500 },
		.public_jwk = STR("{\"kty\":\"EC\"}"),
		.sealed = STR("sealed\0bytes"),
	};

	snprintf(row.info.kid, sizeof(row.info.kid), "%s", kid);
	return row;
}

static enum err insert_key(const char *kid, enum alg alg, enum key_state state)
{
	const struct key_row row = key_row(kid, alg, state);

	return store_key_insert(fx.db, &row);
}

static struct key_row key_of(const char *kid)
{
	struct key_row *rows;
	size_t count;

	OK(store_keys(fx.db, fx.arena, &rows, &count));
	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].info.kid, kid) == 0)
			return rows[i];
	ck_abort_msg("no key %s", kid);
	return rows[0];
}

static enum err rotate(enum alg alg, const char *next, const char *fresh)
{
	const struct key_row row = key_row(fresh, alg, KEY_STANDBY);

	const struct key_promotion p = {
		.alg = alg, .kid = str_z(next), .exp_bound = NOW + 500, .now = NOW + 100
	};

	return store_key_rotate(fx.db, &p, NOW + 900, &row);
}

START_TEST(a_key_comes_back_as_stored)
{
	struct key_row row;

	OK(insert_key("k1", ALG_RS256, KEY_STANDBY));
	row = key_of("k1");
	ck_assert_int_eq(row.info.alg, ALG_RS256);
	ck_assert_int_eq(row.info.state, KEY_STANDBY);
	ck_assert_int_eq(row.info.origin, KEY_ORIGIN_MANUAL);
	ck_assert_int_eq(row.info.root_version, 7);
	ck_assert_int_eq(row.info.created_at, NOW);
	ck_assert_int_eq(row.info.publish_at, NOW);
	ck_assert_int_eq(row.info.ready_at, NOW + 10);
	ck_assert_int_eq(row.info.activate_at, NOW + 20);
	ck_assert_int_eq(row.info.exp_bound, NOW + 500);
	ck_assert_int_eq(row.info.last_exp, 0);
	ck_assert(str_equal(row.sealed, STR("sealed\0bytes")));
	STR_EQ(row.public_jwk, "{\"kty\":\"EC\"}");
}
END_TEST

/* Design, keys, rule 1: the schema itself holds it. */
START_TEST(an_algorithm_has_one_active_and_one_standby_key)
{
	OK(insert_key("e-active", ALG_ES256, KEY_ACTIVE));
	OK(insert_key("e-standby", ALG_ES256, KEY_STANDBY));
	OK(insert_key("r-active", ALG_RS256, KEY_ACTIVE));
	IS(ERR_CONFLICT, insert_key("e2", ALG_ES256, KEY_ACTIVE));
	IS(ERR_CONFLICT, insert_key("e3", ALG_ES256, KEY_STANDBY));
	IS(ERR_CONFLICT, insert_key("e-active", ALG_RS256, KEY_STANDBY));
}
END_TEST

START_TEST(a_rotation_promotes_retires_and_inserts_together)
{
	struct key_row old, now_active;

	OK(insert_key("k1", ALG_ES256, KEY_ACTIVE));
	OK(insert_key("k2", ALG_ES256, KEY_STANDBY));
	OK(insert_key("r1", ALG_RS256, KEY_ACTIVE));
	OK(rotate(ALG_ES256, "k2", "k3"));
	old = key_of("k1");
	now_active = key_of("k2");
	ck_assert_int_eq(old.info.state, KEY_RETIRING);
	ck_assert_int_eq(old.info.retire_at, NOW + 100);
	ck_assert_int_eq(old.info.remove_at, NOW + 900);
	ck_assert_uint_eq(old.sealed.n, 0);
	ck_assert_int_eq(now_active.info.state, KEY_ACTIVE);
	ck_assert_int_eq(now_active.info.activate_at, NOW + 100);
	ck_assert_int_eq(now_active.info.exp_bound, NOW + 500);
	ck_assert_uint_eq(now_active.sealed.n, sizeof("sealed\0bytes") - 1);
	ck_assert_int_eq(key_of("k3").info.state, KEY_STANDBY);
	ck_assert_int_eq(key_of("r1").info.state, KEY_ACTIVE);
}
END_TEST

START_TEST(the_first_key_of_an_algorithm_has_nothing_to_retire)
{
	OK(insert_key("k1", ALG_ES256, KEY_STANDBY));
	OK(rotate(ALG_ES256, "k1", "k2"));
	ck_assert_int_eq(key_of("k1").info.state, KEY_ACTIVE);
}
END_TEST

static const struct {
	const char *name, *next, *fresh;
	enum alg alg;
} bad_rotations[] = {
	{ "no such key", "none", "k3", ALG_ES256 },
	{ "the active key itself", "k1", "k3", ALG_ES256 },
	{ "a standby of another algorithm", "k2", "k3", ALG_RS256 },
	{ "a fresh key whose name is taken", "k2", "k1", ALG_ES256 },
};

START_TEST(a_rotation_that_cannot_be_leaves_all_as_it_was)
{
	OK(insert_key("k1", ALG_ES256, KEY_ACTIVE));
	OK(insert_key("k2", ALG_ES256, KEY_STANDBY));
	OK(db_savepoint(fx.db));
	ck_assert_msg(rotate(bad_rotations[_i].alg, bad_rotations[_i].next,
			     bad_rotations[_i].fresh) == ERR_CONFLICT,
		      "%s", bad_rotations[_i].name);
	OK(db_rollback_to(fx.db));
	ck_assert_int_eq(key_of("k1").info.state, KEY_ACTIVE);
	ck_assert_uint_gt(key_of("k1").sealed.n, 0);
	ck_assert_int_eq(key_of("k2").info.state, KEY_STANDBY);
}
END_TEST

START_TEST(a_bound_is_raised_and_never_lowered)
{
	OK(insert_key("k1", ALG_ES256, KEY_ACTIVE));
	OK(store_key_bound(fx.db, STR("k1"), NOW + 1000));
	OK(store_key_bound(fx.db, STR("k1"), NOW + 5));
	ck_assert_int_eq(key_of("k1").info.exp_bound, NOW + 1000);
	IS(ERR_NOT_FOUND, store_key_bound(fx.db, STR("none"), NOW));
	OK(insert_key("k2", ALG_ES256, KEY_STANDBY));
	IS(ERR_NOT_FOUND, store_key_bound(fx.db, STR("k2"), NOW + 1000));
}
END_TEST

START_TEST(settling_a_retired_key_never_raises)
{
	OK(insert_key("k1", ALG_ES256, KEY_ACTIVE));
	OK(insert_key("k2", ALG_ES256, KEY_STANDBY));
	IS(ERR_NOT_FOUND, store_key_settle(fx.db, STR("k1"), NOW + 1, NOW + 2));
	OK(rotate(ALG_ES256, "k2", "k3"));
	OK(store_key_settle(fx.db, STR("k1"), NOW + 300, NOW + 360));
	OK(store_key_settle(fx.db, STR("k1"), NOW + 400, NOW + 460));
	ck_assert_int_eq(key_of("k1").info.last_exp, NOW + 300);
	ck_assert_int_eq(key_of("k1").info.remove_at, NOW + 360);
}
END_TEST

START_TEST(only_a_retiring_key_is_removed)
{
	OK(insert_key("k1", ALG_ES256, KEY_ACTIVE));
	OK(insert_key("k2", ALG_ES256, KEY_STANDBY));
	IS(ERR_NOT_FOUND, store_key_remove(fx.db, STR("k1"), NOW));
	IS(ERR_NOT_FOUND, store_key_remove(fx.db, STR("k2"), NOW));
	OK(rotate(ALG_ES256, "k2", "k3"));
	OK(store_key_remove(fx.db, STR("k1"), NOW + 1000));
	ck_assert_int_eq(key_of("k1").info.state, KEY_REMOVED);
	ck_assert_int_eq(key_of("k1").info.remove_at, NOW + 1000);
	IS(ERR_NOT_FOUND, store_key_remove(fx.db, STR("k1"), NOW));
}
END_TEST

START_TEST(a_signing_key_without_its_private_half_is_refused)
{
	struct key_row row = key_row("k1", ALG_ES256, KEY_STANDBY);

	row.sealed = STR_NONE;
	IS(ERR_CONFLICT, store_key_insert(fx.db, &row));
	row = key_row("k1", ALG_ES256, KEY_RETIRING); /* and a retired one with it */
	row.info.retire_at = NOW;
	IS(ERR_CONFLICT, store_key_insert(fx.db, &row));
}
END_TEST

/* The rules of a key's life, each broken once. */
static const struct {
	const char *name;
	enum key_state state;
	int64_t activate_at, remove_at, retire_at, revoked_at, exp_bound, last_exp;
	bool forced;
	enum err outcome;
} lives[] = {
	{ "signs when it is ready", KEY_ACTIVE, NOW + 10, 0, 0, 0, 9, 0, false, ERR_OK },
	{ "signs before", KEY_ACTIVE, NOW + 9, 0, 0, 0, 9, 0, false, ERR_CONFLICT },
	{ "signs before, forced", KEY_ACTIVE, NOW + 9, 0, 0, 0, 9, 0, true, ERR_OK },
	{ "signs without a bound", KEY_ACTIVE, NOW + 10, 0, 0, 0, 0, 0, false, ERR_CONFLICT },
	{ "signs beyond its bound", KEY_ACTIVE, NOW + 10, 0, 0, 0, 9, 10, false, ERR_CONFLICT },
	{ "signs and is retired", KEY_ACTIVE, NOW + 10, 0, 1, 0, 9, 0, false, ERR_CONFLICT },
	{ "signs and is revoked", KEY_ACTIVE, NOW + 10, 0, 0, 1, 9, 0, false, ERR_CONFLICT },
	{ "stays to its bound", KEY_RETIRING, 1, 9, 1, 0, 9, 0, false, ERR_OK },
	{ "leaves before its bound", KEY_RETIRING, 1, 8, 1, 0, 9, 0, false, ERR_CONFLICT },
	{ "stays to its last token", KEY_RETIRING, 1, 5, 1, 0, 9, 5, false, ERR_OK },
	{ "leaves before its last token", KEY_RETIRING, 1, 4, 1, 0, 9, 5, false, ERR_CONFLICT },
	{ "never retired, yet retiring", KEY_RETIRING, 1, 9, 0, 0, 9, 0, false, ERR_CONFLICT },
	{ "revoked at a time", KEY_REVOKED, 1, 1, 1, 1, 9, 0, false, ERR_OK },
	{ "revoked at no time", KEY_REVOKED, 1, 1, 1, 0, 9, 0, false, ERR_CONFLICT },
};

START_TEST(the_schema_holds_the_rules_of_a_keys_life)
{
	struct key_row row = key_row("k1", ALG_ES256, lives[_i].state);

	row.info.activate_at = lives[_i].activate_at;
	row.info.remove_at = lives[_i].remove_at;
	row.info.retire_at = lives[_i].retire_at;
	row.info.revoked_at = lives[_i].revoked_at;
	row.info.exp_bound = lives[_i].exp_bound;
	row.info.last_exp = lives[_i].last_exp;
	row.info.forced = lives[_i].forced;
	if (lives[_i].state != KEY_ACTIVE)
		row.sealed = STR_NONE;
	ck_assert_msg(store_key_insert(fx.db, &row) == lives[_i].outcome, "%s", lives[_i].name);
}
END_TEST

START_TEST(a_revoked_key_loses_its_private_half_and_stays)
{
	struct key_row row;

	OK(insert_key("k1", ALG_ES256, KEY_ACTIVE));
	OK(store_key_revoke(fx.db, STR("k1"), NOW + 50));
	row = key_of("k1");
	ck_assert_int_eq(row.info.state, KEY_REVOKED);
	ck_assert_int_eq(row.info.revoked_at, NOW + 50);
	ck_assert_int_eq(row.info.retire_at, NOW + 50);
	ck_assert_uint_eq(row.sealed.n, 0);
	IS(ERR_NOT_FOUND, store_key_revoke(fx.db, STR("k1"), NOW + 60));
	IS(ERR_NOT_FOUND, store_key_revoke(fx.db, STR("none"), NOW + 60));
}
END_TEST

START_TEST(after_a_revocation_the_standby_is_promoted_alone)
{
	struct key_promotion p = { .alg = ALG_ES256,
				   .kid = STR("k2"),
				   .exp_bound = NOW + 500,
				   .now = NOW + 5,
				   .forced = true };

	OK(insert_key("k1", ALG_ES256, KEY_ACTIVE));
	OK(insert_key("k2", ALG_ES256, KEY_STANDBY));
	OK(db_savepoint(fx.db));
	IS(ERR_CONFLICT, store_key_promote(fx.db, &p));
	OK(db_rollback_to(fx.db));
	OK(store_key_revoke(fx.db, STR("k1"), NOW + 5));
	OK(store_key_promote(fx.db, &p));
	ck_assert(key_of("k2").info.forced);
}
END_TEST

START_TEST(an_imported_key_that_signs_retires_ours)
{
	struct key_row row = key_row("theirs", ALG_ES256, KEY_ACTIVE);

	row.info.origin = KEY_ORIGIN_IMPORT;
	OK(insert_key("k1", ALG_ES256, KEY_ACTIVE));
	OK(store_key_import(fx.db, &row, NOW + 900, NOW + 70, NOW + 50));
	ck_assert_int_eq(key_of("k1").info.state, KEY_RETIRING);
	ck_assert_int_eq(key_of("theirs").info.state, KEY_ACTIVE);
	ck_assert_int_eq(key_of("theirs").info.origin, KEY_ORIGIN_IMPORT);
}
END_TEST

START_TEST(the_last_removed_keys_are_remembered_and_no_more)
{
	struct key_row *rows;
	char kid[16];
	size_t count;

	OK(insert_key("revoked", ALG_ES256, KEY_ACTIVE));
	OK(store_key_revoke(fx.db, STR("revoked"), NOW));
	for (int i = 0; i < KEYS_REMEMBERED_MAX + 3; i++) {
		struct key_row row = key_row("x", ALG_ES256, KEY_RETIRING);

		snprintf(row.info.kid, sizeof(row.info.kid), "k%04d", i);
		row.sealed = STR_NONE;
		row.info.retire_at = NOW;
		row.info.remove_at = NOW + 900;
		OK(store_key_insert(fx.db, &row));
		snprintf(kid, sizeof(kid), "k%04d", i);
		OK(store_key_remove(fx.db, str_z(kid), NOW + 1000 + i));
	}
	OK(store_keys(fx.db, fx.arena, &rows, &count));
	ck_assert_uint_eq(count, KEYS_REMEMBERED_MAX + 1);
	STR_EQ(str_z(rows[0].info.kid), "k0003");
	ck_assert_int_eq(key_of("revoked").info.state, KEY_REVOKED);
}
END_TEST

START_TEST(all_roots_come_in_order)
{
	struct root_row *rows;
	size_t count;

	OK(store_root_put(fx.db, 2, STR("two"), NOW));
	OK(store_root_put(fx.db, 1, STR("one"), NOW));
	OK(store_roots(fx.db, fx.arena, &rows, &count));
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(rows[0].version, 1);
	STR_EQ(rows[1].sealed, "two");
}
END_TEST

START_TEST(the_newest_root_is_the_root)
{
	struct str sealed;
	int64_t version;

	IS(ERR_NOT_FOUND, store_root_get(fx.db, fx.arena, &version, &sealed));
	OK(store_root_put(fx.db, 1, STR("one"), NOW));
	OK(store_root_put(fx.db, 2, STR("two"), NOW));
	OK(store_root_put(fx.db, 2, STR("two, sealed anew"), NOW + 1));
	OK(store_root_get(fx.db, fx.arena, &version, &sealed));
	ck_assert_int_eq(version, 2);
	STR_EQ(sealed, "two, sealed anew");
}
END_TEST

TCase *key_tests(void)
{
	TCase *t = tcase_create("keys");

	tcase_add_test(t, a_key_comes_back_as_stored);
	tcase_add_test(t, an_algorithm_has_one_active_and_one_standby_key);
	tcase_add_test(t, a_rotation_promotes_retires_and_inserts_together);
	tcase_add_test(t, the_first_key_of_an_algorithm_has_nothing_to_retire);
	tcase_add_loop_test(t, a_rotation_that_cannot_be_leaves_all_as_it_was, 0,
			    sizeof(bad_rotations) / sizeof(bad_rotations[0]));
	tcase_add_test(t, a_bound_is_raised_and_never_lowered);
	tcase_add_test(t, settling_a_retired_key_never_raises);
	tcase_add_test(t, only_a_retiring_key_is_removed);
	tcase_add_test(t, a_signing_key_without_its_private_half_is_refused);
	tcase_add_loop_test(t, the_schema_holds_the_rules_of_a_keys_life, 0,
			    sizeof(lives) / sizeof(lives[0]));
	tcase_add_test(t, a_revoked_key_loses_its_private_half_and_stays);
	tcase_add_test(t, after_a_revocation_the_standby_is_promoted_alone);
	tcase_add_test(t, an_imported_key_that_signs_retires_ours);
	tcase_add_test(t, the_last_removed_keys_are_remembered_and_no_more);
	tcase_add_test(t, all_roots_come_in_order);
	tcase_add_test(t, the_newest_root_is_the_root);
	return t;
}
