#include "flow/event_commits.h"
#include "base/codec.h"
#include "base/json_scan.h"
#include <string.h>

struct reading {
	struct json_scan scan;
	event_commit_fn *fn;
	void *arg;
	unsigned told;
	struct event_commit commit; /* being read */
	bool deleted;               /* the change is a DELETE */
	bool done;                  /* nothing more is wanted of this body */
};

typedef void member_fn(struct reading *reading, const struct json_text *name);

static bool is(const struct json_text *text, const char *word)
{
	return json_text_is(text, word, strlen(word));
}

/* Each member of the object that stands here; what is no object is passed over. */
static void each_member(struct reading *reading, member_fn *fn)
{
	struct json_text name;

	if (json_scan_kind(&reading->scan) != JSON_KIND_OBJECT) {
		json_scan_skip(&reading->scan);
		return;
	}
	json_scan_open(&reading->scan, '{');
	while (!reading->done && json_scan_member(&reading->scan, &name))
		fn(reading, &name);
}

/* "" for what is no string, too long, or holds a control byte. */
static void read_text(struct reading *reading, char *out, size_t size)
{
	struct json_value value;
	size_t length;

	out[0] = '\0';
	if (!json_scan_value(&reading->scan, &value) || value.kind != JSON_KIND_STRING ||
	    value.text.has_nul || value.text.length >= size)
		return;
	length = json_text_decode(&value.text, out);
	out[length] = '\0';
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f) {
			out[0] = '\0';
			return;
		}
}

static void tell(struct reading *reading)
{
	struct event_commit *commit = &reading->commit;

	if (!codec_is_hex(commit->commit, 40) || commit->ref[0] == '\0')
		return;
	for (char *c = commit->commit; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'F')
			*c = (char)(*c - 'A' + 'a');
	reading->fn(commit, reading->arg);
	reading->told++;
	reading->done = reading->told == EVENT_COMMITS_MAX;
}

/* ---- repo:refs_changed ---- */

static void in_ref(struct reading *reading, const struct json_text *name)
{
	if (is(name, "id"))
		read_text(reading, reading->commit.ref, sizeof(reading->commit.ref));
	else
		json_scan_skip(&reading->scan);
}

static void in_change(struct reading *reading, const struct json_text *name)
{
	char type[16];

	if (is(name, "ref")) {
		each_member(reading, in_ref);
	} else if (is(name, "toHash")) {
		read_text(reading, reading->commit.commit, sizeof(reading->commit.commit));
	} else if (is(name, "type")) {
		read_text(reading, type, sizeof(type));
		reading->deleted = strcmp(type, "DELETE") == 0;
	} else {
		json_scan_skip(&reading->scan);
	}
}

static void in_refs_changed(struct reading *reading, const struct json_text *name)
{
	if (!is(name, "changes") || json_scan_kind(&reading->scan) != JSON_KIND_ARRAY) {
		json_scan_skip(&reading->scan);
		return;
	}
	json_scan_open(&reading->scan, '[');
	while (!reading->done && json_scan_element(&reading->scan)) {
		memset(&reading->commit, 0, sizeof(reading->commit));
		reading->deleted = false;
		each_member(reading, in_change);
		if (reading->scan.fault == NULL && !reading->deleted)
			tell(reading);
	}
	reading->done = true;
}

/* ---- pr:... ---- */

static void in_project(struct reading *reading, const struct json_text *name)
{
	if (is(name, "key"))
		read_text(reading, reading->commit.project, sizeof(reading->commit.project));
	else
		json_scan_skip(&reading->scan);
}

static void in_repository(struct reading *reading, const struct json_text *name)
{
	if (is(name, "slug"))
		read_text(reading, reading->commit.slug, sizeof(reading->commit.slug));
	else if (is(name, "project"))
		each_member(reading, in_project);
	else
		json_scan_skip(&reading->scan);
}

static void in_from(struct reading *reading, const struct json_text *name)
{
	if (is(name, "id"))
		read_text(reading, reading->commit.ref, sizeof(reading->commit.ref));
	else if (is(name, "latestCommit"))
		read_text(reading, reading->commit.commit, sizeof(reading->commit.commit));
	else if (is(name, "repository"))
		each_member(reading, in_repository);
	else
		json_scan_skip(&reading->scan);
}

static void in_pull_request(struct reading *reading, const struct json_text *name)
{
	if (!is(name, "fromRef")) {
		json_scan_skip(&reading->scan);
		return;
	}
	each_member(reading, in_from);
	/* Without its repository it may be a fork's. */
	if (reading->scan.fault == NULL && reading->commit.slug[0] != '\0' &&
	    reading->commit.project[0] != '\0')
		tell(reading);
	reading->done = true;
}

static void in_pull_request_event(struct reading *reading, const struct json_text *name)
{
	if (!is(name, "pullRequest")) {
		json_scan_skip(&reading->scan);
		return;
	}
	each_member(reading, in_pull_request);
	reading->done = true;
}

unsigned event_commits(
    const char *key, const void *body, size_t length, event_commit_fn *fn, void *arg)
{
	struct reading reading = {.fn = fn, .arg = arg};

	json_scan_init(&reading.scan, body, length, length);
	if (strcmp(key, "repo:refs_changed") == 0)
		each_member(&reading, in_refs_changed);
	else if (strncmp(key, "pr:", 3) == 0)
		each_member(&reading, in_pull_request_event);
	return reading.told;
}
