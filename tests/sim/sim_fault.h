/*
 * sim_fault: scripted faults and rate limits. Applied before the route, to every request outside
 * /sim/.
 *
 *   POST /sim/faults            one RULE, or
 *     {"rules":[RULE...], "rate_limit":LIMIT|null, "replace":true} -> {"ids":[...]}
 *     replace: the older rules go first.
 *   GET /sim/faults
 *     {"rules":[{"id","action","times","seen","hits"}], "rate_limit", "rate_limited":n}
 *   DELETE /sim/faults[?id=N]   without id: all, and the rate limit
 *
 *   RULE {"match":{"method","path","key","commit","token","body"}, "times":1, "after":0,
 *         "chance":1.0, "action":ACTION, "status":503, "headers":{}, "body":"", "delay_ms":0,
 *         "reset":false, "polls":1, "gone":false, "host":"..."}
 *   The first rule that matches and has times left is taken.
 *     method   is equal                    path     is in the target ('^...': it begins so)
 *     key      "key" of the body, or ?key= commit   is in the target or the body
 *     token    bearer token or Eyes key    body     is in the body
 *     times    -1: always                  after    so many matches pass by first
 *     chance   how likely a match is a hit reset    cuts are TCP resets, not a plain end
 *
 *   ACTION
 *     status      answered with status, headers, body (after delay_ms); no effect
 *     slow        takes effect, answered after delay_ms
 *     cut_before  no effect, the connection is closed
 *     cut_after   takes effect, closed without an answer (after delay_ms)
 *     cut_middle  takes effect, closed in the middle of the answer's body (or head)
 *     garbage     no effect, bytes that are not HTTP, closed
 *     late        closed at once, takes effect delay_ms later: so an older write lands after a
 *                 newer one
 *     hang        no effect, never answered
 *     long        takes effect; 202 + Location (and headers); the answer is at the Location after
 *                 delay_ms and `polls` tries, once; gone: there it is 410; host: stands in the
 *                 Location instead of ours
 *
 *   LIMIT {"burst":60, "per_second":5, "retry_after":1} is per token: 429 with an empty body, and
 *   Retry-After unless it is left out.
 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "sim/sim_server.h"
#include <jansson.h>

struct sim_faults;
typedef const char *sim_token_fn(const struct sim_request *request);

/* run: the effect of a request, for late ones. */
struct sim_faults *sim_faults_new(
    struct loop *loop, sim_token_fn *token, sim_request_fn *run, void *arg);
void sim_faults_free(struct sim_faults *faults);
void sim_faults_clear(struct sim_faults *faults);
/* True when the request is dealt with; false when it goes on to its route (perhaps with a mark on
 * it). */
bool sim_faults_apply(struct sim_faults *faults, struct sim_request *request);
bool sim_faults_add(struct sim_faults *faults, const json_t *setup, json_t **ids, struct err *err);
bool sim_faults_remove(struct sim_faults *faults, uint64_t id);
/* The route of SIM_LONG_PATH "{}". */
void sim_faults_long_get(struct sim_faults *faults, struct sim_request *request);
json_t *sim_faults_json(const struct sim_faults *faults);
void sim_faults_set_rate(
    struct sim_faults *faults, double burst, double per_second, int64_t retry_after);

#endif
