/* Frames in and out; see the header. */
#include "keys/signer_frame.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "keys/signer.h"

static_assert(sizeof(struct frame_request) == 24, "no padding");
static_assert(sizeof(struct frame_answer) == 24, "no padding");
static_assert(KID_MAX <= UINT8_MAX, "kid_len is one byte");

/* Cuts n bytes off the front; false when there are fewer. */
static bool take(struct str *rest, size_t n, struct str *ret_part)
{
	if (rest->n < n)
		return false;
	*ret_part = str_n(rest->p, n);
	*rest = str_n(rest->p + n, rest->n - n);
	return true;
}

static bool take_head(struct str *rest, void *ret_head, size_t n)
{
	struct str part;

	if (!take(rest, n, &part))
		return false;
	memcpy(ret_head, part.p, n);
	return true;
}

bool signer_request_parse(struct str frame, struct signer_request *ret_request)
{
	struct signer_request rq;

	if (!take_head(&frame, &rq.head, sizeof(rq.head)) || rq.head.kid_len > KID_MAX ||
	    !take(&frame, rq.head.kid_len, &rq.kid) || !take(&frame, rq.head.data_len, &rq.data) ||
	    frame.n != 0)
		return false;
	*ret_request = rq;
	return true;
}

bool signer_answer_parse(struct str frame, struct signer_answer *ret_answer)
{
	struct signer_answer a;

	if (!take_head(&frame, &a.head, sizeof(a.head)) || a.head.kid_len > KID_MAX ||
	    !take(&frame, a.head.kid_len, &a.kid) || !take(&frame, a.head.text_len, &a.text) ||
	    !take(&frame, a.head.more_len, &a.more) || frame.n != 0)
		return false;
	*ret_answer = a;
	return true;
}

static bool send_parts(int fd, const void *head, size_t head_len, const struct str *parts,
		       size_t count)
{
	struct iovec iov[4] = { { .iov_base = (void *)(uintptr_t)head, .iov_len = head_len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1 + count };
	size_t n = head_len;
	ssize_t sent;

	assert(count < sizeof(iov) / sizeof(iov[0]));
	for (size_t i = 0; i < count; i++) {
		iov[1 + i].iov_base = (void *)(uintptr_t)parts[i].p;
		iov[1 + i].iov_len = parts[i].n;
		n += parts[i].n;
	}
	if (n > SIGNER_FRAME_MAX)
		return false;
	do
		sent = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)n;
}

bool signer_request_send(int fd, struct signer_request *request)
{
	const struct str parts[] = { request->kid, request->data };

	if (request->kid.n > KID_MAX || request->data.n > SIGNER_FRAME_MAX)
		return false;
	request->head.kid_len = (uint8_t)request->kid.n;
	request->head.data_len = (uint32_t)request->data.n;
	return send_parts(fd, &request->head, sizeof(request->head), parts, 2);
}

bool signer_answer_send(int fd, struct signer_answer *answer)
{
	const struct str parts[] = { answer->kid, answer->text, answer->more };

	assert(answer->kid.n <= KID_MAX);
	answer->head.kid_len = (uint8_t)answer->kid.n;
	answer->head.text_len = (uint32_t)answer->text.n;
	answer->head.more_len = (uint32_t)answer->more.n;
	return send_parts(fd, &answer->head, sizeof(answer->head), parts, 3);
}

bool signer_frame_recv(int fd, void *p, size_t cap, int flags, size_t *ret_n)
{
	ssize_t n;

	do
		n = recv(fd, p, cap, flags | MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		n = 0;
	else if (n <= 0 || (size_t)n > cap)
		return false;
	*ret_n = (size_t)n;
	return true;
}
