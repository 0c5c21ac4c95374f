/* The common ground of the tests of token formats. */
#include <stdio.h>

#include "oauth/form.h"
#include "tests/flow/format_tests.h"

struct formats_fixture fmt;
static struct flow *const f = &fmt.flow;

struct answer root(int status, enum method method, const char *target, const char *json)
{
	struct answer a = admin(f, method, target, json);

	ck_assert_msg(a.status == status, "%s: %d %s", target, a.status, a.why);
	return a;
}

void formats_up(void)
{
	flow_up(f);
	flow_api(f, ORDERS, "orders", "read write");
	root(201, METHOD_POST, APIS,
	     "{\"uri\":\"" VAULT "\",\"slug\":\"vault\",\"scopes\":[\"read\"],"
	     "\"format\":\"opaque\"}");
	fmt.secret = flow_client(f, "shop", "read write", ORDERS " " VAULT);
	flow_user(f, "u-alice", "alice", PASSWORD);
}

void formats_down(void)
{
	flow_down(f);
}

const char *with(const char *form, const char *name, struct str value)
{
	struct buf b;
	struct str text;

	buf_init(&b, f->arena, 32768);
	buf_fmt(&b, "%s%s%s=", form, *form ? "&" : "", name);
	form_encode(&b, value);
	ck_assert_int_eq(buf_end(&b, &text), ERR_OK);
	return text.p;
}

struct answer as_shop(const char *target, const char *form)
{
	return post(f, target, basic("shop", fmt.secret), form);
}

struct answer machine(const char *audience)
{
	return as_shop("/oauth2/token",
		       with("grant_type=client_credentials", "resource", str_z(audience)));
}

struct str text_of(struct answer a)
{
	ck_assert_msg(a.status == 200, "%d %s", a.status, a.why);
	return answer_str(&a, "access_token");
}

struct answer login(const char *audience)
{
	const char *form = with("grant_type=password&username=alice", "password", STR(PASSWORD));

	return as_shop("/oauth2/token", with(form, "resource", str_z(audience)));
}

struct answer introspect(struct str token)
{
	return as_shop("/oauth2/introspect", with("", "token", token));
}

bool is_active(struct str token)
{
	struct answer a = introspect(token);

	ck_assert_int_eq(a.status, 200);
	return answer_bool(&a, "active");
}

bool file_holds(const char *path, struct str needle)
{
	FILE *in = fopen(path, "r");
	char *bytes = malloc(16 << 20);
	size_t n = in && bytes ? fread(bytes, 1, 16 << 20, in) : 0;
	bool found = n && memmem(bytes, n, needle.p, needle.n);

	free(bytes);
	if (in)
		fclose(in);
	return found;
}

int main(void)
{
	TCase *const cases[] = { opaque_case(), shared_case(), jwe_case() };

	return suite_run_cases("formats", cases, COUNT(cases));
}
