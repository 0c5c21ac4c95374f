/* All commands, in the order help shows them, and the options every command takes. */
#include "server/cmd/cmd.h"

const struct cmd_group *const cmd_groups[] = {
	&cmd_serve_group,
	&cmd_client_group,
	&cmd_user_group,
	&cmd_api_group,
	&cmd_key_group,
	&cmd_token_group,
	&cmd_gateway_group,
	&cmd_audit_group,
	&cmd_migrate_group,
	&cmd_config_group,
	&cmd_health_group,
	&cmd_about_group,
	NULL,
};

const struct cmd_option cmd_globals[] = {
	{ "data", "DIR", "data directory (/var/lib/chancery, or $CHANCERY_DATA)" },
	{ "config", "FILE", "configuration file (DIR/chancery.yaml)" },
	{ "set", "OPTION=VALUE", "an option of the configuration, before file and environment",
	  .repeat = true },
	{ "output", "FORMAT", "table, json, yaml or quiet (ids only); -o for short" },
	{ "field", "NAME", "print this one value of the answer, raw" },
	{ "yes", NULL, "do not ask" },
	{ "url", "URL", "the server's address, instead of the socket in DIR" },
	{ "credentials", "FILE",
	  "client to get a token as: {\"issuer\",\"client_id\",\"client_secret\"}" },
	{ "token-file", "FILE", "the token itself, instead of --credentials" },
	{ "help", NULL, "this text; -h for short" },
	{ NULL },
};
