/* chancery_fetch for those who have no HTTP client of their own, on libcurl: a library beside
 * libchancery, so that who brings a client need not link this one.
 *
 * One handle a call: what libcurl keeps of a connection is worth little for two documents every few
 * minutes, and a handle that threads share would need a lock. */
#include "chancery.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <curl/curl.h>

enum { HEADER_MAX = 256 };

struct exchange {
	CURL *curl;
	struct curl_slist *headers;
	struct chancery_response *response;
	int failed; /* an option or a header did not take */
};

static pthread_once_t library_started = PTHREAD_ONCE_INIT;

static void start_library(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct chancery_response *r = ((struct exchange *)arg)->response;
	size_t more = size * n;

	if (more > r->body_max - r->body_len)
		return 0; /* libcurl gives up */
	memcpy(r->body + r->body_len, p, more);
	r->body_len += more;
	return more;
}

static int is_loopback(const struct sockaddr *address)
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

#define SET(x, option, value)                                                                      \
	((x)->failed = curl_easy_setopt((x)->curl, (option), (value)) != CURLE_OK || (x)->failed)

static void header(struct exchange *x, const char *name, const char *value)
{
	char line[HEADER_MAX];
	struct curl_slist *more = NULL;

	if (snprintf(line, sizeof(line), "%s: %s", name, value) < HEADER_MAX)
		more = curl_slist_append(x->headers, line);
	if (more)
		x->headers = more;
	else
		x->failed = 1;
}

static void set_all(struct exchange *x, const struct chancery_request *request, const char *ca_file)
{
	SET(x, CURLOPT_URL, request->url);
	SET(x, CURLOPT_PROTOCOLS_STR, "http,https");
	SET(x, CURLOPT_FOLLOWLOCATION, 0L);
	SET(x, CURLOPT_NOSIGNAL, 1L);
	SET(x, CURLOPT_TIMEOUT, (long)request->timeout);
	SET(x, CURLOPT_WRITEFUNCTION, on_body);
	SET(x, CURLOPT_WRITEDATA, x);
	if (ca_file)
		SET(x, CURLOPT_CAINFO, ca_file);
	/* keys that came in the clear over a network are anybody's */
	if (strncasecmp(request->url, "https:", 6) != 0) {
		SET(x, CURLOPT_PROXY, "");
		SET(x, CURLOPT_OPENSOCKETFUNCTION, open_local);
	}
	header(x, "Accept", request->accept);
	if (request->if_none_match)
		header(x, "If-None-Match", request->if_none_match);
	SET(x, CURLOPT_HTTPHEADER, x->headers);
}

/* The last of a name; NULL: none. */
static const char *field(CURL *curl, const char *name)
{
	struct curl_header *found;

	return curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK ? found->value
										      : NULL;
}

/* RFC 9111 5.2.2.1: max-age=SECONDS among directives with commas between. */
static int64_t max_age_of(const char *directives)
{
	static const char name[] = "max-age=";
	const char *at = directives;

	while (at && *at) {
		at += strspn(at, ", \t");
		if (strncasecmp(at, name, sizeof(name) - 1) == 0) {
			const char *digits = at + sizeof(name) - 1;
			int64_t value = 0;

			for (int i = 0; i < 9 && digits[i] >= '0' && digits[i] <= '9'; i++)
				value = value * 10 + (digits[i] - '0');
			return value;
		}
		at = strchr(at, ',');
	}
	return 0;
}

static void take_fields(struct exchange *x)
{
	const char *etag = field(x->curl, "ETag");

	if (etag && strlen(etag) < CHANCERY_ETAG_MAX)
		memcpy(x->response->etag, etag, strlen(etag) + 1);
	x->response->max_age = max_age_of(field(x->curl, "Cache-Control"));
}

static int perform(struct exchange *x)
{
	long status = 0;

	if (x->failed || curl_easy_perform(x->curl) != CURLE_OK ||
	    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK)
		return -1;
	x->response->status = (int)status;
	take_fields(x);
	return 0;
}

int chancery_fetch_curl(void *arg, const struct chancery_request *request,
			struct chancery_response *response)
{
	struct exchange x = { .response = response };
	int failed;

	pthread_once(&library_started, start_library);
	x.curl = curl_easy_init();
	if (!x.curl)
		return -1;
	set_all(&x, request, arg);
	failed = perform(&x);
	curl_slist_free_all(x.headers);
	curl_easy_cleanup(x.curl);
	return failed;
}
