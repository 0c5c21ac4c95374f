/* Documents that are no tokens, on a signing channel: judged against their purpose's row before a
 * key is touched. All members but the list's objects are judged in one piece; the signer itself
 * writes the list around objects that it has parsed, so that no piece can end the list and say
 * something of its own behind it. */
#include "base/json.h"
#include "keys/signer_lane.h"

enum { PIECE_MAX = SIGNER_FRAME_MAX + 2, PIECE_TEXT_MAX = B64URL_LEN(PIECE_MAX) + 4 };

/* ---- policy ---- */

static bool is_audience(const struct json *aud, struct str iss, const char *path)
{
	struct str text;

	if (!path)
		return !aud;
	return json_str(aud, &text) && text.n == iss.n + strlen(path) && str_starts(text, iss) &&
	       str_equal_z(str_n(text.p + iss.n, text.n - iss.n), path);
}

static bool holds(const struct json *root, const struct purpose_rule *rule, int64_t now,
		  struct str *ret_iss)
{
	struct token_claim c = { .now = now };

	for (size_t i = 0; rule->strings[i]; i++) {
		if (!lane_has_text(json_get(root, rule->strings[i])))
			return false;
	}
	if (!json_str(json_get(root, "iss"), &c.iss) || !json_int(json_get(root, "iat"), &c.iat) ||
	    !json_int(json_get(root, "exp"), &c.exp) || json_get(root, "entries"))
		return false;
	*ret_iss = c.iss;
	return claim_times_hold(&c) && c.exp - c.iat <= rule->ttl_max &&
	       is_audience(json_get(root, "aud"), c.iss, rule->audience_path);
}

/* Sets c->key. */
static enum err admit(struct lane_call *c, bool list)
{
	const struct purpose_rule *rule = purpose_rule(c->in.head.kind);
	struct signer *s = c->lane->signer;
	const int64_t now = s->clock.now(s->clock.arg);
	struct json *root = NULL;
	struct str iss;
	enum err e;

	if (!rule || rule->list != list)
		return ERR_INTERNAL;
	e = lane_claims(c->in.data, &root);
	if (!e && !holds(root, rule, now, &iss))
		e = ERR_INTERNAL;
	if (!e)
		e = table_check_issuer(&s->table, iss);
	if (!e)
		e = purpose_key(&s->purposes, (enum purpose)c->in.head.kind, now, &c->key);
	json_free(root);
	return e;
}

enum err lane_document(struct lane_call *c)
{
	struct signing_lane *lane = c->lane;
	enum err e = admit(c, false);

	if (!e)
		e = lane_jws(lane, c->key, c->in.data);
	if (e)
		return e;
	c->out.kid = str_z(c->key->kid);
	c->out.text = str_n(lane->token.p, lane->token.n);
	return ERR_OK;
}

enum err lane_purpose_keys(struct lane_call *c)
{
	const struct signer_clock *clock = &c->lane->signer->clock;
	struct buf *out = &c->lane->token;
	int64_t until;
	enum err e;

	if (!purpose_rule(c->in.head.kind))
		return ERR_INTERNAL;
	buf_clear(out);
	e = purpose_keys_write(&c->lane->signer->purposes, (enum purpose)c->in.head.kind,
			       clock->now(clock->arg), out, &until);
	if (e)
		return e;
	c->out.text = str_n(out->p, out->n);
	c->out.head.number = until;
	return ERR_OK;
}

/* ---- lists ---- */

void lane_list_forget(struct signing_lane *lane)
{
	held_key_unref(lane->listing.key);
	lane->listing = (struct listing){ .key = NULL };
}

/* The next bytes of the payload, into the digest. */
static enum err digest(struct signing_lane *lane, struct sign_ctx *ctx, struct str bytes, bool last)
{
	struct listing *l = &lane->listing;
	struct buf text;
	enum err e;

	buf_init(&text, NULL, PIECE_TEXT_MAX);
	b64url_stream_add(&l->text, &text, bytes.p, bytes.n);
	if (last)
		b64url_stream_end(&l->text, &text);
	e = text.err;
	if (!e)
		e = sign_add(ctx, str_n(text.p, text.n));
	buf_done(&text);
	return e;
}

static enum err begin(struct lane_call *c, struct sign_ctx *ctx)
{
	struct signing_lane *lane = c->lane;
	enum err e = sign_begin(ctx);

	if (!e)
		e = sign_add(ctx, str_n(c->key->header, c->key->header_len));
	if (!e)
		e = sign_add(ctx, STR("."));
	if (!e)
		e = digest(lane, ctx, str_n(c->in.data.p, c->in.data.n - 1), false);
	return e ? e : digest(lane, ctx, STR(SIGNER_LIST_OPENING), false);
}

enum err lane_list(struct lane_call *c)
{
	struct sign_ctx *ctx;
	enum err e = admit(c, true);

	if (!e)
		e = lane_ctx_of(c->lane, c->key, &ctx);
	if (!e)
		e = begin(c, ctx);
	if (e)
		return e;
	c->out.kid = str_z(c->key->kid);
	c->out.text = str_n(c->key->header, c->key->header_len);
	c->lane->listing.key = c->key;
	c->key = NULL; /* the answer's text is its, and the listing keeps it */
	return ERR_OK;
}

/* Whole objects, and nothing beside them. */
static enum err check_objects(struct str text)
{
	struct json *root = NULL;
	struct str array;
	struct buf b;
	enum err e;

	buf_init(&b, NULL, PIECE_MAX);
	buf_byte(&b, '[');
	buf_str(&b, text);
	buf_byte(&b, ']');
	e = buf_end(&b, &array);
	if (!e)
		e = json_parse(array, PIECE_MAX, &root);
	if (!e && json_len(root) == 0)
		e = ERR_INTERNAL;
	for (size_t i = 0; !e && i < json_len(root); i++) {
		if (json_type(json_at(root, i)) != JSON_OBJECT)
			e = ERR_INTERNAL;
	}
	json_free(root);
	buf_done(&b);
	return e == ERR_OK || e == ERR_NOMEM ? e : ERR_INTERNAL;
}

static enum err add(struct lane_call *c)
{
	struct listing *l = &c->lane->listing;
	struct sign_ctx *ctx;
	enum err e = l->key ? check_objects(c->in.data) : ERR_CONFLICT;

	if (!e)
		e = lane_ctx_of(c->lane, l->key, &ctx);
	if (!e && l->any)
		e = digest(c->lane, ctx, STR(","), false);
	l->any = true;
	return e ? e : digest(c->lane, ctx, c->in.data, false);
}

enum err lane_list_add(struct lane_call *c)
{
	enum err e = add(c);

	if (e)
		lane_list_forget(c->lane); /* half a list is none */
	return e;
}

static enum err finish(struct lane_call *c, struct held_key *key)
{
	unsigned char signature[SIGNATURE_MAX];
	struct buf *out = &c->lane->token;
	struct sign_ctx *ctx;
	size_t n;
	enum err e = lane_ctx_of(c->lane, key, &ctx);

	if (!e)
		e = digest(c->lane, ctx, STR(SIGNER_LIST_CLOSING), true);
	if (!e)
		e = sign_end(ctx, signature, sizeof(signature), &n);
	if (e)
		return e;
	buf_clear(out);
	b64url_encode(out, signature, n);
	c->out.text = str_n(out->p, out->n);
	return out->err;
}

enum err lane_list_end(struct lane_call *c)
{
	enum err e = c->lane->listing.key ? finish(c, c->lane->listing.key) : ERR_CONFLICT;

	lane_list_forget(c->lane);
	return e;
}
