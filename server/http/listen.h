/* Listening sockets, and what the kernel tells about the peer of a local one. All are non-blocking
 * and close-on-exec; the caller closes them. */
#ifndef CHANCERY_SERVER_LISTEN_H
#define CHANCERY_SERVER_LISTEN_H

#include "base/str.h"

enum { LISTEN_PATH_MAX = 108 }; /* sockaddr_un.sun_path, with its NUL */

struct listen_fault {
	char text[256]; /* what was tried and what the system said */
};

/* `count` sockets on one address, one for each worker: the kernel spreads connections over them
 * (SO_REUSEPORT). `address` is "127.0.0.1:8080" or "[::1]:8080"; [::] takes IPv4
 * too. Port 0 picks one; *ret_port tells. ERR_SYNTAX; ERR_CONFLICT: somebody else listens there;
 * ERR_IO. */
MUST_CHECK enum err listen_tcp(struct str address, unsigned count, int *ret_fds, unsigned *ret_port,
			       struct listen_fault *ret_fault);

/* Who may open a UNIX socket, besides root: our own user, or our group as well. */
enum listen_mode { LISTEN_OWNER = 0600, LISTEN_GROUP = 0660 };
/* A UNIX socket that nobody but those of `mode` can open, from its first moment. A socket that
 * nobody listens on any more is replaced. ERR_LIMIT: the path does not fit a socket address;
 * ERR_CONFLICT: somebody listens there, or the path is no socket; ERR_IO. */
MUST_CHECK enum err listen_unix(const char *path, enum listen_mode mode, int *ret_fd,
				struct listen_fault *ret_fault);

/* Removes a socket that nobody listens on any more; leaves everything else. */
void listen_unix_remove(const char *path);

/* The uid at the other end of a UNIX connection when it connected. True: root's or our own, and not
 * the overflow uid, which stands for every user this namespace has no name for. *ret_uid is -1 when
 * the kernel does not tell. */
bool listen_peer_trusted(int fd, int64_t *ret_uid);

/* Raises the soft limit of open files to the hard one and returns it. */
unsigned listen_raise_files(void);

#endif
