/* Failed passwords, counted in advance.
 *
 * The table is made of small sets; a keyed hash of user and network chooses the set, so that a
 * stranger cannot aim at somebody's. In a full set the place with the fewest failures goes, the
 * oldest of them first. To push out one counter that has begun to delay somebody (10 failures), an
 * attacker has to fill its set with counters as high as that: not knowing which pairs share the set
 * he must raise most of the table, about 65,536 x 10 attempts that each cost a hash in a lane of
 * bounded width (hours with nothing else served), from tens of thousands of networks or names. What
 * he gains is 10 more guesses. */
#include "server/state/ratelimit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/secret.h"

enum { WAYS = 8 };

static const int64_t SECOND = 1000000; /* the monotonic clock counts microseconds */

struct attempt {
	uint64_t pair;	 /* keyed hash of user and network; 0: free */
	uint64_t user;	 /* keyed hash of the user, for attempts_clear */
	int64_t until;	 /* monotonic: no attempt before this moment */
	int64_t last_at; /* of the latest attempt */
	uint32_t failures;
};

struct attempts {
	const struct env *env;
	struct secret key;
	pthread_mutex_t lock; /* guards places */
	size_t sets;	      /* a power of two */
	struct attempt places[];
};

enum err attempts_new(const struct env *env, size_t max, struct attempts **ret_attempts)
{
	struct attempts *a;
	size_t sets = 1;

	while (sets * WAYS < max && sets < SIZE_MAX / (4 * WAYS * sizeof(struct attempt)))
		sets *= 2;
	a = calloc(1, sizeof(*a) + sets * WAYS * sizeof(struct attempt));
	if (!a)
		return ERR_NOMEM;
	if (env->random(env, a->key.b, sizeof(a->key.b))) {
		free(a);
		return ERR_CRYPTO;
	}
	a->env = env;
	a->sets = sets;
	pthread_mutex_init(&a->lock, NULL);
	*ret_attempts = a;
	return ERR_OK;
}

void attempts_free(struct attempts *a)
{
	if (!a)
		return;
	secret_wipe(&a->key);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* ---- who and from where ---- */

static void network_v4(const struct in_addr *in, char ret_text[NETWORK_LEN + 1])
{
	const struct in_addr net = { in->s_addr & htonl(0xffffff00) };
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &net, text, sizeof(text));
	snprintf(ret_text, NETWORK_LEN + 1, "%s/24", text);
}

static void network_v6(struct in6_addr in, char ret_text[NETWORK_LEN + 1])
{
	char text[INET6_ADDRSTRLEN];
	struct in_addr v4;

	if (IN6_IS_ADDR_V4MAPPED(&in)) {
		memcpy(&v4, in.s6_addr + 12, sizeof(v4));
		network_v4(&v4, ret_text);
		return;
	}
	memset(in.s6_addr + 6, 0, 10);
	inet_ntop(AF_INET6, &in, text, sizeof(text));
	snprintf(ret_text, NETWORK_LEN + 1, "%s/48", text);
}

void network_of(struct str address, char ret_text[NETWORK_LEN + 1])
{
	const size_t n = address.n < NETWORK_LEN ? address.n : NETWORK_LEN;
	struct in6_addr v6;
	struct in_addr v4;

	if (n > 0)
		memcpy(ret_text, address.p, n);
	ret_text[n] = '\0';
	if (inet_pton(AF_INET, ret_text, &v4) == 1)
		network_v4(&v4, ret_text);
	else if (inet_pton(AF_INET6, ret_text, &v6) == 1)
		network_v6(v6, ret_text);
}

struct pair {
	uint64_t pair, user;
};

/* As store_user_by_name compares: trimmed, ASCII without case. Longer than any name there is: cut,
 * because such a name never gets in anyway. */
static struct str fold_name(struct str user, char folded[ID_MAX])
{
	const struct str name = str_trim(user);
	const size_t n = name.n < ID_MAX ? name.n : ID_MAX;

	for (size_t i = 0; i < n; i++) {
		const char c = name.p[i];

		folded[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	return str_n(folded, n);
}

static uint64_t keyed(const struct attempts *a, const struct str *parts, size_t count)
{
	uint64_t h;

	secret_mac(&a->key, parts, count, &h, sizeof(h));
	return h ? h : 1;
}

static uint64_t user_of(const struct attempts *a, struct str user)
{
	char folded[ID_MAX];
	const struct str parts[] = { STR("user"), fold_name(user, folded) };

	return keyed(a, parts, 2);
}

static struct pair pair_of(const struct attempts *a, struct str user, struct str address)
{
	char folded[ID_MAX], network[NETWORK_LEN + 1];
	struct str parts[] = { STR("pair"), fold_name(user, folded), STR_NONE };

	network_of(address, network);
	parts[2] = str_z(network);
	return (struct pair){ keyed(a, parts, 3), user_of(a, user) };
}

/* ---- the table; all under the lock ---- */

static struct attempt *set_of(struct attempts *a, uint64_t pair)
{
	return &a->places[(pair & (a->sets - 1)) * WAYS];
}

static struct attempt *find(struct attempts *a, uint64_t pair)
{
	struct attempt *set = set_of(a, pair);

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].pair == pair)
			return &set[i];
	}
	return NULL;
}

static bool is_over(const struct attempt *t, int64_t now)
{
	return t->pair == 0 || now - t->last_at >= ATTEMPTS_FORGET * SECOND;
}

static bool worth_less(const struct attempt *t, const struct attempt *than)
{
	if (t->failures != than->failures)
		return t->failures < than->failures;
	return t->last_at < than->last_at;
}

static struct attempt *take_place(struct attempts *a, const struct pair *who, int64_t now)
{
	struct attempt *set = set_of(a, who->pair);
	struct attempt *place = &set[0];

	for (size_t i = 0; i < WAYS && !is_over(place, now); i++) {
		if (is_over(&set[i], now) || worth_less(&set[i], place))
			place = &set[i];
	}
	*place = (struct attempt){ .pair = who->pair, .user = who->user };
	return place;
}

/* After `failures`: nothing while they are free, then LOGIN_DELAY_FIRST doubling to
 * LOGIN_DELAY_MAX. */
static int64_t delay_after(uint32_t failures)
{
	int64_t delay = LOGIN_DELAY_FIRST;

	if (failures < LOGIN_FAILURES_FREE)
		return 0;
	for (uint32_t i = LOGIN_FAILURES_FREE; i < failures && delay < LOGIN_DELAY_MAX; i++)
		delay *= 2;
	return delay < LOGIN_DELAY_MAX ? delay : LOGIN_DELAY_MAX;
}

static enum err reserve(struct attempts *a, const struct pair *who, int64_t now, int64_t *ret_wait)
{
	struct attempt *t = find(a, who->pair);

	if (!t)
		t = take_place(a, who, now);
	else if (is_over(t, now))
		*t = (struct attempt){ .pair = who->pair, .user = who->user };
	if (now < t->until) {
		*ret_wait = (t->until - now + SECOND - 1) / SECOND;
		return ERR_RATE_LIMITED;
	}
	if (t->failures < UINT32_MAX)
		t->failures++;
	t->last_at = now;
	t->until = now + delay_after(t->failures) * SECOND;
	return ERR_OK;
}

enum err attempts_reserve(struct attempts *a, struct str user, struct str address,
			  int64_t *ret_wait)
{
	const struct pair who = pair_of(a, user, address);
	const int64_t now = a->env->monotonic(a->env);
	enum err e;

	pthread_mutex_lock(&a->lock);
	e = reserve(a, &who, now, ret_wait);
	pthread_mutex_unlock(&a->lock);
	return e;
}

void attempts_success(struct attempts *a, struct str user, struct str address)
{
	const struct pair who = pair_of(a, user, address);
	struct attempt *t;

	pthread_mutex_lock(&a->lock);
	t = find(a, who.pair);
	if (t)
		*t = (struct attempt){ .pair = 0 };
	pthread_mutex_unlock(&a->lock);
}

void attempts_cancel(struct attempts *a, struct str user, struct str address)
{
	const struct pair who = pair_of(a, user, address);
	struct attempt *t;

	pthread_mutex_lock(&a->lock);
	t = find(a, who.pair);
	if (t && t->failures > 0) {
		t->failures--;
		t->until =
			0; /* it let one through when it was reserved: it lets one through again */
	}
	pthread_mutex_unlock(&a->lock);
}

void attempts_clear(struct attempts *a, struct str user)
{
	const uint64_t who = user_of(a, user);

	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < a->sets * WAYS; i++) {
		if (a->places[i].pair && a->places[i].user == who)
			a->places[i] = (struct attempt){ .pair = 0 };
	}
	pthread_mutex_unlock(&a->lock);
}
