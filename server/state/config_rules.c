/* What makes a well-formed configuration unsafe to serve, and what SIGHUP must not change. Each
 * rule is a function and a row; each refusal names the option, the reason and the line that helps.
 */
#include "server/state/config.h"

#include <stdio.h>

#include "oauth/uri.h"
#include "server/state/config_draft.h"
#include "server/state/config_options.h"

/* Half of what verifiers must be able to read in one set (lib/jose/jwk.h): the rest is for keys
 * that are turned over by hand and for keys of former servers. */
enum { CONFIG_KEYS_MAX = 32 };

static enum err issuer_is_set(const struct config *c, struct config_fault *fault)
{
	if (c->issuer.n)
		return ERR_OK;
	return config_faulty(
		fault,
		"issuer: not set; `chancery init --issuer https://id.example.com` makes a data "
		"directory with it, or write the line \"issuer: https://id.example.com\" into "
		"%.*s/chancery.yaml",
		STR_ARG(c->data_dir));
}

/* RFC 8414 2 and RFC 6749 3.2 want TLS; only traffic that never leaves the machine may go without.
 */
static enum err issuer_is_https(const struct config *c, struct config_fault *fault)
{
	struct uri uri = { .host = STR_NONE };

	if (!uri_is_issuer(c->issuer, &uri))
		return config_faulty(fault, "issuer: not a usable URL");
	if (str_equal_z(uri.scheme, "https") || uri_host_is_loopback(uri.host))
		return ERR_OK;
	return config_faulty(
		fault,
		"issuer: http is for loopback hosts only, tokens would travel in the clear; "
		"write \"issuer: https://%.*s%.*s\" and give the listener server.tls, or a "
		"proxy in front of it in server.trusted_proxies",
		STR_ARG(uri.host), STR_ARG(c->issuer_path));
}

static enum err tls_is_whole(const char *section, const struct tls_files *tls,
			     struct config_fault *fault)
{
	if (!tls->certificate.n == !tls->key.n)
		return ERR_OK;
	return config_faulty(fault, "%s.tls.%s: not set, but %s.tls.%s is; TLS needs both", section,
			     tls->key.n ? "certificate" : "key", section,
			     tls->key.n ? "key" : "certificate");
}

static enum err tls_has_both_files(const struct config *c, struct config_fault *fault)
{
	enum err e = tls_is_whole("server", &c->server.tls, fault);

	if (!e)
		e = tls_is_whole("admin", &c->admin.tls, fault);
	return e ? e : tls_is_whole("gateway", &c->gateway.tls, fault);
}

/* A proxy in front of it would be asked in place of the gateway, and whoever reaches that proxy
 * could ask: nothing but TLS makes a network good enough here. */
static enum err gateway_is_covered(const struct config *c, struct config_fault *fault)
{
	struct str host = STR_NONE;
	int64_t port;

	if (address_split(c->gateway.address, &host, &port)) /* "off" */
		return ERR_OK;
	if (uri_host_is_loopback(host) || c->gateway.tls.certificate.n)
		return ERR_OK;
	return config_faulty(fault,
			     "gateway.address: %.*s is not loopback, and tokens would travel in "
			     "the clear; set gateway.tls.certificate and gateway.tls.key, or "
			     "listen on 127.0.0.1 or on gateway.socket",
			     STR_ARG(c->gateway.address));
}

static enum err listener_is_covered(const char *section, struct str address,
				    const struct tls_files *tls, const struct config *c,
				    struct config_fault *fault)
{
	struct str host = STR_NONE;
	int64_t port;

	if (address_split(address, &host, &port)) /* "off" */
		return ERR_OK;
	if (uri_host_is_loopback(host) || tls->certificate.n || c->server.trusted_proxies.count)
		return ERR_OK;
	return config_faulty(
		fault,
		"%s.address: %.*s is not loopback, and secrets would travel in the clear; set "
		"%s.tls.certificate and %s.tls.key, or name the proxy that does TLS in "
		"server.trusted_proxies",
		section, STR_ARG(address), section, section);
}

static enum err listeners_are_covered(const struct config *c, struct config_fault *fault)
{
	enum err e = listener_is_covered("server", c->server.address, &c->server.tls, c, fault);

	if (e)
		return e;
	e = listener_is_covered("admin", c->admin.address, &c->admin.tls, c, fault);
	if (e)
		return e;
	return gateway_is_covered(c, fault);
}

static enum err listeners_are_apart(const struct config *c, struct config_fault *fault)
{
	const struct {
		const char *name;
		struct str address;
	} rows[] = {
		{ "server.address", c->server.address },
		{ "admin.address", c->admin.address },
		{ "gateway.address", c->gateway.address },
	};

	for (size_t i = 1; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (str_equal_z(rows[i].address, "off") || str_ends(rows[i].address, STR(":0")))
			continue;
		for (size_t k = 0; k < i; k++) {
			if (str_equal(rows[i].address, rows[k].address))
				return config_faulty(fault,
						     "%s: the same as %s; give each its own port",
						     rows[i].name, rows[k].name);
		}
	}
	return ERR_OK;
}

/* For a sentence: "15m". */
static const char *as_written(int64_t seconds, char text[DURATION_TEXT_MAX])
{
	struct buf b;
	struct str written;

	buf_init(&b, NULL, DURATION_TEXT_MAX - 1);
	duration_write(seconds, &b);
	snprintf(text, DURATION_TEXT_MAX, "%s", buf_end(&b, &written) ? "?" : written.p);
	buf_done(&b);
	return text;
}

/* The standby must have been published for a whole freshness before it signs, with room for the
 * change. */
static enum err rotation_is_slow_enough(const struct config *c, struct config_fault *fault)
{
	char age[DURATION_TEXT_MAX], twice[DURATION_TEXT_MAX];

	if (c->keys.rotate_every / 2 >= c->keys.jwks_max_age)
		return ERR_OK;
	return config_faulty(
		fault,
		"keys.rotate_every: shorter than twice keys.jwks_max_age (%s); verifiers would "
		"meet keys they have not fetched; write \"rotate_every: %s\" or more",
		as_written(c->keys.jwks_max_age, age), as_written(2 * c->keys.jwks_max_age, twice));
}

/* How many keys may have to be published at one moment: a key stays until the last token under it
 * has expired, and each period adds one to those that wait for that. */
static int64_t keys_published(const struct config *c, int64_t ttl)
{
	int64_t waiting = (ttl + c->keys.clock_skew + c->keys.rotate_every - 1) /
			  c->keys.rotate_every;

	return (int64_t)c->keys.alg_count * (2 + waiting);
}

static int64_t longest_coverable(const struct config *c)
{
	int64_t periods = CONFIG_KEYS_MAX / (int64_t)c->keys.alg_count - 2;

	return c->keys.rotate_every * periods - c->keys.clock_skew;
}

static enum err lifetimes_fit_keys(const struct config *c, struct config_fault *fault)
{
	const struct {
		const char *name;
		int64_t ttl;
	} rows[] = {
		{ "tokens.access_ttl", c->tokens.access_ttl },
		{ "tokens.client_credentials_ttl", c->tokens.client_credentials_ttl },
	};

	char most[DURATION_TEXT_MAX], every[DURATION_TEXT_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].ttl > c->tokens.max_ttl)
			return config_faulty(fault,
					     "%s: longer than tokens.max_ttl, the longest any "
					     "token lives; make it at most %s",
					     rows[i].name, as_written(c->tokens.max_ttl, most));
	}
	if (keys_published(c, c->tokens.max_ttl) > CONFIG_KEYS_MAX)
		return config_faulty(
			fault,
			"tokens.max_ttl: with keys.rotate_every %s, %lld keys would be "
			"published at a time, and %d is what the key plan can cover; "
			"make it at most %s, or rotate_every longer",
			as_written(c->keys.rotate_every, every),
			(long long)keys_published(c, c->tokens.max_ttl), CONFIG_KEYS_MAX,
			as_written(longest_coverable(c), most));
	return ERR_OK;
}

static enum err logins_outlive_their_tokens(const struct config *c, struct config_fault *fault)
{
	char most[DURATION_TEXT_MAX];

	if (c->tokens.refresh_ttl > c->tokens.refresh_max)
		return config_faulty(
			fault,
			"tokens.refresh_ttl: longer than tokens.refresh_max, which ends a login in "
			"any case; make it at most %s",
			as_written(c->tokens.refresh_max, most));
	return ERR_OK;
}

bool config_has_alg(const struct config *c, enum alg alg)
{
	for (size_t i = 0; i < c->keys.alg_count; i++) {
		if (c->keys.algs[i] == alg)
			return true;
	}
	return false;
}

static enum err default_alg_has_keys(const struct config *c, struct config_fault *fault)
{
	if (config_has_alg(c, c->tokens.alg))
		return ERR_OK;
	return config_faulty(fault, "tokens.alg: %s is not among keys.algs; add it there",
			     alg_name(c->tokens.alg));
}

enum err config_check_serve(const struct config *c, struct config_fault *ret_fault)
{
	static enum err (*const rules[])(const struct config *, struct config_fault *) = {
		issuer_is_set,	      issuer_is_https,
		tls_has_both_files,   listeners_are_covered,
		listeners_are_apart,  rotation_is_slow_enough,
		lifetimes_fit_keys,   logins_outlive_their_tokens,
		default_alg_has_keys,
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		enum err e = rules[i](c, ret_fault);

		if (e)
			return e;
	}
	return ERR_OK;
}

/* ERR_CONFLICT when the option's text differs. */
static enum err same_value(const struct config *now, const struct config *next, size_t i)
{
	struct buf a, b;
	struct str x, y;
	enum err e;

	buf_init(&a, NULL, 65536);
	buf_init(&b, NULL, 65536);
	option_write(&option_rows[i], now, &a);
	option_write(&option_rows[i], next, &b);
	e = buf_end(&a, &x);
	if (!e)
		e = buf_end(&b, &y);
	if (!e && !str_equal(x, y))
		e = ERR_CONFLICT;
	buf_done(&a);
	buf_done(&b);
	return e;
}

/* Certificates may be replaced under a running listener; TLS itself can not be taken from one or
 * given. */
static enum err tls_stays(const struct config *now, const struct config *next,
			  struct config_fault *fault)
{
	const struct {
		const char *section;
		const struct tls_files *now, *next;
	} rows[] = {
		{ "server", &now->server.tls, &next->server.tls },
		{ "admin", &now->admin.tls, &next->admin.tls },
		{ "gateway", &now->gateway.tls, &next->gateway.tls },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!rows[i].now->certificate.n != !rows[i].next->certificate.n)
			return config_faulty(fault,
					     "%s.tls: can not be switched on or off while the "
					     "server runs; restart it",
					     rows[i].section);
	}
	return ERR_OK;
}

enum err config_check_reload(const struct config *now, const struct config *next,
			     struct config_fault *ret_fault)
{
	for (size_t i = 0; i < option_row_count; i++) {
		enum err e = option_rows[i].reload ? ERR_OK : same_value(now, next, i);

		if (e == ERR_CONFLICT)
			return config_faulty(ret_fault,
					     "%s: can not change while the server runs; restart it",
					     option_rows[i].name);
		if (e)
			return e;
	}
	return tls_stays(now, next, ret_fault);
}
