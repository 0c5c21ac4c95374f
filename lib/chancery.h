/* libchancery: judges the access tokens (RFC 9068) of one issuer, for one audience.
 *
 *	const char *wrong = chancery_new(&options, &verifier);	   once, at the start
 *	chancery_tend(verifier);				   fetches the key set
 *	verdict = chancery_verify(verifier, token, n, NULL, &claims);	 for every request
 *	if (verdict == CHANCERY_OK) { ...; chancery_claims_free(claims); }
 *
 * What a verifier accepts is a compact JWS (RFC 7515 7.1) in its one canonical spelling, `typ`
 * at+jwt, signed with an algorithm of the caller's list by a key of the issuer's set that is for
 * that very algorithm, with `iss`, `aud`, `exp`, `iat` and `sub`, within its times. Whatever is
 * missing, doubled or of another type is refused; `crit`, `b64`, `zip` and `enc` are refused; keys
 * and addresses that a token brings along (`jwk`, `jku`, `x5u`, `x5c`) are never looked at. There
 * is no option that relaxes any of this.
 *
 * Threads: the library starts none. A verifier may be used from any number of threads at once, but
 * for chancery_free(), which comes last. No lock is held while a token is verified or a fetch is on
 * its way. Claims belong to the thread that has them.
 *
 * Memory: what a function hands out says who frees it; a string given to a function is copied when
 * it is kept. The library keeps no global state. It uses OpenSSL and empties the calling thread's
 * queue of OpenSSL errors. The process needs no set-up of its own.
 *
 * Strings given in are NUL-terminated where they have no length. Times are seconds. */
#ifndef CHANCERY_H
#define CHANCERY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CHANCERY_API __attribute__((visibility("default")))

struct chancery;	/* a verifier */
struct chancery_claims; /* what a good token says */

/* ---- verdicts ---- */

/* A token is good (CHANCERY_OK), bad (401 invalid_token, RFC 6750 3.1), or not judged at all
 * (CHANCERY_UNDECIDED: 503, the token may be good). Numbers never change their meaning; later
 * versions may add some, and every one that is not CHANCERY_OK refuses. */
enum chancery_verdict {
	CHANCERY_OK = 0,
	CHANCERY_UNDECIDED =
		1, /* no key set or revocation list that may be relied upon, or no memory */
	CHANCERY_MALFORMED = 2,	  /* no compact JWS, not strict JSON, or a claim of a wrong type */
	CHANCERY_UNSUPPORTED = 3, /* crit, b64, zip, enc, or an algorithm that we do not have */
	CHANCERY_WRONG_ALGORITHM =
		4,		  /* not in the caller's list, or not the key's (RFC 8725 3.1) */
	CHANCERY_UNKNOWN_KEY = 5, /* `kid` is missing or not in the set */
	CHANCERY_BAD_SIGNATURE = 6,
	CHANCERY_MISSING_CLAIM = 7,   /* one of iss aud exp iat sub */
	CHANCERY_WRONG_TYPE = 8,      /* `typ` is not at+jwt (RFC 9068 4) */
	CHANCERY_WRONG_ISSUER = 9,    /* not byte for byte the one of the options */
	CHANCERY_WRONG_AUDIENCE = 10, /* `aud` does not name ours (RFC 7519 4.1.3) */
	CHANCERY_EXPIRED = 11,	      /* RFC 7519 4.1.4 */
	CHANCERY_NOT_YET = 12,	      /* nbf, or iat, is ahead of the clock (RFC 7519 4.1.5) */
	CHANCERY_UNPROVEN = 13,	      /* `cnf` (RFC 7800), and nobody proved possession */
	CHANCERY_REVOKED = 14,	      /* the issuer has taken it back */
	CHANCERY_UNREADABLE = 15,     /* not encrypted to our key, or changed on its way */
};

/* A sentence for a log, constant, never NULL: "the token has expired". */
CHANCERY_API const char *chancery_verdict_text(enum chancery_verdict verdict);

/* ---- fetching ---- */

enum { CHANCERY_ETAG_MAX = 128 }; /* with its NUL; longer ones are to be left out */

/* One GET over HTTPS. No redirect is to be followed. */
struct chancery_request {
	const char *url;
	const char *accept;	   /* a media type */
	const char *if_none_match; /* send as it is (RFC 9110 13.1.2); NULL: do not send */
	int timeout;		   /* seconds, for all of it */
};

/* Zeroed before the call, but for `body` and `body_max`. */
struct chancery_response {
	int status; /* 200, 304, or anything else, which is a failure */
	char *body; /* body_max bytes of the library's, to be written into */
	size_t body_max;
	size_t body_len;	      /* a body beyond body_max: return -1 */
	char etag[CHANCERY_ETAG_MAX]; /* "": none */
	int64_t max_age;	      /* Cache-Control (RFC 9111 5.2.2.1); 0: none said */
};

/* 0 when there is an answer; anything else: none. Called with `arg` of the options, by the thread
 * that called chancery_verify() or chancery_tend(), never by two threads for the same document;
 * it may block as long as the timeout, and may call no function of its own verifier. */
typedef int (*chancery_fetch)(void *arg, const struct chancery_request *request,
			      struct chancery_response *response);

/* Such a function on libcurl, in a library of its own: link libchancery-curl (pkg-config
 * chancery-curl). Certificates are checked, redirects are not followed, plain http goes to loopback
 * addresses only, and no proxy is used for it. `arg`: NULL, or the path of a PEM file with the
 * authorities to trust in place of the system's. Safe from any thread. */
CHANCERY_API int chancery_fetch_curl(void *arg, const struct chancery_request *request,
				     struct chancery_response *response);

/* ---- a verifier ---- */

/* Bits of `algorithms` (RFC 7518 3.1). CHANCERY_HS256 stands alone: see `secret`. */
enum { CHANCERY_ES256 = 1, CHANCERY_RS256 = 2, CHANCERY_HS256 = 4 };

/* Proof of possession (RFC 7800, RFC 8705 3, RFC 9449 6.1): non-zero only if the sender of this
 * request has proved to hold what `cnf` names. `request` is what chancery_verify() was given; `cnf`
 * is the claim's JSON text, `n` bytes, for the time of the call. The signature is good by then. */
typedef int (*chancery_proof)(void *request, const char *cnf, size_t n);

/* Start from zero: struct chancery_options o = { .size = sizeof(o), ... }. A member that is zero
 * has the value its comment says; later versions add members at the end and know by `size` which
 * ones a caller has. */
struct chancery_options {
	size_t size; /* sizeof(struct chancery_options) */

	const char *issuer;   /* required, as in the tokens, byte for byte */
	const char *audience; /* required: our own name, as in the tokens */
	unsigned algorithms; /* required: CHANCERY_ES256 | CHANCERY_RS256, what is to be accepted */
	int skew;	     /* how far clocks may differ, 0 to 60 s; for exp, nbf and iat */

	/* The key set (RFC 7517). It is fetched again ahead of its end, at 80 % of the max-age that
	 * came with it (at least a minute, at most a day, 15 min if none came), and once in
	 * `cooldown` for kids that are not in it. While the issuer is away, or sends what is no
	 * key set, the set at hand is kept, up to keys_max_staleness after the issuer last
	 * confirmed it. */
	chancery_fetch fetch; /* NULL: there is `jwks`, or a secret, and nothing else */
	void *fetch_arg;
	const char *jwks_url;	/* NULL: <issuer>/.well-known/jwks.json */
	const char *jwks;	/* text of a set to begin with; NULL: none */
	int cooldown;		/* seconds, 5 to 3600; 0: 30 */
	int keys_max_staleness; /* seconds, 60 to 30 days; 0: a day. Ignored without `fetch` */

	/* The issuer's list of revoked tokens. With a feed, a token is judged only while the list
	 * is no older than feed_max_staleness (else CHANCERY_UNDECIDED), and must carry a `jti`. */
	const char *feed;	/* NULL: none; "": <issuer>/oauth2/revocations; else its URL */
	int feed_interval;	/* seconds between two looks, 1 to 3600; 0: 5 */
	int feed_max_staleness; /* required with a feed: seconds, more than feed_interval, at most a
				   day */

	chancery_proof proof; /* NULL: tokens with `cnf` are refused */

	/* The time; NULL: the system's. It judges tokens and counts intervals. */
	int64_t (*now)(void *arg);
	void *now_arg;

	/* PEM of our private key (PKCS #8; RSA, or EC on P-256): tokens come nested (RFC 7519 5.2),
	 * encrypted with RSA-OAEP-256 or ECDH-ES and A256GCM, and are opened before all else. What
	 * is not encrypted is refused. NULL: tokens come as they are signed. */
	const char *private_key;

	/* For CHANCERY_HS256, which takes no public keys beside it: the secret that the issuer gave
	 * to this audience alone, 32 bytes or more (RFC 7518 3.2), and for the time in which it is
	 * changed the one before. Copied. `aud` must be this audience and no other, and `kid` is
	 * not looked at; without a feed, nothing is fetched. */
	const void *secret;
	size_t secret_len;
	const void *former_secret; /* NULL: none */
	size_t former_secret_len;

	/* Non-zero: chancery_verify() never fetches; chancery_tend(), on a thread that may block,
	 * must be called often. For event loops. */
	int deferred;
};

/* NULL: done, and the caller owns *ret_verifier. Else a constant sentence that says what is wrong
 * with the options or that there is no memory; *ret_verifier is untouched. Fetches nothing. */
CHANCERY_API const char *chancery_new(const struct chancery_options *options,
				      struct chancery **ret_verifier);
/* No thread may be using it. NULL is nothing. */
CHANCERY_API void chancery_free(struct chancery *verifier);

/* Judges `n` bytes, the token without "Bearer ". `request` goes to `proof` and is not looked at.
 *
 * *ret_claims is written only with CHANCERY_OK; the caller frees it with chancery_claims_free().
 *
 * Unless `deferred`, what is due is fetched first, by the thread that comes first, which takes as
 * long as the fetch does; other threads go on with what there is. While there is nothing yet, they
 * wait for that one. A token whose kid is not in the set makes one fetch, unless one was made less
 * than `cooldown` ago. */
CHANCERY_API enum chancery_verdict chancery_verify(struct chancery *verifier, const char *token,
						   size_t n, void *request,
						   struct chancery_claims **ret_claims);

/* Fetches what is due, whatever `deferred` says, and returns the seconds until something will be
 * due again, at least 1. Call it once before the first request, and from then on from a thread
 * that may block, so that no request waits for the issuer. */
CHANCERY_API int64_t chancery_tend(struct chancery *verifier);

/* How a verifier is doing, for health checks and metrics. */
struct chancery_status {
	size_t size;	  /* set it to sizeof(struct chancery_status) */
	int64_t keys_age; /* seconds since the issuer last confirmed the set; -1: never */
	int64_t feed_age; /* the same of the list; -1: never, or no feed */
	uint64_t keys;	  /* in the set */
	uint64_t revoked; /* entries of the list */
	uint64_t fetches; /* made so far, good and bad */
	uint64_t failures;
	const char *last_failure; /* a constant sentence about the last failure; NULL: none */
};
CHANCERY_API void chancery_status(struct chancery *verifier, struct chancery_status *status);

/* ---- claims ---- */

/* A claim that is a string, NUL-terminated, borrowed from the claims; its length without the NUL
 * goes to *ret_n unless that is NULL. NULL: there is no such claim, or it is no string. Only the
 * top level is looked at. */
CHANCERY_API const char *chancery_claims_text(const struct chancery_claims *claims,
					      const char *name, size_t *ret_n);
/* A number, a fraction cut off. 0 and *ret_value untouched: no such claim, or no number that fits.
 */
CHANCERY_API int chancery_claims_number(const struct chancery_claims *claims, const char *name,
					int64_t *ret_value);
/* Non-zero when `value` is what the claim says: a word of `scope` (RFC 8693 4.2), an element of an
 * array of strings (`roles`, `aud`), or the whole of another string. Byte for byte; nothing has an
 * empty value. */
CHANCERY_API int chancery_claims_have(const struct chancery_claims *claims, const char *name,
				      const char *value);
/* All of them: the payload's JSON text as it was signed, NUL-terminated, borrowed. */
CHANCERY_API const char *chancery_claims_json(const struct chancery_claims *claims, size_t *ret_n);
CHANCERY_API void chancery_claims_free(struct chancery_claims *claims);

#ifdef __cplusplus
}
#endif

#endif
