/* The jti is the last member of the payload, always in one spelling, so that "everything before it"
 * is a prefix of bytes and the verifier needs no JSON to find it. */
#include "keys/jti.h"

#include <assert.h>

#include "jose/b64.h"
#include "keys/signer.h"

#define OPENING ",\"jti\":\""
#define CLOSING "\"}"

enum { OPENING_LEN = sizeof(OPENING) - 1, CLOSING_LEN = sizeof(CLOSING) - 1 };

static_assert(JTI_TEXT == B64URL_LEN(JTI_BYTES), "the text is the bytes in base64url");
static_assert((int)JTI_TEXT <= (int)JTI_MAX, "it fits what the client is given");

static void jti_mac(const struct secret *key, struct str kid, struct str before,
		    const unsigned char *bytes, unsigned char ret_mac[JTI_MAC])
{
	const struct str parts[] = { kid, before, str_n(bytes, 1 + JTI_RANDOM) };

	secret_mac(key, parts, sizeof(parts) / sizeof(parts[0]), ret_mac, JTI_MAC);
}

enum err jti_append(struct buf *payload, const struct secret *jti_key, struct str kid,
		    unsigned char key_id, const unsigned char random[JTI_RANDOM],
		    char ret_jti[JTI_TEXT + 1])
{
	unsigned char bytes[JTI_BYTES] = { key_id };

	buf_z(payload, OPENING);
	if (payload->err)
		return payload->err;
	memcpy(bytes + 1, random, JTI_RANDOM);
	jti_mac(jti_key, kid, str_n(payload->p, payload->n), bytes, bytes + 1 + JTI_RANDOM);
	b64url_encode_z(bytes, sizeof(bytes), ret_jti);
	buf_add(payload, ret_jti, JTI_TEXT);
	buf_z(payload, CLOSING);
	return payload->err;
}

/* Inside a JSON string the opening's quotes would be escaped, and inside a nested object a second
 * brace would follow: at the end of a valid object these bytes are its last member. */
struct str signer_jti_of(struct str payload)
{
	size_t n = OPENING_LEN + JTI_TEXT + CLOSING_LEN;
	struct str tail;

	if (payload.n < n)
		return STR_NONE;
	tail = str_n(payload.p + payload.n - n, n);
	if (!str_starts(tail, STR(OPENING)) || !str_ends(tail, STR(CLOSING)))
		return STR_NONE;
	return str_n(tail.p + OPENING_LEN, JTI_TEXT);
}

bool signer_jti_genuine(const struct secret *jti_key, struct str kid, struct str payload)
{
	struct str jti = signer_jti_of(payload);
	unsigned char bytes[JTI_BYTES], mac[JTI_MAC];
	size_t n;

	if (!jti.p || b64url_decode(jti, bytes, sizeof(bytes), &n) || n != sizeof(bytes))
		return false;
	jti_mac(jti_key, kid, str_n(payload.p, (size_t)(jti.p - payload.p)), bytes, mac);
	return bytes_equal_ct(mac, bytes + 1 + JTI_RANDOM, sizeof(mac));
}
