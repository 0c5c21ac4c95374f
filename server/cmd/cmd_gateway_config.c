/* `chancery gateway-config`: fills a recipe of config/gateways/.
 *
 * Each gateway has its own rules of quoting, and one mistake in them is a hole in a configuration
 * that guards something. So nothing is quoted: what goes in consists of characters that mean
 * nothing to any of them, or it is refused. */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "oauth/form.h"
#include "oauth/uri.h"
#include "server/cmd/cmd_gateway.h"
#include "server/cmd/gateway_templates.h"
#include "server/cmd/template.h"

enum {
	CONFIG_TEXT_MAX = 1 << 20,
	VALUES_MAX = 32,
	COOLDOWN = 30,		 /* seconds between fetches that a stranger's kid can cause */
	OPENIDC_AGE_LEAST = 300, /* mod_auth_openidc takes no less */
};

#define SYSTEM_AUTHORITIES "/etc/ssl/certs/ca-certificates.crt"

/* What a kind needs to know beside issuer, audience and addresses. */
enum { NEEDS_GATEWAY = 1, NEEDS_KEYS = 2, NEEDS_MAX_AGE = 4, NEEDS_HTTPS = 8 };

struct kind {
	const char *name, *module; /* module NULL: it has none */
	const char *file;	   /* of config/gateways/ */
	unsigned needs;
};

/* Of two modules the first is the default. */
static const struct kind kinds[] = {
	{ "nginx", NULL, "nginx.conf", NEEDS_GATEWAY },
	{ "haproxy", NULL, "haproxy.cfg", NEEDS_KEYS },
	{ "apache", "oauth2", "apache-oauth2.conf", NEEDS_MAX_AGE },
	{ "apache", "openidc", "apache-openidc.conf", NEEDS_MAX_AGE | NEEDS_HTTPS },
	{ "caddy", NULL, "caddy.Caddyfile", NEEDS_GATEWAY },
	{ "envoy", NULL, "envoy.yaml", NEEDS_MAX_AGE },
	{ "traefik", NULL, "traefik.yaml", NEEDS_GATEWAY },
	{ "kong", NULL, "kong.yaml", NEEDS_GATEWAY },
	{ "istio", NULL, "istio.yaml", NEEDS_MAX_AGE },
};
enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]) };

/* Headers that tell the api who asks. */
static const char *const identity_headers[] = { "X-User-Id",   "X-User-Role", "X-Scope",
						"X-Client-Id", "X-Token-Id",  "X-Identity" };
enum {
	IDENTITY_COUNT = sizeof(identity_headers) / sizeof(identity_headers[0]),
	SPOOFS_MAX = IDENTITY_COUNT * 4,
	POSITIONS_MAX = ROLES_MAX > AUDIENCES_MAX ? ROLES_MAX : AUDIENCES_MAX,
};

struct endpoint {
	struct str text, host, port;
};

/* What goes into a template. */
struct filling {
	struct cmd *c;
	const struct kind *kind;
	struct str issuer;
	struct template_value values[VALUES_MAX];
	size_t count;
	struct template_value names[IDENTITY_COUNT], spoofs[SPOOFS_MAX];
	struct template_scope name_items[IDENTITY_COUNT], spoof_items[SPOOFS_MAX];
	size_t spoof_count;
	struct template_value positions[POSITIONS_MAX];
	struct template_scope position_items[POSITIONS_MAX];
	struct template_value keys[GATEWAY_FOLDER_MAX][3];
	struct template_scope key_items[GATEWAY_FOLDER_MAX];
	size_t key_count;
};

/* ---- what may stand in a configuration ---- */

/* Letters, digits and these have no meaning for any of the gateways, nor in double quotes of YAML.
 */
static bool is_harmless(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
	       (ch && strchr("-._~:/@+=,", ch));
}

static int check_text(struct cmd *c, const char *what, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (is_harmless(text.p[i]))
			continue;
		if (text.p[i] > ' ' && text.p[i] <= '~')
			return cmd_fail(c, CMD_REFUSED,
					"%s: '%c' may mean something in a configuration, and is "
					"refused",
					what, text.p[i]);
		return cmd_fail(
			c, CMD_REFUSED,
			"%s: a space, a control or a character beyond ASCII is refused in a "
			"configuration",
			what);
	}
	return text.n ? CMD_OK : cmd_fail(c, CMD_REFUSED, "%s: is empty", what);
}

static void put(struct filling *f, const char *name, struct str text)
{
	assert(f->count < VALUES_MAX);
	f->values[f->count++] = (struct template_value){ name, text };
}

static struct str flag(bool on)
{
	return on ? STR("yes") : STR("");
}

static int put_number(struct filling *f, const char *name, int64_t n)
{
	struct buf b;
	struct str text;

	buf_init(&b, f->c->arena, 32);
	buf_i64(&b, n);
	if (buf_end(&b, &text))
		return cmd_nomem(f->c);
	put(f, name, text);
	return CMD_OK;
}

/* ---- addresses ---- */

static int bad_address(struct cmd *c, const char *what, const char *text)
{
	return cmd_fail(c, CMD_REFUSED, "--%s %s: must be HOST:PORT or [IPV6]:PORT", what, text);
}

/* HOST:PORT; brackets stay in `text` and are not in `host`. */
static int read_endpoint(struct cmd *c, const char *what, const char *text,
			 struct endpoint *ret_endpoint)
{
	struct endpoint e = { .text = str_z(text) };
	const char *colon = strrchr(text, ':');
	int64_t port;

	if (!colon || colon == text)
		return bad_address(c, what, text);
	e.host = str_n(text, (size_t)(colon - text));
	e.port = str_z(colon + 1);
	if (e.host.p[0] == '[' && str_ends(e.host, STR("]")))
		e.host = str_n(e.host.p + 1, e.host.n - 2);
	else if (memchr(e.host.p, ':', e.host.n))
		return bad_address(c, what, text);
	for (size_t i = 0; i < e.host.n; i++) {
		if (!is_harmless(e.host.p[i]) || strchr("/@+=,~", e.host.p[i]))
			return bad_address(c, what, text);
	}
	if (!e.host.n || str_to_i64(e.port, 1, 65535, &port))
		return bad_address(c, what, text);
	*ret_endpoint = e;
	return CMD_OK;
}

/* Options whose value is an endpoint, and the names of its whole, its host and its port. */
static const struct place {
	const char *option, *otherwise, *names[3];
} places[] = {
	{ "listen", "127.0.0.1:8000", { "listen", "listen_host", "listen_port" } },
	{ "upstream", "127.0.0.1:3000", { "upstream", "upstream_host", "upstream_port" } },
};

static int put_place(struct filling *f, const struct place *p)
{
	const char *given = cmd_get(f->c, p->option);
	struct endpoint e;
	int status = read_endpoint(f->c, p->option, given ? given : p->otherwise, &e);

	if (status)
		return status;
	put(f, p->names[0], e.text);
	put(f, p->names[1], e.host);
	put(f, p->names[2], e.port);
	return CMD_OK;
}

/* A certificate names an address otherwise than a host (RFC 5280 4.2.1.6). */
static bool is_address(struct str host)
{
	return memchr(host.p, ':', host.n) || strspn(host.p, "0123456789.") >= host.n;
}

/* Of the server whose configuration this is. */
static int our_listener(struct filling *f, struct str *ret_text)
{
	const struct config *config;
	struct buf b;
	int status = cmd_config(f->c, &config);

	if (status)
		return status;
	if (str_equal_z(config->gateway.address, "off"))
		return cmd_usage(f->c,
				 "%s asks the server's gateway listener, which is off "
				 "(gateway.address): --gateway ADDR",
				 f->kind->name);
	buf_init(&b, f->c->arena, URI_MAX);
	buf_fmt(&b, "%s%.*s", config->gateway.tls.certificate.n ? "https://" : "",
		STR_ARG(config->gateway.address));
	return buf_end(&b, ret_text) ? cmd_nomem(f->c) : CMD_OK;
}

static int find_listener(struct filling *f, struct str *ret_text)
{
	const char *given = cmd_get(f->c, "gateway");

	if (!given && !cmd_has(f->c, "issuer"))
		return our_listener(f, ret_text);
	if (!given)
		return cmd_usage(f->c, "%s asks the server's gateway listener: --gateway ADDR",
				 f->kind->name);
	*ret_text = str_z(given);
	return CMD_OK;
}

static int put_gateway(struct filling *f)
{
	struct str text = STR_NONE;
	struct endpoint e;
	bool tls;
	int status = find_listener(f, &text);

	if (status)
		return status;
	tls = str_starts(text, STR("https://"));
	if (tls || str_starts(text, STR("http://")))
		text = str_z(strchr(text.p, '/') + 2);
	status = read_endpoint(f->c, "gateway", text.p, &e);
	if (status)
		return status;
	if (!tls && !uri_host_is_loopback(e.host))
		cmd_note(f->c, "warning: tokens would travel to %s in the clear; use https://",
			 e.text.p);
	if (tls && is_address(e.host) && strcmp(f->kind->name, "nginx") == 0)
		cmd_note(f->c, "warning: nginx finds no address in a certificate, only names; give "
			       "the listener by its name");
	put(f, "gateway", e.text);
	put(f, "gateway_host", e.host);
	put(f, "gateway_scheme", tls ? STR("https") : STR("http"));
	put(f, "gateway_tls", flag(tls));
	return CMD_OK;
}

/* ---- issuer and audience ---- */

static int find_issuer(struct filling *f)
{
	const char *given = cmd_get(f->c, "issuer");
	const struct config *config;
	int status;

	if (given)
		return gateway_issuer(f->c, given, &f->issuer);
	status = cmd_config(f->c, &config);
	if (status)
		return status;
	if (!config->issuer.n)
		return cmd_usage(f->c, "the configuration names no issuer: --issuer URL");
	f->issuer = config->issuer;
	return CMD_OK;
}

static int put_issuer(struct filling *f)
{
	struct buf b;
	struct str jwks;
	struct uri uri;
	bool tls;
	int status = find_issuer(f);

	if (!status)
		status = check_text(f->c, "the issuer", f->issuer);
	if (status)
		return status;
	buf_init(&b, f->c->arena, URI_MAX + 64);
	buf_fmt(&b, "%.*s/.well-known/jwks.json", STR_ARG(f->issuer));
	if (buf_end(&b, &jwks) || uri_parse(f->issuer, &uri))
		return cmd_nomem(f->c);
	tls = str_equal_z(uri.scheme, "https");
	if (!tls && f->kind->needs & NEEDS_HTTPS)
		return cmd_fail(f->c, CMD_REFUSED, "mod_auth_openidc takes an https issuer only");
	put(f, "issuer", f->issuer);
	put(f, "jwks_uri", jwks);
	put(f, "issuer_host", uri.host);
	put(f, "issuer_port", uri.port.n ? uri.port : tls ? STR("443") : STR("80"));
	put(f, "issuer_tls", flag(tls));
	put(f, "issuer_san", is_address(uri.host) ? STR("IP_ADDRESS") : STR("DNS"));
	return CMD_OK;
}

static int put_audience(struct filling *f)
{
	const char *given = cmd_get(f->c, "audience");
	struct buf b;
	struct str encoded;
	int status;

	if (!given)
		return cmd_usage(f->c, "which api is behind the gateway? --audience URI");
	if (!uri_is_resource(str_z(given)))
		return cmd_fail(f->c, CMD_REFUSED,
				"--audience %s: must be an absolute URI without fragment", given);
	status = check_text(f->c, "--audience", str_z(given));
	if (status)
		return status;
	buf_init(&b, f->c->arena, 3 * URI_MAX);
	form_encode(&b, str_z(given));
	if (buf_end(&b, &encoded))
		return cmd_nomem(f->c);
	put(f, "audience", str_z(given));
	put(f, "audience_form", encoded);
	return CMD_OK;
}

/* ---- the key set ---- */

static int fetch_max_age(struct filling *f, int64_t *ret_seconds)
{
	struct gateway_set set = { .keys = NULL };
	struct remote r;
	int status = remote_open_public(f->c, f->issuer, &r);

	if (!status)
		status = gateway_fetch(&r, f->c->arena, f->issuer, &set);
	remote_done(&r);
	jwks_free(set.keys);
	if (status)
		return cmd_fail(f->c, status,
				"how long is the key set good? Say it with --max-age");
	*ret_seconds = set.max_age;
	return CMD_OK;
}

static int find_max_age(struct filling *f, int64_t *ret_seconds)
{
	const char *given = cmd_get(f->c, "max-age");
	const struct config *config;
	int status;

	if (given && (duration_parse(str_z(given), ret_seconds) || *ret_seconds < 1))
		return cmd_usage(f->c, "--max-age %s: must be a duration like 15m", given);
	if (given)
		return CMD_OK;
	if (cmd_has(f->c, "issuer"))
		return fetch_max_age(f, ret_seconds);
	status = cmd_config(f->c, &config);
	if (!status)
		*ret_seconds = config->keys.jwks_max_age;
	return status;
}

static int put_max_age(struct filling *f)
{
	int64_t seconds = 0;
	int status = find_max_age(f, &seconds);

	if (!status && seconds < OPENIDC_AGE_LEAST &&
	    str_equal_z(STR("apache-openidc.conf"), f->kind->file))
		cmd_note(f->c,
			 "note: mod_auth_openidc keeps a key set for %d s at least, longer than it "
			 "is "
			 "good; it fetches at once when a token names a key that it does not know",
			 OPENIDC_AGE_LEAST);
	if (!status)
		status = put_number(f, "max_age", seconds);
	if (!status)
		status = put_number(f, "max_age_300",
				    seconds < OPENIDC_AGE_LEAST ? OPENIDC_AGE_LEAST : seconds);
	return status ? status : put_number(f, "cooldown", COOLDOWN);
}

static int put_authorities(struct filling *f)
{
	const char *ca = cmd_get(f->c, "ca");

	put(f, "ca", ca ? str_z(ca) : STR(SYSTEM_AUTHORITIES));
	return ca ? check_text(f->c, "--ca", str_z(ca)) : CMD_OK;
}

static int fill_key(struct filling *f, const struct gateway_key *key, size_t i)
{
	int status = check_text(f->c, "the id of a key", key->kid);

	f->keys[i][0] = (struct template_value){ "kid", key->kid };
	f->keys[i][1] = (struct template_value){ "alg", str_z(alg_name(key->alg)) };
	f->keys[i][2] = (struct template_value){ "file", key->path };
	f->key_items[i] = (struct template_scope){ .values = f->keys[i], .value_count = 3 };
	return status;
}

/* Absolute: the gateway starts in another place. */
static int put_keys(struct filling *f)
{
	const char *given = cmd_get(f->c, "keys");
	struct gateway_key keys[GATEWAY_FOLDER_MAX];
	char folder[PATH_MAX];
	int status;

	if (!given)
		return cmd_usage(f->c,
				 "%s reads keys from files: --keys DIR, which gateway-keys keeps",
				 f->kind->name);
	if (!realpath(given, folder))
		return cmd_fail(f->c, CMD_REFUSED, "--keys %s: there is no such folder", given);
	status = gateway_folder_read(f->c, arena_str(f->c->arena, str_z(folder)), keys,
				     &f->key_count);
	if (!status && f->key_count == 0)
		status = cmd_fail(f->c, CMD_REFUSED,
				  "--keys %s: no key is there; run `chancery gateway-keys --once`",
				  given);
	for (size_t i = 0; i < f->key_count && !status; i++)
		status = fill_key(f, &keys[i], i);
	put(f, "keys_dir", arena_str(f->c->arena, str_z(folder)));
	return status ? status : check_text(f->c, "--keys", str_z(folder));
}

/* ---- lists ---- */

/* Every way to write underscores for hyphens, but the one without any. */
static void fill_spoofs(struct filling *f, const char *header)
{
	size_t hyphens = 0;

	for (const char *p = header; *p; p++)
		hyphens += *p == '-';
	for (unsigned which = 1; which < 1U << hyphens; which++) {
		char *name = arena_alloc(f->c->arena, strlen(header) + 1);
		unsigned bit = 1;

		if (!name)
			return;
		for (size_t i = 0; header[i]; i++) {
			name[i] = header[i] == '-' && (which & bit) ? '_' : header[i];
			bit <<= header[i] == '-';
		}
		assert(f->spoof_count < SPOOFS_MAX);
		f->spoofs[f->spoof_count] = (struct template_value){ "name", str_z(name) };
		f->spoof_items[f->spoof_count] = (struct template_scope){
			.values = &f->spoofs[f->spoof_count], .value_count = 1
		};
		f->spoof_count++;
	}
}

static void fill_positions(struct filling *f)
{
	for (int i = 0; i < POSITIONS_MAX; i++) {
		struct buf b;
		struct str text = STR_NONE;

		buf_init(&b, f->c->arena, 8);
		buf_i64(&b, i);
		if (buf_end(&b, &text))
			return; /* the arena remembers */
		f->positions[i] = (struct template_value){ "position", text };
		f->position_items[i] = (struct template_scope){ .values = &f->positions[i],
								.value_count = 1 };
	}
}

static void fill_lists(struct filling *f)
{
	for (size_t i = 0; i < IDENTITY_COUNT; i++) {
		f->names[i] = (struct template_value){ "name", str_z(identity_headers[i]) };
		f->name_items[i] = (struct template_scope){ .values = &f->names[i],
							    .value_count = 1 };
		fill_spoofs(f, identity_headers[i]);
	}
	fill_positions(f);
}

/* ---- the command ---- */

static int no_such_kind(struct cmd *c, const char *module)
{
	if (module)
		return cmd_usage(c, "%s has no module %s", c->args[0], module);
	return cmd_usage(
		c,
		"no such gateway: %s; must be nginx, haproxy, apache, caddy, envoy, traefik, "
		"kong or istio",
		c->args[0]);
}

static int find_kind(struct cmd *c, const struct kind **ret_kind)
{
	const char *module = cmd_get(c, "module");

	for (size_t i = 0; i < KIND_COUNT; i++) {
		const struct kind *k = &kinds[i];

		if (strcmp(k->name, c->args[0]) != 0 ||
		    (module && (!k->module || strcmp(k->module, module) != 0)))
			continue;
		*ret_kind = k;
		return CMD_OK;
	}
	return no_such_kind(c, module);
}

static int fill(struct filling *f)
{
	int status = put_audience(f);

	if (!status)
		status = put_issuer(f);
	for (size_t i = 0; !status && i < sizeof(places) / sizeof(places[0]); i++)
		status = put_place(f, &places[i]);
	if (!status)
		status = put_authorities(f);
	if (!status && f->kind->needs & NEEDS_GATEWAY)
		status = put_gateway(f);
	if (!status && f->kind->needs & NEEDS_KEYS)
		status = put_keys(f);
	if (!status && f->kind->needs & NEEDS_MAX_AGE)
		status = put_max_age(f);
	fill_lists(f);
	return status;
}

static const char *template_text(const char *file)
{
	for (size_t i = 0; i < gateway_template_count; i++) {
		if (strcmp(gateway_templates[i].file, file) == 0)
			return gateway_templates[i].text;
	}
	return NULL;
}

static int print(struct filling *f)
{
	const struct template_list lists[] = {
		{ "identity", f->name_items, IDENTITY_COUNT },
		{ "spoofs", f->spoof_items, f->spoof_count },
		{ "more_audiences", f->position_items, AUDIENCES_MAX },
		{ "more_roles", f->position_items + 1, ROLES_MAX - 1 },
		{ "keys", f->key_items, f->key_count },
	};
	const struct template_scope scope = { .values = f->values,
					      .value_count = f->count,
					      .lists = lists,
					      .list_count = sizeof(lists) / sizeof(lists[0]) };
	struct buf out;
	struct str text;
	enum err e;

	buf_init(&out, f->c->arena, CONFIG_TEXT_MAX);
	e = template_render(str_z(template_text(f->kind->file)), &scope, &out);
	assert(e != ERR_SYNTAX); /* of our own templates, all of which a test renders */
	if (e || buf_end(&out, &text) || arena_failed(f->c->arena))
		return cmd_nomem(f->c);
	if (fwrite(text.p, text.n, 1, stdout) != 1 || fflush(stdout))
		return cmd_fail(f->c, CMD_REFUSED, "the configuration could not be written");
	return CMD_OK;
}

int cmd_gateway_config_run(struct cmd *c)
{
	struct filling *f = arena_new_of(c->arena, struct filling);
	int status;

	if (!f)
		return cmd_nomem(c);
	f->c = c;
	status = find_kind(c, &f->kind);
	if (!status)
		status = fill(f);
	return status ? status : print(f);
}
