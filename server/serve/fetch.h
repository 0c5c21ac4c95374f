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

#include "base/auto.h"
#include "server/state/fetch_frame.h"

enum { FETCH_LIFE_S = 10 };

/* A connected pair, close-on-exec: [0] for the server, [1] for the child. ERR_IO. */
MUST_CHECK enum err fetch_channel_pair(int ret_fds[2]);

/* ---- in the child ---- */

/* Returns the exit status: 0 it answered, 1 it could not (the request was none, or nobody takes the
 * answer). Called once, in a forked process that has wiped what it inherited, has closed everything
 * but `fd` and the standard three, and then calls _exit. `ca_file`: a PEM bundle in place of the
 * system's ($SSL_CERT_FILE, as curl and OpenSSL know it); NULL. */
int fetch_child_run(int fd, const char *ca_file);

/* ---- in the server ---- */

struct fetch;

/* Sends the request; `fd` is taken, also when it fails. Never waits. ERR_SYNTAX: a request that no
 * child takes; ERR_UNAVAILABLE: the child is gone; ERR_NOMEM. Caller frees, which also gives up
 * what is under way. */
MUST_CHECK enum err fetch_start(int fd, const struct fetch_request *request,
				struct fetch **ret_fetch);
void fetch_free(struct fetch *f);
AUTO_DEFINE(fetch)
/* Becomes readable when fetch_poll has news. */
int fetch_fd(const struct fetch *f);
/* Does not wait. ERR_OK once, with parts that live as long as the fetch. ERR_BUSY: not yet.
 * ERR_UNAVAILABLE: the child ended without an answer. ERR_SYNTAX: what it said is none. */
MUST_CHECK enum err fetch_poll(struct fetch *f, struct fetch_answer *ret_answer);
/* The same for threads that may wait. ERR_TIMEOUT in place of ERR_BUSY. */
MUST_CHECK enum err fetch_wait(struct fetch *f, int timeout_ms, struct fetch_answer *ret_answer);

#endif
