/* Tokens as attackers make them, as data: one table for everything that judges tokens. A target
 *says how tokens of its issuer look (struct attack_world) and what it answers; the table says which
 *of them are good and, for the others, which rule refuses them.
 *
 *	struct attack_world world = { ... };
 *	attack_all(&world, ATTACK_EVERYBODY | ATTACK_RECEIVERS, judge, arg);
 *
 * A new attack is a row in corpus.c, and nothing else: every target meets it. */
#ifndef CHANCERY_TESTS_ATTACK_CORPUS_H
#define CHANCERY_TESTS_ATTACK_CORPUS_H

#include "base/buf.h"
#include "chancery.h"

/* The issuer as the target knows it. */
struct attack_world {
	const char *issuer, *audience, *subject, *client;
	int64_t now;
	const char *ec_pem, *ec_kid;   /* an ES256 key that verifies at the target; from keys.h */
	const char *rsa_pem, *rsa_kid; /* RS256; kid NULL: the target does not know the key */
	/* Completes a payload, which has all claims but jti and no closing brace, as this issuer
	 * does. NULL: any jti will do. */
	void (*finish)(const struct attack_world *w, const char *kid, struct buf *payload);
	void *arg;
};

/* Whom a row is for. */
enum attack_for {
	ATTACK_EVERYBODY = 1,
	/* who takes a token for a sender: introspection only tells what it says (cnf) */
	ATTACK_RECEIVERS = 2,
	/* who knows that the issuer is this server: there is always a jti of ours */
	ATTACK_ISSUERS = 4,
};

struct attack {
	const char *name;
	enum chancery_verdict verdict; /* libchancery's; the reason for everybody else */
	struct str token;
};

/* `judge` is called for every row of `whom`, a bit mask; the token lives during the call. What is
 * CHANCERY_OK must be taken, what is not must be refused. Returns how many rows there were. */
size_t attack_all(const struct attack_world *w, unsigned whom,
		  void (*judge)(void *arg, const struct attack *attack), void *arg);

#endif
