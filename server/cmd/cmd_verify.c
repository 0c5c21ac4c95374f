/* Judging a token as any verifier could, with the public keys alone, and saying which check failed.
 * What a verifier can not see is not judged here: whether the token was revoked, and the jti's MAC.
 */
#include "server/cmd/cmd_verify.h"

#include "jose/jwt.h"
#include "oauth/uri.h"
#include "server/cmd/cmd_admin.h"
#include "server/cmd/cmd_input.h"
#include "server/cmd/cmd_out.h"

enum { VERIFY_SKEW = 5, KEY_FILE_MAX = 65536, CHECKS_MAX = 12, DOCUMENT_MAX = 1 << 20 };

enum verdict { CHECK_PASSED, CHECK_FAILED, CHECK_SKIPPED };

struct check {
	const char *name;
	enum verdict verdict;
	const char *detail;
};

struct verification {
	struct cmd *c;
	struct str token;
	enum alg alg; /* of --alg; ALG_UNKNOWN: not given */
	struct jwks *set;
	struct jwk *key; /* of --key */
	struct jws jws;
	struct json *header, *claims;
	struct check checks[CHECKS_MAX];
	size_t count;
};

static void add_check(struct verification *v, const char *name, enum verdict verdict,
		      const char *detail)
{
	if (v->count < CHECKS_MAX)
		v->checks[v->count++] = (struct check){ name, verdict, detail };
}

static void judge(struct verification *v, const char *name, bool good, const char *detail)
{
	add_check(v, name, good ? CHECK_PASSED : CHECK_FAILED, good ? "" : detail);
}

static int undecided(struct cmd *c, const char *what, const char *why)
{
	return cmd_fail(c, VERIFY_UNDECIDED, "%s: %s", what, why);
}

/* ---- keys ---- */

static bool is_url(const char *text)
{
	return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

static int fetch(struct cmd *c, const char *url, struct str *ret_text)
{
	struct http_call call = { .method = "GET", .url = url };
	struct remote r;
	struct reply reply;
	struct uri uri;
	int status = remote_open_public(c, str_z(url), &r);

	if (!uri_parse(str_z(url), &uri) && str_equal_z(uri.scheme, "http") &&
	    !uri_host_is_loopback(uri.host))
		cmd_note(c, "warning: keys fetched over http may be anybody's");
	if (!status)
		status = remote_send(&r, &call, &reply);
	remote_done(&r);
	if (status)
		return VERIFY_UNDECIDED;
	reply_done(&reply);
	if (reply.status != 200)
		return undecided(c, url, "the answer is no key set");
	*ret_text = reply.text;
	return CMD_OK;
}

static int load_set(struct verification *v, const char *source)
{
	struct str text;
	int status = is_url(source) ? fetch(v->c, source, &text)
				    : input_file(v->c, source, JWKS_SIZE_MAX, &text);
	enum err e;

	if (status)
		return VERIFY_UNDECIDED;
	e = jwks_parse(text, &v->set);
	return e ? undecided(v->c, source,
			     e == ERR_CONFLICT ? "two keys have one kid"
					       : "not a JWK set (RFC 7517 5)")
		 : CMD_OK;
}

static int load_key(struct verification *v, const char *path)
{
	AUTO(json, object) = NULL;
	struct str text;
	enum err e;

	if (input_file(v->c, path, KEY_FILE_MAX, &text))
		return VERIFY_UNDECIDED;
	if (memmem(text.p, text.n, "-----BEGIN", 10)) {
		e = jwk_from_pem(text, STR_NONE, &v->key);
		return e ? undecided(v->c, path,
				     "not a PEM public key or certificate of ours: P-256, or "
				     "RSA of 2048 to 4096 bits")
			 : CMD_OK;
	}
	if (json_parse(text, KEY_FILE_MAX, &object))
		return undecided(v->c, path, "neither PEM nor a JWK");
	e = jwk_from_json(object, &v->key);
	return e ? undecided(v->c, path,
			     "not a public JWK of ours: P-256, or RSA of 2048 to 4096 bits")
		 : CMD_OK;
}

/* --key, --jwks, or what the issuer publishes. */
static int load_keys(struct verification *v)
{
	const char *jwks = cmd_get(v->c, "jwks"), *key = cmd_get(v->c, "key");
	const char *issuer = cmd_get(v->c, "issuer");
	struct buf url;
	struct str text;

	if (jwks && key)
		return cmd_usage(v->c, "--jwks and --key: one of the two");
	if (key)
		return load_key(v, key);
	if (jwks)
		return load_set(v, jwks);
	if (!issuer)
		return cmd_usage(
			v->c,
			"the keys are missing: --jwks FILE|URL, --key FILE, or --issuer URL to "
			"fetch what it publishes");
	buf_init(&url, v->c->arena, URI_MAX + 64);
	buf_fmt(&url, "%s/.well-known/jwks.json", issuer);
	if (buf_end(&url, &text))
		return undecided(v->c, "--issuer", "too long");
	return load_set(v, text.p);
}

/* A token without kid can only mean the one key there is (RFC 7515 4.1.4 leaves it open). */
static const struct jwk *choose_key(const struct verification *v, const char **ret_why)
{
	const struct jwk *key;

	if (v->key)
		return v->key;
	if (v->jws.kid.p) {
		key = jwks_find(v->set, v->jws.kid);
		*ret_why = "no key of the set has the token's kid";
		return key;
	}
	*ret_why = "the token names no key (kid), and the set has more than one";
	return v->set->count == 1 ? v->set->keys[0] : NULL;
}

/* ---- checks ---- */

/* RFC 7515 5.2. False when there is nothing further to look at. */
static bool check_form(struct verification *v)
{
	enum err e = jws_parse(v->c->arena, v->token, &v->jws);

	if (!e && json_parse(v->jws.header, JOSE_HEADER_MAX, &v->header))
		e = ERR_SYNTAX;
	/* a JWS of something else than claims is as good a JWS (RFC 7515 2) */
	if (!e && json_parse(v->jws.payload, JWT_SIZE_MAX, &v->claims) &&
	    !cmd_has(v->c, "signature-only"))
		e = ERR_SYNTAX;
	judge(v, "form", !e,
	      e == ERR_UNSUPPORTED
		      ? "a signed token, but of a kind nobody should take: its algorithm is "
			"neither ES256 nor RS256, or it uses crit, b64 or zip"
	      : e == ERR_LIMIT ? "too large"
			       : "not a compact JWS with JSON in it");
	return !e;
}

static void check_signature(struct verification *v)
{
	const char *why = "";
	const struct jwk *key = choose_key(v, &why);
	enum err e;

	if (v->alg != ALG_UNKNOWN)
		judge(v, "algorithm", v->alg == v->jws.alg, "the token's is not the one of --alg");
	judge(v, "key", key != NULL, why);
	if (!key) {
		add_check(v, "signature", CHECK_FAILED, "without a key nothing is proven");
		return;
	}
	e = jws_verify(&v->jws, key);
	judge(v, "signature", !e,
	      e == ERR_UNSUPPORTED
		      ? "the key is for another algorithm than the token's"
		      : "does not match: the token was changed, or another key signed it");
}

/* Which one it is that is missing, or the verdict's own words. */
static const char *explain_claims(const struct verification *v, enum jwt_verdict verdict)
{
	static const struct {
		const char *name, *text;
	} rows[] = {
		{ "iss", "iss is missing" }, { "aud", "aud is missing" },
		{ "exp", "exp is missing" }, { "iat", "iat is missing" },
		{ "sub", "sub is missing" }, { "client_id", "client_id is missing" },
		{ "jti", "jti is missing" },
	};

	for (size_t i = 0; verdict == JWT_MISSING_CLAIM && i < sizeof(rows) / sizeof(rows[0]);
	     i++) {
		if (!json_get(v->claims, rows[i].name))
			return rows[i].text;
	}
	return jwt_verdict_text(verdict);
}

/* RFC 7800: who only has the token cannot see whether its sender proved anything. */
static void check_possession(struct verification *v)
{
	if (json_get(v->claims, "cnf"))
		add_check(v, "possession", CHECK_SKIPPED,
			  "bound to a key (cnf): worth nothing without the sender's proof");
}

/* RFC 9068 4, in its order; against the token's own type and issuer, so that every check is said by
 * itself. */
static void check_claims(struct verification *v)
{
	struct str iss = STR_NONE;
	struct jwt_expect expect = {
		.typ = v->jws.typ,
		.aud = STR_NONE,
		.now = v->c->env->now(v->c->env),
		.skew = VERIFY_SKEW,
	};
	enum jwt_verdict verdict;
	struct jwt jwt;
	bool read;

	(void)json_str(json_get(v->claims, "iss"), &iss);
	expect.iss = iss;
	judge(v, "type", jwt_typ_equal(v->jws.typ, STR("at+jwt")),
	      "typ is not at+jwt: this is no access token (RFC 9068 2.1)");
	verdict = jwt_check(&v->jws, &expect, &jwt);
	read = verdict == JWT_OK || verdict == JWT_EXPIRED || verdict == JWT_NOT_YET;
	judge(v, "claims", read, explain_claims(v, verdict));
	if (!read) {
		add_check(v, "time", CHECK_SKIPPED, "not without all the claims");
		return;
	}
	judge(v, "time", verdict == JWT_OK, jwt_verdict_text(verdict));
	jwt_done(&jwt);
}

static bool names_audience(const struct json *aud, const char *wanted)
{
	struct str text;

	if (json_str(aud, &text))
		return str_equal_z(text, wanted);
	for (size_t i = 0; i < json_len(aud); i++) {
		if (json_str(json_at(aud, i), &text) && str_equal_z(text, wanted))
			return true;
	}
	return false;
}

/* Not given is not checked, and said: a verifier that leaves these out takes anybody's tokens. */
static void check_parties(struct verification *v)
{
	const char *issuer = cmd_get(v->c, "issuer"), *audience = cmd_get(v->c, "audience");
	struct str iss = STR_NONE;

	(void)json_str(json_get(v->claims, "iss"), &iss);
	if (issuer)
		judge(v, "issuer", iss.p && str_equal_z(iss, issuer),
		      "the token is of another issuer");
	else
		add_check(v, "issuer", CHECK_SKIPPED, "--issuer was not given");
	if (audience)
		judge(v, "audience", names_audience(json_get(v->claims, "aud"), audience),
		      "the token is for another audience");
	else
		add_check(v, "audience", CHECK_SKIPPED, "--audience was not given");
}

/* ---- what is printed ---- */

static const struct check *first_failure(const struct verification *v)
{
	for (size_t i = 0; i < v->count; i++) {
		if (v->checks[i].verdict == CHECK_FAILED)
			return &v->checks[i];
	}
	return NULL;
}

static void write_checks(const struct verification *v, const char *name, struct jsonw *w)
{
	static const char *const words[] = { "passed", "failed", "not checked" };

	jsonw_key(w, name);
	jsonw_array(w);
	for (size_t i = 0; i < v->count; i++) {
		jsonw_object(w);
		jsonw_member_z(w, "check", v->checks[i].name);
		jsonw_member_z(w, "result", words[v->checks[i].verdict]);
		jsonw_member_z(w, "detail", v->checks[i].detail);
		jsonw_end_object(w);
	}
	jsonw_end_array(w);
}

static int print_table(const struct verification *v)
{
	static const struct out_column columns[] = {
		{ "CHECK", "check" },
		{ "RESULT", "result" },
		{ "DETAIL", "detail" },
		{ NULL, NULL },
	};
	static const struct out_view view = { .id = "check", .columns = columns };
	AUTO(json, list) = NULL;
	struct jsonw w;
	struct buf b;
	struct str text;

	buf_init(&b, v->c->arena, DOCUMENT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	write_checks(v, "items", &w);
	jsonw_end_object(&w);
	if (buf_end(&b, &text) || json_parse(text, DOCUMENT_MAX, &list))
		return cmd_nomem(v->c);
	return out_list(v->c, &view, list);
}

static int print_document(const struct verification *v)
{
	static const struct out_view view = { .id = "valid" };
	struct jsonw w;
	struct buf b;

	buf_init(&b, v->c->arena, DOCUMENT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member_bool(&w, "valid", !first_failure(v));
	write_checks(v, "checks", &w);
	if (v->header) {
		jsonw_key(&w, "header");
		jsonw_value(&w, v->header);
	}
	if (v->claims) {
		jsonw_key(&w, "claims");
		jsonw_value(&w, v->claims);
	}
	jsonw_end_object(&w);
	return out_text(v->c, &view, &b);
}

static int conclude(const struct verification *v)
{
	const struct check *failure = first_failure(v);
	bool people = v->c->format == FORMAT_TABLE && !cmd_has(v->c, "field");

	if (people ? print_table(v) : print_document(v))
		return VERIFY_UNDECIDED;
	if (!failure) {
		cmd_note(v->c, "The token is valid.");
		return VERIFY_VALID;
	}
	return cmd_fail(v->c, VERIFY_INVALID, "not valid: %s: %s", failure->name, failure->detail);
}

/* ---- the commands ---- */

static int prepare(struct verification *v)
{
	const char *alg = cmd_get(v->c, "alg");

	if (alg && (v->alg = alg_by_name(str_z(alg))) == ALG_UNKNOWN)
		return cmd_usage(v->c, "--alg %s: must be ES256 or RS256", alg);
	if (input_argument(v->c, v->c->args[0], &v->token))
		return VERIFY_UNDECIDED;
	return load_keys(v);
}

static void run_checks(struct verification *v)
{
	if (!check_form(v))
		return;
	check_signature(v);
	if (cmd_has(v->c, "signature-only"))
		return;
	check_claims(v);
	check_parties(v);
	check_possession(v);
}

int cmd_verify_run(struct cmd *c)
{
	struct verification v = { .c = c };
	int status = prepare(&v);

	if (!status) {
		run_checks(&v);
		status = conclude(&v);
	}
	json_free(v.header);
	json_free(v.claims);
	jwk_free(v.key);
	jwks_free(v.set);
	return status;
}

static int print_decoded(struct cmd *c, const struct json *header, const struct json *claims)
{
	static const struct out_view view = { .id = "header" };
	AUTO(json, root) = NULL;
	struct jsonw w;
	struct buf b;
	struct str text;

	buf_init(&b, c->arena, DOCUMENT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_key(&w, "header");
	jsonw_value(&w, header);
	jsonw_key(&w, "claims");
	jsonw_value(&w, claims);
	jsonw_end_object(&w);
	/* two nested objects make no table: JSON, for people too */
	if (c->format == FORMAT_TABLE)
		c->format = FORMAT_JSON;
	if (buf_end(&b, &text) || json_parse(text, DOCUMENT_MAX, &root))
		return cmd_nomem(c);
	return out_object(c, &view, root);
}

int cmd_decode_run(struct cmd *c)
{
	struct verification v = { .c = c };
	int status = input_argument(c, c->args[0], &v.token);

	if (status)
		return status;
	if (!check_form(&v))
		status = cmd_fail(c, CMD_REFUSED, "%s", v.checks[0].detail);
	else
		status = print_decoded(c, v.header, v.claims);
	if (!status)
		cmd_note(c, "Nothing was verified; `chancery token verify` does that.");
	json_free(v.header);
	json_free(v.claims);
	return status;
}
