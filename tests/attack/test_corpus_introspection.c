/* The corpus against introspection (RFC 7662): whatever libchancery would refuse is inactive, and
 * only "inactive" is said. */
#include "oauth/form.h"
#include "tests/attack/corpus_office.h"
#include "tests/unit/suite.h"

#define ORDERS "https://orders.example"

static struct flow office;
static const char *secret;

static void set_up(void)
{
	secret = corpus_office_up(&office, ORDERS);
}

static void tear_down(void)
{
	flow_down(&office);
}

static void judge(void *arg, const struct attack *attack)
{
	struct buf b;
	struct str form;
	struct answer a;

	(void)arg;
	buf_init(&b, NULL, ADMIN_BODY_MAX);
	buf_z(&b, "token=");
	form_encode(&b, attack->token);
	ck_assert_int_eq(buf_end(&b, &form), ERR_OK);
	a = post(&office, "/oauth2/introspect", basic("shop", secret), form.p);
	buf_done(&b);
	if (attack->verdict == CHANCERY_OK)
		ck_assert_msg(a.status == 200 && answer_bool(&a, "active"), "%s: %s", attack->name,
			      a.why);
	else if (a.status == 200)
		ck_assert_msg(str_equal_z(a.body, "{\"active\":false}"), "%s is active",
			      attack->name);
	else /* no token at all, or a body beyond all bounds */
		ck_assert_msg(a.status == 400 || a.status == 413, "%s: %d", attack->name, a.status);
}

START_TEST(introspection_calls_every_attack_inactive)
{
	const struct attack_world world = corpus_office_world(&office, FIXTURE_ISSUER, ORDERS);

	ck_assert_uint_ge(attack_all(&world, ATTACK_EVERYBODY | ATTACK_ISSUERS, judge, NULL), 120);
}
END_TEST

int main(void)
{
	TCase *all = tcase_create("introspection");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, introspection_calls_every_attack_inactive);
	return suite_run_case("corpus_introspection", all);
}
