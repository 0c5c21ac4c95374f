/* The signer: a process of its own that alone holds master key, root key and private signing keys.
 * It has no network, no files and no database; it answers fixed frames on socket pairs.
 *
 * What crosses: sealed rows go in (the server reads them from the database and cannot open them),
 * tokens and derived keys come out. The signer builds the JOSE header, takes the kid from the key
 * that signs, appends the jti as the payload's last claim and computes its MAC.
 *
 * Two kinds of channel: one `control` channel (load, generate, switch, derive: one caller at a
 * time), and one `signing` channel per worker, served by a thread of its own in the signer. A
 * request frame is one SOCK_SEQPACKET message and gets exactly one answer. A frame that is
 * malformed closes its channel. */
#ifndef CHANCERY_KEYS_SIGNER_H
#define CHANCERY_KEYS_SIGNER_H

#include "base/buf.h"
#include "base/secret.h"
#include "keys/plan.h"

enum {
	SIGNER_FRAME_MAX = 12288,
	SIGNER_CHANNELS_MAX = 64, /* workers */
	SIGNER_TIMEOUT_MS = 50,
	SIGNER_CONTROL_TIMEOUT_MS = 10000,
	SIGNER_PING_TIMEOUT_MS = 2000,
	SIGNER_CLOCK_SLACK = 60, /* seconds an iat may be off the signer's own clock */
	JTI_MAX = 64,
};

/* Runs until the control channel closes; returns the exit status (0: it closed; 1: a malformed
 * control frame or no memory). `channels` are signing sockets; all descriptors are closed at the
 * end. Called in the forked child, which then calls _exit; the caller wipes `master`. */
int signer_run(const struct secret *master, int control, const int *channels, size_t count);

/* The same with a clock of the test's own (seconds); called on the signing threads. */
struct signer_clock {
	int64_t (*now)(void *arg);
	void *arg;
};
int signer_run_at(const struct secret *master, int control, const int *channels, size_t count,
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

/* Control. All wait at most SIGNER_CONTROL_TIMEOUT_MS. ERR_UNAVAILABLE as above; ERR_BAD_SIGNATURE:
 * the sealed row does not open under this master key; ERR_CONFLICT: not in this order (keys before
 * the root, another root). */

/* Is it there? Waits at most SIGNER_PING_TIMEOUT_MS. ERR_TIMEOUT: it holds its channel and does not
 * answer, or owes an answer still; only another signer helps. ERR_UNAVAILABLE: it is gone. */
MUST_CHECK enum err signer_ping(struct signer_channel *ch);
/* First: makes (sealed_in absent) or opens the root key. Out: the sealed root to be stored when
 * made. */
MUST_CHECK enum err signer_root(struct signer_channel *ch, uint32_t version, struct str sealed_in,
				struct buf *sealed_out);
/* Tells the issuer and the longest lifetime; refused tokens afterwards are those that break them.
 */
MUST_CHECK enum err signer_policy(struct signer_channel *ch, struct str issuer,
				  int64_t longest_ttl);
/* A key derived from the root by label; only labels the signer knows: "refresh", "jti",
 * "client-secret", "page-token". ERR_NOT_FOUND for any other. */
MUST_CHECK enum err signer_derive(struct signer_channel *ch, const char *label,
				  struct secret *ret_key);
/* Makes a key pair on a thread of its own. public_jwk: JSON text; sealed: for the row. Not loaded
 * yet. */
MUST_CHECK enum err signer_generate(struct signer_channel *ch, enum alg alg,
				    char ret_kid[KID_MAX + 1], struct buf *public_jwk,
				    struct buf *sealed);
/* Opens a row and holds it: as the key that signs if its state is active (ERR_CONFLICT if another
 * key does), else only until signer_activate. Loading a kid again is no error and changes nothing.
 */
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

/* The jti's MAC (keys/jti.c), for the side that verifies: kid of the header, payload up to the jti.
 * signer_jti_of: the jti if it is the payload's last member and of our form, else STR_NONE. */
struct str signer_jti_of(struct str payload);
bool signer_jti_genuine(const struct secret *jti_key, struct str kid, struct str payload);

#endif
