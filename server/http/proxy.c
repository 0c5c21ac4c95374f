/* The walk from right to left over a forwarding header (RFC 7239 5.2; X-Forwarded-For has no RFC,
 * every proxy appends to it). */
#include "server/http/proxy.h"

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
static void walk(const struct network_list *trusted, const struct head_lines *lines, bool rfc7239,
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
			if (!network_list_has(trusted, &hop))
				return;
		}
	}
}

void proxy_client(const struct network_list *trusted, const struct address *peer,
		  const struct head *h, struct address *ret_client)
{
	struct address a = *peer;
	struct address b = *peer;

	*ret_client = *peer;
	if (!network_list_has(trusted, peer))
		return;
	walk(trusted, &h->x_forwarded_for, false, &a);
	walk(trusted, &h->forwarded, true, &b);
	if (!h->forwarded.count)
		*ret_client = a;
	else if (!h->x_forwarded_for.count || !memcmp(&a, &b, sizeof(a)))
		*ret_client = b;
}
