/* One look at a time, about all standbys that are due; what was learnt is kept by kid, so that it
 * ends with the standby it is about. */
#include "server/serve/prober.h"

#include <stdlib.h>

#include "server/serve/fetch.h"

/* What is known about the standby of one algorithm. */
struct known {
	char kid[KID_MAX + 1];
	bool asked;   /* a look about it has begun */
	bool pending; /* its first look is under way */
	bool seen, lacking;
};

struct prober {
	struct prober_options options;
	struct log_buf log;
	struct fetch *fetch;   /* NULL: none under way */
	int64_t asked_at;      /* wall clock */
	int64_t started, next; /* monotonic seconds: of the look; no other before */
	struct known known[ALG_COUNT];
	unsigned held_back;
	enum probe_verdict last; /* of the last look; PROBE_VERDICT_COUNT: there was none */
};

enum err prober_new(const struct prober_options *options, struct prober **ret_prober)
{
	struct prober *p = calloc(1, sizeof(*p));

	if (!p)
		return ERR_NOMEM;
	p->options = *options;
	p->last = PROBE_VERDICT_COUNT;
	p->next = INT64_MIN;
	log_buf_init(&p->log, options->log);
	*ret_prober = p;
	return ERR_OK;
}

void prober_free(struct prober *p)
{
	if (!p)
		return;
	fetch_free(p->fetch);
	log_buf_done(&p->log);
	free(p);
}

unsigned prober_held_back(const struct prober *p)
{
	return p->held_back;
}

int prober_fd(const struct prober *p)
{
	return p->fetch ? fetch_fd(p->fetch) : -1;
}

static int64_t wall(const struct prober *p)
{
	return p->options.env->now(p->options.env);
}

static int64_t seconds(const struct prober *p)
{
	return p->options.env->monotonic(p->options.env) / 1000000;
}

/* ---- standbys ---- */

/* Due soon or overdue, and every cache must know it: before that its absence says nothing. */
static bool is_due(const struct key_info *info, int64_t now)
{
	return info->state == KEY_STANDBY && info->activate_at &&
	       info->activate_at - PROBER_LEAD_S <= now && info->ready_at <= now;
}

/* NULL when it is not due. What was known about another kid is forgotten. */
static struct known *known_of(struct prober *p, const struct key_info *info, int64_t now)
{
	struct known *k = &p->known[info->alg];

	if (!is_due(info, now))
		return NULL;
	if (strcmp(k->kid, info->kid) != 0) {
		*k = (struct known){ .asked = false };
		memcpy(k->kid, info->kid, sizeof(k->kid));
	}
	return k;
}

static bool somebody_is_unseen(struct prober *p, const struct probe_target *t)
{
	int64_t now = wall(p);

	for (size_t i = 0; i < t->count; i++) {
		const struct known *k = known_of(p, &t->keys[i].info, now);

		if (k && !k->seen)
			return true;
	}
	return false;
}

static void mark_asked(struct prober *p, const struct probe_target *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct known *k = known_of(p, &t->keys[i].info, p->asked_at);

		if (!k)
			continue;
		k->pending = !k->asked;
		k->asked = true;
	}
}

/* ---- a look ends ---- */

static bool is_first(const struct prober *p)
{
	for (size_t i = 0; i < ALG_COUNT; i++) {
		if (p->known[i].pending)
			return true;
	}
	return false;
}

/* Each standby's first look, then what changes: one that is lacking for a day is looked for often.
 */
static void tell(struct prober *p, const struct probe_target *t, const struct probe_result *r)
{
	static const struct {
		enum log_level level;
		const char *text;
	} lines[PROBE_VERDICT_COUNT] = {
		[PROBE_HOLDS] = { LOG_INFO, "the public key set holds the next key" },
		[PROBE_LACKS] = { LOG_WARN, "the public key set lacks the next key; its activation "
					    "waits" },
		[PROBE_FAILED] = { LOG_WARN, "the public key set could not be looked at" },
	};

	count_probe(p->options.shard, r->verdict);
	if (r->verdict == p->last && !is_first(p))
		return;
	p->last = r->verdict;
	log_begin(&p->log, lines[r->verdict].level, lines[r->verdict].text);
	log_str(&p->log, "issuer", t->issuer);
	log_z(&p->log, "reason", r->note[0] ? r->note : NULL);
	log_end(&p->log);
	log_flush(&p->log);
}

/* A look that failed changes nothing: what an earlier one saw still stands. */
static void learn(struct prober *p, const struct probe_target *t, const struct probe_result *r)
{
	if (r->verdict != PROBE_HOLDS)
		p->next = p->started + PROBER_REPEAT_S;
	if (r->verdict == PROBE_FAILED)
		return;
	for (size_t i = 0; i < t->count; i++) {
		const struct key_info *info = &t->keys[i].info;
		struct known *k = known_of(p, info, p->asked_at);

		if (!k)
			continue;
		k->lacking = r->lacks & 1U << info->alg;
		k->seen = !k->lacking;
	}
}

static void let_go(struct prober *p)
{
	for (size_t i = 0; i < ALG_COUNT; i++)
		p->known[i].pending = false;
	fetch_free(TAKE(p->fetch));
}

static void judge(struct prober *p, const struct probe_target *t, const struct fetch_answer *a)
{
	struct probe_result r;

	probe_judge(a, t, p->asked_at, &r);
	tell(p, t, &r);
	learn(p, t, &r);
	let_go(p);
}

static void judge_nothing(struct prober *p, const struct probe_target *t, const char *why)
{
	struct fetch_answer none = { .outcome = FETCH_NO_ANSWER };

	none.parts[FETCH_WHY] = str_z(why);
	judge(p, t, &none);
}

static void read_answer(struct prober *p, const struct probe_target *t)
{
	struct fetch_answer a;
	enum err e = fetch_poll(p->fetch, &a);

	if (!e)
		judge(p, t, &a);
	else if (e != ERR_BUSY)
		judge_nothing(p, t, "the fetch child ended without one");
	else if (seconds(p) - p->started >= PROBER_GIVE_UP_S)
		judge_nothing(p, t, "the fetch child gave none in time");
}

/* ---- a look begins ---- */

static enum err start(struct prober *p, const struct probe_target *t)
{
	char url[FETCH_URL_MAX + 1];
	struct fetch_request r;
	enum err e = probe_request(t->issuer, url, &r);
	int fd;

	if (!e)
		e = p->options.connect(p->options.arg, &fd);
	return e ? e : fetch_start(fd, &r, &p->fetch);
}

static void look(struct prober *p, const struct probe_target *t)
{
	enum err e;

	p->asked_at = wall(p);
	p->started = seconds(p);
	p->next = p->started + PROBER_PAUSE_S;
	mark_asked(p, t);
	e = start(p, t);
	if (e == ERR_LIMIT || e == ERR_SYNTAX)
		judge_nothing(p, t, "the issuer is no address to fetch from");
	else if (e)
		judge_nothing(p, t, "there is no fetch child");
}

/* ---- the tick ---- */

static unsigned held_back(struct prober *p, const struct probe_target *t)
{
	int64_t now = wall(p);
	unsigned bits = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct key_info *info = &t->keys[i].info;
		const struct known *k = known_of(p, info, now);

		if (k && (k->lacking || k->pending))
			bits |= 1U << info->alg;
	}
	return bits;
}

void prober_tick(struct prober *p, const struct probe_target *target)
{
	p->held_back = 0;
	if (!target) {
		let_go(p);
		return;
	}
	if (p->fetch)
		read_answer(p, target);
	if (!p->fetch && seconds(p) >= p->next && somebody_is_unseen(p, target))
		look(p, target);
	p->held_back = held_back(p, target);
}
