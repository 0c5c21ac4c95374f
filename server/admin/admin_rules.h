/* What the values in admin bodies may be, whatever object they stand in. Every check is pure, makes
 * copies in the arena, writes its result only when it is good, and else fills the fault:
 * ERR_UNPROCESSABLE. */
#ifndef CHANCERY_SERVER_ADMIN_RULES_H
#define CHANCERY_SERVER_ADMIN_RULES_H

#include "server/admin/admin_json.h"
#include "server/state/config.h"

/* Ids are %x20-7E without a space at either end; "." and ".." would be eaten by every URL parser.
 */
bool admin_id_valid(struct str id);
/* For a person's eyes: UTF-8 without control characters (which would reach a terminal), at most
 * `max` bytes. Empty is fine. */
bool admin_text_valid(struct str text, size_t max);

MUST_CHECK enum err admin_check_text(struct arena *a, const char *pointer, struct str text,
				     size_t max, struct str *ret_text, struct admin_fault *fault);

/* An array of strings as the store keeps lists; an item twice counts once. */
struct admin_list_rule {
	const char *pointer;
	size_t max;
	bool (*valid)(struct str item);
	const char *detail;
};
MUST_CHECK enum err admin_check_list(struct arena *a, const struct json *array,
				     const struct admin_list_rule *rule, struct str *ret_list,
				     struct admin_fault *fault);

/* RFC 6749 3.3, in the caller's order. */
MUST_CHECK enum err admin_check_scope(struct arena *a, struct str text, struct str *ret_scope,
				      struct admin_fault *fault);
/* Known and among keys.algs; absent is ALG_UNKNOWN. */
MUST_CHECK enum err admin_check_alg(const struct config *config, struct str name, enum alg *ret_alg,
				    struct admin_fault *fault);
/* ACCESS_TTL_MIN to ACCESS_TTL_MAX. */
MUST_CHECK enum err admin_check_ttl(int64_t seconds, int64_t *ret_seconds,
				    struct admin_fault *fault);

/* May a custom claim have this name? Not if a token of ours carries, or a verifier reads, a
 * registered claim of that name (RFC 7519 10.1, RFC 9068 2.2): who may write claims must not write
 * `scope`. */
bool admin_claim_valid(struct str name);
/* An object of custom claims, to compact text; NULL and {} are "". */
MUST_CHECK enum err admin_check_claims(struct arena *a, const struct json *object,
				       struct str *ret_claims, struct admin_fault *fault);

/* A client secret of the operator's own: RFC 6749 A.2 and OPERATOR_SECRET_MIN, or at least one
 * character with `weak`. */
MUST_CHECK enum err admin_check_secret(struct str secret, bool weak, struct admin_fault *fault);
/* At least passwords.min_length characters, at most PASSWORD_MAX bytes. */
MUST_CHECK enum err admin_check_password(const struct config *config, struct str password,
					 struct admin_fault *fault);

#endif
