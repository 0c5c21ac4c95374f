/* What the two files that know libmicrohttpd share. Nobody else includes it; http.h is the
 * contract.
 */
#ifndef CHANCERY_SERVER_HTTP_MICROHTTPD_H
#define CHANCERY_SERVER_HTTP_MICROHTTPD_H

#include <microhttpd.h>

#include "server/http/http.h"

/* A listener of this worker. */
struct port {
	struct http *http;
	struct MHD_Daemon *daemon;
	struct http_listener options;
	struct conn_list conns;
	bool ready;	   /* the worker's epoll saw it */
	bool again;	   /* the library wants another run, or a connection was resumed */
	bool listen_again; /* it left its limit in this run */
};

struct http {
	struct worker *worker;
	struct conn_limits limits;
	int64_t now_us;
	bool own_lines; /* the library checks line ends itself (1.0 and later) */
	bool draining;
	bool stopping;
	bool no_files;
	bool progress; /* something of ours was called in this pass */
	unsigned idle_passes;
	int64_t idle_wait_us;
	size_t port_count;
	struct port ports[];
};

static inline struct port *port_of(const struct conn *conn)
{
	return conn->owner;
}

/* The library's callbacks (http_request.c); `arg` of all is the port. */
void *http_on_target(void *arg, const char *target, struct MHD_Connection *c);
enum MHD_Result http_on_request(void *arg, struct MHD_Connection *c, const char *url,
				const char *method, const char *version, const char *data,
				size_t *data_n, void **state);
void http_on_completed(void *arg, struct MHD_Connection *c, void **state,
		       enum MHD_RequestTerminationCode code);
/* `refused`: by the library, whose logger has it. */
void http_end_exchange(struct conn *conn, bool refused);

#endif
