/* The server's side of documents: the text of a list grows here while the signer digests the same
 * bytes. */
#include <stdlib.h>

#include "base/limits.h"
#include "jose/b64.h"
#include "keys/signer_exchange.h"

enum { PART_MAX = 8192 };

/* What is not sent yet. */
struct signer_list_part {
	struct b64url_stream text;
	size_t n;
	char objects[PART_MAX];
	struct exchange x;
	bool any; /* a part was sent */
};

static enum err ask(struct signer_channel *ch, struct exchange *x, enum signer_op op,
		    enum purpose purpose)
{
	x->in.head = (struct frame_request){ .op = (uint8_t)op, .kind = (uint8_t)purpose };
	x->timeout_ms = ch->patience_ms ? ch->patience_ms : SIGNER_TIMEOUT_MS;
	return signer_exchange(ch, x);
}

enum err signer_document(struct signer_channel *ch, enum purpose purpose, struct str claims,
			 struct buf *out, struct str *ret_text)
{
	struct exchange x;
	enum err e;

	if (claims.n > JWT_SIZE_MAX)
		return ERR_LIMIT;
	x.in = (struct signer_request){ .data = claims };
	e = ask(ch, &x, SIGNER_OP_DOCUMENT, purpose);
	if (e)
		return e;
	buf_clear(out);
	buf_str(out, x.out.text);
	return buf_end(out, ret_text);
}

enum err signer_purpose_keys(struct signer_channel *ch, enum purpose purpose, struct buf *out,
			     int64_t *ret_until)
{
	struct exchange x = { .in = { .data = STR_NONE } };
	enum err e = ask(ch, &x, SIGNER_OP_PURPOSE_KEYS, purpose);

	if (e)
		return e;
	buf_str(out, x.out.text);
	if (!out->err)
		*ret_until = x.out.head.number;
	return out->err;
}

/* ---- lists ---- */

static enum err begin(struct signer_list *l, enum purpose purpose, struct str claims)
{
	struct signer_list_part *p = l->part;
	enum err e;

	if (!p)
		return ERR_NOMEM;
	if (claims.n < 2 || claims.n > JWT_SIZE_MAX)
		return ERR_LIMIT;
	p->x.in = (struct signer_request){ .data = claims };
	e = ask(l->ch, &p->x, SIGNER_OP_LIST, purpose);
	if (e)
		return e;
	buf_str(l->out, p->x.out.text);
	buf_byte(l->out, '.');
	b64url_stream_add(&p->text, l->out, claims.p, claims.n - 1);
	b64url_stream_add(&p->text, l->out, SIGNER_LIST_OPENING, strlen(SIGNER_LIST_OPENING));
	return l->out->err;
}

void signer_list_begin(struct signer_list *l, struct signer_channel *ch, enum purpose purpose,
		       struct str claims, struct buf *out)
{
	*l = (struct signer_list){ .ch = ch, .out = out, .part = calloc(1, sizeof(*l->part)) };
	buf_clear(out);
	l->err = begin(l, purpose, claims);
}

static enum err send_part(struct signer_list *l)
{
	struct signer_list_part *p = l->part;
	enum err e;

	if (p->n == 0)
		return ERR_OK;
	p->x.in = (struct signer_request){ .data = str_n(p->objects, p->n) };
	e = ask(l->ch, &p->x, SIGNER_OP_LIST_ADD, 0);
	if (e)
		return e;
	if (p->any)
		b64url_stream_add(&p->text, l->out, ",", 1);
	b64url_stream_add(&p->text, l->out, p->objects, p->n);
	p->any = true;
	p->n = 0;
	return l->out->err;
}

void signer_list_add(struct signer_list *l, struct str object)
{
	struct signer_list_part *p = l->part;

	if (!l->err && object.n >= PART_MAX)
		l->err = ERR_LIMIT;
	if (!l->err && p->n + 1 + object.n > PART_MAX)
		l->err = send_part(l);
	if (l->err)
		return;
	if (p->n > 0)
		p->objects[p->n++] = ',';
	memcpy(p->objects + p->n, object.p, object.n);
	p->n += object.n;
}

static enum err end(struct signer_list *l, struct str *ret_text)
{
	struct signer_list_part *p = l->part;
	enum err e = send_part(l);

	if (e)
		return e;
	p->x.in = (struct signer_request){ .data = STR_NONE };
	e = ask(l->ch, &p->x, SIGNER_OP_LIST_END, 0);
	if (e)
		return e;
	b64url_stream_add(&p->text, l->out, SIGNER_LIST_CLOSING, strlen(SIGNER_LIST_CLOSING));
	b64url_stream_end(&p->text, l->out);
	buf_byte(l->out, '.');
	buf_str(l->out, p->x.out.text);
	return buf_end(l->out, ret_text);
}

enum err signer_list_end(struct signer_list *l, struct str *ret_text)
{
	enum err e = l->err ? l->err : end(l, ret_text);

	free(l->part);
	l->part = NULL;
	return e;
}
