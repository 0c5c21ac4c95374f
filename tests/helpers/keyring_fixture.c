/* See the header. */
#include "tests/helpers/keyring_fixture.h"

#include <check.h>
#include <stdio.h>

#include "jose/jws.h"
#include "server/state/revoked_kids.h"

struct keyring_fixture o;

/* ---- the store ---- */

static enum err in_transaction(enum err (*run)(struct lane_ctx *, void *), void *arg)
{
	struct lane_ctx ctx = { .db = o.store.db, .env = &o.store.fake.env };
	enum err e = db_begin(o.store.db);

	if (!e)
		e = run(&ctx, arg);
	if (!e && o.mood == STORE_WORKS && db_in_transaction(o.store.db)) {
		/* as after a batch that had to be run again */
		db_rollback(o.store.db);
		e = db_begin(o.store.db);
		if (!e)
			e = run(&ctx, arg);
	}
	if (!e)
		return db_commit(o.store.db);
	db_rollback(o.store.db);
	return e;
}

static enum err run_in_mood(enum err (*run)(struct lane_ctx *, void *), void *arg)
{
	enum err e;

	if (o.mood == STORE_REFUSES)
		return ERR_FULL;
	e = in_transaction(run, arg);
	return e || o.mood == STORE_WORKS ? e : ERR_UNAVAILABLE;
}

static enum err step(void *arg, enum err (*run)(struct lane_ctx *, void *), void *run_arg)
{
	enum err e = run_in_mood(run, run_arg);

	(void)arg;
	if (o.after_step)
		o.after_step();
	return e;
}

static const struct keyring_store steps = { .write = step, .read = step };

/* ---- up and down ---- */

enum err open_keyring(bool make)
{
	const struct keyring_means means = {
		.env = &o.store.fake.env,
		.config = &o.config,
		.store = steps,
		.control = &o.signer.control,
		.custody = o.custody,
		.revoked_kids = o.revoked_kids,
	};

	return keyring_open(&means, make, &o.keyring);
}

void configure(void)
{
	o.config = (struct config){
		.issuer = STR(FIXTURE_ISSUER),
		.tokens = { .alg = ALG_ES256, .max_ttl = ACCESS_TTL_MAX },
		.keys = { .algs = { ALG_ES256 },
			  .alg_count = 1,
			  .rotate_every = PERIOD,
			  .jwks_max_age = MAX_AGE,
			  .clock_skew = KEYRING_SKEW },
	};
}

void keyring_up(void)
{
	signer_fixture_start(&o.signer);
	signer_fixture_clock(&o.signer, FIXTURE_NOW);
	store_fixture_up(&o.store);
	snprintf(o.revoked_kids, sizeof(o.revoked_kids), "%s/revoked-kids", o.store.dir);
	configure();
	buf_init(&o.token, NULL, JWT_SIZE_MAX);
	OK(arena_new(1 << 20, &o.arena));
	OK(open_keyring(true));
}

void keyring_down(void)
{
	keyring_free(o.keyring);
	arena_free(o.arena);
	buf_done(&o.token);
	store_fixture_down(&o.store);
	signer_fixture_stop(&o.signer);
}

int64_t now(void)
{
	return o.store.fake.env.now(&o.store.fake.env);
}

void advance(int64_t seconds)
{
	fake_env_advance(&o.store.fake, seconds);
	signer_fixture_clock(&o.signer, now());
}

void reopen(void)
{
	keyring_free(o.keyring);
	o.keyring = NULL;
	store_fixture_reopen(&o.store);
	signer_fixture_restart(&o.signer);
	OK(open_keyring(false));
}

/* ---- looking ---- */

/* A copy: the view does not stay. */
struct key_info info_of(enum key_state state)
{
	struct keyring_view *v = keyring_view_get(o.keyring);
	const struct key_info *found = key_plan_find(v->infos, v->count, ALG_ES256, state);
	struct key_info info = { .kid = "" };

	if (found)
		info = *found;
	keyring_view_unref(v);
	return info;
}

size_t count_in(enum key_state state)
{
	struct keyring_view *v = keyring_view_get(o.keyring);
	size_t n = 0;

	for (size_t i = 0; i < v->count; i++)
		n += v->infos[i].state == state;
	keyring_view_unref(v);
	return n;
}

void assert_lint(void)
{
	char text[256];
	const char *fault = keyring_lint(o.keyring, now(), text, sizeof(text));

	ck_assert_msg(!fault, "%s", fault);
}

struct key_info stored(const char *kid)
{
	struct key_row *rows;
	size_t count;

	arena_reset(o.arena);
	OK(store_keys(o.store.db, o.arena, &rows, &count));
	for (size_t i = 0; i < count; i++) {
		if (strcmp(rows[i].info.kid, kid) == 0)
			return rows[i].info;
	}
	ck_abort_msg("no key %s", kid);
}

int64_t count_rows(const char *sql)
{
	struct db_stmt *s;
	int64_t n;
	bool row;

	OK(db_stmt(o.store.db, sql, &s));
	OK(db_step(s, &row));
	n = db_i64(s, 0);
	db_end(s);
	return n;
}

void change_database(const char *sql)
{
	OK(db_script(o.store.db, sql));
}

/* A bound is never lowered, so that asking changes nothing. */
bool is_held(const char *kid)
{
	enum err e = signer_bound(&o.signer.control, str_z(kid), 0);

	ck_assert(e == ERR_OK || e == ERR_NOT_FOUND);
	return e == ERR_OK;
}

bool is_published(const char *kid)
{
	struct keyring_view *v = keyring_view_get(o.keyring);
	struct str text = v->documents[JWKS_WHOLE].text;
	bool found = text.n && memmem(text.p, text.n, kid, strlen(kid));

	ck_assert_int_eq(found, keyring_verifier(v, str_z(kid)) != NULL);
	keyring_view_unref(v);
	return found;
}

bool is_listed(const char *kid)
{
	struct buf text;
	bool has;

	buf_init(&text, NULL, REVOKED_KIDS_FILE_MAX);
	OK(revoked_kids_read(o.revoked_kids, &text));
	has = revoked_kids_has(str_n(text.p, text.n), str_z(kid));
	buf_done(&text);
	return has;
}

/* ---- signing and verifying ---- */

enum err issue(int64_t ttl, struct issued *ret)
{
	char claims[512];
	struct signed_token token;
	enum err e;

	snprintf(claims, sizeof(claims),
		 "{\"iss\":\"" FIXTURE_ISSUER "\",\"sub\":\"a\",\"aud\":\"u\",\"client_id\":\"a\","
		 "\"iat\":%lld,\"exp\":%lld}",
		 (long long)now(), (long long)(now() + ttl));
	e = signer_sign(&o.signer.signing[0], TOKEN_ACCESS, ALG_ES256, str_z(claims), &o.token,
			&token);
	if (e)
		return e;
	snprintf(ret->text, sizeof(ret->text), "%.*s", STR_ARG(token.text));
	memcpy(ret->kid, token.kid, sizeof(ret->kid));
	ret->exp = now() + ttl;
	return ERR_OK;
}

bool verifies(const struct issued *token)
{
	struct keyring_view *v = keyring_view_get(o.keyring);
	AUTO(jwks, set) = NULL;
	const struct jwk *key;
	struct jws jws;
	bool good;

	arena_reset(o.arena);
	OK(jwks_parse(v->documents[JWKS_WHOLE].text, &set));
	OK(jws_parse(o.arena, str_z(token->text), &jws));
	key = jwks_find(set, jws.kid);
	good = key && jws_verify(&jws, key) == ERR_OK && keyring_verifier(v, jws.kid);
	keyring_view_unref(v);
	return good;
}

void assert_signs_with(const char *kid)
{
	struct issued token;

	OK(issue(300, &token));
	ck_assert_str_eq(token.kid, kid);
	ck_assert(verifies(&token));
}

enum err tend(void)
{
	int64_t next;
	bool changed;

	return keyring_tend(o.keyring, &next, &changed);
}

enum err rotate(bool force, struct rotate_result *ret)
{
	return keyring_rotate(o.keyring, ALG_ES256, force, NULL, ret);
}

/* ---- emergencies ---- */

enum err revoke_key(const char *kid, struct revoke_result *ret)
{
	const struct audit_row audit = { .at = now(),
					 .event = STR("key.revoke"),
					 .outcome = STR("ok"),
					 .actor = STR("uid:0"),
					 .target = str_z(kid),
					 .count = 1 };

	enum err e = keyring_revoke(o.keyring, str_z(kid), &audit, ret);

	if (!e)
		keyring_make_good(o.keyring, ret->alg, ret);
	return e;
}

static int64_t count_entries(const char *kid)
{
	char sql[256];

	snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM revocations WHERE value = '%s'", kid);
	return count_rows(sql);
}

void assert_gone(const char *kid)
{
	struct key_info info = stored(kid);

	ck_assert_int_eq(info.state, KEY_REVOKED);
	ck_assert_int_gt(info.revoked_at, 0);
	ck_assert(!is_held(kid));
	ck_assert(!is_published(kid));
	ck_assert(is_listed(kid));
	ck_assert_int_eq(count_entries(kid), 1);
	ck_assert_int_eq(count_rows("SELECT COUNT(*) FROM keys WHERE state = 'revoked' AND "
				    "length(sealed) > 0"),
			 0);
}

void assert_whole(void)
{
	assert_signs_with(info_of(KEY_ACTIVE).kid);
	ck_assert_str_ne(info_of(KEY_STANDBY).kid, "");
	ck_assert(!is_held(info_of(KEY_STANDBY).kid));
	advance(READY_AFTER);
	OK(tend());
	assert_lint();
}

void tend_until_done(void)
{
	for (int i = 0; i < 4; i++) {
		advance(11); /* after a failure it pauses */
		OK(tend());
	}
}

void lose_standby(void)
{
	change_database("DELETE FROM keys WHERE state = 'standby'");
	keyring_free(o.keyring);
	o.keyring = NULL;
	OK(open_keyring(false));
	ck_assert_str_eq(info_of(KEY_STANDBY).kid, "");
}
