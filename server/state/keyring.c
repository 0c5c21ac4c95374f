/* What the keyring's files share: turns, settings, the freshness promised, and filling a signer. */
#include "server/state/keyring_priv.h"

enum { META_MAX = 1024 };

static const char meta_freshness[] = "keys.freshness";

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

int64_t keyring_now(const struct keyring *k)
{
	return k->env->now(k->env);
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
			    .bound_step = bound_step(config->keys.rotate_every) },
		.alg_count = config->keys.alg_count,
		.default_alg = config->tokens.alg,
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

/* ---- the longest freshness ever promised (rule 2) ---- */

enum err keyring_freshness_read(struct db *db, int64_t *ret_seconds)
{
	struct arena *a;
	struct str text;
	enum err e = arena_new(META_MAX, &a);

	if (e)
		return e;
	e = store_meta_get(db, a, meta_freshness, &text);
	if (e == ERR_NOT_FOUND) {
		*ret_seconds = 0;
		e = ERR_OK;
	} else if (!e && str_to_i64(text, 0, INT64_MAX, ret_seconds)) {
		e = ERR_CORRUPT;
	}
	arena_free(a);
	return e;
}

enum err keyring_freshness_write(struct db *db, int64_t seconds)
{
	char digits[32];
	struct buf text;
	struct str value;
	enum err e;

	buf_init(&text, NULL, sizeof(digits));
	buf_i64(&text, seconds);
	e = buf_end(&text, &value);
	if (!e)
		e = store_meta_put(db, meta_freshness, value);
	buf_done(&text);
	return e;
}

static enum err run_promise(struct lane_ctx *ctx, void *arg)
{
	return keyring_freshness_write(ctx->db, *(const int64_t *)arg);
}

enum err keyring_promise(struct keyring *k, const struct keyring_settings *settings)
{
	int64_t seconds = settings->policy.jwks_max_age;
	enum err e;

	if (seconds <= k->freshness) /* written by whoever has the turn only */
		return ERR_OK;
	e = k->store.write(k->store.arg, run_promise, &seconds);
	if (e)
		return e;
	pthread_mutex_lock(&k->lock);
	k->freshness = seconds;
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

enum err keyring_fill_signer(struct keyring *k)
{
	struct keyring_settings s = keyring_settings_get(k);
	struct buf unused;
	bool by_next;
	enum err e;

	buf_init(&unused, NULL, ROOT_SEALED_MAX);
	e = signer_root(k->control, (uint32_t)k->root_version,
			str_n(k->root_sealed, k->root_sealed_len), &unused, &by_next);
	buf_done(&unused);
	if (!e)
		e = signer_policy(k->control, str_z(s.issuer), s.policy.longest_ttl, 0);
	return e ? e : load_actives(k);
}

enum err keyring_reload_signer(struct keyring *k, struct signer_channel *fresh)
{
	enum err e;

	keyring_turn_take(k);
	if (fresh != k->control) {
		signer_channel_close(k->control);
		*k->control = (struct signer_channel){ .fd = fresh->fd };
		fresh->fd = -1;
	}
	k->loaded_at = keyring_now(k);
	e = keyring_fill_signer(k);
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

const char *keyring_lint(struct keyring *k, int64_t now, char *text, size_t size)
{
	struct keyring_settings s = keyring_settings_get(k);
	struct keyring_view *v = keyring_view_get(k);
	const char *fault = key_plan_lint(v->infos, v->count, &s.policy, s.algs, s.alg_count, now,
					  text, size);

	keyring_view_unref(v);
	return fault;
}
