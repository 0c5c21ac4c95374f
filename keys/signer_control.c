/* The control side of the signer: one row per operation. The server asks on the control channel,
 * the supervisor on the custody line, each one thing at a time; whatever they send is checked as if
 * a stranger had sent it. One thread serves both, so what they share needs no lock; nothing here
 * takes long, for a key that must be revoked waits behind it. */
#include <errno.h>
#include <poll.h>

#include "keys/seal.h"
#include "keys/signer_call.h"

enum { PUBLIC_JWK_MAX = 2048 };

static enum err call_ping(struct call *c)
{
	(void)c;
	return ERR_OK;
}

static enum err call_policy(struct call *c)
{
	return table_policy(&c->s->table, c->in.data, c->in.head.number, c->in.head.value);
}

static const struct op {
	enum err (*run)(struct call *c);
	enum signer_line line;
	bool needs_root;
	bool needs_alg;
} ops[SIGNER_OP_COUNT] = {
	[SIGNER_OP_PING] = { call_ping, LINE_CONTROL },
	[SIGNER_OP_ROOT] = { call_root, LINE_CONTROL },
	[SIGNER_OP_RESEAL_ROOT] = { call_reseal_root, LINE_CONTROL, .needs_root = true },
	[SIGNER_OP_NEW_ROOT] = { call_new_root, LINE_CONTROL, .needs_root = true },
	[SIGNER_OP_POLICY] = { call_policy, LINE_CONTROL },
	[SIGNER_OP_DERIVE] = { call_derive, LINE_CONTROL, .needs_root = true },
	[SIGNER_OP_GENERATE] = { call_generate, LINE_CONTROL, .needs_root = true,
				 .needs_alg = true },
	[SIGNER_OP_GENERATED] = { call_generated, LINE_CONTROL, .needs_root = true,
				  .needs_alg = true },
	[SIGNER_OP_API_SECRET] = { call_api_secret, LINE_CONTROL, .needs_root = true },
	[SIGNER_OP_IMPORT_KEY] = { call_import_key, LINE_CONTROL, .needs_root = true },
	[SIGNER_OP_IMPORT] = { call_import, LINE_CONTROL, .needs_root = true, .needs_alg = true },
	[SIGNER_OP_PROBE] = { call_probe, LINE_CONTROL, .needs_root = true, .needs_alg = true },
	[SIGNER_OP_LOAD] = { call_load, LINE_CONTROL, .needs_root = true, .needs_alg = true },
	[SIGNER_OP_ACTIVATE] = { call_activate, LINE_CONTROL, .needs_root = true },
	[SIGNER_OP_BOUND] = { call_bound, LINE_CONTROL, .needs_root = true },
	[SIGNER_OP_DROP] = { call_drop, LINE_CONTROL, .needs_root = true },
	[SIGNER_OP_MASTER_NEXT] = { call_master_next, LINE_CUSTODY },
	[SIGNER_OP_MASTER_COMMIT] = { call_master_commit, LINE_CUSTODY },
};

static enum err run(struct call *c, const struct op *op)
{
	if (op->needs_root && !c->s->secrets->root_count)
		return ERR_CONFLICT;
	if (op->needs_alg && (c->in.head.alg == ALG_UNKNOWN || c->in.head.alg >= ALG_COUNT))
		return ERR_UNSUPPORTED;
	return op->run(c);
}

static bool answer_call(int fd, const struct call *c, enum err e)
{
	struct signer_answer answer = { .head = { .seq = c->in.head.seq, .err = (uint16_t)e } };

	if (!e) {
		answer.head.number = c->number;
		answer.kid = str_z(c->kid);
		answer.text = str_n(c->text.p, c->text.n);
		answer.more = str_n(c->more.p, c->more.n);
	}
	return signer_answer_send(fd, &answer);
}

bool signer_control_frame(struct signer *s, int fd, enum signer_line line, struct str frame)
{
	struct call c = { .s = s };
	bool sent;

	if (!signer_request_parse(frame, &c.in) || c.in.head.op >= SIGNER_OP_COUNT ||
	    ops[c.in.head.op].line != line)
		return false;
	buf_init(&c.text, NULL, PUBLIC_JWK_MAX);
	buf_init(&c.more, NULL, SEALED_MAX);
	sent = answer_call(fd, &c, run(&c, &ops[c.in.head.op]));
	buf_done(&c.text);
	buf_done(&c.more);
	return sent;
}

/* ERR_NOT_FOUND: it closed. ERR_SYNTAX: a malformed frame. */
static enum err serve_one(struct signer *s, int fd, enum signer_line line)
{
	char frame[SIGNER_FRAME_MAX];
	size_t n;
	bool good;

	if (!signer_frame_recv(fd, frame, sizeof(frame), 0, &n))
		return ERR_NOT_FOUND;
	good = signer_control_frame(s, fd, line, str_n(frame, n));
	wipe(frame, n); /* it may have been a master key */
	return good ? ERR_OK : ERR_SYNTAX;
}

bool signer_control_serve(struct signer *s, int control, int custody)
{
	for (;;) {
		struct pollfd fds[] = { { control, POLLIN, 0 }, { custody, POLLIN, 0 } };
		enum err e;

		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return false;
		}
		e = fds[1].revents ? serve_one(s, custody, LINE_CUSTODY) : ERR_OK;
		if (e == ERR_SYNTAX)
			return false;
		if (e == ERR_NOT_FOUND)
			custody = -1; /* the supervisor is gone; the kernel tells us otherwise */
		if (!fds[0].revents)
			continue;
		e = serve_one(s, control, LINE_CONTROL);
		if (e)
			return e == ERR_NOT_FOUND;
	}
}
