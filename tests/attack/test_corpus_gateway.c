/* The corpus against /gateway/verify, of the server and of a sidecar: whatever libchancery would
 * refuse is 401 with none of the identity headers, and the good rows pass. */
#include "server/token/sidecar.h"
#include "tests/attack/corpus_office.h"
#include "tests/helpers/fake_issuer.h"
#include "tests/unit/suite.h"

static struct flow office;
static struct fake_issuer issuer;
static struct sidecar *sidecar;

static void set_up(void)
{
	(void)corpus_office_up(&office, FAKE_AUDIENCE);
}

static void tear_down(void)
{
	flow_down(&office);
}

/* Beside the office, on its clock: the issuer that it fetches from is the fake one. */
static void sidecar_up(void)
{
	const struct sidecar_audience audience = { .uri = FAKE_AUDIENCE, .slug = "orders" };
	struct sidecar_options options = {
		.env = office.app.env,
		.issuer = FAKE_ISSUER,
		.audiences = &audience,
		.audience_count = 1,
		.workers = 1,
		.fetch = fake_fetch,
		.fetch_arg = &issuer,
	};
	const char *why;

	fake_issuer_init(&issuer);
	ck_assert_int_eq(sidecar_new(&options, &sidecar, &why), ERR_OK);
	sidecar_tend(sidecar);
	ck_assert(sidecar_is_ready(sidecar));
	office.app.sidecar = sidecar;
}

static void sidecar_down(void)
{
	sidecar_free(sidecar);
	fake_issuer_done(&issuer);
}

static struct answer ask_with(enum listener listener, struct str token)
{
	struct buf b;
	struct str header;
	struct answer a;

	buf_init(&b, NULL, ADMIN_BODY_MAX);
	buf_z(&b, "Bearer ");
	buf_str(&b, token);
	ck_assert_int_eq(buf_end(&b, &header), ERR_OK);
	a = flow_send(&office, &(struct ask){ .listener = listener,
					      .target = "/gateway/verify/orders",
					      .authorization = header.p });
	buf_done(&b);
	return a;
}

static void judge(void *arg, const struct attack *attack)
{
	const enum listener *listener = arg;
	struct answer a;

	/* RFC 9110 5.5: white space at the end of a field is none of its value */
	if (str_trim(attack->token).n != attack->token.n)
		return;
	a = ask_with(*listener, attack->token);
	if (attack->verdict == CHANCERY_OK) {
		ck_assert_msg(a.status == 200, "%s: %d %s", attack->name, a.status, a.why);
		ck_assert_str(answer_header(&a, "X-Client-Id"), "shop");
		return;
	}
	ck_assert_msg(a.status == 401, "%s: %d", attack->name, a.status);
	ck_assert_msg(!answer_header(&a, "X-Client-Id").p, "%s", attack->name);
	ck_assert_msg(answer_header(&a, "WWW-Authenticate").n > 0, "%s", attack->name);
}

START_TEST(the_gateway_lets_no_attack_pass)
{
	const struct attack_world world = corpus_office_world(&office, FAKE_ISSUER, FAKE_AUDIENCE);
	enum listener listener = LISTENER_GATEWAY;

	ck_assert_uint_ge(attack_all(&world, ATTACK_EVERYBODY | ATTACK_RECEIVERS | ATTACK_ISSUERS,
				     judge, &listener),
			  120);
}
END_TEST

/* Twice, so that what was verified before is asked about as well. */
START_TEST(a_sidecar_lets_no_attack_pass)
{
	const struct attack_world world = corpus_office_world(&office, FAKE_ISSUER, FAKE_AUDIENCE);
	enum listener listener = LISTENER_SIDECAR;

	sidecar_up();
	for (int i = 0; i < 2; i++)
		ck_assert_uint_ge(attack_all(&world,
					     ATTACK_EVERYBODY | ATTACK_RECEIVERS | ATTACK_ISSUERS,
					     judge, &listener),
				  120);
	sidecar_down();
}
END_TEST

int main(void)
{
	TCase *all = tcase_create("gateways");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, the_gateway_lets_no_attack_pass);
	tcase_add_test(all, a_sidecar_lets_no_attack_pass);
	return suite_run_case("corpus_gateway", all);
}
