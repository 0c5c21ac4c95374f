/* `chancery audit`: what administrators did, what keys did, who logged in. */
#include "server/cmd/cmd_crud.h"

enum { AUDIT_LIMIT_DEFAULT = 50, AUDIT_LIMIT_MAX = 100000 };

static const struct crud audit_crud = {
	.noun = "event",
	.collection = "/audit",
	.view = { .id = "id",
		  .columns = (const struct out_column[]){ { "TIME", "at" },
							  { "EVENT", "event" },
							  { "OUTCOME", "outcome" },
							  { "ACTOR", "actor" },
							  { "TARGET", "target" },
							  { "ADDRESS", "address" },
							  { "COUNT", "count" },
							  { "REASON", "reason" },
							  { NULL, NULL } } },
};

static int list(struct remote *r)
{
	const char *given = cmd_get(r->c, "limit");
	int64_t limit = AUDIT_LIMIT_DEFAULT;

	if (given && str_to_i64(str_z(given), 1, AUDIT_LIMIT_MAX, &limit))
		return cmd_usage(r->c, "--limit %s: must be a number from 1 to %d", given,
				 AUDIT_LIMIT_MAX);
	return crud_list(r, &audit_crud, STR("/audit"), (size_t)limit);
}

static const struct cmd_option list_options[] = {
	{ "limit", "N", "so many events (50)" },
	{ NULL },
};

static const struct cmd_row rows[] = {
	{ .words = "audit list",
	  .scope = "audit",
	  .flags = CMD_READS,
	  .summary = "list audit events, the newest first",
	  .options = { list_options },
	  .admin = list,
	  .examples = CMD_EXAMPLES("the last five", "chancery audit list --limit 5",
				   "for another program",
				   "chancery audit list --limit 1000 -o json") },
};

const struct cmd_group cmd_audit_group = CMD_GROUP("Audit", rows);
