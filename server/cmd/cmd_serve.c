/* `chancery init`, `dev` and `serve`: the commands that make and run a server. */
#include "server/serve/serve.h"

#include "server/cmd/cmd.h"
#include "server/cmd/cmd_init.h"

static int serve(struct cmd *c)
{
	struct serve_options options = {
		.source = c->source,
		.migrate = !cmd_has(c, "no-migrate"),
		.ready_fd = -1,
	};

	return serve_run(&options);
}

static const struct cmd_option init_options[] = {
	{ "issuer", "URL", "the address under which clients and verifiers reach the server" },
	{ NULL },
};

static const struct cmd_option dev_options[] = {
	{ "address", "ADDRESS:PORT", "where to listen (127.0.0.1:8080); port 0 takes a free one" },
	{ NULL },
};

static const struct cmd_option serve_options[] = {
	{ "no-migrate", NULL, "refuse to start on an older schema instead of migrating it" },
	{ NULL },
};

static const struct cmd_row rows[] = {
	{ .words = "dev",
	  .summary = "try it: a throw-away server on loopback, with something in it",
	  .details = "Makes a temporary data directory, an api, the client demo and the user alice "
		     "with "
		     "random secrets, prints them and ready curl lines, and serves plain HTTP "
		     "until it is "
		     "interrupted. Then everything is gone.",
	  .options = { dev_options },
	  .run = cmd_dev_run,
	  .examples = CMD_EXAMPLES("on 127.0.0.1:8080", "chancery dev",
				   "for a script, on a free port",
				   "chancery dev --address 127.0.0.1:0 -o json") },
	{ .words = "init",
	  .summary = "make an installation: directory, database, master key, first keys",
	  .details =
		  "Run again it changes nothing and says so. It never makes a master key beside an "
		  "existing database. Run as root in a directory of the service's own account, it "
		  "makes "
		  "the files for that account.",
	  .options = { init_options },
	  .run = cmd_init_run,
	  .examples = CMD_EXAMPLES(
		  "in /var/lib/chancery", "chancery init --issuer https://id.example.com",
		  "elsewhere", "chancery init --data /srv/id --issuer https://example.com/id") },
	{ .words = "serve",
	  .summary = "run the server in the foreground",
	  .details = "Migrates an older schema first, after copying the database. SIGTERM lets "
		     "requests in "
		     "flight end; SIGHUP reads the configuration again.",
	  .options = { serve_options },
	  .run = serve,
	  .examples = CMD_EXAMPLES("as installed", "chancery serve",
				   "behind a proxy on the same host",
				   "chancery serve --set server.trusted_proxies=127.0.0.1") },
};

const struct cmd_group cmd_serve_group = CMD_GROUP("Server", rows);
