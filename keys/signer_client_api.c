/* The server's side of secrets of single back ends. */
#include "jose/hs256.h"
#include "keys/signer_exchange.h"

/* A question whose data is several parts behind each other. */
struct question {
	struct exchange x;
	char data[SIGNER_FRAME_MAX];
	size_t n;
	bool over; /* it does not fit */
};

static void add(struct question *q, struct str part)
{
	q->over = q->over || part.n > sizeof(q->data) - q->n;
	if (q->over || part.n == 0)
		return;
	memcpy(q->data + q->n, part.p, part.n);
	q->n += part.n;
}

static enum err put(struct question *q, struct signer_channel *ch)
{
	if (q->over || q->x.in.kid.n > KID_MAX)
		return ERR_LIMIT;
	q->x.in.data = str_n(q->data, q->n);
	q->x.timeout_ms = ch->patience_ms ? ch->patience_ms : SIGNER_TIMEOUT_MS;
	return signer_exchange(ch, &q->x);
}

enum err signer_api_secret(struct signer_channel *ch, struct str uri, char ret_kid[KID_MAX + 1],
			   struct buf *secret, struct buf *sealed)
{
	struct exchange x = {
		.in = { .head = { .op = SIGNER_OP_API_SECRET }, .data = uri },
		.timeout_ms = ch->patience_ms ? ch->patience_ms : SIGNER_CONTROL_TIMEOUT_MS,
	};
	enum err e = uri.n > URI_MAX ? ERR_SYNTAX : signer_exchange(ch, &x);

	if (!e) {
		memcpy(ret_kid, x.out.kid.p, x.out.kid.n);
		ret_kid[x.out.kid.n] = '\0';
		buf_str(secret, x.out.text);
		buf_str(sealed, x.out.more);
		e = secret->err ? secret->err : sealed->err;
	}
	wipe(x.frame, sizeof(x.frame));
	return e;
}

enum err signer_api_sign(struct signer_channel *ch, const struct signer_api_row *row,
			 struct str claims, struct buf *out, struct signed_token *ret_token)
{
	struct question q = {
		.x = { .in = { .head = { .op = SIGNER_OP_API_SIGN,
					 .value = (uint32_t)row->sealed.n },
			       .kid = row->kid } },
	};
	enum err e;

	if (claims.n > JWT_SIZE_MAX)
		return ERR_LIMIT;
	add(&q, row->sealed);
	add(&q, claims);
	e = put(&q, ch);
	return e ? e : signer_take_token(&q.x, out, ret_token);
}

enum err signer_api_check(struct signer_channel *ch, const struct signer_api_row *row,
			  struct str uri, struct str input, const unsigned char mac[HS256_LEN])
{
	struct question q = {
		.x = { .in = { .head = { .op = SIGNER_OP_API_CHECK,
					 .value = (uint32_t)row->sealed.n,
					 .number = (int64_t)uri.n },
			       .kid = row->kid } },
	};

	add(&q, row->sealed);
	add(&q, uri);
	add(&q, str_n(mac, HS256_LEN));
	add(&q, input);
	return put(&q, ch);
}
