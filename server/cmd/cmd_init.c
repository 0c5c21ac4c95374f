/* `chancery init`: an installation, once. */
#include "server/cmd/cmd_init.h"

#include "server/cmd/cmd_out.h"
#include "server/cmd/cmd_setup.h"

static const struct out_view init_view = { .id = "data" };

/* What --issuer says must agree with what the other sources say. */
static int check_issuer(struct cmd *c, const struct config *config)
{
	const char *given = cmd_get(c, "issuer");

	if (given && config->issuer.n && !str_equal_z(config->issuer, given))
		return cmd_fail(c, CMD_CONFLICT, "%s is for the issuer %s, and stays so",
				config->data_dir.p, config->issuer.p);
	return CMD_OK;
}

/* A fault of the issuer is said without where it came from: nobody wrote --set. */
static int load_with_issuer(struct cmd *c, const struct config **ret_config)
{
	struct config_warnings warnings;
	struct config_fault fault;
	char *origin;
	enum err e = config_load(&c->source, &c->config, &warnings, &fault);

	if (e && e != ERR_SYNTAX)
		return cmd_nomem(c);
	*ret_config = c->config;
	if (!e)
		return CMD_OK;
	origin = strstr(fault.text, " (--set)");
	if (origin && str_starts(str_z(fault.text), STR("issuer: ")))
		*origin = '\0';
	return cmd_fail(c, CMD_REFUSED, "%s", fault.text);
}

/* Lays --issuer over the other sources, like a flag, where they name none. */
static int take_issuer(struct cmd *c, const struct config **ret_config)
{
	const char *given = cmd_get(c, "issuer");
	struct buf set;
	struct str text;

	if ((*ret_config)->issuer.n)
		return CMD_OK;
	if (!given)
		return cmd_usage(c, "init needs --issuer URL: the address under which clients and "
				    "verifiers will reach this server");
	buf_init(&set, c->arena, URI_MAX + 16);
	buf_fmt(&set, "issuer=%s", given);
	if (c->source.set_count == CMD_GIVEN_MAX || buf_end(&set, &text))
		return cmd_usage(c, "--issuer: too long");
	c->sets[c->source.set_count++] = text.p;
	config_unref(TAKE(c->config));
	return load_with_issuer(c, ret_config);
}

static int print(struct cmd *c, const struct config *config, bool created)
{
	struct buf b;
	struct jsonw w;

	buf_init(&b, c->arena, 65536);
	jsonw_init(&w, &b);
	jsonw_object(&w);
	jsonw_member(&w, "data", config->data_dir);
	jsonw_member(&w, "issuer", config->issuer);
	jsonw_member(&w, "master_key_file", config->keys.master_key_file);
	jsonw_member_bool(&w, "created", created);
	jsonw_end_object(&w);
	return out_text(c, &init_view, &b);
}

static void say_next(struct cmd *c, const struct config *config)
{
	cmd_note(c,
		 "Keep a copy of %s in another place than the database: whoever has both has the "
		 "keys, and without it nobody has.",
		 config->keys.master_key_file.p);
	cmd_note(c, "Next: chancery serve --data %s", config->data_dir.p);
}

static int make(struct cmd *c, const struct config *config)
{
	struct config_fault fault;
	int status = take_issuer(c, &config);

	if (status)
		return status;
	if (config_check_serve(config, &fault))
		return cmd_fail(c, CMD_REFUSED, "%s", fault.text);
	status = setup_become_owner(c, config->data_dir.p);
	if (!status)
		status = setup_make(c, config);
	if (status)
		return status;
	say_next(c, config);
	return print(c, config, true);
}

int cmd_init_run(struct cmd *c)
{
	const struct config *config;
	enum setup_state state;
	int status = cmd_config(c, &config);

	if (!status)
		status = check_issuer(c, config);
	if (!status)
		status = setup_look(c, config, &state);
	if (status)
		return status;
	if (state == SETUP_ABSENT)
		return make(c, config);
	cmd_note(c, "%s is an installation already; nothing was changed.", config->data_dir.p);
	return print(c, config, false);
}
