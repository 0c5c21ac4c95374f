/* What a request looks into, replaced whole: options, apis, keys, metadata. Building one is slow
 * and happens aside; putting it in place is a pointer under a lock of a few instructions. */
#include <pthread.h>
#include <stdlib.h>

#include "jose/jwe_encrypt.h"
#include "server/request/app.h"
#include "server/request/metadata.h"
#include "server/store/store.h"
#include "server/token/auth.h"

enum {
	SNAPSHOT_ARENA_MAX = 64 << 20, /* thousands of apis */
	METADATA_MAX = 64 << 10,
};

struct snapshot_slot {
	pthread_mutex_t lock; /* guards present and the step from it to a reference */
	struct snapshot *present;
	/* Held from reading the apis until what was read stands in place: of two builders the later
	 * one must also be the one that read later. Builders may wait; requests never take it. */
	pthread_mutex_t building;
};

/* ---- apis ---- */

static int by_uri(const void *a, const void *b)
{
	return str_compare(((const struct api *)a)->uri, ((const struct api *)b)->uri);
}

/* Inside a transaction of our own unless the caller is in one (a writer's operation). */
static enum err read_apis(struct db *db, struct arena *a, struct api **ret_rows, size_t *ret_count,
			  struct api_secret **ret_secrets, size_t *ret_secret_count)
{
	const bool alone = !db_in_transaction(db);
	enum err e;

	if (alone) {
		e = db_begin(db);
		if (e)
			return e;
	}
	e = store_api_list(db, a, ret_rows, ret_count);
	if (!e)
		e = store_api_secrets(db, a, ret_secrets, ret_secret_count);
	if (alone)
		db_rollback(db);
	return e;
}

/* Both lists are in order of URI. */
static void attach_secrets(struct api_set *set, const struct api_secret *secrets, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < set->count; i++) {
		struct api *api = &set->apis[i];

		while (at < count && str_compare(secrets[at].uri, api->uri) < 0)
			at++;
		api->secrets = secrets + at;
		while (at < count && str_equal(secrets[at].uri, api->uri)) {
			api->secret_count++;
			at++;
		}
	}
}

/* Kept beside the api, so that no token waits for a key to be read. */
static enum err read_recipient(struct api *api, struct jwe_recipient **ret_recipient)
{
	AUTO(json, object) = NULL;
	enum err e = json_parse(api->encryption_key, ENCRYPTION_KEY_MAX, &object);

	return e ? e : jwe_recipient_from_json(object, ret_recipient);
}

static enum err attach_recipients(struct snapshot *s)
{
	struct api_set *set = &s->apis;

	set->recipients = arena_array(s->arena, set->count, sizeof(struct jwe_recipient *));
	if (!set->recipients)
		return ERR_NOMEM;
	for (size_t i = 0; i < set->count; i++) {
		enum err e = ERR_OK;

		if (set->apis[i].format == API_JWE)
			e = read_recipient(&set->apis[i], &set->recipients[i]);
		if (e)
			return e;
		set->apis[i].recipient = set->recipients[i];
	}
	return ERR_OK;
}

/* What the database holds and the built-in api of this server, sorted. */
static enum err load_apis(struct snapshot *s, struct db *db)
{
	struct api_secret *secrets = NULL;
	struct api *rows = NULL;
	size_t count = 0, secret_count = 0;
	enum err e;

	e = read_apis(db, s->arena, &rows, &count, &secrets, &secret_count);
	if (e)
		return e;
	s->apis = (struct api_set){ .arena = s->arena, .count = count + 1 };
	s->apis.apis = arena_array(s->arena, count + 1, sizeof(*rows));
	if (!s->apis.apis)
		return ERR_NOMEM;
	if (count > 0)
		memcpy(s->apis.apis, rows, count * sizeof(*rows));
	e = admin_api_fill(s->config->issuer, s->arena, &s->apis.apis[count]);
	if (e)
		return e;
	qsort(s->apis.apis, s->apis.count, sizeof(*rows), by_uri);
	attach_secrets(&s->apis, secrets, secret_count);
	return attach_recipients(s);
}

static enum err write_metadata(struct snapshot *s)
{
	struct buf b;
	enum err e;

	buf_init(&b, s->arena, METADATA_MAX);
	e = metadata_render(s->config, &b);
	if (e)
		return e;
	e = buf_end(&b, &s->metadata);
	if (e)
		return e;
	jwks_etag(s->metadata, "application/json", s->metadata_etag);
	return ERR_OK;
}

/* ---- life ---- */

void snapshot_unref(struct snapshot *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (s->keys)
		keyring_view_unref(s->keys);
	config_unref(s->config);
	for (size_t i = 0; s->apis.recipients && i < s->apis.count; i++)
		jwe_recipient_free(s->apis.recipients[i]);
	arena_free(s->arena);
	free(s);
}

static struct snapshot *snapshot_new(struct config *config)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	atomic_store_explicit(&s->refs, 1, memory_order_relaxed);
	s->config = config_ref(config);
	if (arena_new(SNAPSHOT_ARENA_MAX, &s->arena) == ERR_OK)
		return s;
	snapshot_unref(s);
	return NULL;
}

struct snapshot *snapshot_get(const struct app *app)
{
	struct snapshot *s;

	pthread_mutex_lock(&app->slot->lock);
	s = app->slot->present;
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	pthread_mutex_unlock(&app->slot->lock);
	return s;
}

static void put(struct snapshot_slot *slot, struct snapshot *s)
{
	struct snapshot *old;

	pthread_mutex_lock(&slot->lock);
	old = slot->present;
	slot->present = s;
	pthread_mutex_unlock(&slot->lock);
	snapshot_unref(old);
}

/* What may verify from now on: too many revocations are said in terms of these keys. */
static void tell_feed(const struct app *app, const struct keyring_view *v)
{
	struct str kids[FEED_KIDS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < v->count && count < FEED_KIDS_MAX; i++) {
		const struct str kid = str_z(v->infos[i].kid);

		if (keyring_verifier(v, kid))
			kids[count++] = kid;
	}
	revoked_keys(app->revoked, kids, count);
}

/* Under `building`. */
static enum err build(const struct app *app, struct db *db, struct config *config)
{
	struct snapshot *s = snapshot_new(config ? config : app->slot->present->config);
	enum err e;

	if (!s)
		return ERR_NOMEM;
	s->keys = keyring_view_get(app->keyring);
	e = load_apis(s, db);
	if (!e)
		e = write_metadata(s);
	if (e) {
		snapshot_unref(s);
		return e;
	}
	tell_feed(app, s->keys);
	put(app->slot, s);
	keyring_served(app->keyring, s->keys);
	return ERR_OK;
}

enum err snapshot_rebuild(const struct app *app, struct db *db, struct config *config)
{
	enum err e;

	pthread_mutex_lock(&app->slot->building);
	e = build(app, db, config);
	pthread_mutex_unlock(&app->slot->building);
	return e;
}

enum err snapshot_of_options(struct snapshot_slot *slot, struct config *config)
{
	struct snapshot *s = snapshot_new(config);

	if (!s)
		return ERR_NOMEM;
	s->apis = (struct api_set){ .arena = s->arena };
	put(slot, s);
	return ERR_OK;
}

enum err snapshot_slot_new(struct snapshot_slot **ret_slot)
{
	struct snapshot_slot *slot = calloc(1, sizeof(*slot));

	if (!slot)
		return ERR_NOMEM;
	pthread_mutex_init(&slot->lock, NULL);
	pthread_mutex_init(&slot->building, NULL);
	*ret_slot = slot;
	return ERR_OK;
}

void snapshot_slot_free(struct snapshot_slot *slot)
{
	if (!slot)
		return;
	snapshot_unref(slot->present);
	pthread_mutex_destroy(&slot->building);
	pthread_mutex_destroy(&slot->lock);
	free(slot);
}
