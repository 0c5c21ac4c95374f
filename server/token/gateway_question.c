/* Reading the question. A gateway's configuration writes it, so that whatever is odd about it is a
 * mistake in there: it is refused, never guessed at, because each guess could let somebody pass. */
#include "server/token/gateway.h"

#include "oauth/basic.h"
#include "server/store/lists.h"
#include "server/token/recorded.h"

struct parameters {
	struct str audience, scope, role;
};

static const struct {
	const char *name;
	size_t offset;
} rows[] = {
	{ "audience", offsetof(struct parameters, audience) },
	{ "scope", offsetof(struct parameters, scope) },
	{ "role", offsetof(struct parameters, role) },
};

static struct str *place_of(struct parameters *p, struct str name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (str_equal_z(name, rows[i].name))
			return (struct str *)((char *)p + rows[i].offset);
	}
	return NULL;
}

/* An empty value is a template's variable that was not set, and would ask for less than was meant.
 */
static enum err take(struct request *rq, const struct form_param *param, struct parameters *p)
{
	struct str *place = place_of(p, param->name);

	if (!place)
		return fail(rq, ERR_INVALID_REQUEST, "a parameter we do not know");
	if (place->p)
		return fail(rq, ERR_INVALID_REQUEST, "a parameter stands twice");
	if (!param->value.n)
		return fail(rq, ERR_INVALID_REQUEST, "a parameter is empty");
	*place = param->value;
	return ERR_OK;
}

static enum err read_parameters(struct request *rq, struct parameters *p)
{
	struct form *f = arena_new_of(rq->arena, struct form);
	enum err e = f ? form_parse(rq->arena, rq->query, f) : ERR_NOMEM;

	if (e == ERR_NOMEM)
		return fail(rq, e, "no memory for the query");
	if (e == ERR_CONFLICT)
		return fail(rq, ERR_INVALID_REQUEST, "a parameter stands twice");
	if (e)
		return fail(rq, ERR_INVALID_REQUEST, "query cannot be read: %s", err_name(e));
	for (size_t i = 0; i < f->count && !e; i++)
		e = take(rq, &f->params[i], p);
	return e;
}

/* Roles have the characters of scopes (server/admin/admin_user.c). */
static enum err read_list(struct request *rq, const char *name, struct str text,
			  struct scope *ret_list)
{
	if (scope_parse(text.p ? text : STR(""), ret_list))
		return fail(rq, ERR_INVALID_REQUEST, "%s is no list with single spaces", name);
	return ERR_OK;
}

enum err gateway_read_question(struct request *rq, struct gateway_question *ret_q)
{
	struct parameters p = { .audience = STR_NONE };
	enum err e;

	ret_q->slug = rq->path_args[0];
	ret_q->scope.count = ret_q->roles.count = 0;
	if (ret_q->slug.p)
		return ERR_OK;
	e = read_parameters(rq, &p);
	if (e)
		return e;
	if (!p.audience.p)
		return fail(rq, ERR_INVALID_REQUEST, "audience is missing");
	ret_q->audience = p.audience;
	e = read_list(rq, "scope", p.scope, &ret_q->scope);
	return e ? e : read_list(rq, "role", p.role, &ret_q->roles);
}

static enum err wrong_format(struct request *rq, const char *text)
{
	rq->challenge_text = text;
	return fail(rq, ERR_INVALID_TOKEN, "%s", text);
}

enum err gateway_read_token(struct request *rq, struct str *ret_token)
{
	struct str scheme, token;

	if (!rq->authorization.p)
		return fail(rq, ERR_NO_TOKEN, "no bearer token");
	if (auth_split(rq->authorization, &scheme, &token) ||
	    !str_case_equal(scheme, STR("Bearer")))
		return fail(rq, ERR_NO_TOKEN, "Authorization holds no bearer token");
	if (str_starts(token, STR("chy_")))
		return wrong_format(rq, "Opaque tokens are judged by introspection.");
	if (token_is_encrypted(token))
		return wrong_format(rq, "Encrypted tokens are read by their api alone.");
	*ret_token = token;
	return ERR_OK;
}

static bool has_all(struct str list, const struct scope *needed)
{
	for (size_t i = 0; i < needed->count; i++) {
		if (!list_has(list, needed->tokens[i]))
			return false;
	}
	return true;
}

enum err gateway_check_needs(struct request *rq, const struct gateway_question *q,
			     const struct gateway_identity *id)
{
	struct buf b;

	if (!has_all(id->scope, &q->scope)) {
		buf_init(&b, rq->arena, SCOPE_MAX);
		scope_write(&q->scope, &b);
		if (buf_end(&b, &rq->challenge_scope))
			return fail(rq, ERR_NOMEM, "no memory for a challenge");
		return fail(rq, ERR_INSUFFICIENT_SCOPE, "token lacks a scope that is needed");
	}
	if (!has_all(id->user ? id->roles : STR(""), &q->roles))
		return fail(rq, ERR_INSUFFICIENT_SCOPE, "user lacks a role that is needed");
	return ERR_OK;
}
