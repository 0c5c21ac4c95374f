/* Secrets of single back ends (HS256). The signer holds none: a row comes with each question,
 * sealed and bound to its kid and to the one audience that the claims name, so that the secret of
 * one back end makes no token for another, whatever the server asks. There may be any number of
 * them, and a new root ends them all: their rows do not open any more. */
#include <sodium.h>

#include "base/json.h"
#include "jose/hs256.h"
#include "keys/seal.h"
#include "keys/signer_call.h"
#include "keys/signer_lane.h"
#include "oauth/machine.h"
#include "oauth/uri.h"

enum { KID_BYTES = 16, HEADER_MAX = 128 };

/* URIs are longer than a context, so it holds a digest. ERR_INTERNAL: no kid of ours. */
static enum err api_context(char text[CONTEXT_MAX + 1], struct str kid, struct str uri,
			    struct str *ret_context)
{
	unsigned char digest[32], bytes[KID_BYTES];
	char hex[2 * sizeof(digest) + 1];
	size_t n;

	if (b64url_decode(kid, bytes, sizeof(bytes), &n) || n != sizeof(bytes))
		return ERR_INTERNAL;
	digest256(uri, digest);
	sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
	*ret_context = call_context(text, "api-secret:%.*s:%s", STR_ARG(kid), hex);
	return ERR_OK;
}

/* ---- on the control channel: making one ---- */

static enum err make(struct call *c)
{
	unsigned char bytes[SECRET_LEN], kid[KID_BYTES];

	randombytes_buf(bytes, sizeof(bytes));
	machine_write(&c->text, MACHINE_API_SECRET, bytes, sizeof(bytes));
	wipe(bytes, sizeof(bytes));
	randombytes_buf(kid, sizeof(kid));
	b64url_encode_z(kid, sizeof(kid), c->kid);
	return c->text.err;
}

enum err call_api_secret(struct call *c)
{
	char text[CONTEXT_MAX + 1];
	struct str context;
	enum err e;

	if (c->in.data.n == 0 || c->in.data.n > URI_MAX)
		return ERR_SYNTAX;
	e = make(c);
	if (!e)
		e = api_context(text, str_z(c->kid), c->in.data, &context);
	if (e)
		return e;
	call_seal(&signer_root_current(c->s->secrets)->seal, context, str_n(c->text.p, c->text.n),
		  &c->more);
	return c->more.err;
}

/* ---- on a signing channel ---- */

/* data: sealed, then the rest. */
static bool split(struct str data, uint32_t first_len, struct str *ret_first, struct str *ret_rest)
{
	if (first_len > data.n)
		return false;
	*ret_first = str_n(data.p, first_len);
	*ret_rest = str_n(data.p + first_len, data.n - first_len);
	return true;
}

static enum err open_row(const struct signer_root *root, struct str kid, struct str uri,
			 struct str sealed, struct buf *plain)
{
	char text[CONTEXT_MAX + 1];
	struct str context;
	enum err e = api_context(text, kid, uri, &context);

	if (!e)
		e = unseal(&root->seal, context, sealed, plain);
	if (!e && plain->n < HS256_SECRET_MIN)
		e = ERR_CORRUPT;
	return e;
}

/* One text, no list, and nothing of this server's own: an administrator's token is never signed
 * with a secret that others hold. */
static enum err one_audience(const struct json *root, struct str iss, struct str *ret_uri)
{
	if (!json_str(json_get(root, "aud"), ret_uri) || ret_uri->n == 0 ||
	    uri_is_below(iss, *ret_uri))
		return ERR_INTERNAL;
	return ERR_OK;
}

static enum err write_header(struct signing_lane *lane, struct str kid)
{
	char json[HEADER_MAX];
	const int n = snprintf(json, sizeof(json),
			       "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"%.*s\"}",
			       STR_ARG(kid));

	if (n < 0 || (size_t)n >= sizeof(json))
		return ERR_LIMIT;
	buf_clear(&lane->token);
	b64url_encode(&lane->token, json, (size_t)n);
	return lane->token.err;
}

/* RFC 7515 7.1 */
static enum err write_token(struct signing_lane *lane, struct str secret, struct str kid)
{
	struct buf *token = &lane->token;
	unsigned char mac[HS256_LEN];
	enum err e = write_header(lane, kid);

	if (e)
		return e;
	buf_byte(token, '.');
	b64url_encode(token, lane->payload.p, lane->payload.n);
	if (token->err)
		return token->err;
	hs256(secret, str_n(token->p, token->n), mac);
	buf_byte(token, '.');
	b64url_encode(token, mac, sizeof(mac));
	return token->err;
}

static enum err sign_for(struct lane_call *c, struct str sealed, struct str claims, struct str uri)
{
	const struct signer_root *root = purpose_root(&c->lane->signer->purposes);
	struct buf plain;
	enum err e;

	if (!root)
		return ERR_UNAVAILABLE;
	buf_init(&plain, NULL, SEAL_PLAIN_MAX);
	e = open_row(root, c->in.kid, uri, sealed, &plain);
	if (!e)
		e = lane_payload(c->lane, claims, root, c->in.kid);
	if (!e)
		e = write_token(c->lane, str_n(plain.p, plain.n), c->in.kid);
	buf_done(&plain);
	return e;
}

enum err lane_api_sign(struct lane_call *c)
{
	struct signing_lane *lane = c->lane;
	struct str sealed, claims, uri;
	struct json *root = NULL;
	struct token_claim claim;
	enum err e;

	if (!split(c->in.data, c->in.head.value, &sealed, &claims))
		return ERR_INTERNAL;
	e = lane_access_claims(lane, claims, &claim, &root);
	if (!e)
		e = one_audience(root, claim.iss, &uri);
	if (!e)
		e = table_admit_other(&lane->signer->table, &claim);
	if (!e)
		e = sign_for(c, sealed, claims, uri);
	json_free(root);
	if (e)
		return e;
	c->out.kid = c->in.kid;
	c->out.text = str_n(lane->token.p, lane->token.n);
	c->out.more = str_n(lane->jti, JTI_TEXT);
	return ERR_OK;
}

/* The MAC itself never leaves: it would be a signature over whatever the server likes. */
static enum err check(struct lane_call *c, struct str sealed, struct str uri, struct str mac,
		      struct str input)
{
	const struct signer_root *root = purpose_root(&c->lane->signer->purposes);
	unsigned char ours[HS256_LEN];
	struct buf plain;
	enum err e;

	if (!root)
		return ERR_UNAVAILABLE;
	buf_init(&plain, NULL, SEAL_PLAIN_MAX);
	e = open_row(root, c->in.kid, uri, sealed, &plain);
	if (!e) {
		hs256(str_n(plain.p, plain.n), input, ours);
		e = bytes_equal_ct(ours, mac.p, sizeof(ours)) ? ERR_OK : ERR_BAD_SIGNATURE;
	}
	buf_done(&plain);
	return e;
}

enum err lane_api_check(struct lane_call *c)
{
	struct str sealed, uri, mac, rest = c->in.data;

	if (c->in.head.number < 0 || c->in.head.number > URI_MAX ||
	    !split(rest, c->in.head.value, &sealed, &rest) ||
	    !split(rest, (uint32_t)c->in.head.number, &uri, &rest) ||
	    !split(rest, HS256_LEN, &mac, &rest))
		return ERR_INTERNAL;
	return check(c, sealed, uri, mac, rest);
}
