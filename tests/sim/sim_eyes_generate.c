/* Commands made on demand, for benchmarks: a byte of flags and the time of giving is all that is
 * kept of each. */
#include "sim/sim_eyes.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/url.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STATES_MAX 8
#define COUNT_MAX 100000000

struct eyes_generator {
	struct eyes_generator *next;
	struct eyes *eyes;
	unsigned number;
	uint64_t count, given_until, accepted_until; /* all before are given, accepted */
	unsigned char *flags;
	uint32_t *given_ms;
	char *server, *host, *project, *repository, *key, *ref;
	int port;
	uint64_t repositories, keys, commits;
	char *states[STATES_MAX];
	unsigned state_count;
	bool stamp, sequence, redeliver;
	double per_second;
	uint64_t started_us;
	struct loop_timer timer; /* when the next becomes available */
};

static uint64_t mix(uint64_t x) /* splitmix64 */
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static uint64_t available(const struct eyes_generator *g)
{
	if (g->per_second <= 0)
		return g->count;
	double passed = (double)(clock_monotonic_us() - g->started_us) / 1e6;
	double ready = passed * g->per_second;
	return ready < (double)g->count ? (uint64_t)ready : g->count;
}

static void put_hex(struct buf *out, uint64_t value, int digits)
{
	char text[17];
	snprintf(text, sizeof(text), "%016" PRIx64, value);
	buf_append(out, text, (size_t)digits);
}

static void put_commit(struct buf *out, const struct eyes_generator *g, uint64_t commit)
{
	uint64_t seed = commit + ((uint64_t)g->number << 40);
	sim_put_member(out, "commit");
	buf_putc(out, '"');
	put_hex(out, mix(seed), 16);
	put_hex(out, mix(seed ^ 0x5555555555555555), 16);
	put_hex(out, mix(seed ^ 0x3333333333333333), 8);
	buf_putc(out, '"');
}

static void put_command(struct buf *out, const struct eyes_generator *g, uint64_t i)
{
	uint64_t target = i / g->state_count;
	uint64_t rest = target / g->keys;
	uint64_t repository = rest % g->repositories;
	uint64_t commit = rest / g->repositories;
	char project[32];
	char slug[32];
	sim_generated_name((unsigned)repository, project, slug);
	buf_printf(out, "{\"id\":\"g%u-%" PRIu64 "\"", g->number, i);
	sim_put_text(out, "server", g->server);
	sim_put_text(out, "project", g->project ? g->project : project);
	sim_put_text(out, "repository", g->repository ? g->repository : slug);
	put_commit(
	    out, g, (g->commits ? commit % g->commits : commit) * g->repositories + repository);
	sim_put_text(out, "ref", g->ref);
	sim_put_member(out, "key");
	if (g->keys > 1)
		buf_printf(out, "\"%s/%" PRIu64 "\"", g->key, target % g->keys);
	else
		buf_put_json(out, g->key, strlen(g->key));
	sim_put_text(out, "name", "Visual tests");
	sim_put_text(out, "state", g->states[i % g->state_count]);
	if (g->stamp)
		buf_printf(
		    out, ",\"description\":\"t=%" PRIu64 " 12 passed\"", clock_monotonic_us());
	else
		sim_put_text(out, "description", "12 passed");
	buf_printf(out, ",\"url\":\"https://eyes.example.com/app/batches/%u-%" PRIu64 "\"",
	    g->number, target);
	if (g->sequence)
		sim_put_integer(out, "sequence", (int64_t)i + 1);
	buf_puts(out, ",\"testResults\":{\"successful\":12,\"failed\":0,\"skipped\":0}}");
}

/* Whether one that was given and not accepted is due again. */
static bool due_again(const struct eyes_generator *g, uint64_t i, uint32_t now_ms)
{
	if (!g->redeliver || (g->flags[i] & EYES_ACCEPTED))
		return false;
	int64_t after = g->eyes->redeliver_after_ms;
	return after <= 0 || now_ms - g->given_ms[i] >= (uint64_t)after;
}

static unsigned give_from(struct eyes_generator *g, unsigned limit, bool comma, struct buf *out)
{
	uint32_t now_ms = (uint32_t)clock_monotonic_ms();
	uint64_t until = available(g);
	unsigned count = 0;
	uint64_t i = g->redeliver ? g->accepted_until : g->given_until;
	for (; i < until && count < limit; i++) {
		bool fresh = i >= g->given_until;
		bool again = !fresh && (g->flags[i] & EYES_GIVEN) == 0; /* asked for by a test */
		if (!fresh && !again && !due_again(g, i, now_ms))
			continue;
		if (comma || count)
			buf_putc(out, ',');
		put_command(out, g, i);
		g->flags[i] |= EYES_GIVEN;
		g->given_ms[i] = now_ms;
		if (fresh)
			g->given_until = i + 1;
		count++;
	}
	return count;
}

static void on_timer(void *arg)
{
	struct eyes_generator *g = arg;
	eyes_wake(g->eyes);
	if (g->given_until < g->count)
		loop_timer_set(&g->timer, 1);
}

unsigned eyes_give_generated(struct eyes *eyes, const struct sim_request *request, unsigned limit,
    bool comma, struct buf *out)
{
	unsigned count = 0;
	for (struct eyes_generator *g = eyes->generators; g && count < limit; g = g->next)
		if (g->accepted_until < g->count && eyes_filter_matches(request, g->host, g->port))
			count += give_from(g, limit - count, comma || count, out);
	return count;
}

/* ---- ids ---- */

static struct eyes_generator *find(
    const struct eyes *eyes, const char *id, size_t length, uint64_t *index)
{
	unsigned number = 0;
	size_t i = 1;
	*index = 0;
	if (length < 4 || length > 32 || id[0] != 'g')
		return NULL;
	for (; i < length && id[i] >= '0' && id[i] <= '9'; i++)
		number = number * 10 + (unsigned)(id[i] - '0');
	if (i == length || id[i++] != '-' || i == length)
		return NULL;
	for (; i < length && id[i] >= '0' && id[i] <= '9'; i++)
		*index = *index * 10 + (uint64_t)(id[i] - '0');
	struct eyes_generator *g = eyes->generators;
	while (g && g->number != number)
		g = g->next;
	return g && i == length && *index < g->count ? g : NULL;
}

unsigned char *eyes_generated_flags(const struct eyes *eyes, const char *id, size_t length)
{
	uint64_t index;
	struct eyes_generator *g = find(eyes, id, length, &index);
	return g && index < g->given_until ? &g->flags[index] : NULL;
}

void eyes_generated_accepted(struct eyes *eyes, const char *id, size_t length)
{
	uint64_t index;
	struct eyes_generator *g = find(eyes, id, length, &index);
	while (g->accepted_until < g->given_until && (g->flags[g->accepted_until] & EYES_ACCEPTED))
		g->accepted_until++;
}

static void redeliver_one(struct eyes_generator *g, uint64_t i)
{
	g->flags[i] = (unsigned char)(g->flags[i] & ~(EYES_GIVEN | EYES_ACCEPTED));
	if (i < g->accepted_until)
		g->accepted_until = i;
}

void eyes_redeliver_generated(struct eyes *eyes, const char *id, bool unfinished)
{
	uint64_t index;
	struct eyes_generator *g = id ? find(eyes, id, strlen(id), &index) : NULL;
	if (g && index < g->given_until)
		redeliver_one(g, index);
	if (id)
		return;
	for (g = eyes->generators; g; g = g->next)
		for (uint64_t i = 0; i < g->given_until; i++)
			if (!(unfinished && (g->flags[i] & EYES_FINISHED)))
				redeliver_one(g, i);
}

/* ---- set-up ---- */

static void generator_free(struct eyes_generator *g)
{
	char *texts[] = {g->server, g->host, g->project, g->repository, g->key, g->ref};
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(texts[i]);
	for (unsigned i = 0; i < g->state_count; i++)
		free(g->states[i]);
	loop_timer_cancel(&g->timer);
	free(g->flags);
	free(g->given_ms);
	free(g);
}

static uint64_t positive(const json_t *json, const char *name, int64_t otherwise)
{
	int64_t value = sim_json_integer(json, name, otherwise);
	return value > 0 ? (uint64_t)value : 0;
}

static bool generator_read(struct eyes_generator *g, const json_t *json, struct err *err)
{
	struct url url;
	if (!sim_json_known(json,
	        "count server project repository repositories keys key states commits stamp "
	        "sequence "
	        "redeliver per_second ref",
	        err) ||
	    !url_parse(&url, sim_json_text(json, "server", ""), err))
		return false;
	g->server = mem_string(sim_json_text(json, "server", ""));
	g->host = mem_string(url.host);
	g->port = url.port;
	g->project = mem_string(sim_json_text(json, "project", NULL));
	g->repository = mem_string(sim_json_text(json, "repository", NULL));
	g->key = mem_string(sim_json_text(json, "key", "tests/applitools"));
	g->ref = mem_string(sim_json_text(json, "ref", NULL));
	g->count = positive(json, "count", 0);
	g->repositories = positive(json, "repositories", 1);
	g->keys = positive(json, "keys", 1);
	g->commits = positive(json, "commits", 0);
	g->stamp = sim_json_bool(json, "stamp", false);
	g->sequence = sim_json_bool(json, "sequence", true);
	g->redeliver = sim_json_bool(json, "redeliver", true);
	const json_t *rate = json_object_get(json, "per_second");
	g->per_second = json_is_number(rate) ? json_number_value(rate) : 0;
	size_t i;
	json_t *item;
	json_array_foreach(json_object_get(json, "states"), i, item)
	{
		if (!json_is_string(item) || g->state_count == STATES_MAX)
			return err_set(err, "json", "states: at most %d texts", STATES_MAX);
		g->states[g->state_count++] = mem_string(json_string_value(item));
	}
	if (!g->state_count)
		g->states[g->state_count++] = mem_string("SUCCESSFUL");
	if (!g->count || g->count > COUNT_MAX || !g->repositories || !g->keys)
		return err_set(err, "json", "count (1..%d), repositories and keys must be positive",
		    COUNT_MAX);
	return true;
}

unsigned eyes_generate(struct eyes *eyes, const json_t *json, struct err *err)
{
	struct eyes_generator *g = mem_zero(sizeof(*g));
	g->eyes = eyes;
	loop_timer_init(&g->timer, eyes->sim->loop, on_timer, g);
	if (!generator_read(g, json, err)) {
		generator_free(g);
		return 0;
	}
	g->number = ++eyes->last_generator;
	g->flags = mem_zero(g->count);
	g->given_ms = mem_zero(g->count * sizeof(*g->given_ms));
	g->started_us = clock_monotonic_us();
	struct eyes_generator **at = &eyes->generators;
	while (*at)
		at = &(*at)->next;
	*at = g;
	if (g->per_second > 0)
		loop_timer_set(&g->timer, 1);
	return g->number;
}

json_t *eyes_generators_json(const struct eyes *eyes)
{
	json_t *list = json_array();
	for (const struct eyes_generator *g = eyes->generators; g; g = g->next) {
		json_int_t accepted = 0;
		json_int_t finished = 0;
		for (uint64_t i = 0; i < g->given_until; i++) {
			accepted += (g->flags[i] & EYES_ACCEPTED) != 0;
			finished += (g->flags[i] & EYES_FINISHED) != 0;
		}
		json_array_append_new(
		    list, json_pack("{s:i,s:I,s:I,s:I,s:I}", "generator", (int)g->number, "count",
		              (json_int_t)g->count, "given", (json_int_t)g->given_until, "accepted",
		              accepted, "finished", finished));
	}
	return list;
}

void eyes_clear_generators(struct eyes *eyes)
{
	while (eyes->generators) {
		struct eyes_generator *g = eyes->generators;
		eyes->generators = g->next;
		generator_free(g);
	}
}
