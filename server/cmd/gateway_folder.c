/* Public keys as files. HAProxy reads such a folder at its start, so at any moment it must hold
 * whole files only: each is written under another name and renamed. What is new comes before what
 * is old goes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oauth/form.h"
#include "server/cmd/cmd_gateway.h"

/* Before the PEM, where readers of PEM skip it (RFC 7468 2): what we may overwrite and remove. */
#define OURS "# kept by chancery gateway-keys\n"
#define ENDING ".pem"
#define UNFINISHED ".unfinished"

struct listing {
	struct dirent **entries;
	int count;
};

static void listing_done(struct listing *l)
{
	for (int i = 0; i < l->count; i++)
		free(l->entries[i]);
	free(l->entries);
}

static int is_pem(const struct dirent *entry)
{
	return str_ends(str_z(entry->d_name), STR(ENDING));
}

static int list(struct cmd *c, int folder, struct listing *ret_listing)
{
	ret_listing->entries = NULL;
	ret_listing->count = scandirat(folder, ".", &ret_listing->entries, is_pem, alphasort);
	if (ret_listing->count >= 0)
		return CMD_OK;
	ret_listing->count = 0;
	return cmd_fail(c, CMD_REFUSED, "the folder of the keys: %s", strerror(errno));
}

static int fault(struct cmd *c, const char *name)
{
	return cmd_fail(c, CMD_REFUSED, "%s: %s", name, strerror(errno));
}

/* At most GATEWAY_PEM_MAX bytes; ERR_NOT_FOUND, ERR_LIMIT, ERR_IO, ERR_NOMEM. No link is followed.
 */
static enum err read_file(int folder, const char *name, struct arena *a, struct str *ret_text)
{
	char *text = arena_alloc(a, GATEWAY_PEM_MAX + 1);
	ssize_t n;
	int fd;

	if (!text)
		return ERR_NOMEM;
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
	n = read(fd, text, GATEWAY_PEM_MAX + 1);
	close(fd);
	if (n < 0)
		return ERR_IO;
	*ret_text = str_n(text, (size_t)n);
	return n > GATEWAY_PEM_MAX ? ERR_LIMIT : ERR_OK;
}

/* ---- names ---- */

/* RFC 3986 2.3, unreserved: what a kid may have of a file's name as it is. */
static bool is_plain(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
	       (ch && strchr("-._~", ch));
}

/* A dot at the beginning would hide the file, and is what our own marks begin with. */
static enum err name_of_kid(struct arena *a, struct str kid, const char **ret_name)
{
	struct buf b;
	struct str text = STR_NONE;
	enum err e;

	buf_init(&b, a, 3 * KID_MAX + sizeof(ENDING));
	for (size_t i = 0; i < kid.n; i++) {
		if (is_plain(kid.p[i]) && (i || kid.p[i] != '.'))
			buf_byte(&b, kid.p[i]);
		else
			buf_fmt(&b, "%%%02X", (unsigned)(unsigned char)kid.p[i]);
	}
	buf_z(&b, ENDING);
	e = buf_end(&b, &text);
	*ret_name = text.p;
	return e;
}

/* "a%2Fb.pem" is the kid "a/b"; false for what no kid becomes. */
static bool kid_of_name(struct arena *a, const char *name, struct str *ret_kid)
{
	struct str text = str_n(name, strlen(name) - strlen(ENDING));

	for (size_t i = 0; i < text.n; i++) {
		if (!is_plain(text.p[i]) && text.p[i] != '%')
			return false;
	}
	return !form_decode(a, text, ret_kid) && ret_kid->n > 0;
}

/* ---- reading ---- */

static int read_key(struct cmd *c, int fd, struct str folder, const char *name,
		    struct gateway_key *ret_key)
{
	AUTO(jwk, key) = NULL;
	struct str text = STR_NONE;
	struct buf path;

	if (!kid_of_name(c->arena, name, &ret_key->kid))
		return cmd_fail(c, CMD_REFUSED, "%s: not the name of a key id", name);
	if (read_file(fd, name, c->arena, &text) || jwk_from_pem(text, ret_key->kid, &key))
		return cmd_fail(c, CMD_REFUSED, "%s: not a public key of ours", name);
	ret_key->alg = jwk_alg(key);
	buf_init(&path, c->arena, 4096);
	buf_fmt(&path, "%.*s/%s", STR_ARG(folder), name);
	return buf_end(&path, &ret_key->path) ? cmd_nomem(c) : CMD_OK;
}

static int read_keys(struct cmd *c, int fd, struct str folder, struct gateway_key *ret_keys,
		     size_t *ret_count)
{
	struct listing l;
	size_t n = 0;
	int status = list(c, fd, &l);

	if (!status && l.count > GATEWAY_FOLDER_MAX)
		status = cmd_fail(c, CMD_REFUSED, "%.*s: more than %d keys", STR_ARG(folder),
				  GATEWAY_FOLDER_MAX);
	for (int i = 0; i < l.count && !status; i++)
		status = read_key(c, fd, folder, l.entries[i]->d_name, &ret_keys[n++]);
	listing_done(&l);
	if (!status)
		*ret_count = n;
	return status;
}

int gateway_folder_read(struct cmd *c, struct str folder,
			struct gateway_key ret_keys[GATEWAY_FOLDER_MAX], size_t *ret_count)
{
	int fd = open(folder.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status;

	if (fd < 0)
		return fault(c, folder.p);
	status = read_keys(c, fd, folder, ret_keys, ret_count);
	close(fd);
	return status;
}

/* ---- writing ---- */

static int write_all(int fd, struct str text)
{
	for (size_t done = 0; done < text.n;) {
		ssize_t n = write(fd, text.p + done, text.n - done);

		if (n < 0 && errno != EINTR)
			return -1;
		done += n < 0 ? 0 : (size_t)n;
	}
	return fsync(fd);
}

/* Readable for the gateway's own user: these are public keys. */
static int replace(struct cmd *c, int folder, const char *name, struct str text)
{
	int fd, failed;

	if (unlinkat(folder, UNFINISHED, 0) && errno != ENOENT)
		return fault(c, UNFINISHED);
	fd = openat(folder, UNFINISHED, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return fault(c, UNFINISHED);
	failed = fchmod(fd, 0644) || write_all(fd, text);
	if (close(fd) || failed || renameat(folder, UNFINISHED, folder, name) || fsync(folder))
		return fault(c, name);
	return CMD_OK;
}

static enum err file_text(struct arena *a, const struct jwk *key, struct str *ret_text)
{
	struct buf b;
	enum err e;

	buf_init(&b, a, GATEWAY_PEM_MAX);
	buf_z(&b, OURS);
	e = jwk_to_pem(key, &b);
	return e ? e : buf_end(&b, ret_text);
}

static int keep_key(struct cmd *c, struct arena *a, int folder, const struct jwk *key,
		    bool *ret_changed)
{
	struct str wanted = STR_NONE, found = STR_NONE;
	const char *name;
	enum err e;
	int status;

	if (name_of_kid(a, jwk_kid(key), &name) || file_text(a, key, &wanted))
		return cmd_nomem(c);
	e = read_file(folder, name, a, &found);
	if (!e && str_equal(found, wanted))
		return CMD_OK;
	if (e != ERR_NOT_FOUND && (e || !str_starts(found, STR(OURS))))
		return cmd_fail(c, CMD_REFUSED, "%s: is there, and not a file of ours", name);
	status = replace(c, folder, name, wanted);
	*ret_changed |= !status;
	return status;
}

static bool is_of_set(struct arena *a, const char *name, const struct jwks *keys)
{
	struct str kid;

	return kid_of_name(a, name, &kid) && jwks_find(keys, kid);
}

static int remove_old(struct cmd *c, struct arena *a, int folder, const struct jwks *keys,
		      bool *ret_changed)
{
	struct listing l;
	struct str text;
	int status = list(c, folder, &l);

	for (int i = 0; i < l.count && !status; i++) {
		const char *name = l.entries[i]->d_name;

		if (is_of_set(a, name, keys) || read_file(folder, name, a, &text) ||
		    !str_starts(text, STR(OURS)))
			continue;
		if (unlinkat(folder, name, 0))
			status = fault(c, name);
		*ret_changed |= !status;
	}
	listing_done(&l);
	return status;
}

int gateway_folder_sync(struct cmd *c, struct arena *a, int folder, const struct jwks *keys,
			bool *ret_changed)
{
	int status = CMD_OK;

	*ret_changed = false;
	for (size_t i = 0; i < keys->count && !status; i++)
		status = keep_key(c, a, folder, keys->keys[i], ret_changed);
	return status ? status : remove_old(c, a, folder, keys, ret_changed);
}
