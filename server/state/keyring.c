/* What the keyring's files share: turns, settings, the freshness promised, and filling a signer. */
#include "base/fault.h"
#include "server/state/keyring_priv.h"

static const char meta_freshness[] = "keys.freshness";
static const char meta_longest_ttl[] = "keys.longest_ttl";

/* ---- turns ---- */

void keyring_turn_take(struct keyring *k)
{
	pthread_mutex_lock(&k->lock);
	while (k->acting)
		pthread_cond_wait(&k->turn_over, &k->lock);
	k->acting = true;
	pthread_mutex_unlock(&k->lock);
}

void keyring_turn_end(struct keyring *k)
{
	pthread_mutex_lock(&k->lock);
	k->acting = false;
	pthread_cond_signal(&k->turn_over);
	pthread_mutex_unlock(&k->lock);
}

int64_t keyring_now(struct keyring *k)
{
	int64_t now;

	pthread_mutex_lock(&k->lock);
	if (k->judged_at)
		now = k->judged_wall + (k->env->monotonic(k->env) - k->judged_at) / 1000000;
	else
		now = k->env->now(k->env);
	pthread_mutex_unlock(&k->lock);
	return now;
}

void keyring_set_time(struct keyring *k, int64_t wall)
{
	pthread_mutex_lock(&k->lock);
	k->judged_wall = wall;
	k->judged_at = k->env->monotonic(k->env);
	pthread_mutex_unlock(&k->lock);
}

void keyring_counts(struct keyring *k, struct keyring_counts *ret_counts)
{
	pthread_mutex_lock(&k->lock);
	*ret_counts = k->counts;
	pthread_mutex_unlock(&k->lock);
}

/* ---- settings ---- */

static int64_t bound_step(int64_t rotate_every)
{
	if (rotate_every >= KEYRING_BOUND_STEP)
		return KEYRING_BOUND_STEP;
	return rotate_every < KEYRING_BOUND_STEP_MIN ? KEYRING_BOUND_STEP_MIN : rotate_every;
}

/* Any client or api may be given a lifetime up to tokens.max_ttl at any time, so that is what the
 * plan covers, whatever the other options say today. */
void keyring_settings_read(const struct config *config, struct keyring_settings *ret_settings)
{
	struct keyring_settings s = {
		.policy = { .rotate_every = config->keys.rotate_every,
			    .jwks_max_age = config->keys.jwks_max_age,
			    .longest_ttl = config->tokens.max_ttl,
			    .skew = config->keys.clock_skew,
			    .wait_max = config->keys.wait_max,
			    .bound_step = bound_step(config->keys.rotate_every) },
		.alg_count = config->keys.alg_count,
		.default_alg = config->tokens.alg,
		.max_rate = (uint32_t)config->keys.max_rate,
	};
	size_t n = config->issuer.n < URI_MAX ? config->issuer.n : URI_MAX;

	memcpy(s.algs, config->keys.algs, sizeof(s.algs));
	memcpy(s.issuer, config->issuer.p, n);
	*ret_settings = s;
}

struct keyring_settings keyring_settings_get(struct keyring *k)
{
	struct keyring_settings s;

	pthread_mutex_lock(&k->lock);
	s = k->settings;
	pthread_mutex_unlock(&k->lock);
	return s;
}

void keyring_configure(struct keyring *k, const struct config *config)
{
	struct keyring_settings s;

	keyring_settings_read(config, &s);
	pthread_mutex_lock(&k->lock);
	k->settings = s;
	k->settings_changed = true;
	pthread_mutex_unlock(&k->lock);
}

bool keyring_is_configured(const struct keyring_settings *s, enum alg alg)
{
	for (size_t i = 0; i < s->alg_count; i++) {
		if (s->algs[i] == alg)
			return true;
	}
	return false;
}

void keyring_set_outlook(struct keyring *k, const struct key_outlook *outlook)
{
	pthread_mutex_lock(&k->lock);
	k->outlook = *outlook;
	pthread_mutex_unlock(&k->lock);
}

struct key_outlook keyring_outlook(struct keyring *k)
{
	struct key_outlook outlook;

	pthread_mutex_lock(&k->lock);
	outlook = k->outlook;
	pthread_mutex_unlock(&k->lock);
	return outlook;
}

void keyring_set_switching(struct keyring *k, bool switching)
{
	pthread_mutex_lock(&k->lock);
	k->switching = switching;
	pthread_mutex_unlock(&k->lock);
}

bool keyring_is_silent(struct keyring *k, struct str kid)
{
	const struct keyring_key *key;
	bool silent;

	pthread_mutex_lock(&k->lock);
	key = keyring_key_named(k, kid);
	silent = !k->switching && key && key->info.state == KEY_STANDBY;
	pthread_mutex_unlock(&k->lock);
	return silent;
}

/* ---- promises (rules 2 and 3) ---- */

enum err keyring_promises_read(struct db *db, struct keyring_promises *ret_promises)
{
	enum err e = store_meta_get_i64(db, meta_freshness, &ret_promises->freshness);

	return e ? e : store_meta_get_i64(db, meta_longest_ttl, &ret_promises->longest_ttl);
}

enum err keyring_promises_write(struct db *db, const struct keyring_promises *p)
{
	enum err e = store_meta_put_i64(db, meta_freshness, p->freshness);

	return e ? e : store_meta_put_i64(db, meta_longest_ttl, p->longest_ttl);
}

struct keyring_promises keyring_promises_of(const struct keyring_settings *settings)
{
	return (struct keyring_promises){
		.freshness = key_plan_promise(&settings->policy),
		.longest_ttl = settings->policy.longest_ttl,
	};
}

int64_t keyring_freshness(struct keyring *k)
{
	int64_t seconds;

	pthread_mutex_lock(&k->lock);
	seconds = k->promises.freshness;
	pthread_mutex_unlock(&k->lock);
	return seconds;
}

static enum err run_promise(struct lane_ctx *ctx, void *arg)
{
	return keyring_promises_write(ctx->db, arg);
}

static int64_t longer(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Written by whoever has the turn only. */
enum err keyring_promise(struct keyring *k, const struct keyring_settings *settings)
{
	struct keyring_promises p = keyring_promises_of(settings);
	enum err e;

	p.freshness = longer(p.freshness, k->promises.freshness);
	p.longest_ttl = longer(p.longest_ttl, k->promises.longest_ttl);
	if (p.freshness == k->promises.freshness && p.longest_ttl == k->promises.longest_ttl)
		return ERR_OK;
	e = k->store.write(k->store.arg, run_promise, &p);
	if (!e)
		e = FAILPOINT("key.promise.committed");
	if (e)
		return e;
	pthread_mutex_lock(&k->lock);
	k->promises = p;
	pthread_mutex_unlock(&k->lock);
	return ERR_OK;
}

/* ---- the signer ---- */

static enum err load_actives(struct keyring *k)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < k->view->count && !e; i++) {
		const struct keyring_key *key = &k->view->keys[i];
		struct key_info held = key->info;
		int64_t unused;

		if (key->info.state != KEY_ACTIVE)
			continue;
		/* held first, then switched to: a signer that still has the key before it loses
		 * that one */
		held.state = KEY_STANDBY;
		e = signer_load(k->control, &held, key->sealed);
		if (!e)
			e = signer_activate(k->control, str_z(held.kid), held.exp_bound, &unused);
	}
	return e;
}

enum err keyring_keep_root(struct keyring *k, int64_t version, struct str sealed)
{
	struct root_kept *kept = &k->roots[k->root_count];

	if (k->root_count == SIGNER_ROOTS_MAX || sealed.n > sizeof(kept->sealed) || version <= 0 ||
	    version > UINT32_MAX)
		return ERR_CORRUPT;
	*kept = (struct root_kept){ .version = (uint32_t)version, .sealed_len = sealed.n };
	memcpy(kept->sealed, sealed.p, sealed.n);
	k->root_count++;
	return ERR_OK;
}

enum err keyring_load_roots(struct keyring *k, bool *ret_by_next)
{
	enum err e = ERR_OK;

	*ret_by_next = false;
	for (size_t i = 0; i < k->root_count && !e; i++) {
		const struct root_kept *root = &k->roots[i];
		struct buf unused;
		bool by_next = false;

		buf_init(&unused, NULL, ROOT_SEALED_MAX);
		e = signer_root(k->control, root->version, str_n(root->sealed, root->sealed_len),
				&unused, &by_next);
		buf_done(&unused);
		*ret_by_next = *ret_by_next || by_next;
	}
	return e;
}

enum err keyring_fill_signer(struct keyring *k, bool *ret_by_next)
{
	struct keyring_settings s = keyring_settings_get(k);
	enum err e = keyring_load_roots(k, ret_by_next);

	if (!e)
		e = signer_policy(k->control, str_z(s.issuer), s.policy.longest_ttl, s.max_rate);
	return e ? e : load_actives(k);
}

enum err keyring_reload_signer(struct keyring *k, struct signer_channel *fresh)
{
	bool by_next;
	enum err e;

	keyring_turn_take(k);
	if (fresh != k->control) {
		signer_channel_close(k->control);
		*k->control = (struct signer_channel){ .fd = fresh->fd };
		fresh->fd = -1;
	}
	k->loaded_at = keyring_now(k);
	/* what the view calls active may have been revoked by a commit whose answer was lost */
	if (k->stale)
		e = keyring_follow(k);
	else
		e = k->over ? ERR_OK : keyring_fill_signer(k, &by_next);
	k->stale = e != ERR_OK;
	keyring_turn_end(k);
	return e;
}

enum err keyring_derive(struct keyring *k, const char *label, struct secret *ret_key)
{
	enum err e;

	keyring_turn_take(k);
	e = signer_derive(k->control, label, ret_key);
	keyring_turn_end(k);
	return e;
}

enum err keyring_derive_at(struct keyring *k, int64_t version, const char *label,
			   struct secret *ret_key)
{
	enum err e;

	if (version < 1 || version > UINT8_MAX)
		return ERR_NOT_FOUND;
	keyring_turn_take(k);
	e = signer_derive_at(k->control, (uint32_t)version, label, ret_key);
	keyring_turn_end(k);
	return e;
}

const char *keyring_lint(struct keyring *k, int64_t now, char *text, size_t size)
{
	struct keyring_settings s = keyring_settings_get(k);
	struct keyring_view *v = keyring_view_get(k);
	const char *fault = key_plan_lint(v->infos, v->count, &s.policy, s.algs, s.alg_count, now,
					  text, size);

	if (!fault)
		fault = keyring_lint_list(k, v, text, size);
	keyring_view_unref(v);
	return fault;
}

bool keyring_is_over(struct keyring *k)
{
	return k->over;
}

uint8_t keyring_key_id(const struct keyring *k)
{
	return k->key_id;
}

size_t keyring_forecast(struct keyring *k, int64_t now, struct key_foreseen *ret_events, size_t cap)
{
	struct keyring_settings s = keyring_settings_get(k);
	struct key_outlook outlook = keyring_outlook(k);
	struct keyring_view *v = keyring_view_get(k);
	size_t n = key_plan_forecast(v->infos, v->count, &s.policy, s.algs, s.alg_count, &outlook,
				     now, ret_events, cap);

	keyring_view_unref(v);
	return n;
}
