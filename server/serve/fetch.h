/* Requests to the outside. A fetch child is a process made for one of them: no keys, no database,
 * no listening sockets. It loads libcurl, reads one request, answers it and ends; nobody else in a
 * running server connects to anywhere. It is forked by the supervisor (never by the server, which
 * has threads and must not fork), and the server gets the other end of its socket pair.
 *
 * https with certificates checked, http to loopback addresses only; no redirects, no proxy, no
 * cookies, nothing decompressed. Every time is bounded: the request's own, then FETCH_LIFE_S, after
 * which the kernel ends the child. */
#ifndef CHANCERY_SERVER_FETCH_H
#define CHANCERY_SERVER_FETCH_H

#include "server/state/fetch_call.h"

enum { FETCH_LIFE_S = 10 };

/* A connected pair, close-on-exec: [0] for the server, [1] for the child. ERR_IO. */
MUST_CHECK enum err fetch_channel_pair(int ret_fds[2]);

/* ---- in the child ---- */

/* Returns the exit status: 0 it answered, 1 it could not (the request was none, or nobody takes the
 * answer). Called once, in a forked process that has wiped what it inherited, has closed everything
 * but `fd` and the standard three, and then calls _exit. `ca_file`: a PEM bundle in place of the
 * system's ($SSL_CERT_FILE, as curl and OpenSSL know it); NULL. `issuer`: only URLs under it are
 * asked; NULL: any. Shut in (keys/confine.h) before the first byte is read. */
int fetch_child_run(int fd, const char *ca_file, const char *issuer);

#endif
