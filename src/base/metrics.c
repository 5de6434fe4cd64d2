#include "base/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TOTAL "_total"

static struct metric *metrics; /* sorted by name, then labels */

static int metric_compare(const struct metric *a, const struct metric *b)
{
	int order = strcmp(a->name, b->name);

	return order != 0 ? order : strcmp(a->labels, b->labels);
}

static void metric_register(struct metric *metric)
{
	struct metric **at = &metrics;

	while (*at != NULL && metric_compare(*at, metric) < 0)
		at = &(*at)->next;
	metric->next = *at;
	*at = metric;
	metric->registered = true;
}

void metric_add(struct metric *metric, double value)
{
	if (!metric->registered)
		metric_register(metric);
	metric->value += value;
}

void metric_set(struct metric *metric, double value)
{
	if (!metric->registered)
		metric_register(metric);
	metric->value = value;
}

/* Bucket i holds what is at most 2^i, and above 2^(i-1); the last one has no upper bound. */
static unsigned bucket_of(double milliseconds)
{
	unsigned i = 0;

	for (double bound = 1; i < METRIC_BUCKETS - 1 && milliseconds > bound; bound *= 2)
		i++;
	return i;
}

void metric_observe_ms(struct metric *metric, double milliseconds)
{
	if (!metric->registered)
		metric_register(metric);
	metric->value += milliseconds;
	metric->count++;
	metric->bucket[bucket_of(milliseconds)]++;
}

/* The name of a counter's family is without "_total", which its sample must have. */
static int family_length(const struct metric *metric)
{
	size_t length = strlen(metric->name), total = strlen(TOTAL);

	if (metric->kind == METRIC_COUNTER && length > total &&
	    strcmp(metric->name + length - total, TOTAL) == 0)
		length -= total;
	return (int)length;
}

static void write_number(struct buf *out, double value)
{
	if (isfinite(value))
		buf_printf(out, "%.15g", value);
	else
		buf_puts(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
}

static void write_help(struct buf *out, const struct metric *metric)
{
	static const char *const kinds[] = {"counter", "gauge", "histogram"};
	int length = family_length(metric);

	buf_printf(out, "# TYPE %.*s %s\n# HELP %.*s ", length, metric->name, kinds[metric->kind],
	    length, metric->name);
	for (const char *c = metric->help; *c != '\0'; c++) {
		if (*c == '\n')
			buf_puts(out, "\\n");
		else if (*c == '\\' || *c == '"')
			buf_printf(out, "\\%c", *c);
		else
			buf_putc(out, *c);
	}
	buf_putc(out, '\n');
}

/* "<family><suffix>{<labels>,<more>} " */
static void write_sample(
    struct buf *out, const struct metric *metric, const char *suffix, const char *more)
{
	buf_printf(out, "%.*s%s", family_length(metric), metric->name, suffix);
	if (metric->labels[0] != '\0' || more[0] != '\0') {
		const char *comma = metric->labels[0] != '\0' && more[0] != '\0' ? "," : "";
		buf_printf(out, "{%s%s%s}", metric->labels, comma, more);
	}
	buf_putc(out, ' ');
}

static void write_histogram(struct buf *out, const struct metric *metric)
{
	uint64_t sum = 0;
	uint64_t bound = 1;

	for (unsigned i = 0; i < METRIC_BUCKETS; i++, bound *= 2) {
		char more[40] = "le=\"+Inf\"";
		if (i < METRIC_BUCKETS - 1)
			snprintf(more, sizeof(more), "le=\"%llu.0\"", (unsigned long long)bound);
		sum += metric->bucket[i];
		write_sample(out, metric, "_bucket", more);
		buf_put_uint(out, sum);
		buf_putc(out, '\n');
	}
	write_sample(out, metric, "_sum", "");
	write_number(out, metric->value);
	buf_putc(out, '\n');
	write_sample(out, metric, "_count", "");
	buf_put_uint(out, metric->count);
	buf_putc(out, '\n');
}

void metrics_write(struct buf *out)
{
	const char *family = "";

	for (const struct metric *metric = metrics; metric != NULL; metric = metric->next) {
		if (strcmp(metric->name, family) != 0)
			write_help(out, metric);
		family = metric->name;
		if (metric->kind == METRIC_HISTOGRAM) {
			write_histogram(out, metric);
			continue;
		}
		write_sample(out, metric, metric->kind == METRIC_COUNTER ? TOTAL : "", "");
		write_number(out, metric->value);
		buf_putc(out, '\n');
	}
	buf_puts(out, "# EOF\n");
}
