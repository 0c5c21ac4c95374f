/* See fake_issuer.h. */
#include "tests/helpers/fake_issuer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/helpers/keys.h"
#include "tests/unit/tokens.h"

enum { SET_MAX = 8192 };

/* check's own assertions allocate, also when they hold, and are not for threads. */
static void insist(bool holds, const char *what)
{
	if (!holds)
		ck_abort_msg("%s", what);
}

static const char *const urls[FAKE_PATHS] = {
	[FAKE_JWKS] = FAKE_ISSUER "/.well-known/jwks.json",
	[FAKE_FEED] = FAKE_ISSUER "/oauth2/revocations",
	[FAKE_FEED_JWKS] = FAKE_ISSUER "/oauth2/revocations/jwks.json",
};

static void write_key(struct jsonw *w, const char *pem, const char *kid)
{
	EVP_PKEY *pkey = private_key(pem);
	struct jwk *key = NULL;

	ck_assert_int_eq(jwk_from_pkey(pkey, str_z(kid), &key), ERR_OK);
	jwk_export(key, w);
	jwk_free(key);
	EVP_PKEY_free(pkey);
}

char *fake_set2(const char *pem, const char *kid, const char *pem2, const char *kid2)
{
	struct buf b;
	struct jsonw w;
	struct str text;
	char *copy;

	buf_init(&b, NULL, SET_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_key(&w, "keys");
	jsonw_array(&w);
	write_key(&w, pem, kid);
	if (pem2)
		write_key(&w, pem2, kid2);
	jsonw_end_array(&w);
	jsonw_end_object(&w);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	copy = strndup(text.p, text.n);
	buf_done(&b);
	return copy;
}

char *fake_set(const char *pem, const char *kid)
{
	return fake_set2(pem, kid, NULL, NULL);
}

char *fake_empty_feed(const struct fake_issuer *f, const char *pem, const char *kid)
{
	long long now = atomic_load(&f->now);
	char header[200], payload[400];

	snprintf(header, sizeof(header),
		 "{\"alg\":\"ES256\",\"typ\":\"revocations+jwt\",\"kid\":\"%s\"}", kid);
	snprintf(payload, sizeof(payload),
		 "{\"iss\":\"" FAKE_ISSUER "\",\"iat\":%lld,\"exp\":%lld,\"epoch\":\"e\","
		 "\"cursor\":\"e.0\",\"full\":true,\"entries\":[]}",
		 now, now + 300);
	return signed_token(pem, header, payload);
}

void fake_issuer_init(struct fake_issuer *f)
{
	*f = (struct fake_issuer){ .now = FAKE_NOW };
	for (size_t i = 0; i < FAKE_PATHS; i++)
		f->documents[i].etag = "";
	fake_issuer_set(f, FAKE_JWKS, fake_set2(KEY_EC_1, "ec1", KEY_RSA_2048, "rsa1"), "\"one\"");
	f->documents[FAKE_JWKS].max_age = 900;
}

void fake_issuer_done(struct fake_issuer *f)
{
	for (size_t i = 0; i < FAKE_PATHS; i++)
		free(f->documents[i].text);
}

void fake_issuer_set(struct fake_issuer *f, enum fake_path path, char *text, const char *etag)
{
	free(f->documents[path].text);
	f->documents[path].text = text;
	f->documents[path].etag = etag;
}

/* The one of that URL, its query apart. */
static struct fake_document *find(struct fake_issuer *f, const char *url)
{
	size_t n = strcspn(url, "?");

	for (size_t i = 0; i < FAKE_PATHS; i++) {
		if (strlen(urls[i]) == n && memcmp(urls[i], url, n) == 0)
			return &f->documents[i];
	}
	ck_abort_msg("fetched %s", url);
	return NULL;
}

static void answer(struct fake_document *d, const struct chancery_request *request,
		   struct chancery_response *response)
{
	response->max_age = d->max_age;
	memcpy(response->etag, d->etag, strlen(d->etag) + 1);
	if (request->if_none_match && strcmp(request->if_none_match, d->etag) == 0) {
		atomic_fetch_add(&d->unchanged, 1);
		response->status = 304;
		return;
	}
	response->status = !d->text ? 404 : d->status ? d->status : 200;
	response->body_len = d->text ? strlen(d->text) : 0;
	insist(response->body_len <= response->body_max, "a document is too long");
	if (d->text)
		memcpy(response->body, d->text, response->body_len);
}

int fake_fetch(void *arg, const struct chancery_request *request,
	       struct chancery_response *response)
{
	struct fake_issuer *f = arg;
	struct fake_document *d = find(f, request->url);

	insist(request->timeout > 0 && request->accept, "a request is not complete");
	atomic_fetch_add(&d->asked, 1);
	snprintf(d->query, sizeof(d->query), "%s", request->url + strcspn(request->url, "?"));
	if (f->during)
		f->during(f);
	if (atomic_load(&f->away))
		return -1;
	answer(d, request, response);
	return 0;
}

static int64_t fake_now(void *arg)
{
	return atomic_load(&((struct fake_issuer *)arg)->now);
}

struct chancery_options fake_options(struct fake_issuer *f)
{
	return (struct chancery_options){
		.size = sizeof(struct chancery_options),
		.issuer = FAKE_ISSUER,
		.audience = FAKE_AUDIENCE,
		.algorithms = CHANCERY_ES256 | CHANCERY_RS256,
		.fetch = fake_fetch,
		.fetch_arg = f,
		.now = fake_now,
		.now_arg = f,
	};
}

struct chancery *fake_verifier(const struct chancery_options *options)
{
	struct chancery *v = NULL;
	const char *wrong = chancery_new(options, &v);

	ck_assert_msg(!wrong, "%s", wrong);
	return v;
}

char *fake_token(const struct fake_issuer *f, const char *pem, const char *kid, const char *claims)
{
	int64_t now = atomic_load(&f->now);
	char header[200], payload[2000];

	snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
		 strcmp(pem, KEY_RSA_2048) == 0 ? "RS256" : "ES256", kid);
	snprintf(payload, sizeof(payload),
		 "{\"iss\":\"" FAKE_ISSUER "\",\"aud\":\"" FAKE_AUDIENCE
		 "\",\"sub\":\"alice\",\"client_id\":\"shop\",\"jti\":\"j1\",\"iat\":%lld,"
		 "\"exp\":%lld%s%s}",
		 (long long)now, (long long)now + 300, claims ? "," : "", claims ? claims : "");
	return signed_token(pem, header, payload);
}

enum chancery_verdict fake_judge(struct chancery *v, const char *token)
{
	struct chancery_claims *claims = NULL;
	enum chancery_verdict verdict = chancery_verify(v, token, strlen(token), NULL, &claims);

	insist((verdict == CHANCERY_OK) == (claims != NULL), "claims come with CHANCERY_OK alone");
	chancery_claims_free(claims);
	return verdict;
}
