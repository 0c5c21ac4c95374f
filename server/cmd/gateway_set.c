/* The key set as a gateway would get it. */
#include "oauth/uri.h"
#include "server/cmd/cmd_gateway.h"

enum { FETCH_TIMEOUT_MS = 10000, MAX_AGE_MOST = 86400 };

int gateway_issuer(struct cmd *c, const char *given, struct str *ret_issuer)
{
	struct uri uri;

	if (!uri_is_issuer(str_z(given), &uri))
		return cmd_fail(
			c, CMD_REFUSED,
			"--issuer %s: must be an http or https URL without query, fragment and "
			"final slash",
			given);
	if (str_equal_z(uri.scheme, "http") && !uri_host_is_loopback(uri.host))
		cmd_note(c, "warning: keys fetched over http may be anybody's");
	*ret_issuer = str_z(given);
	return CMD_OK;
}

static int64_t max_age_of(struct str cache_control)
{
	int64_t seconds;

	if (!http_max_age(cache_control, &seconds))
		return GATEWAY_MAX_AGE_UNSAID;
	return seconds < 1 ? 1 : seconds > MAX_AGE_MOST ? MAX_AGE_MOST : seconds;
}

static int no_set(struct cmd *c, const char *url, const char *why)
{
	return cmd_fail(c, CMD_UNREACHABLE, "%s: %s", url, why);
}

static int read_set(struct cmd *c, const char *url, const struct http_answer *answer,
		    struct jwks **ret_keys)
{
	AUTO(jwks, keys) = NULL;
	enum err e;

	if (answer->status != 200)
		return cmd_fail(c, CMD_UNREACHABLE, "%s: HTTP %d", url, answer->status);
	e = jwks_parse(answer->body, &keys);
	if (e)
		return no_set(c, url, e == ERR_CONFLICT ? "two keys have one kid" : "no JWK set");
	/* an issuer's set is never empty: this is an accident on the way, and must not empty a
	 * gateway */
	if (keys->count == 0)
		return no_set(c, url, "a set without a key that can be used");
	*ret_keys = TAKE(keys);
	return CMD_OK;
}

int gateway_fetch(struct remote *r, struct arena *a, struct str issuer, struct gateway_set *ret_set)
{
	struct http_field cache_control = { .name = "Cache-Control" };
	struct http_call call = { .method = "GET",
				  .ca_file = r->ca_file,
				  .timeout_ms = FETCH_TIMEOUT_MS,
				  .fields = &cache_control,
				  .field_count = 1 };
	struct http_answer answer;
	char why[HTTP_WHY_MAX];
	struct buf url;
	struct str text;
	enum err e;
	int status;

	buf_init(&url, a, URI_MAX + 64);
	buf_fmt(&url, "%.*s/.well-known/jwks.json", STR_ARG(issuer));
	if (buf_end(&url, &text))
		return cmd_nomem(r->c);
	call.url = text.p;
	e = http_send(r->http, a, &call, &answer, why);
	if (e)
		return no_set(r->c, text.p,
			      e == ERR_UNAVAILABLE ? why : "the answer could not be read");
	status = read_set(r->c, text.p, &answer, &ret_set->keys);
	if (!status)
		ret_set->max_age = max_age_of(cache_control.value);
	return status;
}
