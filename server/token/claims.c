/* Writes the claims in a fixed order. Times: `iat` is the issuing second, `nbf` lies nbf_skew
 * before it for verifiers whose clock is behind, `exp` counts from iat. */
#include "server/token/claims.h"

#include "server/store/lists.h"

static void write_audience(struct jsonw *w, const struct target *t)
{
	jsonw_key(w, "aud");
	/* RFC 7519 4.1.3: a single audience may be a string, and more libraries take that */
	if (t->api_count == 1) {
		jsonw_str(w, t->apis[0]->uri);
		return;
	}
	jsonw_array(w);
	for (size_t i = 0; i < t->api_count; i++)
		jsonw_str(w, t->apis[i]->uri);
	jsonw_end_array(w);
}

static void write_list(struct jsonw *w, const char *name, struct str list)
{
	struct str one;

	jsonw_key(w, name);
	jsonw_array(w);
	while (str_next(&list, ' ', &one))
		if (one.n)
			jsonw_str(w, one);
	jsonw_end_array(w);
}

/* RFC 9068 2.2.1, 2.2.3.1: what a token says about a user's login. */
static void write_user(struct jsonw *w, const struct user *user, const struct login *login)
{
	jsonw_member(w, "sid", login->sid);
	write_list(w, "roles", user->roles);
	jsonw_member_int(w, "auth_time", login->auth_time);
	write_list(w, "amr", login->amr);
}

static bool apis_emit(const struct target *t, struct str name)
{
	for (size_t i = 0; i < t->api_count; i++)
		if (!list_has(t->apis[i]->claims, name))
			return false;
	return true;
}

/* Members of one object that the apis ask for, except those `skip` has. */
static enum err write_custom(struct jsonw *w, const struct target *t, struct str text,
			     const struct json *skip, struct json **ret_parsed)
{
	struct json *parsed = NULL;
	const struct json *value;
	void *iter = NULL;
	struct str name;
	enum err e;

	*ret_parsed = NULL;
	if (!text.n)
		return ERR_OK;
	e = json_parse(text, CLAIMS_SIZE_MAX, &parsed);
	if (e)
		return e;
	while (json_each(parsed, &iter, &name, &value)) {
		if (!apis_emit(t, name) || (skip && json_get(skip, name.p)))
			continue;
		jsonw_key_str(w, name);
		jsonw_value(w, value);
	}
	*ret_parsed = parsed;
	return ERR_OK;
}

/* The user's claims first; the client's where the user has none of that name. */
static enum err write_customs(struct jsonw *w, const struct request *rq, const struct issue *issue)
{
	struct json *of_user = NULL, *of_client = NULL;
	bool wanted = false;
	enum err e = ERR_OK;

	for (size_t i = 0; i < issue->target.api_count; i++)
		wanted |= issue->target.apis[i]->claims.n > 0;
	if (!wanted)
		return ERR_OK;
	if (issue->user)
		e = write_custom(w, &issue->target, issue->user->claims, NULL, &of_user);
	if (!e)
		e = write_custom(w, &issue->target, rq->client->claims, of_user, &of_client);
	json_free(of_client);
	json_free(of_user);
	return e;
}

enum err claims_write(struct request *rq, const struct issue *issue, const struct login *login,
		      struct buf *out)
{
	const struct config *config = rq->snapshot->config;
	struct jsonw w;
	struct buf scope;
	struct str text;
	enum err e;

	buf_init(&scope, rq->arena, SCOPE_MAX);
	scope_write(&issue->target.scope, &scope);
	e = buf_end(&scope, &text);
	if (e)
		return e;
	jsonw_init(&w, out);
	jsonw_object(&w);
	jsonw_member(&w, "iss", config->issuer);
	jsonw_member(&w, "sub", issue->user ? issue->user->id : rq->client->id);
	write_audience(&w, &issue->target);
	jsonw_member_int(&w, "exp", rq->now + issue->target.ttl);
	jsonw_member_int(&w, "iat", rq->now);
	jsonw_member_int(&w, "nbf", rq->now - config->tokens.nbf_skew);
	jsonw_member(&w, "client_id", rq->client->id);
	if (text.n)
		jsonw_member(&w, "scope", text);
	if (login)
		write_user(&w, issue->user, login);
	e = write_customs(&w, rq, issue);
	jsonw_end_object(&w);
	return e ? e : out->err;
}
