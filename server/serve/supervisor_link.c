/* Descriptors over SCM_RIGHTS. Whatever arrives in a form other than ours is closed at once: a
 * descriptor that is received is open, whether anybody wanted it or not. */
#include "server/serve/supervisor_link.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS_MAX = SIGNER_CHANNELS_MAX + 1 };

struct channel_message {
	uint32_t count; /* of signing channels; control comes first */
};

static const char ask_signer = 'S';

union ancillary {
	struct cmsghdr align;
	char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

bool link_send_channels(int fd, const struct server_channels *channels)
{
	struct channel_message m = { .count = (uint32_t)channels->count };
	struct iovec iov = { .iov_base = &m, .iov_len = sizeof(m) };
	size_t size = (1 + channels->count) * sizeof(int);
	union ancillary control = { 0 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = CMSG_SPACE(size),
	};
	struct cmsghdr *c = &control.align; /* the first, and the only one */

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), &channels->control, sizeof(int));
	memcpy(CMSG_DATA(c) + sizeof(int), channels->signing, channels->count * sizeof(int));
	return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(m);
}

/* All descriptors of a message, whatever it says about itself. */
struct received {
	int fds[FDS_MAX];
	size_t count;
};

static void collect(struct msghdr *msg, struct received *r)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n && r->count < FDS_MAX; i++)
			memcpy(&r->fds[r->count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
}

static bool adopt(const struct received *r, uint32_t count, struct server_channels *ret_channels)
{
	if (count == 0 || count > SIGNER_CHANNELS_MAX || r->count != 1 + (size_t)count)
		return false;
	ret_channels->supervisor = -1;
	ret_channels->custody = -1;
	ret_channels->control = r->fds[0];
	ret_channels->count = count;
	memcpy(ret_channels->signing, r->fds + 1, count * sizeof(int));
	return true;
}

/* -1: nothing, 0: the end, else the length. */
static ssize_t receive(int fd, struct msghdr *msg)
{
	ssize_t n;

	do
		n = recvmsg(fd, msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? -1 : 0;
	return n;
}

enum err supervisor_channel_recv(int supervisor, struct server_channels *ret_channels)
{
	struct channel_message m = { 0 };
	struct iovec iov = { .iov_base = &m, .iov_len = sizeof(m) };
	union ancillary control = { 0 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room),
	};
	struct received r = { .count = 0 };
	ssize_t n = receive(supervisor, &msg);

	if (n <= 0)
		return n < 0 ? ERR_BUSY : ERR_NOT_FOUND;
	collect(&msg, &r);
	if (n == sizeof(m) && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) &&
	    adopt(&r, m.count, ret_channels))
		return ERR_OK;
	for (size_t i = 0; i < r.count; i++)
		close(r.fds[i]);
	return ERR_SYNTAX;
}

enum err supervisor_ask_signer(int supervisor)
{
	ssize_t n = send(supervisor, &ask_signer, sizeof(ask_signer), MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n == sizeof(ask_signer) || errno == EAGAIN || errno == EWOULDBLOCK)
		return ERR_OK; /* a full queue is full of this same request */
	return ERR_NOT_FOUND;
}

enum err link_recv_request(int fd)
{
	char text[2];
	ssize_t n;

	do
		n = recv(fd, text, sizeof(text), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? ERR_BUSY : ERR_NOT_FOUND;
	if (n == 0)
		return ERR_NOT_FOUND;
	return n == 1 && text[0] == ask_signer ? ERR_OK : ERR_BUSY;
}
