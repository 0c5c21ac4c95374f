/* /admin/v1/apis: resource servers. They are read from the snapshot, which holds all of them; a
 * change is a row, then a new snapshot, then the answer, so that the next token request already
 * sees it.
 *
 * The issuer, everything below it and the chancery:* scopes are nobody's to declare, not even a
 * privileged caller's: an api that declared them would take tokens meant for this server. The
 * built-in api is listed, so that its audience can be found, and cannot be touched. */
#include "server/admin/admin.h"
#include "server/admin/admin_api.h"
#include "server/admin/admin_rules.h"
#include "server/request/app.h"
#include "server/token/refresh.h"

#include "oauth/scope.h"
#include "oauth/uri.h"

enum { API_OBJECT_MAX = 32 << 10, CREATE_ONLY_ROWS = 2 };

struct api_body {
	struct str uri, slug;
	struct str name, alg, format;
	const struct json *scopes, *claims, *encryption_key;
	int64_t access_ttl, gateway_cache;
	bool disabled;
};

#define FIELD(member, type_)                                                                       \
	{ .name = #member,                                                                         \
	  .type = type_,                                                                           \
	  .offset = offsetof(struct api_body, member),                                             \
	  .nullable = true }
static const struct json_field api_rows[] = {
	{ .name = "uri",
	  .type = JSON_STRING,
	  .offset = offsetof(struct api_body, uri),
	  .required = true },
	FIELD(slug, JSON_STRING),
	/* from here on also in PATCH */
	FIELD(name, JSON_STRING),
	FIELD(scopes, JSON_ARRAY),
	FIELD(alg, JSON_STRING),
	FIELD(format, JSON_STRING),
	FIELD(encryption_key, JSON_OBJECT),
	FIELD(access_ttl, JSON_INT),
	FIELD(gateway_cache, JSON_INT),
	FIELD(claims, JSON_ARRAY),
	FIELD(disabled, JSON_BOOL),
};
enum { API_ROW_COUNT = sizeof(api_rows) / sizeof(*api_rows) };
static const struct admin_shape api_shape = { api_rows, API_ROW_COUNT };
static const struct admin_shape api_patch_shape = { api_rows + CREATE_ONLY_ROWS,
						    API_ROW_COUNT - CREATE_ONLY_ROWS };

struct api_act {
	struct admin_act act;
	struct api api;
	struct str slug;
	int status;
	bool ended;		      /* its tokens ended with this step */
	struct new_api_secret secret; /* of one that is made */
};

static const char why_reserved[] =
	"The issuer, what is below it, and chancery: scopes are reserved.";
static const char why_built_in[] = "The api of this server itself cannot be changed.";

/* ---- reading ---- */

static const struct admin_list_rule scope_rule = {
	.pointer = "/scopes",
	.max = SCOPES_MAX,
	.valid = scope_token_valid,
	.detail = "a scope is up to 128 visible characters without quotes and backslashes",
};
static const struct admin_list_rule claim_rule = {
	.pointer = "/claims",
	.max = CLAIMS_MAX,
	.valid = admin_claim_valid,
	.detail = "a name is registered, too long or has odd characters",
};

static enum err read_lists(struct arena *a, const struct api_body *in, struct api *api,
			   struct admin_fault *fault)
{
	enum err e = admin_check_list(a, in->scopes, &scope_rule, &api->scope, fault);

	if (!e && api->scope.n > SCOPE_MAX)
		return admin_unprocessable(fault, "/scopes", "the scopes together are too long");
	return e ? e : admin_check_list(a, in->claims, &claim_rule, &api->claims, fault);
}

static enum err read_gateway_cache(int64_t seconds, struct api *api, struct admin_fault *fault)
{
	if (seconds == ADMIN_INT_ABSENT)
		seconds = 0;
	if (seconds < 0 || seconds > GATEWAY_CACHE_MAX)
		return admin_unprocessable(fault, "/gateway_cache", "must be from 0 to 10 seconds");
	api->gateway_cache = seconds;
	return ERR_OK;
}

static enum err api_read(struct arena *a, const struct json *object,
			 const struct admin_shape *shape, struct api_body *ret_body,
			 struct admin_fault *fault)
{
	uint64_t seen;

	*ret_body = (struct api_body){ .access_ttl = ADMIN_INT_ABSENT,
				       .gateway_cache = ADMIN_INT_ABSENT };
	return admin_fields(a, object, shape, ret_body, &seen, fault);
}

static enum err read_values(const struct config *config, struct arena *a, const struct api_body *in,
			    struct api *api, struct admin_fault *fault)
{
	enum err e = admin_check_text(a, "/name", in->name, ID_MAX, &api->name, fault);

	if (!e)
		e = read_lists(a, in, api, fault);
	if (!e)
		e = api_format_read(
			config, a,
			&(struct api_format_body){ in->alg, in->format, in->encryption_key }, api,
			fault);
	api->access_ttl = 0;
	if (!e && in->access_ttl != ADMIN_INT_ABSENT)
		e = admin_check_ttl(in->access_ttl, &api->access_ttl, fault);
	if (!e)
		e = read_gateway_cache(in->gateway_cache, api, fault);
	api->disabled = in->disabled;
	return e;
}

static bool slug_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool slug_valid(struct str slug)
{
	if (!slug.n || slug.n > LABEL_MAX || !slug_char(slug.p[0]) ||
	    !slug_char(slug.p[slug.n - 1]))
		return false;
	for (size_t i = 0; i < slug.n; i++)
		if (!slug_char(slug.p[i]) && slug.p[i] != '-')
			return false;
	return true;
}

/* "https://Orders.example.com/v1" makes "orders-example-com-v1". */
static enum err slug_from_uri(struct arena *a, struct str uri, struct str *ret_slug)
{
	const char *rest = memchr(uri.p, ':', uri.n);
	struct buf b;

	buf_init(&b, a, LABEL_MAX);
	for (const char *p = rest ? rest + 1 : uri.p; p < uri.p + uri.n && b.n < LABEL_MAX; p++) {
		char c = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;

		if (slug_char(c))
			buf_byte(&b, c);
		else if (b.n && b.p[b.n - 1] != '-')
			buf_byte(&b, '-');
	}
	while (b.n && b.p[b.n - 1] == '-')
		b.n--;
	return buf_end(&b, ret_slug);
}

/* ---- writing ---- */

static void write_mutable(struct jsonw *w, const struct api *api)
{
	jsonw_member(w, "name", api->name);
	admin_write_list(w, "scopes", api->scope);
	api_format_write(w, api);
	admin_write_ttl(w, "access_ttl", api->access_ttl);
	jsonw_member_int(w, "gateway_cache", api->gateway_cache);
	admin_write_list(w, "claims", api->claims);
	jsonw_member_bool(w, "disabled", api->disabled);
}

static void api_write(struct jsonw *w, const struct api *api, const struct new_api_secret *secret)
{
	jsonw_object(w);
	jsonw_member(w, "uri", api->uri);
	jsonw_member(w, "slug", api->slug);
	write_mutable(w, api);
	jsonw_member_bool(w, "built_in", str_equal_z(api->slug, ADMIN_API_SLUG));
	admin_write_time(w, "created_at", api->created_at);
	admin_write_time(w, "updated_at", api->updated_at);
	if (secret)
		new_api_secret_write(w, secret);
	jsonw_end_object(w);
}

static enum err api_document(struct arena *a, const struct api *api, struct str *ret_text)
{
	struct jsonw w;
	struct buf b;

	buf_init(&b, a, API_OBJECT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	write_mutable(&w, api);
	jsonw_end_object(&w);
	return buf_end(&b, ret_text);
}

static enum err api_respond(struct request *rq, int status, const struct api *api,
			    const struct new_api_secret *secret)
{
	struct jsonw w;
	struct buf b;

	buf_init(&b, rq->arena, API_OBJECT_MAX);
	jsonw_init(&w, &b);
	api_write(&w, api, secret);
	return admin_respond(rq, status, &b, api->version);
}

/* ---- GET ---- */

/* By slug, or by the URI itself, which no slug can look like. */
static const struct api *find(const struct request *rq, struct str name)
{
	const struct api *api = api_by_slug(&rq->snapshot->apis, name);

	return api ? api : api_find(&rq->snapshot->apis, name);
}

static size_t first_after(const struct api_set *set, struct str uri)
{
	size_t i = 0;

	while (uri.n && i < set->count && str_compare(set->apis[i].uri, uri) <= 0)
		i++;
	return i;
}

enum err admin_apis_list(struct request *rq)
{
	const struct api_set *set = &rq->snapshot->apis;
	struct admin_page page = { .list = "apis" };
	struct str last = STR_NONE;
	struct jsonw w;
	struct buf b;
	size_t i;
	enum err e = admin_page_read(rq, &page);

	if (e)
		return e;
	buf_init(&b, rq->arena, REQUEST_ARENA_MAX);
	admin_page_begin(&w, &b);
	for (i = first_after(set, page.after); i < set->count; i++) {
		/* as in admin_list_next: a page may be full in bytes */
		if (!page.size-- || b.n > API_OBJECT_MAX)
			break;
		api_write(&w, &set->apis[i], NULL);
		last = set->apis[i].uri;
	}
	admin_page_end(&w, &rq->app->derived.page_token, &page, i < set->count ? last : STR_NONE);
	return respond_json(rq, 200, &b);
}

enum err admin_api_show(struct request *rq)
{
	const struct api *api = find(rq, rq->path_args[0]);

	return api ? api_respond(rq, 200, api, NULL) : fail(rq, ERR_GONE_RESOURCE, "no such api");
}

/* ---- what the changes share ---- */

static struct api_act *api_act_new(struct request *rq, enum audit_event event, int status)
{
	struct api_act *act = admin_act_new(rq, sizeof(*act));

	if (!act)
		return NULL;
	act->act.event = event;
	act->status = status;
	return act;
}

/* Names the api of the path for the step; the built-in one is refused. */
static enum err name_target(struct request *rq, struct api_act *act)
{
	const struct api *api = find(rq, rq->path_args[0]);

	if (!api)
		return fail(rq, ERR_GONE_RESOURCE, "no such api");
	act->slug = api->slug;
	act->act.target = admin_target(rq, "api:", api->uri);
	if (audience_is_reserved(rq->snapshot->config->issuer, api->uri))
		return admin_forbid(rq, act->act.target, why_built_in);
	return ERR_OK;
}

static enum err load(struct lane_ctx *ctx, struct api_act *act, struct api *ret_api)
{
	return store_api_get(ctx->db, act->act.rq->arena, act->slug, ret_api);
}

static enum err load_for_change(struct lane_ctx *ctx, struct api_act *act, struct api *ret_api)
{
	enum err e = load(ctx, act, ret_api);

	if (e)
		return e;
	return admin_if_match(act->act.rq->if_match, ret_api->version) ? ERR_OK : ERR_REUSED;
}

static enum err answer(struct request *rq, enum err result)
{
	const struct api_act *act = rq->state;

	/* only now: until the new snapshot stood, tokens for the api went on being issued */
	if (act->ended) {
		enum err e = admin_revoked(rq, REVOKE_API, act->api.uri, false);

		if (e)
			return e;
	}
	if (result)
		return fail(rq, ERR_UNAVAILABLE, "stored, but not yet in force: %s",
			    err_name(result));
	if (act->status == 204)
		return admin_no_content(rq);
	if (act->status == 201)
		admin_location(rq, "/admin/v1/apis", act->slug);
	return api_respond(rq, act->status, &act->api, act->secret.rq ? &act->secret : NULL);
}

static enum err publish(struct request *rq, struct admin_act *base)
{
	(void)base;
	return park(rq, LANE_BLOCKING, admin_publish, rq, answer);
}

/* ---- POST /apis ---- */

static enum err create_step(struct lane_ctx *ctx, struct admin_act *base)
{
	struct api_act *act = (struct api_act *)base;
	struct api api = act->api;
	enum err e;

	api.created_at = ctx->env->now(ctx->env);
	e = store_api_create(ctx->db, &api);
	if (e == ERR_CONFLICT)
		return admin_fault_set(&base->fault, e, "an api has this uri or slug already");
	if (!e && api.format == API_SHARED)
		e = new_api_secret_store(ctx, &act->secret, api.created_at, &base->fault);
	return e ? e : load(ctx, act, &act->api);
}

static bool declares_reserved(struct str issuer, const struct api *api)
{
	struct str scopes = api->scope, scope;

	while (str_next(&scopes, ' ', &scope))
		if (scope_is_reserved(scope))
			return true;
	return audience_is_reserved(issuer, api->uri) || str_equal_z(api->slug, ADMIN_API_SLUG);
}

static enum err create_read(struct request *rq, struct api_act *act)
{
	struct admin_fault *fault = &act->act.fault;
	struct api_body in;
	enum err e = api_read(rq->arena, rq->json, &api_shape, &in, fault);

	if (e)
		return e;
	if (!uri_is_resource(in.uri) || memchr(in.uri.p, ' ', in.uri.n))
		return admin_unprocessable(fault, "/uri",
					   "must be an absolute URI without a fragment");
	if (in.slug.p && !slug_valid(in.slug))
		return admin_unprocessable(fault, "/slug",
					   "must be a-z, 0-9 and -, at most 64 of them");
	act->api.uri = in.uri;
	act->api.slug = in.slug;
	if (!in.slug.p)
		e = slug_from_uri(rq->arena, in.uri, &act->api.slug);
	if (!e && !act->api.slug.n)
		return admin_unprocessable(fault, "/slug",
					   "none can be made from this uri: give one");
	return e ? e : read_values(rq->snapshot->config, rq->arena, &in, &act->api, fault);
}

static enum err secret_made(struct request *rq, enum err result)
{
	if (result)
		return fail(rq, result, "the signer made no secret: %s", err_name(result));
	return admin_act_run(rq, rq->state);
}

enum err admin_api_create(struct request *rq)
{
	struct api_act *act = api_act_new(rq, AUDIT_API_CREATE, 201);
	enum err e;

	if (!act)
		return ERR_NOMEM;
	act->act.step = create_step;
	act->act.done = publish;
	e = create_read(rq, act);
	if (e)
		return admin_refuse(rq, e, &act->act.fault);
	act->slug = act->api.slug;
	act->act.target = admin_target(rq, "api:", act->api.uri);
	if (declares_reserved(rq->snapshot->config->issuer, &act->api))
		return admin_forbid(rq, act->act.target, why_reserved);
	if (act->api.format != API_SHARED)
		return admin_act_run(rq, &act->act);
	rq->state = act;
	return new_api_secret_make(rq, act->api.uri, &act->secret, secret_made);
}

/* ---- PATCH /apis/{slug} ---- */

static enum err patched(struct api_act *act, const struct api *before, struct api *ret_after)
{
	struct request *rq = act->act.rq;
	struct admin_fault *fault = &act->act.fault;
	AUTO(json, merged) = NULL;
	struct api_body in;
	struct api base = *before;
	struct str document;
	enum err e;

	/* a key is one thing: halves of two must not be merged into a third */
	if (json_get(rq->json, "encryption_key"))
		base.encryption_key = STR("");
	e = api_document(rq->arena, &base, &document);
	if (!e)
		e = admin_patch(rq->arena, document, rq->json, &api_patch_shape, &merged, fault);
	if (!e)
		e = api_read(rq->arena, merged, &api_patch_shape, &in, fault);
	if (e)
		return e;
	*ret_after = *before;
	e = read_values(rq->snapshot->config, rq->arena, &in, ret_after, fault);
	if (!e && (before->format == API_SHARED) != (ret_after->format == API_SHARED))
		return admin_unprocessable(fault, "/alg",
					   "an api is made for HS256, or never signs with it");
	return e;
}

static enum err update_step(struct lane_ctx *ctx, struct admin_act *base)
{
	struct api_act *act = (struct api_act *)base;
	struct api before, after;
	enum err e = load_for_change(ctx, act, &before);

	if (!e)
		e = patched(act, &before, &after);
	if (e)
		return e;
	if (declares_reserved(base->rq->snapshot->config->issuer, &after))
		return admin_fault_set(&base->fault, ERR_FORBIDDEN, why_reserved);
	act->ended = after.disabled;
	e = store_api_update(ctx->db, &after, before.version, ctx->env->now(ctx->env),
			     revoke_until(base->rq));
	return e ? e : load(ctx, act, &act->api);
}

enum err admin_api_update(struct request *rq)
{
	struct api_act *act = api_act_new(rq, AUDIT_API_UPDATE, 200);
	enum err e;

	if (!act)
		return ERR_NOMEM;
	act->act.step = update_step;
	act->act.done = publish;
	e = name_target(rq, act);
	return e ? e : admin_act_run(rq, &act->act);
}

/* ---- DELETE /apis/{slug} ---- */

static enum err delete_step(struct lane_ctx *ctx, struct admin_act *base)
{
	struct api_act *act = (struct api_act *)base;
	enum err e = load_for_change(ctx, act, &act->api);

	if (e)
		return e;
	act->ended = true;
	return store_api_delete(ctx->db, act->slug, ctx->env->now(ctx->env),
				revoke_until(base->rq));
}

enum err admin_api_delete(struct request *rq)
{
	struct api_act *act = api_act_new(rq, AUDIT_API_DELETE, 204);
	enum err e;

	if (!act)
		return ERR_NOMEM;
	act->act.step = delete_step;
	act->act.done = publish;
	e = name_target(rq, act);
	return e ? e : admin_act_run(rq, &act->act);
}
