/* From the claims of a good token to whom it stands for. */
#include "server/token/gateway.h"

#include "server/request/app.h"
#include "server/store/lists.h"
#include "server/token/auth.h"

static bool is_reserved(const struct request *rq, const struct json *audience)
{
	struct str uri;

	return json_str(audience, &uri) && audience_is_reserved(rq->snapshot->config->issuer, uri);
}

/* A token that also opens the admin API must not travel through a gateway (RFC 8707 3); one that is
 * bound to a key proves nothing without the proof, which a gateway does not hand on (RFC 9449 7.1).
 */
static enum err check_use(struct request *rq, const struct json *claims)
{
	const struct json *aud = json_get(claims, "aud");
	bool reserved = is_reserved(rq, aud);

	for (size_t i = 0; json_type(aud) == JSON_ARRAY && i < json_len(aud); i++)
		reserved = reserved || is_reserved(rq, json_at(aud, i));
	if (reserved)
		return fail(rq, ERR_INVALID_TOKEN, "token has a reserved audience");
	if (json_get(claims, "cnf"))
		return fail(rq, ERR_INVALID_TOKEN, "token is bound to a key");
	return ERR_OK;
}

/* RFC 9068 2.2.3.1, as one text. Ours has strings without spaces; anything else is none of ours. */
static enum err join_roles(struct request *rq, const struct json *roles, struct str *ret_roles)
{
	struct str one;
	struct buf b;

	buf_init(&b, rq->arena, JWT_SIZE_MAX);
	for (size_t i = 0; i < json_len(roles); i++) {
		if (!json_str(json_at(roles, i), &one) || !scope_token_valid(one))
			return fail(rq, ERR_INVALID_TOKEN, "roles are no list of names");
		list_add(&b, one);
	}
	if (buf_end(&b, ret_roles))
		return fail(rq, ERR_NOMEM, "no memory for roles");
	return ERR_OK;
}

/* Empty where it is not there. */
static struct str text_of(struct request *rq, const struct json *claims, const char *name)
{
	struct str text = STR("");

	(void)json_str(json_get(claims, name), &text);
	return arena_str(rq->arena, text);
}

/* Only a login's tokens carry sid. */
enum err gateway_identify(struct request *rq, const struct json *claims,
			  struct gateway_identity *ret_id)
{
	struct gateway_identity id = {
		.sub = text_of(rq, claims, "sub"),
		.client_id = text_of(rq, claims, "client_id"),
		.scope = text_of(rq, claims, "scope"),
		.jti = text_of(rq, claims, "jti"),
		.user = text_of(rq, claims, "sid").n > 0,
	};
	enum err e = check_use(rq, claims);
	double exp;

	if (!e)
		e = join_roles(rq, json_get(claims, "roles"), &id.roles);
	if (e)
		return e;
	if (arena_failed(rq->arena))
		return fail(rq, ERR_NOMEM, "no memory for an identity");
	/* RFC 9068 2.2: all of them are REQUIRED */
	if (!id.sub.n || !id.client_id.n || !id.jti.n ||
	    !json_number(json_get(claims, "exp"), &exp))
		return fail(rq, ERR_INVALID_TOKEN, "sub, client_id, jti or exp is missing");
	id.exp = (int64_t)exp; /* its judge has seen that it is in range (jose/jwt.h) */
	*ret_id = id;
	return ERR_OK;
}
