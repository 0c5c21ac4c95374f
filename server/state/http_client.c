/* A thin skin over libcurl's easy interface, opened at run time (the header says why). */
#include "server/state/http_client.h"

#include <dlfcn.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <curl/curl.h>

enum { HTTP_TIMEOUT_MS = 30000, HTTP_CONNECT_TIMEOUT_MS = 5000, HTTP_HEADERS_TEXT_MAX = 16384 };

/* What we call, under libcurl's own signatures. */
struct curl_calls {
	CURLcode (*global_init)(long flags);
	CURL *(*easy_init)(void);
	CURLcode (*easy_setopt)(CURL *curl, CURLoption option, ...);
	CURLcode (*easy_perform)(CURL *curl);
	CURLcode (*easy_getinfo)(CURL *curl, CURLINFO info, ...);
	CURLHcode (*easy_header)(CURL *curl, const char *name, size_t index, unsigned origin,
				 int request, struct curl_header **ret_header);
	void (*easy_cleanup)(CURL *curl);
	const char *(*easy_strerror)(CURLcode code);
	struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
	void (*slist_free_all)(struct curl_slist *list);
};

static const struct {
	const char *name;
	size_t offset;
} symbols[] = {
	{ "curl_global_init", offsetof(struct curl_calls, global_init) },
	{ "curl_easy_init", offsetof(struct curl_calls, easy_init) },
	{ "curl_easy_setopt", offsetof(struct curl_calls, easy_setopt) },
	{ "curl_easy_perform", offsetof(struct curl_calls, easy_perform) },
	{ "curl_easy_getinfo", offsetof(struct curl_calls, easy_getinfo) },
	{ "curl_easy_header", offsetof(struct curl_calls, easy_header) },
	{ "curl_easy_cleanup", offsetof(struct curl_calls, easy_cleanup) },
	{ "curl_easy_strerror", offsetof(struct curl_calls, easy_strerror) },
	{ "curl_slist_append", offsetof(struct curl_calls, slist_append) },
	{ "curl_slist_free_all", offsetof(struct curl_calls, slist_free_all) },
};

struct http_client {
	void *library;
	struct curl_calls lib;
};

/* One call on its way. */
struct exchange {
	const struct curl_calls *lib;
	CURL *curl;
	struct curl_slist *headers;
	struct arena *arena;
	struct buf body;
	struct http_answer *answer;
	bool failed; /* a header or an option did not take */
	char why[CURL_ERROR_SIZE];
};

static bool load_symbols(struct http_client *client)
{
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *p = dlsym(client->library, symbols[i].name);

		if (!p)
			return false;
		/* POSIX's own way around ISO C, where data and function pointers do not convert */
		memcpy((char *)&client->lib + symbols[i].offset, &p, sizeof(p));
	}
	return true;
}

static const char *open_library(struct http_client *client)
{
	/* the OpenSSL flavour, or the GnuTLS one that git brings along: one interface */
	static const char *const names[] = { "libcurl.so.4", "libcurl-gnutls.so.4" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !client->library; i++)
		client->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!client->library)
		return "libcurl (libcurl.so.4) is needed for this: install libcurl4";
	if (!load_symbols(client))
		return "the libcurl that is installed lacks what we need";
	if (client->lib.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return "libcurl does not start";
	return NULL;
}

enum err http_client_new(struct http_client **ret_client, const char **ret_why)
{
	AUTO(http_client, client) = calloc(1, sizeof(*client));
	const char *why;

	if (!client)
		return ERR_NOMEM;
	why = open_library(client);
	if (why) {
		*ret_why = why;
		return ERR_UNSUPPORTED;
	}
	*ret_client = TAKE(client);
	return ERR_OK;
}

/* The library stays open: unloading it under its own threads' destructors gains nothing at exit. */
void http_client_free(struct http_client *client)
{
	free(client);
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;

	buf_add(&x->body, p, size * n);
	return x->body.err ? 0 : size * n;
}

/* Of the answer itself: neither of interim ones nor of what follows the body. */
static struct str field(struct exchange *x, const char *name)
{
	struct curl_header *found;
	struct str text = STR_NONE;
	struct buf b;
	size_t i = 0;

	buf_init(&b, x->arena, HTTP_FIELD_MAX);
	while (x->lib->easy_header(x->curl, name, i, CURLH_HEADER, -1, &found) == CURLHE_OK) {
		buf_z(&b, i++ ? ", " : "");
		buf_z(&b, found->value);
	}
	if (i == 0)
		return STR_NONE;
	return buf_end(&b, &text) ? STR("") : text;
}

static void take_fields(struct exchange *x, const struct http_call *call)
{
	struct str etag = field(x, "ETag");

	if (etag.n < HTTP_ETAG_MAX)
		snprintf(x->answer->etag, HTTP_ETAG_MAX, "%.*s", STR_ARG(etag));
	for (size_t i = 0; i < call->field_count; i++)
		call->fields[i].value = field(x, call->fields[i].name);
}

static void header(struct exchange *x, const char *name, struct str value)
{
	struct curl_slist *more;
	struct buf line;
	struct str text;

	buf_init(&line, x->arena, HTTP_HEADERS_TEXT_MAX);
	buf_fmt(&line, "%s: %.*s", name, STR_ARG(value));
	more = buf_end(&line, &text) ? NULL : x->lib->slist_append(x->headers, text.p);
	if (more)
		x->headers = more;
	else
		x->failed = true;
}

#define SET(x, option, value)                                                                      \
	((x)->failed = (x)->lib->easy_setopt((x)->curl, (option), (value)) != CURLE_OK ||          \
		       (x)->failed)

static void set_body(struct exchange *x, const struct http_call *call)
{
	if (!call->body.p)
		return;
	SET(x, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
	SET(x, CURLOPT_POSTFIELDS, call->body.p);
	header(x, "Content-Type", str_z(call->content_type));
	header(x, "Expect", STR("")); /* no waiting for 100 */
}

static void set_credentials(struct exchange *x, const struct http_call *call)
{
	struct str user, password;

	if (call->bearer.p) {
		SET(x, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
		SET(x, CURLOPT_XOAUTH2_BEARER, arena_z(x->arena, call->bearer));
	}
	if (!call->user.p)
		return;
	user = arena_str(x->arena, call->user);
	password = arena_str(x->arena, call->password);
	SET(x, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
	SET(x, CURLOPT_USERNAME, user.p);
	SET(x, CURLOPT_PASSWORD, password.p);
}

static bool is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	if (address->sa_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* Asked with the address itself: what a name means is not known before. */
static curl_socket_t open_local(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	(void)arg;
	if (purpose != CURLSOCKTYPE_IPCXN || !is_loopback(&a->addr))
		return CURL_SOCKET_BAD;
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static bool is_https(const struct http_call *call)
{
	return strncmp(call->url, "https:", 6) == 0;
}

static void set_way(struct exchange *x, const struct http_call *call)
{
	if (call->socket)
		SET(x, CURLOPT_UNIX_SOCKET_PATH, call->socket);
	/* $http_proxy would carry what is meant for this machine to another one, in the clear */
	if (call->direct || !is_https(call))
		SET(x, CURLOPT_PROXY, "");
	if (call->direct && !is_https(call))
		SET(x, CURLOPT_OPENSOCKETFUNCTION, open_local);
	if (call->ca_file)
		SET(x, CURLOPT_CAINFO, call->ca_file);
}

static void set_limits(struct exchange *x, const struct http_call *call)
{
	long ms = call->timeout_ms ? call->timeout_ms : HTTP_TIMEOUT_MS;

	SET(x, CURLOPT_TIMEOUT_MS, ms);
	SET(x, CURLOPT_CONNECTTIMEOUT_MS,
	    ms < HTTP_CONNECT_TIMEOUT_MS ? ms : HTTP_CONNECT_TIMEOUT_MS);
}

static void set_all(struct exchange *x, const struct http_call *call)
{
	SET(x, CURLOPT_ERRORBUFFER, x->why);
	SET(x, CURLOPT_URL, call->url);
	SET(x, CURLOPT_CUSTOMREQUEST, call->method);
	SET(x, CURLOPT_PATH_AS_IS, 1L); /* an id may be ".." */
	SET(x, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(x, CURLOPT_FOLLOWLOCATION, 0L);
	SET(x, CURLOPT_NOSIGNAL, 1L);
	SET(x, CURLOPT_QUICK_EXIT, 1L); /* a name server that hangs does not hold up the answer */
	SET(x, CURLOPT_WRITEFUNCTION, on_body);
	SET(x, CURLOPT_WRITEDATA, x);
	set_way(x, call);
	set_limits(x, call);
	set_body(x, call);
	set_credentials(x, call);
	if (call->if_match.p)
		header(x, "If-Match", call->if_match);
	if (call->accept)
		header(x, "Accept", str_z(call->accept));
	if (call->if_none_match)
		header(x, "If-None-Match", str_z(call->if_none_match));
	SET(x, CURLOPT_HTTPHEADER, x->headers);
}

/* The library's own words, but where they mislead: it knows of no socket that is a file, and says
 * nothing of how a certificate comes to be trusted. */
static void explain(struct exchange *x, const struct http_call *call, CURLcode code,
		    char why[HTTP_WHY_MAX])
{
	const char *words = x->why[0] ? x->why : x->lib->easy_strerror(code);
	long os = 0;

	if (code == CURLE_COULDNT_CONNECT && call->socket &&
	    x->lib->easy_getinfo(x->curl, CURLINFO_OS_ERRNO, &os) == CURLE_OK && os)
		words = strerror((int)os);
	snprintf(why, HTTP_WHY_MAX,
		 code == CURLE_PEER_FAILED_VERIFICATION
			 ? "%.160s; SSL_CERT_FILE names a file of certificates to trust"
			 : "%s",
		 words);
}

static enum err perform(struct exchange *x, const struct http_call *call, char why[HTTP_WHY_MAX])
{
	CURLcode code = x->lib->easy_perform(x->curl);
	long status = 0;

	if (x->body.err)
		return x->body.err;
	if (code != CURLE_OK) {
		explain(x, call, code, why);
		return ERR_UNAVAILABLE;
	}
	if (x->lib->easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK)
		return ERR_INTERNAL;
	x->answer->status = (int)status;
	take_fields(x, call);
	if (arena_failed(x->arena))
		return ERR_NOMEM;
	return buf_end(&x->body, &x->answer->body);
}

enum err http_send(struct http_client *client, struct arena *a, const struct http_call *call,
		   struct http_answer *ret_answer, char why[HTTP_WHY_MAX])
{
	struct exchange x = { .lib = &client->lib, .arena = a, .answer = ret_answer };
	enum err e;

	*ret_answer = (struct http_answer){ .status = 0 };
	why[0] = 0;
	x.curl = x.lib->easy_init();
	if (!x.curl)
		return ERR_NOMEM;
	buf_init(&x.body, a, call->body_max ? call->body_max : HTTP_ANSWER_MAX);
	set_all(&x, call);
	e = x.failed || arena_failed(a) ? ERR_NOMEM : perform(&x, call, why);
	x.lib->slist_free_all(x.headers);
	x.lib->easy_cleanup(x.curl);
	return e;
}

bool http_max_age(struct str cache_control, int64_t *ret_seconds)
{
	struct str directive, name;

	while (str_next(&cache_control, ',', &directive)) {
		directive = str_trim(directive);
		if (str_next(&directive, '=', &name) && str_case_equal(name, STR("max-age")) &&
		    !str_to_i64(directive, 0, INT64_MAX, ret_seconds))
			return true;
	}
	return false;
}
