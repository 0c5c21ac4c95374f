/* Opens every door in one pass and hands each worker its share: one public socket each, and one of
 * the gateway's; the admin ones to the first. Sockets are opened before any worker starts, so that
 * a taken port stops the start and not half of the server. */
#include "server/serve/listeners.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/http/http.h"
#include "server/http/listen.h"
#include "server/state/consumer_match.h"

enum {
	DOORS_PER_WORKER = 5,
	FILES_RESERVE = 64,
	ADMIN_CONNECTIONS = 128,
	/* gateways keep few connections and use them for all */
	GATEWAY_CONNECTIONS_MAX = 512,
	GATEWAY_SHARE = 8, /* at the most one file in so many */
};

struct listeners {
	struct worker *workers[SIGNER_CHANNELS_MAX];
	size_t count;
	size_t started;
	struct feed *feed; /* the office's; the last signing channel is its */
	struct tls *public_tls;
	struct tls *admin_tls;
	struct tls *gateway_tls;
	char url[URI_MAX];
	char gateway_url[URI_MAX];
};

/* Descriptors on their way from listen() to a worker; -1 once taken. */
struct doors {
	int public[SIGNER_CHANNELS_MAX];
	int gateway[SIGNER_CHANNELS_MAX];
	int gateway_sockets[SIGNER_CHANNELS_MAX]; /* of one socket */
	int admin;
	int admin_socket;
	enum listener gateway_kind;
	unsigned connections_each, gateway_each;
};

static enum err say(struct config_fault *fault, enum err e, const char *option, const char *why)
{
	snprintf(fault->text, sizeof(fault->text), "%s: %s", option, why);
	return e;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static void doors_close(struct doors *d, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		close_fd(&d->public[i]);
		close_fd(&d->gateway[i]);
		close_fd(&d->gateway_sockets[i]);
	}
	close_fd(&d->admin);
	close_fd(&d->admin_socket);
}

/* ---- TLS ---- */

static enum err load_tls(const struct tls_files *files, const char *option, struct tls **ret_tls,
			 struct config_fault *fault)
{
	struct tls_fault why = { .text = "" };
	enum err e;

	*ret_tls = NULL;
	if (!files->certificate.n)
		return ERR_OK;
	e = tls_new(files->certificate.p, files->key.p, ret_tls, &why);
	return e ? say(fault, e, option, why.text) : ERR_OK;
}

/* NULL for a listener without TLS. */
static enum err read_again(const struct tls *tls, const struct tls_files *files, const char *option,
			   struct tls_cert **ret_cert, struct config_fault *fault)
{
	struct tls_fault why = { .text = "" };
	enum err e;

	*ret_cert = NULL;
	if (!tls)
		return ERR_OK;
	e = tls_load(files->certificate.p, files->key.p, ret_cert, &why);
	return e ? say(fault, e, option, why.text) : ERR_OK;
}

/* ---- sockets ---- */

static bool is_off(struct str address)
{
	return str_equal(address, STR("off"));
}

/* The configured host with the port that the kernel gave. */
static void write_url(char ret_url[URI_MAX], const struct tls *tls, struct str address,
		      unsigned port)
{
	while (address.n && address.p[address.n - 1] != ':')
		address.n--;
	snprintf(ret_url, URI_MAX, "%s://%.*s%u", tls ? "https" : "http", STR_ARG(address), port);
}

static enum err open_gateway(struct listeners *l, const struct config *c, struct doors *d,
			     struct config_fault *fault)
{
	struct listen_fault why = { .text = "" };
	unsigned port;
	enum err e;

	snprintf(l->gateway_url, sizeof(l->gateway_url), "off");
	if (is_off(c->gateway.address))
		return ERR_OK;
	e = listen_tcp(c->gateway.address, (unsigned)l->count, d->gateway, &port, &why);
	if (e)
		return say(fault, e, "gateway.address", why.text);
	write_url(l->gateway_url, l->gateway_tls, c->gateway.address, port);
	return ERR_OK;
}

static enum err open_doors(struct listeners *l, const struct config *c, struct doors *d,
			   struct config_fault *fault)
{
	struct listen_fault why = { .text = "" };
	unsigned port;
	enum err e;

	e = listen_tcp(c->server.address, (unsigned)l->count, d->public, &port, &why);
	if (e)
		return say(fault, e, "server.address", why.text);
	write_url(l->url, l->public_tls, c->server.address, port);
	if (!is_off(c->admin.address)) {
		e = listen_tcp(c->admin.address, 1, &d->admin, &port, &why);
		if (e)
			return say(fault, e, "admin.address", why.text);
	}
	return open_gateway(l, c, d, fault);
}

static enum err bind_socket(const char *option, struct str path, enum listen_mode mode, int *ret_fd,
			    struct config_fault *fault)
{
	struct listen_fault why = { .text = "" };
	enum err e;

	if (is_off(path))
		return ERR_OK;
	e = listen_unix(path.p, mode, ret_fd, &why);
	return e ? say(fault, e, option, why.text) : ERR_OK;
}

enum err listeners_bind(const struct config *c, struct door_sockets *ret_sockets,
			struct config_fault *fault)
{
	struct door_sockets s = { -1, -1 };
	enum err e = bind_socket("admin.socket", c->admin.socket, LISTEN_OWNER, &s.admin, fault);

	if (!e)
		e = bind_socket("gateway.socket", c->gateway.socket, LISTEN_GROUP, &s.gateway,
				fault);
	if (e)
		listeners_unbind(&s);
	*ret_sockets = s;
	return e;
}

void listeners_unbind(struct door_sockets *sockets)
{
	close_fd(&sockets->admin);
	close_fd(&sockets->gateway);
}

/* Every worker accepts on the one socket. */
static enum err share_gateway_socket(struct door_sockets *sockets, struct doors *d, size_t count)
{
	if (sockets->gateway < 0)
		return ERR_OK;
	for (size_t i = 0; i < count; i++) {
		d->gateway_sockets[i] = fcntl(sockets->gateway, F_DUPFD_CLOEXEC, 0);
		if (d->gateway_sockets[i] < 0)
			return ERR_IO;
	}
	close_fd(&sockets->gateway);
	return ERR_OK;
}

/* ---- workers ---- */

static void add_gateway_door(struct doors *d, int *fd, struct tls *tls, struct http_listener *ret,
			     size_t *count)
{
	if (*fd < 0)
		return;
	ret[(*count)++] = (struct http_listener){
		.kind = d->gateway_kind,
		.fd = take(fd),
		.tls = tls,
		.connections_max = d->gateway_each,
		.memory = HTTP_MEMORY_ADMIN,
	};
}

static size_t doors_of(struct listeners *l, struct doors *d, size_t index,
		       struct http_listener *ret)
{
	size_t n = 0;

	if (d->public[index] >= 0)
		ret[n++] = (struct http_listener){
			.kind = LISTENER_PUBLIC,
			.fd = take(&d->public[index]),
			.tls = l->public_tls,
			.connections_max = d->connections_each,
			.memory = HTTP_MEMORY_PUBLIC,
		};
	add_gateway_door(d, &d->gateway[index], l->gateway_tls, ret, &n);
	add_gateway_door(d, &d->gateway_sockets[index], NULL, ret, &n);
	if (index == 0 && d->admin >= 0)
		ret[n++] = (struct http_listener){
			.kind = LISTENER_ADMIN,
			.fd = take(&d->admin),
			.tls = l->admin_tls,
			.connections_max = ADMIN_CONNECTIONS,
			.memory = HTTP_MEMORY_ADMIN,
		};
	if (index == 0 && d->admin_socket >= 0)
		ret[n++] = (struct http_listener){
			.kind = LISTENER_SOCKET,
			.fd = take(&d->admin_socket),
			.connections_max = ADMIN_CONNECTIONS,
			.memory = HTTP_MEMORY_ADMIN,
		};
	return n;
}

static enum err make_worker(struct listeners *l, struct app *app, struct doors *d, size_t index,
			    int signer_fd)
{
	struct http_listener doors[DOORS_PER_WORKER];
	struct worker_options options = {
		.app = app,
		.index = (unsigned)index,
		.signer_fd = signer_fd,
	};
	struct http_options http = { .listeners = doors };
	enum err e = worker_new(&options, &l->workers[index]);

	if (e)
		return e;
	http.listener_count = doors_of(l, d, index, doors);
	e = http_attach(l->workers[index], &http);
	if (e)
		return e;
	e = worker_start(l->workers[index]);
	if (!e)
		l->started++;
	return e;
}

size_t listeners_workers(const struct config *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int64_t n = c->server.workers ? c->server.workers : cores;

	if (n < 1)
		return 1;
	return n > SIGNER_WORKERS_MAX ? SIGNER_WORKERS_MAX : (size_t)n;
}

/* How many connections each worker may have at each of its doors. */
static void share_files(struct doors *d, unsigned workers)
{
	const unsigned gateways = (d->gateway[0] >= 0 ? 1u : 0u) +
				  (d->gateway_sockets[0] >= 0 ? 1u : 0u);
	unsigned files = listen_raise_files();
	unsigned kept = FILES_RESERVE + ADMIN_CONNECTIONS * 2;

	d->gateway_each = files / GATEWAY_SHARE / workers;
	if (d->gateway_each > GATEWAY_CONNECTIONS_MAX)
		d->gateway_each = GATEWAY_CONNECTIONS_MAX;
	kept += d->gateway_each * gateways * workers;
	d->connections_each = (files > kept + FILES_RESERVE ? files - kept : FILES_RESERVE) /
			      workers;
}

static enum err make_workers(struct listeners *l, const struct listeners_start *start,
			     struct doors *d)
{
	enum err e = ERR_OK;

	share_files(d, (unsigned)l->count);
	for (size_t i = 0; i < l->count && !e; i++)
		e = make_worker(l, start->app, d, i,
				start->channels ? start->channels->signing[i] : -1);
	return e;
}

/* Only where one could tell a consumer: a browser that is asked asks its user. */
static void ask_certificates(struct listeners *l, const struct config *c)
{
	struct consumer_match m;
	bool asks = false;

	for (size_t i = 0; i < c->keys.consumers.count && !asks; i++)
		asks = !consumer_match_parse(c->keys.consumers.items[i], &m) && m.by_certificate;
	if (l->public_tls)
		tls_ask_certificate(l->public_tls, asks);
}

static enum err load_all_tls(struct listeners *l, const struct config *c,
			     struct config_fault *fault)
{
	enum err e = load_tls(&c->server.tls, "server.tls", &l->public_tls, fault);

	if (!e)
		e = load_tls(&c->admin.tls, "admin.tls", &l->admin_tls, fault);
	if (!e)
		e = load_tls(&c->gateway.tls, "gateway.tls", &l->gateway_tls, fault);
	if (!e)
		ask_certificates(l, c);
	return e;
}

static enum err open_all(struct listeners *l, const struct listeners_start *start, struct doors *d,
			 struct config_fault *fault)
{
	const struct config *c = start->config;
	enum err e = load_all_tls(l, c, fault);

	d->gateway_kind = start->channels ? LISTENER_GATEWAY : LISTENER_SIDECAR;
	if (!e)
		e = start->channels ? open_doors(l, c, d, fault) : open_gateway(l, c, d, fault);
	if (e)
		return e;
	e = share_gateway_socket(start->sockets, d, l->count);
	if (!e)
		e = make_workers(l, start, d);
	return e ? say(fault, e, "workers", err_name(e)) : ERR_OK;
}

enum err listeners_open(const struct listeners_start *start, struct listeners **ret_listeners,
			struct config_fault *fault)
{
	struct door_sockets *sockets = start->sockets;
	struct listeners *l = calloc(1, sizeof(*l));
	struct doors d = { .admin = -1, .admin_socket = take(&sockets->admin) };
	enum err e;

	if (!l) {
		close_fd(&d.admin_socket);
		listeners_unbind(sockets);
		return say(fault, ERR_NOMEM, "listeners", "no memory");
	}
	l->count = start->workers;
	if (start->channels) {
		l->feed = start->app->feed;
		feed_set_signer(l->feed, start->channels->signing[l->count]);
	}
	for (size_t i = 0; i < l->count; i++)
		d.public[i] = d.gateway[i] = d.gateway_sockets[i] = -1;
	e = open_all(l, start, &d, fault);
	if (e)
		listeners_drain(l);
	doors_close(&d, l->count);
	listeners_unbind(sockets);
	if (e) {
		listeners_free(l);
		return e;
	}
	*ret_listeners = l;
	return ERR_OK;
}

const char *listeners_public_url(const struct listeners *l)
{
	return l->url;
}

const char *listeners_gateway_url(const struct listeners *l)
{
	return l->gateway_url;
}

void listeners_set_signer(struct listeners *l, const struct server_channels *channels)
{
	for (size_t i = 0; i < channels->count; i++) {
		if (i < l->count)
			worker_set_signer(l->workers[i], channels->signing[i]);
		else if (i == l->count)
			feed_set_signer(l->feed, channels->signing[i]);
		else
			close(channels->signing[i]);
	}
}

enum err listeners_reload(struct listeners *l, const struct config *next,
			  struct config_fault *fault)
{
	const struct {
		const char *option;
		struct tls *tls;
		const struct tls_files *files;
	} rows[] = {
		{ "server.tls", l->public_tls, &next->server.tls },
		{ "admin.tls", l->admin_tls, &next->admin.tls },
		{ "gateway.tls", l->gateway_tls, &next->gateway.tls },
	};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	struct tls_cert *certs[ROWS] = { NULL };
	enum err e = ERR_OK;

	for (size_t i = 0; i < ROWS && !e; i++)
		e = read_again(rows[i].tls, rows[i].files, rows[i].option, &certs[i], fault);
	for (size_t i = 0; i < ROWS; i++) {
		if (e)
			tls_cert_unref(certs[i]);
		else if (certs[i])
			tls_replace(rows[i].tls, certs[i]);
	}
	if (!e)
		ask_certificates(l, next);
	return e;
}

void listeners_drain(struct listeners *l)
{
	for (size_t i = 0; i < l->started; i++)
		worker_drain(l->workers[i]);
	for (size_t i = 0; i < l->started; i++)
		worker_join(l->workers[i]);
}

void listeners_free(struct listeners *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->count; i++)
		worker_free(l->workers[i]);
	tls_free(l->public_tls);
	tls_free(l->admin_tls);
	tls_free(l->gateway_tls);
	free(l);
}
