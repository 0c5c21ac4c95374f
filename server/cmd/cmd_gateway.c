/* The rows of `chancery gateway`, `gateway-config` and `gateway-keys`. */
#include "server/cmd/cmd_gateway.h"

static const struct cmd_option config_options[] = {
	{ "audience", "URI", "the api that is behind the gateway" },
	{ "issuer", "URL", "whose tokens; without, the issuer of the configuration" },
	{ "listen", "ADDR", "where the gateway listens (127.0.0.1:8000)" },
	{ "upstream", "ADDR", "where the api listens (127.0.0.1:3000)" },
	{ "gateway", "ADDR",
	  "nginx, caddy, traefik, kong: the server's gateway listener, as HOST:PORT or "
	  "https://HOST:PORT" },
	{ "keys", "DIR", "haproxy: the folder that gateway-keys keeps" },
	{ "module", "NAME", "apache: oauth2 or openidc (oauth2)" },
	{ "max-age", "DURATION",
	  "how long a key set is good; without, as the issuer says, or keys.jwks_max_age" },
	{ "ca", "FILE",
	  "authorities that the issuer's certificate is of (/etc/ssl/certs/ca-certificates.crt)" },
	{ NULL },
};

static const struct cmd_option keys_options[] = {
	{ "issuer", "URL", "whose keys" },
	{ "out", "DIR", "the folder; made if it is not there" },
	{ "exec", "CMD", "run this in a shell when the keys changed" },
	{ "once", NULL, "fetch once and end; status 2 when there was no answer" },
	{ NULL },
};

static const struct cmd_option sidecar_options[] = {
	{ "issuer", "URL", "whose tokens: iss, and where the key set is" },
	{ "listen", "ADDRESS:PORT|PATH",
	  "where the gateway asks; off loopback with "
	  "--set gateway.tls.certificate and .key" },
	{ "audience", "URI",
	  "URI or NAME=URI: an audience that may be asked about, and its name in "
	  "/gateway/verify/NAME",
	  .repeat = true },
	{ "feed", "URL",
	  "the list of revoked tokens (the issuer's); off: nothing is ever revoked here" },
	{ "max-staleness", "DURATION",
	  "how old that list may be before tokens are neither good nor bad (30s)" },
	{ NULL },
};

static const struct cmd_row rows[] = {
	{ .words = "gateway-config",
	  .args = "KIND",
	  .summary =
		  "print a configuration of nginx, haproxy, apache, caddy, envoy, traefik, kong or "
		  "istio",
	  .details =
		  "The gateway lets through who brings a token of this issuer for this audience, "
		  "and hands on who that is in X-User-Id, X-User-Role, X-Scope, X-Client-Id and "
		  "X-Token-Id, having cleared what came under these names. nginx, caddy, traefik "
		  "and "
		  "kong ask the gateway listener about each token and so know what was revoked; "
		  "the "
		  "others verify with the published keys and cannot.",
	  .options = { config_options },
	  .run = cmd_gateway_config_run,
	  .examples = CMD_EXAMPLES(
		  "nginx, on the server's own machine",
		  "chancery gateway-config nginx --audience https://orders.example.com --gateway "
		  "127.0.0.1:8082",
		  "Apache, anywhere",
		  "chancery gateway-config apache --issuer https://id.example.com --audience "
		  "https://orders.example.com --upstream 10.0.0.7:3000",
		  "HAProxy, with the keys that gateway-keys keeps",
		  "chancery gateway-config haproxy --issuer https://id.example.com --audience "
		  "https://orders.example.com --keys /etc/haproxy/keys") },
	{ .words = "gateway-keys",
	  .summary =
		  "keep an issuer's public keys in a folder, for gateways that read them at start",
	  .details = "One PEM file for each key, named by its key id; written whole or not at all, "
		     "and "
		     "removed only when the issuer's set has it no longer. It fetches again before "
		     "the "
		     "set's max-age is over, and changes nothing while the issuer is away. The "
		     "command "
		     "of --exec is run again until it succeeds. $SSL_CERT_FILE names authorities.",
	  .options = { keys_options },
	  .run = cmd_gateway_keys_run,
	  .examples = CMD_EXAMPLES("the keys of HAProxy",
				   "chancery gateway-keys --issuer https://id.example.com --out "
				   "/etc/haproxy/keys --exec "
				   "/etc/haproxy/new-keys",
				   "once, before HAProxy starts",
				   "chancery gateway-keys --issuer https://id.example.com --out "
				   "/etc/haproxy/keys --once") },
	{ .words = "gateway",
	  .summary = "judge tokens beside a gateway, with nothing but the issuer's URL",
	  .details =
		  "Serves /gateway/verify as a server's gateway listener does, from the issuer's "
		  "published keys and list of revoked tokens: no database, no secret, no "
		  "request to the issuer for a token. /readyz tells whether it can judge. "
		  "SIGHUP reads certificates again.",
	  .options = { sidecar_options },
	  .run = cmd_sidecar_run,
	  .examples = CMD_EXAMPLES("beside nginx",
				   "chancery gateway --issuer https://id.example.com --listen "
				   "127.0.0.1:8082 --audience https://orders.example.com",
				   "beside Envoy, which asks /gateway/verify/orders",
				   "chancery gateway --issuer https://id.example.com --listen "
				   "127.0.0.1:8082 --audience orders=https://orders.example.com") },
};

const struct cmd_group cmd_gateway_group = CMD_GROUP("Gateways", rows);
