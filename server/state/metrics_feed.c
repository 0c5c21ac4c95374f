/* The revocation feed's gauges. */
#include "server/state/metrics_table.h"

static const char *const views[FEEDS_COUNTED] = { "anonymous", "full" };

void metrics_feed(const struct metrics_gauges *g, struct buf *out)
{
	static const char entries[] = "chancery_feed_entries";
	static const char merged[] = "chancery_feed_merged_total";
	static const char signatures[] = "chancery_feed_signatures_total";

	metrics_head(out, entries, "gauge", "Entries of the revocation feed.");
	for (size_t i = 0; i < FEEDS_COUNTED; i++)
		buf_fmt(out, "%s{view=\"%s\"} %llu\n", entries, views[i],
			(unsigned long long)g->feed[i].entries);
	metrics_head(out, merged, "counter",
		     "Entries of the feed that were merged into broader ones, for want of room.");
	for (size_t i = 0; i < FEEDS_COUNTED; i++)
		buf_fmt(out, "%s{view=\"%s\"} %llu\n", merged, views[i],
			(unsigned long long)g->feed[i].merged);
	metrics_head(out, signatures, "counter", "Texts of the feed that were to be signed.");
	buf_fmt(out, "%s{outcome=\"failure\"} %llu\n", signatures,
		(unsigned long long)g->feed_sign_failed);
	buf_fmt(out, "%s{outcome=\"success\"} %llu\n", signatures,
		(unsigned long long)g->feed_signed);
}
