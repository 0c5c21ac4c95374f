/* Texts with holes: what is filled, what is repeated, what is refused. */
#include "server/cmd/template.h"
#include "suite.h"

static const struct template_value ada[] = { { "name", { "ada", 3 } } };
static const struct template_value bob[] = { { "name", { "bob", 3 } } };
static const struct template_scope people[] = {
	{ .values = ada, .value_count = 1 },
	{ .values = bob, .value_count = 1 },
};

struct row {
	const char *text, *filled; /* filled NULL: ERR_SYNTAX */
};

static const struct row rows[] = {
	{ "", "" },
	{ "no hole", "no hole" },
	{ "a {{name}} b {{name}}\n", "a x b x\n" },
	{ "{{empty}}.\n", ".\n" },
	{ "{ {name} }\n", "{ {name} }\n" },
	{ "a\n{{#people}}\n- {{name}} of {{name2}}\n{{/people}}\nb",
	  "a\n- ada of y\n- bob of y\nb" },
	{ "  {{#name}}\nthere\n  {{/name}}\n{{^name}}\nnot\n{{/name}}\n", "there\n" },
	{ "{{#empty}}\nthere\n{{/empty}}\n{{^empty}}\nnot\n{{/empty}}\n", "not\n" },
	{ "{{#nobody}}\n{{name}}\n{{/nobody}}\n{{^nobody}}\nnone\n{{/nobody}}", "none\n" },
	{ "{{^people}}\nnone\n{{/people}}\n", "" },
	{ "{{#name}}\n{{#people}}\n{{name}}\n{{/people}}\n{{/name}}\n", "ada\nbob\n" },
	{ "{{unknown}}\n", NULL },
	{ "{{#unknown}}\n{{/unknown}}\n", NULL },
	{ "{{#name}}\nno end\n", NULL },
	{ "{{/name}}\n", NULL },
	{ "{{name\n}}", NULL },
	{ "{{people}}\n", NULL },
};

START_TEST(each_text_is_filled_or_refused)
{
	const struct template_value values[] = { { "name", STR("x") },
						 { "name2", STR("y") },
						 { "empty", STR_NONE } };
	const struct template_list lists[] = { { "people", people, 2 }, { "nobody", NULL, 0 } };
	const struct template_scope scope = {
		.values = values, .value_count = 3, .lists = lists, .list_count = 2
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out;
		struct str text;
		enum err e;

		buf_init(&out, NULL, 4096);
		e = template_render(str_z(rows[i].text), &scope, &out);
		ck_assert_msg((e == ERR_SYNTAX) == !rows[i].filled, "%s", rows[i].text);
		ck_assert_int_eq(buf_end(&out, &text), ERR_OK);
		if (rows[i].filled)
			ck_assert_str_eq(text.p, rows[i].filled);
		buf_done(&out);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { each_text_is_filled_or_refused };

	return suite_run("template", tests, sizeof(tests) / sizeof(tests[0]));
}
