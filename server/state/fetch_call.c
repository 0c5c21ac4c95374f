/* One request to the outside, from the side that asked; see the header. */
#include "server/state/fetch_call.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keys/signer_frame.h"

struct fetch {
	int fd;
	char frame[FETCH_ANSWER_FRAME_MAX];
};

enum err fetch_start(int fd, const struct fetch_request *request, struct fetch **ret_fetch)
{
	AUTO(fetch, f) = malloc(sizeof(*f));
	enum err e;

	if (!f) {
		close(fd);
		return ERR_NOMEM;
	}
	f->fd = fd;
	e = fetch_request_send(fd, request);
	if (e)
		return e;
	*ret_fetch = TAKE(f);
	return ERR_OK;
}

void fetch_free(struct fetch *f)
{
	if (!f)
		return;
	close(f->fd);
	free(f);
}

int fetch_fd(const struct fetch *f)
{
	return f->fd;
}

enum err fetch_poll(struct fetch *f, struct fetch_answer *ret_answer)
{
	size_t n;

	if (!signer_frame_recv(f->fd, f->frame, sizeof(f->frame), MSG_DONTWAIT, &n))
		return ERR_UNAVAILABLE;
	if (n == 0)
		return ERR_BUSY;
	return fetch_answer_parse(str_n(f->frame, n), ret_answer) ? ERR_OK : ERR_SYNTAX;
}

enum err fetch_wait(struct fetch *f, int timeout_ms, struct fetch_answer *ret_answer)
{
	struct pollfd p = { .fd = f->fd, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return ERR_TIMEOUT;
	return n < 0 ? ERR_UNAVAILABLE : fetch_poll(f, ret_answer);
}
