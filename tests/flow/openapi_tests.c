/* config/openapi.yaml against what there is: routes and members. */
#include <stdio.h>

#include "server/token/auth.h"
#include "tests/flow/admin_tests.h"

/* The paths of the document: keys at two spaces, methods at four, between "paths:" and
 * "components:". */
static size_t described(char rows[][96], size_t max)
{
	FILE *in = fopen(OPENAPI_FILE, "r");
	char line[512], path[80] = "", word[80];
	bool paths = false;
	size_t n = 0;

	ck_assert_msg(in != NULL, "%s cannot be read", OPENAPI_FILE);
	while (fgets(line, sizeof(line), in)) {
		if (line[0] != ' ')
			paths = strncmp(line, "paths:", 6) == 0;
		if (!paths || strncmp(line, "  ", 2) != 0)
			continue;
		snprintf(word, sizeof(word), "%.*s", (int)strcspn(line + 2, ":\n"), line + 2);
		if (word[0] == '/')
			snprintf(path, sizeof(path), "%s", word);
		else if (strncmp(line, "    ", 4) == 0 && line[4] != ' ' && n < max)
			snprintf(rows[n++], 96, "%.8s %s", word + 2, path);
	}
	fclose(in);
	return n;
}

START_TEST(openapi_describes_the_routes_there_are)
{
	static char rows[128][96];
	size_t n = described(rows, 128), admin_rows = 0;

	for (size_t i = 0; i < route_count; i++) {
		const char *verb = method_name(routes[i].method);
		bool found = false;

		if (routes[i].auth != AUTH_ADMIN)
			continue;
		admin_rows++;
		for (size_t k = 0; k < n && !found; k++)
			found = strncasecmp(rows[k], verb, strlen(verb)) == 0 &&
				strcmp(rows[k] + strlen(verb) + 1, routes[i].pattern) == 0;
		ck_assert_msg(found, "%s %s is not described", verb, routes[i].pattern);
	}
	ck_assert_uint_eq(n, admin_rows);
}
END_TEST

/* The `required` list of a schema, written [a, b] or as lines. */
static size_t required_of(const char *schema, char names[][48], size_t max)
{
	FILE *in = fopen(OPENAPI_FILE, "r");
	const char *head = format("    %s:\n", schema);
	bool here = false, listed = false;
	char line[512];
	size_t n = 0;

	ck_assert_msg(in != NULL, "%s cannot be read", OPENAPI_FILE);
	while (fgets(line, sizeof(line), in)) {
		const char *p = line;

		if (strncmp(line, "    ", 4) == 0 && line[4] != ' ')
			here = strcmp(line, head) == 0;
		if (strncmp(line, "      ", 6) == 0 && line[6] != ' ')
			listed = here && strncmp(line + 6, "required:", 9) == 0;
		if (!listed)
			continue;
		p += strspn(p, " ");
		if (strncmp(p, "required:", 9) == 0)
			p += 9;
		while (*(p += strspn(p, " -[],\n")) && n < max) {
			size_t len = strcspn(p, " ,]\n");

			snprintf(names[n++], 48, "%.*s", (int)len, p);
			p += len;
		}
	}
	fclose(in);
	return n;
}

START_TEST(openapi_describes_the_objects_that_are_answered)
{
	static const struct {
		const char *schema, *list;
	} rows[] = {
		{ "Client", "/admin/v1/clients" },
		{ "Secret", "/admin/v1/clients/inspector/secrets" },
		{ "User", "/admin/v1/users" },
		{ "Api", "/admin/v1/apis" },
		{ "Key", "/admin/v1/keys" },
		{ "AuditRow", "/admin/v1/audit" },
	};
	static char names[32][48];

	root_gets(201, METHOD_POST, "/admin/v1/users", "{\"name\":\"ann\"}");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct answer a = root_gets(200, METHOD_GET, rows[i].list, NULL);
		const struct json *object = json_at(items(&a), 0);
		size_t n = required_of(rows[i].schema, names, 32);

		ck_assert_msg(n > 0 && n == json_len(object),
			      "%s: %zu members described, %zu answered", rows[i].schema, n,
			      json_len(object));
		for (size_t k = 0; k < n; k++)
			ck_assert_msg(json_get(object, names[k]) != NULL, "%s has no %s",
				      rows[i].schema, names[k]);
	}
}
END_TEST

Suite *openapi_suite(void)
{
	Suite *suite = suite_create("openapi");
	TCase *c = tcase_create("openapi");

	tcase_set_timeout(c, 240);
	tcase_add_checked_fixture(c, admin_fixture_up, admin_fixture_down);
	tcase_add_test(c, openapi_describes_the_routes_there_are);
	tcase_add_test(c, openapi_describes_the_objects_that_are_answered);
	suite_add_tcase(suite, c);
	return suite;
}
