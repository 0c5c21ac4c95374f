/* Whom a rotation waits for, and what there is to say of them. */
#include <stdio.h>

#include "server/state/consumers_priv.h"

static bool is_expected(const struct consumer_place *p, enum alg alg, int64_t now)
{
	const int64_t asked_at = p->track->asked_at[alg];

	if (p->sort == SORT_ROW)
		return !p->track->last_at || asked_at;
	return asked_at &&
	       asked_at >= now - (p->sort == SORT_CLIENT ? CONSUMERS_KEEP : CONSUMERS_DAY);
}

static void report_name(const struct consumers *c, const struct consumer_place *p, char *out,
			size_t size)
{
	switch (p->sort) {
	case SORT_ROW:
		snprintf(out, size, "%.*s", STR_ARG(c->rows[p->i].match.name));
		break;
	case SORT_CLIENT:
		snprintf(out, size, "client:%s", c->clients[p->i].id);
		break;
	case SORT_STEADY:
	case SORT_COUNT:
		consumers_number_write(c->steady_address[p->i], out, size);
		break;
	}
}

static void add_laggard(const struct consumers *c, const struct consumer_place *p,
			struct consumers_report *r)
{
	const size_t n = r->laggard_count;

	if (n == CONSUMERS_LAGGARDS_MAX)
		return;
	report_name(c, p, r->laggards[n].name, sizeof(r->laggards[n].name));
	r->laggards[n].never_seen = !p->track->last_at;
	r->laggard_count++;
}

void consumers_holding(struct consumers *c, enum alg alg, struct str standby_kid, int64_t now,
		       struct consumers_report *ret_report)
{
	const uint64_t mark = kid_mark(standby_kid);
	struct consumer_place p = { .track = NULL };

	*ret_report = (struct consumers_report){ .held = 0 };
	pthread_mutex_lock(&c->lock);
	while (consumers_next(c, &p)) {
		if (!is_expected(&p, alg, now))
			continue;
		ret_report->expected++;
		if (p.track->held[alg] == mark)
			ret_report->held++;
		else
			add_laggard(c, &p, ret_report);
	}
	ret_report->anonymous = consumers_strangers(&c->strangers, now);
	pthread_mutex_unlock(&c->lock);
}

/* Bits of what this one is expected to hold, and of what of it it does not. */
static void weigh(const struct consumer_place *p, const struct keyring_view *v, int64_t now,
		  unsigned *ret_expected, unsigned *ret_lacks)
{
	unsigned expected = 0, lacks = 0;

	for (enum alg alg = ALG_ES256; alg < ALG_COUNT; alg++) {
		if (!v->standby[alg] || !is_expected(p, alg, now))
			continue;
		expected |= 1u << alg;
		if (p->track->held[alg] != v->standby[alg])
			lacks |= 1u << alg;
	}
	*ret_expected = expected;
	*ret_lacks = lacks;
}

unsigned consumers_lagging(struct consumers *c, const struct keyring_view *v, int64_t now)
{
	struct consumer_place p = { .track = NULL };
	unsigned lagging = 0, expected, lacks;

	pthread_mutex_lock(&c->lock);
	while (consumers_next(c, &p)) {
		weigh(&p, v, now, &expected, &lacks);
		lagging |= lacks;
	}
	pthread_mutex_unlock(&c->lock);
	return lagging;
}

void consumers_count(struct consumers *c, const struct keyring_view *v, int64_t now,
		     struct consumers_counts *ret_counts)
{
	struct consumer_place p = { .track = NULL };
	unsigned expected, lacks;

	*ret_counts = (struct consumers_counts){ .holding = 0 };
	pthread_mutex_lock(&c->lock);
	while (consumers_next(c, &p)) {
		weigh(&p, v, now, &expected, &lacks);
		ret_counts->holding += expected && !lacks;
		ret_counts->lagging += lacks != 0;
	}
	ret_counts->anonymous = consumers_strangers(&c->strangers, now);
	pthread_mutex_unlock(&c->lock);
}
