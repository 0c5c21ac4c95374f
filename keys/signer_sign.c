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
#include "jose/b64.h"
#include "keys/jti.h"
#include "keys/signer_frame.h"
#include "keys/signer_process.h"

enum { STACK_SIZE = 256 << 10 };

struct signing_lane {
	struct signer *signer;
	size_t index;
	int fd;
	pthread_t thread;
	/* kept from token to token */
	struct buf payload;
	struct buf token;
	char jti[JTI_TEXT + 1];
	char frame[SIGNER_FRAME_MAX];
};

/* RFC 9068 2.2: required claims of an access token, besides the jti that we append ourselves. */
static const struct token_rule {
	const char *strings[4];
} token_rules[] = {
	[TOKEN_ACCESS] = { .strings = { "iss", "sub", "client_id" } },
};

static bool has_text(const struct json *v)
{
	struct str text;

	return json_str(v, &text) && text.n > 0;
}

/* RFC 7519 4.1.3: one string, or an array of them. */
static bool is_audience(const struct json *aud)
{
	if (!aud || json_type(aud) != JSON_ARRAY)
		return has_text(aud);
	for (size_t i = 0; i < json_len(aud); i++) {
		if (!has_text(json_at(aud, i)))
			return false;
	}
	return json_len(aud) > 0;
}

static bool read_claims(const struct json *root, const struct token_rule *rule,
			struct token_claim *ret)
{
	for (size_t i = 0; rule->strings[i]; i++) {
		if (!has_text(json_get(root, rule->strings[i])))
			return false;
	}
	/* a jti of the server's own would stand before ours, and a reader might take that one */
	if (!is_audience(json_get(root, "aud")) || json_get(root, "jti"))
		return false;
	return json_str(json_get(root, "iss"), &ret->iss) &&
	       json_int(json_get(root, "iat"), &ret->iat) &&
	       json_int(json_get(root, "exp"), &ret->exp);
}

/* Against our own clock: a server with a wrong one, or in a stranger's hands, must not stock up
 * tokens of next year. Afterwards iat is sane and exp - iat cannot overflow. */
static bool times_hold(const struct token_claim *c)
{
	return c->iat >= c->now - SIGNER_CLOCK_SLACK && c->iat <= c->now + SIGNER_CLOCK_SLACK &&
	       c->exp > c->iat;
}

static enum err admit(struct signing_lane *lane, const struct signer_request *rq,
		      struct held_key **ret_key)
{
	const struct signer_clock *clock = &lane->signer->clock;
	struct token_claim claim = { .alg = (enum alg)rq->head.alg };
	struct json *root = NULL;
	enum err e = ERR_INTERNAL;

	if (rq->head.kind != TOKEN_ACCESS || rq->head.alg == ALG_UNKNOWN ||
	    rq->head.alg >= ALG_COUNT)
		return ERR_INTERNAL;
	/* we will write behind the last brace, so it must be the last byte */
	if (rq->data.n < 2 || rq->data.p[0] != '{' || rq->data.p[rq->data.n - 1] != '}')
		return ERR_INTERNAL;
	if (json_parse(rq->data, JWT_SIZE_MAX, &root))
		return ERR_INTERNAL;
	claim.now = clock->now(clock->arg);
	if (read_claims(root, &token_rules[rq->head.kind], &claim) && times_hold(&claim))
		e = table_admit(&lane->signer->table, &claim, ret_key);
	json_free(root);
	return e;
}

static enum err build_payload(struct signing_lane *lane, struct str claims,
			      const struct held_key *key)
{
	unsigned char random[JTI_RANDOM];

	randombytes_buf(random, sizeof(random));
	buf_clear(&lane->payload);
	buf_add(&lane->payload, claims.p, claims.n - 1);
	return jti_append(&lane->payload, &key->root->jti, str_z(key->kid),
			  (unsigned char)key->root->version, random, lane->jti);
}

static enum err build_token(struct signing_lane *lane, struct held_key *key)
{
	struct sign_ctx **ctx = &key->ctx[lane->index];
	struct buf *token = &lane->token;
	unsigned char signature[SIGNATURE_MAX];
	size_t n;
	enum err e;

	if (!*ctx) {
		e = sign_ctx_new(key->key, ctx);
		if (e)
			return e;
	}
	/* RFC 7515 7.1 */
	buf_clear(token);
	buf_add(token, key->header, key->header_len);
	buf_byte(token, '.');
	b64url_encode(token, lane->payload.p, lane->payload.n);
	if (token->err)
		return token->err;
	e = sign(*ctx, str_n(token->p, token->n), signature, sizeof(signature), &n);
	if (e)
		return e;
	buf_byte(token, '.');
	b64url_encode(token, signature, n);
	return token->err;
}

static bool answer_with(struct signing_lane *lane, uint32_t seq, enum err e,
			const struct held_key *key)
{
	struct signer_answer answer = { .head = { .seq = seq, .err = (uint16_t)e } };

	if (!e) {
		answer.kid = str_z(key->kid);
		answer.text = str_n(lane->token.p, lane->token.n);
		answer.more = str_n(lane->jti, JTI_TEXT);
	}
	return signer_answer_send(lane->fd, &answer);
}

static bool serve_one(struct signing_lane *lane, struct str frame)
{
	struct held_key *key = NULL;
	struct signer_request rq;
	enum err e;
	bool sent;

	if (!signer_request_parse(frame, &rq) || rq.head.op != SIGNER_OP_SIGN)
		return false;
	e = admit(lane, &rq, &key);
	if (!e)
		e = build_payload(lane, rq.data, key);
	if (!e)
		e = build_token(lane, key);
	sent = answer_with(lane, rq.head.seq, e, key);
	held_key_unref(key);
	return sent;
}

static void *lane_main(void *arg)
{
	struct signing_lane *lane = arg;
	size_t n;

	while (signer_frame_recv(lane->fd, lane->frame, sizeof(lane->frame), 0, &n)) {
		if (!serve_one(lane, str_n(lane->frame, n)))
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

static void lane_free(struct signing_lane *lane)
{
	close(lane->fd);
	buf_done(&lane->payload);
	buf_done(&lane->token);
	wipe(lane->frame, sizeof(lane->frame));
	free(lane);
}

enum err signing_lane_start(struct signer *s, int fd, size_t index, struct signing_lane **ret_lane)
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
	if (start_thread(lane)) {
		lane_free(lane);
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
	lane_free(lane);
}
