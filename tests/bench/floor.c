/* The floor: the least a program on libmicrohttpd can do and still answer POST /oauth2/token with a
 * signed JWT. It compares one Basic header with one string, reads one parameter, signs, answers; no
 * database, no limits, no log, no count. scripts/bench runs it beside the server, interleaved,
 * because what a request costs us above this is ours, and what it costs below is the library's and
 * OpenSSL's.
 *
 *     floor ES256|RS256 PORT */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

enum { CLAIMS_MAX = 1024, TOKEN_MAX = 4096, SIGNATURE_MAX = 512, COORDINATE = 32 };

struct floor {
	EVP_PKEY *key;
	EVP_PKEY_CTX *ready; /* initialised once */
	EVP_MD *sha256;
	bool ecdsa;
	const char *header; /* encoded */
};

/* One request between the calls of the library: did the body name our grant? */
struct body {
	bool grant;
};

static size_t b64url(const unsigned char *p, size_t n, char *out)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t length = 0;

	for (size_t i = 0; i < n; i += 3) {
		unsigned v = (unsigned)p[i] << 16;

		if (i + 1 < n)
			v |= (unsigned)p[i + 1] << 8;
		if (i + 2 < n)
			v |= p[i + 2];
		for (size_t k = 0; k < 4 && i + k <= n; k++)
			out[length++] = alphabet[v >> (18 - 6 * k) & 63];
	}
	out[length] = '\0';
	return length;
}

/* DER to r || s (RFC 7518 3.4). */
static size_t flat_ecdsa(unsigned char *signature, size_t n)
{
	const unsigned char *p = signature;
	ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &p, (long)n);

	if (!parsed)
		abort();
	BN_bn2binpad(ECDSA_SIG_get0_r(parsed), signature, COORDINATE);
	BN_bn2binpad(ECDSA_SIG_get0_s(parsed), signature + COORDINATE, COORDINATE);
	ECDSA_SIG_free(parsed);
	return 2 * COORDINATE;
}

static size_t sign(struct floor *f, const char *input, size_t n, unsigned char *signature)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_n;
	size_t length = SIGNATURE_MAX;

	if (!EVP_Digest(input, n, digest, &digest_n, f->sha256, NULL) ||
	    EVP_PKEY_sign(f->ready, signature, &length, digest, digest_n) <= 0)
		abort();
	return f->ecdsa ? flat_ecdsa(signature, length) : length;
}

/* The claims of RFC 9068, with a random jti. */
static size_t claims(char *out, size_t cap)
{
	unsigned char id[16];
	char jti[32];
	long long now = time(NULL);
	int n;

	if (RAND_bytes(id, sizeof(id)) != 1)
		abort();
	b64url(id, sizeof(id), jti);
	n = snprintf(out, cap,
		     "{\"iss\":\"http://127.0.0.1:8080\",\"sub\":\"bench\",\"aud\":"
		     "\"https://bench.example.com\",\"client_id\":\"bench\",\"iat\":%lld,"
		     "\"nbf\":%lld,\"exp\":%lld,\"scope\":\"read write\",\"jti\":\"%s\"}",
		     now, now - 30, now + 600, jti);
	return (size_t)n;
}

static char *answer(struct floor *f, size_t *ret_n)
{
	char payload[CLAIMS_MAX], token[TOKEN_MAX], *text;
	unsigned char signature[SIGNATURE_MAX];
	size_t n = strlen(f->header);
	int length;

	memcpy(token, f->header, n);
	token[n++] = '.';
	n += b64url((unsigned char *)payload, claims(payload, sizeof(payload)), token + n);
	length = (int)sign(f, token, n, signature);
	token[n++] = '.';
	b64url(signature, (size_t)length, token + n);

	text = malloc(TOKEN_MAX + 128);
	if (!text)
		abort();
	length = snprintf(text, TOKEN_MAX + 128,
			  "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":600}",
			  token);
	*ret_n = (size_t)length;
	return text;
}

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status, char *text,
			       size_t n)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(n, text,
									MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", "application/json");
	MHD_add_response_header(response, "Cache-Control", "no-store");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_size, void **state)
{
	static const char right[] = "Basic YmVuY2g6YmVuY2g="; /* bench:bench */
	static const char grant[] = "grant_type=client_credentials";
	struct body *body = *state;
	const char *given;
	size_t n = 0;
	char *text;

	(void)version;
	if (!body) {
		*state = calloc(1, sizeof(*body));
		return *state ? MHD_YES : MHD_NO;
	}
	if (*upload_size) {
		body->grant = *upload_size >= sizeof(grant) - 1 &&
			      memcmp(upload, grant, sizeof(grant) - 1) == 0;
		*upload_size = 0;
		return MHD_YES;
	}
	given = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
	if (strcmp(url, "/oauth2/token") != 0 || strcmp(method, "POST") != 0 || !given ||
	    strcmp(given, right) != 0 || !body->grant)
		return respond(connection, 400, strdup("{}"), 2);
	text = answer(arg, &n);
	return respond(connection, 200, text, n);
}

static void finished(void *arg, struct MHD_Connection *connection, void **state,
		     enum MHD_RequestTerminationCode code)
{
	(void)arg;
	(void)connection;
	(void)code;
	free(*state);
	*state = NULL;
}

static void make_key(struct floor *f)
{
	f->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	f->key = f->ecdsa ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048);
	f->ready = EVP_PKEY_CTX_new_from_pkey(NULL, f->key, NULL);
	if (!f->sha256 || !f->ready || EVP_PKEY_sign_init(f->ready) <= 0 ||
	    EVP_PKEY_CTX_set_signature_md(f->ready, f->sha256) <= 0)
		abort();
	/* {"alg":"...","typ":"at+jwt","kid":"floor"} */
	f->header = f->ecdsa ? "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImZsb29yIn0"
			     : "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImZsb29yIn0";
}

/* The same way of running the library as the server's: its epoll inside ours. */
static void loop(struct MHD_Daemon *daemon)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct epoll_event event = { .events = EPOLLIN };
	int ours = epoll_create1(EPOLL_CLOEXEC);

	if (!info || ours < 0 || epoll_ctl(ours, EPOLL_CTL_ADD, info->epoll_fd, &event) < 0)
		abort();
	for (;;) {
		MHD_UNSIGNED_LONG_LONG left;
		int wait = 1000;

		if (MHD_get_timeout(daemon, &left) == MHD_YES && left < 1000)
			wait = (int)left;
		if (epoll_wait(ours, &event, 1, wait) < 0 && errno != EINTR)
			abort();
		MHD_run(daemon);
	}
}

int main(int argc, char **argv)
{
	struct floor f = { 0 };
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct MHD_Daemon *daemon;

	if (argc != 3) {
		fputs("usage: floor ES256|RS256 PORT\n", stderr);
		return 1;
	}
	f.ecdsa = strcmp(argv[1], "ES256") == 0;
	make_key(&f);
	address.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	daemon = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, handle, &f, MHD_OPTION_NOTIFY_COMPLETED, finished,
		NULL, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)8192, MHD_OPTION_SOCK_ADDR,
		(struct sockaddr *)&address, MHD_OPTION_END);
	if (!daemon) {
		perror("floor");
		return 1;
	}
	loop(daemon);
}
