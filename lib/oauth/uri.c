/* URIs by the grammar of RFC 3986 3, and no further: nothing is decoded, lower-cased or resolved,
 * because two parsers that repair the same text differently are how redirect and audience checks
 * get bypassed. */
#include "oauth/uri.h"

#include <arpa/inet.h>

#include "base/limits.h"

static bool is_alpha(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* unreserved / sub-delims / pct-encoded, and the characters of `also` */
static bool all_chars(struct str s, const char *also)
{
	const struct str marks = str_z("-._~!$&'()*+,;=");
	const struct str more = str_z(also);

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (is_alpha(c) || is_digit(c) || memchr(marks.p, c, marks.n) ||
		    memchr(more.p, c, more.n))
			continue;
		if (c != '%' || s.n - i < 3 || hex_value(s.p[i + 1]) < 0 ||
		    hex_value(s.p[i + 2]) < 0)
			return false;
		i += 2;
	}
	return true;
}

/* RFC 3986 3.1 */
static bool is_scheme(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_alpha(s.p[i]) && (i == 0 || !(is_digit(s.p[i]) || strchr("+-.", s.p[i]))))
			return false;
	}
	return s.n > 0;
}

static bool is_port(struct str s)
{
	int64_t port;

	return s.n > 0 && s.n <= 5 && s.p[0] != '-' && str_to_i64(s, 0, 65535, &port) == ERR_OK;
}

/* The address in network order; false when the text is none of the family. */
static bool read_address(int family, struct str text, unsigned char ret_address[16])
{
	char z[INET6_ADDRSTRLEN];

	if (text.n == 0 || text.n >= sizeof(z) || str_has_nul(text))
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	return inet_pton(family, z, ret_address) == 1;
}

/* Cuts *rest at the first of `stops`, which stays in *rest. */
static struct str take_until(struct str *rest, const char *stops)
{
	size_t n = 0;

	while (n < rest->n && !strchr(stops, rest->p[n]))
		n++;
	*rest = str_n(rest->p + n, rest->n - n);
	return str_n(rest->p - n, n);
}

/* "[" IPv6 "]" [ ":" port ]; `s` begins after the bracket. Zones and future versions have no place
 * here. */
static bool read_bracketed(struct str s, struct uri *uri)
{
	unsigned char address[16];

	uri->host = take_until(&s, "]");
	if (s.n == 0 || !read_address(AF_INET6, uri->host, address))
		return false;
	s = str_n(s.p + 1, s.n - 1);
	if (s.n == 0)
		return true;
	uri->port = str_n(s.p + 1, s.n - 1);
	return s.p[0] == ':' && is_port(uri->port);
}

/* RFC 3986 3.2. The grammar has no second '@' and no second ':' outside of brackets: where parsers
 * disagree about which of them counts (CVE-2026-7504), there is nothing to disagree about. */
static bool read_authority(struct str s, struct uri *uri)
{
	struct str rest = s;
	struct str userinfo = take_until(&rest, "@");

	if (rest.n > 0) {
		uri->has_userinfo = true;
		if (!all_chars(userinfo, ":"))
			return false;
		s = str_n(rest.p + 1, rest.n - 1);
	}
	if (s.n > 0 && s.p[0] == '[')
		return read_bracketed(str_n(s.p + 1, s.n - 1), uri);
	uri->host = take_until(&s, ":");
	if (s.n > 0) {
		uri->port = str_n(s.p + 1, s.n - 1);
		if (!is_port(uri->port))
			return false;
	}
	return all_chars(uri->host, "");
}

/* RFC 3986 3.3 to 3.5: path, query, fragment */
static bool read_tail(struct str rest, struct uri *uri)
{
	struct str query = STR_NONE, fragment = STR_NONE;

	uri->path = take_until(&rest, "?#");
	if (rest.n > 0 && rest.p[0] == '?') {
		uri->has_query = true;
		query = take_until(&rest, "#");
		query = str_n(query.p + 1, query.n - 1);
	}
	if (rest.n > 0) {
		uri->has_fragment = true;
		fragment = str_n(rest.p + 1, rest.n - 1);
	}
	return all_chars(uri->path, ":@/") && all_chars(query, ":@/?") &&
	       all_chars(fragment, ":@/?");
}

enum err uri_parse(struct str text, struct uri *ret_uri)
{
	struct uri uri = { .has_query = false };
	struct str rest = text;

	if (text.n > URI_MAX)
		return ERR_LIMIT;
	if (text.n == 0 || str_has_nul(text))
		return ERR_SYNTAX;
	uri.scheme = take_until(&rest, ":");
	if (rest.n == 0 || !is_scheme(uri.scheme))
		return ERR_SYNTAX;
	rest = str_n(rest.p + 1, rest.n - 1);
	if (str_starts(rest, STR("//"))) {
		rest = str_n(rest.p + 2, rest.n - 2);
		if (!read_authority(take_until(&rest, "/?#"), &uri))
			return ERR_SYNTAX;
	}
	if (!read_tail(rest, &uri))
		return ERR_SYNTAX;
	*ret_uri = uri;
	return ERR_OK;
}

static bool is_web(const struct uri *uri)
{
	return str_case_equal(uri->scheme, STR("https")) ||
	       str_case_equal(uri->scheme, STR("http"));
}

bool uri_is_resource(struct str text)
{
	struct uri uri;

	if (uri_parse(text, &uri) != ERR_OK || uri.has_fragment)
		return false;
	return is_web(&uri) ? uri.host.n > 0 : uri.host.n > 0 || uri.path.n > 0;
}

/* "" or "/a/b": no empty, "." or ".." segment, so nothing that a proxy would rewrite. */
static bool is_plain_path(struct str path)
{
	struct str segment;

	if (path.n == 0)
		return true;
	if (path.p[0] != '/' || path.p[path.n - 1] == '/')
		return false;
	path = str_n(path.p + 1, path.n - 1);
	while (str_next(&path, '/', &segment)) {
		if (segment.n == 0 || str_equal(segment, STR(".")) || str_equal(segment, STR("..")))
			return false;
	}
	return true;
}

/* RFC 8414 2. A '%' is refused: "%2e%2e" would be a dot segment to some and not to others. */
bool uri_is_issuer(struct str text, struct uri *ret_uri)
{
	struct uri uri;

	if (uri_parse(text, &uri) != ERR_OK || uri.host.n == 0)
		return false;
	if (!str_equal(uri.scheme, STR("https")) && !str_equal(uri.scheme, STR("http")))
		return false;
	if (uri.has_query || uri.has_fragment || uri.has_userinfo)
		return false;
	if (memchr(text.p, '%', text.n) || !is_plain_path(uri.path))
		return false;
	*ret_uri = uri;
	return true;
}

bool uri_is_web_authority(struct str text)
{
	struct uri uri = { .has_userinfo = false };

	if (text.n > URI_MAX || str_has_nul(text))
		return false;
	return read_authority(text, &uri) && uri.host.n > 0 && !uri.has_userinfo;
}

bool uri_host_is_loopback(struct str host)
{
	static const unsigned char v6_loopback[16] = { [15] = 1 };
	unsigned char address[16];

	if (str_case_equal(host, STR("localhost")))
		return true;
	if (read_address(AF_INET, host, address))
		return address[0] == 127;
	return read_address(AF_INET6, host, address) &&
	       memcmp(address, v6_loopback, sizeof(address)) == 0;
}

bool uri_is_below(struct str base, struct str uri)
{
	if (!base.n || uri.n < base.n || !str_case_equal(str_n(uri.p, base.n), base))
		return false;
	return uri.n == base.n || (uri.p[base.n] && strchr("/?#", uri.p[base.n]));
}
