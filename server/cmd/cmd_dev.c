/* `chancery dev`: a server for an afternoon. A temporary data directory, plain HTTP on loopback,
 * and something to try: an api, a client and a user, with random secrets. It is the real server,
 * set up by the real init and seeded through the real admin API; only its memory is short. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jose/b64.h"
#include "oauth/uri.h"
#include "server/cmd/cmd_admin.h"
#include "server/cmd/cmd_init.h"
#include "server/cmd/cmd_out.h"
#include "server/cmd/cmd_setup.h"
#include "server/serve/serve.h"

enum { DEV_TEXT_MAX = 4096, DEV_SETS = 4, DEV_PASSWORD_BYTES = 15, DEV_READY_MS = 20000 };

#define DEV_ADDRESS "127.0.0.1:8080"
#define DEV_API "https://api.example.test"
#define DEV_CLIENT "demo"
#define DEV_USER "alice"
#define DEV_SCOPE "read write"

struct dev {
	struct cmd *c;
	char dir[DEV_TEXT_MAX]; /* "" until it was made */
	struct str issuer;
	struct str client_secret;
	char password[B64URL_LEN(DEV_PASSWORD_BYTES) + 1];
	pid_t server; /* 0: not started */
	int ready, signals;
};

static int nothing_else(struct cmd *c)
{
	static const char *const names[] = { "data", "config" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (cmd_has(c, names[i]))
			return cmd_usage(c,
					 "dev makes its own data directory and takes no --%s; "
					 "`chancery init` makes one that stays",
					 names[i]);
	}
	return CMD_OK;
}

/* ---- the address ---- */

static const char *host_of(struct cmd *c, struct str address, struct str *ret_host)
{
	struct uri uri = { .host = STR_NONE };
	struct buf b;
	struct str text;

	buf_init(&b, c->arena, DEV_TEXT_MAX);
	buf_fmt(&b, "http://%.*s", STR_ARG(address));
	if (buf_end(&b, &text) || uri_parse(text, &uri) || !uri.port.n || uri.path.n)
		return "must be an address and a port, like " DEV_ADDRESS " or [::1]:0";
	if (!uri_host_is_loopback(uri.host) || str_equal_z(uri.host, "localhost"))
		return "must be a loopback address, like 127.0.0.1: everything here is unprotected";
	*ret_host = uri.host;
	return NULL;
}

/* A free port of that host, for ":0": the issuer must name it before anything listens. Between here
 * and the server's own bind somebody else may take it; then the start fails and says so. */
static int64_t free_port(const char *host)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	bool is_v6 = strchr(host, ':');
	struct sockaddr *address = is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
	socklen_t size = is_v6 ? sizeof(v6) : sizeof(v4);
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t port = -1;

	if (inet_pton(address->sa_family, host,
		      is_v6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr) == 1 &&
	    fd >= 0 && bind(fd, address, size) == 0 && getsockname(fd, address, &size) == 0)
		port = ntohs(is_v6 ? v6.sin6_port : v4.sin_port);
	if (fd >= 0)
		close(fd);
	return port;
}

/* The address with a real port, in the arena. */
static int find_address(struct cmd *c, struct str *ret_address)
{
	const char *given = cmd_get(c, "address");
	struct str address = str_z(given ? given : DEV_ADDRESS), host = STR_NONE;
	const char *why = host_of(c, address, &host);
	struct buf b;
	int64_t port;

	if (why)
		return cmd_usage(c, "--address %s: %s", given, why);
	if (!str_ends(address, STR(":0"))) {
		*ret_address = address;
		return CMD_OK;
	}
	port = free_port(arena_z(c->arena, host));
	if (port < 0)
		return cmd_fail(c, CMD_REFUSED, "%.*s: no free port: %s", STR_ARG(host),
				strerror(errno));
	buf_init(&b, c->arena, DEV_TEXT_MAX);
	buf_str(&b, str_n(address.p, address.n - 1));
	buf_i64(&b, port);
	return buf_end(&b, ret_address) ? cmd_nomem(c) : CMD_OK;
}

/* ---- the directory ---- */

static const char *temporary_root(const struct cmd *c)
{
	const char *root = cmd_env(c, "TMPDIR");

	return root && root[0] == '/' ? root : "/tmp";
}

/* Our settings first, so that the user's own --set win. */
static int settings(struct dev *d, struct str address)
{
	struct cmd *c = d->c;
	const char *own[DEV_SETS];
	struct buf b[2];
	struct str text[2];
	size_t n = c->source.set_count;

	buf_init(&b[0], c->arena, DEV_TEXT_MAX);
	buf_init(&b[1], c->arena, DEV_TEXT_MAX);
	buf_fmt(&b[0], "issuer=http://%.*s", STR_ARG(address));
	buf_fmt(&b[1], "server.address=%.*s", STR_ARG(address));
	if (buf_end(&b[0], &text[0]) || buf_end(&b[1], &text[1]))
		return cmd_nomem(c);
	own[0] = text[0].p;
	own[1] = text[1].p;
	own[2] = "admin.address=off";
	own[3] = "log.format=logfmt";
	if (n + DEV_SETS > CMD_GIVEN_MAX)
		return cmd_usage(c, "too many --set");
	memmove(c->sets + DEV_SETS, c->sets, n * sizeof(c->sets[0]));
	memcpy(c->sets, own, sizeof(own));
	c->source.set_count = n + DEV_SETS;
	c->source.data_dir = d->dir;
	d->issuer = str_n(text[0].p + strlen("issuer="), text[0].n - strlen("issuer="));
	return CMD_OK;
}

static int make_installation(struct dev *d, const struct config **ret_config)
{
	struct cmd *c = d->c;
	struct config_fault fault;
	struct str address;
	int status = find_address(c, &address);

	if (status)
		return status;
	snprintf(d->dir, sizeof(d->dir), "%s/chancery-dev-XXXXXX", temporary_root(c));
	if (!mkdtemp(d->dir)) {
		status = cmd_fail(c, CMD_REFUSED, "%s: %s", d->dir, strerror(errno));
		d->dir[0] = 0;
		return status;
	}
	status = settings(d, address);
	if (!status)
		status = cmd_config(c, ret_config);
	if (!status && config_check_serve(*ret_config, &fault))
		status = cmd_fail(c, CMD_REFUSED, "%s", fault.text);
	return status ? status : setup_make(c, *ret_config);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	(void)remove(path);
	return 0;
}

static void remove_directory(const struct dev *d)
{
	if (d->dir[0])
		nftw(d->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- the server ---- */

static int catch_signals(struct dev *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	d->signals = signalfd(-1, &set, SFD_CLOEXEC);
	return d->signals < 0 ? cmd_fail(d->c, CMD_REFUSED, "signals: %s", strerror(errno))
			      : CMD_OK;
}

static void serve_in_child(struct dev *d, int ready)
{
	struct serve_options options = { .source = d->c->source,
					 .migrate = true,
					 .ready_fd = ready };
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	close(d->signals);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	_exit(serve_run(&options));
}

static int start_server(struct dev *d)
{
	int ready[2];

	if (pipe2(ready, O_CLOEXEC) < 0)
		return cmd_fail(d->c, CMD_REFUSED, "pipe: %s", strerror(errno));
	d->ready = ready[0];
	fflush(stdout);
	d->server = fork();
	if (d->server == 0)
		serve_in_child(d, ready[1]);
	close(ready[1]);
	if (d->server > 0)
		return CMD_OK;
	d->server = 0;
	return cmd_fail(d->c, CMD_REFUSED, "fork: %s", strerror(errno));
}

/* Reads one signal. True when it means the end: somebody wants it, or the server is gone. (A child
 * that was only the signer of our init also says SIGCHLD.) */
static bool signal_ends(struct dev *d)
{
	struct signalfd_siginfo info;

	if (read(d->signals, &info, sizeof(info)) != sizeof(info))
		return true;
	if (info.ssi_signo != SIGCHLD)
		return true;
	if (waitpid(d->server, NULL, WNOHANG) != d->server)
		return false;
	d->server = 0;
	return true;
}

/* The server says READY, or it ends, or somebody wants us to end. */
static int wait_ready(struct dev *d)
{
	struct pollfd fds[] = {
		{ .fd = d->ready, .events = POLLIN },
		{ .fd = d->signals, .events = POLLIN },
	};
	char line[6] = "";

	while (poll(fds, 2, DEV_READY_MS) > 0) {
		if (fds[0].revents)
			break;
		if (signal_ends(d))
			return cmd_fail(d->c, CMD_REFUSED, "ended before the server was ready");
	}
	if (fds[0].revents && read(d->ready, line, sizeof(line)) == sizeof(line) &&
	    memcmp(line, "READY ", sizeof(line)) == 0)
		return CMD_OK;
	return cmd_fail(d->c, CMD_REFUSED, "the server did not start");
}

/* Until the server ends, or a signal says that it shall. */
static void wait_end(struct dev *d)
{
	while (!signal_ends(d))
		;
}

static void stop_server(struct dev *d)
{
	if (d->server <= 0)
		return;
	kill(d->server, SIGTERM);
	while (waitpid(d->server, NULL, 0) < 0 && errno == EINTR)
		;
	d->server = 0;
}

/* ---- something to try ---- */

static int post(struct remote *r, const char *path, struct buf *body, struct reply *ret_reply)
{
	struct admin_call call = { .method = "POST", .path = str_z(path) };

	*ret_reply = (struct reply){ .body = NULL };
	if (buf_end(body, &call.body))
		return cmd_nomem(r->c);
	return admin_send(r, &call, ret_reply);
}

static int seed_api(struct remote *r)
{
	struct reply reply;
	struct buf b;
	int status;

	buf_init(&b, r->c->arena, DEV_TEXT_MAX);
	buf_z(&b,
	      "{\"uri\":\"" DEV_API "\",\"slug\":\"demo-api\",\"scopes\":[\"read\",\"write\"]}");
	status = post(r, "/apis", &b, &reply);
	reply_done(&reply);
	return status;
}

static int seed_client(struct dev *d, struct remote *r)
{
	struct str secret = STR_NONE;
	struct reply reply;
	struct buf b;
	int status;

	buf_init(&b, r->c->arena, DEV_TEXT_MAX);
	buf_z(&b, "{\"client_id\":\"" DEV_CLIENT "\",\"grant_types\":[\"client_credentials\","
		  "\"password\",\"refresh_token\"],\"scope\":\"" DEV_SCOPE
		  "\",\"audiences\":[\"" DEV_API "\"],\"introspect\":[\"" DEV_API "\"]}");
	status = post(r, "/clients", &b, &reply);
	if (!status && !json_str(json_get(reply.body, "client_secret"), &secret))
		status = cmd_fail(r->c, CMD_REFUSED, "the client got no secret");
	if (!status)
		d->client_secret = arena_str(r->c->arena, secret);
	reply_done(&reply);
	return status;
}

static int seed_user(struct dev *d, struct remote *r)
{
	unsigned char raw[DEV_PASSWORD_BYTES];
	struct reply reply;
	struct buf b;
	int status;

	if (r->c->env->random(r->c->env, raw, sizeof(raw)))
		return cmd_fail(r->c, CMD_REFUSED, "the kernel gives no randomness");
	b64url_encode_z(raw, sizeof(raw), d->password);
	buf_init(&b, r->c->arena, DEV_TEXT_MAX);
	buf_fmt(&b, "{\"name\":\"" DEV_USER "\",\"password\":\"%s\"}", d->password);
	status = post(r, "/users", &b, &reply);
	reply_done(&reply);
	return status;
}

static int seed(struct dev *d)
{
	struct remote r;
	int status = remote_open_admin(d->c, &r);

	if (!status)
		status = seed_api(&r);
	if (!status)
		status = seed_client(d, &r);
	if (!status)
		status = seed_user(d, &r);
	remote_done(&r);
	return status;
}

/* ---- what is printed ---- */

/* Things to try, as rows: a name for programs, a purpose for people, and the command line. */
static void curl_line(const struct dev *d, size_t i, struct buf *out)
{
	const char *issuer = d->issuer.p, *secret = d->client_secret.p;

	switch (i) {
	case 0:
		buf_fmt(out,
			"curl -s -u " DEV_CLIENT ":%s -d grant_type=client_credentials "
			"%s/oauth2/token",
			secret, issuer);
		break;
	case 1:
		buf_fmt(out,
			"curl -s -u " DEV_CLIENT ":%s -d grant_type=password -d username=" DEV_USER
			" -d password=%s %s/oauth2/token",
			secret, d->password, issuer);
		break;
	case 2:
		buf_fmt(out, "curl -s -u " DEV_CLIENT ":%s -d token=TOKEN %s/oauth2/introspect",
			secret, issuer);
		break;
	default:
		buf_fmt(out, "chancery token verify --issuer %s --audience " DEV_API " TOKEN",
			issuer);
		break;
	}
}

static const struct {
	const char *name, *purpose;
} tries[] = {
	{ "client_credentials", "a token for the client itself" },
	{ "password", "a token for the user, and a refresh token" },
	{ "introspect", "what the server says about a token" },
	{ "verify", "what everybody can see in it" },
};
enum { TRY_COUNT = sizeof(tries) / sizeof(tries[0]) };

static void write_members(const struct dev *d, const struct config *config, struct jsonw *w)
{
	jsonw_member(w, "issuer", d->issuer);
	jsonw_member_z(w, "audience", DEV_API);
	jsonw_member_z(w, "scope", DEV_SCOPE);
	jsonw_member_z(w, "client_id", DEV_CLIENT);
	jsonw_member(w, "client_secret", d->client_secret);
	jsonw_member_z(w, "username", DEV_USER);
	jsonw_member_z(w, "password", d->password);
	jsonw_member_z(w, "data", d->dir);
	jsonw_member(w, "socket", config->admin.socket);
}

static int print_machine(struct dev *d, const struct config *config)
{
	static const struct out_view view = { .id = "issuer" };
	struct jsonw w;
	struct buf b;

	buf_init(&b, d->c->arena, DEV_TEXT_MAX * 4);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	write_members(d, config, &w);
	jsonw_key(&w, "try");
	jsonw_object(&w);
	for (size_t i = 0; i < TRY_COUNT; i++) {
		struct buf line;
		struct str text;

		buf_init(&line, d->c->arena, DEV_TEXT_MAX);
		curl_line(d, i, &line);
		if (buf_end(&line, &text))
			return cmd_nomem(d->c);
		jsonw_member(&w, tries[i].name, text);
	}
	jsonw_end_object(&w);
	jsonw_end_object(&w);
	return out_text(d->c, &view, &b);
}

static int print_table(struct dev *d, const struct config *config)
{
	static const struct out_view view = { .id = "issuer" };
	struct jsonw w;
	struct buf b;
	struct str text;
	int status;

	buf_init(&b, d->c->arena, DEV_TEXT_MAX * 4);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	write_members(d, config, &w);
	jsonw_end_object(&w);
	status = out_text(d->c, &view, &b);
	if (status)
		return status;
	buf_clear(&b);
	for (size_t i = 0; i < TRY_COUNT; i++) {
		buf_fmt(&b, "\n# %s\n", tries[i].purpose);
		curl_line(d, i, &b);
		buf_byte(&b, '\n');
	}
	if (buf_end(&b, &text))
		return cmd_nomem(d->c);
	fwrite(text.p, text.n, 1, stdout);
	return CMD_OK;
}

static int print_all(struct dev *d, const struct config *config)
{
	bool people = d->c->format == FORMAT_TABLE && !cmd_has(d->c, "field");
	int status = people ? print_table(d, config) : print_machine(d, config);

	if (fflush(stdout) != 0 && !status)
		status = cmd_fail(d->c, CMD_REFUSED, "cannot write to standard output");
	if (!status)
		cmd_note(d->c,
			 "For development only: plain HTTP, and everything is gone when this ends "
			 "(Ctrl-C). Administer it with: chancery --data %s ...",
			 d->dir);
	return status;
}

static int run(struct dev *d)
{
	const struct config *config;
	int status = catch_signals(d); /* from now on nothing leaves without cleaning up */

	if (!status)
		status = make_installation(d, &config);
	if (!status)
		status = start_server(d);
	if (!status)
		status = wait_ready(d);
	if (!status)
		status = seed(d);
	if (!status)
		status = print_all(d, config);
	if (!status)
		wait_end(d);
	if (!status && !d->server)
		return cmd_fail(d->c, CMD_REFUSED, "the server ended");
	return status;
}

int cmd_dev_run(struct cmd *c)
{
	struct dev d = { .c = c, .ready = -1, .signals = -1 };
	int status = nothing_else(c);

	if (!status)
		status = run(&d);
	stop_server(&d);
	remove_directory(&d);
	if (d.ready >= 0)
		close(d.ready);
	if (d.signals >= 0)
		close(d.signals);
	return status;
}
