/*
 * metrics: counters, gauges and histograms by name, for GET /metrics (OpenMetrics text).
 *
 * A metric is a static variable of its room, registered on first use; updating one is an addition.
 * Names follow Prometheus: eyes_scm_<what>_<unit>_total. Labels are fixed at declaration, so that
 * the number of series is bounded.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

#define METRIC_BUCKETS 16
struct metric {
	const char *name;   /* literal */
	const char *labels; /* literal such as "outcome=\"ok\"" or "" */
	const char *help;
	enum metric_kind kind;
	double value;
	/* histograms of milliseconds: 1 2 4 8 ... and above */
	uint64_t bucket[METRIC_BUCKETS];
	uint64_t count;
	bool registered;
	struct metric *next;
};

#define METRIC(kind_, name_, labels_, help_)                                           \
	{                                                                              \
		.name = (name_), .labels = (labels_), .help = (help_), .kind = (kind_) \
	}

void metric_add(struct metric *metric, double value);
void metric_set(struct metric *metric, double value);
void metric_observe_ms(struct metric *metric, double milliseconds);
void metrics_write(struct buf *out); /* sorted by name */

#endif
