/* What a message's head may look like. The tables say which fields we know and which of them must
 * not come twice; the checks are RFC 9112's, in its order. The first fault is kept. */
#include "server/http/head.h"

#include <stdint.h>

#include "base/limits.h"
#include "oauth/uri.h"

enum repeat {
	ONCE,  /* two of them disagree with somebody: refused */
	FIRST, /* a list we only look at the first line of */
};

struct field_row {
	struct str name;
	enum repeat repeat;
};

static const struct field_row rows[HEAD_NAMES] = {
	[HEAD_HOST] = { { "host", 4 }, ONCE }, /* RFC 9112 3.2 */
	[HEAD_CONTENT_LENGTH] = { { "content-length", 14 }, ONCE },
	[HEAD_TRANSFER_ENCODING] = { { "transfer-encoding", 17 }, ONCE },
	[HEAD_EXPECT] = { { "expect", 6 }, ONCE },
	[HEAD_AUTHORIZATION] = { { "authorization", 13 }, ONCE },
	[HEAD_CONTENT_TYPE] = { { "content-type", 12 }, ONCE },
	[HEAD_IF_MATCH] = { { "if-match", 8 }, ONCE },
	[HEAD_IF_NONE_MATCH] = { { "if-none-match", 13 }, FIRST }, /* at worst no 304 */
	[HEAD_ACCEPT] = { { "accept", 6 }, FIRST },
	[HEAD_ORIGIN] = { { "origin", 6 }, ONCE },
};

/* RFC 9110 5.6.2 */
static const bool tchar[256] = {
	['0' ... '9'] = true,  ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,
	['#' ... '\''] = true, ['*'] = true,	     ['+'] = true,	   ['-'] = true,
	['.'] = true,	       ['^' ... '`'] = true, ['|'] = true,	   ['~'] = true,
};

static enum err fault(struct head *h, enum err e, int status, const char *why)
{
	if (h->why)
		return h->fault;
	h->fault = e;
	h->status = status;
	h->why = why;
	return e;
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!tchar[(unsigned char)s.p[i]])
			return false;
	return s.n > 0;
}

/* RFC 9110 5.5: no controls but HTAB. A bare CR is one of them. No early leave: values are good. */
static bool is_field_value(struct str s)
{
	unsigned bad = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		bad |= (unsigned)((c < 0x20) & (c != '\t')) | (unsigned)(c == 0x7f);
	}
	return !bad;
}

void head_begin(struct head *h, struct str method, struct str target, struct str version)
{
	*h = (struct head){
		.method = method,
		.target = target,
		.version = version,
		.content_length = -1,
	};
}

/* ---- the bytes between ---- */

static void torn(struct head *h)
{
	/* RFC 9112 2.2 and 5.2: a bare LF, a folded line; RFC 9110 5.5: a NUL */
	fault(h, ERR_BAD_REQUEST, 0, "a NUL, a bare LF, a folded line or spaces in the head");
	h->next = NULL;
}

void head_wire(struct head *h, const char *target_at)
{
	h->next = h->version.p + h->version.n + 2;
	if (h->method.p + h->method.n + 1 != target_at ||
	    target_at + h->target.n + 1 != h->version.p)
		torn(h);
}

void head_end(struct head *h, size_t size)
{
	if (h->next && h->next + 2 != h->method.p + size)
		torn(h);
	if (size > HTTP_HEADERS_MAX)
		(void)fault(h, ERR_HEADERS_TOO_LARGE, 0, "the head is too large");
}

/* A folded line was copied elsewhere, anything else wrong moves the beginning of the next line. */
static void follow(struct head *h, struct str name, struct str value)
{
	uintptr_t gap = (uintptr_t)value.p - (uintptr_t)(name.p + name.n);

	if (name.p != h->next || gap == 0 || gap > HTTP_HEADERS_MAX)
		torn(h);
	else
		h->next = value.p + value.n + 2;
}

/* ---- fields ---- */

static void add_line(struct head_lines *lines, struct str value)
{
	if (lines->count == HEAD_LINES_MAX) {
		memmove(lines->line, lines->line + 1, (HEAD_LINES_MAX - 1) * sizeof(*lines->line));
		lines->count--;
	}
	lines->line[lines->count++] = value;
}

static void keep(struct head *h, struct str name, struct str value)
{
	for (size_t i = 0; i < HEAD_NAMES; i++) {
		if (rows[i].name.n != name.n || !str_case_equal(rows[i].name, name))
			continue;
		if (!h->field[i].p)
			h->field[i] = value;
		else if (rows[i].repeat == ONCE)
			fault(h, ERR_BAD_REQUEST, 0, "a field that must come once came twice");
		return;
	}
	if (str_case_equal(name, STR("x-forwarded-for")))
		add_line(&h->x_forwarded_for, value);
	else if (str_case_equal(name, STR("forwarded")))
		add_line(&h->forwarded, value);
}

void head_field(struct head *h, struct str name, struct str value)
{
	if (h->next)
		follow(h, name, value);
	/* RFC 9112 5.1: white space before the colon; "Content-Length : 5" hides from one reader */
	if (!is_token(name))
		fault(h, ERR_BAD_REQUEST, 0, "a field name is no token");
	if (!is_field_value(value))
		fault(h, ERR_BAD_REQUEST, 0, "a control character in a field");
	if (!h->why)
		keep(h, name, str_trim(value));
}

/* ---- the verdict ---- */

static enum method method_of(struct str name)
{
	for (enum method m = METHOD_GET; m < METHOD_COUNT; m++)
		if (str_equal_z(name, method_name(m)))
			return m;
	return METHOD_OTHER;
}

/* RFC 9112 3.2.2: in the absolute form the target's host counts and the Host field MUST be ignored.
 * We go by neither, because host and scheme are always the issuer's: what stands before the path is
 * checked and cut off. */
static bool cut_origin(struct str *target)
{
	static const struct str schemes[] = { { "http://", 7 }, { "https://", 8 } };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		const struct str scheme = schemes[i];
		size_t n = scheme.n;

		if (target->n <= n || !str_case_equal(str_n(target->p, n), scheme))
			continue;
		while (n < target->n && target->p[n] != '/' && target->p[n] != '?')
			n++;
		if (!uri_is_web_authority(str_n(target->p + scheme.n, n - scheme.n)))
			return false;
		*target = str_n(target->p + n, target->n - n);
		return true;
	}
	return false;
}

/* Origin form or absolute form; the authority form is CONNECT's, the asterisk form OPTIONS' (RFC
 * 9112 3.2). */
static enum err read_target(struct head *h)
{
	const size_t max = h->target_max ? h->target_max : HTTP_TARGET_MAX;
	struct str t = h->target;
	const char *mark;

	if (t.n > max)
		return fault(h, ERR_URI_TOO_LONG, 0, "the target is too long");
	for (size_t i = 0; i < t.n; i++)
		if (t.p[i] < 0x21 || t.p[i] > 0x7e || t.p[i] == '#')
			return fault(h, ERR_BAD_REQUEST, 0, "a raw byte in the target");
	if (!t.n || (t.p[0] != '/' && !cut_origin(&t)))
		return fault(h, ERR_BAD_REQUEST, 0, "the target is neither a path nor a URL");
	mark = memchr(t.p, '?', t.n);
	h->path = str_n(t.p, mark ? (size_t)(mark - t.p) : t.n);
	if (mark)
		h->query = str_n(mark + 1, t.n - h->path.n - 1);
	if (!h->path.n) /* RFC 9110 4.2.3: as good as "/" */
		h->path = STR("/");
	return ERR_OK;
}

static enum err check_length(struct head *h)
{
	struct str s = h->field[HEAD_CONTENT_LENGTH];
	int64_t n = 0;

	/* RFC 9110 8.6: digits, and nothing else; 18 of them are no overflow */
	if (!s.n || s.n > 18)
		return fault(h, ERR_BAD_REQUEST, 0, "Content-Length is no number");
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return fault(h, ERR_BAD_REQUEST, 0, "Content-Length is no number");
		n = n * 10 + (s.p[i] - '0');
	}
	h->content_length = n;
	return ERR_OK;
}

/* RFC 9112 6.1 and 6.3: smuggling by two lengths. A coding we do not know leaves no length at all.
 */
static enum err check_framing(struct head *h)
{
	struct str coding = h->field[HEAD_TRANSFER_ENCODING];
	bool sized = h->field[HEAD_CONTENT_LENGTH].p;

	if (coding.p && sized)
		return fault(h, ERR_BAD_REQUEST, 0, "Content-Length with Transfer-Encoding");
	if (coding.p && str_equal(h->version, STR("HTTP/1.0")))
		return fault(h, ERR_BAD_REQUEST, 0, "Transfer-Encoding in HTTP/1.0");
	if (coding.p && !str_case_equal(coding, STR("chunked")))
		return fault(h, ERR_BAD_REQUEST, 501, "a transfer coding we do not know");
	h->chunked = coding.p;
	return sized ? check_length(h) : ERR_OK;
}

enum err head_check(struct head *h)
{
	struct str expect = h->field[HEAD_EXPECT];
	enum err e;

	h->verb = method_of(h->method);
	if (h->why)
		return h->fault;
	if (!is_token(h->method))
		return fault(h, ERR_BAD_REQUEST, 0, "the method is no token");
	e = read_target(h);
	if (e)
		return e;
	/* RFC 9112 3.2 */
	if (!h->field[HEAD_HOST].p && !str_equal(h->version, STR("HTTP/1.0")))
		return fault(h, ERR_BAD_REQUEST, 0, "no Host");
	e = check_framing(h);
	if (e)
		return e;
	/* RFC 9110 10.1.1 */
	if (expect.p && !str_case_equal(expect, STR("100-continue")))
		return fault(h, ERR_BAD_REQUEST, 417, "an expectation we do not know");
	return ERR_OK;
}

bool head_has_body(const struct head *h)
{
	return h->chunked || h->content_length > 0;
}
