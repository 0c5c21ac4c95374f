/* Writing the answer. All identity headers are there each time, so that whatever of those names the
 * gateway's client sent is overwritten, and never passed on because ours was missing. A value
 * leaves unchanged or not at all: what a header's reader would trim, split or take for another line
 * is another identity. */
#include "server/token/gateway.h"

enum { ROLES_TEXT_MAX = ROLES_MAX * (SCOPE_TOKEN_MAX + 1) };

/* RFC 9110 5.5: spaces at the ends are not part of a value; nothing below 0x20 may be in one, and
 * above 0x7e readers differ. */
static bool is_header_value(struct str s)
{
	return str_is_vschar(s) && (!s.n || (s.p[0] != ' ' && s.p[s.n - 1] != ' '));
}

/* "a b" as "a,b". A comma in a role would make two of one. */
static enum err with_commas(struct request *rq, struct str list, struct str *ret_text)
{
	struct str one;
	struct buf b;

	buf_init(&b, rq->arena, ROLES_TEXT_MAX);
	while (str_next(&list, ' ', &one)) {
		if (memchr(one.p, ',', one.n))
			return fail(rq, ERR_INVALID_TOKEN, "a role with a comma fits no header");
		if (b.n)
			buf_byte(&b, ',');
		buf_str(&b, one);
	}
	if (buf_end(&b, ret_text))
		return fail(rq, ERR_NOMEM, "no memory for a header");
	return ERR_OK;
}

static enum err write_headers(struct request *rq, const struct gateway_identity *id,
			      struct str roles)
{
	const struct header rows[] = {
		{ "X-User-Id", id->user ? id->sub : STR("") },
		{ "X-User-Role", roles },
		{ "X-Scope", id->scope },
		{ "X-Client-Id", id->client_id },
		{ "X-Token-Id", id->jti },
	};
	const size_t count = sizeof(rows) / sizeof(rows[0]);

	for (size_t i = 0; i < count; i++) {
		if (!is_header_value(rows[i].value))
			return fail(rq, ERR_INVALID_TOKEN, "no header can carry the value of %s",
				    rows[i].name);
	}
	for (size_t i = 0; i < count; i++)
		respond_header(rq, rows[i].name, rows[i].value);
	return ERR_OK;
}

/* Kept by a cache an answer outlives a revocation, so that only an api that lives with that for
 * some seconds has it kept: by the gateway alone, for this token alone, and never past its end. */
static enum err write_caching(struct request *rq, const struct gateway_pass *pass)
{
	const int64_t left = pass->id.exp - rq->now;
	const int64_t seconds = pass->target.cache < left ? pass->target.cache : left;
	struct str value = STR("no-store");
	struct buf b;

	if (seconds > 0) {
		buf_init(&b, rq->arena, ID_MAX);
		buf_z(&b, "private, max-age=");
		buf_i64(&b, seconds);
		if (buf_end(&b, &value))
			return fail(rq, ERR_NOMEM, "no memory for a header");
		respond_header(rq, "Vary", STR("Authorization"));
	}
	respond_header(rq, "Cache-Control", value);
	return ERR_OK;
}

enum err gateway_answer(struct request *rq, const struct gateway_pass *pass)
{
	const struct gateway_identity *id = &pass->id;
	struct str roles = STR("");
	enum err e = ERR_OK;

	if (id->user)
		e = with_commas(rq, id->roles, &roles);
	if (!e)
		e = write_headers(rq, id, roles);
	if (!e)
		e = write_caching(rq, pass);
	if (e)
		return e;
	return respond_text(rq, 200, NULL, STR(""));
}

void gateway_count(struct request *rq, enum err verdict)
{
	static const struct {
		enum err verdict;
		enum gateway_verdict counted;
	} rows[] = {
		{ ERR_OK, GATEWAY_ALLOWED },
		{ ERR_NO_TOKEN, GATEWAY_NO_TOKEN },
		{ ERR_INVALID_TOKEN, GATEWAY_INVALID_TOKEN },
		{ ERR_INSUFFICIENT_SCOPE, GATEWAY_INSUFFICIENT },
		{ ERR_INVALID_REQUEST, GATEWAY_BAD_QUESTION },
	};
	enum gateway_verdict counted = GATEWAY_UNDECIDED;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].verdict == verdict)
			counted = rows[i].counted;
	}
	count_gateway(rq->metrics, counted);
}
