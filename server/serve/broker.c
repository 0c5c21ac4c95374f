/* Both ends of the broker's line; see the header. Frames are fixed structs in the machine's own
 * order, as between server and signer; descriptors travel with SCM_RIGHTS. */
#include "server/serve/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fault.h"
#include "keys/durable.h"
#include "keys/seal.h"

enum broker_op {
	BROKER_NONE,
	BROKER_CONFIG,
	BROKER_MASTER_PREPARE,
	BROKER_MASTER_COMMIT,
	BROKER_FETCH,
	OP_COUNT
};

struct question {
	uint32_t seq;
	uint32_t op;
};

struct answer {
	uint32_t seq;
	uint32_t err; /* enum err */
};

union one_fd {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int))];
};

enum { SIGNER_PATIENCE_MS = 2000 /* the supervisor has other children to look after */ };

/* ---- the server's end ---- */

void broker_init(struct broker *b, int fd)
{
	const struct timeval tv = { .tv_sec = BROKER_TIMEOUT_MS / 1000 };

	*b = (struct broker){ .fd = fd, .lock = PTHREAD_MUTEX_INITIALIZER };
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)))
		broker_done(b);
}

void broker_done(struct broker *b)
{
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
}

/* The descriptor that came with a message, or -1. We take no more room than one needs. */
static int fd_of(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static enum err take_answer(struct broker *b, struct answer *ret_answer, int *ret_fd)
{
	struct iovec iov = { .iov_base = ret_answer, .iov_len = sizeof(*ret_answer) };
	union one_fd control = { 0 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room),
	};
	ssize_t n;
	int fd;

	do
		n = recvmsg(b->fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return ERR_UNAVAILABLE;
	fd = fd_of(&msg); /* open, whatever the rest is worth */
	if (n == sizeof(*ret_answer) && ret_answer->err < ERR_COUNT) {
		*ret_fd = fd;
		return ERR_OK;
	}
	if (fd >= 0)
		close(fd);
	return ERR_UNAVAILABLE;
}

/* An answer that came too late for its own question is thrown away by the next one. */
static enum err converse(struct broker *b, enum broker_op op, int *ret_fd)
{
	struct question q = { .seq = ++b->seq, .op = op };
	struct answer a;
	enum err e;

	if (b->fd < 0 || send(b->fd, &q, sizeof(q), MSG_NOSIGNAL) != sizeof(q))
		return ERR_UNAVAILABLE;
	for (;;) {
		e = take_answer(b, &a, ret_fd);
		if (e)
			return e;
		if (a.seq == q.seq)
			return (enum err)a.err;
		if (*ret_fd >= 0)
			close(*ret_fd);
	}
}

static enum err ask(struct broker *b, enum broker_op op, int *ret_fd)
{
	int fd = -1;
	enum err e;

	pthread_mutex_lock(&b->lock);
	e = converse(b, op, &fd);
	pthread_mutex_unlock(&b->lock);
	if (!e && ret_fd && fd < 0)
		e = ERR_INTERNAL;
	if (!e && ret_fd)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return e;
}

enum err broker_config(struct broker *b, int *ret_fd)
{
	return ask(b, BROKER_CONFIG, ret_fd);
}

enum err broker_master_prepare(struct broker *b)
{
	return ask(b, BROKER_MASTER_PREPARE, NULL);
}

enum err broker_master_commit(struct broker *b)
{
	return ask(b, BROKER_MASTER_COMMIT, NULL);
}

enum err broker_fetch(struct broker *b, int *ret_fd)
{
	return ask(b, BROKER_FETCH, ret_fd);
}

/* ---- the supervisor's end ---- */

static enum err serve_config(struct broker_desk *d, int *ret_fd)
{
	int fd;

	if (!d->config_file)
		return ERR_NOT_FOUND;
	fd = open(d->config_file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0) {
		*ret_fd = fd;
		return ERR_OK;
	}
	if (errno == ENOENT)
		return ERR_NOT_FOUND;
	return errno == EACCES ? ERR_FORBIDDEN : ERR_IO;
}

static enum err next_path(const struct broker_desk *d, char ret_path[PATH_MAX])
{
	int n = snprintf(ret_path, PATH_MAX, "%s.next", d->master_file);

	return n > 0 && n < PATH_MAX ? ERR_OK : ERR_LIMIT;
}

static enum err read_or_make_next(const struct broker_desk *d, struct secret *ret_next)
{
	char path[PATH_MAX];
	const char *why;
	enum err e = next_path(d, path);

	if (!e)
		e = master_key_read(path, d->master_ours, ret_next, &why);
	if (e != ERR_NOT_FOUND || !d->master_ours)
		return e;
	randombytes_buf(ret_next->b, sizeof(ret_next->b));
	return master_key_create(path, ret_next);
}

static enum err serve_master_prepare(struct broker_desk *d, int *ret_fd)
{
	struct secret next;
	enum err e = read_or_make_next(d, &next);

	(void)ret_fd;
	if (!e && secret_equal(&next, &d->masters->present))
		e = ERR_CONFLICT;
	if (!e) {
		d->masters->next = next;
		d->masters->has_next = true;
		e = signer_master_next(&d->signer, &next);
	}
	secret_wipe(&next);
	return e;
}

/* The rename counts when the folder says so after a power cut. */
static enum err sync_master(const struct broker_desk *d)
{
	enum err e = FAILPOINT("master.sync");

	return e ? e : durable_folder_of(d->master_file);
}

static enum err move_next(const struct broker_desk *d)
{
	char path[PATH_MAX];
	enum err e;

	if (!d->master_ours)
		return ERR_OK; /* the operator's to move */
	e = next_path(d, path);
	if (!e && rename(path, d->master_file))
		e = ERR_IO;
	return e;
}

/* Once the file is moved there is no way back: it is the present key even if the folder cannot be
 * synced, or the next change would begin from a key that no file holds any more. */
static enum err serve_master_commit(struct broker_desk *d, int *ret_fd)
{
	struct signer_masters *m = d->masters;
	enum err e = m->has_next ? move_next(d) : ERR_NOT_FOUND;

	(void)ret_fd;
	if (e)
		return e;
	m->present = m->next;
	secret_wipe(&m->next);
	m->has_next = false;
	/* a signer that does not answer is replaced by one that starts with these */
	if (signer_master_commit(&d->signer))
		d->signer_astray = true;
	return d->master_ours ? sync_master(d) : ERR_OK;
}

static enum err serve_fetch(struct broker_desk *d, int *ret_fd)
{
	return d->fork_fetch ? d->fork_fetch(d->arg, ret_fd) : ERR_UNSUPPORTED;
}

static enum err (*const services[OP_COUNT])(struct broker_desk *d, int *ret_fd) = {
	[BROKER_CONFIG] = serve_config,
	[BROKER_MASTER_PREPARE] = serve_master_prepare,
	[BROKER_MASTER_COMMIT] = serve_master_commit,
	[BROKER_FETCH] = serve_fetch,
};

/* A server that does not read its answers loses them. */
static void give_answer(int line, const struct answer *a, int fd)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)a, .iov_len = sizeof(*a) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union one_fd control = { 0 };
	struct cmsghdr *c = &control.align;

	if (fd >= 0) {
		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	(void)sendmsg(line, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

enum err broker_serve(struct broker_desk *d, int fd)
{
	struct question q;
	struct answer a;
	int given = -1;
	ssize_t n;

	do
		n = recv(fd, &q, sizeof(q), MSG_DONTWAIT | MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return ERR_OK;
	if (n <= 0)
		return ERR_NOT_FOUND;
	if (n != sizeof(q) || q.op >= OP_COUNT || !services[q.op])
		return ERR_SYNTAX;
	d->signer.patience_ms = SIGNER_PATIENCE_MS;
	a = (struct answer){ .seq = q.seq, .err = services[q.op](d, &given) };
	give_answer(fd, &a, given);
	if (given >= 0)
		close(given);
	return ERR_OK;
}
