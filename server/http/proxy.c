/* Address blocks, and the walk from right to left over a forwarding header (RFC 7239 5.2;
 * X-Forwarded-For has no RFC, every proxy appends to it). */
#include "server/http/proxy.h"

#include <arpa/inet.h>
#include <stdlib.h>

struct block {
	struct address base;
	unsigned bits; /* of 128 */
};

struct proxies {
	size_t count;
	struct block blocks[];
};

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

/* ---- addresses ---- */

static bool is_v4(const struct address *a)
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
	if (is_v4(a))
		inet_ntop(AF_INET, a->b + sizeof(mapped), ret_text, ADDRESS_TEXT_MAX);
	else
		inet_ntop(AF_INET6, a->b, ret_text, ADDRESS_TEXT_MAX);
}

/* ---- blocks ---- */

static bool in_block(const struct block *b, const struct address *a)
{
	unsigned whole = b->bits / 8;
	unsigned rest = b->bits % 8;

	if (memcmp(b->base.b, a->b, whole))
		return false;
	return !rest || !((b->base.b[whole] ^ a->b[whole]) >> (8 - rest));
}

/* 10.0.0.1/8 is a slip of the pen whose meaning we will not guess. */
static bool is_base(const struct block *b)
{
	for (unsigned bit = b->bits; bit < 128; bit++)
		if (b->base.b[bit / 8] & (0x80 >> bit % 8))
			return false;
	return true;
}

static enum err block_parse(struct str text, struct block *ret_block)
{
	struct str address;
	struct block b;
	int64_t bits;
	unsigned offset;
	enum err e;

	if (!str_next(&text, '/', &address))
		return ERR_SYNTAX;
	e = address_parse(address, &b.base);
	if (e)
		return e;
	offset = is_v4(&b.base) && !memchr(address.p, ':', address.n) ? 96 : 0;
	b.bits = 128;
	if (text.p) {
		e = str_to_i64(text, 0, 128 - (int64_t)offset, &bits);
		if (e)
			return ERR_SYNTAX;
		b.bits = (unsigned)bits + offset;
	}
	if (!is_base(&b))
		return ERR_SYNTAX;
	*ret_block = b;
	return ERR_OK;
}

enum err proxies_new(struct str_list blocks, struct proxies **ret_proxies)
{
	struct proxies *p = calloc(1, sizeof(*p) + blocks.count * sizeof(*p->blocks));

	if (!p)
		return ERR_NOMEM;
	for (; p->count < blocks.count; p->count++) {
		enum err e = block_parse(blocks.items[p->count], &p->blocks[p->count]);

		if (e) {
			proxies_free(p);
			return e;
		}
	}
	*ret_proxies = p;
	return ERR_OK;
}

void proxies_free(struct proxies *p)
{
	free(p);
}

const struct proxies *proxies_follow(struct proxies_view *v, struct config *config)
{
	struct proxies *fresh;

	if (config == v->config)
		return v->table;
	/* a list that cannot be read was refused when it was loaded */
	if (proxies_new(config->server.trusted_proxies, &fresh))
		return NULL;
	proxies_forget(v);
	v->table = fresh;
	v->config = config_ref(config);
	return fresh;
}

void proxies_forget(struct proxies_view *v)
{
	proxies_free(v->table);
	config_unref(v->config);
	*v = (struct proxies_view){ 0 };
}

bool proxies_trust(const struct proxies *p, const struct address *a)
{
	for (size_t i = 0; i < p->count; i++)
		if (in_block(&p->blocks[i], a))
			return true;
	return false;
}

/* ---- the walk ---- */

/* "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]:4711", each perhaps in quotes */
static enum err node_parse(struct str node, struct address *ret_address)
{
	const char *end;

	if (node.n >= 2 && node.p[0] == '"' && node.p[node.n - 1] == '"')
		node = str_n(node.p + 1, node.n - 2);
	if (!node.n)
		return ERR_SYNTAX;
	if (node.p[0] == '[') {
		end = memchr(node.p, ']', node.n);
		if (!end)
			return ERR_SYNTAX;
		return address_parse(str_n(node.p + 1, (size_t)(end - node.p) - 1), ret_address);
	}
	end = memchr(node.p, ':', node.n);
	if (end && end == memrchr(node.p, ':', node.n)) /* one colon: a port; more: IPv6 */
		node.n = (size_t)(end - node.p);
	return address_parse(node, ret_address);
}

/* The for= of one Forwarded element; absent when there is none. */
static struct str forwarded_for(struct str element)
{
	struct str pair;

	while (str_next(&element, ';', &pair)) {
		struct str value = str_trim(pair);

		if (value.n > 4 && str_case_equal(str_n(value.p, 4), STR("for=")))
			return str_n(value.p + 4, value.n - 4);
	}
	return STR_NONE;
}

/* Cuts the last entry off *line. False when nothing is left. A comma in quotes would end the walk
 * at a piece that is no address, which is the safe side. */
static bool last_entry(struct str *line, struct str *ret_entry)
{
	const char *comma;

	if (!line->p)
		return false;
	comma = memrchr(line->p, ',', line->n);
	if (!comma) {
		*ret_entry = str_trim(*line);
		*line = STR_NONE;
		return true;
	}
	*ret_entry = str_trim(str_n(comma + 1, (size_t)(line->p + line->n - comma) - 1));
	line->n = (size_t)(comma - line->p);
	return true;
}

/* Goes left while the hop that wrote the entry is trusted; *client is the last hop known. */
static void walk(const struct proxies *p, const struct head_lines *lines, bool rfc7239,
		 struct address *client)
{
	struct str entry;

	for (size_t i = lines->count; i-- > 0;) {
		struct str line = lines->line[i];

		while (last_entry(&line, &entry)) {
			struct str node = rfc7239 ? forwarded_for(entry) : entry;
			struct address hop;

			if (!node.p || node_parse(node, &hop))
				return;
			*client = hop;
			if (!proxies_trust(p, &hop))
				return;
		}
	}
}

void proxies_client(const struct proxies *p, const struct address *peer, const struct head *h,
		    struct address *ret_client)
{
	struct address a = *peer;
	struct address b = *peer;

	*ret_client = *peer;
	if (!proxies_trust(p, peer))
		return;
	walk(p, &h->x_forwarded_for, false, &a);
	walk(p, &h->forwarded, true, &b);
	if (!h->forwarded.count)
		*ret_client = a;
	else if (!h->x_forwarded_for.count || !memcmp(&a, &b, sizeof(a)))
		*ret_client = b;
}
