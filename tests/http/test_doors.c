/* Doors: sockets, certificates, who is behind a proxy, and heads without a connection. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http_fixture.h"
#include "server/http/head.h"
#include "server/http/proxy.h"
#include "../unit/suite.h"

#define HOST "Host: x\r\n"

/* ---- sockets ---- */

struct spelling {
	const char *text;
	enum err e;
};

static const struct spelling addresses[] = {
	{ "127.0.0.1:0", ERR_OK },
	{ "[::1]:0", ERR_OK },
	{ "localhost:0", ERR_SYNTAX },
	{ "[::]:0", ERR_OK },
	{ "0.0.0.0:0", ERR_OK },
	{ "127.0.0.1", ERR_SYNTAX },
	{ "127.0.0.1:", ERR_SYNTAX },
	{ ":8080", ERR_SYNTAX },
	{ "127.0.0.1:65536", ERR_SYNTAX },
	{ "127.0.0.1:-1", ERR_SYNTAX },
	{ "::1:8080", ERR_SYNTAX },
	{ "[::1:8080", ERR_SYNTAX },
	{ "example.com:80", ERR_SYNTAX },
	{ "127.1:80", ERR_SYNTAX },
	{ "", ERR_SYNTAX },
	{ "[127.0.0.1]:80", ERR_SYNTAX },
	{ "192.0.2.1:0", ERR_IO }, /* not ours */
};

START_TEST(addresses_are_literals_with_a_port)
{
	for (size_t i = 0; i < COUNT(addresses); i++) {
		struct listen_fault fault = { .text = "" };
		int fds[3] = { -1, -1, -1 };
		unsigned port = 0;
		enum err e = listen_tcp(str_z(addresses[i].text), 3, fds, &port, &fault);

		ck_assert_msg(e == addresses[i].e, "%s: %s %s", addresses[i].text, err_name(e),
			      fault.text);
		ck_assert(e == ERR_OK || (fault.text[0] && fds[0] == -1));
		ck_assert(e != ERR_OK || port);
		for (int j = 0; j < 3 && e == ERR_OK; j++)
			close(fds[j]);
	}
}
END_TEST

START_TEST(a_port_shared_by_our_workers_is_not_shared_with_a_second_server)
{
	struct listen_fault fault = { .text = "" };
	int ours[2], theirs[2];
	char address[32];
	unsigned port, again;

	ck_assert_int_eq(listen_tcp(STR("127.0.0.1:0"), 2, ours, &port, &fault), ERR_OK);
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	ck_assert_int_eq(listen_tcp(str_z(address), 2, theirs, &again, &fault), ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(fault.text, address));
	close(ours[0]);
	close(ours[1]);
	ck_assert_int_eq(listen_tcp(str_z(address), 2, theirs, &again, &fault), ERR_OK);
	close(theirs[0]);
	close(theirs[1]);
}
END_TEST

START_TEST(a_unix_socket_is_ours_alone_and_replaces_only_a_dead_one)
{
	struct listen_fault fault = { .text = "" };
	char dir[] = "/tmp/chancery-doors-XXXXXX";
	char path[64];
	char long_path[200];
	struct stat st;
	int fd, second;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	ck_assert_int_eq(listen_unix(path, LISTEN_OWNER, &fd, &fault), ERR_OK);
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(listen_unix(path, LISTEN_OWNER, &second, &fault), ERR_CONFLICT);
	close(fd);
	ck_assert_int_eq(listen_unix(path, LISTEN_OWNER, &fd, &fault), ERR_OK);
	close(fd);
	ck_assert_int_eq(listen_unix(path, LISTEN_GROUP, &fd, &fault), ERR_OK);
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0660);
	close(fd);
	unlink(path);
	/* what is no socket stays */
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(listen_unix(path, LISTEN_OWNER, &fd, &fault), ERR_CONFLICT);
	ck_assert_int_eq(rmdir(path), 0);
	memset(long_path, 'x', sizeof(long_path));
	long_path[0] = '/';
	long_path[199] = '\0';
	ck_assert_int_eq(listen_unix(long_path, LISTEN_OWNER, &fd, &fault), ERR_LIMIT);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(the_socket_knows_its_peer)
{
	struct house h;
	char expected[64];
	int fd;

	house_up(&h, &(struct house_options){ .unix_socket = true });
	snprintf(expected, sizeof(expected), "unix 1 %d", (int)geteuid());
	fd = client_connect_unix(&h);
	client_send(fd, "GET /who HTTP/1.1\r\n" HOST "\r\n");
	ck_assert_str_eq(strstr(client_response(fd), "\r\n\r\n") + 4, expected);
	close(fd);
	/* over TCP nobody is trusted by who they are */
	ck_assert_str_eq(
		strstr(client_ask(&h, "GET /who HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"),
		       "\r\n\r\n") +
			4,
		"127.0.0.1 0 -1");
	house_down(&h);
}
END_TEST

/* Root can become others; without root there is nobody to become. */
static void uid_of_peer(uid_t uid, bool trusted)
{
	int pair[2], client, status;
	int64_t seen = 0;
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "\0chancery-peer-test" };
	pid_t child;

	pair[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(pair[0], (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(pair[0], 1), 0);
	child = fork();
	if (child == 0) {
		client = socket(AF_UNIX, SOCK_STREAM, 0);
		if (setuid(uid) || connect(client, (struct sockaddr *)&a, sizeof(a)))
			_exit(1);
		_exit(0);
	}
	pair[1] = accept(pair[0], NULL, NULL);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(listen_peer_trusted(pair[1], &seen), trusted);
	ck_assert_int_eq(seen, uid);
	close(pair[0]);
	close(pair[1]);
}

START_TEST(another_user_and_the_overflow_user_are_not_trusted)
{
	if (geteuid() != 0)
		return;
	uid_of_peer(0, true);
	uid_of_peer(1, false);
	uid_of_peer(65534, false);
}
END_TEST

/* ---- TLS ---- */

/* What openssl's client says after `request`; its own process, its own idea of TLS. */
static const char *over_tls(const struct house *h, const char *arguments, const char *request)
{
	static char text[65536];
	char command[512];
	FILE *p;
	size_t n;

	snprintf(command, sizeof(command),
		 "(printf '%s'; sleep 0.3) | openssl s_client -connect 127.0.0.1:%u %s 2>&1",
		 request, h->port, arguments);
	p = popen(command, "r");
	ck_assert_ptr_nonnull(p);
	n = fread(text, 1, sizeof(text) - 1, p);
	text[n] = '\0';
	pclose(p);
	return text;
}

#define TLS_REQUEST "GET /plain HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n"

START_TEST(tls_carries_a_request_and_refuses_old_versions)
{
	char arguments[256];
	const char *text;
	struct house h;

	house_up(&h, &(struct house_options){ .tls = true });
	snprintf(arguments, sizeof(arguments), "-CAfile %s/first.crt -verify_return_error", h.dir);
	text = over_tls(&h, arguments, TLS_REQUEST);
	ck_assert_msg(strstr(text, "HTTP/1.1 200 OK") && strstr(text, "TLSv1.3"), "%s", text);
	text = over_tls(&h, "-tls1_2 -quiet", TLS_REQUEST);
	ck_assert_msg(strstr(text, "HTTP/1.1 200 OK"), "%s", text);
	text = over_tls(&h, "-tls1_1 -cipher ALL:@SECLEVEL=0 -quiet", TLS_REQUEST);
	ck_assert_msg(!strstr(text, "200 OK"), "%s", text);
	/* plain HTTP to a TLS port ends */
	ck_assert_int_eq(status_of(client_ask(&h, "GET /plain HTTP/1.1\r\n" HOST "\r\n")), 0);
	house_down(&h);
}
END_TEST

/* RFC 9325 4.1 and 4.2: no static RSA (without forward secrecy), no CBC, no SHA-1. */
START_TEST(tls_takes_strong_ciphers_only)
{
	static const char *const weak[] = {
		"AES128-GCM-SHA256",	     "AES128-SHA",
		"ECDHE-ECDSA-AES128-SHA",    "ECDHE-ECDSA-AES128-CCM",
		"ECDHE-ECDSA-AES256-SHA384", "DHE-RSA-AES128-GCM-SHA256",
	};
	static const char *const strong[] = {
		"ECDHE-ECDSA-AES128-GCM-SHA256",
		"ECDHE-ECDSA-AES256-GCM-SHA384",
		"ECDHE-ECDSA-CHACHA20-POLY1305",
	};
	char arguments[256];
	struct house h;

	house_up(&h, &(struct house_options){ .tls = true });
	for (size_t i = 0; i < COUNT(weak) + COUNT(strong); i++) {
		const char *name = i < COUNT(weak) ? weak[i] : strong[i - COUNT(weak)];
		const char *text;

		snprintf(arguments, sizeof(arguments), "-tls1_2 -cipher %s:@SECLEVEL=0 -quiet",
			 name);
		text = over_tls(&h, arguments, TLS_REQUEST);
		ck_assert_msg(!strstr(text, "200 OK") == (i < COUNT(weak)), "%s: %s", name, text);
	}
	house_down(&h);
}
END_TEST

START_TEST(a_parked_request_over_tls_is_answered)
{
	const char *text;
	struct house h;

	house_up(&h, &(struct house_options){ .tls = true });
	atomic_store(&gate_open, true);
	text = over_tls(&h, "-quiet",
			"GET /park HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n");
	ck_assert_msg(strstr(text, "waited"), "%s", text);
	house_down(&h);
}
END_TEST

static void reload(struct house *h, const char *crt_name, const char *key_name, enum err wanted)
{
	struct tls_fault fault = { .text = "" };
	struct tls_cert *fresh;
	char crt[128], key[128];
	enum err e;

	house_path(h, crt_name, crt, sizeof(crt));
	house_path(h, key_name, key, sizeof(key));
	e = tls_load(crt, key, &fresh, &fault);
	if (!e)
		tls_replace(h->tls, fresh);
	ck_assert_msg(e == wanted, "%s: %s", err_name(e), fault.text);
	ck_assert(e == ERR_OK || strstr(fault.text, h->dir));
}

/* OpenSSL 3.0 prints "CN = first", 3.5 "CN=first". */
static bool shows_name(const char *text, const char *name)
{
	char spaced[32], tight[32];

	snprintf(spaced, sizeof(spaced), "CN = %s", name);
	snprintf(tight, sizeof(tight), "CN=%s", name);
	return strstr(text, spaced) || strstr(text, tight);
}

START_TEST(certificates_are_replaced_whole_or_not_at_all)
{
	char command[256];
	struct house h;

	house_up(&h, &(struct house_options){ .tls = true });
	make_certificate(&h, "second", "second");
	snprintf(command, sizeof(command), "echo nonsense > %s/broken.crt; : > %s/empty.key", h.dir,
		 h.dir);
	ck_assert_int_eq(system(command), 0);
	reload(&h, "missing.crt", "second.key", ERR_IO);
	reload(&h, "broken.crt", "second.key", ERR_SYNTAX);
	reload(&h, "second.crt", "empty.key", ERR_SYNTAX);
	reload(&h, "second.crt", "first.key", ERR_CONFLICT);
	ck_assert(shows_name(over_tls(&h, "", TLS_REQUEST), "first"));
	reload(&h, "second.crt", "second.key", ERR_OK);
	ck_assert(shows_name(over_tls(&h, "", TLS_REQUEST), "second"));
	house_down(&h);
}
END_TEST

/* ---- proxies ---- */

static const struct spelling blocks[] = {
	{ "10.0.0.0/8", ERR_OK },	{ "10.0.0.1", ERR_OK },
	{ "2001:db8::/32", ERR_OK },	{ "::1", ERR_OK },
	{ "0.0.0.0/0", ERR_OK },	{ "::ffff:10.0.0.0/104", ERR_OK },
	{ "10.0.0.1/8", ERR_SYNTAX },	{ "10.0.0.0/33", ERR_SYNTAX },
	{ "10.0.0.0/", ERR_SYNTAX },	{ "10.0.0.0/-1", ERR_SYNTAX },
	{ "10.0.0", ERR_SYNTAX },	{ "", ERR_SYNTAX },
	{ "::1/129", ERR_SYNTAX },	{ "proxy.example", ERR_SYNTAX },
	{ "10.0.0.0/8/8", ERR_SYNTAX },
};

START_TEST(trusted_proxies_are_addresses_or_blocks)
{
	for (size_t i = 0; i < COUNT(blocks); i++) {
		struct network n;
		enum err e = network_parse(str_z(blocks[i].text), &n);

		ck_assert_msg(e == blocks[i].e, "%s: %s", blocks[i].text, err_name(e));
	}
}
END_TEST

struct walk {
	const char *peer, *x_forwarded_for, *forwarded, *client;
};

/* Trusted: 10.0.0.0/8, 192.0.2.7, 2001:db8::/32. */
static const struct walk walks[] = {
	{ "198.51.100.1", "1.2.3.4", NULL, "198.51.100.1" }, /* not trusted: not looked at */
	{ "10.0.0.1", NULL, NULL, "10.0.0.1" },
	{ "10.0.0.1", "1.2.3.4", NULL, "1.2.3.4" },
	{ "::ffff:10.0.0.1", "1.2.3.4", NULL, "1.2.3.4" },
	{ "10.0.0.1", "9.9.9.9, 1.2.3.4", NULL, "1.2.3.4" }, /* left of it anybody may write */
	{ "10.0.0.1", "9.9.9.9, 1.2.3.4, 10.1.1.1,192.0.2.7", NULL, "1.2.3.4" },
	{ "10.0.0.1", "10.0.0.2, 10.0.0.3", NULL, "10.0.0.2" },
	{ "10.0.0.1", "1.2.3.4:4711", NULL, "1.2.3.4" },
	{ "10.0.0.1", "[2600::1]:4711", NULL, "2600::1" },
	{ "10.0.0.1", "2600::1", NULL, "2600::1" },
	{ "10.0.0.1", "::ffff:1.2.3.4", NULL, "1.2.3.4" },
	{ "2001:db8::1", "1.2.3.4", NULL, "1.2.3.4" },
	{ "10.0.0.1", "1.2.3.4, unknown", NULL, "10.0.0.1" },
	{ "10.0.0.1", "1.2.3.4, unknown, 10.0.0.9", NULL, "10.0.0.9" },
	{ "10.0.0.1", "1.2.3.4,", NULL, "10.0.0.1" },
	{ "10.0.0.1", "", NULL, "10.0.0.1" },
	{ "10.0.0.1", "1.2.3.4 5.6.7.8", NULL, "10.0.0.1" },
	{ "10.0.0.1", "[1.2.3.4", NULL, "10.0.0.1" },
	{ "10.0.0.1", NULL, "for=1.2.3.4", "1.2.3.4" },
	{ "10.0.0.1", NULL, "For=\"[2600::1]:80\";proto=https;by=10.0.0.1", "2600::1" },
	{ "10.0.0.1", NULL, "for=9.9.9.9, proto=http; for=1.2.3.4", "1.2.3.4" },
	{ "10.0.0.1", NULL, "for=1.2.3.4, for=10.0.0.2", "1.2.3.4" },
	{ "10.0.0.1", NULL, "for=_hidden", "10.0.0.1" },
	{ "10.0.0.1", NULL, "proto=https", "10.0.0.1" },
	/* one of two was written by a stranger */
	{ "10.0.0.1", "1.2.3.4", "for=5.6.7.8", "10.0.0.1" },
	{ "10.0.0.1", "1.2.3.4", "for=1.2.3.4", "1.2.3.4" },
};

START_TEST(the_client_is_the_rightmost_untrusted_entry)
{
	static const char *const texts[] = { "10.0.0.0/8", "192.0.2.7", "2001:db8::/32" };
	struct network networks[COUNT(texts)];
	const struct network_list trusted = { networks, COUNT(texts) };

	for (size_t i = 0; i < COUNT(texts); i++)
		ck_assert_int_eq(network_parse(str_z(texts[i]), &networks[i]), ERR_OK);
	for (size_t i = 0; i < COUNT(walks); i++) {
		const struct walk *w = &walks[i];
		struct head head = { .next = NULL };
		struct address peer, client;
		char text[ADDRESS_TEXT_MAX];

		head_begin(&head, STR("GET"), STR("/"), STR("HTTP/1.1"));
		if (w->x_forwarded_for)
			head_field(&head, STR("X-Forwarded-For"), str_z(w->x_forwarded_for));
		if (w->forwarded)
			head_field(&head, STR("forwarded"), str_z(w->forwarded));
		ck_assert_int_eq(address_parse(str_z(w->peer), &peer), ERR_OK);
		proxy_client(&trusted, &peer, &head, &client);
		address_write(&client, text);
		ck_assert_msg(!strcmp(text, w->client), "%zu: %s, not %s", i, text, w->client);
	}
}
END_TEST

/* A header line for each hop: the last line is the nearest one's, however many came before. */
START_TEST(lines_of_a_forwarding_header_count_from_the_last)
{
	struct network one;
	const struct network_list trusted = { &one, 1 };
	struct head head = { .next = NULL };
	struct address client;
	char text[ADDRESS_TEXT_MAX];

	ck_assert_int_eq(network_parse(STR("10.0.0.1"), &one), ERR_OK);
	head_begin(&head, STR("GET"), STR("/"), STR("HTTP/1.1"));
	for (int i = 0; i < 100; i++)
		head_field(&head, STR("X-Forwarded-For"), STR("9.9.9.9"));
	head_field(&head, STR("X-Forwarded-For"), STR("1.2.3.4"));
	head_field(&head, STR("X-Forwarded-For"), STR("10.0.0.1"));
	proxy_client(&trusted, &one.base, &head, &client);
	address_write(&client, text);
	ck_assert_str_eq(text, "1.2.3.4");
}
END_TEST

START_TEST(the_table_of_proxies_comes_from_the_configuration)
{
	static const char request[] = "GET /who HTTP/1.1\r\n" HOST "X-Forwarded-For: 1.2.3.4\r\n"
				      "Connection: close\r\n\r\n";
	struct house h;

	house_up(&h, &(struct house_options){ .trusted_proxies = "127.0.0.0/8" });
	ck_assert_str_eq(strstr(client_ask(&h, request), "\r\n\r\n") + 4, "1.2.3.4 0 -1");
	house_down(&h);
	house_up(&h, &(struct house_options){ .trusted_proxies = "10.0.0.0/8" });
	ck_assert_str_eq(strstr(client_ask(&h, request), "\r\n\r\n") + 4, "127.0.0.1 0 -1");
	house_down(&h);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		addresses_are_literals_with_a_port,
		a_port_shared_by_our_workers_is_not_shared_with_a_second_server,
		a_unix_socket_is_ours_alone_and_replaces_only_a_dead_one,
		the_socket_knows_its_peer,
		another_user_and_the_overflow_user_are_not_trusted,
		tls_carries_a_request_and_refuses_old_versions,
		tls_takes_strong_ciphers_only,
		a_parked_request_over_tls_is_answered,
		certificates_are_replaced_whole_or_not_at_all,
		trusted_proxies_are_addresses_or_blocks,
		the_client_is_the_rightmost_untrusted_entry,
		lines_of_a_forwarding_header_count_from_the_last,
		the_table_of_proxies_comes_from_the_configuration,
	};

	return suite_run("doors", tests, COUNT(tests));
}
