/* The key table; see the header. */
#include "keys/signer_table.h"

#include <stdlib.h>

#include "jose/b64.h"

/* A key has one use, so the header is a constant of the key. */
static enum err render_header(struct held_key *k, const char *typ)
{
	struct buf json;
	struct jsonw w;
	enum err e;

	buf_init(&json, NULL, JOSE_HEADER_MAX);
	jsonw_init(&w, &json);
	jsonw_object(&w);
	jsonw_member_z(&w, "alg", alg_name(k->alg));
	jsonw_member_z(&w, "typ", typ);
	jsonw_member_z(&w, "kid", k->kid);
	jsonw_end_object(&w);
	e = json.err;
	if (!e && B64URL_LEN(json.n) >= sizeof(k->header))
		e = ERR_LIMIT;
	if (!e) {
		b64url_encode_z(json.p, json.n, k->header);
		k->header_len = B64URL_LEN(json.n);
	}
	buf_done(&json);
	return e;
}

enum err held_key_new(struct str kid, struct signing_key *key, const struct signer_root *root,
		      const struct held_use *use, struct held_key **ret_held)
{
	struct held_key *k = calloc(1, sizeof(*k));
	enum err e = k ? ERR_OK : ERR_NOMEM;

	if (!k || kid.n == 0 || kid.n > KID_MAX || str_has_nul(kid)) {
		signing_key_free(key);
		free(k);
		return e ? e : ERR_SYNTAX;
	}
	atomic_init(&k->refs, 1);
	memcpy(k->kid, kid.p, kid.n);
	k->alg = signing_key_alg(key);
	k->key = key;
	k->root = root;
	k->exp_bound = use->exp_bound;
	e = render_header(k, use->typ);
	if (e)
		held_key_unref(k);
	else
		*ret_held = k;
	return e;
}

void held_key_unref(struct held_key *k)
{
	if (!k || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < SIGNER_CHANNELS_MAX; i++)
		sign_ctx_free(k->ctx[i]);
	signing_key_free(k->key);
	free(k);
}

/* Writers go first: signing threads come back every 30 us and would keep a switch waiting. */
enum err table_init(struct key_table *t, const char *issuer, int64_t longest_ttl)
{
	const bool bounded = longest_ttl > 0 && longest_ttl < ACCESS_TTL_MAX;
	const struct str name = issuer ? str_z(issuer) : STR("");
	pthread_rwlockattr_t attr;
	int failed;

	if (name.n > URI_MAX)
		return ERR_LIMIT;
	*t = (struct key_table){ .ttl_limit = bounded ? longest_ttl : ACCESS_TTL_MAX };
	memcpy(t->issuer, name.p, name.n);
	if (pthread_rwlockattr_init(&attr))
		return ERR_NOMEM;
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	failed = pthread_rwlock_init(&t->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return failed ? ERR_NOMEM : ERR_OK;
}

void table_done(struct key_table *t)
{
	for (size_t i = 0; i < HELD_MAX; i++)
		held_key_unref(t->held[i]);
	pthread_rwlock_destroy(&t->lock);
}

enum err table_policy(struct key_table *t, struct str issuer, int64_t longest_ttl,
		      uint32_t max_rate)
{
	enum err e = ERR_OK;

	if (issuer.n == 0 || issuer.n > URI_MAX || str_has_nul(issuer) || longest_ttl <= 0 ||
	    longest_ttl > t->ttl_limit)
		return ERR_SYNTAX;
	pthread_rwlock_wrlock(&t->lock);
	/* no option changes it while the server runs, so only a server in a stranger's hands would
	 */
	if (t->issuer[0] && !str_equal_z(issuer, t->issuer))
		e = ERR_CONFLICT;
	if (!e) {
		memcpy(t->issuer, issuer.p, issuer.n);
		t->issuer[issuer.n] = '\0';
		t->longest_ttl = longest_ttl;
		t->max_rate = max_rate;
	}
	pthread_rwlock_unlock(&t->lock);
	return e;
}

bool table_holds_keys(struct key_table *t)
{
	bool any = false;

	pthread_rwlock_rdlock(&t->lock);
	for (size_t i = 0; i < HELD_MAX; i++)
		any = any || t->held[i];
	pthread_rwlock_unlock(&t->lock);
	return any;
}

/* ---- the lock is held ---- */

static struct held_key *find(const struct key_table *t, struct str kid)
{
	for (size_t i = 0; i < HELD_MAX; i++) {
		if (t->held[i] && str_equal_z(kid, t->held[i]->kid))
			return t->held[i];
	}
	return NULL;
}

static enum err put(struct key_table *t, struct held_key *k)
{
	for (size_t i = 0; i < HELD_MAX; i++) {
		if (!t->held[i]) {
			t->held[i] = k;
			return ERR_OK;
		}
	}
	return ERR_LIMIT;
}

/* The caller unrefs it after the lock is gone. */
static void take_out(struct key_table *t, const struct held_key *k)
{
	for (size_t i = 0; i < HELD_MAX; i++) {
		if (t->held[i] == k)
			t->held[i] = NULL;
	}
	if (t->active[k->alg] == k)
		t->active[k->alg] = NULL;
}

static void raise_bound(struct held_key *k, int64_t exp_bound)
{
	if (k->exp_bound < exp_bound)
		k->exp_bound = exp_bound;
}

/* Gives the key that signed until now, out of the table, or NULL. */
static struct held_key *switch_to(struct key_table *t, struct held_key *next)
{
	struct held_key *old = t->active[next->alg];

	if (old == next)
		return NULL;
	if (old)
		take_out(t, old);
	t->active[next->alg] = next;
	return old;
}

/* ---- the lock is taken here ---- */

enum err table_load(struct key_table *t, struct held_key *k, bool active)
{
	struct held_key *present, *signs;
	enum err e = ERR_OK;

	pthread_rwlock_wrlock(&t->lock);
	present = find(t, str_z(k->kid));
	signs = t->active[k->alg];
	if ((present && present->alg != k->alg) || (active && signs && signs != present))
		e = ERR_CONFLICT;
	else if (!present)
		e = put(t, k);
	if (!e && active)
		t->active[k->alg] = present ? present : k;
	pthread_rwlock_unlock(&t->lock);
	if (e || present)
		held_key_unref(k);
	return e;
}

enum err table_activate(struct key_table *t, struct str kid, int64_t exp_bound,
			int64_t *ret_last_exp)
{
	struct held_key *next, *old = NULL;

	pthread_rwlock_wrlock(&t->lock);
	next = find(t, kid);
	if (next) {
		raise_bound(next, exp_bound);
		old = switch_to(t, next);
	}
	pthread_rwlock_unlock(&t->lock);
	if (!next)
		return ERR_NOT_FOUND;
	*ret_last_exp = old ? atomic_load(&old->last_exp) : 0;
	held_key_unref(old);
	return ERR_OK;
}

enum err table_bound(struct key_table *t, struct str kid, int64_t exp_bound)
{
	struct held_key *k;

	pthread_rwlock_wrlock(&t->lock);
	k = find(t, kid);
	if (k)
		raise_bound(k, exp_bound);
	pthread_rwlock_unlock(&t->lock);
	return k ? ERR_OK : ERR_NOT_FOUND;
}

enum err table_drop(struct key_table *t, struct str kid)
{
	struct held_key *k;

	pthread_rwlock_wrlock(&t->lock);
	k = find(t, kid);
	if (k)
		take_out(t, k);
	pthread_rwlock_unlock(&t->lock);
	held_key_unref(k);
	return k ? ERR_OK : ERR_NOT_FOUND;
}

bool claim_times_hold(const struct token_claim *c)
{
	return c->iat >= c->now - SIGNER_CLOCK_SLACK && c->iat <= c->now + SIGNER_CLOCK_SLACK &&
	       c->exp > c->iat;
}

enum err table_check_issuer(struct key_table *t, struct str iss)
{
	enum err e = ERR_OK;

	pthread_rwlock_rdlock(&t->lock);
	if (!t->longest_ttl)
		e = ERR_UNAVAILABLE;
	else if (!str_equal_z(iss, t->issuer))
		e = ERR_INTERNAL;
	pthread_rwlock_unlock(&t->lock);
	return e;
}

static void raise_last_exp(struct held_key *k, int64_t exp)
{
	int64_t seen = atomic_load_explicit(&k->last_exp, memory_order_relaxed);

	while (seen < exp &&
	       !atomic_compare_exchange_weak_explicit(&k->last_exp, &seen, exp,
						      memory_order_relaxed, memory_order_relaxed))
		;
}

/* The lock is held. */
static enum err judge_claim(const struct key_table *t, const struct token_claim *c)
{
	if (!t->longest_ttl)
		return ERR_UNAVAILABLE;
	/* a server that was taken over gets no token in another's name, nor one that outlives its
	 * hour */
	if (!str_equal_z(c->iss, t->issuer) || c->exp - c->iat > t->longest_ttl)
		return ERR_INTERNAL;
	return ERR_OK;
}

/* The lock is held. */
static enum err judge(const struct key_table *t, const struct token_claim *c)
{
	const struct held_key *k = t->active[c->alg];
	enum err e = k ? judge_claim(t, c) : ERR_UNAVAILABLE;

	return !e && c->exp > k->exp_bound ? ERR_UNAVAILABLE : e;
}

/* Counted in whole seconds: twice the rate may fall around the turn of one, which is near enough
 * for a bound that only a server gone astray ever meets. */
static bool rate_allows(struct key_table *t, int64_t now)
{
	uint64_t seen = atomic_load_explicit(&t->spent, memory_order_relaxed);
	uint64_t next;

	if (!t->max_rate)
		return true;
	do {
		bool same = (uint32_t)(seen >> 32) == (uint32_t)now;

		if (same && (uint32_t)seen >= t->max_rate)
			return false;
		next = same ? seen + 1 : (uint64_t)(uint32_t)now << 32 | 1;
	} while (!atomic_compare_exchange_weak_explicit(
		&t->spent, &seen, next, memory_order_relaxed, memory_order_relaxed));
	return true;
}

enum err table_admit_other(struct key_table *t, const struct token_claim *claim)
{
	enum err e;

	pthread_rwlock_rdlock(&t->lock);
	e = judge_claim(t, claim);
	if (!e && !rate_allows(t, claim->now))
		e = ERR_UNAVAILABLE;
	pthread_rwlock_unlock(&t->lock);
	return e;
}

enum err table_admit(struct key_table *t, const struct token_claim *claim,
		     struct held_key **ret_key)
{
	enum err e;

	pthread_rwlock_rdlock(&t->lock);
	e = judge(t, claim);
	if (!e && !rate_allows(t, claim->now))
		e = ERR_UNAVAILABLE;
	if (!e) {
		*ret_key = t->active[claim->alg];
		raise_last_exp(*ret_key, claim->exp);
		atomic_fetch_add_explicit(&(*ret_key)->refs, 1, memory_order_relaxed);
	}
	pthread_rwlock_unlock(&t->lock);
	return e;
}
