/* Text to addresses and back (inet_pton's grammar: no short forms, no octal), and the comparison of
 * prefixes. */
#include "server/state/network.h"

#include <arpa/inet.h>

enum { V4_OFFSET = 96 }; /* bits of the mapping before an IPv4 address */

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

/* ---- addresses ---- */

bool address_is_v4(const struct address *a)
{
	return !memcmp(a->b, mapped, sizeof(mapped));
}

bool address_of(const struct sockaddr *sa, struct address *ret_address)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

		memcpy(ret_address->b, mapped, sizeof(mapped));
		memcpy(ret_address->b + sizeof(mapped), &in->sin_addr, 4);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;

		memcpy(ret_address->b, &in6->sin6_addr, 16);
		return true;
	}
	return false;
}

enum err address_parse(struct str text, struct address *ret_address)
{
	char z[ADDRESS_TEXT_MAX];
	struct address a;

	if (!text.n || text.n >= sizeof(z) || str_has_nul(text))
		return ERR_SYNTAX;
	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	memcpy(a.b, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, z, a.b + sizeof(mapped)) != 1 && inet_pton(AF_INET6, z, a.b) != 1)
		return ERR_SYNTAX;
	*ret_address = a;
	return ERR_OK;
}

void address_write(const struct address *a, char ret_text[ADDRESS_TEXT_MAX])
{
	ret_text[0] = '\0';
	if (address_is_v4(a))
		inet_ntop(AF_INET, a->b + sizeof(mapped), ret_text, ADDRESS_TEXT_MAX);
	else
		inet_ntop(AF_INET6, a->b, ret_text, ADDRESS_TEXT_MAX);
}

/* In brackets stands IPv6 and nothing else; without them ::1:8080 could be read two ways. */
enum err address_split(struct str text, struct str *ret_host, int64_t *ret_port)
{
	const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
	struct address ignored;
	struct str host, port;
	bool bracketed;

	if (!colon)
		return ERR_SYNTAX;
	host = str_n(text.p, (size_t)(colon - text.p));
	port = str_n(colon + 1, text.n - host.n - 1);
	bracketed = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
	if (bracketed)
		host = str_n(host.p + 1, host.n - 2);
	if (address_parse(host, &ignored) || bracketed != (memchr(host.p, ':', host.n) != NULL))
		return ERR_SYNTAX;
	if (port.n > 5 || str_to_i64(port, 0, 65535, ret_port))
		return ERR_SYNTAX;
	*ret_host = host;
	return ERR_OK;
}

/* ---- networks ---- */

static bool is_base(const struct network *n)
{
	for (unsigned bit = n->bits; bit < 128; bit++)
		if (n->base.b[bit / 8] & (0x80 >> bit % 8))
			return false;
	return true;
}

enum err network_parse(struct str text, struct network *ret_network)
{
	struct network n = { .bits = 128 };
	struct str address;
	unsigned offset;
	int64_t bits;

	if (!str_next(&text, '/', &address) || address_parse(address, &n.base))
		return ERR_SYNTAX;
	offset = memchr(address.p, ':', address.n) ? 0 : V4_OFFSET;
	if (text.p) {
		if (text.n > 3 || str_to_i64(text, 0, 128 - (int64_t)offset, &bits))
			return ERR_SYNTAX;
		n.bits = (unsigned)bits + offset;
	}
	if (!is_base(&n))
		return ERR_SYNTAX;
	*ret_network = n;
	return ERR_OK;
}

/* A short prefix of mapped addresses holds more than IPv4 and has its form in IPv6 only. */
void network_write(const struct network *n, struct buf *out)
{
	bool v4 = address_is_v4(&n->base) && n->bits >= V4_OFFSET;
	char text[ADDRESS_TEXT_MAX];

	address_write(&n->base, text);
	buf_z(out, text);
	if (n->bits < 128)
		buf_fmt(out, "/%u", v4 ? n->bits - V4_OFFSET : n->bits);
}

bool network_has(const struct network *n, const struct address *a)
{
	unsigned whole = n->bits / 8;
	unsigned rest = n->bits % 8;

	if (memcmp(n->base.b, a->b, whole))
		return false;
	return !rest || !((n->base.b[whole] ^ a->b[whole]) >> (8 - rest));
}

bool network_list_has(const struct network_list *list, const struct address *a)
{
	for (size_t i = 0; i < list->count; i++)
		if (network_has(&list->items[i], a))
			return true;
	return false;
}
