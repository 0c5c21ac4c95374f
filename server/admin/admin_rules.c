/* Rules for the values of admin bodies. One function per kind of value, so that a client's scope
 * and an api's scope cannot come to mean different things. */
#include "server/admin/admin_rules.h"

#include "oauth/scope.h"
#include "server/store/lists.h"

enum {
	LIST_TEXT_MAX = AUDIENCES_MAX * (URI_MAX + 1),
	CLAIMS_DEPTH_MAX = 8, /* a page of objects with claims must itself be JSON we read */
};

/* Claims that our tokens carry or that verifiers give a meaning to. */
static const char *const registered_claims[] = {
	"iss",
	"sub",
	"aud",
	"exp",
	"nbf",
	"iat",
	"jti",
	"client_id",
	"scope",
	"sid",
	"roles",
	"auth_time",
	"amr",
	"acr",
	"cnf",
	"act",
	"may_act",
	"azp",
	"typ",
	"nonce",
	"at_hash",
	"c_hash",
	"s_hash",
	"events",
	"toe",
	"txn",
	"sub_id",
	"sub_jwk",
	"authorization_details",
	"active",
	"token_type",
	"username",
	"htm",
	"htu",
	"ath",
	"vot",
	"vtm",
	"trust_framework",
};

bool admin_id_valid(struct str id)
{
	if (!id.n || id.n > ID_MAX || !str_is_vschar(id))
		return false;
	if (id.p[0] == ' ' || id.p[id.n - 1] == ' ')
		return false;
	return !str_equal_z(id, ".") && !str_equal_z(id, "..");
}

/* What is no control character to ASCII but one to a terminal: C1 (U+0080 to U+009F), and the marks
 * that turn the direction of writing (U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069), which
 * make one name look like another. */
static bool is_unseen(const char *p, size_t n)
{
	const unsigned char a = (unsigned char)p[0];
	const unsigned char b = n > 1 ? (unsigned char)p[1] : 0;
	const unsigned char c = n > 2 ? (unsigned char)p[2] : 0;

	if (a == 0xc2)
		return b < 0xa0;
	if (a != 0xe2)
		return false;
	if (b == 0x80)
		return c == 0x8e || c == 0x8f || (c >= 0xaa && c <= 0xae);
	return b == 0x81 && c >= 0xa6 && c <= 0xa9;
}

bool admin_text_valid(struct str text, size_t max)
{
	if (text.n > max || !str_is_utf8(text))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c < 0x20 || c == 0x7f || is_unseen(text.p + i, text.n - i))
			return false;
	}
	return true;
}

enum err admin_check_text(struct arena *a, const char *pointer, struct str text, size_t max,
			  struct str *ret_text, struct admin_fault *fault)
{
	struct str copy;

	if (!admin_text_valid(text, max))
		return admin_unprocessable(fault, pointer, "too long, or has control characters");
	copy = text.p ? arena_str(a, text) : STR("");
	if (!copy.p)
		return ERR_NOMEM;
	*ret_text = copy;
	return ERR_OK;
}

enum err admin_check_list(struct arena *a, const struct json *array,
			  const struct admin_list_rule *rule, struct str *ret_list,
			  struct admin_fault *fault)
{
	struct str item;
	struct buf b;

	if (json_len(array) > rule->max)
		return admin_unprocessable(fault, rule->pointer, "the list has too many items");
	buf_init(&b, a, LIST_TEXT_MAX);
	for (size_t i = 0; i < json_len(array); i++) {
		if (!json_str(json_at(array, i), &item))
			return admin_unprocessable(fault, rule->pointer,
						   "must be an array of strings");
		/* a space would make two items of one */
		if (!item.n || memchr(item.p, ' ', item.n) || !rule->valid(item))
			return admin_unprocessable(fault, rule->pointer, rule->detail);
		if (!list_has(str_n(b.p, b.n), item))
			list_add(&b, item);
	}
	if (b.err == ERR_LIMIT)
		return admin_unprocessable(fault, rule->pointer, "the list is too long");
	return buf_end(&b, ret_list);
}

enum err admin_check_scope(struct arena *a, struct str text, struct str *ret_scope,
			   struct admin_fault *fault)
{
	struct scope scope;
	struct buf b;
	enum err e = scope_parse(text.p ? text : STR(""), &scope);

	if (e == ERR_LIMIT)
		return admin_unprocessable(fault, "/scope", "too many scopes, or too long");
	if (e)
		return admin_unprocessable(fault, "/scope",
					   "must be scopes separated by single spaces");
	buf_init(&b, a, SCOPE_MAX);
	scope_write(&scope, &b);
	return buf_end(&b, ret_scope);
}

enum err admin_check_alg(const struct config *config, struct str name, enum alg *ret_alg,
			 struct admin_fault *fault)
{
	enum alg alg = alg_by_name(name);

	if (!name.p) {
		*ret_alg = ALG_UNKNOWN;
		return ERR_OK;
	}
	if (alg && config_has_alg(config, alg)) {
		*ret_alg = alg;
		return ERR_OK;
	}
	return admin_unprocessable(fault, "/alg", "must be one of the algorithms in keys.algs");
}

enum err admin_check_ttl(int64_t seconds, int64_t *ret_seconds, struct admin_fault *fault)
{
	if (seconds < ACCESS_TTL_MIN || seconds > ACCESS_TTL_MAX)
		return admin_unprocessable(fault, "/access_ttl", "must be from 5 to 86400 seconds");
	*ret_seconds = seconds;
	return ERR_OK;
}

bool admin_claim_valid(struct str name)
{
	if (name.n > SCOPE_TOKEN_MAX || !scope_token_valid(name))
		return false;
	for (size_t i = 0; i < sizeof(registered_claims) / sizeof(*registered_claims); i++)
		if (str_equal_z(name, registered_claims[i]))
			return false;
	return true;
}

/* The parser has bounded the recursion (JSON_DEPTH_MAX). */
static size_t depth_of(const struct json *v)
{
	const struct json *inner;
	struct str name;
	size_t deepest = 0;
	void *iter = NULL;

	for (size_t i = 0; json_type(v) == JSON_ARRAY && i < json_len(v); i++) {
		size_t depth = depth_of(json_at(v, i));

		deepest = depth > deepest ? depth : deepest;
	}
	while (json_type(v) == JSON_OBJECT && json_each(v, &iter, &name, &inner)) {
		size_t depth = depth_of(inner);

		deepest = depth > deepest ? depth : deepest;
	}
	return deepest + 1;
}

enum err admin_check_claims(struct arena *a, const struct json *object, struct str *ret_claims,
			    struct admin_fault *fault)
{
	const struct json *v;
	struct str name, text;
	void *iter = NULL;
	struct buf b;

	if (!object || !json_len(object)) {
		*ret_claims = STR("");
		return ERR_OK;
	}
	if (json_len(object) > CLAIMS_MAX)
		return admin_unprocessable(fault, "/claims", "too many claims");
	if (depth_of(object) > CLAIMS_DEPTH_MAX)
		return admin_unprocessable(fault, "/claims", "claims are nested too deeply");
	while (json_each(object, &iter, &name, &v))
		if (!admin_claim_valid(name))
			return admin_unprocessable(
				fault, "/claims",
				"a name is registered, too long or has odd characters");
	buf_init(&b, a, CLAIMS_SIZE_MAX);
	json_dump(object, &b);
	if (b.err == ERR_LIMIT)
		return admin_unprocessable(fault, "/claims", "claims take more than 2048 bytes");
	if (buf_end(&b, &text))
		return ERR_NOMEM;
	*ret_claims = text;
	return ERR_OK;
}

enum err admin_check_secret(struct str secret, bool weak, struct admin_fault *fault)
{
	/* RFC 6749 A.2: client-secret = *VSCHAR */
	if (!secret.n || !str_is_vschar(secret) || secret.n > PASSWORD_MAX)
		return admin_unprocessable(fault, "/client_secret",
					   "must be 1 to 1024 visible characters");
	if (secret.n < OPERATOR_SECRET_MIN && !weak)
		return admin_unprocessable(
			fault, "/client_secret",
			"has fewer than 24 characters; leave it out and the server makes "
			"one, or set allow_weak");
	return ERR_OK;
}

/* Characters, not bytes: everything but UTF-8's continuation bytes. */
static int64_t characters(struct str text)
{
	int64_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
	return n;
}

enum err admin_check_password(const struct config *config, struct str password,
			      struct admin_fault *fault)
{
	/* refused, never truncated: a hash of a prefix would accept the prefix */
	if (password.n > PASSWORD_MAX)
		return admin_unprocessable(fault, "/password", "has more than 1024 bytes");
	if (!password.n || characters(password) < config->passwords.min_length)
		return admin_unprocessable(fault, "/password",
					   "is shorter than passwords.min_length");
	return ERR_OK;
}
