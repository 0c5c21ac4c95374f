/* The option table. A new option is a row; how its text is read and written is its kind's
 * (config_kinds.c). */
#include "server/state/config_kinds.h"

enum { SOCKET_PATH_MAX = 107 }; /* sockaddr_un.sun_path without its NUL */

static const char *const level_words[] = { "debug", "info", "warn", "error", NULL };
static const char *const format_words[] = { "json", "logfmt", NULL };
static const char *const on_off_words[] = { "off", "on", NULL };
static const char *const probe_words[] = { "auto", "off", NULL };
static const char *const access_words[] = { "all", "errors", "modifying", "off", NULL };

#define MINUTE 60
#define DAY 86400
#define AT(member) offsetof(struct config, member)
#define RELOAD .reload = true

/* Order is the order of the reference page and of `config show`. */
const struct option_row option_rows[] = {
	{ "issuer", &kind_issuer, AT(issuer), "",
	  .help = "The URL that stands in every token as iss; may have a path, under which every "
		  "public "
		  "path is then served. It can not be changed once tokens are out." },

	{ "server.address", &kind_address, AT(server.address), "127.0.0.1:8080",
	  .help = "Where the public endpoints listen. Off loopback it needs server.tls or "
		  "server.trusted_proxies." },
	{ "server.workers", &kind_workers, AT(server.workers), "auto", .min = 1, .max = 256,
	  .help = "Threads that serve requests; auto is one per core." },
	{ "server.trusted_proxies", &kind_networks, AT(server.trusted_proxies), "", RELOAD,
	  .help = "Proxies whose forwarding header tells the client's address. Host and scheme "
		  "always "
		  "come from the issuer." },
	{ "server.tls.certificate", &kind_path, AT(server.tls.certificate), "", RELOAD,
	  .help = "PEM file with the certificate chain of the public listener; read again on "
		  "SIGHUP." },
	{ "server.tls.key", &kind_path, AT(server.tls.key), "", RELOAD,
	  .help = "PEM file with the private key of that certificate." },

	{ "admin.address", &kind_address_or_off, AT(admin.address), "127.0.0.1:8081",
	  .help = "Where the admin API, /metrics and the health paths listen; off leaves the "
		  "socket." },
	{ "admin.socket", &kind_path_or_off, AT(admin.socket), "DIR/admin.sock",
	  .max = SOCKET_PATH_MAX,
	  .help = "UNIX socket of the admin API, for root and the server's own user." },
	{ "admin.tls.certificate", &kind_path, AT(admin.tls.certificate), "", RELOAD,
	  .help = "PEM file with the certificate chain of the admin listener; read again on "
		  "SIGHUP." },
	{ "admin.tls.key", &kind_path, AT(admin.tls.key), "", RELOAD,
	  .help = "PEM file with the private key of that certificate." },

	{ "gateway.address", &kind_address_or_off, AT(gateway.address), "off",
	  .help = "Where /gateway/verify listens, for gateways only. Off loopback it needs "
		  "gateway.tls." },
	{ "gateway.socket", &kind_path_or_off, AT(gateway.socket), "off", .max = SOCKET_PATH_MAX,
	  .help = "UNIX socket of the same, for the server's own user and group." },
	{ "gateway.identity", &kind_word, AT(gateway.identity), "off", .words = on_off_words,
	  RELOAD,
	  .help = "on adds X-Identity to good answers, a signed document for the services behind; "
		  "off does not." },
	{ "gateway.tls.certificate", &kind_path, AT(gateway.tls.certificate), "", RELOAD,
	  .help = "PEM file with the certificate chain of the gateway listener; read again on "
		  "SIGHUP." },
	{ "gateway.tls.key", &kind_path, AT(gateway.tls.key), "", RELOAD,
	  .help = "PEM file with the private key of that certificate." },

	{ "storage.url", &kind_storage, AT(storage.url), "sqlite",
	  .help = "The database: sqlite is DIR/db/chancery.db." },

	{ "tokens.access_ttl", &kind_duration, AT(tokens.access_ttl), "5m", .min = ACCESS_TTL_MIN,
	  .max = ACCESS_TTL_MAX, RELOAD,
	  .help = "Lifetime of users' access tokens, unless a client or api sets a smaller one." },
	{ "tokens.client_credentials_ttl", &kind_duration, AT(tokens.client_credentials_ttl), "10m",
	  .min = ACCESS_TTL_MIN, .max = ACCESS_TTL_MAX, RELOAD,
	  .help = "Lifetime of access tokens that clients get for themselves." },
	{ "tokens.max_ttl", &kind_duration, AT(tokens.max_ttl), "24h", .min = ACCESS_TTL_MIN,
	  .max = ACCESS_TTL_MAX,
	  .help = "No access token lives longer, whatever options, clients and apis say; keys stay "
		  "published for it." },
	{ "tokens.refresh_ttl", &kind_duration, AT(tokens.refresh_ttl), "14d", .min = 1,
	  .max = 3650 * DAY, RELOAD,
	  .help = "A login ends when its refresh token is not used for this long." },
	{ "tokens.refresh_max", &kind_duration, AT(tokens.refresh_max), "90d", .min = 1,
	  .max = 3650 * DAY, RELOAD,
	  .help = "A login ends after this long in any case; using it does not move the end." },
	{ "tokens.refresh_retry", &kind_duration, AT(tokens.refresh_retry), "10s", .min = 0,
	  .max = 5 * MINUTE, RELOAD,
	  .help = "How long the previous refresh token still gets the same successor again, for "
		  "answers "
		  "lost on the way. Later it is reuse, and the login ends." },
	{ "tokens.nbf_skew", &kind_duration, AT(tokens.nbf_skew), "30s", .min = 0,
	  .max = 10 * MINUTE, RELOAD,
	  .help = "nbf is this long before iat, for verifiers whose clocks are behind." },
	{ "tokens.alg", &kind_alg, AT(tokens.alg), "ES256",
	  .help = "Signature algorithm where neither api nor client says; one of keys.algs." },
	{ "tokens.default_audience", &kind_resource, AT(tokens.default_audience), "", RELOAD,
	  .help = "The api a token is for when neither request nor client names one." },

	{ "keys.algs", &kind_algs, AT(keys.algs), "ES256,RS256",
	  .help = "Algorithms there are signing keys for." },
	{ "keys.rotate_every", &kind_duration, AT(keys.rotate_every), "30d", .min = 2,
	  .max = 3650 * DAY, RELOAD,
	  .help = "A signing key signs for this long, then the next one does." },
	{ "keys.jwks_max_age", &kind_duration, AT(keys.jwks_max_age), "15m", .min = 1, .max = DAY,
	  RELOAD,
	  .help = "How long verifiers may keep the key set; at most half of keys.rotate_every." },
	{ "keys.clock_skew", &kind_duration, AT(keys.clock_skew), "60s", .min = 0,
	  .max = 60 * MINUTE, RELOAD,
	  .help = "How far verifiers' clocks may be off; keys are published so much earlier and "
		  "longer." },
	{ "keys.wait_max", &kind_duration, AT(keys.wait_max), "24h", .min = 0, .max = 30 * DAY,
	  RELOAD,
	  .help = "A scheduled rotation waits at most this long for verifiers that do not hold the "
		  "next key yet." },
	{ "keys.probe", &kind_word, AT(keys.probe), "auto", .words = probe_words, RELOAD,
	  .help = "auto fetches the key set through the issuer's URL before a scheduled rotation; "
		  "off does not." },
	{ "keys.consumers", &kind_consumers, AT(keys.consumers), "", RELOAD,
	  .help = "Verifiers that fetch the key set, by address or TLS client certificate; a "
		  "scheduled rotation waits for them." },
	{ "keys.max_rate", &kind_count, AT(keys.max_rate), "50000", .min = 0, .max = 10000000,
	  RELOAD, .help = "Tokens a second that the signer signs at most; 0 is no limit." },
	{ "keys.master_key_file", &kind_path, AT(keys.master_key_file), "DIR/master.key",
	  .help = "32 bytes that seal everything else. $CREDENTIALS_DIRECTORY/master.key takes the "
		  "default's place where it is present." },

	{ "passwords.min_length", &kind_count, AT(passwords.min_length), "8", .min = 8, .max = 128,
	  RELOAD, .help = "Characters a new password must have." },

	{ "log.level", &kind_word, AT(log.level), "info", .words = level_words, RELOAD,
	  .help = "Least level that is written: debug, info, warn or error." },
	{ "log.format", &kind_word, AT(log.format), "json", .words = format_words, RELOAD,
	  .help = "json or logfmt." },
	{ "log.access", &kind_word, AT(log.access), "all", .words = access_words, RELOAD,
	  .help = "Requests that get a line: all, errors, modifying (all but GET) or off." },

	{ "audit.keep", &kind_duration, AT(audit.keep), "400d", .min = DAY, .max = 36500LL * DAY,
	  RELOAD, .help = "How long audit rows are kept." },
};
const size_t option_row_count = sizeof(option_rows) / sizeof(option_rows[0]);

const char *option_kind_name(const struct option_row *row)
{
	return row->kind->name;
}

bool option_is_list(const struct option_row *row)
{
	return row->kind->list;
}

enum err option_read(const struct option_row *row, const struct option_text *text,
		     struct option_target *target)
{
	return row->kind->read(row, text, target);
}

void option_write(const struct option_row *row, const struct config *config, struct buf *out)
{
	row->kind->write(row, config, out);
}
