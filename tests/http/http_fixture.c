/* The house the HTTP tests live in. Routes, authentication and the snapshot are this file's own, so
 * that nothing but HTTP, the router and a lane is at work. */
#include "http_fixture.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "server/token/auth.h"
#include "server/request/router.h"
#include "tests/helpers/temp.h"

enum { BIG_BODY = 1 << 20, RECV_TIMEOUT_S = 10, FORM_MAX = 64 };

_Atomic int parked_now;
_Atomic bool gate_open;
_Atomic int bodies_run;
_Atomic int chains_ended;

static char big[BIG_BODY];
static char answer[ANSWER_MAX];
static size_t answer_n;

/* ---- routes ---- */

static enum err get_plain(struct request *rq)
{
	return respond_text(rq, 200, "text/plain", STR("hello"));
}

static enum err get_big(struct request *rq)
{
	return respond_text(rq, 200, "text/plain", str_n(big, sizeof(big)));
}

static enum err get_target(struct request *rq)
{
	struct buf b;
	struct str text;

	buf_init(&b, rq->arena, 4096);
	buf_str(&b, rq->path);
	buf_z(&b, "|");
	buf_str(&b, rq->query);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	return respond_text(rq, 200, "text/plain", text);
}

static enum err get_who(struct request *rq)
{
	struct buf b;
	struct str text;

	buf_init(&b, rq->arena, 256);
	buf_str(&b, rq->address);
	buf_fmt(&b, " %d %lld", rq->peer_trusted, (long long)rq->peer_uid);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	return respond_text(rq, 200, "text/plain", text);
}

/* "METHOD bytes-of-body address", and a header without a value. */
static enum err any(struct request *rq)
{
	struct buf b;
	struct str text;

	buf_init(&b, rq->arena, 256);
	buf_fmt(&b, "%s %zu ", method_name(rq->method), rq->body.n);
	buf_str(&b, rq->address);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	respond_header(rq, "X-Nothing", STR(""));
	return respond_text(rq, 200, "text/plain", text);
}

static enum err post_form(struct request *rq)
{
	struct buf b;
	struct str text;

	atomic_fetch_add(&bodies_run, 1);
	buf_init(&b, rq->arena, 64);
	buf_fmt(&b, "%zu", rq->body.n);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	return respond_text(rq, 200, "text/plain", text);
}

static enum err wait_for_gate(struct lane_ctx *ctx, void *arg)
{
	struct request *rq = arg;

	(void)ctx;
	atomic_fetch_add(&parked_now, 1);
	while (!atomic_load(&gate_open))
		sleep_ms(1);
	atomic_fetch_sub(&parked_now, 1);
	/* an operation may use everything that came in; all of it must still be there */
	ck_assert(rq->path.n && rq->path.p[0] == '/');
	ck_assert(!rq->authorization.p || rq->authorization.p[0] == 'B');
	return ERR_OK;
}

static enum err parked_once(struct request *rq, enum err result)
{
	ck_assert_int_eq(result, ERR_OK);
	atomic_fetch_add(&chains_ended, 1);
	return respond_text(rq, 200, "text/plain", STR("waited"));
}

static enum err parked_first(struct request *rq, enum err result)
{
	ck_assert_int_eq(result, ERR_OK);
	return park(rq, LANE_BLOCKING, wait_for_gate, rq, parked_once);
}

static enum err get_park(struct request *rq)
{
	return park(rq, LANE_BLOCKING, wait_for_gate, rq, parked_once);
}

static enum err get_park_twice(struct request *rq)
{
	return park(rq, LANE_BLOCKING, wait_for_gate, rq, parked_first);
}

#define EVERYWHERE (LISTENER_PUBLIC | LISTENER_ADMIN | LISTENER_SOCKET)

const struct route routes[] = {
	{ .name = "/plain",
	  .method = METHOD_GET,
	  .pattern = "/plain",
	  .listeners = EVERYWHERE,
	  .auth = AUTH_NONE,
	  .handle = get_plain },
	{ .name = "/big",
	  .method = METHOD_GET,
	  .pattern = "/big",
	  .listeners = EVERYWHERE,
	  .auth = AUTH_NONE,
	  .handle = get_big },
	{ .name = "/target",
	  .method = METHOD_GET,
	  .pattern = "/target/{x}",
	  .listeners = EVERYWHERE,
	  .auth = AUTH_NONE,
	  .handle = get_target },
	{ .name = "/who",
	  .method = METHOD_GET,
	  .pattern = "/who",
	  .listeners = EVERYWHERE,
	  .auth = AUTH_NONE,
	  .handle = get_who },
	{ .name = "/form",
	  .method = METHOD_POST,
	  .pattern = "/form",
	  .listeners = EVERYWHERE,
	  .auth = AUTH_NONE,
	  .dress = DRESS_OAUTH,
	  .body = BODY_FORM,
	  .body_max = FORM_MAX,
	  .handle = post_form },
	{ .name = "/large",
	  .method = METHOD_POST,
	  .pattern = "/large",
	  .listeners = EVERYWHERE,
	  .auth = AUTH_NONE,
	  .body = BODY_FORM,
	  .body_max = FORM_SIZE_MAX,
	  .handle = post_form },
	{ .name = "/any",
	  .any_method = true,
	  .pattern = "/any/{*}",
	  .listeners = LISTENER_GATEWAY,
	  .auth = AUTH_NONE,
	  .body = BODY_IGNORED,
	  .body_max = GATEWAY_BODY_MAX,
	  .handle = any },
	{ .name = "/park",
	  .method = METHOD_GET,
	  .pattern = "/park",
	  .listeners = EVERYWHERE,
	  .auth = AUTH_NONE,
	  .handle = get_park },
	{ .name = "/park-twice",
	  .method = METHOD_GET,
	  .pattern = "/park-twice",
	  .listeners = EVERYWHERE,
	  .auth = AUTH_NONE,
	  .handle = get_park_twice },
};
const size_t route_count = sizeof(routes) / sizeof(*routes);

/* ---- what stands in for the rest of the server ---- */

static struct snapshot *the_snapshot;

struct snapshot *snapshot_get(const struct app *app)
{
	(void)app;
	atomic_fetch_add(&the_snapshot->refs, 1);
	return the_snapshot;
}

void snapshot_unref(struct snapshot *s)
{
	atomic_fetch_sub(&s->refs, 1);
}

enum err auth_client(struct request *rq, enum err (*next)(struct request *, enum err))
{
	return next(rq, ERR_OK);
}

enum err auth_admin(struct request *rq, unsigned scope)
{
	(void)rq;
	(void)scope;
	return ERR_FORBIDDEN;
}

void client_unref(struct client_ref *c)
{
	(void)c;
}

/* access_log.c's, without what it knows of grants. */
void router_log(struct request *rq)
{
	log_begin(rq->log, LOG_INFO, "request");
	log_int(rq->log, "status", rq->response.status);
	log_str(rq->log, "remote", rq->address);
	log_z(rq->log, "reason", rq->why[0] ? rq->why : NULL);
	log_end(rq->log);
}

/* ---- the house ---- */

void house_path(const struct house *h, const char *name, char *ret_path, size_t cap)
{
	snprintf(ret_path, cap, "%s/%s", h->dir, name);
}

static void load_config(struct house *h, const struct house_options *o)
{
	char proxies[256];
	const char *sets[2] = { "issuer=http://127.0.0.1", proxies };
	const char *environment[1] = { NULL };
	const struct config_source source = {
		.data_dir = h->dir,
		.sets = sets,
		.set_count = o->trusted_proxies ? 2 : 1,
		.environ = environment,
	};
	struct config_warnings warnings = { .count = 0 };
	struct config_fault fault = { .text = "" };

	if (o->trusted_proxies)
		snprintf(proxies, sizeof(proxies), "server.trusted_proxies=%s", o->trusted_proxies);
	ck_assert_msg(config_load(&source, &h->config, &warnings, &fault) == ERR_OK, "%s",
		      fault.text);
}

void make_certificate(const struct house *h, const char *name, const char *common_name)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
		 "-subj /CN=%s -addext subjectAltName=IP:127.0.0.1 -keyout %s/%s.key "
		 "-out %s/%s.crt 2>/dev/null",
		 common_name, h->dir, name, h->dir, name);
	ck_assert_int_eq(system(command), 0);
}

static size_t open_doors(struct house *h, const struct house_options *o, struct http_listener *ret)
{
	struct listen_fault fault = { .text = "" };
	size_t n = 0;
	int fd;

	ck_assert_msg(listen_tcp(STR("127.0.0.1:0"), 1, &fd, &h->port, &fault) == ERR_OK, "%s",
		      fault.text);
	ret[n++] = (struct http_listener){
		.kind = o->gateway ? LISTENER_GATEWAY : LISTENER_PUBLIC,
		.memory = o->gateway ? HTTP_MEMORY_ADMIN : 0,
		.fd = fd,
		.tls = h->tls,
		.connections_max = o->connections_max ? o->connections_max : 64,
		.per_address_max = o->per_address_max,
		.bodies_max = o->bodies_max,
	};
	if (o->unix_socket) {
		house_path(h, "admin.sock", h->socket, sizeof(h->socket));
		ck_assert_msg(listen_unix(h->socket, LISTEN_OWNER, &fd, &fault) == ERR_OK, "%s",
			      fault.text);
		ret[n++] = (struct http_listener){
			.kind = LISTENER_SOCKET,
			.fd = fd,
			.connections_max = 16,
			.memory = HTTP_MEMORY_ADMIN,
		};
	}
	return n;
}

static void start(struct house *h, const struct house_options *o)
{
	struct http_listener doors[2];
	const struct worker_options worker = {
		.app = &h->app,
		.signer_fd = -1,
		.drain_us = o->drain_us,
	};
	struct http_options http = { .listeners = doors, .limits = o->limits };

	ck_assert_int_eq(worker_new(&worker, &h->worker), ERR_OK);
	http.listener_count = open_doors(h, o, doors);
	ck_assert_int_eq(http_attach(h->worker, &http), ERR_OK);
	ck_assert_int_eq(worker_start(h->worker), ERR_OK);
}

static void load_tls(struct house *h)
{
	struct tls_fault fault = { .text = "" };
	char crt[128], key[128];

	make_certificate(h, "first", "first");
	house_path(h, "first.crt", crt, sizeof(crt));
	house_path(h, "first.key", key, sizeof(key));
	ck_assert_msg(tls_new(crt, key, &h->tls, &fault) == ERR_OK, "%s", fault.text);
}

void house_up(struct house *h, const struct house_options *options)
{
	const struct pool_options pool = { .name = "slow", .threads = 4, .queue_max = 64 };

	*h = (struct house){ .dir = "" };
	signal(SIGPIPE, SIG_IGN);
	temp_folder(h->dir, sizeof(h->dir), "http");
	atomic_store(&parked_now, 0);
	atomic_store(&gate_open, false);
	atomic_store(&bodies_run, 0);
	atomic_store(&chains_ended, 0);
	memset(big, 'b', sizeof(big));
	ck_assert_int_eq(secret_library_init(), ERR_OK);
	env_system(&h->env);
	h->log_fd = memfd_create("log", MFD_CLOEXEC);
	load_config(h, options);
	h->snapshot = (struct snapshot){ .refs = 1, .config = h->config };
	the_snapshot = &h->snapshot;
	h->app.env = &h->env;
	ck_assert_int_eq(log_new(h->log_fd, LOG_FORMAT_JSON, LOG_INFO, &h->app.log), ERR_OK);
	ck_assert_int_eq(metrics_new(&h->app.metrics), ERR_OK);
	ck_assert_int_eq(pool_start(&pool, &h->env, &h->app.blocking), ERR_OK);
	if (options->tls)
		load_tls(h);
	start(h, options);
}

void house_down(struct house *h)
{
	char command[128];

	worker_drain(h->worker);
	worker_join(h->worker);
	atomic_store(&gate_open, true);
	pool_stop(h->app.blocking);
	h->app.blocking = NULL;
	worker_free(h->worker);
	/* every request gave back what it held */
	ck_assert_uint_eq(atomic_load(&h->snapshot.refs), 1);
	tls_free(h->tls);
	metrics_free(h->app.metrics);
	log_free(h->app.log);
	config_unref(h->config);
	close(h->log_fd);
	snprintf(command, sizeof(command), "rm -rf %s", h->dir);
	ck_assert_int_eq(system(command), 0);
}

const char *house_log(struct house *h)
{
	ssize_t n = pread(h->log_fd, answer, sizeof(answer) - 1, 0);

	ck_assert_int_ge(n, 0);
	answer[n] = '\0';
	return answer;
}

/* ---- the client ---- */

static int connected(int fd, const struct sockaddr *sa, socklen_t n)
{
	const struct timeval timeout = { .tv_sec = RECV_TIMEOUT_S };

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
	ck_assert_int_eq(connect(fd, sa, n), 0);
	return fd;
}

int client_connect(const struct house *h)
{
	const struct sockaddr_in a = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)h->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	return connected(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
			 (const struct sockaddr *)&a, sizeof(a));
}

int client_connect_unix(const struct house *h)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	memcpy(a.sun_path, h->socket, sizeof(a.sun_path));
	return connected(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
			 (const struct sockaddr *)&a, sizeof(a));
}

void client_send_n(int fd, const void *p, size_t n)
{
	const char *text = p;

	/* a server that has answered may have closed; what it said is still to be read */
	while (n) {
		ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);

		if (sent < 0)
			return;
		text += sent;
		n -= (size_t)sent;
	}
}

void client_send(int fd, const char *text)
{
	client_send_n(fd, text, strlen(text));
}

const char *client_rest(int fd)
{
	ssize_t n = 1;

	answer_n = 0;
	while (n > 0 && answer_n < sizeof(answer) - 1) {
		n = recv(fd, answer + answer_n, sizeof(answer) - 1 - answer_n, 0);
		ck_assert_msg(n >= 0 || errno == ECONNRESET, "no end of the stream: %s",
			      strerror(errno));
		if (n > 0)
			answer_n += (size_t)n;
	}
	answer[answer_n] = '\0';
	return answer;
}

/* Byte by byte, so that the next response stays in the socket. */
const char *client_response(int fd)
{
	const char *length;
	size_t body;

	answer_n = 0;
	answer[0] = '\0';
	while (!strstr(answer, "\r\n\r\n")) {
		ssize_t n = recv(fd, answer + answer_n, 1, 0);

		ck_assert_msg(n >= 0 || errno == ECONNRESET, "no answer: %s", strerror(errno));
		if (n <= 0)
			return "";
		answer[++answer_n] = '\0';
	}
	length = strcasestr(answer, "\r\nContent-Length: ");
	body = length ? strtoul(length + 18, NULL, 10) : 0;
	while (body) {
		ssize_t n = recv(fd, answer + answer_n, body, 0);

		ck_assert_int_gt(n, 0);
		answer_n += (size_t)n;
		body -= (size_t)n;
	}
	answer[answer_n] = '\0';
	return answer;
}

bool client_closed_within(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte;

	return poll(&p, 1, ms) == 1 && recv(fd, &byte, 1, 0) <= 0;
}

const char *client_ask(const struct house *h, const char *request)
{
	int fd = client_connect(h);
	const char *text;

	client_send(fd, request);
	text = client_rest(fd);
	close(fd);
	return text;
}

int status_of(const char *response)
{
	return strncmp(response, "HTTP/1.", 7) ? 0 : (int)strtol(response + 9, NULL, 10);
}

int responses_in(const char *text)
{
	int count = 0;

	while ((text = strstr(text, "HTTP/1."))) {
		count++;
		text += 7;
	}
	return count;
}

bool has_header(const char *response, const char *line)
{
	char text[256];

	snprintf(text, sizeof(text), "\r\n%s\r\n", line);
	return strcasestr(response, text);
}

void wait_until(_Atomic int *value, int wanted)
{
	for (int i = 0; i < 10000 && atomic_load(value) != wanted; i++)
		sleep_ms(1);
	ck_assert_int_eq(atomic_load(value), wanted);
}

void sleep_ms(int ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L }, NULL);
}

int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
