/* Build statuses: /builds of 7.4 and newer, /rest/build-status/1.0 of every version. */
#include "sim/sim_bitbucket.h"

#include "base/clock.h"
#include "base/codec.h"
#include "sim/sim_scan.h"
#include <stdlib.h>
#include <string.h>

enum kind { TEXT, NUMBER, TESTS };
enum field {
	KEY,
	STATE,
	URL,
	NAME,
	DESCRIPTION,
	REF,
	PARENT,
	BUILD_NUMBER,
	DURATION,
	RESULTS,
	FIELDS
};

/* OpenAPI of 8.19: RestBuildStatusSetRequest; the old API: RestBuildStatus. Lengths in UTF-16
 * units, 0: no limit. */
static const struct rule {
	const char *name;
	enum kind kind;
	size_t limit, old_limit;
	bool required, rich;
} rules[FIELDS] = {
    [KEY] = {"key", TEXT, 255, 255, true, false},
    [STATE] = {"state", TEXT, 0, 0, true, false},
    [URL] = {"url", TEXT, 450, 450, true, false},
    [NAME] = {"name", TEXT, 255, 255, false, false},
    [DESCRIPTION] = {"description", TEXT, 0, 255, false, false},
    [REF] = {"ref", TEXT, 1024, 0, false, true},
    [PARENT] = {"parent", TEXT, 1024, 0, false, true},
    [BUILD_NUMBER] = {"buildNumber", TEXT, 255, 0, false, true},
    [DURATION] = {"duration", NUMBER, 0, 0, false, true},
    [RESULTS] = {"testResults", TESTS, 0, 0, false, true},
};

static const struct {
	const char *name;
	int since;
} states[] = {
    {"INPROGRESS", 0}, {"SUCCESSFUL", 0}, {"FAILED", 0}, {"CANCELLED", 800}, {"UNKNOWN", 800}};

struct build {
	struct sim_text text[FIELDS];
	bool seen[FIELDS];
	const char *state; /* literal */
	const char *field; /* at fault */
	const char *fault;
};

static bool refuse(struct build *build, const char *field, const char *fault)
{
	if (!build->fault) {
		build->field = field;
		build->fault = fault;
	}
	return false;
}

static bool scan_tests(struct sim_scan *scan, struct build *build)
{
	static const char *const names[] = {"successful", "failed", "skipped"};
	struct sim_text name;
	int64_t value;
	bool first = true;
	if (!sim_scan_object(scan))
		return false;
	while (sim_scan_member(scan, &first, &name)) {
		if (!sim_text_is(&name, names[0]) && !sim_text_is(&name, names[1]) &&
		    !sim_text_is(&name, names[2]))
			return refuse(build, "testResults", "unrecognized field in testResults");
		if (!sim_scan_integer(scan, &value) || value < 0 || value > INT32_MAX)
			return refuse(build, "testResults", "expected a count");
	}
	return !scan->error;
}

static bool scan_value(struct sim_scan *scan, struct build *build, enum field field)
{
	int64_t number;
	if (build->seen[field])
		return refuse(build, rules[field].name, "the field is there twice");
	build->seen[field] = true;
	if (sim_scan_null(scan))
		return true;
	switch (rules[field].kind) {
	case NUMBER:
		return (sim_scan_integer(scan, &number) && number >= 0) ||
		       refuse(build, rules[field].name, "expected milliseconds");
	case TESTS:
		return scan_tests(scan, build);
	default:
		return sim_scan_string(scan, &build->text[field]);
	}
}

static bool scan_build(struct sim_scan *scan, struct build *build, bool rich)
{
	struct sim_text name;
	bool first = true;
	if (!sim_scan_object(scan))
		return false;
	while (sim_scan_member(scan, &first, &name)) {
		unsigned field = 0;
		while (field < FIELDS && !sim_text_is(&name, rules[field].name))
			field++;
		if (field == FIELDS || (rules[field].rich && !rich))
			return refuse(build, NULL, "unrecognized field");
		if (!scan_value(scan, build, field))
			return false;
	}
	return !scan->error && sim_scan_end(scan);
}

static bool starts(const struct sim_text *text, const char *word)
{
	size_t length = strlen(word);
	return text->length > length && memcmp(text->data, word, length) == 0;
}

static bool check_build(struct build *build, int version, bool rich)
{
	for (unsigned i = 0; i < FIELDS; i++) {
		const struct sim_text *text = &build->text[i];
		size_t limit = rich ? rules[i].limit : rules[i].old_limit;
		if (rules[i].required && text->length == 0)
			return refuse(build, rules[i].name, "a value is required");
		if (limit && text->units > limit)
			return refuse(build, rules[i].name, "the value is too long");
	}
	for (unsigned i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (version >= states[i].since && sim_text_is(&build->text[STATE], states[i].name))
			build->state = states[i].name;
	if (!build->state)
		return refuse(build, "state", "not a valid build state");
	if (!starts(&build->text[URL], "http://") && !starts(&build->text[URL], "https://"))
		return refuse(build, "url", "must be an absolute http or https URL");
	if (build->text[REF].data && !starts(&build->text[REF], "refs/"))
		return refuse(build, "ref", "must start with refs/");
	return true;
}

/* Reads and checks the body; answers 400 and returns false when it will not do. */
static bool read_build(
    struct sim_request *request, struct bitbucket *bb, struct build *build, bool rich)
{
	struct sim_scan scan;
	*build = (struct build){0};
	bool good = sim_scan_init(&scan, request->body, request->body_length) &&
	            scan_build(&scan, build, rich) && check_build(build, bb->version, rich);
	if (!good)
		bitbucket_error(request, bb, 400, build->field, NULL, "%s",
		    build->fault ? build->fault
		                 : (scan.error ? scan.error : "the body cannot be read"));
	return good;
}

static bool read_sha(
    struct sim_request *request, struct bitbucket *bb, const char *text, unsigned char sha[20])
{
	if (codec_hex_decode(sha, 20, text))
		return true;
	bitbucket_error(request, bb, 404, NULL, "commit.NoSuchCommitException",
	    "Commit '%s' does not exist.", text);
	return false;
}

/* A ref that the quirk of some versions minds: the status has another one. */
static bool other_ref(const struct build_status *status, const struct build *build)
{
	if (!status || !build->text[REF].data)
		return false;
	json_t *body = json_loadb(status->last->body, status->last->length, 0, NULL);
	const char *ref = sim_json_text(body, "ref", NULL);
	bool other = ref && (strlen(ref) != build->text[REF].length ||
	                        memcmp(ref, build->text[REF].data, build->text[REF].length) != 0);
	json_decref(body);
	return other;
}

static void note_sent(struct bitbucket *bb, const struct build *build, uint64_t now_us)
{
	const struct sim_text *text = &build->text[DESCRIPTION];
	if (text->length > 2 && memcmp(text->data, "t=", 2) == 0)
		bitbucket_note_latency(bb, strtoull(text->data + 2, NULL, 10), now_us);
}

/* Applies what was read, for a repository or (0) for the old API. */
static void apply_build(struct sim_request *request, struct bitbucket *bb, uint32_t repository,
    const unsigned char sha[20], const struct build *build)
{
	struct buf decoded;
	const char *key = build->text[KEY].data;
	size_t length = build->text[KEY].length;
	buf_init(&decoded, 4096);
	if (build->text[KEY].escaped) {
		sim_text_decode(&build->text[KEY], &decoded);
		key = decoded.data;
		length = decoded.length;
	}
	if (bb->ref_quirk && other_ref(bitbucket_status(bb, repository, sha, key, length), build)) {
		bitbucket_error(request, bb, 500, NULL, NULL,
		    "An error occurred while processing the request. Check the server logs for "
		    "more "
		    "information.");
	} else {
		note_sent(bb, build, request->arrived_us);
		bitbucket_put_status(bb, request, repository, sha, key, length, build->state);
		sim_answer(request, 204, NULL, "", 0);
	}
	buf_free(&decoded);
}

void bitbucket_post_build(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	const struct bitbucket_token *token;
	const struct bitbucket_repository *repository;
	struct build build;
	unsigned char sha[20];
	if (bb->version < 704) {
		bitbucket_not_found(request, app);
		return;
	}
	if (!bitbucket_sign_in(request, bb, &token) ||
	    !bitbucket_may_write(request, bb, token, true) ||
	    !bitbucket_open_repository(request, bb, token, LEVEL_READ, &repository) ||
	    !read_sha(request, bb, request->variable[2], sha))
		return;
	if (!bitbucket_knows_commit(bb, repository, sha)) {
		bitbucket_error(request, bb, 404, NULL, "commit.NoSuchCommitException",
		    "Commit '%s' does not exist in repository '%s'.", request->variable[2],
		    repository->slug);
		return;
	}
	if (read_build(request, bb, &build, true))
		apply_build(request, bb, repository->id, sha, &build);
}

void bitbucket_post_old(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	const struct bitbucket_token *token;
	struct build build;
	unsigned char sha[20];
	if (bitbucket_sign_in(request, bb, &token) &&
	    bitbucket_may_write(request, bb, token, true) &&
	    read_sha(request, bb, request->variable[0], sha) &&
	    read_build(request, bb, &build, false))
		apply_build(request, bb, 0, sha, &build);
}

/* ---- reading ---- */

static void copy_members(json_t *out, const json_t *body, bool rich)
{
	for (unsigned i = 0; i < FIELDS; i++) {
		json_t *value = json_object_get(body, rules[i].name);
		if (value && (rich || !rules[i].rich))
			json_object_set(out, rules[i].name, value);
	}
}

static json_t *status_json(const struct build_status *status, bool rich)
{
	const struct build_entry *last = status->last;
	json_t *body = json_loadb(last->body, last->length, 0, NULL);
	json_t *out = json_object();
	copy_members(out, body, rich);
	if (rich) {
		json_object_set_new(out, "createdDate", json_integer(status->created_ms));
		json_object_set_new(out, "updatedDate", json_integer(last->effective_ms));
	} else {
		json_object_set_new(out, "dateAdded", json_integer(last->effective_ms));
	}
	json_decref(body);
	return out;
}

void bitbucket_get_build(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	const struct bitbucket_token *token;
	const struct bitbucket_repository *repository;
	unsigned char sha[20];
	if (bb->version < 704) {
		bitbucket_not_found(request, app);
		return;
	}
	if (!bitbucket_sign_in(request, bb, &token) ||
	    !bitbucket_open_repository(request, bb, token, LEVEL_READ, &repository) ||
	    !read_sha(request, bb, request->variable[2], sha))
		return;
	struct buf key;
	buf_init(&key, 4096);
	const struct build_status *status = NULL;
	bool asked = sim_query(request, "key", 0, &key) && key.length;
	if (asked)
		status = bitbucket_status(bb, repository->id, sha, key.data, key.length);
	if (!asked)
		bitbucket_error(request, bb, 400, "key", NULL, "a value is required");
	else if (status)
		sim_answer_json(request, 200, status_json(status, true));
	else
		bitbucket_error(request, bb, 404, NULL, "build.NoSuchBuildStatusException",
		    "No build status with key '%s'.", key.data);
	buf_free(&key);
}

void bitbucket_get_old(struct sim_request *request, void *app)
{
	struct bitbucket *bb = app;
	const struct bitbucket_token *token;
	unsigned char sha[20];
	if (!bitbucket_sign_in(request, bb, &token) ||
	    !read_sha(request, bb, request->variable[0], sha))
		return;
	if (!token) {
		bitbucket_error(request, bb, 401, NULL, "AuthorisationException",
		    "You are not permitted to access this resource");
		return;
	}
	int64_t start = sim_query_integer(request, "start", 0);
	int64_t limit = sim_query_integer(request, "limit", 25);
	limit = limit < 1 ? 25 : (limit > 1000 ? 1000 : limit);
	const struct build_commit *commit = bitbucket_commit(bb, sha);
	json_t *values = json_array();
	int64_t index = 0;
	bool more = false;
	for (const struct build_status *s = commit ? commit->statuses : NULL; s;
	     s = s->next, index++) {
		if (index < start)
			continue;
		more = (int64_t)json_array_size(values) == limit;
		if (more)
			break;
		json_array_append_new(values, status_json(s, false));
	}
	json_t *page = json_pack("{s:i,s:I,s:b,s:o,s:I,s:o}", "size", (int)json_array_size(values),
	    "limit", (json_int_t)limit, "isLastPage", !more, "values", values, "start",
	    (json_int_t)start, "nextPageStart",
	    more ? json_integer((json_int_t)index) : json_null());
	sim_answer_json(request, 200, page);
}
