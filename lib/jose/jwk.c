/* Public keys. Whatever form a key comes in, it is first taken apart into its public numbers, the
 * numbers are checked, and a fresh EVP_PKEY is built from them (public_key.c). So one set of checks
 * guards all three ways in, the private half of a foreign EVP_PKEY is never carried along, and what
 * is exported is always canonical. */
#include "jose/jwk.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/limits.h"
#include "jose/b64.h"
#include "jose/public_key.h"

enum { THUMBPRINT_INPUT_MAX = 1024 }; /* a modulus of RSA_BITS_MAX and the names around it */

struct jwk {
	struct public_key numbers;
	EVP_PKEY *pkey;
	size_t kid_len;
	char kid[KID_MAX + 1];
	char thumbprint[THUMBPRINT_LEN + 1];
};

/* What an algorithm's keys are written with. */
static const struct {
	const char *curve;
	const char *first, *second;
} members[ALG_COUNT] = {
	[ALG_ES256] = { "P-256", "x", "y" }, /* RFC 7518 6.2.1 */
	[ALG_RS256] = { NULL, "n", "e" },    /* RFC 7518 6.3.1 */
};

/* RFC 7518 6.2.2, 6.3.2, 6.4: members of private and symmetric keys. Who publishes one of them has
 * lost that key. */
static bool has_private_member(const struct json *object)
{
	static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (json_get(object, names[i]))
			return true;
	}
	return false;
}

/* An optional string member: absent leaves *ret_value as it is, another type is ERR_SYNTAX. */
static enum err optional_string(const struct json *object, const char *name, struct str *ret_value)
{
	const struct json *v = json_get(object, name);

	return !v || json_str(v, ret_value) ? ERR_OK : ERR_SYNTAX;
}

/* RFC 7517 4.3 */
static enum err check_key_ops(const struct json *object)
{
	const struct json *ops = json_get(object, "key_ops");
	bool verifies = false;

	if (!ops)
		return ERR_OK;
	if (json_type(ops) != JSON_ARRAY)
		return ERR_SYNTAX;
	for (size_t i = 0; i < json_len(ops); i++) {
		struct str op;

		if (!json_str(json_at(ops, i), &op))
			return ERR_SYNTAX;
		verifies |= str_equal_z(op, "verify");
	}
	return verifies ? ERR_OK : ERR_UNSUPPORTED;
}

/* RFC 7517 4.2: an encryption key must not verify signatures */
static enum err check_use(const struct json *object)
{
	struct str use = STR("sig");
	enum err e = optional_string(object, "use", &use);

	if (e)
		return e;
	if (!str_equal_z(use, "sig"))
		return ERR_UNSUPPORTED;
	return check_key_ops(object);
}

static enum alg alg_of_kty(struct str kty)
{
	for (int i = ALG_UNKNOWN + 1; i < ALG_COUNT; i++) {
		if (str_equal_z(kty, alg_kty((enum alg)i)))
			return (enum alg)i;
	}
	return ALG_UNKNOWN;
}

/* kty decides; alg and crv must agree with it (RFC 7517 4.1, 4.4; RFC 7518 6.2.1.1; RFC 8725
 * 3.1). */
static enum err read_alg(const struct json *object, enum alg *ret_alg)
{
	struct str kty, name = STR_NONE, curve = STR_NONE;
	enum alg alg;
	enum err e;

	if (!json_str(json_get(object, "kty"), &kty))
		return ERR_SYNTAX;
	e = optional_string(object, "alg", &name);
	if (!e)
		e = optional_string(object, "crv", &curve);
	if (e)
		return e;
	alg = alg_of_kty(kty);
	if (alg == ALG_UNKNOWN || (name.p && alg_by_name(name) != alg))
		return ERR_UNSUPPORTED;
	if (members[alg].curve && !str_equal_z(curve, members[alg].curve))
		return curve.p ? ERR_UNSUPPORTED : ERR_SYNTAX;
	*ret_alg = alg;
	return ERR_OK;
}

static enum err read_number(const struct json *object, const char *name,
			    struct public_number *ret_number)
{
	struct str text;

	if (!json_str(json_get(object, name), &text))
		return ERR_SYNTAX;
	return b64url_decode(text, ret_number->b, sizeof(ret_number->b), &ret_number->n);
}

static enum err read_numbers(const struct json *object, struct public_key *ret_numbers)
{
	enum err e = read_alg(object, &ret_numbers->alg);

	if (!e)
		e = read_number(object, members[ret_numbers->alg].first, &ret_numbers->first);
	if (!e)
		e = read_number(object, members[ret_numbers->alg].second, &ret_numbers->second);
	return e;
}

static void write_number(struct jsonw *w, const char *name, const struct public_number *x)
{
	char text[B64URL_LEN(sizeof(x->b)) + 1];

	b64url_encode_z(x->b, x->n, text);
	jsonw_member_z(w, name, text);
}

/* RFC 7638 3.2: the required members in the order of their names: crv kty x y, or e kty n. */
static void write_thumbprint_input(const struct public_key *key, struct jsonw *w)
{
	jsonw_object(w);
	if (members[key->alg].curve) {
		jsonw_member_z(w, "crv", members[key->alg].curve);
		jsonw_member_z(w, "kty", alg_kty(key->alg));
		write_number(w, members[key->alg].first, &key->first);
		write_number(w, members[key->alg].second, &key->second);
	} else {
		write_number(w, members[key->alg].second, &key->second);
		jsonw_member_z(w, "kty", alg_kty(key->alg));
		write_number(w, members[key->alg].first, &key->first);
	}
	jsonw_end_object(w);
}

static enum err make_thumbprint(const struct public_key *key, char ret_text[THUMBPRINT_LEN + 1])
{
	unsigned char digest[32];
	struct buf input;
	struct jsonw w;
	struct str text;
	enum err e;

	buf_init(&input, NULL, THUMBPRINT_INPUT_MAX);
	jsonw_init(&w, &input);
	write_thumbprint_input(key, &w);
	e = buf_end(&input, &text);
	if (!e && EVP_Digest(text.p, text.n, digest, NULL, EVP_sha256(), NULL) != 1)
		e = openssl_error(ERR_CRYPTO);
	if (!e)
		b64url_encode_z(digest, sizeof(digest), ret_text);
	buf_done(&input);
	return e;
}

/* Absent: the thumbprint. */
static enum err set_kid(struct jwk *key, struct str kid)
{
	if (!kid.p)
		kid = str_z(key->thumbprint);
	if (kid.n == 0)
		return ERR_SYNTAX;
	if (kid.n > KID_MAX)
		return ERR_LIMIT;
	memcpy(key->kid, kid.p, kid.n);
	key->kid_len = kid.n;
	return ERR_OK;
}

static enum err jwk_new(const struct public_key *numbers, struct str kid, struct jwk **ret_key)
{
	AUTO(jwk, key) = calloc(1, sizeof(*key));
	enum err e;

	if (!key)
		return ERR_NOMEM;
	key->numbers = *numbers;
	e = public_key_build(numbers, &key->pkey);
	if (!e)
		e = make_thumbprint(numbers, key->thumbprint);
	if (!e)
		e = set_kid(key, kid);
	if (!e)
		*ret_key = TAKE(key);
	return e;
}

enum err jwk_from_json(const struct json *object, struct jwk **ret_key)
{
	struct public_key numbers = { .alg = ALG_UNKNOWN };
	struct str kid = STR_NONE;
	enum err e;

	if (!object || json_type(object) != JSON_OBJECT)
		return ERR_SYNTAX;
	if (has_private_member(object))
		return ERR_UNSUPPORTED;
	e = check_use(object);
	if (!e)
		e = read_numbers(object, &numbers);
	if (!e)
		e = optional_string(object, "kid", &kid);
	return e ? e : jwk_new(&numbers, kid, ret_key);
}

enum err jwk_from_pem(struct str pem, struct str kid, struct jwk **ret_key)
{
	struct public_key numbers = { .alg = ALG_UNKNOWN };
	enum err e = public_key_of_pem(pem, &numbers);

	return e ? e : jwk_new(&numbers, kid, ret_key);
}

enum err jwk_from_pkey(struct evp_pkey_st *pkey, struct str kid, struct jwk **ret_key)
{
	struct public_key numbers = { .alg = ALG_UNKNOWN };
	enum err e = public_key_of(pkey, &numbers);

	return e ? e : jwk_new(&numbers, kid, ret_key);
}

void jwk_free(struct jwk *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

enum alg jwk_alg(const struct jwk *key)
{
	return key->numbers.alg;
}

struct str jwk_kid(const struct jwk *key)
{
	return str_n(key->kid, key->kid_len);
}

struct evp_pkey_st *jwk_pkey(const struct jwk *key)
{
	return key->pkey;
}

enum err jwk_thumbprint(const struct jwk *key, char ret_text[THUMBPRINT_LEN + 1])
{
	memcpy(ret_text, key->thumbprint, sizeof(key->thumbprint));
	return ERR_OK;
}

void jwk_export(const struct jwk *key, struct jsonw *w)
{
	enum alg alg = key->numbers.alg;

	jsonw_object(w);
	jsonw_member_z(w, "kty", alg_kty(alg));
	jsonw_member_z(w, "use", "sig");
	jsonw_member_z(w, "alg", alg_name(alg));
	jsonw_member(w, "kid", jwk_kid(key));
	if (members[alg].curve)
		jsonw_member_z(w, "crv", members[alg].curve);
	write_number(w, members[alg].first, &key->numbers.first);
	write_number(w, members[alg].second, &key->numbers.second);
	jsonw_end_object(w);
}

enum err jwk_to_pem(const struct jwk *key, struct buf *out)
{
	BIO *bio;
	char *text;
	long n;

	ERR_clear_error();
	bio = BIO_new(BIO_s_mem());
	if (!bio || PEM_write_bio_PUBKEY(bio, key->pkey) != 1) {
		BIO_free(bio);
		return openssl_error(ERR_CRYPTO);
	}
	n = BIO_get_mem_data(bio, &text);
	buf_add(out, text, (size_t)n);
	BIO_free(bio);
	return ERR_OK;
}

/* Two keys with one kid: which of them verifies would depend on who reads the set. */
static enum err jwks_add(struct jwks *set, const struct json *object)
{
	AUTO(jwk, key) = NULL;
	enum err e = jwk_from_json(object, &key);

	if (e == ERR_NOMEM || e == ERR_CRYPTO)
		return e;
	if (e)
		return ERR_OK; /* RFC 7517 5: ignore what we do not understand */
	if (jwks_find(set, jwk_kid(key)))
		return ERR_CONFLICT;
	set->keys[set->count++] = TAKE(key);
	return ERR_OK;
}

static enum err jwks_fill(struct jwks *set, const struct json *root)
{
	const struct json *keys = json_get(root, "keys");
	enum err e = ERR_OK;

	if (!keys || json_type(keys) != JSON_ARRAY)
		return ERR_SYNTAX;
	if (json_len(keys) > sizeof(set->keys) / sizeof(set->keys[0]))
		return ERR_LIMIT;
	for (size_t i = 0; !e && i < json_len(keys); i++)
		e = jwks_add(set, json_at(keys, i));
	return e;
}

enum err jwks_parse(struct str text, struct jwks **ret_set)
{
	AUTO(json, root) = NULL;
	AUTO(jwks, set) = calloc(1, sizeof(*set));
	enum err e;

	if (!set)
		return ERR_NOMEM;
	e = json_parse(text, JWKS_SIZE_MAX, &root);
	if (!e)
		e = jwks_fill(set, root);
	if (!e)
		*ret_set = TAKE(set);
	return e;
}

void jwks_free(struct jwks *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->count; i++)
		jwk_free(set->keys[i]);
	free(set);
}

const struct jwk *jwks_find(const struct jwks *set, struct str kid)
{
	for (size_t i = 0; i < set->count; i++) {
		if (str_equal(jwk_kid(set->keys[i]), kid))
			return set->keys[i];
	}
	return NULL;
}
