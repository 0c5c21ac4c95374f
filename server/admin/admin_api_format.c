/* What an api's tokens look like, as the admin API says it: three members that go together. HS256
 * is a JWT with a word in `alg`, and inside a format of its own. */
#include "server/admin/admin_api.h"
#include "server/admin/admin_rules.h"

#include "jose/jwe_encrypt.h"

/* HS256 is no algorithm of keys.algs: there is no key of the server's own behind it. */
static bool asks_shared(const struct api_format_body *in)
{
	return str_equal_z(in->alg, "HS256");
}

/* How an api names what its tokens are; HS256 is a JWT, with a word in `alg`. */
static const struct {
	const char *name;
	enum api_format format;
} format_names[] = { { "jwt", API_JWT }, { "opaque", API_OPAQUE }, { "jwe", API_JWE } };

static bool find_format(struct str name, enum api_format *ret_format)
{
	for (size_t i = 0; i < sizeof(format_names) / sizeof(*format_names); i++) {
		if (str_equal_z(name, format_names[i].name)) {
			*ret_format = format_names[i].format;
			return true;
		}
	}
	return false;
}

/* Written anew, so that what is kept is canonical. */
static enum err read_encryption_key(struct arena *a, const struct api_format_body *in,
				    struct api *api, struct admin_fault *fault)
{
	AUTO(jwe_recipient, key) = NULL;
	struct jsonw w;
	struct buf b;
	enum err e;

	api->encryption_key = STR("");
	if (!in->encryption_key && api->format != API_JWE)
		return ERR_OK;
	if (api->format != API_JWE)
		return admin_unprocessable(fault, "/encryption_key", "is for the format jwe only");
	e = in->encryption_key ? jwe_recipient_from_json(in->encryption_key, &key) : ERR_SYNTAX;
	if (e == ERR_NOMEM || e == ERR_CRYPTO)
		return e;
	if (e)
		return admin_unprocessable(fault, "/encryption_key",
					   "must be a public JWK to encrypt to: P-256, or RSA of "
					   "2048 to 4096 bits");
	buf_init(&b, a, ENCRYPTION_KEY_MAX);
	jsonw_init(&w, &b);
	jwe_recipient_export(key, &w);
	return buf_end(&b, &api->encryption_key);
}

static enum err read_alg(const struct config *config, const struct api_format_body *in,
			 struct api *api, struct admin_fault *fault)
{
	api->alg = ALG_UNKNOWN;
	if (api->format == API_OPAQUE && in->alg.p)
		return admin_unprocessable(fault, "/alg", "an opaque token is not signed");
	if (!asks_shared(in))
		return admin_check_alg(config, in->alg, &api->alg, fault);
	if (api->format != API_JWT)
		return admin_unprocessable(fault, "/alg", "HS256 is for the format jwt only");
	api->format = API_SHARED;
	return ERR_OK;
}

enum err api_format_read(const struct config *config, struct arena *a,
			 const struct api_format_body *in, struct api *api,
			 struct admin_fault *fault)
{
	enum err e;

	api->format = API_JWT;
	if (in->format.p && !find_format(in->format, &api->format))
		return admin_unprocessable(fault, "/format", "must be jwt, opaque or jwe");
	e = read_alg(config, in, api, fault);
	return e ? e : read_encryption_key(a, in, api, fault);
}

void api_format_write(struct jsonw *w, const struct api *api)
{
	const bool shared = api->format == API_SHARED;

	if (shared)
		jsonw_member_z(w, "alg", "HS256");
	else
		admin_write_alg(w, "alg", api->alg);
	jsonw_member_z(w, "format", shared ? "jwt" : api_format_name(api->format));
	jsonw_key(w, "encryption_key");
	if (api->encryption_key.n)
		jsonw_raw(w, api->encryption_key);
	else
		jsonw_null(w);
}
