/* The server's side of the signer's channels: one question, one answer, and never a longer wait
 * than promised. */
#include "keys/signer.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "keys/signer_exchange.h"

enum { PAUSE_MAX_MS = 16 };

static_assert(SIGNER_TIMEOUT_MS < 1000, "a timeval's microseconds are less than a second");
static_assert((int)SIGNER_IMPORT_KEY_LEN == (int)SECRET_LEN, "control_bytes takes both");

/* A blocking receive on the server's end gives up by itself: signing then waits without a poll() of
 * its own, which is a tenth of what a token costs. */
static bool bound_receive(int fd)
{
	struct timeval tv = { .tv_usec = SIGNER_TIMEOUT_MS * 1000 };

	return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0;
}

enum err signer_channel_pair(int ret_fds[2])
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return ERR_IO;
	if (!bound_receive(fds[0])) {
		close(fds[0]);
		close(fds[1]);
		return ERR_IO;
	}
	memcpy(ret_fds, fds, sizeof(fds));
	return ERR_OK;
}

void signer_channel_close(struct signer_channel *ch)
{
	if (ch->fd >= 0)
		close(ch->fd);
	ch->fd = -1;
	ch->owed_by = 0;
}

static int64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* False: nothing came in time. */
static bool wait_readable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t deadline = 0;
	int n;

	while ((n = poll(&p, 1, timeout_ms)) < 0 && errno == EINTR) {
		if (!deadline)
			deadline = monotonic_ms() + timeout_ms;
		timeout_ms = (int)(deadline - monotonic_ms());
		if (timeout_ms < 0)
			return false;
	}
	return n > 0;
}

/* Takes the answer to the present question. ERR_BUSY: not here yet. */
static enum err take_answer(struct signer_channel *ch, struct exchange *x, int flags)
{
	size_t n;

	if (!signer_frame_recv(ch->fd, x->frame, sizeof(x->frame), flags, &n))
		return ERR_UNAVAILABLE;
	if (n == 0)
		return ERR_BUSY;
	if (!signer_answer_parse(str_n(x->frame, n), &x->out) || x->out.head.seq != ch->seq ||
	    x->out.head.err >= ERR_COUNT)
		return ERR_UNAVAILABLE;
	return ERR_OK;
}

/* Descriptors' numbers are used again; the inode tells one socket from the next. */
static uint64_t socket_id(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

/* The answer that was given up on: as long as this socket owes it, nothing else is asked. */
static enum err settle_owed(struct signer_channel *ch, struct exchange *x)
{
	enum err e = ERR_OK;

	if (!ch->owed_by)
		return ERR_OK;
	if (ch->owed_by == socket_id(ch->fd))
		e = take_answer(ch, x, MSG_DONTWAIT);
	if (!e)
		ch->owed_by = 0;
	wipe(x->frame, sizeof(x->frame));
	return e;
}

static enum err ask(struct signer_channel *ch, struct exchange *x)
{
	enum err e = settle_owed(ch, x);

	if (e)
		return e;
	x->in.head.seq = ++ch->seq;
	if (!signer_request_send(ch->fd, &x->in))
		return ERR_UNAVAILABLE;
	if (x->timeout_ms == SIGNER_TIMEOUT_MS) /* bound_receive */
		e = take_answer(ch, x, 0);
	else if (wait_readable(ch->fd, x->timeout_ms))
		e = take_answer(ch, x, MSG_DONTWAIT);
	else
		e = ERR_BUSY;
	if (e == ERR_BUSY)
		ch->owed_by = socket_id(ch->fd);
	return e;
}

enum err signer_exchange(struct signer_channel *ch, struct exchange *x)
{
	enum err e = ch->fd < 0 ? ERR_BUSY : ask(ch, x);

	if (e == ERR_OK)
		return (enum err)x->out.head.err;
	if (e != ERR_BUSY) /* closed, or not to be trusted any more */
		signer_channel_close(ch);
	return ERR_UNAVAILABLE;
}

static enum err control(struct signer_channel *ch, struct exchange *x, enum signer_op op)
{
	x->in.head.op = (uint8_t)op;
	x->timeout_ms = ch->patience_ms ? ch->patience_ms : SIGNER_CONTROL_TIMEOUT_MS;
	return signer_exchange(ch, x);
}

static void copy_z(char *to, struct str from)
{
	memcpy(to, from.p, from.n);
	to[from.n] = '\0';
}

enum err signer_take_token(const struct exchange *x, struct buf *out,
			   struct signed_token *ret_token)
{
	enum err e;

	if (x->out.more.n > JTI_MAX)
		return ERR_INTERNAL;
	buf_clear(out);
	buf_str(out, x->out.text);
	e = buf_end(out, &ret_token->text);
	if (e)
		return e;
	copy_z(ret_token->kid, x->out.kid);
	copy_z(ret_token->jti, x->out.more);
	return ERR_OK;
}

enum err signer_sign(struct signer_channel *ch, enum token_kind kind, enum alg alg,
		     struct str claims, struct buf *out, struct signed_token *ret_token)
{
	struct exchange x;
	enum err e;

	x.in = (struct signer_request){
		.head = { .op = SIGNER_OP_SIGN, .alg = (uint8_t)alg, .kind = (uint8_t)kind },
		.data = claims,
	};
	x.timeout_ms = ch->patience_ms ? ch->patience_ms : SIGNER_TIMEOUT_MS;
	if (claims.n > JWT_SIZE_MAX)
		return ERR_LIMIT;
	e = signer_exchange(ch, &x);
	return e ? e : signer_take_token(&x, out, ret_token);
}

enum err signer_ping(struct signer_channel *ch)
{
	struct exchange x = { .in = { .head = { .op = SIGNER_OP_PING } },
			      .timeout_ms = SIGNER_PING_TIMEOUT_MS };
	enum err e = signer_exchange(ch, &x);

	return e == ERR_UNAVAILABLE && ch->fd >= 0 ? ERR_TIMEOUT : e;
}

/* ---- roots ---- */

static enum err control_sealed(struct signer_channel *ch, struct exchange *x, enum signer_op op,
			       struct buf *sealed_out)
{
	enum err e = control(ch, x, op);

	if (e)
		return e;
	buf_str(sealed_out, x->out.more);
	return sealed_out->err;
}

enum err signer_root(struct signer_channel *ch, uint32_t version, struct str sealed_in,
		     struct buf *sealed_out, bool *ret_by_next)
{
	struct exchange x = { .in = { .head = { .value = version }, .data = sealed_in } };
	enum err e = control_sealed(ch, &x, SIGNER_OP_ROOT, sealed_out);

	if (!e)
		*ret_by_next = x.out.head.number == 1;
	return e;
}

enum err signer_reseal_root(struct signer_channel *ch, uint32_t version, struct str sealed_in,
			    struct buf *sealed_out)
{
	struct exchange x = { .in = { .head = { .value = version }, .data = sealed_in } };

	return control_sealed(ch, &x, SIGNER_OP_RESEAL_ROOT, sealed_out);
}

enum err signer_new_root(struct signer_channel *ch, uint32_t version, struct buf *sealed_out)
{
	struct exchange x = { .in = { .head = { .value = version } } };

	return control_sealed(ch, &x, SIGNER_OP_NEW_ROOT, sealed_out);
}

enum err signer_policy(struct signer_channel *ch, struct str issuer, int64_t longest_ttl,
		       uint32_t max_rate)
{
	struct exchange x = {
		.in = { .head = { .number = longest_ttl, .value = max_rate }, .data = issuer },
	};

	return control(ch, &x, SIGNER_OP_POLICY);
}

/* An answer of exactly 32 bytes. */
static enum err control_bytes(struct signer_channel *ch, struct exchange *x, enum signer_op op,
			      unsigned char ret_bytes[SECRET_LEN])
{
	enum err e = control(ch, x, op);

	if (!e && x->out.more.n != SECRET_LEN)
		e = ERR_INTERNAL;
	if (!e)
		memcpy(ret_bytes, x->out.more.p, SECRET_LEN);
	wipe(x->frame, sizeof(x->frame));
	return e;
}

enum err signer_derive(struct signer_channel *ch, const char *label, struct secret *ret_key)
{
	return signer_derive_at(ch, 0, label, ret_key);
}

enum err signer_derive_at(struct signer_channel *ch, uint32_t version, const char *label,
			  struct secret *ret_key)
{
	struct exchange x = { .in = { .head = { .value = version }, .data = str_z(label) } };

	return control_bytes(ch, &x, SIGNER_OP_DERIVE, ret_key->b);
}

/* ---- keys ---- */

enum err signer_generate_begin(struct signer_channel *ch, enum alg alg)
{
	struct exchange x = { .in = { .head = { .alg = (uint8_t)alg } } };

	return control(ch, &x, SIGNER_OP_GENERATE);
}

enum err signer_generated(struct signer_channel *ch, enum alg alg, char ret_kid[KID_MAX + 1],
			  struct buf *public_jwk, struct buf *sealed)
{
	struct exchange x = { .in = { .head = { .alg = (uint8_t)alg } } };
	enum err e = control(ch, &x, SIGNER_OP_GENERATED);

	if (e)
		return e;
	copy_z(ret_kid, x.out.kid);
	buf_str(public_jwk, x.out.text);
	buf_str(sealed, x.out.more);
	return public_jwk->err ? public_jwk->err : sealed->err;
}

static void pause_ms(int ms)
{
	const struct timespec ts = { .tv_nsec = (long)ms * 1000000 };

	nanosleep(&ts, NULL);
}

/* ES256 is there at the second question; RSA costs a dozen more of 20 us. */
enum err signer_generate(struct signer_channel *ch, enum alg alg, char ret_kid[KID_MAX + 1],
			 struct buf *public_jwk, struct buf *sealed)
{
	int patience = ch->patience_ms ? ch->patience_ms : SIGNER_CONTROL_TIMEOUT_MS;
	int64_t deadline = monotonic_ms() + patience;
	enum err e = signer_generate_begin(ch, alg);
	int pause = 1;

	if (e)
		return e;
	while ((e = signer_generated(ch, alg, ret_kid, public_jwk, sealed)) == ERR_BUSY) {
		if (monotonic_ms() > deadline)
			return ERR_UNAVAILABLE;
		pause_ms(pause);
		pause = pause < PAUSE_MAX_MS ? pause * 2 : pause;
	}
	return e;
}

enum err signer_import_key(struct signer_channel *ch,
			   unsigned char ret_public[SIGNER_IMPORT_KEY_LEN])
{
	struct exchange x = { .in = { .data = STR_NONE } };

	return control_bytes(ch, &x, SIGNER_OP_IMPORT_KEY, ret_public);
}

enum err signer_import(struct signer_channel *ch, enum alg alg, struct str kid, struct str box,
		       struct buf *public_jwk, struct buf *sealed)
{
	struct exchange x = {
		.in = { .head = { .alg = (uint8_t)alg }, .kid = kid, .data = box },
	};
	enum err e;

	if (kid.n > KID_MAX || box.n > SIGNER_IMPORT_KEY_MAX + SIGNER_IMPORT_OVERHEAD)
		return ERR_SYNTAX; /* no frame holds it, and that is no fault of the channel's */
	e = control(ch, &x, SIGNER_OP_IMPORT);
	if (e)
		return e;
	buf_str(public_jwk, x.out.text);
	buf_str(sealed, x.out.more);
	return public_jwk->err ? public_jwk->err : sealed->err;
}

enum err signer_probe(struct signer_channel *ch, const struct key_info *key, struct str sealed)
{
	struct exchange x = {
		.in = { .head = { .alg = (uint8_t)key->alg },
			.kid = str_z(key->kid),
			.data = sealed },
	};

	return control(ch, &x, SIGNER_OP_PROBE);
}

enum err signer_load(struct signer_channel *ch, const struct key_info *key, struct str sealed)
{
	struct exchange x = {
		.in = { .head = { .alg = (uint8_t)key->alg,
				  .kind = (uint8_t)key->state,
				  .number = key->exp_bound },
			.kid = str_z(key->kid),
			.data = sealed },
	};

	return control(ch, &x, SIGNER_OP_LOAD);
}

enum err signer_activate(struct signer_channel *ch, struct str kid, int64_t exp_bound,
			 int64_t *ret_last_exp)
{
	struct exchange x = { .in = { .head = { .number = exp_bound }, .kid = kid } };
	enum err e = control(ch, &x, SIGNER_OP_ACTIVATE);

	if (!e)
		*ret_last_exp = x.out.head.number;
	return e;
}

enum err signer_bound(struct signer_channel *ch, struct str kid, int64_t exp_bound)
{
	struct exchange x = { .in = { .head = { .number = exp_bound }, .kid = kid } };

	return control(ch, &x, SIGNER_OP_BOUND);
}

enum err signer_drop(struct signer_channel *ch, struct str kid)
{
	struct exchange x = { .in = { .kid = kid } };

	return control(ch, &x, SIGNER_OP_DROP);
}

/* ---- custody ---- */

enum err signer_master_next(struct signer_channel *ch, const struct secret *next)
{
	struct exchange x = { .in = { .data = str_n(next->b, sizeof(next->b)) } };

	return control(ch, &x, SIGNER_OP_MASTER_NEXT);
}

enum err signer_master_commit(struct signer_channel *ch)
{
	struct exchange x = { .in = { .data = STR_NONE } };

	return control(ch, &x, SIGNER_OP_MASTER_COMMIT);
}
