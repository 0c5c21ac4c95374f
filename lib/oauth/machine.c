/* Machine secrets as text. The checksum is no protection: it tells a mistyped or truncated secret
 * from a guessed one, and lets a scanner be sure of what it found. What protects is 256 random
 * bits, or the MAC. */
#include "oauth/machine.h"

#include <assert.h>

#include "base/limits.h"
#include "jose/b64.h"

enum {
	CHECKSUM_LEN = 4,
	PAYLOAD_MAX = 64,
	REFRESH_LEN = 1 + LOGIN_ID_LEN + 4 + REFRESH_MAC_LEN,
};

static void put_be(unsigned char *out, size_t n, uint64_t v)
{
	for (size_t i = n; i-- > 0; v >>= 8)
		out[i] = (unsigned char)v;
}

static uint32_t get_be32(const unsigned char *in)
{
	return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

/* CRC-32 of IEEE 802.3, four bits at a step. Start with 0; chains. */
static uint32_t crc32(uint32_t crc, const void *p, size_t n)
{
	static const uint32_t steps[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const unsigned char *bytes = p;

	crc = ~crc;
	for (size_t i = 0; i < n; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ steps[crc & 15];
		crc = crc >> 4 ^ steps[crc & 15];
	}
	return ~crc;
}

static uint32_t checksum(const char *prefix, const void *payload, size_t n)
{
	return crc32(crc32(0, prefix, strlen(prefix)), payload, n);
}

void machine_write(struct buf *out, const char *prefix, const void *payload, size_t n)
{
	unsigned char bytes[PAYLOAD_MAX + CHECKSUM_LEN];

	assert(n <= PAYLOAD_MAX);
	memcpy(bytes, payload, n);
	put_be(bytes + n, CHECKSUM_LEN, checksum(prefix, payload, n));
	buf_z(out, prefix);
	b64url_encode(out, bytes, n + CHECKSUM_LEN);
	wipe(bytes, sizeof(bytes));
}

enum err machine_read(struct str text, const char *prefix, void *ret_payload, size_t n)
{
	unsigned char bytes[PAYLOAD_MAX + CHECKSUM_LEN];
	struct str head = str_z(prefix);
	enum err e = ERR_SYNTAX;
	size_t len;

	assert(n <= PAYLOAD_MAX);
	if (!str_starts(text, head))
		return ERR_SYNTAX;
	text = str_n(text.p + head.n, text.n - head.n);
	if (b64url_decode(text, bytes, n + CHECKSUM_LEN, &len) == ERR_OK &&
	    len == n + CHECKSUM_LEN && get_be32(bytes + n) == checksum(prefix, bytes, n)) {
		memcpy(ret_payload, bytes, n);
		e = ERR_OK;
	}
	wipe(bytes, sizeof(bytes));
	return e;
}

static void refresh_mac(const struct refresh_bind *bind, const unsigned char *login, uint32_t n,
			unsigned char ret_mac[REFRESH_MAC_LEN])
{
	unsigned char epoch_be[8], n_be[4];
	const struct str parts[] = {
		STR("refresh"),
		bind->issuer,
		str_n(epoch_be, sizeof(epoch_be)),
		str_n(login, LOGIN_ID_LEN),
		bind->client_id,
		str_n(n_be, sizeof(n_be)),
		str_n(bind->seed, LOGIN_SEED_LEN),
	};

	put_be(epoch_be, sizeof(epoch_be), (uint64_t)bind->epoch);
	put_be(n_be, sizeof(n_be), n);
	secret_mac(bind->key, parts, sizeof(parts) / sizeof(parts[0]), ret_mac, REFRESH_MAC_LEN);
}

void refresh_write(struct buf *out, const struct refresh_bind *bind,
		   const unsigned char login[LOGIN_ID_LEN], uint32_t n)
{
	unsigned char payload[REFRESH_LEN];
	unsigned char *at = payload;

	*at++ = bind->key_id;
	memcpy(at, login, LOGIN_ID_LEN);
	at += LOGIN_ID_LEN;
	put_be(at, 4, n);
	at += 4;
	refresh_mac(bind, login, n, at);
	machine_write(out, MACHINE_REFRESH, payload, sizeof(payload));
	wipe(payload, sizeof(payload));
}

enum err refresh_read(struct str text, struct refresh_name *ret_name)
{
	unsigned char payload[REFRESH_LEN];
	const unsigned char *at = payload;
	enum err e = machine_read(text, MACHINE_REFRESH, payload, sizeof(payload));

	if (e)
		return e;
	ret_name->key_id = *at++;
	memcpy(ret_name->login, at, LOGIN_ID_LEN);
	at += LOGIN_ID_LEN;
	ret_name->n = get_be32(at);
	at += 4;
	memcpy(ret_name->mac, at, REFRESH_MAC_LEN);
	wipe(payload, sizeof(payload));
	return ERR_OK;
}

bool refresh_genuine(const struct refresh_name *name, const struct refresh_bind *bind)
{
	unsigned char mac[REFRESH_MAC_LEN];
	bool genuine;

	refresh_mac(bind, name->login, name->n, mac);
	/* the MAC does not cover the key id: unchecked, one token would have 256 spellings */
	genuine = bytes_equal_ct(mac, name->mac, sizeof(mac)) && name->key_id == bind->key_id;
	wipe(mac, sizeof(mac));
	return genuine;
}
