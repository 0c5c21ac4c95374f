/* The head of one HTTP message: its request line and the fields we know, and what we refuse about
 * them.
 *
 * A request that two programs read differently is the start of request smuggling (RFC 9112 11.2),
 * and libmicrohttpd 0.9 is generous: it takes Content-Length with Transfer-Encoding, the first of
 * two Content-Length fields, lines that end in a bare LF, folded lines, "Name :", and cuts at a
 * NUL. All of that is refused here, so that whatever a proxy before us made of it does not matter.
 * The lines of a chunked body are the library's alone; behind one the connection ends (exchange.c).
 *
 * Pure: works on the library's strings, keeps none of them longer than the head itself. */
#ifndef CHANCERY_SERVER_HEAD_H
#define CHANCERY_SERVER_HEAD_H

#include "base/str.h"
#include "server/state/wire.h"

enum head_name {
	HEAD_HOST,
	HEAD_CONTENT_LENGTH,
	HEAD_TRANSFER_ENCODING,
	HEAD_EXPECT,
	HEAD_AUTHORIZATION,
	HEAD_CONTENT_TYPE,
	HEAD_IF_MATCH,
	HEAD_IF_NONE_MATCH,
	HEAD_ACCEPT,
	HEAD_ORIGIN,
	HEAD_NAMES,
};

/* A list field that may come in several lines; when there are more, the last ones are kept. */
enum { HEAD_LINES_MAX = 8 };
struct head_lines {
	struct str line[HEAD_LINES_MAX];
	size_t count;
};

struct head {
	struct str method, target, version;
	struct str field[HEAD_NAMES]; /* trimmed; absent ones are STR_NONE */
	struct head_lines forwarded, x_forwarded_for;

	size_t target_max; /* set by the caller before head_check; 0: HTTP_TARGET_MAX */

	/* filled by head_check */
	enum method verb;
	struct str path;	/* within the target, or "/" */
	struct str query;	/* without the '?' */
	int64_t content_length; /* -1: not said */
	bool chunked;

	/* the first thing wrong */
	const char *why;
	enum err fault;
	int status; /* where the error's own row does not fit, else 0 */

	const char *next; /* head_wire: where the next line must begin; NULL: not checked */
};

/* `target` is the raw one, complete. */
void head_begin(struct head *h, struct str method, struct str target, struct str version);
/* For a library that turns line ends into NULs and says nothing about it: method, target and
 * version, and after them every field given to head_field, must lie in one piece, with one space or
 * CR LF in between. `target_at` is where the target lies in the buffer that holds method and
 * version. */
void head_wire(struct head *h, const char *target_at);
/* In the order received. */
void head_field(struct head *h, struct str name, struct str value);
/* After the last field; `size` bytes from the method to the end of the empty line. */
void head_end(struct head *h, size_t size);
/* The verdict: ERR_OK, or h->fault with h->why and h->status. */
MUST_CHECK enum err head_check(struct head *h);

/* Is there a body, or may one come? */
bool head_has_body(const struct head *h);

#endif
