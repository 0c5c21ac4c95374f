/* "Who may get what": which apis a token is for, which scopes it carries, how long it lives and
 * under which algorithm it is signed. Reads the request, the client and the snapshot; touches
 * nothing.
 *
 * Audience: asked by `resource` (RFC 8707 2), else by `audience`; none asked: the client's first,
 * else the configured default. A refresh may only narrow what its login was granted (RFC 8707 2.2,
 * RFC 6749 6). Scope: must be the client's and, if an api declares scopes, the api's. */
#include "server/token/token.h"

#include "oauth/uri.h"
#include "server/token/auth.h"
#include "server/store/lists.h"

struct ask {
	struct str uris[AUDIENCES_MAX];
	size_t count;
	bool explicit; /* the request named them */
};

static enum err read_asked(struct request *rq, const char *name, struct ask *ask)
{
	struct str uri;

	for (size_t i = 0; (uri = form_nth(rq->form, name, i)).p; i++) {
		if (ask->count == AUDIENCES_MAX)
			return fail(rq, ERR_INVALID_TARGET, "too many audiences asked");
		/* RFC 8707 2: absolute URI without fragment */
		if (!uri_is_resource(uri))
			return fail(rq, ERR_INVALID_TARGET, "audience is not an absolute URI");
		ask->uris[ask->count++] = uri;
	}
	return ERR_OK;
}

static void default_audience(struct request *rq, struct str bound, struct ask *ask)
{
	struct str one = list_first(rq->client->audiences);

	if (bound.p) {
		while (str_next(&bound, ' ', &one) && ask->count < AUDIENCES_MAX)
			ask->uris[ask->count++] = one;
		return;
	}
	if (!one.n)
		one = rq->snapshot->config->tokens.default_audience;
	if (one.n)
		ask->uris[ask->count++] = one;
}

static enum err find_asked(struct request *rq, struct str bound, struct ask *ask)
{
	enum err e = read_asked(rq, "resource", ask);

	if (!e && !ask->count)
		e = read_asked(rq, "audience", ask);
	if (e)
		return e;
	ask->explicit = ask->count > 0;
	if (!ask->count)
		default_audience(rq, bound, ask);
	if (!ask->count)
		return fail(rq, ERR_INVALID_TARGET, "no audience asked and none is the client's");
	return ERR_OK;
}

static bool client_may(struct request *rq, struct str uri)
{
	if (rq->client->audiences.n)
		return list_has(rq->client->audiences, uri);
	return str_equal(uri, rq->snapshot->config->tokens.default_audience);
}

/* The built-in admin api is reached by client credentials only, by confidential clients only. */
static bool reserved_allowed(struct request *rq, struct str uri)
{
	if (!audience_is_reserved(rq->snapshot->config->issuer, uri))
		return true;
	return rq->client->auth_method != AUTH_METHOD_NONE &&
	       rq->grant == grant_by_name(STR("client_credentials"));
}

static enum err find_apis(struct request *rq, struct str bound, struct target *t)
{
	struct ask ask = { .count = 0 };
	enum err e = find_asked(rq, bound, &ask);

	if (e)
		return e;
	for (size_t i = 0; i < ask.count; i++) {
		const struct api *api = api_find(&rq->snapshot->apis, ask.uris[i]);

		if (bound.p && !list_has(bound, ask.uris[i]))
			return fail(rq, ERR_INVALID_TARGET,
				    "audience was not granted to this login");
		if (!client_may(rq, ask.uris[i]))
			return fail(rq, ERR_INVALID_TARGET, "audience is not this client's");
		if (!api || api->disabled)
			return fail(rq, ERR_INVALID_TARGET, "audience is no api, or disabled");
		if (!reserved_allowed(rq, ask.uris[i]))
			return fail(rq, ERR_INVALID_TARGET,
				    "reserved audience by this grant or client");
		for (size_t k = 0; k < t->api_count; k++)
			if (t->apis[k] == api)
				return fail(rq, ERR_INVALID_TARGET, "audience asked twice");
		t->apis[t->api_count++] = api;
	}
	return ERR_OK;
}

/* Does every api of the target take this scope? One that declares none takes any that is not
 * reserved, but only while it is alone in the token. */
static bool apis_take(const struct target *t, struct str scope)
{
	for (size_t i = 0; i < t->api_count; i++) {
		const struct api *api = t->apis[i];

		if (api->scope.n ? !list_has(api->scope, scope)
				 : t->api_count > 1 || scope_is_reserved(scope))
			return false;
	}
	return true;
}

/* Scopes a target may carry: of `from`, what the client has and the apis take. */
static void allowed_scopes(struct request *rq, const struct target *t, struct str from,
			   struct scope *ret)
{
	struct str one;

	ret->count = 0;
	while (str_next(&from, ' ', &one))
		if (one.n && list_has(rq->client->scope, one) && apis_take(t, one))
			scope_add(ret, one);
}

static enum err check_asked_scope(struct request *rq, const struct scope *asked, struct str bound,
				  const struct target *t)
{
	for (size_t i = 0; i < asked->count; i++) {
		struct str one = asked->tokens[i];

		/* RFC 6749 6: must not include any scope not originally granted */
		if (bound.p && !list_has(bound, one))
			return fail(rq, ERR_INVALID_SCOPE, "scope was not granted to this login");
		if (bound.p)
			continue; /* may have been taken away since: it shrinks */
		if (!list_has(rq->client->scope, one))
			return fail(rq, ERR_INVALID_SCOPE, "scope is not this client's");
		if (!apis_take(t, one))
			return fail(rq, t->api_count > 1 ? ERR_INVALID_TARGET : ERR_INVALID_SCOPE,
				    "scope is not declared by every audience");
	}
	return ERR_OK;
}

static enum err find_scope(struct request *rq, struct str bound, struct target *t)
{
	struct str text = form_get(rq->form, "scope");
	struct scope asked;
	enum err e;

	if (!text.p) {
		allowed_scopes(rq, t, bound.p ? bound : rq->client->scope, &t->scope);
		return ERR_OK;
	}
	if (scope_parse(text, &asked))
		return fail(rq, ERR_INVALID_SCOPE, "malformed scope");
	e = check_asked_scope(rq, &asked, bound, t);
	if (e)
		return e;
	allowed_scopes(rq, t, text, &t->scope);
	return ERR_OK;
}

static enum err find_alg(struct request *rq, struct target *t)
{
	enum alg fallback = rq->client->alg ? rq->client->alg : rq->snapshot->config->tokens.alg;

	t->alg = ALG_UNKNOWN;
	for (size_t i = 0; i < t->api_count; i++) {
		const struct api *api = t->apis[i];
		enum alg alg = api->alg ? api->alg : fallback;

		/* admin tokens are signed in the issuer's own algorithm, whatever the client says
		 */
		if (audience_is_reserved(rq->snapshot->config->issuer, api->uri))
			alg = rq->snapshot->config->tokens.alg;
		if (t->alg && alg != t->alg)
			return fail(rq, ERR_INVALID_TARGET, "audiences want different algorithms");
		t->alg = alg;
	}
	return ERR_OK;
}

/* What only one back end can read, or only this server, is for one audience. */
static enum err find_format(struct request *rq, struct target *t)
{
	t->format = t->apis[0]->format;
	for (size_t i = 0; i < t->api_count; i++)
		if (t->api_count > 1 && t->apis[i]->format != API_JWT)
			return fail(rq, ERR_INVALID_TARGET,
				    "an audience takes tokens that are for it alone");
	return ERR_OK;
}

/* The smallest set on client and apis, else the default; never more than the keys are kept for. */
static void find_ttl(struct request *rq, int64_t fallback, struct target *t)
{
	int64_t ttl = rq->client->access_ttl;

	for (size_t i = 0; i < t->api_count; i++)
		if (t->apis[i]->access_ttl && (!ttl || t->apis[i]->access_ttl < ttl))
			ttl = t->apis[i]->access_ttl;
	t->ttl = ttl ? ttl : fallback;
	if (t->ttl > rq->snapshot->config->tokens.max_ttl)
		t->ttl = rq->snapshot->config->tokens.max_ttl;
}

enum err token_resolve(struct request *rq, struct str bound_audience, struct str bound_scope,
		       int64_t ttl_default, struct target *ret_target)
{
	enum err e;

	ret_target->api_count = 0;
	e = find_apis(rq, bound_audience, ret_target);
	if (!e)
		e = find_scope(rq, bound_scope, ret_target);
	if (!e)
		e = find_format(rq, ret_target);
	if (!e)
		e = find_alg(rq, ret_target);
	if (e)
		return e;
	find_ttl(rq, ttl_default, ret_target);
	return ERR_OK;
}
