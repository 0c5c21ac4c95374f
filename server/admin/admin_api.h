/* What the endpoints of apis and of their secrets share. */
#ifndef CHANCERY_SERVER_ADMIN_API_H
#define CHANCERY_SERVER_ADMIN_API_H

#include "server/admin/admin_act.h"

/* The members of an api that say what its tokens look like. */
struct api_format_body {
	struct str alg, format;
	const struct json *encryption_key; /* an object */
};
/* Judges them together; sets format, alg and encryption_key of the api. */
MUST_CHECK enum err api_format_read(const struct config *config, struct arena *a,
				    const struct api_format_body *in, struct api *api,
				    struct admin_fault *fault);
void api_format_write(struct jsonw *w, const struct api *api);

/* A secret that the signer has made, on its way to the store and to the one answer that shows it.
 */
struct new_api_secret {
	struct request *rq;
	struct api_secret row;
	struct buf text; /* wiped when the request ends */
};

/* Lets the signer make one for `uri`; `next` goes on with rq->state as it is now. ERR_UNAVAILABLE:
 * no signer. */
enum err new_api_secret_make(struct request *rq, struct str uri, struct new_api_secret *s,
			     enum err (*next)(struct request *rq, enum err result));
/* In the writer: it signs from `sign_from` on; the one that signs until then verifies as long as a
 * token of it can live. */
MUST_CHECK enum err new_api_secret_store(struct lane_ctx *ctx, struct new_api_secret *s,
					 int64_t sign_from, struct admin_fault *fault);
/* "kid" and "secret", as members. */
void new_api_secret_write(struct jsonw *w, const struct new_api_secret *s);

#endif
