/* Opens every door in one pass and hands each worker its share: one public socket each, the admin
 * ones to the first. Sockets are opened before any worker starts, so that a taken port stops the
 * start and not half of the server. */
#include "server/serve/listeners.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/http/http.h"
#include "server/http/listen.h"

enum { DOORS_PER_WORKER = 3, FILES_RESERVE = 64, ADMIN_CONNECTIONS = 128 };

struct listeners {
	struct worker *workers[SIGNER_CHANNELS_MAX];
	size_t count;
	size_t started;
	struct tls *public_tls;
	struct tls *admin_tls;
	char url[URI_MAX];
};

/* Descriptors on their way from listen() to a worker; -1 once taken. */
struct doors {
	int public[SIGNER_CHANNELS_MAX];
	int admin;
	int socket;
	unsigned connections_each;
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

static void doors_close(struct doors *d, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close_fd(&d->public[i]);
	close_fd(&d->admin);
	close_fd(&d->socket);
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
static void write_url(struct listeners *l, struct str address, unsigned port)
{
	while (address.n && address.p[address.n - 1] != ':')
		address.n--;
	snprintf(l->url, sizeof(l->url), "%s://%.*s%u", l->public_tls ? "https" : "http",
		 STR_ARG(address), port);
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
	write_url(l, c->server.address, port);
	if (!is_off(c->admin.address)) {
		e = listen_tcp(c->admin.address, 1, &d->admin, &port, &why);
		if (e)
			return say(fault, e, "admin.address", why.text);
	}
	return ERR_OK;
}

enum err listeners_bind(const struct config *c, int *ret_socket, struct config_fault *fault)
{
	struct listen_fault why = { .text = "" };
	enum err e;

	*ret_socket = -1;
	if (is_off(c->admin.socket))
		return ERR_OK;
	e = listen_unix(c->admin.socket.p, ret_socket, &why);
	return e ? say(fault, e, "admin.socket", why.text) : ERR_OK;
}

/* ---- workers ---- */

static int take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static size_t doors_of(struct listeners *l, struct doors *d, size_t index,
		       struct http_listener *ret)
{
	size_t n = 0;

	ret[n++] = (struct http_listener){
		.kind = LISTENER_PUBLIC,
		.fd = take(&d->public[index]),
		.tls = l->public_tls,
		.connections_max = d->connections_each,
		.memory = HTTP_MEMORY_PUBLIC,
	};
	if (index == 0 && d->admin >= 0)
		ret[n++] = (struct http_listener){
			.kind = LISTENER_ADMIN,
			.fd = take(&d->admin),
			.tls = l->admin_tls,
			.connections_max = ADMIN_CONNECTIONS,
			.memory = HTTP_MEMORY_ADMIN,
		};
	if (index == 0 && d->socket >= 0)
		ret[n++] = (struct http_listener){
			.kind = LISTENER_SOCKET,
			.fd = take(&d->socket),
			.connections_max = ADMIN_CONNECTIONS,
			.memory = HTTP_MEMORY_ADMIN,
		};
	return n;
}

static enum err make_worker(struct listeners *l, struct office *o, struct doors *d, size_t index,
			    int signer_fd)
{
	struct http_listener doors[DOORS_PER_WORKER];
	struct worker_options options = {
		.app = &o->app,
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

static enum err make_workers(struct listeners *l, struct office *o,
			     const struct server_channels *channels, struct doors *d)
{
	unsigned files = listen_raise_files();
	enum err e = ERR_OK;

	d->connections_each = (files > 2 * FILES_RESERVE + ADMIN_CONNECTIONS * 2
				       ? files - FILES_RESERVE - ADMIN_CONNECTIONS * 2
				       : FILES_RESERVE) /
			      (unsigned)l->count;
	for (size_t i = 0; i < l->count && !e; i++)
		e = make_worker(l, o, d, i, channels->signing[i]);
	return e;
}

enum err listeners_open(struct office *o, const struct server_channels *channels, int socket,
			struct listeners **ret_listeners, struct config_fault *fault)
{
	const struct config *c = o->config;
	struct listeners *l = calloc(1, sizeof(*l));
	struct doors d = { .admin = -1, .socket = socket };
	enum err e;

	if (!l) {
		close_fd(&d.socket);
		return say(fault, ERR_NOMEM, "listeners", "no memory");
	}
	l->count = channels->count;
	for (size_t i = 0; i < l->count; i++)
		d.public[i] = -1;
	e = load_tls(&c->server.tls, "server.tls", &l->public_tls, fault);
	if (!e)
		e = load_tls(&c->admin.tls, "admin.tls", &l->admin_tls, fault);
	if (!e)
		e = open_doors(l, c, &d, fault);
	if (!e) {
		e = make_workers(l, o, channels, &d);
		if (e)
			say(fault, e, "workers", err_name(e));
	}
	if (e)
		listeners_drain(l);
	doors_close(&d, l->count);
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

void listeners_set_signer(struct listeners *l, const struct server_channels *channels)
{
	for (size_t i = 0; i < channels->count; i++) {
		if (i < l->count)
			worker_set_signer(l->workers[i], channels->signing[i]);
		else
			close(channels->signing[i]);
	}
}

enum err listeners_reload(struct listeners *l, const struct config *next,
			  struct config_fault *fault)
{
	struct tls_cert *public, *admin;
	enum err e = read_again(l->public_tls, &next->server.tls, "server.tls", &public, fault);

	if (e)
		return e;
	e = read_again(l->admin_tls, &next->admin.tls, "admin.tls", &admin, fault);
	if (e) {
		tls_cert_unref(public);
		return e;
	}
	if (public)
		tls_replace(l->public_tls, public);
	if (admin)
		tls_replace(l->admin_tls, admin);
	return ERR_OK;
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
	free(l);
}
