/* What /metrics shows besides counters: read from the modules when asked. */
#ifndef CHANCERY_SERVER_GAUGES_H
#define CHANCERY_SERVER_GAUGES_H

#include "server/request/app.h"
#include "server/request/request.h"

/* Strings are the request's arena's or its snapshot's. ERR_NOMEM. */
MUST_CHECK enum err gauges_fill(struct request *rq, struct metrics_gauges *ret_gauges);

#endif
