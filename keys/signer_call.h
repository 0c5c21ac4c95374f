/* One operation on the control channel or the custody line, as signer_control.c hands it to the
 * files that know how: signer_roots.c (master and root keys) and signer_keys.c (signing keys). */
#ifndef CHANCERY_KEYS_SIGNER_CALL_H
#define CHANCERY_KEYS_SIGNER_CALL_H

#include "base/buf.h"
#include "keys/signer_frame.h"
#include "keys/signer_process.h"

enum { CONTEXT_MAX = 255 };

/* In, then out. */
struct call {
	struct signer *s;
	struct signer_request in;
	int64_t number;
	char kid[KID_MAX + 1];
	struct buf text, more;
};

/* Answers one frame that came on `fd`; false: it is malformed, or of the other line. For the loop,
 * and for the fuzzer in its place. */
enum signer_line { LINE_NEITHER, LINE_CONTROL, LINE_CUSTODY };
bool signer_control_frame(struct signer *s, int fd, enum signer_line line, struct str frame);

/* What a sealed row is bound to; text holds it. */
struct str call_context(char text[CONTEXT_MAX + 1], const char *format, ...) PRINTF_LIKE(2, 3);
/* Sealed with a nonce of its own; fails into the buffer. */
void call_seal(const struct secret *key, struct str context, struct str plain, struct buf *out);

enum err call_root(struct call *c);
enum err call_reseal_root(struct call *c);
enum err call_new_root(struct call *c);
enum err call_derive(struct call *c);
enum err call_master_next(struct call *c);
enum err call_master_commit(struct call *c);

enum err call_generate(struct call *c);
enum err call_generated(struct call *c);
enum err call_api_secret(struct call *c);
enum err call_import_key(struct call *c);
enum err call_import(struct call *c);
enum err call_probe(struct call *c);
enum err call_load(struct call *c);
enum err call_activate(struct call *c);
enum err call_bound(struct call *c);
enum err call_drop(struct call *c);

#endif
