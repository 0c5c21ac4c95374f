/* The man page. */
#include "server/cmd/cmd_doc.h"

/* Text for roff: a backslash or a hyphen means something, and so does a point or quote that begins
 * a line. */
static void roff(struct buf *out, const char *text)
{
	if (text[0] == '.' || text[0] == '\'')
		buf_z(out, "\\&");
	for (; *text; text++) {
		if (*text == '\\')
			buf_z(out, "\\e");
		else if (*text == '-')
			buf_z(out, "\\-");
		else
			buf_byte(out, *text);
	}
}

static void line(struct buf *out, const char *macro, const char *text)
{
	buf_z(out, macro);
	roff(out, text);
	buf_byte(out, '\n');
}

static void option(struct buf *out, const struct cmd_option *o)
{
	buf_z(out, ".TP\n\\fB\\-\\-");
	roff(out, o->name);
	buf_z(out, "\\fR");
	if (o->value) {
		buf_z(out, " \\fI");
		roff(out, o->value);
		buf_z(out, "\\fR");
	}
	buf_z(out, o->repeat ? " ...\n" : "\n");
	line(out, "", o->help);
}

static void command(struct buf *out, const struct cmd_row *row)
{
	buf_z(out, ".SS chancery ");
	roff(out, row->words);
	if (row->args) {
		buf_byte(out, ' ');
		roff(out, row->args);
	}
	buf_byte(out, '\n');
	line(out, "", row->summary);
	buf_z(out, ".\n");
	if (row->details)
		line(out, ".PP\n", row->details);
	for (size_t i = 0; cmd_option_at(row, i); i++)
		option(out, cmd_option_at(row, i));
	for (const char *const *e = row->examples; e && e[0]; e += 2) {
		line(out, ".PP\nExample, ", e[0]);
		buf_z(out, ".RS\n.nf\n");
		line(out, "", e[1]);
		buf_z(out, ".fi\n.RE\n");
	}
}

static void commands(struct buf *out)
{
	for (const struct cmd_group *const *g = cmd_groups; *g; g++) {
		for (size_t i = 0; i < (*g)->count; i++) {
			if (!((*g)->rows[i].flags & CMD_HIDDEN))
				command(out, &(*g)->rows[i]);
		}
	}
}

static void configuration(struct buf *out)
{
	struct option_view view;

	buf_z(out,
	      ".SH CONFIGURATION\nA flag (\\fB\\-\\-set\\fR) comes before the environment, that "
	      "before "
	      "the file, that before the default. An option \\fIsection.key\\fR is the variable "
	      "\\fBCHANCERY_SECTION_KEY\\fR; lists are separated by commas there. The file is YAML "
	      "or JSON.\n");
	for (size_t i = 0; i < config_option_count(); i++) {
		config_option(i, &view);
		buf_z(out, ".TP\n\\fB");
		roff(out, view.name);
		buf_z(out, "\\fR (");
		roff(out, view.type);
		buf_z(out, view.fallback[0] ? "; default " : "");
		roff(out, view.fallback);
		buf_z(out, view.reload ? "; reload)\n" : ")\n");
		line(out, "", view.help);
	}
}

void doc_man(const char *version, struct buf *out)
{
	buf_fmt(out, ".TH CHANCERY 1 \"\" \"chancery %s\" \"User Commands\"\n", version);
	buf_z(out,
	      ".SH NAME\nchancery \\- issue OAuth 2.0 tokens, with signing keys that rotate "
	      "themselves\n"
	      ".SH SYNOPSIS\n.B chancery\n[\\fIglobal options\\fR] \\fICOMMAND\\fR "
	      "[\\fIoptions\\fR] "
	      "[\\fIarguments\\fR]\n"
	      ".SH DESCRIPTION\n"
	      "One program is the server and its command line. Commands about clients, users, "
	      "apis, keys "
	      "and audit talk to the running server over the UNIX socket in its data directory, as "
	      "root "
	      "or as the server's own user, or over \\fB\\-\\-url\\fR with a token. Standard "
	      "output "
	      "carries data only; sentences go to standard error. Secrets are never arguments.\n"
	      ".SH GLOBAL OPTIONS\n");
	for (const struct cmd_option *o = cmd_globals; o->name; o++)
		option(out, o);
	buf_z(out, ".SH COMMANDS\n");
	commands(out);
	configuration(out);
	buf_z(out, ".SH ENVIRONMENT\n.TP\n\\fBCHANCERY_DATA\\fR\nThe data directory, unless "
		   "\\fB\\-\\-data\\fR is given.\n"
		   ".TP\n\\fBCREDENTIALS_DIRECTORY\\fR\n\\fImaster.key\\fR in it is used in place "
		   "of the "
		   "default master key.\n"
		   ".TP\n\\fBSSL_CERT_FILE\\fR\nCertificates to trust with \\fB\\-\\-url\\fR.\n"
		   ".SH EXIT STATUS\n0 done; 1 usage, a local fault, or refused by the server's "
		   "rules; 2 the "
		   "server cannot be reached; 3 unhealthy; 4 conflict, or a lock is held. "
		   "\\fBtoken verify\\fR: 0 valid, 1 invalid, 2 could not decide.\n"
		   ".SH FILES\n.TP\n\\fI/var/lib/chancery\\fR\nThe data directory: "
		   "\\fIchancery.yaml\\fR, "
		   "\\fIdb/chancery.db\\fR, \\fImaster.key\\fR, \\fIadmin.sock\\fR.\n");
}
