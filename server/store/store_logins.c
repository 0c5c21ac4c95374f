/* Logins: one row is the whole family of a refresh token, and its generation `n` is what a refresh
 * compares and swaps. Reuse of a single-use token has slipped through elsewhere by looking first
 * and acting later (CVE-2026-1035, CVE-2026-9802); here one step inside one transaction does both.
 */
#include "server/store/gate.h"
#include "server/store/sql.h"
#include "server/store/store_priv.h"

static void bind_id(struct db_stmt *s, const unsigned char id[LOGIN_ID_LEN])
{
	db_bind_bytes(s, 1, id, LOGIN_ID_LEN);
}

enum err store_login_create(struct db *db, const struct login *l)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_login_insert, &s);

	if (e)
		return e;
	bind_id(s, l->id);
	db_bind_bytes(s, 2, l->seed, LOGIN_SEED_LEN);
	db_bind_str(s, 3, l->sid);
	db_bind_str(s, 4, l->client_id);
	db_bind_str(s, 5, l->user_id);
	store_bind_text(s, 6, l->scope);
	store_bind_text(s, 7, l->audience);
	store_bind_text(s, 8, l->amr);
	db_bind_i64(s, 9, l->n);
	db_bind_i64(s, 10, l->auth_time);
	db_bind_i64(s, 11, l->created_at);
	db_bind_i64(s, 12, l->expires_at);
	db_bind_i64(s, 13, l->idle_until);
	db_bind_i64(s, 14, l->rotated_at);
	return db_run(s, NULL);
}

static bool copy_bytes(struct db_stmt *s, int col, unsigned char *out, size_t n)
{
	struct str bytes = db_str(s, col);

	if (bytes.n != n)
		return false;
	memcpy(out, bytes.p, n);
	return true;
}

static enum err read_login(struct arena *a, struct db_stmt *s, struct login *ret_login)
{
	struct login l = {
		.sid = store_text(a, s, 2),
		.client_id = store_text(a, s, 3),
		.user_id = store_text(a, s, 4),
		.scope = store_text(a, s, 5),
		.audience = store_text(a, s, 6),
		.amr = store_text(a, s, 7),
		.n = (uint32_t)db_i64(s, 8),
		.auth_time = db_i64(s, 9),
		.created_at = db_i64(s, 10),
		.expires_at = db_i64(s, 11),
		.idle_until = db_i64(s, 12),
		.rotated_at = db_i64(s, 13),
		.retries = db_i64(s, 14),
		.ended_at = db_i64(s, 15),
		.end_reason = store_text(a, s, 16),
	};

	if (arena_failed(a))
		return ERR_NOMEM;
	if (!copy_bytes(s, 0, l.id, LOGIN_ID_LEN) || !copy_bytes(s, 1, l.seed, LOGIN_SEED_LEN))
		return ERR_CORRUPT;
	*ret_login = l;
	return ERR_OK;
}

static enum err get_login(struct db *db, struct arena *a, const unsigned char id[LOGIN_ID_LEN],
			  struct login *ret_login)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_login_get, &s);

	if (e)
		return e;
	bind_id(s, id);
	e = store_one(s);
	if (!e)
		e = read_login(a, s, ret_login);
	db_end(s);
	return e;
}

/* Row, MAC under the row's seed, same client: in this order, and all failures alike ERR_NOT_FOUND.
 * The MAC covers the client the login belongs to, so a token of another client's login is genuine
 * here and is refused by the comparison (RFC 6749 6: the token must be the authenticated client's).
 */
static enum err find_login(struct db *db, struct arena *a, const struct refresh_request *in,
			   struct login *ret_login)
{
	struct refresh_bind bind = in->bind;
	struct login l;
	enum err e = get_login(db, a, in->name.login, &l);

	if (e)
		return e;
	bind.seed = l.seed;
	bind.client_id = l.client_id;
	if (!refresh_genuine(&in->name, &bind) || !str_equal(l.client_id, in->client_id))
		return ERR_NOT_FOUND;
	*ret_login = l;
	return ERR_OK;
}

static bool login_alive(const struct login *l, int64_t now)
{
	return l->ended_at == 0 && now < l->expires_at && now < l->idle_until;
}

/* Client and user as they are in this transaction; ERR_NOT_FOUND when one is gone. */
static enum err pass_gate(struct db *db, struct arena *a, const struct login *l,
			  struct user *ret_user)
{
	struct client client;
	const char *why;
	enum err e = store_client_get(db, a, l->client_id, &client);

	if (!e)
		e = store_user_get(db, a, l->user_id, ret_user);
	if (!e && gate_subject(&client, ret_user, &why))
		e = ERR_NOT_FOUND;
	return e;
}

/* A login that has ended can have no good token left, whenever issued: iat_max is the entry's own
 * end. */
static enum err end_login(struct db *db, const struct login *l, const char *reason,
			  const struct refresh_request *in)
{
	const struct revocation entry = { .kind = REVOKE_SID,
					  .value = l->sid,
					  .iat_max = in->revoke_until,
					  .until = in->revoke_until,
					  .client_id = l->client_id };
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_login_end, &s);

	if (e)
		return e;
	bind_id(s, l->id);
	db_bind_i64(s, 2, in->now);
	db_bind_str(s, 3, str_z(reason));
	e = db_run(s, NULL);
	return e ? e : store_revoke(db, &entry);
}

static int64_t idle_until(const struct refresh_request *in, const struct login *l)
{
	int64_t until = in->now + in->idle_ttl;

	return until < l->expires_at ? until : l->expires_at;
}

/* One row must change. None means that another writer was faster, which SQLite's single writer
 * excludes and PostgreSQL does not: then nothing happened here and the caller may try again. */
static enum err run_swap(struct db_stmt *s)
{
	int64_t changed;
	enum err e = db_run(s, &changed);

	return e || changed == 1 ? e : ERR_BUSY;
}

static enum err rotate(struct db *db, const struct refresh_request *in, struct login *l)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_login_rotate, &s);

	if (e)
		return e;
	bind_id(s, l->id);
	db_bind_i64(s, 2, l->n);
	db_bind_i64(s, 3, in->now);
	db_bind_i64(s, 4, idle_until(in, l));
	e = run_swap(s);
	if (e)
		return e;
	l->n++;
	l->rotated_at = in->now;
	l->retries = 0;
	l->idle_until = idle_until(in, l);
	return ERR_OK;
}

static enum err extend(struct db *db, const struct refresh_request *in, struct login *l)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_login_extend, &s);

	if (e)
		return e;
	bind_id(s, l->id);
	db_bind_i64(s, 2, l->n);
	db_bind_i64(s, 3, idle_until(in, l));
	e = run_swap(s);
	if (!e)
		l->idle_until = idle_until(in, l);
	return e;
}

static enum err repeat(struct db *db, struct login *l)
{
	struct db_stmt *s;
	enum err e = db_stmt(db, sql_login_repeat, &s);

	if (e)
		return e;
	bind_id(s, l->id);
	db_bind_i64(s, 2, l->n);
	e = run_swap(s);
	if (!e)
		l->retries++;
	return e;
}

/* A clock that went back counts as inside, but no further than the window reaches forward. */
static bool in_window(const struct refresh_request *in, const struct login *l)
{
	int64_t age = in->now - l->rotated_at;

	return age <= in->retry_window && age >= -in->retry_window;
}

/* RFC 9700 4.14.2: what the generation of the token means for the login. Lost answers are normal,
 * so the token just before the live one buys the same successor for a little while. */
static enum refresh_outcome judge(const struct refresh_request *in, const struct login *l)
{
	uint32_t n = in->name.n;

	if (n > l->n)
		return REFRESH_AHEAD;
	if (n == l->n)
		return n == UINT32_MAX ? REFRESH_UNKNOWN : REFRESH_ROTATED;
	if (n != l->n - 1 || !in_window(in, l))
		return REFRESH_REUSED;
	return l->retries < REFRESH_RETRY_MAX ? REFRESH_REPEATED : REFRESH_TOO_MANY;
}

static enum err act(struct db *db, const struct refresh_request *in, enum refresh_outcome outcome,
		    struct login *l)
{
	switch (outcome) {
	case REFRESH_ROTATED:
		return in->rotate ? rotate(db, in, l) : extend(db, in, l);
	case REFRESH_REPEATED:
		return repeat(db, l);
	case REFRESH_REUSED:
		return end_login(db, l, "refresh token reused", in);
	case REFRESH_AHEAD:
		return end_login(db, l, "refresh token of a generation not yet made", in);
	case REFRESH_UNKNOWN:
	case REFRESH_TOO_MANY:
	case REFRESH_SUBJECT:
		break;
	}
	return ERR_OK;
}

/* ERR_NOT_FOUND and what the gate refuses are outcomes here; all else is a storage error. */
static enum err decide(struct db *db, struct arena *a, const struct refresh_request *in,
		       struct refresh_result *r)
{
	enum err e = find_login(db, a, in, &r->login);

	if (e == ERR_NOT_FOUND || (!e && !login_alive(&r->login, in->now))) {
		r->outcome = REFRESH_UNKNOWN;
		return ERR_OK;
	}
	if (e)
		return e;
	e = pass_gate(db, a, &r->login, &r->user);
	r->outcome = e ? REFRESH_SUBJECT : judge(in, &r->login);
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err store_refresh(struct db *db, struct arena *a, const struct refresh_request *in,
		       struct refresh_result *ret_result)
{
	struct refresh_result r = { .outcome = REFRESH_UNKNOWN };
	enum err e = decide(db, a, in, &r);

	if (!e)
		e = act(db, in, r.outcome, &r.login);
	if (!e)
		*ret_result = r;
	return e;
}

/* RFC 7009 2.2: a token we do not know is no error. An expired login is ended too, because its last
 * access token may outlive it. */
enum err store_login_revoke(struct db *db, struct arena *a, const struct refresh_request *in,
			    bool *ret_ended, struct login *ret_login)
{
	struct login l;
	enum err e = find_login(db, a, in, &l);

	if (e == ERR_NOT_FOUND || (!e && l.ended_at != 0)) {
		*ret_ended = false;
		return ERR_OK;
	}
	if (!e)
		e = end_login(db, &l, "revoked by its client", in);
	if (e)
		return e;
	l.ended_at = in->now;
	*ret_login = l;
	*ret_ended = true;
	return ERR_OK;
}

enum err store_login_inspect(struct db *db, struct arena *a, const struct refresh_request *in,
			     struct login *ret_login, struct user *ret_user)
{
	struct user user;
	struct login l;
	enum err e = find_login(db, a, in, &l);

	if (!e && (!login_alive(&l, in->now) || l.n != in->name.n))
		e = ERR_NOT_FOUND;
	if (!e)
		e = pass_gate(db, a, &l, &user);
	if (e)
		return e;
	*ret_login = l;
	*ret_user = user;
	return ERR_OK;
}
