/*
 * The command feed, which this project defines (eyes-scm-protocol(7)):
 *
 *   IDLE ── commands_poll ──▶ POLLING ── polled ──▶ report ──▶ IDLE
 *
 * It keeps nothing between polls but two adaptations: `limit` grows by half while pages are
 * full (a larger group costs less to store, and more memory), is halved when an answer is larger
 * than BODY_MAX, and comes back when the feed is drained; `turn` says where to go on when the hosts
 * do not fit into one query.
 */
#include "base/codec.h"
#include "base/log.h"
#include "base/mem.h"
#include "eyes/commands_parse.h"
#include "eyes/eyes_call.h"
#include "eyes/eyes_fault.h"
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 1024 * 1024, LIMIT = 256, TARGET_MAX = 8192, HOSTS_BYTES = 1800 };
enum { ACK_ERROR_MAX = 500, ACK_BODY_MAX = 4 * 1024 * 1024 };

struct acknowledgement {
	struct eyes_source *source;
	struct acknowledgement *next, **link;
	struct eyes_call *call;
	eyes_fn *fn;
	void *arg;
};

struct eyes_source {
	struct eyes *eyes;
	char *feed;       /* path with the organization in it, no query */
	char *feed_query; /* what stood behind '?', "" */
	uint32_t wait_ms;
	unsigned limit_given, limit;
	unsigned limit_most; /* limit grows up to it */
	unsigned turn;       /* index of the first host of the next query */
	struct eyes_call *poll;
	eyes_poll_fn *fn;
	void *arg;
	struct acknowledgement *acks;
	struct log_limit left_out_said;
};

/* "{orgId}" is replaced, URL-encoded. */
static char *feed_path(const char *pattern, const char *organization)
{
	struct buf path;

	buf_init(&path, TARGET_MAX);
	if (*pattern != '/')
		buf_putc(&path, '/');
	while (*pattern != '\0') {
		if (strncmp(pattern, "{orgId}", 7) == 0) {
			codec_url_encode(&path, organization);
			pattern += 7;
		} else {
			buf_putc(&path, *pattern++);
		}
	}
	return buf_take(&path);
}

/* A server may give fewer than are asked for, and have more: a page is full from `limit_given` on.
 */
static bool is_full(const struct eyes_source *source, unsigned listed)
{
	return listed >= source->limit || listed >= source->limit_given;
}

static void adapt(struct eyes_source *source, bool full)
{
	if (!full) {
		source->limit = source->limit_given;
		source->limit_most = source->limit_given + source->limit_given / 2;
	} else {
		source->limit = source->limit_most;
	}
}

static struct eyes_source *commands_create(const struct eyes_source_config *config)
{
	struct eyes_source *source = mem_zero(sizeof(*source));

	source->eyes = config->eyes;
	source->feed = feed_path(config->commands_path, eyes_organization(config->eyes));
	char *query = strchr(source->feed, '?');
	source->feed_query = mem_string(query != NULL ? query + 1 : "");
	if (query != NULL)
		*query = '\0';
	source->wait_ms = config->wait_ms;
	source->limit_given = config->limit != 0 ? config->limit : LIMIT;
	adapt(source, false);
	return source;
}

static void commands_destroy(struct eyes_source *source)
{
	if (source == NULL)
		return;
	eyes_cancel(source->poll);
	while (source->acks != NULL)
		eyes_cancel(source->acks->call);
	free(source->feed);
	free(source->feed_query);
	free(source);
}

/* ---- polling ---- */

static void add_parameter(struct buf *target, const char *name, bool *first)
{
	buf_puts(target, *first ? "?" : "&");
	buf_puts(target, name);
	*first = false;
}

/* "host[:port]" of a base URL; false for one that is none, or that an earlier one names already. */
static bool host_of(const char *const *hosts, unsigned index, char *out, size_t size)
{
	struct url url, other;
	char authority[320];

	if (!url_parse(&url, hosts[index], NULL))
		return false;
	url_authority(&url, out, size);
	for (unsigned i = 0; i < index; i++) {
		if (!url_parse(&other, hosts[i], NULL))
			continue;
		url_authority(&other, authority, sizeof(authority));
		if (strcmp(authority, out) == 0)
			return false;
	}
	return true;
}

/* From `turn` on, round about, as many as fit. Whether all did. */
static bool add_hosts(struct eyes_source *source, const char *const *hosts, unsigned count,
    struct buf *target, bool *first)
{
	size_t limit = target->length + HOSTS_BYTES;
	char authority[320];
	struct buf encoded;
	unsigned added = 0;

	buf_init(&encoded, 3 * sizeof(authority));
	source->turn = count > 0 ? source->turn % count : 0;
	for (unsigned i = 0; i < count; i++) {
		unsigned index = (source->turn + i) % count;
		if (!host_of(hosts, index, authority, sizeof(authority)))
			continue;
		buf_reset(&encoded);
		codec_url_encode(&encoded, authority);
		if (added > 0 && target->length + encoded.length + 8 > limit) {
			source->turn = index;
			buf_free(&encoded);
			return false;
		}
		add_parameter(target, "server=", first);
		buf_append(target, encoded.data, encoded.length);
		added++;
	}
	source->turn = 0;
	buf_free(&encoded);
	return true;
}

static void report(struct eyes_source *source, const struct eyes_poll *poll)
{
	/* The source may be gone after the completion. */
	source->fn(poll, source->arg);
}

static void fail(struct eyes_source *source, const struct eyes_answer *answer)
{
	struct err err;

	if (!answer->too_large) {
		bool missing =
		    answer->status == 404 || answer->status == 405 || answer->status == 501;
		report(source,
		    &(struct eyes_poll){.err = answer->err, .answer = answer, .missing = missing});
		return;
	}
	unsigned asked = source->limit;
	source->limit = source->limit_most = asked > 1 ? asked / 2 : 1;
	err_set(&err, "eyes_malformed",
	    "Eyes answers with more than %d bytes for %u commands, so %u are asked for next",
	    BODY_MAX, asked, source->limit);
	err_hop(&err, "Eyes, HTTP");
	err_hint(&err, "Nothing to do here: Eyes keeps what was not taken.");
	report(source, &(struct eyes_poll){.err = &err, .answer = answer});
}

static void polled(const struct eyes_answer *answer, void *arg)
{
	struct eyes_source *source = arg;
	struct commands_page page;
	struct err why = ERR_INIT, err = ERR_INIT;

	source->poll = NULL;
	if (answer->err != NULL) {
		fail(source, answer);
		return;
	}
	if (!commands_parse(answer->body, answer->body_length, source->limit, &page, &why)) {
		eyes_fault_malformed(&err, eyes_base(source->eyes), answer->status, &why);
		report(source, &(struct eyes_poll){.err = &err, .answer = answer});
		return;
	}
	if (page.left_out > 0)
		log_limited_warn(&source->left_out_said, "eyes",
		    "commands without a usable id are left out", log_uint("count", page.left_out),
		    log_err(&page.left_why));
	bool more = is_full(source, page.listed);
	adapt(source, more);
	report(
	    source, &(struct eyes_poll){
	                .answer = answer, .items = page.items, .count = page.count, .more = more});
	commands_page_free(&page);
}

static void commands_poll(struct eyes_source *source, const char *const *hosts, unsigned host_count,
    bool wait, eyes_poll_fn *fn, void *arg)
{
	struct buf servers, target;
	bool first = false;

	if (source->poll != NULL)
		fatal("commands: a second poll while one is under way");
	source->fn = fn;
	source->arg = arg;
	buf_init(&servers, TARGET_MAX);
	buf_init(&target, TARGET_MAX);
	/* A held poll would keep the hosts that did not fit waiting. */
	bool all = add_hosts(source, hosts, host_count, &servers, &first);
	uint32_t hold_ms = wait && all ? source->wait_ms : 0;
	buf_printf(&target, "%s?%s%swait=%u&limit=%u%s", source->feed, source->feed_query,
	    source->feed_query[0] != '\0' ? "&" : "", (hold_ms + 999) / 1000, source->limit,
	    servers.length > 0 ? servers.data : "");
	source->poll = eyes_send(source->eyes,
	    &(struct eyes_options){.method = "GET",
	        .path = target.data,
	        .body_limit = BODY_MAX,
	        .hold_ms = hold_ms,
	        .repeatable = true},
	    polled, source);
	buf_free(&servers);
	buf_free(&target);
}

static void commands_cancel(struct eyes_source *source)
{
	if (source->poll != NULL)
		eyes_cancel(source->poll);
	source->poll = NULL;
	source->fn = NULL;
}

static void commands_handled(struct eyes_source *source, const struct eyes_item *item)
{
	/* The acknowledgement is what makes the feed forget it. */
	(void)source;
	(void)item;
}

/* ---- acknowledging ---- */

static void ack_drop(void *arg)
{
	struct acknowledgement *ack = arg;

	/* Already taken out when it ended: its source may be gone. */
	if (ack->link != NULL) {
		*ack->link = ack->next;
		if (ack->next != NULL)
			ack->next->link = ack->link;
	}
	free(ack);
}

static void acknowledged(const struct eyes_answer *answer, void *arg)
{
	struct acknowledgement *ack = arg;

	*ack->link = ack->next;
	if (ack->next != NULL)
		ack->next->link = ack->link;
	ack->link = NULL;
	ack->fn(answer, ack->arg);
}

static void write_acks(struct buf *body, const struct eyes_ack *acks, unsigned count)
{
	buf_puts(body, "{\"results\":[");
	for (unsigned i = 0; i < count; i++) {
		buf_puts(body, i > 0 ? ",{\"id\":" : "{\"id\":");
		buf_put_json(body, acks[i].id, strlen(acks[i].id));
		buf_puts(body, ",\"outcome\":");
		buf_put_json(body, acks[i].outcome, strlen(acks[i].outcome));
		if (acks[i].error != NULL && acks[i].error[0] != '\0') {
			size_t length = strlen(acks[i].error);
			buf_puts(body, ",\"error\":");
			buf_put_json(body, acks[i].error,
			    codec_utf8_cut(acks[i].error, length, ACK_ERROR_MAX));
		}
		buf_putc(body, '}');
	}
	buf_puts(body, "]}");
}

static struct eyes_call *commands_acknowledge(
    struct eyes_source *source, const struct eyes_ack *acks, unsigned count, eyes_fn *fn, void *arg)
{
	struct acknowledgement *ack = mem_zero(sizeof(*ack));
	struct buf body, target;

	*ack = (struct acknowledgement){
	    .source = source, .next = source->acks, .link = &source->acks, .fn = fn, .arg = arg};
	if (ack->next != NULL)
		ack->next->link = &ack->next;
	source->acks = ack;

	buf_init(&body, ACK_BODY_MAX);
	buf_init(&target, TARGET_MAX);
	write_acks(&body, acks, count);
	buf_printf(&target, "%s/ack%s%s", source->feed, source->feed_query[0] != '\0' ? "?" : "",
	    source->feed_query);
	ack->call = eyes_send_with(source->eyes,
	    &(struct eyes_options){.method = "POST",
	        .path = target.data,
	        .body = body.data,
	        .body_length = body.length,
	        .repeatable = true},
	    acknowledged, ack, ack_drop);
	buf_free(&body);
	buf_free(&target);
	return ack->call;
}

const struct eyes_source_driver eyes_source_commands = {
    .name = "commands",
    .acknowledges = true,
    .create = commands_create,
    .destroy = commands_destroy,
    .poll = commands_poll,
    .cancel = commands_cancel,
    .handled = commands_handled,
    .acknowledge = commands_acknowledge,
};
