/* Every bound that input can push against, in one place, each with its reason. Sizes are bytes,
 * times are seconds unless the name says otherwise. */
#ifndef CHANCERY_BASE_LIMITS_H
#define CHANCERY_BASE_LIMITS_H

enum {
	/* JSON and JOSE (security rules J1, J10) */
	JSON_DEPTH_MAX = 16,	/* no document of ours nests past 6 */
	JWT_SIZE_MAX = 8192,	/* fits every proxy's header line */
	JOSE_HEADER_MAX = 1024, /* alg, typ, kid and room for what we refuse by name */
	KID_MAX = 128,		/* opaque bytes of a foreign kid */
	JWKS_SIZE_MAX = 65536,	/* a set we read; ours stays under 4 KiB */
	RSA_BITS_MIN = 2048,	/* RFC 7518 3.3 */
	RSA_BITS_MAX = 4096,	/* verification cost grows with the square */
	SIGNATURE_MAX = RSA_BITS_MAX / 8,

	/* revocations, as a verifier reads them (lib/verify/feed.h) */
	REVOCATION_LIST_MAX = 32 << 20,	  /* the longest our feed can be */
	REVOCATION_ENTRIES_MAX = 1 << 16, /* twice as many as it may hold; 2 MiB in memory */

	/* HTTP */
	HTTP_TARGET_MAX = 2048, /* path and query; no endpoint of ours takes more */
	/* a gateway may put the path and query of its client's request behind ours */
	HTTP_TARGET_GATEWAY_MAX = 8192,
	HTTP_HEADERS_MAX = 16384, /* with a JWT and a proxy's additions */
	FORM_SIZE_MAX = 16384,	  /* token endpoint: two JWTs at the most */
	FORM_PARAMS_MAX = 64,
	ADMIN_BODY_MAX = 65536,		/* one object with its lists */
	GATEWAY_BODY_MAX = 1 << 20,	/* read and thrown away; gateways should send none */
	BODIES_IN_FLIGHT_MAX = 4 << 20, /* of one listener and worker; then the slowest goes */
	REQUEST_ARENA_MAX = 256 << 10,

	/* names and lists of the registry */
	ID_MAX = 255, /* client id, user id, user name */
	URI_MAX = 512,
	SCOPE_TOKEN_MAX = 128,
	SCOPE_MAX = 2048,   /* a whole scope parameter */
	SCOPES_MAX = 64,    /* tokens in one list */
	AUDIENCES_MAX = 16, /* RFC 8707 resources of one request or client */
	ROLES_MAX = 32,
	SECRETS_PER_CLIENT_MAX = 8, /* each may cost a comparison per request */
	ENCRYPTION_KEY_MAX = 2048,  /* RSA-4096 as a JWK is 800 bytes */
	SECRETS_PER_API_MAX = 8,    /* one signs; the others wait for their last token to expire */
	CLAIMS_MAX = 16,
	CLAIMS_SIZE_MAX = 2048, /* custom claims must not crowd out JWT_SIZE_MAX */
	LABEL_MAX = 64,
	PASSWORD_MAX = 1024, /* refused above, never truncated */
	OPERATOR_SECRET_MIN = 24,
	PAGE_SIZE_DEFAULT = 50,
	PAGE_SIZE_MAX = 500,

	/* caches and queues */
	CLIENT_CACHE_MAX = 4096,
	CLIENT_CACHE_ABSENT_MAX = 512, /* strangers' guesses must not push out real clients */
	WRITER_QUEUE_MAX = 1024,
	WRITER_BATCH_MAX = 64,
	HASH_QUEUE_MAX = 64, /* 64 * 18 ms / 2 lanes: about half a second of waiting */
	BLOCKING_QUEUE_MAX = 256,

	/* access tokens */
	ACCESS_TTL_MIN = 5, /* below it a token dies on its way */
	ACCESS_TTL_MAX =
		86400, /* a stolen token lives no longer; keys and revocations are kept for it */

	/* s that an api may let a gateway keep an answer: revocation waits for it */
	GATEWAY_CACHE_MAX = 10,

	/* signing keys */
	KEYS_REMEMBERED_MAX = 256, /* removed ones: a year of them, turned over daily */

	/* refresh tokens */
	REFRESH_RETRY_MAX = 100, /* lost answers and parallel tabs per generation */

	/* password attempts (per user and network) */
	LOGIN_FAILURES_FREE = 10,
	LOGIN_DELAY_FIRST = 30,
	LOGIN_DELAY_MAX = 3600,
	LOGIN_TABLE_MAX = 65536,
};

#endif
