/* Frames in and out; see the header. */
#include "server/state/fetch_frame.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { MARK_REQUEST = 0x51484643, MARK_ANSWER = 0x41484643 }; /* "CFHQ", "CFHA" */

static_assert(sizeof(struct fetch_request_head) == 16, "no padding");
static_assert(sizeof(struct fetch_answer_head) == 12 + 4 * FETCH_PART_COUNT, "no padding");

static bool take_head(struct str *rest, void *ret_head, size_t n)
{
	if (rest->n < n)
		return false;
	memcpy(ret_head, rest->p, n);
	*rest = str_n(rest->p + n, rest->n - n);
	return true;
}

/* ---- requests ---- */

static bool request_is_sound(const struct fetch_request *r)
{
	if (!str_starts(r->url, STR("https://")) && !str_starts(r->url, STR("http://")))
		return false;
	return r->url.n <= FETCH_URL_MAX && str_is_vschar(r->url) &&
	       !memchr(r->url.p, ' ', r->url.n) && r->timeout_ms >= 1 &&
	       r->timeout_ms <= FETCH_TIMEOUT_MS_MAX && r->max_bytes >= 1 &&
	       r->max_bytes <= FETCH_BODY_MAX;
}

bool fetch_request_parse(struct str frame, struct fetch_request *ret_request)
{
	struct fetch_request_head head;
	struct fetch_request r;

	if (!take_head(&frame, &head, sizeof(head)) || head.mark != MARK_REQUEST ||
	    head.url_len != frame.n)
		return false;
	r = (struct fetch_request){ .url = frame,
				    .timeout_ms = head.timeout_ms,
				    .max_bytes = head.max_bytes };
	if (!request_is_sound(&r))
		return false;
	*ret_request = r;
	return true;
}

/* ---- answers ---- */

static size_t part_max(size_t part)
{
	return part == FETCH_BODY ? FETCH_BODY_MAX : FETCH_PART_MAX;
}

static bool answer_is_sound(const struct fetch_answer_head *head)
{
	if (head->mark != MARK_ANSWER || head->outcome == FETCH_NONE ||
	    head->outcome >= FETCH_OUTCOME_COUNT)
		return false;
	if (head->outcome != FETCH_ANSWERED)
		return head->status == 0;
	return head->status >= 100 && head->status <= 999;
}

bool fetch_answer_parse(struct str frame, struct fetch_answer *ret_answer)
{
	struct fetch_answer_head head;
	struct fetch_answer a;

	if (!take_head(&frame, &head, sizeof(head)) || !answer_is_sound(&head))
		return false;
	a = (struct fetch_answer){ .outcome = head.outcome, .status = (int)head.status };
	for (size_t i = 0; i < FETCH_PART_COUNT; i++) {
		if (head.lens[i] > part_max(i) || head.lens[i] > frame.n)
			return false;
		a.parts[i] = str_n(frame.p, head.lens[i]);
		frame = str_n(frame.p + head.lens[i], frame.n - head.lens[i]);
	}
	if (frame.n != 0)
		return false;
	*ret_answer = a;
	return true;
}

/* ---- out ---- */

static enum err send_parts(int fd, const void *head, size_t head_len, const struct str *parts,
			   size_t count)
{
	struct iovec iov[1 + FETCH_PART_COUNT] = { { (void *)(uintptr_t)head, head_len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1 + count };
	size_t n = head_len;
	ssize_t sent;

	for (size_t i = 0; i < count; i++) {
		iov[1 + i] = (struct iovec){ (void *)(uintptr_t)parts[i].p, parts[i].n };
		n += parts[i].n;
	}
	do
		sent = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)n ? ERR_OK : ERR_UNAVAILABLE;
}

enum err fetch_request_send(int fd, const struct fetch_request *request)
{
	const struct fetch_request_head head = {
		.mark = MARK_REQUEST,
		.timeout_ms = request->timeout_ms,
		.max_bytes = request->max_bytes,
		.url_len = (uint32_t)request->url.n,
	};

	if (!request_is_sound(request))
		return ERR_SYNTAX;
	return send_parts(fd, &head, sizeof(head), &request->url, 1);
}

enum err fetch_answer_send(int fd, const struct fetch_answer *answer)
{
	struct fetch_answer_head head = {
		.mark = MARK_ANSWER,
		.outcome = answer->outcome,
		.status = (uint32_t)answer->status,
	};

	for (size_t i = 0; i < FETCH_PART_COUNT; i++) {
		if (answer->parts[i].n > part_max(i))
			return ERR_SYNTAX;
		head.lens[i] = (uint32_t)answer->parts[i].n;
	}
	if (!answer_is_sound(&head))
		return ERR_SYNTAX;
	return send_parts(fd, &head, sizeof(head), answer->parts, FETCH_PART_COUNT);
}
