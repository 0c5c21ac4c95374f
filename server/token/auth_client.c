/* Who is calling the token, introspection and revocation endpoints (RFC 6749 2.3).
 *
 * Steps: exactly one way of authenticating (2.3: no more than one per request), the client from the
 * cache or the store, the way must be the client's, then the secret. Machine secrets cost one keyed
 * hash; the operator's own go through Argon2id in the hash lane once and are remembered under a
 * random key of this process. Every refusal looks the same from outside: invalid_client. */
#include "server/token/auth.h"

#include "oauth/basic.h"
#include "server/request/app.h"
#include "server/request/router.h"

enum { CLIENT_SECRET_MAC_LEN = 32 };

/* What the request presents. */
struct presented {
	struct str id;
	struct str secret;
	enum auth_method method;
	enum err (*next)(struct request *, enum err);
	/* the hash lane's: the operator's secret that fitted, or -1 */
	int fitted;
};

void client_secret_mac(const struct secret *key, struct str secret, unsigned char ret_hash[32])
{
	struct str part = secret;

	secret_mac(key, &part, 1, ret_hash, CLIENT_SECRET_MAC_LEN);
}

static enum err refuse(struct request *rq, const char *why)
{
	count_client_auth(rq->metrics, rq->auth_method_used, false);
	return fail(rq, ERR_INVALID_CLIENT, "%s", why);
}

/* RFC 6749 2.3.1 with the Authorization header. */
static enum err read_basic(struct request *rq, struct presented *p)
{
	struct str scheme, credentials;
	struct str body_id = form_get(rq->form, "client_id");

	if (auth_split(rq->authorization, &scheme, &credentials))
		return refuse(rq, "malformed Authorization header");
	if (!str_case_equal(scheme, STR("Basic")))
		return refuse(rq, "authentication scheme is not Basic");
	if (basic_parse(rq->arena, credentials, &p->id, &p->secret))
		return refuse(rq, "malformed Basic credentials");
	/* 2.3: the client MUST NOT use more than one authentication method */
	if (form_get(rq->form, "client_secret").p || form_get(rq->form, "client_assertion").p)
		return fail(rq, ERR_INVALID_REQUEST, "two ways of client authentication");
	if (body_id.p && !str_equal(body_id, p->id))
		return fail(rq, ERR_INVALID_REQUEST,
			    "client_id differs from the authenticated client");
	p->method = AUTH_METHOD_BASIC;
	return ERR_OK;
}

/* RFC 6749 2.3.1 in the body, or 3.2.1: a public client names itself. */
static enum err read_body(struct request *rq, struct presented *p)
{
	if (form_get(rq->form, "client_assertion").p)
		return refuse(rq, "client assertions are not supported");
	p->id = form_get(rq->form, "client_id");
	p->secret = form_get(rq->form, "client_secret");
	if (!p->id.p)
		return refuse(rq, "no client authentication");
	p->method = p->secret.p ? AUTH_METHOD_POST : AUTH_METHOD_NONE;
	return ERR_OK;
}

static bool method_allowed(const struct client *client, enum auth_method used)
{
	if (client->auth_method == AUTH_METHOD_ANY)
		return used == AUTH_METHOD_BASIC || used == AUTH_METHOD_POST;
	return client->auth_method == used;
}

static bool secret_expired(const struct client_secret *s, int64_t now)
{
	return s->expires_at && s->expires_at <= now;
}

static enum err admitted(struct request *rq, struct presented *p, int secret_index)
{
	if (secret_index >= 0)
		atomic_store_explicit(&rq->client_ref->last_used[secret_index], rq->now,
				      memory_order_relaxed);
	rq->client = &rq->client_ref->client;
	count_client_auth(rq->metrics, rq->auth_method_used, true);
	return p->next(rq, ERR_OK);
}

/* Machine secrets and remembered operator secrets; -1 if none fits. All are compared, whichever
 * fits. */
static int match_quick(struct request *rq, const struct presented *p, bool *ret_slow)
{
	const struct client *c = &rq->client_ref->client;
	unsigned char mac[CLIENT_SECRET_MAC_LEN];
	int found = -1;

	client_secret_mac(&rq->app->derived.client_secret, p->secret, mac);
	*ret_slow = false;
	for (size_t i = 0; i < c->secret_count; i++) {
		const struct client_secret *s = &c->secrets[i];

		if (secret_expired(s, rq->now))
			continue;
		if (s->kind == SECRET_ARGON2ID) {
			if (secret_cache_has(rq->app->proven, s->hash, p->secret))
				found = (int)i;
			else
				*ret_slow = true;
		} else if (s->hash.n == sizeof(mac) &&
			   bytes_equal_ct(s->hash.p, mac, sizeof(mac))) {
			found = (int)i;
		}
	}
	wipe(mac, sizeof(mac));
	return found;
}

/* In the hash lane: Argon2id over each of the operator's own secrets. */
static enum err match_slow(struct lane_ctx *ctx, void *arg)
{
	struct request *rq = arg;
	struct presented *p = rq->state;
	const struct client *c = &rq->client_ref->client;

	p->fitted = -1;
	for (size_t i = 0; i < c->secret_count && p->fitted < 0; i++) {
		const struct client_secret *s = &c->secrets[i];
		bool rehash;
		enum err e;

		if (s->kind != SECRET_ARGON2ID || secret_expired(s, rq->now))
			continue;
		e = password_verify(ctx->env, s->hash, p->secret, &rehash);
		if (!e)
			p->fitted = (int)i;
		else if (e != ERR_BAD_SIGNATURE)
			return e;
	}
	return ERR_OK;
}

/* One counter name for a client's failures; users count under "u:". */
static struct str attempt_name(struct request *rq, const struct presented *p)
{
	struct buf b;
	struct str name;

	buf_init(&b, rq->arena, ID_MAX + 2);
	buf_z(&b, "c:");
	buf_str(&b, p->id);
	return buf_end(&b, &name) ? STR("c:") : name;
}

static enum err after_slow(struct request *rq, enum err result)
{
	struct presented *p = rq->state;
	struct str name = attempt_name(rq, p);

	if (result) {
		attempts_cancel(rq->app->attempts, name, rq->address);
		return fail(rq, result, "secret could not be checked");
	}
	if (p->fitted < 0)
		return refuse(rq, "wrong secret");
	attempts_success(rq->app->attempts, name, rq->address);
	secret_cache_put(rq->app->proven, rq->client_ref->client.secrets[p->fitted].hash,
			 p->secret);
	return admitted(rq, p, p->fitted);
}

static enum err check_slow(struct request *rq, struct presented *p)
{
	struct str name = attempt_name(rq, p);
	enum err e;

	if (p->secret.n > PASSWORD_MAX)
		return refuse(rq, "secret too long");
	/* reserved before hashing: parallel guesses cannot outrun the counter (CVE-2024-4629) */
	if (attempts_reserve(rq->app->attempts, name, rq->address, &rq->retry_after)) {
		count_rate_limited(rq->metrics, route_index(rq), RATE_CLIENT_SECRET);
		return fail(rq, ERR_RATE_LIMITED, "too many wrong secrets for this client");
	}
	e = park(rq, LANE_HASH, match_slow, rq, after_slow);
	if (rq->shed)
		attempts_cancel(rq->app->attempts, name, rq->address);
	return e;
}

static enum err check_client(struct request *rq, struct presented *p)
{
	const struct client *c = &rq->client_ref->client;
	bool slow;
	int found;

	if (c->disabled)
		return refuse(rq, "client is disabled");
	if (!method_allowed(c, p->method))
		return refuse(rq, "authentication method is not this client's");
	if (p->method == AUTH_METHOD_NONE)
		return admitted(rq, p, -1);
	found = match_quick(rq, p, &slow);
	if (found >= 0)
		return admitted(rq, p, found);
	if (!slow)
		return refuse(rq, "wrong secret");
	return check_slow(rq, p);
}

static enum err load_client(struct lane_ctx *ctx, void *arg)
{
	struct request *rq = arg;
	struct presented *p = rq->state;

	return client_cache_load(rq->app->clients, ctx->db, p->id, &rq->client_ref);
}

static enum err after_load(struct request *rq, enum err result)
{
	if (result == ERR_NOT_FOUND)
		return refuse(rq, "unknown client");
	if (result)
		return fail(rq, result, "client could not be read");
	return check_client(rq, rq->state);
}

/* Who mixes up id and secret, or sends a token where the id belongs, must not find it in the log.
 */
static struct str id_for_log(struct str id)
{
	/* all machine secrets; all JWTs ('{"' in base64url) */
	if (str_starts(id, STR("chy_")) || str_starts(id, STR("eyJ")))
		return STR("not logged: looks like a secret");
	return id;
}

enum err auth_client(struct request *rq, enum err (*next)(struct request *, enum err))
{
	struct presented *p = arena_new_of(rq->arena, struct presented);
	enum err e;

	if (!p)
		return fail(rq, ERR_NOMEM, "no memory for client authentication");
	p->next = next;
	rq->state = p;
	rq->auth_method_used = rq->authorization.p ? AUTH_METHOD_BASIC : AUTH_METHOD_POST;
	e = rq->authorization.p ? read_basic(rq, p) : read_body(rq, p);
	if (e)
		return e;
	rq->auth_method_used = p->method;
	rq->log_client = id_for_log(p->id);
	if (!p->id.n || p->id.n > ID_MAX)
		return refuse(rq, "client id of impossible length");
	e = client_cache_find(rq->app->clients, p->id, &rq->client_ref);
	if (e == ERR_NOT_FOUND)
		return refuse(rq, "unknown client");
	if (e)
		return park(rq, LANE_BLOCKING, load_client, rq, after_load);
	return check_client(rq, p);
}

static bool shows_basic(const struct request *rq)
{
	struct str scheme, credentials;

	return rq->authorization.p && !auth_split(rq->authorization, &scheme, &credentials) &&
	       str_case_equal(scheme, STR("Basic"));
}

enum err auth_client_if_shown(struct request *rq, enum err (*next)(struct request *, enum err))
{
	if (!shows_basic(rq))
		return next(rq, ERR_OK);
	rq->form = arena_new_of(rq->arena, struct form); /* auth_client looks for a second way */
	if (!rq->form)
		return fail(rq, ERR_NOMEM, "no memory for client authentication");
	return auth_client(rq, next);
}
