/* One connection at a time, one request each; see the header. */
#include "tests/helpers/web_stub.h"

#include <check.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int listen_anywhere(int *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

static void read_head(int fd, struct web_script *s)
{
	size_t n = 0;
	ssize_t got;

	do {
		got = read(fd, s->last + n, WEB_HEAD_MAX - 1 - n);
		n += got > 0 ? (size_t)got : 0;
		s->last[n] = 0;
	} while (got > 0 && n < WEB_HEAD_MAX - 1 && !strstr(s->last, "\r\n\r\n"));
}

static void send_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		p += sent;
		n -= (size_t)sent;
	}
}

static void serve_one(int fd, struct web_script *s)
{
	static const char more[4096] = "more";
	char rest;

	read_head(fd, s);
	atomic_fetch_add(&s->requests, 1);
	send_all(fd, s->text, atomic_load(&s->len));
	if (atomic_load(&s->end) == WEB_ENDLESS) {
		while (send(fd, more, sizeof(more), MSG_NOSIGNAL) > 0)
			;
	}
	if (atomic_load(&s->end) == WEB_HANG)
		(void)!read(fd, &rest, 1); /* until the client gives up */
}

static void serve(int listener, struct web_script *s)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			_exit(1);
		serve_one(fd, s);
		close(fd);
	}
}

void web_stub_say(struct web_stub *w, const char *text, enum web_end end)
{
	size_t n = strlen(text);

	ck_assert_uint_lt(n, WEB_TEXT_MAX);
	memcpy(w->script->text, text, n);
	atomic_store(&w->script->end, end);
	atomic_store(&w->script->len, n);
}

void web_stub_start(struct web_stub *w, const char *text, enum web_end end)
{
	pid_t parent = getpid();
	int listener = listen_anywhere(&w->port);

	ck_assert_int_eq(listen(listener, 16), 0);
	w->script = mmap(NULL, sizeof(*w->script), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(w->script, MAP_FAILED);
	web_stub_say(w, text, end);
	w->pid = fork();
	ck_assert_int_ge(w->pid, 0);
	if (w->pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
			_exit(1);
		serve(listener, w->script);
	}
	close(listener);
}

void web_stub_stop(struct web_stub *w)
{
	kill(w->pid, SIGKILL);
	ck_assert_int_eq(waitpid(w->pid, NULL, 0), w->pid);
	munmap(w->script, sizeof(*w->script));
}

int web_closed_port(void)
{
	int port;

	close(listen_anywhere(&port));
	return port;
}
