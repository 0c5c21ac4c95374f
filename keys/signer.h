/* The signer: a process of its own that alone holds root key and private signing keys, and with the
 * supervisor the master key. It has no network, no files and no database; it answers fixed frames
 * on socket pairs.
 *
 * What crosses: sealed rows go in (the server reads them from the database and cannot open them),
 * tokens and derived keys come out. The signer builds the JOSE header, takes the kid from the key
 * that signs, appends the jti as the payload's last claim and computes its MAC.
 *
 * Three kinds of channel: one `control` channel (load, generate, switch, derive: one caller at a
 * time), one `signing` channel per worker, served by a thread of its own in the signer, and the
 * `custody` line to the supervisor, on which a new master key comes. A request frame is one
 * SOCK_SEQPACKET message and gets exactly one answer. A frame that is malformed closes its
 * channel. */
#ifndef CHANCERY_KEYS_SIGNER_H
#define CHANCERY_KEYS_SIGNER_H

#include "base/buf.h"
#include "base/secret.h"
#include "jose/hs256.h"
#include "keys/plan.h"

/* Builds with a sanitizer take several times as long for everything, a signature included. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SIGNER_SLOWNESS 6
#else
#define SIGNER_SLOWNESS 1
#endif

enum {
	SIGNER_FRAME_MAX = 12288,
	SIGNER_WORKERS_MAX = 64,
	SIGNER_CHANNELS_MAX = SIGNER_WORKERS_MAX + 1, /* and one for what is signed aside */
	/* Longer than a process waits for its turn on a busy machine or under a CPU quota, whose
	 * period is 100 ms. A signer that hangs costs a worker this once: until it has answered,
	 * nothing else is asked. */
	SIGNER_TIMEOUT_MS = 200 + 40 * (SIGNER_SLOWNESS - 1),
	SIGNER_CONTROL_TIMEOUT_MS = 10000,
	/* asked four times a second (server/serve/housekeeper.c): a hung one is seen, and another
	 * started, within a second. A busy machine may leave one unscheduled for half of that. */
	SIGNER_PING_TIMEOUT_MS = 500 + 50 * (SIGNER_SLOWNESS - 1),
	SIGNER_CLOCK_SLACK = 60, /* seconds an iat may be off the signer's own clock */
	SIGNER_ROOTS_MAX = 8, /* a new root is a rare event; old ones leave with the last token */
	JTI_MAX = 64,
};

/* The master key, and the one that will take its place once everything is sealed under it. */
struct signer_masters {
	struct secret present, next;
	bool has_next;
};

/* The signer's ends of its channels. */
struct signer_lines {
	int control;
	int custody; /* -1: nobody changes the master key (`init`) */
	const int *signing;
	size_t count;
	/* In whose name it signs and for how long at the most, whatever the server says: one in a
	 * stranger's hands may have a new signer made, and be the first to speak to it. NULL: the
	 * issuer that it is told first (`init`); 0: ACCESS_TTL_MAX. */
	const char *issuer;
	int64_t longest_ttl;
};

/* Runs until the control channel closes; returns the exit status (0: it closed; 1: a malformed
 * frame on control or custody, or no memory). All descriptors are closed at the end. `masters` is
 * moved into locked memory and wiped. Called in the forked child, which then calls _exit. */
int signer_run(struct signer_masters *masters, const struct signer_lines *lines);

/* The same with a clock of the test's own (seconds); called on the signing threads. */
struct signer_clock {
	int64_t (*now)(void *arg);
	void *arg;
};
int signer_run_at(struct signer_masters *masters, const struct signer_lines *lines,
		  const struct signer_clock *clock);

/* The server's side. A struct signer_channel is used by one thread at a time; start with { .fd = fd
 * }. The owner may put another descriptor into `fd` (and close the old one) at any time between
 * calls.
 *
 * An answer that does not come in time is owed: until it arrives (and is thrown away) every call on
 * that socket returns ERR_UNAVAILABLE at once instead of waiting again, so that a stopped signer
 * costs a worker one wait and not one per request. The channel is closed when the signer has closed
 * it. */
struct signer_channel {
	int fd; /* -1: no signer at the moment */
	uint32_t seq;
	uint64_t owed_by; /* the socket (its inode) that owes an answer; 0: none */
	int patience_ms;  /* 0: the timeouts above. Tests on a busy machine wait longer */
};

/* A connected pair, close-on-exec: [0] for the server, whose receives give up after
 * SIGNER_TIMEOUT_MS, [1] for the signer. Channels are made here and nowhere else. ERR_IO. */
MUST_CHECK enum err signer_channel_pair(int ret_fds[2]);
/* Closes the descriptor; the next call says ERR_UNAVAILABLE. */
void signer_channel_close(struct signer_channel *ch);

/* Token kinds: each fixes the header's typ and the claims the signer insists on. */
enum token_kind { TOKEN_ACCESS = 1 /* typ at+jwt, RFC 9068 2.1 */ };

struct signed_token {
	struct str text; /* compact JWS, in the buffer given */
	char kid[KID_MAX + 1];
	char jti[JTI_MAX + 1];
};

/* `claims` is a JSON object without jti. Waits at most SIGNER_TIMEOUT_MS. ERR_UNAVAILABLE: no
 * signer, no active key, its exp_bound is not far enough ahead, or no answer in time. ERR_LIMIT:
 * the token would pass JWT_SIZE_MAX. ERR_INTERNAL: refused by policy. */
MUST_CHECK enum err signer_sign(struct signer_channel *ch, enum token_kind kind, enum alg alg,
				struct str claims, struct buf *out, struct signed_token *ret_token);

/* ---- documents, on signing channels ----
 *
 * What is signed and is no access token has keys of its own, one set for each purpose, which never
 * stand in the main key set: nobody who verifies tokens can be given a document for one. They are
 * not stored. A root key, the purpose and a period make them (keys/purpose.h), so that they turn
 * over by themselves and follow a new root. */
enum purpose {
	PURPOSE_REVOCATIONS = 1, /* typ revocations+jwt: iss, epoch, cursor, and the list "entries"
				  */
	PURPOSE_IDENTITY,	 /* typ identity+jwt: iss, sub, aud "<issuer>/gateway" */
	PURPOSE_COUNT
};
enum {
	PURPOSE_PERIOD = 30 * 86400,
	/* longest lifetimes, exp - iat */
	REVOCATIONS_TTL_MAX = 300,
	IDENTITY_TTL_MAX = 60,
};

/* `claims` is a JSON object with iss, iat, exp and what the purpose wants besides; header and key
 * are the signer's. *ret_text is in `out`. Waits and errors as signer_sign; keys.max_rate, which is
 * of tokens, does not count here. */
MUST_CHECK enum err signer_document(struct signer_channel *ch, enum purpose purpose,
				    struct str claims, struct buf *out, struct str *ret_text);
/* The purpose's public keys as a JWK Set (RFC 7517 5), appended to `out`: of the present period,
 * the next and the last, so that a key is known for a whole period before it signs. *ret_until: the
 * second in which the set changes. */
MUST_CHECK enum err signer_purpose_keys(struct signer_channel *ch, enum purpose purpose,
					struct buf *out, int64_t *ret_until);

/* A document with a list that no frame holds: begin, add objects, end. Sticky: after a failure the
 * rest does nothing, and the end tells. Anything else asked on the channel in between abandons it.
 */
struct signer_list {
	struct signer_channel *ch;
	struct buf *out; /* the JWS as it grows */
	struct signer_list_part *part;
	enum err err;
};
/* As signer_document; `claims` without the list. Nothing else may touch `out` until the end. */
void signer_list_begin(struct signer_list *l, struct signer_channel *ch, enum purpose purpose,
		       struct str claims, struct buf *out);
/* One JSON object, copied. ERR_LIMIT: of more than a few KiB. */
void signer_list_add(struct signer_list *l, struct str object);
/* Always to be called. *ret_text is in `out`. ERR_INTERNAL too: an object was none. */
MUST_CHECK enum err signer_list_end(struct signer_list *l, struct str *ret_text);

/* ---- secrets of single apis (HS256) ----
 *
 * A secret is made on the control channel, and told that once: it goes to the back end that will
 * verify with it. The row is sealed under the current root and bound to kid and URI; it comes with
 * every question, and opens for no other api. */
struct signer_api_row {
	struct str kid;
	struct str sealed;
};
/* Control. secret: its text, whose bytes are the HMAC key as they stand; wipe it. ERR_SYNTAX: no
 * URI, or too long. */
MUST_CHECK enum err signer_api_secret(struct signer_channel *ch, struct str uri,
				      char ret_kid[KID_MAX + 1], struct buf *secret,
				      struct buf *sealed);
/* Signing channel. `aud` of the claims is one text, the row's URI. As signer_sign; and
 * ERR_BAD_SIGNATURE: the row is another api's, of a former root, or damaged. */
MUST_CHECK enum err signer_api_sign(struct signer_channel *ch, const struct signer_api_row *row,
				    struct str claims, struct buf *out,
				    struct signed_token *ret_token);
/* Signing channel. Is this the MAC of the signing input under the row's secret? ERR_BAD_SIGNATURE:
 * no, or the row does not open for this URI. */
MUST_CHECK enum err signer_api_check(struct signer_channel *ch, const struct signer_api_row *row,
				     struct str uri, struct str input,
				     const unsigned char mac[HS256_LEN]);

/* Control. All wait at most SIGNER_CONTROL_TIMEOUT_MS. ERR_UNAVAILABLE as above; ERR_BAD_SIGNATURE:
 * the sealed row does not open under this master key; ERR_CONFLICT: not in this order (keys before
 * the root). */

/* Is it there? Waits at most SIGNER_PING_TIMEOUT_MS. ERR_TIMEOUT: it holds its channel and does not
 * answer, or owes an answer still; only another signer helps. ERR_UNAVAILABLE: it is gone. */
MUST_CHECK enum err signer_ping(struct signer_channel *ch);
/* ---- the root key, in versions 1 to 255 ----
 *
 * The highest version is current: it seals new keys, and only keys sealed under it are held. Older
 * ones stay for what was made with them (signer_derive_at). */

/* First: makes (sealed_in absent, ERR_CONFLICT when there is one) or opens the root key; may be
 * called for several versions. The same version with the same key again is no error. Out: the
 * sealed root to be stored when made; *ret_by_next: it opened under the next master key and not
 * under the present one. ERR_CONFLICT too: another root of this version, or a higher version when
 * keys are held already. ERR_LIMIT: version out of range, or more than SIGNER_ROOTS_MAX. */
MUST_CHECK enum err signer_root(struct signer_channel *ch, uint32_t version, struct str sealed_in,
				struct buf *sealed_out, bool *ret_by_next);
/* The same root sealed under the next master key; a row that is so already is taken too, so that a
 * change of unknown outcome can be done again. Nothing changes in the signer. ERR_NOT_FOUND: there
 * is no next one. */
MUST_CHECK enum err signer_reseal_root(struct signer_channel *ch, uint32_t version,
				       struct str sealed_in, struct buf *sealed_out);
/* A fresh root, sealed under the next master key and forgotten: it is adopted at the next start.
 * ERR_NOT_FOUND: there is no next one. ERR_CONFLICT: `version` is not above the highest held. */
MUST_CHECK enum err signer_new_root(struct signer_channel *ch, uint32_t version,
				    struct buf *sealed_out);
/* A key derived from a root by label; only labels the signer knows: "refresh", "jti",
 * "client-secret", "page-token", "access-token". ERR_NOT_FOUND for any other. "client-secret" is of
 * the lowest version held, for it only hashes secrets of 256 random bits; all others are of the
 * highest. */
MUST_CHECK enum err signer_derive(struct signer_channel *ch, const char *label,
				  struct secret *ret_key);
/* The same of one version: what judges a jti is of the root under which its kid was made.
 * ERR_NOT_FOUND: not held. */
MUST_CHECK enum err signer_derive_at(struct signer_channel *ch, uint32_t version, const char *label,
				     struct secret *ret_key);

/* ---- policy ---- */

/* Tells the issuer (ERR_CONFLICT: not the one of struct signer_lines, or that was told first), the
 * longest lifetime (ERR_SYNTAX: beyond what the lines allow), and how many tokens a second all
 * channels together may have (0: no limit). Tokens refused afterwards are those that break them;
 * those beyond the rate with ERR_UNAVAILABLE. ERR_SYNTAX. */
MUST_CHECK enum err signer_policy(struct signer_channel *ch, struct str issuer, int64_t longest_ttl,
				  uint32_t max_rate);

/* ---- keys ---- */

/* Makes a key pair on a thread of the signer's own and waits for it. public_jwk: JSON text; sealed:
 * for the row. Not loaded yet. */
MUST_CHECK enum err signer_generate(struct signer_channel *ch, enum alg alg,
				    char ret_kid[KID_MAX + 1], struct buf *public_jwk,
				    struct buf *sealed);
/* The same in two steps, for those who must not wait (RSA takes 0.1 to 1 s): the channel is free
 * between them. Beginning again while one is under way or not fetched is no error and makes no
 * second one. signer_generated: ERR_BUSY still under way, ERR_NOT_FOUND not begun. */
MUST_CHECK enum err signer_generate_begin(struct signer_channel *ch, enum alg alg);
MUST_CHECK enum err signer_generated(struct signer_channel *ch, enum alg alg,
				     char ret_kid[KID_MAX + 1], struct buf *public_jwk,
				     struct buf *sealed);

/* An operator's own private key comes in a box (crypto_box_seal) for this key of the signer, made
 * at its start, so that the server never sees it. */
enum { SIGNER_IMPORT_KEY_LEN = 32, SIGNER_IMPORT_KEY_MAX = 4096, SIGNER_IMPORT_OVERHEAD = 48 };
MUST_CHECK enum err signer_import_key(struct signer_channel *ch,
				      unsigned char ret_public[SIGNER_IMPORT_KEY_LEN]);
/* `box` holds PKCS#8 DER. Out as signer_generate, under the kid given: 1 to KID_MAX visible ASCII
 * characters (ERR_SYNTAX). ERR_BAD_SIGNATURE: the box is not for this signer (it may have been
 * restarted: seal again). ERR_SYNTAX: no PKCS#8. ERR_UNSUPPORTED: not of `alg`'s kind and strength,
 * or its parts do not fit together. */
MUST_CHECK enum err signer_import(struct signer_channel *ch, enum alg alg, struct str kid,
				  struct str box, struct buf *public_jwk, struct buf *sealed);
/* Opens the row of a key that is not held, signs with it, verifies that, and forgets it: a proof
 * that a standby will work. ERR_BAD_SIGNATURE, ERR_CRYPTO. */
MUST_CHECK enum err signer_probe(struct signer_channel *ch, const struct key_info *key,
				 struct str sealed);
/* Opens a row and holds it: as the key that signs if its state is active (ERR_CONFLICT if another
 * key does), or for signer_activate if it is a standby. ERR_CONFLICT for any other state. Loading a
 * kid again is no error and changes nothing. */
MUST_CHECK enum err signer_load(struct signer_channel *ch, const struct key_info *key,
				struct str sealed);
/* From the next frame on `kid` (loaded before, else ERR_NOT_FOUND) signs for its algorithm; the key
 * that did so before is dropped and the latest `exp` it signed is reported (0: none since it was
 * loaded). If `kid` signs already, only its bound is raised and 0 is reported. */
MUST_CHECK enum err signer_activate(struct signer_channel *ch, struct str kid, int64_t exp_bound,
				    int64_t *ret_last_exp);
/* Never lowers. ERR_NOT_FOUND. */
MUST_CHECK enum err signer_bound(struct signer_channel *ch, struct str kid, int64_t exp_bound);
/* The private half is gone when this returns and the signatures in flight are done. */
MUST_CHECK enum err signer_drop(struct signer_channel *ch, struct str kid);

/* ---- custody: the supervisor's side ---- */

/* Tells the next master key; another one told before is forgotten. */
MUST_CHECK enum err signer_master_next(struct signer_channel *ch, const struct secret *next);
/* The next one is the present one from now on, and the old one is wiped. ERR_NOT_FOUND: none. */
MUST_CHECK enum err signer_master_commit(struct signer_channel *ch);

/* The jti's MAC (keys/jti.c), for the side that verifies: kid of the header, payload up to the jti.
 * signer_jti_of: the jti if it is the payload's last member and of our form, else STR_NONE. */
struct str signer_jti_of(struct str payload);
bool signer_jti_genuine(const struct secret *jti_key, struct str kid, struct str payload);

#endif
