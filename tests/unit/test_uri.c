/* lib/oauth/uri.h: what is an absolute URI, a resource, an issuer, a loopback host. */
#include "base/limits.h"
#include "oauth/uri.h"
#include "tests/unit/suite.h"

START_TEST(a_uri_is_taken_apart)
{
	struct uri u;

	ck_assert_int_eq(uri_parse(STR("https://u:p@h.example:8443/a/b;c?q=1#f"), &u), ERR_OK);
	ck_assert(str_equal_z(u.scheme, "https") && str_equal_z(u.host, "h.example"));
	ck_assert(str_equal_z(u.port, "8443") && str_equal_z(u.path, "/a/b;c"));
	ck_assert(u.has_query && u.has_fragment && u.has_userinfo);
	ck_assert_int_eq(uri_parse(STR("http://[::1]:80"), &u), ERR_OK);
	ck_assert(str_equal_z(u.host, "::1") && str_equal_z(u.port, "80") && u.path.n == 0);
	ck_assert_int_eq(uri_parse(STR("urn:example:x"), &u), ERR_OK);
	ck_assert(u.host.n == 0 && str_equal_z(u.path, "example:x"));
	ck_assert(!u.has_query && !u.has_fragment && !u.has_userinfo);
	ck_assert_int_eq(uri_parse(STR("https://h?x"), &u), ERR_OK);
	ck_assert(u.has_query && u.path.n == 0);
}
END_TEST

START_TEST(text_that_is_no_absolute_uri_is_refused)
{
	static const char *const texts[] = {
		"",
		"x",
		"/path",
		"//host/path",
		"?q",
		"#f",
		":x",
		"1http://h",
		"ht tp://h",
		"https//h",
		"https://h /",
		"https://h/a b",
		"https://h/\t",
		"https://h/\n",
		"https://h/\x7f",
		"https://h/\xc3\xa4",
		"https://h/<>",
		"https://h/\"",
		"https://h/\\x",
		"https://h\\@e",
		"https://h/^",
		"https://h/`",
		"https://h/{x}",
		"https://h/|",
		"https://h/%",
		"https://h/%4",
		"https://h/%zz",
		"https://h/[x]",
		"https://a@b@c/",
		"https://a:b:c/",
		"https://h:/",
		"https://h:x/",
		"https://h:-1/",
		"https://h:65536/",
		"https://h:000080/",
		"https://[::1",
		"https://[::1]x",
		"https://[::1]:x",
		"https://[]",
		"https://[1.2.3.4]",
		"https://[fe80::1%25eth0]",
		"https://[v1.x]",
		"https://[::g]",
		"https://h/#a#b",
		"https://::1/",
		"https://h]/",
		"https://[[::1]]/",
	};
	char zero[] = "https://h/\0x";
	struct uri u;

	for (size_t i = 0; i < COUNT(texts); i++)
		ck_assert_msg(uri_parse(str_z(texts[i]), &u) == ERR_SYNTAX, "%s", texts[i]);
	ck_assert_int_eq(uri_parse(str_n(zero, sizeof(zero) - 1), &u), ERR_SYNTAX);
	ck_assert_int_eq(uri_parse(STR_NONE, &u), ERR_SYNTAX);
}
END_TEST

START_TEST(a_uri_has_a_limit)
{
	char text[URI_MAX + 2] = "https://h/";
	struct uri u;

	memset(text + 10, 'a', sizeof(text) - 10);
	ck_assert_int_eq(uri_parse(str_n(text, URI_MAX), &u), ERR_OK);
	ck_assert_int_eq(uri_parse(str_n(text, URI_MAX + 1), &u), ERR_LIMIT);
}
END_TEST

/* RFC 8707 2 */
START_TEST(a_resource_is_absolute_and_has_no_fragment)
{
	static const char *const good[] = { "https://api.example.com",
					    "https://api.example.com/v1?x=y", "urn:example:api",
					    "api:main", "custom://host/x" };
	static const char *const bad[] = { "",	       "api",	     "https://h#f", "https://h#",
					   "https://", "https:///x", "http:x",	    "urn:",
					   "HTTPS://", "custom://",  "https://:80/" };

	for (size_t i = 0; i < COUNT(good); i++)
		ck_assert_msg(uri_is_resource(str_z(good[i])), "%s", good[i]);
	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(!uri_is_resource(str_z(bad[i])), "%s", bad[i]);
}
END_TEST

/* RFC 8414 2 */
START_TEST(an_issuer_has_one_spelling)
{
	static const char *const good[] = { "https://id.example.com",
					    "https://id.example.com/tenant/a",
					    "http://127.0.0.1:8080", "https://[::1]:8443/x",
					    "https://h/a.b/..c" };
	static const char *const bad[] = {
		"",
		"https://",
		"https://h/",
		"https://h/a/",
		"https://h//a",
		"https://h/./a",
		"https://h/..",
		"https://h/a/../b",
		"https://h/%2e%2e",
		"https://h?x",
		"https://h#f",
		"https://u@h",
		"https://h?",
		"https://h#",
		"ftp://h",
		"HTTPS://h",
		"Https://h",
		"urn:issuer",
		"h",
		"https:h",
		"https://@h",
		"https://h:/",
		"https:///a",
	};
	struct uri u;

	for (size_t i = 0; i < COUNT(good); i++)
		ck_assert_msg(uri_is_issuer(str_z(good[i]), &u), "%s", good[i]);
	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(!uri_is_issuer(str_z(bad[i]), &u), "%s", bad[i]);
}
END_TEST

/* CVE-2026-18211: "localhost" as a prefix */
START_TEST(loopback_is_an_address_or_one_word)
{
	static const char *const good[] = { "127.0.0.1", "127.255.255.254", "::1",
					    "localhost", "LOCALHOST",	    "0:0:0:0:0:0:0:1" };
	static const char *const bad[] = { "",
					   "localhost.evil.test",
					   "127.0.0.1.evil.test",
					   "128.0.0.1",
					   "127.1",
					   "127.0.0.01x",
					   "::2",
					   "::ffff:127.0.0.1",
					   "0.0.0.0",
					   "evillocalhost",
					   "localhost.",
					   "[::1]" };

	for (size_t i = 0; i < COUNT(good); i++)
		ck_assert_msg(uri_host_is_loopback(str_z(good[i])), "%s", good[i]);
	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_msg(!uri_host_is_loopback(str_z(bad[i])), "%s", bad[i]);
	ck_assert(!uri_host_is_loopback(STR("127.0.0.1\0x")));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_uri_is_taken_apart,	    text_that_is_no_absolute_uri_is_refused,
		a_uri_has_a_limit,	    a_resource_is_absolute_and_has_no_fragment,
		an_issuer_has_one_spelling, loopback_is_an_address_or_one_word,
	};

	return suite_run("uri", tests, COUNT(tests));
}
