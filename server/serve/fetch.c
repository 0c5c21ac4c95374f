/* The fetch child; see the header. */
#include "server/serve/fetch.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keys/confine.h"
#include "keys/signer_frame.h"
#include "server/state/http_client.h"

enum {
	ARENA_SLACK = 64 << 10, /* what a call needs beside the body */
	STATUS_FAULT = 1
};

enum err fetch_channel_pair(int ret_fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) ? ERR_IO : ERR_OK;
}

/* ---- in the child ---- */

/* Which header field becomes which part. */
static const struct {
	const char *name;
	enum fetch_part part;
} wanted[] = {
	{ "Content-Type", FETCH_CONTENT_TYPE },
	{ "Cache-Control", FETCH_CACHE_CONTROL },
	{ "Age", FETCH_AGE },
	{ "ETag", FETCH_ETAG },
	{ "Set-Cookie", FETCH_SET_COOKIE },
};

enum { WANTED = sizeof(wanted) / sizeof(wanted[0]) };

static struct str cookie_name(struct str value)
{
	struct str name = STR_NONE;

	(void)str_next(&value, '=', &name);
	return name;
}

static void take_answer(const struct http_answer *from, const struct http_field *fields,
			struct fetch_answer *a)
{
	a->outcome = FETCH_ANSWERED;
	a->status = from->status;
	a->parts[FETCH_BODY] = from->body;
	for (size_t i = 0; i < WANTED; i++)
		a->parts[wanted[i].part] = fields[i].value;
	a->parts[FETCH_SET_COOKIE] = cookie_name(a->parts[FETCH_SET_COOKIE]);
}

static void carry_out(struct http_client *client, const struct fetch_request *r,
		      const char *ca_file, struct arena *arena, struct fetch_answer *a, char *why)
{
	struct http_field fields[WANTED];
	struct http_answer answer;
	struct http_call call = {
		.method = "GET",
		.url = arena_z(arena, r->url),
		.ca_file = ca_file,
		.timeout_ms = (int)r->timeout_ms,
		.body_max = r->max_bytes,
		.direct = true,
		.fields = fields,
		.field_count = WANTED,
	};
	enum err e = call.url ? ERR_OK : ERR_NOMEM;

	for (size_t i = 0; i < WANTED; i++)
		fields[i] = (struct http_field){ .name = wanted[i].name };
	if (!e)
		e = http_send(client, arena, &call, &answer, why);
	if (!e)
		take_answer(&answer, fields, a);
	else if (e == ERR_LIMIT)
		a->outcome = FETCH_TOO_LARGE;
	else
		a->parts[FETCH_WHY] = e == ERR_UNAVAILABLE ? str_z(why) : str_z(err_name(e));
}

static enum err answer_request(int fd, struct http_client *client, const char *no_client,
			       const struct fetch_request *r, const char *ca_file)
{
	AUTO(arena, arena) = NULL;
	char why[HTTP_WHY_MAX] = "";
	struct fetch_answer a = { .outcome = FETCH_NO_ANSWER };

	if (!client) {
		a.outcome = FETCH_NO_CLIENT;
		a.parts[FETCH_WHY] = str_z(no_client);
	} else if (arena_new(3 * (size_t)r->max_bytes + ARENA_SLACK, &arena)) {
		a.parts[FETCH_WHY] = STR("no memory");
	} else {
		carry_out(client, r, ca_file, arena, &a, why);
	}
	return fetch_answer_send(fd, &a);
}

/* Whoever forked us may have had handlers and a mask of its own. */
static void set_signals(void)
{
	sigset_t alarm_only;

	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	signal(SIGALRM, SIG_DFL);
	signal(SIGPIPE, SIG_IGN); /* TLS writes without MSG_NOSIGNAL */
	sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
	alarm(FETCH_LIFE_S);
}

/* What name resolution and TLS read; never a whole /etc, in which a data directory may lie. A child
 * that cannot be shut in does nothing: strangers' bytes are read here under a uid that could read
 * the master key. Kernels that know neither landlock nor seccomp are no failure (keys/confine.h).
 */
static enum err shut_in(const char *ca_file)
{
	const struct confine_path paths[] = {
		{ "/etc/ssl", CONFINE_READ },
		{ "/etc/ca-certificates", CONFINE_READ },
		{ "/etc/resolv.conf", CONFINE_READ },
		{ "/etc/hosts", CONFINE_READ },
		{ "/etc/host.conf", CONFINE_READ },
		{ "/etc/gai.conf", CONFINE_READ },
		{ "/etc/nsswitch.conf", CONFINE_READ },
		{ "/etc/localtime", CONFINE_READ },
		{ "/run/systemd/resolve", CONFINE_READ },
		{ "/usr/lib", CONFINE_READ },
		{ "/usr/share", CONFINE_READ },
		{ ca_file ? ca_file : "/etc/ssl", CONFINE_READ },
	};
	unsigned held;

	return confine(CONFINE_FETCH, paths, sizeof(paths) / sizeof(paths[0]), &held);
}

/* Only what lies under the issuer: a server in a stranger's hands must not look around with us. */
static bool is_ours(const struct fetch_request *r, const char *issuer)
{
	struct str prefix = str_z(issuer);

	return r->url.n > prefix.n && str_starts(r->url, prefix) && r->url.p[prefix.n] == '/';
}

int fetch_child_run(int fd, const char *ca_file, const char *issuer)
{
	AUTO(http_client, client) = NULL;
	char frame[FETCH_REQUEST_FRAME_MAX];
	const char *no_client = "no memory";
	struct fetch_request r;
	size_t n;

	set_signals();
	if (http_client_new(&client, &no_client))
		client = NULL;
	/* the library is loaded, and nobody's bytes have been read yet */
	if (shut_in(ca_file) || !signer_frame_recv(fd, frame, sizeof(frame), 0, &n) ||
	    !fetch_request_parse(str_n(frame, n), &r) || (issuer && !is_ours(&r, issuer)))
		return STATUS_FAULT;
	return answer_request(fd, client, no_client, &r, ca_file) ? STATUS_FAULT : 0;
}
