/* The bodies of events, as Atlassian's "Event payload" of 8.19 and 9.4 shows them. */
#include "sim/sim_bitbucket_hooks.h"

#include "base/clock.h"
#include "base/codec.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BODY_LIMIT (128UL * 1024 * 1024)

struct writer {
	const struct hooks *hooks;
	const struct hook_happening *what;
	const struct bitbucket_repository *repository;
	struct buf *out;
	char base[700];
	int64_t now_ms;
	size_t pad;  /* bytes of filling, */
	bool filled; /* at the first place for it */
};

static void put_open(struct buf *out, const char *name, const char *bracket)
{
	sim_put_member(out, name);
	buf_puts(out, bracket);
}

static void put_time(struct writer *w, const char *name, int64_t ms)
{
	char text[CLOCK_TEXT];
	if (w->hooks->iso_dates == 0 || (w->hooks->iso_dates < 0 && w->hooks->bb->version < 1000)) {
		sim_put_integer(w->out, name, ms);
		return;
	}
	clock_rfc3339(text, ms, true);
	sim_put_text(w->out, name, text);
}

/* Always a text, with an offset without colon. */
static void put_date(struct writer *w)
{
	char text[64];
	struct tm tm;
	time_t seconds = (time_t)(w->now_ms / 1000);
	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S+0000", &tm);
	sim_put_text(w->out, "date", text);
}

static void put_user(struct writer *w, const char *name)
{
	char text[300];
	put_open(w->out, name, "{");
	sim_put_text(w->out, "name", w->what->user);
	snprintf(text, sizeof(text), "%.200s@example.com", w->what->user);
	sim_put_text(w->out, "emailAddress", text);
	sim_put_bool(w->out, "active", true);
	sim_put_text(w->out, "displayName", w->what->user);
	sim_put_integer(w->out, "id", 101);
	sim_put_text(w->out, "slug", w->what->user);
	sim_put_text(w->out, "type", "NORMAL");
	buf_putc(w->out, '}');
}

static void put_repository(struct writer *w)
{
	sim_put_member(w->out, "repository");
	bitbucket_write_repository(w->hooks->bb, w->out, w->repository, w->base);
}

static void put_filling(struct writer *w, const char *name, const char *text)
{
	sim_put_member(w->out, name);
	buf_putc(w->out, '"');
	buf_puts(w->out, text);
	char *room = w->pad && !w->filled ? buf_room(w->out, w->pad) : NULL;
	w->filled = true;
	if (room) {
		memset(room, 'x', w->pad);
		w->out->length += w->pad;
	}
	buf_putc(w->out, '"');
}

static const char *short_ref(const char *ref)
{
	if (strncmp(ref, "refs/heads/", 11) == 0)
		return ref + 11;
	return strncmp(ref, "refs/tags/", 10) == 0 ? ref + 10 : ref;
}

static void put_commit(struct writer *w, const char *name, const char *sha)
{
	put_open(w->out, name, "{");
	sim_put_text(w->out, "id", sha);
	char display[12] = "";
	strncat(display, sha, 11);
	sim_put_text(w->out, "displayId", display);
	put_user(w, "author");
	put_time(w, "authorTimestamp", w->now_ms - 1000);
	put_user(w, "committer");
	put_time(w, "committerTimestamp", w->now_ms - 1000);
	put_filling(w, "message", "A change of the page ");
	put_open(w->out, "parents", "[]");
	buf_putc(w->out, '}');
}

static void write_push(struct writer *w)
{
	const struct hook_happening *what = w->what;
	static const unsigned char none[20];
	char to[41];
	char from[41];
	bool is_new = memcmp(what->from, none, 20) == 0;
	codec_hex_encode(from, what->from, 20);
	codec_hex_encode(to, what->is_delete ? none : what->commit, 20);
	put_repository(w);
	put_open(w->out, "changes", "[{");
	put_open(w->out, "ref", "{");
	sim_put_text(w->out, "id", what->ref);
	sim_put_text(w->out, "displayId", short_ref(what->ref));
	sim_put_text(w->out, "type", strncmp(what->ref, "refs/tags/", 10) ? "BRANCH" : "TAG");
	buf_putc(w->out, '}');
	sim_put_text(w->out, "refId", what->ref);
	sim_put_text(w->out, "fromHash", from);
	sim_put_text(w->out, "toHash", to);
	sim_put_text(w->out, "type", what->is_delete ? "DELETE" : is_new ? "ADD" : "UPDATE");
	buf_puts(w->out, "}]");
	if ((w->hooks->bb->version >= 800 && !what->is_delete) || w->pad) {
		put_open(w->out, "commits", "[]");
		put_commit(w, "toCommit", to);
	}
}

static void put_ref(struct writer *w, const char *name, const char *ref, const char *sha)
{
	put_open(w->out, name, "{");
	sim_put_text(w->out, "id", ref);
	sim_put_text(w->out, "displayId", short_ref(ref));
	sim_put_text(w->out, "latestCommit", sha);
	sim_put_text(w->out, "type", "BRANCH");
	put_repository(w);
	buf_putc(w->out, '}');
}

static void write_pull_request(struct writer *w, const char *action)
{
	const struct hook_happening *what = w->what;
	bool merged = strcmp(action, "merged") == 0;
	bool closed = merged || strcmp(action, "declined") == 0;
	char commit[41];
	char from[41];
	codec_hex_encode(commit, what->commit, 20);
	codec_hex_encode(from, what->from, 20);
	put_open(w->out, "pullRequest", "{");
	sim_put_integer(w->out, "id", what->id);
	sim_put_integer(w->out, "version", strcmp(action, "opened") == 0 ? 0 : 1);
	sim_put_text(w->out, "title", what->title);
	put_filling(w, "description", "What this is about. ");
	sim_put_text(w->out, "state", merged ? "MERGED" : closed ? "DECLINED" : "OPEN");
	sim_put_bool(w->out, "open", !closed);
	sim_put_bool(w->out, "closed", closed);
	put_time(w, "createdDate", w->now_ms - 60000);
	put_time(w, "updatedDate", w->now_ms);
	if (closed)
		put_time(w, "closedDate", w->now_ms);
	put_ref(w, "fromRef", what->ref, commit);
	put_ref(w, "toRef", what->to_ref, from);
	sim_put_bool(w->out, "locked", false);
	put_open(w->out, "author", "{");
	put_user(w, "user");
	buf_puts(w->out, ",\"role\":\"AUTHOR\",\"approved\":false,\"status\":\"UNAPPROVED\"}");
	buf_puts(w->out, ",\"reviewers\":[],\"participants\":[]");
	if (merged) {
		put_open(w->out, "properties", "{");
		put_commit(w, "mergeCommit", commit);
		buf_putc(w->out, '}');
	}
	buf_puts(w->out, ",\"links\":{\"self\":[null]}}");
	if (strcmp(action, "modified") == 0) {
		sim_put_text(w->out, "previousTitle", "The title before");
		sim_put_text(w->out, "previousDescription", "The description before");
		put_open(w->out, "previousTarget", "{");
		sim_put_text(w->out, "id", what->to_ref);
		sim_put_text(w->out, "latestCommit", from);
		buf_putc(w->out, '}');
	} else if (strcmp(action, "from_ref_updated") == 0) {
		sim_put_text(w->out, "previousFromHash", from);
	}
}

static void write_body(struct writer *w)
{
	const char *key = hook_event_key(w->what->event);
	buf_reset(w->out);
	w->filled = false;
	buf_putc(w->out, '{');
	sim_put_text(w->out, "eventKey", key);
	put_date(w);
	put_user(w, "actor");
	if (strncmp(key, "pr:", 3) == 0)
		write_pull_request(w, key + 3);
	else
		write_push(w);
	buf_putc(w->out, '}');
}

void hook_payload(const struct hooks *hooks, const struct hook_happening *what, struct buf *out)
{
	struct bitbucket *bb = hooks->bb;
	struct writer w = {.hooks = hooks,
	    .what = what,
	    .repository = bb->repositories[what->repository - 1],
	    .out = out,
	    .now_ms = clock_wall_ms()};
	if (hooks->base_url)
		snprintf(w.base, sizeof(w.base), "%s", hooks->base_url);
	else
		snprintf(w.base, sizeof(w.base), "%s://localhost:%d%s",
		    bb->sim->plain ? "http" : "https", sim_server_port(bb->sim->server),
		    bb->sim->context);
	out->limit = BODY_LIMIT;
	write_body(&w);
	/* Once more, with what is missing; a push has no place for it without any. */
	for (unsigned i = 0; what->pad > out->length && i < 2; i++) {
		w.pad += what->pad - out->length;
		write_body(&w);
		if (out->length > what->pad)
			w.pad -= out->length - what->pad;
	}
	if (what->pad && out->length > what->pad)
		write_body(&w);
}
