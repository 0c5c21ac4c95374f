/* A worker with real sockets, a small route table of its own (http_fixture.c) and one lane whose
 * operations wait until the test lets them go; and a client that sends exactly the bytes it is
 * told.
 */
#ifndef CHANCERY_TESTS_HTTP_FIXTURE_H
#define CHANCERY_TESTS_HTTP_FIXTURE_H

#include <stdatomic.h>

#include "base/limits.h"
#include "server/request/app.h"
#include "server/http/http.h"
#include "server/http/listen.h"
#include "server/http/worker.h"

enum { ANSWER_MAX = 4 << 20 };

struct house {
	struct env env;
	struct app app;
	struct worker *worker;
	struct config *config;
	struct snapshot snapshot;
	struct tls *tls;
	unsigned port;	  /* public */
	char socket[108]; /* the UNIX socket's path; "" for none */
	char dir[64];	  /* for files; removed at the end */
	int log_fd;	  /* what was logged */
};

struct house_options {
	struct conn_limits limits;
	unsigned connections_max; /* 0: 64 */
	unsigned per_address_max;
	size_t bodies_max;	     /* 0: BODIES_IN_FLIGHT_MAX */
	const char *trusted_proxies; /* config list */
	bool unix_socket;
	bool gateway; /* the TCP listener is one for gateways */
	bool tls;
	int64_t drain_us;
};

void house_up(struct house *h, const struct house_options *options);
/* Drains, joins, checks that nothing is left behind. */
void house_down(struct house *h);
/* All log text so far. */
const char *house_log(struct house *h);
void house_path(const struct house *h, const char *name, char *ret_path, size_t cap);

/* DIR/NAME.crt and DIR/NAME.key: P-256, self-signed, made by openssl. */
void make_certificate(const struct house *h, const char *name, const char *common_name);

/* What the waiting operations of GET /park do: they begin, then wait for the gate. */
extern _Atomic int parked_now; /* begun, not yet let go */
extern _Atomic bool gate_open;
extern _Atomic int bodies_run;	 /* handlers of POST /form that ran */
extern _Atomic int chains_ended; /* last steps of GET /park and /park-twice that ran */

/* A client. All calls fail the test on a timeout of 10 s. */
int client_connect(const struct house *h);
int client_connect_unix(const struct house *h);
void client_send(int fd, const char *text);
void client_send_n(int fd, const void *p, size_t n);
/* Reads until the peer closes (or resets); the text, NUL-terminated, until the next call. */
const char *client_rest(int fd);
/* Reads one whole response: head and Content-Length bytes. "" when the connection ended before. */
const char *client_response(int fd);
/* True when the peer closes within `ms` without sending anything. */
bool client_closed_within(int fd, int ms);
/* Connects, sends, reads until close, closes. */
const char *client_ask(const struct house *h, const char *request);
int status_of(const char *response);
/* How many responses are in `text`. */
int responses_in(const char *text);
bool has_header(const char *response, const char *line);

void wait_until(_Atomic int *value, int wanted);
void sleep_ms(int ms);
int64_t clock_ms(void);

#endif
