/* An issuer in memory, for whoever links libchancery: documents that a test writes, answered by a
 * fetch that counts, and the clock of both. Safe from several threads, but for what a test changes,
 * which it does while no other thread runs. Failures end the test. */
#ifndef CHANCERY_TESTS_FAKE_ISSUER_H
#define CHANCERY_TESTS_FAKE_ISSUER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "chancery.h"

#define FAKE_ISSUER "https://id.example"
#define FAKE_AUDIENCE "https://orders.example"
#define FAKE_NOW 1800000000

enum fake_path { FAKE_JWKS, FAKE_FEED, FAKE_FEED_JWKS, FAKE_PATHS };

struct fake_document {
	char *text;	  /* NULL: 404 */
	const char *etag; /* "": none; If-None-Match of the same is answered 304 */
	int status;	  /* 0: 200 */
	int64_t max_age;
	atomic_size_t asked;
	atomic_size_t unchanged; /* of them, 304 */
	char query[300];	 /* of the last one, from its '?' */
};

struct fake_issuer {
	atomic_bool away; /* nothing is answered */
	_Atomic int64_t now;
	struct fake_document documents[FAKE_PATHS];
	/* called by each fetch, in its thread; NULL: nobody */
	void (*during)(struct fake_issuer *f);
	void *during_arg;
};

/* A set of KEY_EC_1 ("ec1") and KEY_RSA_2048 ("rsa1"), fresh for 900 s, ETag "one"; no feed. */
void fake_issuer_init(struct fake_issuer *f);
void fake_issuer_done(struct fake_issuer *f);
/* Takes the text, which came from malloc. */
void fake_issuer_set(struct fake_issuer *f, enum fake_path path, char *text, const char *etag);
/* A set of one key. Caller frees. */
char *fake_set(const char *pem, const char *kid);
/* One of two. */
char *fake_set2(const char *pem, const char *kid, const char *pem2, const char *kid2);

/* A feed without entries, signed. Caller frees. */
char *fake_empty_feed(const struct fake_issuer *f, const char *pem, const char *kid);

/* A verifier's options: FAKE_ISSUER, FAKE_AUDIENCE, both algorithms, this clock and fetch. */
struct chancery_options fake_options(struct fake_issuer *f);
struct chancery *fake_verifier(const struct chancery_options *options);
int fake_fetch(void *arg, const struct chancery_request *request,
	       struct chancery_response *response);

/* A good token of FAKE_ISSUER: iat is now, exp 300 s later. `claims` ("\"a\":1") come on top; NULL:
 * none. Caller frees. */
char *fake_token(const struct fake_issuer *f, const char *pem, const char *kid, const char *claims);
/* What the verifier says of it; claims are freed. */
enum chancery_verdict fake_judge(struct chancery *v, const char *token);

#endif
