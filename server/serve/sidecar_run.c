/* The sidecar's process: workers that judge, one thread that fetches, and the main one that waits
 * for signals. It has no child: it holds nothing that would need to be kept from it. */
#include "server/serve/sidecar_run.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/http/listen.h"
#include "server/request/app.h"
#include "server/serve/listeners.h"
#include "server/serve/signals.h"
#include "server/state/http_client.h"

enum { EXIT_OK = 0, EXIT_LOCAL = 1, ARENA_SLACK = 64 << 10 };

struct post {
	const struct sidecar_run *run;
	struct app app;
	struct wishes wishes;
	struct http_client *client;
	struct sidecar *sidecar;
	struct listeners *listeners;
	pthread_t tender;
	int stop[2]; /* pipe: its end tells the tender to end */
	int signals;
};

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "chancery: %s: %s\n", what, why);
	return EXIT_LOCAL;
}

/* ---- fetching ---- */

static int take_answer(const struct http_answer *a, struct str cache_control,
		       struct chancery_response *response)
{
	if (a->body.n > response->body_max)
		return -1;
	response->status = a->status;
	response->body_len = a->body.n;
	if (a->body.n)
		memcpy(response->body, a->body.p, a->body.n);
	if (!http_max_age(cache_control, &response->max_age))
		response->max_age = 0;
	if (strlen(a->etag) < sizeof(response->etag))
		snprintf(response->etag, sizeof(response->etag), "%s", a->etag);
	return 0;
}

/* A chancery_fetch; the tender's thread. */
static int fetch(void *arg, const struct chancery_request *request,
		 struct chancery_response *response)
{
	const struct post *p = arg;
	AUTO(arena, arena) = NULL;
	struct http_field field = { .name = "Cache-Control" };
	char why[HTTP_WHY_MAX] = "";
	struct http_answer answer;
	const struct http_call call = {
		.method = "GET",
		.url = request->url,
		.ca_file = p->run->ca_file,
		.accept = request->accept,
		.if_none_match = request->if_none_match,
		.direct = strncmp(request->url, "https:", 6) != 0,
		.timeout_ms = request->timeout * 1000,
		.body_max = response->body_max,
		.fields = &field,
		.field_count = 1,
	};

	if (arena_new(3 * response->body_max + ARENA_SLACK, &arena))
		return -1;
	if (http_send(p->client, arena, &call, &answer, why)) {
		log_say(p->app.log, LOG_WARN, "the issuer's document did not come", "reason", why);
		return -1;
	}
	return take_answer(&answer, field.value, response);
}

/* A new trouble is said once, and that it is over. */
static const char *say_trouble(const struct post *p, const char *before)
{
	const char *now = sidecar_is_ready(p->sidecar) ? NULL : sidecar_trouble(p->sidecar);

	if (now && now != before)
		log_say(p->app.log, LOG_WARN, "tokens cannot be judged", "reason", now);
	if (before && !now)
		log_say(p->app.log, LOG_INFO, "tokens can be judged again", NULL, NULL);
	return now;
}

static void *tend(void *arg)
{
	struct post *p = arg;
	struct pollfd stop = { .fd = p->stop[0], .events = POLLIN };
	const char *trouble = NULL;

	do {
		sidecar_tend(p->sidecar);
		trouble = say_trouble(p, trouble);
	} while (poll(&stop, 1, SIDECAR_TEND_S * 1000) <= 0);
	return NULL;
}

/* ---- signals ---- */

static void reload(const struct post *p)
{
	struct config_fault fault = { .text = "" };

	if (listeners_reload(p->listeners, p->run->config, &fault))
		log_say(p->app.log, LOG_ERROR, "certificates were not taken", "reason", fault.text);
	else
		log_say(p->app.log, LOG_INFO, "certificates were read again", NULL, NULL);
}

static void wait_for_the_end(const struct post *p)
{
	struct signalfd_siginfo info;

	while (read(p->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGHUP)
			return;
		reload(p);
	}
}

/* ---- up and down ---- */

static enum err make_app(struct post *p)
{
	const struct config *c = p->run->config;
	enum err e = log_new(STDERR_FILENO, c->log.format, c->log.level, &p->app.log);

	p->app.env = p->run->env;
	p->app.wishes = &p->wishes;
	if (!e)
		e = snapshot_slot_new(&p->app.slot);
	if (!e)
		e = snapshot_of_options(p->app.slot, p->run->config);
	return e;
}

static int make_sidecar(struct post *p, size_t workers)
{
	const struct sidecar_run *r = p->run;
	const struct sidecar_options options = {
		.env = r->env,
		.issuer = r->config->issuer.p,
		.feed = r->feed,
		.max_staleness = r->max_staleness,
		.audiences = r->audiences,
		.audience_count = r->audience_count,
		.workers = (unsigned)workers,
		.fetch = fetch,
		.fetch_arg = p,
	};
	const char *why = "no memory";

	if (http_client_new(&p->client, &why))
		return complain("the issuer cannot be asked", why);
	if (sidecar_new(&options, &p->sidecar, &why))
		return complain("gateway", why);
	p->app.sidecar = p->sidecar;
	return EXIT_OK;
}

static int listen_all(struct post *p, size_t workers)
{
	const struct config *c = p->run->config;
	struct config_fault fault = { .text = "" };
	struct door_sockets sockets;
	const struct listeners_start start = {
		.app = &p->app,
		.config = c,
		.workers = workers,
		.sockets = &sockets,
	};

	if (listeners_bind(c, &sockets, &fault) || listeners_open(&start, &p->listeners, &fault))
		return complain("gateway", fault.text);
	log_say(p->app.log, LOG_INFO, "listening", "gateway",
		str_equal(c->gateway.socket, STR("off")) ? listeners_gateway_url(p->listeners)
							 : c->gateway.socket.p);
	return EXIT_OK;
}

static int run(struct post *p)
{
	const size_t workers = listeners_workers(p->run->config);
	int status;

	if (make_app(p))
		return complain("gateway", "no memory");
	status = make_sidecar(p, workers);
	if (status)
		return status;
	if (pipe2(p->stop, O_CLOEXEC) || pthread_create(&p->tender, NULL, tend, p))
		return complain("gateway", "the system gives no pipe or no thread");
	status = listen_all(p, workers);
	if (!status)
		wait_for_the_end(p);
	atomic_store(&p->app.draining, true);
	if (p->listeners)
		listeners_drain(p->listeners);
	close(p->stop[1]);
	pthread_join(p->tender, NULL);
	close(p->stop[0]);
	log_say(p->app.log, LOG_INFO, "stopped", NULL, NULL);
	return status;
}

int sidecar_run(const struct sidecar_run *r)
{
	struct post p = { .run = r, .signals = signals_catch(0) };
	int status;

	if (p.signals < 0)
		return complain("gateway", "signals cannot be caught");
	if (secret_library_init())
		return complain("gateway", "libsodium cannot be initialised");
	status = run(&p);
	listeners_free(p.listeners);
	sidecar_free(p.sidecar);
	http_client_free(p.client);
	snapshot_slot_free(p.app.slot);
	log_free(p.app.log);
	close(p.signals);
	if (!str_equal(r->config->gateway.socket, STR("off")))
		listen_unix_remove(r->config->gateway.socket.p);
	return status;
}
