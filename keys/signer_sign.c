/* The signing side of the signer: one thread per channel, blocking in recv. A token is judged
 * against policy before a key is touched: the server that asks faces the network, and a hole in it
 * must not buy more than tokens that the policy would give anyway. */
#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "keys/signer_lane.h"

enum { STACK_SIZE = 256 << 10 };

/* RFC 9068 2.2: required claims of an access token, besides the jti that we append ourselves. */
static const struct token_rule {
	const char *strings[4];
} token_rules[] = {
	[TOKEN_ACCESS] = { .strings = { "iss", "sub", "client_id" } },
};

bool lane_has_text(const struct json *value)
{
	struct str text;

	return json_str(value, &text) && text.n > 0;
}

enum err lane_claims(struct str text, struct json **ret_root)
{
	if (text.n < 2 || text.p[0] != '{' || text.p[text.n - 1] != '}')
		return ERR_INTERNAL;
	return json_parse(text, JWT_SIZE_MAX, ret_root) ? ERR_INTERNAL : ERR_OK;
}

/* RFC 7519 4.1.3: one string, or an array of them. */
static bool is_audience(const struct json *aud)
{
	if (!aud || json_type(aud) != JSON_ARRAY)
		return lane_has_text(aud);
	for (size_t i = 0; i < json_len(aud); i++) {
		if (!lane_has_text(json_at(aud, i)))
			return false;
	}
	return json_len(aud) > 0;
}

static bool read_claims(const struct json *root, const struct token_rule *rule,
			struct token_claim *ret)
{
	for (size_t i = 0; rule->strings[i]; i++) {
		if (!lane_has_text(json_get(root, rule->strings[i])))
			return false;
	}
	/* a jti of the server's own would stand before ours, and a reader might take that one */
	if (!is_audience(json_get(root, "aud")) || json_get(root, "jti"))
		return false;
	return json_str(json_get(root, "iss"), &ret->iss) &&
	       json_int(json_get(root, "iat"), &ret->iat) &&
	       json_int(json_get(root, "exp"), &ret->exp);
}

enum err lane_access_claims(const struct signing_lane *lane, struct str text,
			    struct token_claim *ret_claim, struct json **ret_root)
{
	const struct signer_clock *clock = &lane->signer->clock;
	enum err e = lane_claims(text, ret_root);

	if (e)
		return e;
	*ret_claim = (struct token_claim){ .now = clock->now(clock->arg) };
	if (!read_claims(*ret_root, &token_rules[TOKEN_ACCESS], ret_claim) ||
	    !claim_times_hold(ret_claim))
		return ERR_INTERNAL;
	return ERR_OK;
}

static enum err admit(struct lane_call *c)
{
	const enum alg alg = (enum alg)c->in.head.alg;
	struct token_claim claim;
	struct json *root = NULL;
	enum err e;

	if (c->in.head.kind != TOKEN_ACCESS || alg == ALG_UNKNOWN || alg >= ALG_COUNT)
		return ERR_INTERNAL;
	e = lane_access_claims(c->lane, c->in.data, &claim, &root);
	claim.alg = alg;
	if (!e)
		e = table_admit(&c->lane->signer->table, &claim, &c->key);
	json_free(root);
	return e;
}

enum err lane_payload(struct signing_lane *lane, struct str claims, const struct signer_root *root,
		      struct str kid)
{
	unsigned char random[JTI_RANDOM];

	randombytes_buf(random, sizeof(random));
	buf_clear(&lane->payload);
	buf_add(&lane->payload, claims.p, claims.n - 1);
	return jti_append(&lane->payload, &root->jti, kid, (unsigned char)root->version, random,
			  lane->jti);
}

enum err lane_ctx_of(const struct signing_lane *lane, struct held_key *key,
		     struct sign_ctx **ret_ctx)
{
	struct sign_ctx **ctx = &key->ctx[lane->index];

	if (!*ctx) {
		enum err e = sign_ctx_new(key->key, ctx);

		if (e)
			return e;
	}
	*ret_ctx = *ctx;
	return ERR_OK;
}

enum err lane_jws(struct signing_lane *lane, struct held_key *key, struct str payload)
{
	struct buf *token = &lane->token;
	unsigned char signature[SIGNATURE_MAX];
	struct sign_ctx *ctx;
	size_t n;
	enum err e = lane_ctx_of(lane, key, &ctx);

	if (e)
		return e;
	buf_clear(token);
	buf_add(token, key->header, key->header_len);
	buf_byte(token, '.');
	b64url_encode(token, payload.p, payload.n);
	if (token->err)
		return token->err;
	e = sign(ctx, str_n(token->p, token->n), signature, sizeof(signature), &n);
	if (e)
		return e;
	buf_byte(token, '.');
	b64url_encode(token, signature, n);
	return token->err;
}

static enum err lane_token(struct lane_call *c)
{
	struct signing_lane *lane = c->lane;
	enum err e = admit(c);

	if (!e)
		e = lane_payload(lane, c->in.data, c->key->root, str_z(c->key->kid));
	if (!e)
		e = lane_jws(lane, c->key, str_n(lane->payload.p, lane->payload.n));
	if (e)
		return e;
	c->out.kid = str_z(c->key->kid);
	c->out.text = str_n(lane->token.p, lane->token.n);
	c->out.more = str_n(lane->jti, JTI_TEXT);
	return ERR_OK;
}

static const struct op {
	enum err (*run)(struct lane_call *c);
	bool in_list; /* belongs to the list under way; anything else abandons it */
} ops[SIGNER_OP_COUNT] = {
	[SIGNER_OP_SIGN] = { lane_token },
	[SIGNER_OP_DOCUMENT] = { lane_document },
	[SIGNER_OP_LIST] = { lane_list },
	[SIGNER_OP_LIST_ADD] = { lane_list_add, .in_list = true },
	[SIGNER_OP_LIST_END] = { lane_list_end, .in_list = true },
	[SIGNER_OP_API_SIGN] = { lane_api_sign },
	[SIGNER_OP_API_CHECK] = { lane_api_check },
	[SIGNER_OP_PURPOSE_KEYS] = { lane_purpose_keys },
};

bool signing_lane_frame(struct signing_lane *lane, struct str frame)
{
	struct signer_answer failed = { .head = { .err = ERR_OK } };
	struct lane_call c = { .lane = lane };
	const struct op *op;
	enum err e;
	bool sent;

	if (!signer_request_parse(frame, &c.in) || c.in.head.op >= SIGNER_OP_COUNT)
		return false;
	op = &ops[c.in.head.op];
	if (!op->run)
		return false;
	if (!op->in_list)
		lane_list_forget(lane);
	e = op->run(&c);
	failed.head.err = (uint16_t)e;
	failed.head.seq = c.out.head.seq = c.in.head.seq;
	sent = signer_answer_send(lane->fd, e ? &failed : &c.out);
	held_key_unref(c.key);
	return sent;
}

static void *lane_main(void *arg)
{
	struct signing_lane *lane = arg;
	size_t n;

	while (signer_frame_recv(lane->fd, lane->frame, sizeof(lane->frame), 0, &n)) {
		if (!signing_lane_frame(lane, str_n(lane->frame, n)))
			break;
	}
	shutdown(lane->fd,
		 SHUT_RDWR); /* the server sees the end; the number stays ours until stop */
	return NULL;
}

static int start_thread(struct signing_lane *lane)
{
	pthread_attr_t attr;
	int failed = pthread_attr_init(&attr);

	if (failed)
		return failed;
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	failed = pthread_create(&lane->thread, &attr, lane_main, lane);
	pthread_attr_destroy(&attr);
	return failed;
}

void signing_lane_free(struct signing_lane *lane)
{
	lane_list_forget(lane);
	close(lane->fd);
	buf_done(&lane->payload);
	buf_done(&lane->token);
	wipe(lane->frame, sizeof(lane->frame));
	free(lane);
}

enum err signing_lane_new(struct signer *s, int fd, size_t index, struct signing_lane **ret_lane)
{
	struct signing_lane *lane = calloc(1, sizeof(*lane));

	assert(index < SIGNER_CHANNELS_MAX);
	if (!lane) {
		close(fd);
		return ERR_NOMEM;
	}
	lane->signer = s;
	lane->index = index;
	lane->fd = fd;
	buf_init(&lane->payload, NULL, JWT_SIZE_MAX);
	buf_init(&lane->token, NULL, JWT_SIZE_MAX);
	*ret_lane = lane;
	return ERR_OK;
}

enum err signing_lane_start(struct signer *s, int fd, size_t index, struct signing_lane **ret_lane)
{
	struct signing_lane *lane;
	enum err e = signing_lane_new(s, fd, index, &lane);

	if (e)
		return e;
	if (start_thread(lane)) {
		signing_lane_free(lane);
		return ERR_NOMEM;
	}
	*ret_lane = lane;
	return ERR_OK;
}

void signing_lane_stop(struct signing_lane *lane)
{
	if (!lane)
		return;
	shutdown(lane->fd, SHUT_RDWR);
	pthread_join(lane->thread, NULL);
	signing_lane_free(lane);
}
