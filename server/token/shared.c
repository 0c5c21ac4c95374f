/* HS256 is for one back end, which verifies with the secret that signs. Whoever holds it can make
 * tokens that this back end takes; so it must buy nothing anywhere else. Of three bars each is
 * enough: a secret is looked for only among those of the one api that the token names, the signer
 * opens its row for that api alone, and what our signer did not make is refused here like any
 * forgery. Secrets never stand among the keys of the set, nor do their kids lead there. */
#include "server/token/shared.h"

#include "base/secret.h"

static enum err refuse(struct request *rq, const char *why)
{
	return fail(rq, ERR_INVALID_TOKEN, "%s", why);
}

const struct api_secret *api_secret_signing(const struct api *api, int64_t now)
{
	/* in order of sign_from */
	for (size_t i = api->secret_count; i-- > 0;) {
		if (api->secrets[i].sign_from <= now)
			return &api->secrets[i];
	}
	return NULL;
}

static const struct api_secret *verifying(const struct api *api, struct str kid, int64_t now)
{
	for (size_t i = 0; i < api->secret_count; i++) {
		const struct api_secret *s = &api->secrets[i];

		if (str_equal(s->kid, kid) && (!s->until || now < s->until))
			return s;
	}
	return NULL;
}

/* The api that `aud` names, if that is one text: a list, even of one, is not what we make. */
static enum err find_api(struct request *rq, const struct jws *jws, const struct api **ret_api)
{
	AUTO(json, claims) = NULL;
	struct str aud;
	enum err e = json_parse(jws->payload, JWT_SIZE_MAX, &claims);

	if (e == ERR_NOMEM)
		return fail(rq, e, "no memory to read a token's claims");
	if (e || !json_str(json_get(claims, "aud"), &aud))
		return refuse(rq, "signed with a secret, and not for one audience");
	*ret_api = api_find(&rq->snapshot->apis, aud);
	return *ret_api ? ERR_OK : refuse(rq, "signed with a secret for no api of ours");
}

static enum err check_mac(struct request *rq, const struct api *api, const struct jws *jws)
{
	const struct api_secret *secret = verifying(api, jws->kid, rq->now);
	struct signer_api_row row;
	enum err e;

	if (!secret)
		return refuse(rq, "no secret of this kid is the api's");
	if (jws->signature_len != HS256_LEN)
		return refuse(rq, "bad signature");
	row = (struct signer_api_row){ .kid = secret->kid, .sealed = secret->sealed };
	e = signer_api_check(rq->signer, &row, api->uri, jws->signing_input, jws->signature);
	if (e == ERR_BAD_SIGNATURE)
		return refuse(rq, "bad signature");
	return e ? fail(rq, e, "the signer did not check a signature") : ERR_OK;
}

enum err shared_check(struct request *rq, struct str token, struct jws *ret_jws)
{
	static const char why[] = "signed with the api's secret, but not by our signer";
	const struct api *api;
	enum err e = jws_parse_shared(rq->arena, token, ret_jws);

	if (e == ERR_NOMEM)
		return fail(rq, e, "no memory to read a token");
	if (e)
		return refuse(rq, "not a compact JWS of ours");
	e = find_api(rq, ret_jws, &api);
	if (!e)
		e = check_mac(rq, api, ret_jws);
	if (e)
		return e;
	if (signer_jti_genuine(&rq->app->derived.jti, ret_jws->kid, ret_jws->payload))
		return ERR_OK;
	token_forged(rq, ret_jws->kid, why);
	return refuse(rq, why);
}
