/* /admin/v1/keys/import: a key of a former server, so that a migration breaks nobody. A private
 * half comes in a box that only the signer opens (keys/signer.h): it never lies open here. Over the
 * UNIX socket alone. */
#include "jose/b64.h"
#include "server/admin/admin.h"
#include "server/admin/admin_keys.h"
#include "server/admin/admin_rules.h"
#include "server/request/app.h"

enum {
	PUBLIC_JWK_MAX = 2048,
	BOX_MAX = SIGNER_IMPORT_KEY_MAX + SIGNER_IMPORT_OVERHEAD,
	TOKENS_UNTIL_MAX = 366 * 86400, /* a key that stays longer was meant to be active */
};

/* ---- GET: what a box is sealed to ---- */

struct import_key {
	struct request *rq;
	unsigned char public_key[SIGNER_IMPORT_KEY_LEN];
};

static enum err key_run(struct lane_ctx *ctx, void *arg)
{
	struct import_key *k = arg;

	(void)ctx;
	return keyring_import_key(k->rq->app->keyring, k->public_key);
}

static enum err key_done(struct request *rq, enum err result)
{
	const struct import_key *k = rq->state;
	char text[B64URL_LEN(SIGNER_IMPORT_KEY_LEN) + 1];
	struct jsonw w;
	struct buf b;

	if (result)
		return fail(rq, result, "the signer's key could not be had: %s", err_name(result));
	b64url_encode_z(k->public_key, sizeof(k->public_key), text);
	buf_init(&b, rq->arena, KEYS_TEXT_MAX);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member_z(&w, "public_key", text);
	jsonw_end_object(&w);
	return respond_json(rq, 200, &b);
}

enum err admin_key_import_key(struct request *rq)
{
	struct import_key *k = arena_new_of(rq->arena, struct import_key);

	if (!k)
		return fail(rq, ERR_NOMEM, "no memory for the signer's key");
	k->rq = rq;
	rq->state = k;
	return park(rq, LANE_BLOCKING, key_run, k, key_done);
}

/* ---- POST: the body ---- */

struct import_body {
	struct str alg, kid, state, sealed, tokens_until;
	const struct json *public_jwk;
};
#define FIELD(member, type_, needed)                                                               \
	{ .name = #member,                                                                         \
	  .type = type_,                                                                           \
	  .offset = offsetof(struct import_body, member),                                          \
	  .required = needed,                                                                      \
	  .nullable = !(needed) }
static const struct json_field import_rows[] = {
	FIELD(alg, JSON_STRING, true),		 FIELD(kid, JSON_STRING, true),
	FIELD(state, JSON_STRING, true),	 FIELD(sealed, JSON_STRING, false),
	FIELD(tokens_until, JSON_STRING, false), FIELD(public_jwk, JSON_OBJECT, false),
};
static const struct admin_shape import_shape = { import_rows,
						 sizeof(import_rows) / sizeof(*import_rows) };

struct import {
	struct request *rq;
	struct key_import in;
	struct audit_row audit;
};

/* As the signer takes it: 1 to KID_MAX visible characters. */
static enum err read_kid(struct str kid, struct key_import *in, struct admin_fault *fault)
{
	if (!kid.n || kid.n > KID_MAX || !str_is_vschar(kid) || memchr(kid.p, ' ', kid.n))
		return admin_unprocessable(fault, "/kid",
					   "must be 1 to 128 visible ASCII characters");
	in->kid = kid;
	return ERR_OK;
}

static enum err read_active(struct request *rq, const struct import_body *body,
			    struct key_import *in, struct admin_fault *fault)
{
	unsigned char *box = arena_alloc(rq->arena, BOX_MAX);
	size_t n;
	enum err e = admin_check_alg(rq->snapshot->config, body->alg, &in->alg, fault);

	if (e)
		return e;
	if (!box)
		return ERR_NOMEM;
	if (body->public_jwk)
		return admin_unprocessable(fault, "/public_jwk", "the signer makes it of the box");
	if (body->tokens_until.p)
		return admin_unprocessable(fault, "/tokens_until", "an active key has no end");
	if (!body->sealed.p || b64url_decode(body->sealed, box, BOX_MAX, &n))
		return admin_unprocessable(fault, "/sealed",
					   "must be the private key, sealed to the signer's key, "
					   "as base64url");
	in->box = str_n(box, n);
	return ERR_OK;
}

/* Written anew, so that what is published is canonical. */
static enum err read_public(struct arena *a, const struct json *object, struct key_import *in,
			    struct admin_fault *fault)
{
	AUTO(jwk, key) = NULL;
	struct jsonw w;
	struct buf b;
	enum err e = object ? jwk_from_json(object, &key) : ERR_SYNTAX;

	if (e == ERR_NOMEM || e == ERR_CRYPTO)
		return e;
	if (e)
		return admin_unprocessable(fault, "/public_jwk",
					   "must be a public JWK for signatures: P-256, or RSA of "
					   "2048 to 4096 bits");
	if (jwk_alg(key) != in->alg)
		return admin_unprocessable(fault, "/public_jwk", "is not a key of this alg");
	if (!str_equal(jwk_kid(key), in->kid))
		return admin_unprocessable(fault, "/public_jwk", "must have the same kid");
	buf_init(&b, a, PUBLIC_JWK_MAX);
	jsonw_init(&w, &b);
	jwk_export(key, &w);
	return buf_end(&b, &in->public_jwk);
}

static enum err read_retiring(struct request *rq, const struct import_body *body,
			      struct key_import *in, struct admin_fault *fault)
{
	in->alg = alg_by_name(body->alg);
	if (in->alg == ALG_UNKNOWN)
		return admin_unprocessable(fault, "/alg", "must be ES256 or RS256");
	if (body->sealed.p)
		return admin_unprocessable(fault, "/sealed",
					   "a retiring key needs no private half");
	if (!body->tokens_until.p || admin_time_parse(body->tokens_until, &in->tokens_until) ||
	    in->tokens_until <= rq->now || in->tokens_until > rq->now + TOKENS_UNTIL_MAX)
		return admin_unprocessable(fault, "/tokens_until",
					   "must be a time like 2026-11-22T16:00:00Z, in the next "
					   "366 days");
	return read_public(rq->arena, body->public_jwk, in, fault);
}

static enum err import_read(struct request *rq, struct key_import *in, struct admin_fault *fault)
{
	struct import_body body = { .alg = STR_NONE };
	uint64_t seen;
	enum err e = admin_fields(rq->arena, rq->json, &import_shape, &body, &seen, fault);

	if (!e)
		e = read_kid(body.kid, in, fault);
	if (e)
		return e;
	if (!key_state_by_name(body.state, &in->state) ||
	    (in->state != KEY_ACTIVE && in->state != KEY_RETIRING))
		return admin_unprocessable(fault, "/state", "must be active or retiring");
	return in->state == KEY_ACTIVE ? read_active(rq, &body, in, fault)
				       : read_retiring(rq, &body, in, fault);
}

/* ---- POST: the act ---- */

static enum err import_run(struct lane_ctx *ctx, void *arg)
{
	struct import *m = arg;
	enum err e = keyring_import(m->rq->app->keyring, &m->in);
	enum err published = admin_publish(ctx, m->rq); /* also what a failure left half done */

	return e ? e : published;
}

static const struct {
	enum err fact, answer;
	const char *pointer, *description;
} refusals[] = {
	{ ERR_CONFLICT, ERR_EXISTS, NULL, "There is a key of this kid." },
	{ ERR_FORBIDDEN, ERR_EXISTS, NULL,
	  "The key of this kid was revoked and does not come back." },
	{ ERR_BUSY, ERR_NOT_READY, NULL,
	  "Too many keys are published; wait until some have left." },
	{ ERR_BAD_SIGNATURE, ERR_PRECONDITION, NULL,
	  "The box is not for the present signer: ask for its key and seal again." },
	{ ERR_SYNTAX, ERR_UNPROCESSABLE, "/sealed", "does not hold a PKCS #8 key" },
	{ ERR_UNSUPPORTED, ERR_UNPROCESSABLE, "/sealed",
	  "holds no key of this alg: P-256, or RSA of 2048 to 4096 bits" },
};

static enum err import_refuse(struct request *rq, enum err result)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		if (refusals[i].fact != result)
			continue;
		rq->description = refusals[i].description;
		rq->pointer = str_z(refusals[i].pointer);
		return fail(rq, refusals[i].answer, "import refused: %s", err_name(result));
	}
	return fail(rq, result, "import failed: %s", err_name(result));
}

static enum err import_done(struct request *rq, enum err result)
{
	const struct import *m = rq->state;

	if (result)
		return import_refuse(rq, result);
	audit_count(rq, &m->audit, true);
	admin_location(rq, "/admin/v1/keys", m->in.kid);
	return admin_key_respond(rq, 201, m->in.kid);
}

enum err admin_key_import(struct request *rq)
{
	struct import *m = arena_new_of(rq->arena, struct import);
	struct admin_fault fault = { STR_NONE, STR_NONE };
	enum err e;

	if (!m)
		return fail(rq, ERR_NOMEM, "no memory for an import");
	e = import_read(rq, &m->in, &fault);
	if (e)
		return admin_refuse(rq, e, &fault);
	m->rq = rq;
	audit_fill(rq, AUDIT_KEY_IMPORT, "ok", m->in.kid, &m->audit);
	m->audit.reason = str_z(key_state_name(m->in.state));
	m->in.audit = &m->audit;
	rq->state = m;
	return park(rq, LANE_BLOCKING, import_run, m, import_done);
}
