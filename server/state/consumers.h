/* Who fetches the key set, and which standby each of them holds: so that a rotation can wait for
 * those who would not know the new key yet.
 *
 * Only two sorts count. *Named* ones: a row of keys.consumers (by address or by the certificate of
 * a TLS client; the first row that fits), and a client that authenticated its fetch. *Steady* ones:
 * an address (of IPv6 the /64) that fetched three times over at least two max-ages, the last time
 * within a day. What a fetcher says of itself counts for nothing. Each sort has a table of its own,
 * and strangers can push out nobody but strangers that are not steady: everybody else is one
 * number.
 *
 * A fetch is a body that was delivered, or a validator that proved it is still held. Of a consumer
 * it matters only what it asks for: one that fetches ?alg=ES256 holds back no RS256 key. Behind one
 * name or address may stand several caches; the last fetch speaks for all of them.
 *
 * Whom a rotation expects to hold the standby:
 * - a row of keys.consumers always, also while it was never seen (the operator says it exists);
 * - a client for 30 days after its last fetch;
 * - a steady address for a day.
 * Waiting is bounded elsewhere (keys.wait_max).
 *
 * Thread-safe: one lock, held for one pass over a few hundred words. Noting allocates nothing. */
#ifndef CHANCERY_SERVER_CONSUMERS_H
#define CHANCERY_SERVER_CONSUMERS_H

#include "server/state/config.h"
#include "server/state/keyring.h"

enum {
	CONSUMERS_STEADY_MAX = 64,
	CONSUMERS_CANDIDATES_MAX = 256, /* on their way to steady */
	CONSUMERS_CLIENTS_MAX = 256,
	CONSUMERS_LAGGARDS_MAX = 16, /* named in a report */
	CONSUMERS_KEEP = 30 * 86400, /* seconds: then a consumer is forgotten */
	CONSUMER_NAME_MAX = ID_MAX + 16,
};

struct consumers;

/* Reads keys.consumers and keys.jwks_max_age. */
MUST_CHECK enum err consumers_new(const struct config *config, struct consumers **ret_consumers);
void consumers_free(struct consumers *c);
/* After a reload. Rows that stay keep what is known of them. ERR_NOMEM: everything stays as it was.
 */
MUST_CHECK enum err consumers_configure(struct consumers *c, const struct config *config);

struct consumer_fetch {
	struct str address;		  /* the client's, after trusted proxies */
	struct str client_id;		  /* authenticated; else absent */
	const unsigned char *certificate; /* hash of a TLS client's (consumer_match.h); or NULL */
	unsigned algs;			  /* what the document covers: bits 1 << alg */
	const struct keyring_view *view;  /* of which it was made */
	int64_t now;
};
void consumers_note(struct consumers *c, const struct consumer_fetch *f);

struct consumers_report {
	unsigned held, expected;
	struct {
		char name[CONSUMER_NAME_MAX + 1]; /* "gateway", "client:ops", "2001:db8::/64" */
		bool never_seen;		  /* since the first start */
	} laggards[CONSUMERS_LAGGARDS_MAX];
	size_t laggard_count; /* of those that are named here; all are expected - held */
	unsigned anonymous;   /* others of this or the last day, about: at most 8192 */
};
/* Of those expected to hold the standby of this algorithm. */
void consumers_holding(struct consumers *c, enum alg alg, struct str standby_kid, int64_t now,
		       struct consumers_report *ret_report);
/* Bits 1 << alg of the algorithms whose standby somebody expected does not hold. */
unsigned consumers_lagging(struct consumers *c, const struct keyring_view *v, int64_t now);

struct consumers_counts {
	unsigned holding, lagging, anonymous;
};
void consumers_count(struct consumers *c, const struct keyring_view *v, int64_t now,
		     struct consumers_counts *ret_counts);

/* At start: what consumers_write left, so that a restart forgets nobody. */
MUST_CHECK enum err consumers_load(struct consumers *c, struct db *db, const struct keyring_view *v,
				   int64_t now);
/* A store step, once a minute: named and steady ones that fetched since the last one, and forgets
 * those unseen for CONSUMERS_KEEP. May be run again; when it is durable the caller says so. */
MUST_CHECK enum err consumers_write(struct consumers *c, struct db *db,
				    const struct keyring_view *v, int64_t now);
void consumers_written(struct consumers *c);

#endif
