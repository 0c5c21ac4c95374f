/* `chancery gateway`: /gateway/verify beside a gateway, far from the server. Its options become
 * options of the configuration, so that addresses and TLS have one set of rules. */
#include <errno.h>

#include "oauth/uri.h"
#include "server/cmd/cmd_gateway.h"
#include "server/serve/sidecar_run.h"

enum {
	STALENESS_DEFAULT = 30,
	STALENESS_MIN = 10,
	STALENESS_MAX = 86400,
	SETS = 6,
	TEXT_MAX = 4096
};

/* Where a server lives beside us its file is not ours to read. */
static int no_file(void *arg, const char *path)
{
	(void)arg;
	(void)path;
	errno = ENOENT;
	return -1;
}

static const char *setting(struct cmd *c, const char *name, const char *value)
{
	struct buf b;
	struct str text;

	buf_init(&b, c->arena, TEXT_MAX);
	buf_fmt(&b, "%s=%s", name, value);
	return buf_end(&b, &text) ? NULL : text.p;
}

/* Ours last: --issuer and --listen say it more plainly than --set. */
static int settings(struct cmd *c)
{
	const char *listen = cmd_get(c, "listen");
	const char *own[SETS] = {
		setting(c, "issuer", cmd_get(c, "issuer")),
		setting(c, listen[0] == '/' ? "gateway.socket" : "gateway.address", listen),
		"server.address=127.0.0.1:0",
		"admin.address=off",
		"admin.socket=off",
		"gateway.identity=off",
	};

	if (c->source.set_count + SETS > CMD_GIVEN_MAX)
		return cmd_usage(c, "too many --set");
	if (!own[0] || !own[1])
		return cmd_usage(c, "--issuer or --listen is too long");
	memcpy(c->sets + c->source.set_count, own, sizeof(own));
	c->source.set_count += SETS;
	if (!c->source.file)
		c->source.open_file = no_file;
	return CMD_OK;
}

/* "orders=https://orders.example.com": what stands before the first '=' is a slug, for no URI has a
 * '=' before its ':'. */
static int read_audience(struct cmd *c, const char *text, struct sidecar_audience *ret_audience)
{
	struct sidecar_audience a = { .uri = text };
	const char *equals = strchr(text, '=');
	const char *colon = strchr(text, ':');

	if (equals && (!colon || equals < colon)) {
		a.slug = arena_z(c->arena, str_n(text, (size_t)(equals - text)));
		a.uri = equals + 1;
		if (!a.slug)
			return cmd_nomem(c);
	}
	if (!uri_is_resource(str_z(a.uri)) || (a.slug && !a.slug[0]))
		return cmd_usage(c, "--audience %s: not a URI, or NAME=URI", text);
	*ret_audience = a;
	return CMD_OK;
}

static int read_audiences(struct cmd *c, struct sidecar_audience list[SIDECAR_AUDIENCES_MAX],
			  size_t *ret_count)
{
	const char *text;
	size_t n = 0;

	for (; (text = cmd_nth(c, "audience", n)); n++) {
		int status;

		if (n == SIDECAR_AUDIENCES_MAX)
			return cmd_usage(c, "more than %d --audience", SIDECAR_AUDIENCES_MAX);
		status = read_audience(c, text, &list[n]);
		if (status)
			return status;
	}
	*ret_count = n;
	return n ? CMD_OK
		 : cmd_usage(c, "--audience URI is missing: what is the gateway to ask about?");
}

static int read_staleness(struct cmd *c, int *ret_seconds)
{
	const char *text = cmd_get(c, "max-staleness");
	int64_t seconds = STALENESS_DEFAULT;

	if (text && (duration_parse(str_z(text), &seconds) || seconds < STALENESS_MIN ||
		     seconds > STALENESS_MAX))
		return cmd_usage(c, "--max-staleness %s: not a duration from 10s to 24h", text);
	*ret_seconds = (int)seconds;
	return CMD_OK;
}

static int load(struct cmd *c, const struct config **ret_config)
{
	struct config_fault fault = { .text = "" };
	int status = settings(c);

	if (!status)
		status = cmd_config(c, ret_config);
	if (!status && config_check_serve(*ret_config, &fault))
		status = cmd_fail(c, CMD_REFUSED, "%s", fault.text);
	return status;
}

int cmd_sidecar_run(struct cmd *c)
{
	struct sidecar_audience audiences[SIDECAR_AUDIENCES_MAX];
	struct sidecar_run r = {
		.env = c->env,
		.audiences = audiences,
		.feed = cmd_get(c, "feed"),
		.ca_file = cmd_env(c, "SSL_CERT_FILE"),
	};
	const struct config *config;
	int status;

	if (!cmd_get(c, "issuer") || !cmd_get(c, "listen"))
		return cmd_usage(c, "--issuer URL and --listen ADDRESS:PORT or PATH are needed");
	status = read_audiences(c, audiences, &r.audience_count);
	if (!status)
		status = read_staleness(c, &r.max_staleness);
	if (!status)
		status = load(c, &config);
	if (status)
		return status;
	r.config = c->config;
	if (!r.feed)
		r.feed = ""; /* the issuer's */
	else if (!strcmp(r.feed, "off"))
		r.feed = NULL;
	return sidecar_run(&r);
}
