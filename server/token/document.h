/* Documents anybody may read and keep: one way of answering with text that was made beforehand. */
#ifndef CHANCERY_SERVER_DOCUMENT_H
#define CHANCERY_SERVER_DOCUMENT_H

#include "server/request/request.h"

struct document {
	struct str text; /* lives as long as the request: the snapshot's, which the request holds */
	const char *type, *etag;
	struct str cache_control;
	const char *vary; /* NULL: nothing */
};

/* 200, or 304 with the same headers (RFC 9110 15.4.5), for scripts of any origin too. */
enum err document_respond(struct request *rq, const struct document *d);
/* Does If-None-Match name this validator itself ("*" names none)? The caller holds the text then.
 */
bool document_is_held(const struct request *rq, const char *etag);

#endif
