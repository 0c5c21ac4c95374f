/* Sockets are made before anything else runs, by one thread; mistakes are told with the address in
 * them. */
#include "server/http/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/state/network.h"

enum { BACKLOG = 1024, OVERFLOW_UID_DEFAULT = 65534 };

union any_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static enum err say(struct listen_fault *f, enum err e, struct str address, const char *why)
{
	snprintf(f->text, sizeof(f->text), "%.*s: %s", (int)(address.n > 128 ? 128 : address.n),
		 address.p, why);
	return e;
}

static enum err say_errno(struct listen_fault *f, struct str address, const char *what)
{
	int error = errno;
	char why[96];
	char text[160];

	snprintf(text, sizeof(text), "%s: %s", what, strerror_r(error, why, sizeof(why)));
	return say(f, error == EADDRINUSE ? ERR_CONFLICT : ERR_IO, address, text);
}

/* ---- TCP ---- */

/* The port is at one place in both forms. */
static void set_port(union any_address *a, unsigned port)
{
	a->in.sin_port = htons((uint16_t)port);
}

static bool parse_address(struct str text, union any_address *ret_address)
{
	union any_address a = { 0 };
	struct address ip;
	struct str host;
	int64_t port;

	if (address_split(text, &host, &port) || address_parse(host, &ip))
		return false;
	if (memchr(host.p, ':', host.n)) {
		a.sa.sa_family = AF_INET6;
		memcpy(&a.in6.sin6_addr, ip.b, sizeof(a.in6.sin6_addr));
	} else {
		a.sa.sa_family = AF_INET;
		memcpy(&a.in.sin_addr, ip.b + sizeof(ip.b) - 4, sizeof(a.in.sin_addr));
	}
	set_port(&a, (unsigned)port);
	*ret_address = a;
	return true;
}

static int bound_socket(const union any_address *a, bool shared)
{
	const int on = 1;
	const int off = 0;
	socklen_t len = a->sa.sa_family == AF_INET ? sizeof(a->in) : sizeof(a->in6);
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on))) ||
	    (a->sa.sa_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off))) ||
	    bind(fd, &a->sa, len)) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static unsigned port_of(int fd)
{
	union any_address a = { 0 };
	socklen_t len = sizeof(a);

	if (getsockname(fd, &a.sa, &len))
		return 0;
	return ntohs(a.in.sin_port);
}

/* Sockets that share a port would also share it with a second server of the same user, silently,
 * each getting half of the requests. A bind without sharing fails then; it also picks the port for
 * 0. */
static enum err probe(union any_address *a, struct str address, struct listen_fault *fault)
{
	int fd = bound_socket(a, false);

	if (fd < 0)
		return say_errno(fault, address, "cannot bind");
	if (listen(fd, 1)) {
		enum err e = say_errno(fault, address, "cannot listen");

		close(fd);
		return e;
	}
	set_port(a, port_of(fd));
	close(fd);
	return ERR_OK;
}

static void close_all(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

enum err listen_tcp(struct str address, unsigned count, int *ret_fds, unsigned *ret_port,
		    struct listen_fault *ret_fault)
{
	union any_address a;
	enum err e;

	if (!parse_address(address, &a))
		return say(ret_fault, ERR_SYNTAX, address, "not ADDRESS:PORT or [ADDRESS]:PORT");
	e = probe(&a, address, ret_fault);
	if (e)
		return e;
	for (unsigned i = 0; i < count; i++) {
		ret_fds[i] = bound_socket(&a, true);
		if (ret_fds[i] >= 0 && !listen(ret_fds[i], BACKLOG))
			continue;
		e = say_errno(ret_fault, address, "cannot listen");
		close_all(ret_fds, i + 1);
		return e;
	}
	*ret_port = ntohs(a.in.sin_port);
	return ERR_OK;
}

/* ---- UNIX ---- */

/* Removes a socket nobody answers on. A path that is something else is left alone. */
static enum err clear_path(const struct sockaddr_un *a, struct listen_fault *fault)
{
	struct str path = str_z(a->sun_path);
	struct stat st;
	int fd;
	int refused;

	if (lstat(a->sun_path, &st))
		return errno == ENOENT ? ERR_OK : say_errno(fault, path, "cannot look");
	if (!S_ISSOCK(st.st_mode))
		return say(fault, ERR_CONFLICT, path, "exists and is no socket");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return say_errno(fault, path, "no socket");
	refused = connect(fd, (const struct sockaddr *)a, sizeof(*a)) && errno == ECONNREFUSED;
	close(fd);
	if (!refused)
		return say(fault, ERR_CONFLICT, path, "another process listens here");
	if (unlink(a->sun_path) && errno != ENOENT)
		return say_errno(fault, path, "cannot remove the old socket");
	return ERR_OK;
}

static enum err unix_address(const char *path, struct sockaddr_un *ret_address,
			     struct listen_fault *fault)
{
	_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == LISTEN_PATH_MAX, "the path");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = strlen(path);

	if (n >= sizeof(a.sun_path))
		return say(fault, ERR_LIMIT, str_n(path, n), "too long for a socket (107 bytes)");
	memcpy(a.sun_path, path, n);
	*ret_address = a;
	return ERR_OK;
}

void listen_unix_remove(const char *path)
{
	struct listen_fault unused;
	struct sockaddr_un a;

	if (!unix_address(path, &a, &unused))
		(void)clear_path(&a, &unused);
}

enum err listen_unix(const char *path, enum listen_mode mode, int *ret_fd,
		     struct listen_fault *ret_fault)
{
	struct sockaddr_un a;
	size_t n = strlen(path);
	enum err e = unix_address(path, &a, ret_fault);
	int fd;

	if (!e)
		e = clear_path(&a, ret_fault);
	if (e)
		return e;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return say_errno(ret_fault, str_n(path, n), "no socket");
	/* Linux gives the new name the mode the unbound socket has: no moment with a wider one; and
	 * takes from it what the umask says, which chmod gives back */
	if (fchmod(fd, 0600) || bind(fd, (const struct sockaddr *)&a, sizeof(a)) ||
	    chmod(path, (mode_t)mode) || listen(fd, BACKLOG)) {
		e = say_errno(ret_fault, str_n(path, n), "cannot listen");
		close(fd);
		return e;
	}
	*ret_fd = fd;
	return ERR_OK;
}

static uid_t overflow_uid(void)
{
	char text[16] = "";
	int fd = open("/proc/sys/kernel/overflowuid", O_RDONLY | O_CLOEXEC);
	int64_t uid = OVERFLOW_UID_DEFAULT;
	ssize_t n;

	if (fd < 0)
		return OVERFLOW_UID_DEFAULT;
	n = read(fd, text, sizeof(text));
	close(fd);
	if (n > 1 && str_to_i64(str_n(text, (size_t)n - 1), 0, UINT32_MAX, &uid))
		uid = OVERFLOW_UID_DEFAULT;
	return (uid_t)uid;
}

bool listen_peer_trusted(int fd, int64_t *ret_uid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	*ret_uid = -1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || len != sizeof(peer))
		return false;
	*ret_uid = peer.uid;
	if (peer.uid == overflow_uid() || peer.uid == OVERFLOW_UID_DEFAULT)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

/* ---- files ---- */

unsigned listen_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 256;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) || getrlimit(RLIMIT_NOFILE, &limit))
		return 256;
	return limit.rlim_cur > UINT_MAX / 2 ? UINT_MAX / 2 : (unsigned)limit.rlim_cur;
}
