/* A handful of answers: key set, feed, the feed's keys, each with or without a validator. What does
 * not fit is fetched again. A fetch that failed is shared too: an issuer that is away must not be
 * waited for once for each audience. */
#include "server/token/shared_fetch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 8 };

struct kept {
	char *url, *if_none_match; /* the latter NULL: none */
	int failed;
	struct chancery_response response; /* its body is ours */
};

struct shared_fetch {
	chancery_fetch fetch;
	void *arg;
	struct kept kept[KEPT_MAX];
	size_t count;
};

enum err shared_fetch_new(chancery_fetch fetch, void *arg, struct shared_fetch **ret_shared)
{
	struct shared_fetch *s = calloc(1, sizeof(*s));

	if (!s)
		return ERR_NOMEM;
	s->fetch = fetch;
	s->arg = arg;
	*ret_shared = s;
	return ERR_OK;
}

static void kept_done(struct kept *k)
{
	free(k->url);
	free(k->if_none_match);
	free(k->response.body);
	*k = (struct kept){ .url = NULL };
}

void shared_fetch_round(struct shared_fetch *s)
{
	while (s->count)
		kept_done(&s->kept[--s->count]);
}

void shared_fetch_free(struct shared_fetch *s)
{
	if (!s)
		return;
	shared_fetch_round(s);
	free(s);
}

static bool is_same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static struct kept *find(struct shared_fetch *s, const struct chancery_request *request)
{
	for (size_t i = 0; i < s->count; i++) {
		struct kept *k = &s->kept[i];

		if (is_same(k->url, request->url) &&
		    is_same(k->if_none_match, request->if_none_match))
			return k;
	}
	return NULL;
}

static int give(const struct kept *k, struct chancery_response *response)
{
	char *body = response->body;
	const size_t max = response->body_max;

	if (k->failed || k->response.body_len > max)
		return -1;
	*response = k->response;
	response->body = body;
	response->body_max = max;
	if (k->response.body_len)
		memcpy(body, k->response.body, k->response.body_len);
	return 0;
}

static void keep(struct shared_fetch *s, const struct chancery_request *request, int failed,
		 const struct chancery_response *response)
{
	struct kept k = { .failed = failed, .response = *response };

	if (s->count == KEPT_MAX)
		return;
	k.url = strdup(request->url);
	k.if_none_match = request->if_none_match ? strdup(request->if_none_match) : NULL;
	k.response.body = malloc(response->body_len + 1);
	if (!k.url || !k.response.body || (request->if_none_match && !k.if_none_match)) {
		kept_done(&k);
		return;
	}
	memcpy(k.response.body, response->body, response->body_len);
	s->kept[s->count++] = k;
}

int shared_fetch_get(void *arg, const struct chancery_request *request,
		     struct chancery_response *response)
{
	struct shared_fetch *s = arg;
	const struct kept *k = find(s, request);
	int failed;

	if (k)
		return give(k, response);
	failed = s->fetch(s->arg, request, response);
	if (failed)
		response->body_len = 0;
	keep(s, request, failed, response);
	return failed;
}
