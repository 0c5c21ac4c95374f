/* How answers and refusals look: the last step before a response leaves the router. */
#ifndef CHANCERY_SERVER_DRESS_H
#define CHANCERY_SERVER_DRESS_H

#include "server/request/router.h"

/* Headers every good response carries, and no-store where the row says so. */
void dress_finish(struct request *rq);

#endif
