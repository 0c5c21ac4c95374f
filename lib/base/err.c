/* The one table of errors. A new error is a row here and a name in err.h; whoever renders, logs or
 * counts errors reads this table, so nothing else has to be edited.
 *
 * Descriptions keep to the characters of RFC 6749 5.2 (%x20-21 / %x23-5B / %x5D-7E): they stand
 * between quotes in JSON and in WWW-Authenticate without escaping, and never hold a client's own
 * input. */
#include "base/err.h"

static const struct err_row rows[ERR_COUNT] = {
	[ERR_OK] = { "ok", NULL, 500, "The request succeeded." },
	[ERR_PARKED] = { "parked", NULL, 500, "The request is waiting." },

	[ERR_NOMEM] = { "nomem", NULL, 503, "The server is out of memory." },
	[ERR_LIMIT] = { "limit", NULL, 500, "The server reached a limit of its own." },
	[ERR_SYNTAX] = { "syntax", NULL, 500, "The server could not read its own data." },
	[ERR_UNSUPPORTED] = { "unsupported", NULL, 500, "The server met data of an unknown kind." },
	[ERR_BAD_SIGNATURE] = { "bad_signature", NULL, 500,
				"The server met data it cannot trust." },
	[ERR_EXPIRED] = { "expired", NULL, 500, "The server met data that is too old." },
	[ERR_NOT_FOUND] = { "not_found", NULL, 500, "The server misses data of its own." },
	[ERR_CONFLICT] = { "conflict", NULL, 500, "The server met conflicting data." },
	[ERR_REUSED] = { "reused", NULL, 500, "The server met data that was used before." },
	[ERR_FULL] = { "full", NULL, 503, "The server cannot store anything at the moment." },
	[ERR_IO] = { "io", NULL, 503, "The server cannot reach its storage at the moment." },
	[ERR_CORRUPT] = { "corrupt", NULL, 503, "The server cannot use its storage." },
	[ERR_BUSY] = { "busy", NULL, 503, "The server is busy, try again." },
	[ERR_TIMEOUT] = { "timeout", NULL, 503, "The server did not finish in time, try again." },
	[ERR_CRYPTO] = { "crypto", NULL, 500, "The server failed." },
	[ERR_INTERNAL] = { "internal", NULL, 500, "The server failed." },
	[ERR_WIRE] = { "wire", NULL, 500, "The server failed." },

	[ERR_INVALID_REQUEST] = { "invalid_request", "invalid_request", 400,
				  "A parameter is missing, malformed or given twice." },
	[ERR_INVALID_CLIENT] = { "invalid_client", "invalid_client", 401,
				 "Client authentication failed." },
	[ERR_INVALID_GRANT] = { "invalid_grant", "invalid_grant", 400,
				"The grant is invalid, expired, revoked or of another client." },
	[ERR_UNAUTHORIZED_CLIENT] = { "unauthorized_client", "unauthorized_client", 400,
				      "The client may not use this grant type." },
	[ERR_UNSUPPORTED_GRANT_TYPE] = { "unsupported_grant_type", "unsupported_grant_type", 400,
					 "The grant type is not supported." },
	[ERR_INVALID_SCOPE] = { "invalid_scope", "invalid_scope", 400,
				"The scope is malformed, unknown or more than is allowed." },
	[ERR_INVALID_TARGET] = { "invalid_target", "invalid_target", 400,
				 "The resource is malformed, unknown or not allowed." },
	[ERR_UNSUPPORTED_TOKEN_TYPE] = { "unsupported_token_type", "unsupported_token_type", 400,
					 "Tokens of this type cannot be revoked." },
	[ERR_INVALID_TOKEN] = { "invalid_token", "invalid_token", 401,
				"The access token is malformed, expired, revoked or not for us." },
	[ERR_INSUFFICIENT_SCOPE] = { "insufficient_scope", "insufficient_scope", 403,
				     "The access token does not carry the scope this needs." },
	[ERR_NO_TOKEN] = { "no_token", NULL, 401, "An access token is required." },

	[ERR_BAD_REQUEST] = { "bad_request", "invalid_request", 400, "The request is malformed." },
	[ERR_FORBIDDEN] = { "forbidden", "access_denied", 403, "This is not allowed." },
	[ERR_NO_ROUTE] = { "no_route", "invalid_request", 404, "There is nothing at this path." },
	[ERR_METHOD] = { "method", "invalid_request", 405, "This path does not take this method." },
	[ERR_GONE_RESOURCE] = { "gone_resource", "invalid_request", 404,
				"The object does not exist." },
	[ERR_EXISTS] = { "exists", "invalid_request", 409, "An object of this name exists." },
	[ERR_NOT_READY] = { "not_ready", "invalid_request", 409, "It is too early for this." },
	[ERR_PRECONDITION] = { "precondition", "invalid_request", 412,
			       "The object has changed since it was read." },
	[ERR_TOO_LARGE] = { "too_large", "invalid_request", 413, "The body is too large." },
	[ERR_URI_TOO_LONG] = { "uri_too_long", "invalid_request", 414, "The target is too long." },
	[ERR_MEDIA_TYPE] = { "media_type", "invalid_request", 415,
			     "The body is not of the media type this takes." },
	[ERR_UNPROCESSABLE] = { "unprocessable", "invalid_request", 422,
				"A member of the object is unknown, missing or not allowed." },
	[ERR_RATE_LIMITED] = { "rate_limited", "temporarily_unavailable", 429,
			       "Too many requests, try again later." },
	[ERR_HEADERS_TOO_LARGE] = { "headers_too_large", "invalid_request", 431,
				    "The header fields are too large." },
	[ERR_SERVER] = { "server", "server_error", 500, "The server failed." },
	[ERR_UNAVAILABLE] = { "unavailable", "temporarily_unavailable", 503,
			      "The server cannot answer at the moment, try again." },
};

const struct err_row *err_row(enum err e)
{
	if ((unsigned)e >= ERR_COUNT || !rows[e].name)
		return &rows[ERR_INTERNAL];
	return &rows[e];
}

const char *err_name(enum err e)
{
	return err_row(e)->name;
}
