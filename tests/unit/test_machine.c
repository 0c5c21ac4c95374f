/* lib/oauth/machine.h: machine secrets and refresh tokens as text. */
#include "oauth/machine.h"
#include "tests/unit/suite.h"

static const unsigned char payload[32] = "0123456789abcdef0123456789abcde";
static const unsigned char login[LOGIN_ID_LEN] = "login-id-15chars";
static const unsigned char seed[LOGIN_SEED_LEN] = "seed seed seed seed seed seed s";
static const struct secret key = { "a key" };

static struct refresh_bind binding(void)
{
	return (struct refresh_bind){
		.key = &key,
		.key_id = 3,
		.issuer = STR("https://id.example.com"),
		.epoch = 1,
		.client_id = STR("web"),
		.seed = seed,
	};
}

/* The text stays in the buffer. */
static struct str secret_text(struct buf *b)
{
	struct str text;

	buf_init(b, NULL, 200);
	machine_write(b, MACHINE_CLIENT_SECRET, payload, sizeof(payload));
	ck_assert_int_eq(buf_end(b, &text), ERR_OK);
	return text;
}

static struct str refresh_text(struct buf *b, uint32_t n)
{
	struct refresh_bind bind = binding();
	struct str text;

	buf_init(b, NULL, 200);
	refresh_write(b, &bind, login, n);
	ck_assert_int_eq(buf_end(b, &text), ERR_OK);
	return text;
}

START_TEST(a_machine_secret_comes_back_from_its_text)
{
	unsigned char back[32];
	struct buf b;
	struct str text = secret_text(&b);

	ck_assert(str_starts(text, STR(MACHINE_CLIENT_SECRET)) && str_is_vschar(text));
	ck_assert_uint_eq(text.n, 7 + 48);
	ck_assert_int_eq(machine_read(text, MACHINE_CLIENT_SECRET, back, sizeof(back)), ERR_OK);
	ck_assert_mem_eq(back, payload, sizeof(back));
	buf_done(&b);
}
END_TEST

/* The checksum is the CRC-32 that scanners of other people's repositories can compute. */
START_TEST(the_checksum_is_crc32_of_prefix_and_payload)
{
	struct buf b;
	struct str text;
	unsigned char back[5];

	buf_init(&b, NULL, 100);
	/* "1234" + "56789" is the check string of CRC-32: cbf43926 */
	machine_write(&b, "1234", "56789", 5);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	ck_assert_str_eq(text.p, "1234NTY3ODnL9Dkm");
	ck_assert_int_eq(machine_read(text, "1234", back, 5), ERR_OK);
	buf_done(&b);
}
END_TEST

static void assert_unreadable(const char *p, size_t n)
{
	unsigned char back[32] = "kept";

	ck_assert_int_eq(machine_read(str_n(p, n), MACHINE_CLIENT_SECRET, back, sizeof(back)),
			 ERR_SYNTAX);
	ck_assert_str_eq((const char *)back, "kept");
}

/* CVE-2026-27840: truncated tokens that were still valid */
START_TEST(every_other_text_than_the_one_that_was_issued_is_refused)
{
	struct buf b;
	struct str text = secret_text(&b);
	char copy[100];

	for (size_t n = 0; n < text.n; n++)
		assert_unreadable(text.p, n);
	for (size_t i = 0; i < text.n; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(copy, text.p, text.n);
			copy[i] = (char)(copy[i] ^ (1 << bit));
			assert_unreadable(copy, text.n);
		}
	}
	memcpy(copy, text.p, text.n);
	copy[text.n] = 'A';
	assert_unreadable(copy, text.n + 1);
	copy[text.n] = '=';
	assert_unreadable(copy, text.n + 1);
	copy[text.n] = '\0';
	assert_unreadable(copy, text.n + 1);
	assert_unreadable(copy + 1, text.n - 1);
	assert_unreadable(NULL, 0);
	buf_done(&b);
}
END_TEST

START_TEST(a_secret_of_one_kind_is_not_read_as_another)
{
	unsigned char back[53];
	struct refresh_name name;
	struct buf b;
	struct str text = secret_text(&b);
	char copy[100];

	ck_assert_int_eq(machine_read(text, MACHINE_REFRESH, back, 32), ERR_SYNTAX);
	ck_assert_int_eq(machine_read(text, MACHINE_CLIENT_SECRET, back, 31), ERR_SYNTAX);
	ck_assert_int_eq(machine_read(text, MACHINE_CLIENT_SECRET, back, 33), ERR_SYNTAX);
	ck_assert_int_eq(refresh_read(text, &name), ERR_SYNTAX);
	/* not even with the other's prefix: it is part of the checksum */
	memcpy(copy, text.p, text.n);
	memcpy(copy, MACHINE_REFRESH, 7);
	ck_assert_int_eq(machine_read(str_n(copy, text.n), MACHINE_REFRESH, back, 32), ERR_SYNTAX);
	buf_done(&b);
}
END_TEST

START_TEST(a_refresh_token_tells_its_login_and_generation)
{
	static const uint32_t generations[] = { 0, 1, 255, 256, 65536, UINT32_MAX };

	for (size_t i = 0; i < COUNT(generations); i++) {
		struct refresh_bind bind = binding();
		struct refresh_name name;
		struct buf b;
		struct str text = refresh_text(&b, generations[i]);

		ck_assert_int_eq(refresh_read(text, &name), ERR_OK);
		ck_assert_uint_eq(name.key_id, 3);
		ck_assert_mem_eq(name.login, login, LOGIN_ID_LEN);
		ck_assert_uint_eq(name.n, generations[i]);
		ck_assert(refresh_genuine(&name, &bind));
		buf_done(&b);
	}
}
END_TEST

/* A token in a client's hands must be genuine after an upgrade too. */
START_TEST(a_refresh_token_stays_what_it_was)
{
	struct buf b;

	ck_assert_str_eq(refresh_text(&b, 7).p,
			 "chy_rt_A2xvZ2luLWlkLTE1Y2hhcnMAAAAHffVt9rdmfqfdDhNuKTaLyZSLkUkjn2l6vH2iw-"
			 "x5BCso5ij7");
	buf_done(&b);
}
END_TEST

START_TEST(a_refresh_token_is_genuine_for_exactly_what_it_was_made_for)
{
	static const struct secret other_key = { "b key" };
	static const unsigned char other_seed[LOGIN_SEED_LEN] = "seed seed seed seed seed seed t";
	struct refresh_bind binds[6];
	struct refresh_name name, changed;
	struct buf b;

	ck_assert_int_eq(refresh_read(refresh_text(&b, 7), &name), ERR_OK);
	for (size_t i = 0; i < COUNT(binds); i++)
		binds[i] = binding();
	binds[0].key = &other_key;
	binds[1].seed = other_seed;
	binds[2].issuer = STR("https://id.example.co");
	binds[3].epoch = 2;
	binds[4].client_id = STR("wec");
	/* the same bytes, cut elsewhere */
	binds[5].issuer = STR("https://id.example.comw");
	binds[5].client_id = STR("eb");
	for (size_t i = 0; i < COUNT(binds); i++)
		ck_assert_msg(!refresh_genuine(&name, &binds[i]), "%zu", i);
	binds[0] = binding();
	changed = name;
	changed.n++;
	ck_assert(!refresh_genuine(&changed, &binds[0]));
	changed = name;
	changed.login[15] ^= 1;
	ck_assert(!refresh_genuine(&changed, &binds[0]));
	changed = name;
	changed.key_id++;
	ck_assert(!refresh_genuine(&changed, &binds[0]));
	changed = name;
	changed.mac[31] ^= 0x80;
	ck_assert(!refresh_genuine(&changed, &binds[0]));
	ck_assert(refresh_genuine(&name, &binds[0]));
	buf_done(&b);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_machine_secret_comes_back_from_its_text,
		the_checksum_is_crc32_of_prefix_and_payload,
		every_other_text_than_the_one_that_was_issued_is_refused,
		a_secret_of_one_kind_is_not_read_as_another,
		a_refresh_token_tells_its_login_and_generation,
		a_refresh_token_stays_what_it_was,
		a_refresh_token_is_genuine_for_exactly_what_it_was_made_for,
	};

	if (secret_library_init())
		return EXIT_FAILURE;
	return suite_run("machine", tests, COUNT(tests));
}
