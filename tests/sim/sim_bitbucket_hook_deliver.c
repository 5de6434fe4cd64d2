/*
 * Deliveries: one POST for every webhook that takes an event, its outcome, the circuit breaker, and
 * the ring of what was delivered.
 *
 *   hooks_fire --> burst --> each event --> each webhook: SKIPPED
 *                                                     '-> PENDING --answer--> SUCCESS, FAILURE,
 * ERROR
 *
 * A record in the ring is never reused while it is pending.
 */
#include "sim/sim_bitbucket_hooks.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

#define BODIES_MAX (64UL * 1024 * 1024) /* kept in the ring, for redeliveries */
#define TRIGGER 5
#define SKIP_FIRST_MS 10000.0
#define SKIP_EXPONENT 1.2
#define SKIP_MAX_MS (10 * 3600 * 1000.0)

static void pump_all(struct hooks *hooks);

void hook_uuid(char out[40])
{
	unsigned char bytes[16];
	char hex[33];
	crypto_random(bytes, sizeof(bytes));
	bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
	codec_hex_encode(hex, bytes, sizeof(bytes));
	snprintf(out, 40, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* As jenkinsci/bitbucket-branch-source-plugin's tests have it of a real server. */
const char *hooks_user_agent(const struct hooks *hooks, char out[128])
{
	const struct bitbucket *bb = hooks->bb;
	snprintf(out, 128, "Atlassian HttpClient 4.2.0 / Bitbucket-%s (%d%03d000) / Default",
	    bb->version_text, bb->version / 100, bb->version % 100);
	return out;
}

/* ---- the ring ---- */

static void drop_body(struct hooks *hooks, struct hook_delivery *delivery)
{
	if (!delivery->body)
		return;
	hooks->body_bytes -= delivery->length;
	free(delivery->body);
	delivery->body = NULL;
}

static void record_clear(struct hooks *hooks, struct hook_delivery *delivery)
{
	drop_body(hooks, delivery);
	free(delivery->url);
	*delivery = (struct hook_delivery){0};
}

/* The next record, or NULL when the oldest one is still under way. */
static struct hook_delivery *record_next(struct hooks *hooks)
{
	struct hook_delivery *delivery = &hooks->ring[hooks->last_delivery % hooks->ring_size];
	if (delivery->number && delivery->outcome == HOOK_PENDING)
		return NULL;
	record_clear(hooks, delivery);
	delivery->number = ++hooks->last_delivery;
	delivery->hooks = hooks;
	return delivery;
}

/* The oldest bodies go when there are too many bytes. */
static void keep_body(struct hooks *hooks, struct hook_delivery *delivery, const char *body)
{
	delivery->body = mem_bytes(body, delivery->length);
	hooks->body_bytes += delivery->length;
	if (hooks->last_delivery > hooks->ring_size &&
	    hooks->oldest_body < hooks->last_delivery - hooks->ring_size)
		hooks->oldest_body = hooks->last_delivery - hooks->ring_size;
	while (hooks->body_bytes > BODIES_MAX && hooks->oldest_body + 1 < delivery->number) {
		uint64_t number = ++hooks->oldest_body;
		struct hook_delivery *old = &hooks->ring[(number - 1) % hooks->ring_size];
		if (old->number == number)
			drop_body(hooks, old);
	}
}

/* ---- the circuit breaker ---- */

static bool is_skipped(const struct hooks *hooks, const struct hook *hook)
{
	return (hooks->in_flight_max && hooks->pending >= hooks->in_flight_max) ||
	       clock_monotonic_us() < hook->skipped_until_us;
}

/* initial * exponent ^ (failures - trigger), BSERV-14285 */
static void judge(struct hooks *hooks, struct hook *hook, enum hook_outcome outcome)
{
	if (outcome == HOOK_SUCCESS) {
		hook->failures = 0;
		hook->skipped_until_us = 0;
		return;
	}
	if (++hook->failures < TRIGGER)
		return;
	double ms = SKIP_FIRST_MS;
	for (unsigned i = TRIGGER; i < hook->failures && ms < SKIP_MAX_MS; i++)
		ms *= SKIP_EXPONENT;
	ms = ms < SKIP_MAX_MS ? ms : SKIP_MAX_MS;
	hook->skipped_until_us = clock_monotonic_us() + (uint64_t)(ms * hooks->time_scale * 1000);
}

/* ---- one delivery ---- */

static void finish(struct hook_delivery *delivery, enum hook_outcome outcome)
{
	struct hooks *hooks = delivery->hooks;
	struct hook_burst *burst = delivery->burst;
	struct hook *hook = hooks_find(hooks, delivery->hook);
	delivery->outcome = outcome;
	delivery->request = NULL;
	delivery->burst = NULL;
	delivery->ms = (uint32_t)((clock_monotonic_us() - delivery->started_us) / 1000);
	hooks->outcomes[outcome]++;
	if (outcome != HOOK_SKIPPED)
		hooks->pending--;
	if (hook) {
		hook_note(hook, delivery);
		if (outcome != HOOK_SKIPPED)
			judge(hooks, hook, outcome);
	}
	if (outcome == HOOK_SKIPPED)
		return;
	if (burst)
		burst->pending--;
	pump_all(hooks);
}

static void on_answer(const struct http_result *result, void *arg)
{
	struct hook_delivery *delivery = arg;
	delivery->status = result->status;
	if (result->err)
		snprintf(delivery->error, sizeof(delivery->error), "%.150s", result->err->message);
	finish(delivery, result->err                                     ? HOOK_ERROR
	                 : result->status >= 200 && result->status < 300 ? HOOK_SUCCESS
	                                                                 : HOOK_FAILURE);
}

static void on_refused(void *arg)
{
	struct hook_delivery *delivery = arg;
	if (delivery->hooks && delivery->number && delivery->outcome == HOOK_PENDING)
		finish(delivery, HOOK_ERROR);
}

static void send_delivery(struct hook_delivery *delivery)
{
	struct hooks *hooks = delivery->hooks;
	struct err err = ERR_INIT;
	char agent[128];
	struct http_header headers[5] = {
	    {.name = "Content-Type", .value = "application/json; charset=utf-8"},
	    {.name = "User-Agent", .value = hooks_user_agent(hooks, agent)},
	    {.name = "X-Event-Key", .value = hook_event_key(delivery->event)},
	    {.name = "X-Request-Id", .value = delivery->request_id},
	    {.name = "X-Hub-Signature", .value = delivery->signature}};
	struct sim_out_post post = {.url = delivery->url,
	    .headers = headers,
	    .header_count = delivery->signature[0] ? 5 : 4,
	    .body = delivery->body,
	    .length = delivery->length,
	    .timeout_ms = hooks->timeout_ms,
	    .connections = hooks->connections};
	hooks->pending++;
	delivery->outcome = HOOK_PENDING;
	delivery->started_ms = clock_wall_ms();
	delivery->started_us = clock_monotonic_us();
	delivery->request = sim_out_post(hooks->out, &post, on_answer, delivery, &err);
	if (delivery->request)
		return;
	snprintf(delivery->error, sizeof(delivery->error), "%.150s", err.message);
	loop_defer(hooks->bb->sim->loop, on_refused, delivery);
}

static void sign(struct hook_delivery *delivery, const struct hook *hook, const struct buf *body)
{
	const char *secret = hook_secret(hook);
	unsigned char mac[CRYPTO_SHA256];
	if (!secret)
		return;
	crypto_hmac_sha256(mac, secret, strlen(secret), body->data, body->length);
	memcpy(delivery->signature, "sha256=", 7);
	codec_hex_encode(delivery->signature + 7, mac, sizeof(mac));
}

/* False: the ring is full of deliveries under way. */
static bool deliver(struct hooks *hooks, struct hook *hook, const struct hook_happening *what,
    struct hook_burst *burst, const struct buf *body)
{
	struct hook_delivery *delivery = record_next(hooks);
	if (!delivery)
		return false;
	delivery->hook = hook->id;
	delivery->repository = what->repository;
	delivery->event = what->event;
	delivery->url = mem_string(hook->url);
	delivery->length = body->length;
	crypto_sha256(delivery->sha256, body->data, body->length);
	hook_uuid(delivery->request_id);
	sign(delivery, hook, body);
	keep_body(hooks, delivery, body->data);
	if (is_skipped(hooks, hook)) {
		delivery->started_ms = clock_wall_ms();
		delivery->started_us = clock_monotonic_us();
		finish(delivery, HOOK_SKIPPED);
		return true;
	}
	delivery->burst = burst;
	burst->pending++;
	send_delivery(delivery);
	return true;
}

bool hooks_again(struct hooks *hooks, struct hook_delivery *old)
{
	if (!old->body)
		return false;
	struct hook_delivery copy = *old; /* its record may be the one that comes next */
	char *body = mem_bytes(old->body, old->length);
	char *url = mem_string(old->url);
	const struct hook *hook = hooks_find(hooks, old->hook);
	struct hook_delivery *delivery = record_next(hooks);
	if (delivery) {
		delivery->hook = copy.hook;
		delivery->again = copy.again ? copy.again : copy.number;
		delivery->repository = copy.repository;
		delivery->event = copy.event;
		delivery->length = copy.length;
		memcpy(delivery->sha256, copy.sha256, sizeof(copy.sha256));
		memcpy(delivery->request_id, copy.request_id, sizeof(copy.request_id));
		memcpy(delivery->signature, copy.signature, sizeof(copy.signature));
		delivery->url = mem_string(hook ? hook->url : url);
		keep_body(hooks, delivery, body);
		send_delivery(delivery);
	}
	free(body);
	free(url);
	return delivery != NULL;
}

/* ---- bursts ---- */

static void happening_free(struct hook_happening *what)
{
	free(what->ref);
	free(what->to_ref);
	free(what->title);
	free(what->user);
}

static void burst_free(struct hook_burst *burst)
{
	happening_free(&burst->what);
	free(burst);
}

static bool takes(const struct hook *hook, const struct hook_happening *what)
{
	return hook->repository == what->repository && hook->active &&
	       (hook->events >> what->event & 1);
}

unsigned hooks_takers(const struct hooks *hooks, const struct hook_happening *what)
{
	unsigned count = 0;
	for (const struct hook *hook = hooks->first; hook; hook = hook->next)
		count += takes(hook, what);
	return count;
}

static void remember_head(struct hooks *hooks, const struct hook_happening *what)
{
	char text[32];
	snprintf(text, sizeof(text), "%u", what->repository);
	struct sim_name name = sim_name_of(text, strlen(text), what->ref, strlen(what->ref));
	void *copy = mem_bytes(what->commit, 20);
	if (what->is_delete) {
		free(copy);
		free(sim_name_remove(&hooks->heads, &name));
	} else {
		free(sim_name_put(&hooks->heads, &name, copy));
	}
}

/* The commit of the next event: the one after the present one. */
static void step(struct hook_happening *what)
{
	memcpy(what->from, what->commit, 20);
	for (int i = 19; i >= 0 && ++what->commit[i] == 0; i--)
		;
}

static void fire_one(struct hook_burst *burst)
{
	struct hooks *hooks = burst->hooks;
	struct hook_happening *what = &burst->what;
	struct buf body;
	if (!what->is_delete)
		bitbucket_add_commit(hooks->bb->repositories[what->repository - 1], what->commit);
	if (!what->to_ref)
		remember_head(hooks, what);
	if (hooks_takers(hooks, what)) {
		buf_init(&body, 1);
		hook_payload(hooks, what, &body);
		for (struct hook *hook = hooks->first; hook; hook = hook->next)
			if (takes(hook, what))
				deliver(hooks, hook, what, burst, &body);
		buf_free(&body);
	}
	step(what);
}

/* Whether the next records of the ring are free. */
static bool has_room(const struct hooks *hooks, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct hook_delivery *next =
		    &hooks->ring[(hooks->last_delivery + i) % hooks->ring_size];
		if (next->number && next->outcome == HOOK_PENDING)
			return false;
	}
	return count < hooks->ring_size;
}

/* True: all of it is fired and over. */
static bool pump(struct hook_burst *burst)
{
	while (burst->left && burst->pending < HOOK_PENDING_MAX &&
	       has_room(burst->hooks, hooks_takers(burst->hooks, &burst->what))) {
		burst->left--;
		fire_one(burst);
	}
	return !burst->left && !burst->pending;
}

static void pump_all(struct hooks *hooks)
{
	struct hook_burst **at = &hooks->bursts;
	while (*at) {
		struct hook_burst *burst = *at;
		if (pump(burst)) {
			*at = burst->next;
			burst_free(burst);
		} else {
			at = &burst->next;
		}
	}
}

void hooks_fire(struct hooks *hooks, struct hook_happening *what, uint64_t count)
{
	struct hook_burst *burst = mem_zero(sizeof(*burst));
	struct hook_burst **at = &hooks->bursts;
	while (*at)
		at = &(*at)->next;
	*at = burst;
	burst->hooks = hooks;
	burst->what = *what;
	burst->left = count;
	pump_all(hooks);
}

void hooks_forget_deliveries(struct hooks *hooks)
{
	for (uint64_t i = 0; i < hooks->ring_size; i++) {
		struct hook_delivery *delivery = &hooks->ring[i];
		if (delivery->request)
			http_request_cancel(delivery->request);
		if (delivery->number)
			record_clear(hooks, delivery);
	}
	while (hooks->bursts) {
		struct hook_burst *burst = hooks->bursts;
		hooks->bursts = burst->next;
		burst_free(burst);
	}
	memset(hooks->outcomes, 0, sizeof(hooks->outcomes));
	hooks->pending = 0;
	hooks->oldest_body = hooks->last_delivery;
}
