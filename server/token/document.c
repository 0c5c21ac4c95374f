/* RFC 9110 13.1.2 and what every cacheable answer carries. */
#include "server/token/document.h"

/* A list of validators, weak comparison. */
static bool names(struct str header, struct str wanted)
{
	struct str one;

	while (str_next(&header, ',', &one)) {
		one = str_trim(one);
		if (str_starts(one, STR("W/")))
			one = str_n(one.p + 2, one.n - 2);
		if (str_equal(one, wanted))
			return true;
	}
	return false;
}

bool document_is_held(const struct request *rq, const char *etag)
{
	return names(rq->if_none_match, str_z(etag));
}

enum err document_respond(struct request *rq, const struct document *d)
{
	respond_header(rq, "Cache-Control", d->cache_control);
	respond_header(rq, "ETag", str_z(d->etag));
	if (d->vary)
		respond_header(rq, "Vary", str_z(d->vary));
	respond_header(rq, "Access-Control-Allow-Origin", STR("*"));
	respond_header(rq, "Access-Control-Expose-Headers", STR("ETag"));
	if (document_is_held(rq, d->etag) || names(rq->if_none_match, STR("*")))
		return respond_text(rq, 304, NULL, STR_NONE);
	return respond_text(rq, 200, d->type, d->text);
}
