/* The parts of a URI lie within its text, and an issuer is a resource that keeps every rule of
 * both. */
#include "base/limits.h"
#include "oauth/uri.h"
#include "tests/fuzz/fuzz.h"

static void check_part(struct str text, struct str part)
{
	MUST(!part.p || (part.p >= text.p && part.p + part.n <= text.p + text.n));
	MUST(str_is_vschar(part));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_n(data, size);
	struct uri uri;

	uri_host_is_loopback(text);
	if (uri_parse(text, &uri)) {
		MUST(!uri_is_resource(text) && !uri_is_issuer(text, &uri));
		return 0;
	}
	MUST(size <= URI_MAX && uri.scheme.n > 0 && str_is_vschar(text));
	check_part(text, uri.scheme);
	check_part(text, uri.host);
	check_part(text, uri.port);
	check_part(text, uri.path);
	MUST(!uri_is_resource(text) || !memchr(text.p, '#', text.n));
	if (uri_is_issuer(text, &uri)) {
		MUST(uri_is_resource(text) && uri.host.n > 0);
		MUST(!memchr(text.p, '?', text.n) && text.p[text.n - 1] != '/');
	}
	return 0;
}
