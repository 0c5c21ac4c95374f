/* Three tables under one lock. An address is one 64-bit number that is itself (no hash, hence no
 * collisions to provoke), so that a table is searched by comparing words. */
#include "server/state/consumers_priv.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEADY_FETCHES = 3, STEADY_MAX_AGES = 2 };

/* ---- addresses as numbers ---- */

static uint64_t load64(const unsigned char *p)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/* The last half of an IPv4-mapped address, the first of an IPv6 one: its /64. They never meet:
 * 0:ffff::/32 belongs to nobody (RFC 4291 2.4). */
uint64_t consumers_number(const struct address *a)
{
	return load64(address_is_v4(a) ? a->b + 8 : a->b);
}

static struct address address_from(uint64_t number)
{
	const bool v4 = number >> 32 == 0xffff;
	struct address a = { { 0 } };

	for (size_t i = 0; i < 8; i++)
		a.b[(v4 ? 8 : 0) + i] = (unsigned char)(number >> (56 - 8 * i));
	return a;
}

void consumers_number_write(uint64_t number, char *out, size_t size)
{
	const struct address a = address_from(number);
	char text[ADDRESS_TEXT_MAX];

	address_write(&a, text);
	snprintf(out, size, address_is_v4(&a) ? "%s" : "%s/64", text);
}

static size_t find_number(const uint64_t *numbers, size_t count, uint64_t number)
{
	size_t i = 0;

	while (i < count && numbers[i] != number)
		i++;
	return i;
}

/* ---- making, configuring ---- */

static void free_rows(struct consumer_rule *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free((void *)(uintptr_t)rows[i].text.p);
	free(rows);
}

/* The option's own check has read it already. */
static enum err read_row(struct str text, struct consumer_rule *row)
{
	char *copy = malloc(text.n);

	if (!copy)
		return ERR_NOMEM;
	memcpy(copy, text.p, text.n);
	row->text = str_n(copy, text.n);
	return consumer_match_parse(row->text, &row->match);
}

static enum err read_rows(struct str_list list, struct consumer_rule **ret_rows)
{
	struct consumer_rule *rows = calloc(list.count ? list.count : 1, sizeof(*rows));
	enum err e = rows ? ERR_OK : ERR_NOMEM;

	for (size_t i = 0; i < list.count && !e; i++)
		e = read_row(list.items[i], &rows[i]);
	if (e && rows)
		free_rows(rows, list.count);
	else if (!e)
		*ret_rows = rows;
	return e;
}

struct consumer_rule *consumers_row(struct consumer_rule *rows, size_t count, struct str text)
{
	for (size_t i = 0; i < count; i++) {
		if (str_equal(rows[i].text, text))
			return &rows[i];
	}
	return NULL;
}

enum err consumers_configure(struct consumers *c, const struct config *config)
{
	const size_t count = config->keys.consumers.count;
	struct consumer_rule *rows, *old;
	size_t old_count;
	enum err e = read_rows(config->keys.consumers, &rows);

	if (e)
		return e;
	pthread_mutex_lock(&c->lock);
	old = c->rows;
	old_count = c->row_count;
	for (size_t i = 0; i < count; i++) {
		const struct consumer_rule *known = consumers_row(old, old_count, rows[i].text);

		if (known)
			rows[i].track = known->track;
	}
	c->rows = rows;
	c->row_count = count;
	c->max_age = config->keys.jwks_max_age;
	pthread_mutex_unlock(&c->lock);
	free_rows(old, old_count);
	return ERR_OK;
}

enum err consumers_new(const struct config *config, struct consumers **ret_consumers)
{
	struct consumers *c = calloc(1, sizeof(*c));
	enum err e;

	if (!c)
		return ERR_NOMEM;
	if (pthread_mutex_init(&c->lock, NULL)) {
		free(c);
		return ERR_NOMEM;
	}
	e = consumers_configure(c, config);
	if (e)
		consumers_free(c);
	else
		*ret_consumers = c;
	return e;
}

void consumers_free(struct consumers *c)
{
	if (!c)
		return;
	free_rows(c->rows, c->row_count);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---- noting; all under the lock ---- */

static void note_track(struct consumers *c, struct consumer_track *t,
		       const struct consumer_fetch *f)
{
	if (!t->first_at)
		t->first_at = f->now;
	t->last_at = f->now;
	t->fetches++;
	t->noted = c->serial;
	for (size_t alg = 0; alg < ALG_COUNT; alg++) {
		if (!(f->algs & 1u << alg))
			continue;
		t->asked_at[alg] = f->now;
		t->held[alg] = f->view->standby[alg];
	}
}

struct client_entry *consumers_client(struct consumers *c, struct str id, int64_t now)
{
	struct client_entry *place = NULL;

	for (size_t i = 0; i < CONSUMERS_CLIENTS_MAX; i++) {
		struct client_entry *entry = &c->clients[i];

		if (entry->track.last_at && str_equal_z(id, entry->id))
			return entry;
		if (!place &&
		    (!entry->track.last_at || entry->track.last_at < now - CONSUMERS_KEEP))
			place = entry;
	}
	if (!place)
		return NULL;
	*place = (struct client_entry){ .id = "" };
	memcpy(place->id, id.p, id.n);
	return place;
}

static bool note_client(struct consumers *c, const struct consumer_fetch *f)
{
	struct client_entry *place;

	if (!f->client_id.n || f->client_id.n > ID_MAX)
		return false;
	place = consumers_client(c, f->client_id, f->now);
	if (place)
		note_track(c, &place->track, f);
	return place;
}

static bool note_row(struct consumers *c, const struct address *a, const struct consumer_fetch *f)
{
	for (size_t i = 0; i < c->row_count; i++) {
		if (!consumer_match_fits(&c->rows[i].match, a, f->certificate))
			continue;
		note_track(c, &c->rows[i].track, f);
		return true;
	}
	return false;
}

static bool note_steady(struct consumers *c, uint64_t number, const struct consumer_fetch *f)
{
	const size_t i = find_number(c->steady_address, CONSUMERS_STEADY_MAX, number);

	if (i == CONSUMERS_STEADY_MAX)
		return false;
	note_track(c, &c->steady[i], f);
	return true;
}

size_t consumers_steady_place(const struct consumers *c, int64_t now)
{
	size_t i = 0;

	while (i < CONSUMERS_STEADY_MAX && c->steady_address[i] &&
	       c->steady[i].last_at >= now - CONSUMERS_DAY)
		i++;
	return i;
}

/* Whoever has come over the shortest time goes first, of equal ones who has been away the longest:
 * who comes once never pushes out one who comes again. */
static bool worth_less(const struct candidate *a, const struct candidate *b)
{
	const int64_t a_time = a->last_at - a->first_at, b_time = b->last_at - b->first_at;

	return a_time != b_time ? a_time < b_time : a->last_at < b->last_at;
}

static size_t candidate_place(struct consumers *c, uint64_t number, int64_t now)
{
	size_t i = find_number(c->candidate_address, CONSUMERS_CANDIDATES_MAX, number);
	size_t place = 0;

	if (i < CONSUMERS_CANDIDATES_MAX && c->candidates[i].last_at >= now - CONSUMERS_DAY)
		return i;
	if (i == CONSUMERS_CANDIDATES_MAX) {
		for (i = 0; i < CONSUMERS_CANDIDATES_MAX; i++) {
			if (c->candidates[i].last_at < now - CONSUMERS_DAY) { /* free, or over */
				place = i;
				break;
			}
			if (worth_less(&c->candidates[i], &c->candidates[place]))
				place = i;
		}
		i = place;
	}
	c->candidate_address[i] = number;
	c->candidates[i] = (struct candidate){ .first_at = now };
	return i;
}

static void note_candidate(struct consumers *c, uint64_t number, const struct consumer_fetch *f)
{
	const size_t i = candidate_place(c, number, f->now);
	struct candidate *one = &c->candidates[i];
	size_t place;

	one->last_at = f->now;
	one->fetches++;
	if (one->fetches < STEADY_FETCHES ||
	    one->last_at - one->first_at < STEADY_MAX_AGES * c->max_age)
		return;
	place = consumers_steady_place(c, f->now);
	if (place == CONSUMERS_STEADY_MAX)
		return;
	c->steady_address[place] = number;
	c->steady[place] = (struct consumer_track){ .first_at = one->first_at,
						    .fetches = one->fetches - 1 };
	note_track(c, &c->steady[place], f);
	c->candidate_address[i] = 0;
	*one = (struct candidate){ .first_at = 0 };
}

static void turn_day(struct strangers *s, int64_t now)
{
	const int64_t day = now / CONSUMERS_DAY;

	if (day == s->day)
		return;
	s->count_before = day == s->day + 1 ? s->count : 0;
	s->count = 0;
	s->day = day;
	memset(s->seen, 0, sizeof(s->seen));
}

static void note_stranger(struct strangers *s, uint64_t number, int64_t now)
{
	const uint64_t class = (number * 0x9e3779b97f4a7c15) >> (64 - STRANGERS_BITS);
	uint64_t *word = &s->seen[class / 64];
	const uint64_t bit = (uint64_t)1 << class % 64;

	turn_day(s, now);
	if (*word & bit)
		return;
	*word |= bit;
	s->count++;
}

unsigned consumers_strangers(struct strangers *s, int64_t now)
{
	turn_day(s, now);
	return s->count > s->count_before ? s->count : s->count_before;
}

static void note(struct consumers *c, const struct address *a, const struct consumer_fetch *f)
{
	const uint64_t number = a ? consumers_number(a) : 0;
	bool known;

	c->serial++;
	known = note_client(c, f);
	if (note_row(c, a, f))
		known = true;
	if (known || (number && note_steady(c, number, f)))
		return;
	note_stranger(&c->strangers, number, f->now);
	if (number)
		note_candidate(c, number, f);
}

void consumers_note(struct consumers *c, const struct consumer_fetch *f)
{
	struct address a;
	const bool has_address = address_parse(f->address, &a) == ERR_OK;

	pthread_mutex_lock(&c->lock);
	note(c, has_address ? &a : NULL, f);
	pthread_mutex_unlock(&c->lock);
}

/* ---- all tables as one ---- */

static size_t sort_size(const struct consumers *c, enum consumer_sort sort)
{
	switch (sort) {
	case SORT_ROW:
		return c->row_count;
	case SORT_CLIENT:
		return CONSUMERS_CLIENTS_MAX;
	case SORT_STEADY:
		return CONSUMERS_STEADY_MAX;
	case SORT_COUNT:
		break;
	}
	return 0;
}

static const struct consumer_track *track_at(const struct consumers *c, enum consumer_sort sort,
					     size_t i)
{
	if (sort == SORT_ROW)
		return &c->rows[i].track;
	if (sort == SORT_CLIENT)
		return c->clients[i].track.last_at ? &c->clients[i].track : NULL;
	return c->steady_address[i] ? &c->steady[i] : NULL;
}

bool consumers_next(const struct consumers *c, struct consumer_place *p)
{
	if (p->track)
		p->i++;
	for (; p->sort < SORT_COUNT; p->sort++, p->i = 0) {
		for (; p->i < sort_size(c, p->sort); p->i++) {
			p->track = track_at(c, p->sort, p->i);
			if (p->track)
				return true;
		}
	}
	return false;
}
