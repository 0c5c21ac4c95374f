/* Our own key set as somebody outside got it, judged: does what stands between us and the verifiers
 * (caches, proxies, a name that leads elsewhere) show them the keys we publish? Pure: what was
 * fetched, the keys and the moment are arguments. Used before a scheduled activation
 * (server/serve/prober.h) and by `key drill`. */
#ifndef CHANCERY_SERVER_PROBE_H
#define CHANCERY_SERVER_PROBE_H

#include "server/state/fetch_frame.h"
#include "server/state/keyring.h"

enum { PROBE_NOTE_MAX = 256, PROBE_TIMEOUT_MS = FETCH_TIMEOUT_MS_MAX };

/* What is published, and what we promise about it. */
struct probe_target {
	struct str issuer;
	int64_t max_age;   /* Cache-Control's, at the most */
	int64_t freshness; /* longest time a cache may serve a set it has, stale time included */
	const struct keyring_key *keys; /* a view's, all of them */
	size_t count;
};

enum probe_verdict {
	PROBE_HOLDS,
	PROBE_LACKS,  /* a set came, and a standby that every cache must know by now is not in it */
	PROBE_FAILED, /* no set came: says nothing about what verifiers hold */
	PROBE_VERDICT_COUNT
};
const char *probe_verdict_name(enum probe_verdict v);

/* The rows of `key drill`, in order. */
enum probe_check {
	PROBE_REACHABLE,
	PROBE_STATUS,
	PROBE_CONTENT_TYPE,
	PROBE_PARSES,
	PROBE_PUBLISHED, /* every active and retiring key is there */
	PROBE_STANDBY,
	PROBE_WITHDRAWN, /* no revoked or removed key is still there */
	PROBE_MAX_AGE,
	PROBE_AGE,
	PROBE_ETAG,
	PROBE_COOKIE,
	PROBE_CHECK_COUNT
};
const char *probe_check_name(enum probe_check c);

struct probe_finding {
	bool ok;
	char note[PROBE_NOTE_MAX]; /* why not, or what is worth knowing; may be "" */
};

struct probe_result {
	enum probe_verdict verdict;
	char note[PROBE_NOTE_MAX]; /* "" with PROBE_HOLDS */
	unsigned lacks;		   /* bits 1 << alg, with PROBE_LACKS */
	bool ok;		   /* all checks are */
	struct probe_finding checks[PROBE_CHECK_COUNT];
};

/* The request; `url` is the caller's and stays in use. ERR_LIMIT: the issuer is too long for it. */
MUST_CHECK enum err probe_request(struct str issuer, char url[FETCH_URL_MAX + 1],
				  struct fetch_request *ret_request);
/* `asked_at`: the wall clock when the request left. A fetch that came to nothing below HTTP (the
 * child died) is an answer with FETCH_NO_ANSWER and a why. */
void probe_judge(const struct fetch_answer *a, const struct probe_target *target, int64_t asked_at,
		 struct probe_result *ret_result);

#endif
