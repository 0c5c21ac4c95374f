/* Rows of keys.consumers: what can be written there, and who is meant by it. */
#include "server/state/consumer_match.h"
#include "tests/unit/suite.h"

#define SIXTEEN "0123456789abcdef"
#define HASH SIXTEEN SIXTEEN SIXTEEN SIXTEEN
#define PAIRS "01:23:45:67:89:AB:CD:EF"

static struct consumer_match parsed(const char *text)
{
	struct consumer_match m;

	ck_assert_msg(consumer_match_parse(str_z(text), &m) == ERR_OK, "%s", text);
	return m;
}

START_TEST(a_certificate_is_its_hash_with_colons_or_without)
{
	static const char *const rows[] = {
		"edge=sha256:" HASH,
		"edge=sha256:" PAIRS ":" PAIRS ":" PAIRS ":" PAIRS,
	};
	unsigned char certificate[CERTIFICATE_HASH_LEN];
	struct address any;

	ck_assert_int_eq(address_parse(STR("192.0.2.7"), &any), ERR_OK);
	for (size_t i = 0; i < sizeof(certificate); i++)
		certificate[i] = (unsigned char)(0x01 + 0x22 * (i % 8));
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct consumer_match m = parsed(rows[i]);

		ck_assert(str_equal_z(m.name, "edge"));
		ck_assert(consumer_match_fits(&m, &any, certificate));
		ck_assert(consumer_match_fits(&m, NULL, certificate));
		ck_assert(!consumer_match_fits(&m, &any, NULL));
		certificate[CERTIFICATE_HASH_LEN - 1] ^= 1;
		ck_assert(!consumer_match_fits(&m, &any, certificate));
		certificate[CERTIFICATE_HASH_LEN - 1] ^= 1;
	}
}
END_TEST

START_TEST(a_network_is_an_address_whatever_certificate_it_shows)
{
	const struct consumer_match m = parsed("pods=10.1.0.0/16");
	const unsigned char certificate[CERTIFICATE_HASH_LEN] = { 0 };
	struct address inside, outside;

	ck_assert_int_eq(address_parse(STR("10.1.200.3"), &inside), ERR_OK);
	ck_assert_int_eq(address_parse(STR("10.2.0.1"), &outside), ERR_OK);
	ck_assert(str_equal_z(m.name, "pods"));
	ck_assert(consumer_match_fits(&m, &inside, NULL));
	ck_assert(!consumer_match_fits(&m, &outside, certificate));
	ck_assert(!consumer_match_fits(&m, NULL, certificate));
}
END_TEST

START_TEST(everything_else_is_refused)
{
	static const char *const rows[] = {
		"",
		"edge",
		"=sha256:" HASH,
		"sha256:" HASH,
		"a b=sha256:" HASH,
		"edge=sha256:",
		"edge=sha256:" SIXTEEN SIXTEEN SIXTEEN,
		"edge=sha256:" HASH "0",
		"edge=sha256:" SIXTEEN SIXTEEN SIXTEEN "0123456789abcdeg",
		"edge=SHA256:" HASH,
		"edge=sha1:" HASH,
		"edge=sha256:" PAIRS ":" PAIRS ":" PAIRS "-" PAIRS,
		"edge=sha256:" PAIRS ":" PAIRS ":" PAIRS ":" PAIRS ":",
		"edge=10.0.0.0/8/8",
	};
	struct consumer_match m;

	for (size_t i = 0; i < COUNT(rows); i++)
		ck_assert_msg(consumer_match_parse(str_z(rows[i]), &m) == ERR_SYNTAX, "%s",
			      rows[i]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_certificate_is_its_hash_with_colons_or_without,
		a_network_is_an_address_whatever_certificate_it_shows,
		everything_else_is_refused,
	};

	return suite_run("consumer match", tests, COUNT(tests));
}
