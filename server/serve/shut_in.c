/* The list of paths. A certificate is renewed by a new file in its place, often behind a link, so
 * the folders of the name and of what it stands for are readable. A folder with the master key in
 * it is not given: then only the present file can be read, and a renewed one needs a restart. */
#include "server/serve/shut_in.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "keys/confine.h"

enum { PATHS_MAX = 24 };

struct paths {
	struct confine_path of[PATHS_MAX];
	char text[PATHS_MAX][PATH_MAX];
	size_t count;
	char master[PATH_MAX]; /* resolved */
};

static const struct confine_path of_the_kernel[] = {
	{ "/proc/self", CONFINE_READ },			  /* how much memory and how many files */
	{ "/proc/sys/kernel/overflowuid", CONFINE_READ }, /* who may not be root */
	{ "/sys/devices/system/cpu", CONFINE_READ },	  /* how many cores */
	{ "/dev/null", CONFINE_READ | CONFINE_WRITE },
	{ "/dev/urandom", CONFINE_READ },
	{ "/dev/stderr", CONFINE_WRITE }, /* the log opens it anew, without blocking */
};

static bool holds_master(const struct paths *p, const char *folder)
{
	char real[PATH_MAX];
	size_t n;

	if (!realpath(folder, real))
		return false;
	n = strlen(real);
	return strncmp(p->master, real, n) == 0 && (n == 1 || p->master[n] == '/');
}

static void add(struct paths *p, struct str path, unsigned may)
{
	if (p->count == PATHS_MAX || path.n == 0 || path.n >= PATH_MAX)
		return;
	memcpy(p->text[p->count], path.p, path.n);
	p->text[p->count][path.n] = '\0';
	p->of[p->count] = (struct confine_path){ p->text[p->count], may };
	p->count++;
}

static struct str folder_of(struct str path)
{
	while (path.n > 1 && path.p[path.n - 1] != '/')
		path.n--;
	return path;
}

static void add_renewed(struct paths *p, struct str file)
{
	char folder[PATH_MAX];
	struct str parent = folder_of(file);

	add(p, file, CONFINE_READ);
	if (parent.n >= sizeof(folder))
		return;
	memcpy(folder, parent.p, parent.n);
	folder[parent.n] = '\0';
	if (!holds_master(p, folder))
		add(p, parent, CONFINE_READ);
}

static void add_certificate(struct paths *p, struct str file)
{
	char real[PATH_MAX];

	if (!file.n)
		return;
	add_renewed(p, file);
	if (realpath(file.p, real))
		add_renewed(p, str_z(real));
}

static void fill(struct paths *p, const struct config *c)
{
	if (!realpath(c->keys.master_key_file.p, p->master))
		p->master[0] = '\0';
	for (size_t i = 0; i < sizeof(of_the_kernel) / sizeof(of_the_kernel[0]); i++)
		p->of[p->count++] = of_the_kernel[i];
	add(p, folder_of(c->storage.path), CONFINE_READ | CONFINE_WRITE);
	add_certificate(p, c->server.tls.certificate);
	add_certificate(p, c->server.tls.key);
	add_certificate(p, c->admin.tls.certificate);
	add_certificate(p, c->admin.tls.key);
	add_certificate(p, c->gateway.tls.certificate);
	add_certificate(p, c->gateway.tls.key);
}

/* Whatever the operator's paths are: is the master key out of reach? */
static bool out_of_reach(const struct paths *p)
{
	for (size_t i = 0; i < p->count; i++) {
		if (holds_master(p, p->of[i].path))
			return false;
	}
	return true;
}

enum err shut_in(const struct config *c, bool *ret_whole, struct config_fault *ret_fault)
{
	struct paths *p = calloc(1, sizeof(*p)); /* too large for a stack */
	unsigned held = 0;
	enum err e = p ? ERR_OK : ERR_NOMEM;

	if (!e) {
		fill(p, c);
		e = confine(CONFINE_SERVER, p->of, p->count, &held);
	}
	if (e)
		snprintf(ret_fault->text, sizeof(ret_fault->text),
			 "the server cannot be confined (%s)", err_name(e));
	else
		*ret_whole = held == CONFINED_WHOLE && out_of_reach(p);
	free(p);
	return e;
}
