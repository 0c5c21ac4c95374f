/* Configuration: one table of options (config_options.c) from which the file, the environment,
 * flags, `config show`, the reference in config/ and reload all read. libyaml is known to
 * config_yaml.c alone; typing is by the table, never by YAML's guesses.
 *
 * A struct config is immutable once loaded, shared by reference, and replaced whole by SIGHUP. */
#ifndef CHANCERY_SERVER_CONFIG_H
#define CHANCERY_SERVER_CONFIG_H

#include "base/arena.h"
#include "base/auto.h"
#include "base/buf.h"
#include "base/limits.h"
#include "jose/alg.h"
#include "server/state/network.h"

enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_LOGFMT };
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum key_probe { KEY_PROBE_AUTO, KEY_PROBE_OFF };
enum on_off { OPTION_OFF, OPTION_ON };
enum log_access { LOG_ACCESS_ALL, LOG_ACCESS_ERRORS, LOG_ACCESS_MODIFYING, LOG_ACCESS_OFF };

struct str_list {
	const struct str *items;
	size_t count;
};

struct tls_files {
	struct str certificate; /* PEM chain; empty: no TLS on this listener */
	struct str key;
};

struct config {
	struct str data_dir; /* absolute; not an option of the file */
	struct str issuer;
	struct str issuer_path; /* "" or "/a/b", cut from issuer */
	struct {
		struct str address; /* host:port, [v6]:port */
		int64_t workers;    /* 0: auto, one per core */
		struct network_list trusted_proxies;
		struct tls_files tls;
	} server;
	struct {
		struct str address; /* "off" or host:port */
		struct str socket;  /* path; "off" */
		struct tls_files tls;
	} admin;
	struct {
		struct str address; /* "off" or host:port */
		struct str socket;  /* path; "off" */
		enum on_off identity;
		struct tls_files tls;
	} gateway;
	struct {
		struct str url;	 /* "sqlite" */
		struct str path; /* derived: DIR/db/chancery.db */
	} storage;
	struct {
		int64_t access_ttl, client_credentials_ttl, max_ttl, refresh_ttl, refresh_max,
			refresh_retry, nbf_skew;
		enum alg alg;
		struct str default_audience;
	} tokens;
	struct {
		enum alg algs[ALG_COUNT];
		size_t alg_count;
		int64_t rotate_every, jwks_max_age, clock_skew, wait_max, max_rate;
		enum key_probe probe;
		struct str_list consumers; /* "name=address" or "name=network" */
		struct str master_key_file;
		bool master_key_ours; /* DIR/master.key, by default */
	} keys;
	struct {
		int64_t min_length;
	} passwords;
	struct {
		enum log_level level;
		enum log_format format;
		enum log_access access;
	} log;
	struct {
		int64_t keep;
	} audit;
};

/* What the command line gave. */
struct config_source {
	const char *data_dir; /* NULL: CHANCERY_DATA, else /var/lib/chancery */
	const char *file;     /* NULL: DIR/chancery.yaml; absence of the default file is no error */
	const char *const *sets; /* "section.key=value" */
	size_t set_count;
	const char *const *environ;
	/* How the file is opened; NULL: open(). A descriptor, or -1 and errno. */
	int (*open_file)(void *arg, const char *path);
	void *open_arg;
};

struct config_fault {
	char text[512]; /* key, reason, nearest known name, and the line or command that helps */
};
/* Unknown CHANCERY_* variables and the like, for stderr. */
struct config_warnings {
	char text[8][256];
	size_t count;
};

/* Refcounted. Reads, types and checks one by one. ERR_SYNTAX with ret_fault; ERR_NOMEM. */
MUST_CHECK enum err config_load(const struct config_source *source, struct config **ret_config,
				struct config_warnings *ret_warnings,
				struct config_fault *ret_fault);
/* What `serve` refuses: http issuer off loopback, a non-loopback address with neither TLS nor
 * proxies, rotate_every below twice jwks_max_age, lifetimes the key plan cannot cover. */
MUST_CHECK enum err config_check_serve(const struct config *c, struct config_fault *ret_fault);
/* May `next` replace `now` without a restart? Options whose row does not say "reload" must be
 * equal; the fault names the first that is not. */
MUST_CHECK enum err config_check_reload(const struct config *now, const struct config *next,
					struct config_fault *ret_fault);
/* Is it one of keys.algs? */
bool config_has_alg(const struct config *c, enum alg alg);
struct config *config_ref(struct config *c);
void config_unref(struct config *c);
#define config_free config_unref
AUTO_DEFINE(config)

/* The table itself, for `config show`, the reference page and completion. */
struct option_view {
	const char *name, *type, *fallback, *help;
	bool reload; /* SIGHUP may change it */
};
size_t config_option_count(void);
void config_option(size_t i, struct option_view *ret_view);
/* Text of the i-th option's value and where it came from ("default", "file", "env", "flag"). */
void config_value(const struct config *c, size_t i, struct buf *out, const char **ret_origin);

/* "90", "90s", "15m", "2h", "30d"; whole seconds. ERR_SYNTAX, ERR_LIMIT. */
MUST_CHECK enum err duration_parse(struct str text, int64_t *ret_seconds);
enum { DURATION_TEXT_MAX = 24 };
void duration_write(int64_t seconds, struct buf *out);

#endif
