/* Views: what requests see of the keys. Built whole from the rows of one transaction, then
 * immutable. */
#include "server/state/keyring_priv.h"

#include "base/json.h"

enum { JWKS_TEXT_MAX = 65536, PUBLIC_JWK_MAX = 4096 };

enum err key_rows_new(struct key_rows *ret_rows)
{
	*ret_rows = (struct key_rows){ .arena = NULL };
	return arena_new(KEYS_ARENA_MAX, &ret_rows->arena);
}

void key_rows_done(struct key_rows *r)
{
	arena_free(r->arena);
	*r = (struct key_rows){ .arena = NULL };
}

enum err key_rows_read(struct db *db, struct key_rows *r)
{
	arena_reset(r->arena);
	r->rows = NULL;
	r->count = 0;
	r->err = store_keys(db, r->arena, &r->rows, &r->count);
	return r->err;
}

static bool has_public_half(const struct key_info *info)
{
	return info->state != KEY_REMOVED && info->state != KEY_REVOKED;
}

static enum err parse_public(const struct key_row *row, struct jwk **ret_key)
{
	struct json *object;
	enum err e = json_parse(row->public_jwk, PUBLIC_JWK_MAX, &object);

	if (!e) {
		e = jwk_from_json(object, ret_key);
		json_free(object);
	}
	/* what OpenSSL cannot do, for want of memory too, says nothing about the row */
	if (e)
		return e == ERR_NOMEM || e == ERR_CRYPTO ? e : ERR_CORRUPT;
	/* rows that were exchanged or edited: the kid that signs must be the key that is published
	 */
	if (str_equal_z(jwk_kid(*ret_key), row->info.kid) && jwk_alg(*ret_key) == row->info.alg)
		return ERR_OK;
	jwk_free(*ret_key);
	*ret_key = NULL;
	return ERR_CORRUPT;
}

enum err key_row_check(const struct key_row *row)
{
	struct jwk *key;
	enum err e = parse_public(row, &key);

	if (!e)
		jwk_free(key);
	return e;
}

static enum err add_key(struct keyring_view *v, const struct key_row *row)
{
	struct keyring_key *key = &v->keys[v->count];
	enum err e;

	*key = (struct keyring_key){
		.info = row->info,
		.public_jwk = row->public_jwk,
		.sealed = row->sealed,
	};
	v->infos[v->count] = row->info;
	e = has_public_half(&row->info) ? parse_public(row, &key->public_key) : ERR_OK;
	if (!e)
		v->count++;
	return e;
}

static enum err render_kind(struct keyring_view *v, const struct published_key *published,
			    size_t kind, enum alg lead)
{
	struct jwks_document *d = &v->documents[kind];
	struct buf text;
	enum err e;

	buf_init(&text, v->arena, JWKS_TEXT_MAX);
	e = jwks_render(published, v->count, kind, lead, &text);
	if (e == ERR_NOT_FOUND)
		return ERR_OK;
	if (!e)
		e = buf_end(&text, &d->text);
	for (size_t t = 0; t < JWKS_TYPES && !e; t++)
		jwks_etag(d->text, jwks_types[t], d->etags[t]);
	return e;
}

static enum err render(struct keyring_view *v, enum alg lead)
{
	struct published_key *published = arena_array(v->arena, v->count,
						      sizeof(struct published_key));
	enum err e = published ? ERR_OK : ERR_NOMEM;

	for (size_t i = 0; i < v->count && !e; i++)
		published[i] = (struct published_key){ &v->infos[i], v->keys[i].public_key };
	for (size_t kind = 0; kind < JWKS_KINDS && !e; kind++)
		e = render_kind(v, published, kind, lead);
	return e;
}

uint64_t kid_mark(struct str kid)
{
	uint64_t mark = 0xcbf29ce484222325; /* FNV-1a */

	for (size_t i = 0; i < kid.n; i++)
		mark = (mark ^ (unsigned char)kid.p[i]) * 0x100000001b3;
	return mark ? mark : 1;
}

static void mark_standbys(struct keyring_view *v)
{
	for (size_t i = 0; i < v->count; i++) {
		if (v->infos[i].state == KEY_STANDBY)
			v->standby[v->infos[i].alg] = kid_mark(str_z(v->infos[i].kid));
	}
}

/* The default algorithm leads; while it has no active key (it was configured a moment ago, and
 * waits to be ready) another one does. */
static enum alg leading_alg(const struct keyring_view *v, enum alg default_alg)
{
	if (key_plan_find(v->infos, v->count, default_alg, KEY_ACTIVE))
		return default_alg;
	for (size_t i = 0; i < v->count; i++) {
		if (v->infos[i].state == KEY_ACTIVE)
			return v->infos[i].alg;
	}
	return default_alg;
}

static enum err fill(struct keyring_view *v, const struct key_rows *rows, enum alg default_alg,
		     int64_t now)
{
	enum err e = ERR_OK;

	v->keys = arena_array(v->arena, rows->count, sizeof(*v->keys));
	v->infos = arena_array(v->arena, rows->count, sizeof(*v->infos));
	if (!v->keys || !v->infos)
		return ERR_NOMEM;
	for (size_t i = 0; i < rows->count && !e; i++)
		e = add_key(v, &rows->rows[i]);
	if (!e)
		e = render(v, leading_alg(v, default_alg));
	mark_standbys(v);
	v->next_change = key_plan_next_change(v->infos, v->count, now);
	return e;
}

enum err keyring_view_new(struct key_rows *rows, enum alg default_alg, int64_t now,
			  struct keyring_view **ret_view)
{
	struct keyring_view *v = arena_new_of(rows->arena, struct keyring_view);
	enum err e;

	if (!v) {
		key_rows_done(rows);
		return ERR_NOMEM;
	}
	atomic_init(&v->refs, 1);
	v->arena = TAKE(rows->arena);
	e = fill(v, rows, default_alg, now);
	if (e)
		keyring_view_unref(v);
	else
		*ret_view = v;
	return e;
}

/* The view lives in its own arena, which goes last. */
void keyring_view_unref(struct keyring_view *v)
{
	if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < v->count; i++)
		jwk_free(v->keys[i].public_key);
	arena_free(v->arena);
}

struct keyring_view *keyring_view_get(struct keyring *k)
{
	struct keyring_view *v;

	pthread_mutex_lock(&k->lock);
	v = k->view;
	atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
	pthread_mutex_unlock(&k->lock);
	return v;
}

void keyring_view_put(struct keyring *k, struct keyring_view *v)
{
	struct keyring_view *old;

	key_tallies_attach(k->tallies, v);
	pthread_mutex_lock(&k->lock);
	old = k->view;
	k->view = v;
	pthread_mutex_unlock(&k->lock);
	k->view_serial++;
	keyring_view_unref(old);
}

const struct keyring_key *keyring_verifier(const struct keyring_view *v, struct str kid)
{
	for (size_t i = 0; i < v->count; i++) {
		if (v->keys[i].public_key && str_equal_z(kid, v->keys[i].info.kid))
			return &v->keys[i];
	}
	return NULL;
}

/* An algorithm whose key was revoked and that nothing signs for: a key will come any moment. */
static bool in_emergency(const struct keyring_view *v, const struct keyring_settings *s)
{
	for (size_t i = 0; i < s->alg_count; i++) {
		if (key_plan_in_emergency(v->infos, v->count, s->algs[i]))
			return true;
	}
	return false;
}

/* Of a policy that is not written down yet only as much as older promises cover. */
static struct jwks_promise covered(const struct key_policy *policy, int64_t freshness)
{
	struct jwks_promise p = { .max_age = policy->jwks_max_age,
				  .stale_while = key_plan_stale_while(policy),
				  .stale_if_error = key_plan_stale_if_error(policy) };

	if (p.max_age > freshness)
		p.max_age = freshness;
	if (p.stale_while > freshness - p.max_age)
		p.stale_while = freshness - p.max_age;
	return p;
}

struct jwks_promise keyring_jwks_promise(struct keyring *k, const struct keyring_view *v,
					 int64_t now)
{
	struct keyring_settings s;
	struct jwks_promise p;

	pthread_mutex_lock(&k->lock);
	s = k->settings;
	p = covered(&s.policy, k->promises.freshness);
	pthread_mutex_unlock(&k->lock);
	if (in_emergency(v, &s))
		return (struct jwks_promise){ .max_age = 1 };
	s.policy.jwks_max_age = p.max_age;
	p.max_age = key_plan_max_age(v->infos, v->count, &s.policy, now);
	return p;
}
