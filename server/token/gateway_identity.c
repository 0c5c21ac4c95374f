/* X-Identity: what the headers say, signed, for services that must not take a gateway's word, or
 * whatever reaches them past it. It is no access token: another typ, another key, an audience that
 * no api can have, and gone within a minute. `api` is the audience that was asked about, so that
 * one service cannot show another what it was shown. */
#include "server/token/endpoints.h"

#include "server/request/app.h"
#include "server/token/gateway.h"

enum { IDENTITY_MAX = JWT_SIZE_MAX };

#define IDENTITY_PATH "/gateway"

static void write_roles(struct jsonw *w, struct str roles)
{
	struct str one;

	jsonw_key(w, "roles");
	jsonw_array(w);
	while (str_next(&roles, ' ', &one))
		jsonw_str(w, one);
	jsonw_end_array(w);
}

static enum err write_audience(struct request *rq, struct jsonw *w)
{
	struct buf b;
	struct str text;
	enum err e;

	buf_init(&b, rq->arena, URI_MAX + sizeof(IDENTITY_PATH));
	buf_str(&b, rq->snapshot->config->issuer);
	buf_z(&b, IDENTITY_PATH);
	e = buf_end(&b, &text);
	if (!e)
		jsonw_member(w, "aud", text);
	return e;
}

static enum err write_claims(struct request *rq, const struct gateway_identity *id, struct str api,
			     struct buf *out)
{
	const int64_t end = rq->now + IDENTITY_TTL_MAX;
	struct jsonw w;
	enum err e;

	jsonw_init(&w, out);
	jsonw_object(&w);
	jsonw_member(&w, "iss", rq->snapshot->config->issuer);
	jsonw_member(&w, "sub", id->sub);
	e = write_audience(rq, &w);
	jsonw_member_int(&w, "exp", id->exp < end ? id->exp : end);
	jsonw_member_int(&w, "iat", rq->now);
	jsonw_member(&w, "api", api);
	jsonw_member(&w, "client_id", id->client_id);
	jsonw_member(&w, "scope", id->scope);
	jsonw_member_bool(&w, "user", id->user);
	if (id->user)
		write_roles(&w, id->roles);
	jsonw_member(&w, "token_id", id->jti);
	jsonw_end_object(&w);
	return e ? e : out->err;
}

enum err gateway_sign_identity(struct request *rq, const struct gateway_identity *id,
			       struct str api)
{
	struct buf claims, out;
	struct str body, text;
	enum err e;

	buf_init(&claims, rq->arena, IDENTITY_MAX);
	buf_init(&out, rq->arena, IDENTITY_MAX);
	e = write_claims(rq, id, api, &claims);
	if (!e)
		e = buf_end(&claims, &body);
	if (e)
		return fail(rq, ERR_UNAVAILABLE, "an identity could not be written");
	e = signer_document(rq->signer, PURPOSE_IDENTITY, body, &out, &text);
	if (e)
		return fail(rq, ERR_UNAVAILABLE, "an identity was not signed: %s", err_name(e));
	respond_header(rq, "X-Identity", text);
	return ERR_OK;
}
