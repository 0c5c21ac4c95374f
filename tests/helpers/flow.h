/* The whole server without a socket: real database, real signer process, a clock that a test sets,
 *and every request from its head to its answer in the caller's thread. Failures of the harness
 *itself end the test.
 *
 *	struct answer a = post(f, "/oauth2/token", basic("orders", secret), "grant_type=...");
 *	ck_assert_int_eq(a.status, 200);
 *	token = answer_str(&a, "access_token");
 *
 * What an answer holds lives until flow_down. */
#ifndef CHANCERY_TESTS_FLOW_H
#define CHANCERY_TESTS_FLOW_H

#include <check.h>
#undef fail /* an old name of ck_abort_msg; request.h has a function of this name */

#include "server/request/app.h"
#include "server/request/router.h"
#include "tests/helpers/signer_fixture.h"
#include "tests/helpers/store_fixture.h"

struct flow {
	struct store_fixture store;
	struct signer_fixture signer;
	struct app app;
	struct wishes wishes;
	struct config *config;
	struct log_buf log;
	struct metrics_shard *metrics;
	struct arena *arena; /* answers */
	struct kept_json *kept;
	char revoked_kids[64]; /* path */
	int log_fd;
	off_t log_read;
	/* called around the server's part of a request; NULL: nobody */
	void (*around)(bool begins, void *arg);
	void *around_arg;
};

/* An office with issuer https://id.example, ES256 keys ready to sign, no client, api or user. */
void flow_up(struct flow *f);
/* The same with more options: "tokens.access_ttl=60s", ended by NULL. */
void flow_up_with(struct flow *f, const char *const *sets);
void flow_down(struct flow *f);
/* The same on the heap. */
struct flow *flow_new(const char *const *sets);
void flow_free(struct flow *f);
/* All clocks, the signer's too. */
void flow_advance(struct flow *f, int64_t seconds);

/* ---- who exists ---- */

/* See store_fixture.h; the server sees the change at once. */
void flow_api(struct flow *f, const char *uri, const char *slug, const char *scope);
/* A confidential client with every grant, Basic or post; returns its machine secret. */
const char *flow_client(struct flow *f, const char *id, const char *scope, const char *audiences);
void flow_user(struct flow *f, const char *id, const char *name, const char *password);
/* One more secret, machine-made (returned) or the operator's own (Argon2id). */
const char *flow_secret(struct flow *f, const char *client_id, int64_t expires_at);
void flow_operator_secret(struct flow *f, const char *client_id, const char *secret);
/* After a test wrote to f->store.db itself: caches forget, the snapshot is made anew. */
void flow_changed(struct flow *f);

/* ---- requests ---- */

struct auth {
	char text[JWT_SIZE_MAX + 64]; /* "": no Authorization header */
};
struct auth anonymous(void);
/* RFC 6749 2.3.1: halves are form-encoded. */
struct auth basic(const char *id, const char *secret);
struct auth bearer(struct str token);

struct ask {
	enum listener listener; /* 0: public */
	enum method method;	/* 0: GET */
	const char *target;	/* path and query */
	const char *authorization, *content_type, *if_match, *if_none_match, *accept;
	const char *address; /* NULL: 192.0.2.1 */
	struct str body;
	bool root; /* socket: the peer's uid is root's */
};

struct answer {
	int status;
	const char *content_type; /* NULL: none */
	struct str body;
	struct header headers[RESPONSE_HEADERS_MAX];
	size_t header_count;
	const struct json *json; /* the body, if it is JSON; else NULL */
	enum err error;
	const char *why; /* our own sentence, "" if there is none */
};

struct answer flow_send(struct flow *f, const struct ask *ask);
/* Public listener. */
struct answer get(struct flow *f, const char *target);
struct answer post(struct flow *f, const char *target, struct auth auth, const char *form);
/* As root over the socket; `json` may be NULL. */
struct answer admin(struct flow *f, enum method method, const char *target, const char *json);

/* STR_NONE when there is no such header; twice ends the test. */
struct str answer_header(const struct answer *a, const char *name);
/* A member of the JSON body; that it is missing or of another type ends the test. */
struct str answer_str(const struct answer *a, const char *member);
int64_t answer_int(const struct answer *a, const char *member);
bool answer_bool(const struct answer *a, const char *member);
bool answer_has(const struct answer *a, const char *member);

/* Log lines written since the last call, JSON, one each. */
struct str flow_log(struct flow *f);

#define ck_assert_str(value, want)                                                                 \
	do {                                                                                       \
		const struct str v_ = (value);                                                     \
		const char *w_ = (want);                                                           \
		ck_assert_msg(str_equal_z(v_, w_), "'%.*s' is not '%s'", STR_ARG(v_), w_);         \
	} while (0)
/* The OAuth error of a refused request, with its status. */
#define ck_assert_refused(got, want_status, want_error)                                            \
	do {                                                                                       \
		const struct answer a_ = (got);                                                    \
		ck_assert_msg(a_.status == (want_status), "status %d: %s", a_.status, a_.why);     \
		ck_assert_str(answer_str(&a_, "error"), want_error);                               \
	} while (0)

#endif
