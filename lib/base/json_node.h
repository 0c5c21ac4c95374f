/* What a JSON value is in memory. Private to json.c and json_read.c. */
#ifndef CHANCERY_BASE_JSON_NODE_H
#define CHANCERY_BASE_JSON_NODE_H

#include "base/arena.h"
#include "base/json.h"

struct json {
	enum json_type type;
	struct str name; /* where it is a member */
	union {
		bool truth;
		int64_t integer;
		double real;
		struct str text;
		struct {
			const struct json *items;
			size_t count;
		} list; /* array or object */
	} is;
};

/* The value that json_parse gives out, and the arena that holds it and all below it. */
struct json_root {
	struct json value;
	struct arena *arena;
};

#endif
