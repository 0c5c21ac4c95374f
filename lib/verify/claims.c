/* What a good token says, for a caller who has no JSON reader. */
#include <stdlib.h>

#include "base/secret.h"
#include "verify/verifier.h"

const char *chancery_claims_text(const struct chancery_claims *claims, const char *name,
				 size_t *ret_n)
{
	struct str text;

	if (!json_str(json_get(claims->jwt.claims, name), &text))
		return NULL;
	if (ret_n)
		*ret_n = text.n;
	return text.p;
}

int chancery_claims_number(const struct chancery_claims *claims, const char *name,
			   int64_t *ret_value)
{
	const double limit = 9007199254740992.0; /* 2^53: beyond it a double skips numbers */
	const struct json *v = json_get(claims->jwt.claims, name);
	double number;

	if (json_int(v, ret_value))
		return 1;
	if (!json_number(v, &number) || !(number > -limit) || !(number < limit))
		return 0;
	*ret_value = (int64_t)number;
	return 1;
}

static bool has_word(struct str text, struct str wanted)
{
	struct str word;

	while (str_next(&text, ' ', &word)) {
		if (str_equal(word, wanted))
			return true;
	}
	return false;
}

static bool has_element(const struct json *array, struct str wanted)
{
	struct str text;

	for (size_t i = 0; i < json_len(array); i++) {
		if (json_str(json_at(array, i), &text) && str_equal(text, wanted))
			return true;
	}
	return false;
}

int chancery_claims_have(const struct chancery_claims *claims, const char *name, const char *value)
{
	const struct json *v = json_get(claims->jwt.claims, name);
	const struct str wanted = str_z(value);
	struct str text;

	if (wanted.n == 0)
		return 0;
	if (!json_str(v, &text))
		return has_element(v, wanted);
	return strcmp(name, "scope") == 0 ? has_word(text, wanted) : str_equal(text, wanted);
}

const char *chancery_claims_json(const struct chancery_claims *claims, size_t *ret_n)
{
	if (ret_n)
		*ret_n = claims->text_len;
	return claims->text;
}

void chancery_claims_free(struct chancery_claims *claims)
{
	if (!claims)
		return;
	jwt_done(&claims->jwt);
	wipe(claims->text, claims->text_len);
	free(claims);
}
