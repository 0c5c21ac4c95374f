/* A hash is compared as it is: it is no secret, for whoever shows the certificate has proved to
 * hold its key. */
#include "server/state/consumer_match.h"

#include <string.h>

#include "base/limits.h"

static bool name_valid(struct str name)
{
	if (name.n == 0 || name.n > LABEL_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] <= ' ' || name.p[i] > '~')
			return false;
	}
	return true;
}

static enum err read_hash(struct str text, unsigned char ret_hash[CERTIFICATE_HASH_LEN])
{
	const bool colons = text.n == 3 * CERTIFICATE_HASH_LEN - 1;
	const size_t step = colons ? 3 : 2;

	if (!colons && text.n != 2 * CERTIFICATE_HASH_LEN)
		return ERR_SYNTAX;
	for (size_t i = 0; i < CERTIFICATE_HASH_LEN; i++) {
		const char *p = text.p + i * step;
		const int high = hex_value(p[0]), low = hex_value(p[1]);

		if (high < 0 || low < 0 || (colons && i && p[-1] != ':'))
			return ERR_SYNTAX;
		ret_hash[i] = (unsigned char)(high << 4 | low);
	}
	return ERR_OK;
}

enum err consumer_match_parse(struct str text, struct consumer_match *ret_match)
{
	const char *equals = text.n ? memchr(text.p, '=', text.n) : NULL;
	struct consumer_match m = { .by_certificate = false };
	const struct str prefix = STR("sha256:");
	struct str who;
	enum err e;

	if (!equals)
		return ERR_SYNTAX;
	m.name = str_n(text.p, (size_t)(equals - text.p));
	who = str_n(equals + 1, text.n - m.name.n - 1);
	if (!name_valid(m.name))
		return ERR_SYNTAX;
	m.by_certificate = str_starts(who, prefix);
	if (m.by_certificate)
		e = read_hash(str_n(who.p + prefix.n, who.n - prefix.n), m.certificate);
	else
		e = network_parse(who, &m.network);
	if (!e)
		*ret_match = m;
	return e;
}

bool consumer_match_fits(const struct consumer_match *m, const struct address *address,
			 const unsigned char *certificate)
{
	if (m->by_certificate)
		return certificate && !memcmp(m->certificate, certificate, CERTIFICATE_HASH_LEN);
	return address && network_has(&m->network, address);
}
