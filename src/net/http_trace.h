/*
 * http_trace: the hops of one request, for people. The structure is in http_client.h.
 */
#ifndef NET_HTTP_TRACE_H
#define NET_HTTP_TRACE_H

#include "net/http_client.h"

/* hop is a literal. When the trace is full, the last entry is replaced. */
void http_trace_add(struct http_trace *trace, const char *hop, enum http_hop_outcome outcome,
    uint64_t ms, const char *detail);

/* The hops behind the one that failed, as skipped, so that the whole way can be shown. */
void http_trace_rest(struct http_trace *trace, const char *failed, bool proxy, bool tls);
void http_trace_status(char out[4], int status);

#endif
