/* See corpus.h. A row is a header, one claim that differs from the good ones, and who signs; texts
 * have names for what is the target's own: @iss @aud @sub @client @kid @rsakid @now+N @now-N. */
#include "tests/attack/corpus.h"

#include <check.h>
#include <stdlib.h>

#include "tests/attack/corpus_make.h"
#include "tests/unit/suite.h"

#define ES256 "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"@kid\"}"
#define RS256 "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"@rsakid\"}"
#define HEADER(members) "{\"typ\":\"at+jwt\",\"kid\":\"@kid\"," members "}"
#define ES256_AND(members) HEADER("\"alg\":\"ES256\"," members)

/* ---- the table ---- */

struct row {
	const char *name;
	enum chancery_verdict verdict;
	const char *header;   /* NULL: ES256 */
	const char *claim;    /* put in the place of the good one; NULL: none */
	const char *value;    /* JSON; NULL: the claim is left out */
	maker make;	      /* NULL: make_by_us */
	enum attack_for whom; /* 0: ATTACK_EVERYBODY */
};

static const struct row rows[] = {
	/* what must be taken: a target that refuses everything is no target */
	{ "good", CHANCERY_OK },
	{ "good_rs256", CHANCERY_OK, RS256, .make = make_by_rsa },
	{ "good_typ_with_application", CHANCERY_OK,
	  "{\"alg\":\"ES256\",\"typ\":\"application/at+jwt\",\"kid\":\"@kid\"}" },
	{ "good_typ_in_capitals", CHANCERY_OK,
	  "{\"alg\":\"ES256\",\"typ\":\"AT+JWT\",\"kid\":\"@kid\"}" },
	{ "good_unknown_header", CHANCERY_OK, ES256_AND("\"x\":{\"deep\":[1]}") },
	{ "good_audience_in_a_list", CHANCERY_OK, NULL, "aud", "[\"@aud\"]" },
	{ "good_fraction_of_a_second", CHANCERY_OK, NULL, "exp", "@now+300.5" },
	{ "good_key_in_the_header_is_not_looked_at", CHANCERY_OK,
	  ES256_AND("\"jku\":\"https://evil.example\",\"x5c\":[\"AAAA\"]") },

	/* algorithms (RFC 8725 3.1, 3.2) */
	{ "alg_none", CHANCERY_UNSUPPORTED, HEADER("\"alg\":\"none\""),
	  .make = make_without_signature },
	{ "alg_none_mixed_case", CHANCERY_UNSUPPORTED, HEADER("\"alg\":\"nOnE\""),
	  .make = make_without_signature },
	{ "alg_none_in_capitals", CHANCERY_UNSUPPORTED, HEADER("\"alg\":\"NONE\""),
	  .make = make_without_signature },
	{ "alg_none_with_a_good_signature", CHANCERY_UNSUPPORTED, HEADER("\"alg\":\"none\"") },
	{ "alg_missing", CHANCERY_MALFORMED, "{\"typ\":\"at+jwt\",\"kid\":\"@kid\"}" },
	{ "alg_empty", CHANCERY_UNSUPPORTED, HEADER("\"alg\":\"\"") },
	{ "alg_null", CHANCERY_MALFORMED, HEADER("\"alg\":null") },
	{ "alg_list", CHANCERY_MALFORMED, HEADER("\"alg\":[\"ES256\"]") },
	{ "alg_lower_case", CHANCERY_UNSUPPORTED, HEADER("\"alg\":\"es256\"") },
	{ "alg_twice", CHANCERY_MALFORMED, HEADER("\"alg\":\"none\",\"alg\":\"ES256\"") },
	{ "alg_of_another_curve", CHANCERY_UNSUPPORTED, HEADER("\"alg\":\"ES256K\"") },
	{ "alg_of_another_kind_of_key", CHANCERY_WRONG_ALGORITHM, HEADER("\"alg\":\"RS256\""),
	  .make = make_by_rsa },
	{ "alg_pss", CHANCERY_UNSUPPORTED, HEADER("\"alg\":\"PS256\""), .make = make_by_rsa },
	{ "hs256_with_the_public_pem", CHANCERY_UNSUPPORTED, HEADER("\"alg\":\"HS256\""),
	  .make = make_by_hmac_of_pem },
	{ "hs256_with_the_public_rsa_pem", CHANCERY_UNSUPPORTED,
	  "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"@rsakid\"}",
	  .make = make_by_hmac_of_rsa_pem },
	{ "hs256_with_the_public_der", CHANCERY_UNSUPPORTED, HEADER("\"alg\":\"HS256\""),
	  .make = make_by_hmac_of_der },
	{ "hs256_with_the_public_jwk", CHANCERY_UNSUPPORTED, HEADER("\"alg\":\"HS256\""),
	  .make = make_by_hmac_of_jwk },
	{ "hs256_with_the_kid", CHANCERY_UNSUPPORTED, HEADER("\"alg\":\"HS256\""),
	  .make = make_by_hmac_of_kid },
	{ "hs256_with_nothing", CHANCERY_UNSUPPORTED, HEADER("\"alg\":\"HS256\""),
	  .make = make_by_hmac_of_nothing },
	{ "hmac_called_es256", CHANCERY_BAD_SIGNATURE, NULL, .make = make_by_hmac_of_pem },

	/* keys that the token brings along (RFC 8725 3.10) */
	{ "jwk_of_a_stranger", CHANCERY_BAD_SIGNATURE, NULL, .make = make_by_stranger_with_jwk },
	{ "jwk_of_a_stranger_without_kid", CHANCERY_UNKNOWN_KEY,
	  "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", .make = make_by_stranger_with_jwk },
	{ "jku_of_a_stranger", CHANCERY_BAD_SIGNATURE,
	  ES256_AND("\"jku\":\"http://127.0.0.1:9/jwks.json\""), .make = make_by_stranger },
	{ "x5u_of_a_stranger", CHANCERY_BAD_SIGNATURE,
	  ES256_AND("\"x5u\":\"http://127.0.0.1:9/cert.pem\""), .make = make_by_stranger },
	{ "x5c_of_a_stranger", CHANCERY_BAD_SIGNATURE, ES256_AND("\"x5c\":[\"MIIB\"]"),
	  .make = make_by_stranger },

	/* which key (RFC 7515 4.1.4) */
	{ "kid_missing", CHANCERY_UNKNOWN_KEY, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}" },
	{ "kid_empty", CHANCERY_UNKNOWN_KEY,
	  "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"\"}" },
	{ "kid_unknown", CHANCERY_UNKNOWN_KEY,
	  "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"nobody\"}", .make = make_by_stranger },
	{ "kid_is_a_path", CHANCERY_UNKNOWN_KEY,
	  "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"../../../../dev/null\"}",
	  .make = make_by_stranger },
	{ "kid_is_sql", CHANCERY_UNKNOWN_KEY,
	  "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"x' OR 1=1 --\"}",
	  .make = make_by_stranger },
	{ "kid_with_a_nul", CHANCERY_MALFORMED,
	  "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"@kid\\u0000\"}" },
	{ "kid_is_a_number", CHANCERY_MALFORMED,
	  "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":1}" },
	{ "kid_twice", CHANCERY_MALFORMED, ES256_AND("\"kid\":\"@kid\"") },

	/* headers that change what the rest means (RFC 7515 4.1.11, RFC 7797) */
	{ "crit_unknown", CHANCERY_UNSUPPORTED, ES256_AND("\"crit\":[\"x\"],\"x\":1") },
	{ "crit_empty", CHANCERY_UNSUPPORTED, ES256_AND("\"crit\":[]") },
	{ "crit_null", CHANCERY_UNSUPPORTED, ES256_AND("\"crit\":null") },
	{ "b64_false", CHANCERY_UNSUPPORTED, ES256_AND("\"b64\":false,\"crit\":[\"b64\"]") },
	{ "b64_true", CHANCERY_UNSUPPORTED, ES256_AND("\"b64\":true") },
	{ "zip", CHANCERY_UNSUPPORTED, ES256_AND("\"zip\":\"DEF\"") },
	{ "enc", CHANCERY_UNSUPPORTED, ES256_AND("\"enc\":\"A256GCM\"") },

	/* tokens of another kind (RFC 9068 4, RFC 8725 3.11) */
	{ "typ_jwt", CHANCERY_WRONG_TYPE, "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"@kid\"}" },
	{ "typ_missing", CHANCERY_WRONG_TYPE, "{\"alg\":\"ES256\",\"kid\":\"@kid\"}" },
	{ "typ_empty", CHANCERY_WRONG_TYPE, "{\"alg\":\"ES256\",\"typ\":\"\",\"kid\":\"@kid\"}" },
	{ "typ_of_the_feed", CHANCERY_WRONG_TYPE,
	  "{\"alg\":\"ES256\",\"typ\":\"revocations+jwt\",\"kid\":\"@kid\"}" },
	{ "typ_of_an_identity", CHANCERY_WRONG_TYPE,
	  "{\"alg\":\"ES256\",\"typ\":\"identity+jwt\",\"kid\":\"@kid\"}" },
	{ "typ_with_a_space", CHANCERY_WRONG_TYPE,
	  "{\"alg\":\"ES256\",\"typ\":\"at+jwt \",\"kid\":\"@kid\"}" },
	{ "typ_is_a_number", CHANCERY_MALFORMED, "{\"alg\":\"ES256\",\"typ\":1,\"kid\":\"@kid\"}" },

	/* signatures */
	{ "signed_by_a_stranger", CHANCERY_BAD_SIGNATURE, NULL, .make = make_by_stranger },
	{ "signature_missing", CHANCERY_BAD_SIGNATURE, NULL, .make = make_without_signature },
	{ "signature_of_zeros", CHANCERY_BAD_SIGNATURE, NULL, .make = make_of_zeros },
	{ "signature_of_ones", CHANCERY_BAD_SIGNATURE, NULL, .make = make_of_ones },
	{ "signature_r_zero", CHANCERY_BAD_SIGNATURE, NULL, .make = make_with_zero_r },
	{ "signature_s_zero", CHANCERY_BAD_SIGNATURE, NULL, .make = make_with_zero_s },
	{ "signature_halves_swapped", CHANCERY_BAD_SIGNATURE, NULL,
	  .make = make_with_halves_swapped },
	{ "signature_a_bit_flipped", CHANCERY_BAD_SIGNATURE, NULL,
	  .make = make_with_a_bit_flipped },
	{ "signature_a_byte_less", CHANCERY_BAD_SIGNATURE, NULL, .make = make_with_a_byte_less },
	{ "signature_a_byte_more", CHANCERY_BAD_SIGNATURE, NULL, .make = make_with_a_byte_more },
	{ "signature_in_der", CHANCERY_BAD_SIGNATURE, NULL, .make = make_in_der },
	{ "signature_of_another_token", CHANCERY_BAD_SIGNATURE, NULL,
	  .make = make_with_the_signature_of_another },

	/* spellings: one token has one (RFC 7515 2, 7.1) */
	{ "padding", CHANCERY_MALFORMED, NULL, .make = make_padded },
	{ "space_at_the_end", CHANCERY_MALFORMED, NULL, .make = make_with_a_space },
	{ "newline_at_the_end", CHANCERY_MALFORMED, NULL, .make = make_with_a_newline },
	{ "scheme_left_on", CHANCERY_MALFORMED, NULL, .make = make_with_its_scheme },
	{ "four_segments", CHANCERY_MALFORMED, NULL, .make = make_with_a_fourth_segment },
	{ "five_segments", CHANCERY_MALFORMED, NULL, .make = make_with_five_segments },
	{ "empty_segment_before", CHANCERY_MALFORMED, NULL,
	  .make = make_with_an_empty_segment_before },
	{ "bits_left_over", CHANCERY_MALFORMED, NULL, .make = make_with_bits_left_over },
	{ "other_alphabet", CHANCERY_MALFORMED, NULL, .make = make_in_the_other_alphabet },
	{ "json_serialisation", CHANCERY_MALFORMED, NULL, .make = make_in_json },
	{ "two_segments", CHANCERY_MALFORMED, NULL, .make = make_of_two_segments },
	{ "nothing", CHANCERY_MALFORMED, NULL, .make = make_of_nothing },
	{ "two_dots", CHANCERY_MALFORMED, NULL, .make = make_of_two_dots },
	{ "dots", CHANCERY_MALFORMED, NULL, .make = make_of_dots },
	{ "huge", CHANCERY_MALFORMED, NULL, .make = make_of_a_huge_payload },

	/* header and payload as JSON */
	{ "header_is_a_list", CHANCERY_MALFORMED, "[]" },
	{ "header_is_no_json", CHANCERY_MALFORMED, "alg=ES256" },
	{ "header_with_more_behind", CHANCERY_MALFORMED, ES256 " x" },
	{ "header_with_a_byte_order_mark", CHANCERY_MALFORMED, "\xef\xbb\xbf" ES256 },
	{ "payload_is_no_json", CHANCERY_MALFORMED, NULL, .make = make_of_no_json },
	{ "payload_is_a_list", CHANCERY_MALFORMED, NULL, .make = make_of_a_json_list },
	{ "payload_is_deep", CHANCERY_MALFORMED, NULL, .make = make_of_deep_json },
	{ "payload_not_utf8", CHANCERY_MALFORMED, NULL, "x", "\"\xff\"" },

	/* claims (RFC 7519 4.1, RFC 9068 2.2): each missing, doubled, of another type, another's */
	{ "iss_missing", CHANCERY_MISSING_CLAIM, NULL, "iss", NULL },
	{ "aud_missing", CHANCERY_MISSING_CLAIM, NULL, "aud", NULL },
	{ "exp_missing", CHANCERY_MISSING_CLAIM, NULL, "exp", NULL },
	{ "iat_missing", CHANCERY_MISSING_CLAIM, NULL, "iat", NULL },
	{ "sub_missing", CHANCERY_MISSING_CLAIM, NULL, "sub", NULL },
	{ "client_id_missing", CHANCERY_MISSING_CLAIM, NULL, "client_id", NULL,
	  .whom = ATTACK_ISSUERS },
	{ "sub_empty", CHANCERY_MISSING_CLAIM, NULL, "sub", "\"\"" },
	{ "iss_twice", CHANCERY_MALFORMED, NULL, "iss", "\"@iss\",\"iss\":\"@iss\"" },
	{ "sub_twice", CHANCERY_MALFORMED, NULL, "sub", "\"@sub\",\"sub\":\"root\"" },
	{ "aud_twice", CHANCERY_MALFORMED, NULL, "aud", "\"@aud\",\"aud\":\"@aud\"" },
	{ "exp_twice", CHANCERY_MALFORMED, NULL, "exp", "1,\"exp\":@now+300" },
	{ "sub_is_a_number", CHANCERY_MALFORMED, NULL, "sub", "7" },
	{ "sub_with_a_nul", CHANCERY_MALFORMED, NULL, "sub", "\"@sub\\u0000\"" },
	{ "iss_is_a_list", CHANCERY_MALFORMED, NULL, "iss", "[\"@iss\"]" },
	{ "iss_of_another", CHANCERY_WRONG_ISSUER, NULL, "iss", "\"https://evil.example\"" },
	{ "iss_with_a_slash", CHANCERY_WRONG_ISSUER, NULL, "iss", "\"@iss/\"" },
	{ "iss_of_another_case", CHANCERY_WRONG_ISSUER, NULL, "iss", "\"HTTPS://id.example\"" },
	{ "aud_of_another", CHANCERY_WRONG_AUDIENCE, NULL, "aud", "\"https://other.example\"" },
	{ "aud_with_a_slash", CHANCERY_WRONG_AUDIENCE, NULL, "aud", "\"@aud/\"" },
	{ "aud_among_words", CHANCERY_WRONG_AUDIENCE, NULL, "aud", "\"x @aud\"" },
	{ "aud_empty", CHANCERY_WRONG_AUDIENCE, NULL, "aud", "\"\"" },
	{ "aud_empty_list", CHANCERY_MALFORMED, NULL, "aud", "[]" },
	{ "aud_list_with_a_number", CHANCERY_MALFORMED, NULL, "aud", "[\"@aud\",1]" },
	{ "aud_object", CHANCERY_MALFORMED, NULL, "aud", "{\"@aud\":true}" },
	{ "aud_null", CHANCERY_MALFORMED, NULL, "aud", "null" },
	{ "aud_true", CHANCERY_MALFORMED, NULL, "aud", "true" },

	/* times */
	{ "expired", CHANCERY_EXPIRED, NULL, "exp", "@now-300" },
	{ "expired_long_ago", CHANCERY_EXPIRED, NULL, "exp", "0" },
	{ "exp_is_a_string", CHANCERY_MALFORMED, NULL, "exp", "\"@now+300\"" },
	{ "exp_negative", CHANCERY_MALFORMED, NULL, "exp", "-1" },
	{ "exp_beyond_any_clock", CHANCERY_MALFORMED, NULL, "exp", "1e300" },
	{ "exp_null", CHANCERY_MALFORMED, NULL, "exp", "null" },
	{ "not_yet", CHANCERY_NOT_YET, NULL, "nbf", "@now+300" },
	{ "nbf_is_a_string", CHANCERY_MALFORMED, NULL, "nbf", "\"0\"" },
	{ "issued_in_the_future", CHANCERY_NOT_YET, NULL, "iat", "@now+300" },
	{ "iat_is_a_string", CHANCERY_MALFORMED, NULL, "iat", "\"@now\"" },

	/* possession (RFC 7800) */
	{ "bound_to_a_certificate", CHANCERY_UNPROVEN, NULL, "cnf", "{\"x5t#S256\":\"x\"}",
	  .whom = ATTACK_RECEIVERS },
	{ "bound_to_a_dpop_key", CHANCERY_UNPROVEN, NULL, "cnf", "{\"jkt\":\"x\"}",
	  .whom = ATTACK_RECEIVERS },
	{ "bound_to_null", CHANCERY_UNPROVEN, NULL, "cnf", "null", .whom = ATTACK_RECEIVERS },
};

/* ---- filling in ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* @now, +N or -N behind it; returns what follows. */
static const char *put_time(struct buf *b, const char *at, int64_t now)
{
	int64_t offset = 0;
	char sign = *at;

	if ((sign == '+' || sign == '-') && is_digit(at[1])) {
		for (at++; is_digit(*at); at++)
			offset = offset * 10 + (*at - '0');
	}
	buf_i64(b, sign == '-' ? now - offset : now + offset);
	return at;
}

static void expand(struct buf *b, const struct attack_world *w, const char *text)
{
	const struct {
		const char *name, *value;
	} names[] = {
		{ "@iss", w->issuer },
		{ "@aud", w->audience },
		{ "@sub", w->subject },
		{ "@client", w->client },
		{ "@rsakid", w->rsa_kid ? w->rsa_kid : "none" },
		{ "@kid", w->ec_kid },
	};

	while (*text) {
		size_t i = 0;

		if (strncmp(text, "@now", 4) == 0) {
			text = put_time(b, text + 4, w->now);
			continue;
		}
		while (i < COUNT(names) && strncmp(text, names[i].name, strlen(names[i].name)) != 0)
			i++;
		if (i < COUNT(names)) {
			buf_z(b, names[i].value);
			text += strlen(names[i].name);
		} else {
			buf_byte(b, *text++);
		}
	}
}

static void put_claim(struct buf *b, const struct attack_world *w, const char *name,
		      const char *value)
{
	if (!value)
		return;
	buf_z(b, b->n ? "," : "{");
	buf_fmt(b, "\"%s\":", name);
	expand(b, w, value);
}

static void put_claims(struct buf *b, const struct attack_world *w, const struct row *row)
{
	static const struct {
		const char *name, *value;
	} good[] = {
		{ "iss", "\"@iss\"" },		{ "aud", "\"@aud\"" }, { "sub", "\"@sub\"" },
		{ "client_id", "\"@client\"" }, { "exp", "@now+300" }, { "iat", "@now-5" },
	};
	bool placed = !row->claim;

	for (size_t i = 0; i < COUNT(good); i++) {
		bool other = row->claim && strcmp(good[i].name, row->claim) == 0;

		put_claim(b, w, good[i].name, other ? row->value : good[i].value);
		placed |= other;
	}
	if (!placed)
		put_claim(b, w, row->claim, row->value);
	if (w->finish)
		w->finish(w, row->make == make_by_rsa ? w->rsa_kid : w->ec_kid, b);
	else
		buf_z(b, ",\"jti\":\"j1\"}");
}

static void run(const struct attack_world *w, const struct row *row,
		void (*judge)(void *arg, const struct attack *attack), void *arg)
{
	struct draft d = { .w = w };
	struct attack attack = { .name = row->name, .verdict = row->verdict };
	struct buf header, payload;
	struct str text;
	char *token;

	buf_init(&header, NULL, CORPUS_TEXT_MAX);
	buf_init(&payload, NULL, CORPUS_TEXT_MAX);
	expand(&header, w, row->header ? row->header : ES256);
	put_claims(&payload, w, row);
	ck_assert_int_eq(buf_end(&header, &text), ERR_OK);
	d.header = text.p;
	ck_assert_int_eq(buf_end(&payload, &text), ERR_OK);
	d.payload = text.p;
	token = row->make ? row->make(&d) : make_by_us(&d);
	attack.token = str_z(token);
	judge(arg, &attack);
	free(token);
	buf_done(&header);
	buf_done(&payload);
}

/* Rows that need the RSA key at the target. */
static bool is_known(const struct attack_world *w, const struct row *row)
{
	return w->rsa_kid || row->verdict != CHANCERY_OK || row->make != make_by_rsa;
}

size_t attack_all(const struct attack_world *w, unsigned whom,
		  void (*judge)(void *arg, const struct attack *attack), void *arg)
{
	size_t count = 0;

	for (size_t i = 0; i < COUNT(rows); i++) {
		unsigned bit = rows[i].whom ? rows[i].whom : ATTACK_EVERYBODY;

		if (!(bit & whom) || !is_known(w, &rows[i]))
			continue;
		run(w, &rows[i], judge, arg);
		count++;
	}
	return count;
}
