#include "net/http_trace.h"
#include <string.h>

static const char *const outcomes[] = {
    [HTTP_HOP_OK] = "ok", [HTTP_HOP_FAILED] = "failed", [HTTP_HOP_SKIPPED] = "skipped"};

void http_trace_add(struct http_trace *trace, const char *hop, enum http_hop_outcome outcome,
    uint64_t ms, const char *detail)
{
	struct http_hop *at;
	size_t length = strlen(detail);

	if (trace->count == HTTP_TRACE_HOPS)
		trace->count--;
	at = &trace->hops[trace->count++];
	if (length >= sizeof at->detail)
		length = sizeof at->detail - 1;
	at->hop = hop;
	at->outcome = outcome;
	at->ms = (uint32_t)ms;
	memcpy(at->detail, detail, length);
	at->detail[length] = '\0';
}

void http_trace_rest(struct http_trace *trace, const char *failed, bool proxy, bool tls)
{
	const struct {
		const char *hop;
		bool there;
	} way[] = {{"DNS", true}, {"TCP", true}, {"Proxy", proxy}, {"TLS", tls}, {"HTTP", true}};
	bool behind = false;

	for (size_t i = 0; i < sizeof way / sizeof *way; i++) {
		if (behind && way[i].there)
			http_trace_add(trace, way[i].hop, HTTP_HOP_SKIPPED, 0, "");
		behind = behind || strcmp(way[i].hop, failed) == 0;
	}
}

void http_trace_status(char out[4], int status)
{
	out[0] = (char)('0' + status / 100 % 10);
	out[1] = (char)('0' + status / 10 % 10);
	out[2] = (char)('0' + status % 10);
	out[3] = '\0';
}

void http_trace_json(const struct http_trace *trace, struct buf *out)
{
	buf_putc(out, '[');
	for (unsigned i = 0; i < trace->count; i++) {
		const struct http_hop *hop = &trace->hops[i];
		const char *outcome = outcomes[hop->outcome];

		buf_puts(out, i > 0 ? ",{\"hop\":" : "{\"hop\":");
		buf_put_json(out, hop->hop, strlen(hop->hop));
		buf_puts(out, ",\"outcome\":");
		buf_put_json(out, outcome, strlen(outcome));
		buf_puts(out, ",\"detail\":");
		buf_put_json(out, hop->detail, strlen(hop->detail));
		buf_puts(out, ",\"ms\":");
		buf_put_uint(out, hop->ms);
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}
