/*
 * The batches source against a server that keeps batches with their times, and a memory that
 * outlives the source.
 */
#include "unit/eyes/eyes_peer.h"

#include "base/mem.h"
#include "eyes/batches_works.h"
#include "eyes/source.h"
#include <ctype.h>

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static struct peer peer;
static const struct eyes_source_driver *driver = &eyes_source_batches;
static struct eyes_source *source;

/* ---- the server ---- */

enum { BATCHES = 700 };
static struct batch {
	bool used, gone;
	int64_t age_ms;
	char id[24], pointer[48], word[24], branch[64];
	unsigned passed, unresolved, total;
} batches[BATCHES];
static unsigned page_size, lists, singles, full_singles;
static int single_status, list_status;
static const char *next_host;
static int64_t clock_error_ms;
static unsigned stop_at; /* number of a request at which the loop stops */

static struct batch *put(const char *id, const char *pointer, int64_t age_ms, unsigned passed,
    unsigned unresolved, unsigned total, const char *word)
{
	unsigned i = 0;

	while (batches[i].used && strcmp(batches[i].id, id) != 0)
		i++;
	batches[i] = (struct batch){.used = true,
	    .age_ms = age_ms,
	    .passed = passed,
	    .unresolved = unresolved,
	    .total = total};
	snprintf(batches[i].id, sizeof(batches[i].id), "%s", id);
	snprintf(batches[i].pointer, sizeof(batches[i].pointer), "%s", pointer);
	snprintf(batches[i].word, sizeof(batches[i].word), "%s", word);
	return &batches[i];
}

static int64_t query_time(const char *uri, const char *name)
{
	char text[64];
	int64_t ms;
	const char *at = strstr(uri, name);

	assert_non_null(at);
	at += strlen(name);
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(at, "&"), at);
	assert_true(clock_parse_rfc3339(text, &ms));
	return ms;
}

static void answer_list(const char *uri, struct evhttp_request *request)
{
	int64_t now = clock_wall_ms() + clock_error_ms;
	int64_t start = query_time(uri, "start="), end = query_time(uri, "end=");
	const char *skip = strstr(uri, "skipTo=");
	unsigned from = skip != NULL ? (unsigned)atoi(skip + 7) : 0, seen = 0, given = 0;
	struct buf body;
	char link[600];

	lists++;
	buf_init(&body, 1024 * 1024);
	buf_puts(&body, "{\"batches\":[");
	for (unsigned i = 0; i < BATCHES; i++) {
		const struct batch *b = &batches[i];
		int64_t at = now - b->age_ms;
		if (!b->used || b->gone || at < start || at > end || seen++ < from)
			continue;
		if (given == page_size) {
			snprintf(link, sizeof(link), "<%s%.*s&skipTo=%u>; rel=\"next\"", next_host,
			    skip != NULL ? (int)(skip - uri - 1) : (int)strlen(uri), uri, seen - 1);
			peer_add(request, "Link", link);
			break;
		}
		buf_printf(&body,
		    "%s{\"id\":\"%s\",\"pointerId\":\"%s\",\"passed\":%u,\"failed\":0,"
		    "\"unresolved\":%u,"
		    "\"new\":0,\"aborted\":0,\"empty\":0,\"total\":%u,\"status\":\"%s\"}",
		    given++ > 0 ? "," : "", b->id, b->pointer, b->passed, b->unresolved, b->total,
		    b->word);
	}
	buf_puts(&body, "]}");
	peer_reply(request, list_status, body.data);
	buf_free(&body);
}

static void answer_single(const char *uri, struct evhttp_request *request)
{
	char body[1024];

	singles++;
	full_singles += strstr(uri, "statsOnly=true") == NULL;
	for (unsigned i = 0; i < BATCHES; i++) {
		const struct batch *b = &batches[i];
		size_t length = strlen(b->id);
		if (!b->used || strncmp(uri + 16, b->id, length) != 0 ||
		    isalnum((unsigned char)uri[16 + length]))
			continue;
		if (b->gone)
			break;
		snprintf(body, sizeof(body),
		    "{\"statistics\":{\"passed\":%u,\"unresolved\":%u,\"total\":%u},\"batchUrl\":"
		    "\"https://eyes.example/%s\","
		    "\"tests\":[{\"branchName\":\"%s\"}]}",
		    b->passed, b->unresolved, b->total, b->id, b->branch);
		peer_reply(request, single_status, body);
		return;
	}
	peer_reply(request, single_status != 200 ? single_status : 404, "");
}

static void answer(
    struct peer *self, const struct peer_asked *asked, struct evhttp_request *request)
{
	char date[CLOCK_TEXT];

	if (self->count == stop_at)
		loop_stop(self->loop);
	clock_http_date(date, clock_wall_ms() + clock_error_ms);
	peer_add(request, "Date", date);
	if (strncmp(asked->uri, "/api/v1/batches?", 16) == 0)
		answer_list(asked->uri, request);
	else
		answer_single(asked->uri, request);
}

/* ---- the memory ---- */

static struct row {
	char id[EYES_MEMORY_ID_MAX + 1];
	char data[EYES_MEMORY_MAX];
	size_t length;
} * rows;
static unsigned row_count, writes;

static struct row *find_row(const char *id)
{
	for (unsigned i = 0; i < row_count; i++)
		if (strcmp(rows[i].id, id) == 0)
			return &rows[i];
	return NULL;
}

static ptrdiff_t memory_get(const char *id, void *out, size_t size, void *arg)
{
	const struct row *row = find_row(id);

	(void)arg;
	if (row == NULL || row->length > size)
		return -1;
	memcpy(out, row->data, row->length);
	return (ptrdiff_t)row->length;
}

static void memory_set(const char *id, const void *data, size_t length, void *arg)
{
	struct row *row = find_row(id);

	(void)arg;
	assert_true(strlen(id) <= EYES_MEMORY_ID_MAX && length <= EYES_MEMORY_MAX);
	if (row == NULL) {
		rows = mem_grow(rows, row_count + 1, sizeof(*rows));
		row = &rows[row_count++];
	}
	snprintf(row->id, sizeof(row->id), "%s", id);
	if (length > 0)
		memcpy(row->data, data, length);
	row->length = length;
	writes++;
}

/* ---- polling ---- */

static struct {
	unsigned count;
	bool more;
	char code[32];
	struct item {
		char id[100], commit[48], text[256], url[256], hint[128], name[64];
		enum update_state state;
		int64_t created_ms;
	} items[WORKS_MAX];
} got;
static bool handle;

static void polled(const struct eyes_poll *poll, void *arg)
{
	(void)arg;
	memset(&got, 0, sizeof(got));
	got.count = poll->count;
	got.more = poll->more;
	snprintf(got.code, sizeof(got.code), "%s", poll->err != NULL ? poll->err->code : "");
	for (unsigned i = 0; i < poll->count; i++) {
		const struct eyes_item *item = &poll->items[i];
		struct item *to = &got.items[i];
		snprintf(to->id, sizeof(to->id), "%s", item->id);
		snprintf(to->commit, sizeof(to->commit), "%s", item->update.commit);
		snprintf(to->text, sizeof(to->text), "%s", item->update.description);
		snprintf(to->url, sizeof(to->url), "%s", item->update.url);
		snprintf(to->hint, sizeof(to->hint), "%s", item->hint);
		snprintf(to->name, sizeof(to->name), "%s", item->update.name);
		to->state = item->update.state;
		to->created_ms = item->created_ms;
		assert_null(item->server);
		assert_null(item->invalid);
		assert_string_equal(item->update.key, "tests/applitools");
		if (handle)
			driver->handled(source, item);
	}
	loop_stop(peer.loop);
}

static void poll(void)
{
	lists = singles = full_singles = writes = 0;
	driver->poll(source, NULL, 0, true, polled, NULL);
	peer_run(&peer);
}

static void create(uint64_t window_ms)
{
	source = driver->create(&(struct eyes_source_config){.loop = peer.loop,
	    .eyes = peer.eyes,
	    .status_key = "tests/applitools",
	    .window_ms = window_ms,
	    .memory = {.get = memory_get, .set = memory_set}});
}

static void restart(void)
{
	driver->destroy(source);
	create(7 * DAY);
}

static int set_up(void **state)
{
	(void)state;
	memset(batches, 0, sizeof(batches));
	row_count = 0;
	page_size = 100;
	single_status = list_status = 200;
	next_host = "";
	clock_error_ms = 0;
	handle = true;
	peer_start(&peer);
	peer.answer = answer;
	create(7 * DAY);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	driver->destroy(source);
	peer_stop(&peer);
	free(rows);
	rows = NULL;
	row_count = 0;
	return 0;
}

static void expect(unsigned index, const char *commit, enum update_state state, const char *text)
{
	assert_true(got.count > index);
	assert_string_equal(got.items[index].commit, commit);
	assert_int_equal(got.items[index].state, state);
	assert_string_equal(got.items[index].text, text);
}

static void test_life_of_a_batch(void **state)
{
	(void)state;
	struct batch *b = put("b1", SHA_A, MINUTE, 2, 0, 5, "Running");
	snprintf(b->branch, sizeof(b->branch), "owner/repo/feature/x");
	put("n1", "nightly", MINUTE, 2, 0, 5, "Running");
	poll();
	assert_string_equal(got.code, "");
	assert_int_equal(got.count, 1);
	expect(0, SHA_A, UPDATE_INPROGRESS, "2 passed, 3 running");
	assert_string_equal(got.items[0].url, "https://eyes.example/b1");
	assert_string_equal(got.items[0].hint, "owner/repo/feature/x");
	assert_int_equal(lists, 3);
	assert_int_equal(full_singles, 1);
	int64_t created = got.items[0].created_ms;

	/* Nothing new: one call, no write. */
	poll();
	assert_int_equal(got.count, 0);
	assert_int_equal(lists + singles, 1);
	assert_int_equal(writes, 0);

	/* Only the numbers of a running one: not within a minute. */
	put("b1", SHA_A, MINUTE, 3, 0, 5, "Running");
	poll();
	assert_int_equal(got.count, 0);

	put("b1", SHA_A, MINUTE, 4, 1, 5, "Unresolved");
	poll();
	expect(0, SHA_A, UPDATE_FAILED, "4 passed, 1 unresolved");
	assert_string_equal(got.items[0].hint, "owner/repo/feature/x");
	assert_int_equal(full_singles, 0); /* the hint is asked for once */
	assert_int_equal(singles, 1);
	assert_true(got.items[0].created_ms > created);

	/* Somebody accepts the difference, then takes that back: the same state again is a new
	 * item. */
	char id[100];
	memcpy(id, got.items[0].id, sizeof(id));
	put("b1", SHA_A, MINUTE, 5, 0, 5, "Passed");
	poll();
	expect(0, SHA_A, UPDATE_SUCCESSFUL, "5 passed");
	put("b1", SHA_A, MINUTE, 4, 1, 5, "Unresolved");
	poll();
	expect(0, SHA_A, UPDATE_FAILED, "4 passed, 1 unresolved");
	assert_string_not_equal(got.items[0].id, id);
}

static void test_green_does_not_hide_red(void **state)
{
	(void)state;
	put("red", SHA_A, 3 * DAY, 1, 1, 2, "Unresolved");
	poll();
	assert_int_equal(got.count, 0); /* old news at first use */
	/* The red one is not in what the next poll looks at. */
	put("green", SHA_A, MINUTE, 4, 0, 4, "Passed");
	poll();
	assert_int_equal(lists, 1);
	expect(0, SHA_A, UPDATE_FAILED, "5 passed, 1 unresolved");
	assert_string_equal(got.items[0].url, "https://eyes.example/red");
	/* Repaired long after: seen after a restart at the latest, green as a whole. */
	put("red", SHA_A, 3 * DAY, 2, 0, 2, "Passed");
	restart();
	poll();
	expect(0, SHA_A, UPDATE_SUCCESSFUL, "6 passed");
}

static void test_first_use(void **state)
{
	(void)state;
	put("old", SHA_A, 2 * DAY, 4, 0, 4, "Passed");
	put("open", SHA_B, 2 * DAY, 1, 0, 4, "Running");
	put("young", "cccccccccccccccccccccccccccccccccccccccc", 5 * HOUR, 4, 0, 4, "Passed");
	poll();
	assert_int_equal(got.count, 2);
	for (unsigned i = 0; i < got.count; i++)
		assert_string_not_equal(got.items[i].commit, SHA_A);
	/* What happened while this was switched off is news. */
	put("later", "dddddddddddddddddddddddddddddddddddddddd", 2 * DAY, 4, 0, 4, "Passed");
	restart();
	poll();
	assert_int_equal(got.count, 1);
	expect(0, "dddddddddddddddddddddddddddddddddddddddd", UPDATE_SUCCESSFUL, "4 passed");
}

static void test_crash_before_handled(void **state)
{
	char id[100];

	(void)state;
	put("b1", SHA_A, MINUTE, 4, 0, 4, "Passed");
	handle = false;
	poll();
	assert_int_equal(got.count, 1);
	memcpy(id, got.items[0].id, sizeof(id));
	/* Brought again, without new calls for details, and with the same id after a crash. */
	poll();
	assert_int_equal(got.count, 1);
	assert_int_equal(singles, 0);
	assert_string_equal(got.items[0].id, id);
	restart();
	poll();
	assert_string_equal(got.items[0].id, id);
	/* Handled late, when the batch has changed meanwhile. */
	put("b1", SHA_A, MINUTE, 3, 1, 4, "Unresolved");
	struct eyes_item late = {.id = id,
	    .update = {.commit = SHA_A, .state = UPDATE_SUCCESSFUL},
	    .created_ms = clock_wall_ms()};
	poll();
	driver->handled(source, &late);
	handle = true;
	poll();
	expect(0, SHA_A, UPDATE_FAILED, "3 passed, 1 unresolved");
	poll();
	assert_int_equal(got.count, 0);
	restart();
	poll();
	assert_int_equal(got.count, 0);
}

/* Changed and changed back before it was handled: what was sent in between has to be taken back. */
static void test_changed_back_before_handled(void **state)
{
	char id[100];

	(void)state;
	put("b1", SHA_A, MINUTE, 4, 0, 4, "Passed");
	poll();
	handle = false;
	put("b1", SHA_A, MINUTE, 3, 1, 4, "Unresolved");
	poll();
	memcpy(id, got.items[0].id, sizeof(id));
	put("b1", SHA_A, MINUTE, 4, 0, 4, "Passed");
	poll();
	assert_int_equal(got.count, 0);
	struct eyes_item late = {.id = id,
	    .update = {.commit = SHA_A, .state = UPDATE_FAILED},
	    .created_ms = clock_wall_ms()};
	driver->handled(source, &late);
	poll();
	expect(0, SHA_A, UPDATE_SUCCESSFUL, "4 passed");
	assert_true(got.items[0].created_ms > late.created_ms);
}

static void test_unknown_word(void **state)
{
	(void)state;
	put("b1", SHA_A, MINUTE, 4, 0, 4, "Sealed");
	poll();
	expect(0, SHA_A, UPDATE_INPROGRESS, "4 passed, status \"Sealed\"");
}

static void test_paging(void **state)
{
	char id[24], sha[48];

	(void)state;
	page_size = 10;
	for (unsigned i = 0; i < 45; i++) {
		snprintf(id, sizeof(id), "p%u", i);
		snprintf(sha, sizeof(sha), "%040x", i);
		put(id, sha, 2 * HOUR, 1, 0, 1, "Passed");
	}
	poll();
	assert_int_equal(got.count, 45);
	assert_int_equal(lists, 1 + 5 + 1);
	assert_false(got.more);
}

/* More pages than a poll asks for: nothing is said before the rest is there. */
static void test_paging_over_polls(void **state)
{
	char id[24];

	(void)state;
	page_size = 10;
	for (unsigned i = 0; i < 600; i++) {
		snprintf(id, sizeof(id), "p%u", i);
		put(id, SHA_A, 2 * HOUR, 1, 0, 1, "nothing of ours");
		snprintf(batches[i].pointer, sizeof(batches[i].pointer), "x%u", i);
	}
	snprintf(batches[0].pointer, sizeof(batches[0].pointer), SHA_A);
	snprintf(batches[0].word, sizeof(batches[0].word), "Passed");
	put("p599", SHA_A, 2 * HOUR, 0, 1, 1, "Unresolved");
	poll();
	assert_int_equal(lists, 50);
	assert_int_equal(got.count, 0);
	assert_true(got.more);
	poll();
	assert_int_equal(lists, 1 + 11 + 1);
	assert_false(got.more);
	assert_int_equal(got.count, 1);
	expect(0, SHA_A, UPDATE_FAILED, "1 passed, 1 unresolved");
}

static void test_foreign_link(void **state)
{
	(void)state;
	page_size = 1;
	next_host = "http://evil.example";
	put("b1", SHA_A, MINUTE, 1, 0, 1, "Passed");
	put("b2", SHA_A, MINUTE, 1, 0, 1, "Passed");
	poll();
	assert_string_equal(got.code, "eyes_malformed");
	assert_int_equal(got.count, 0);
	next_host = "";
	poll();
	expect(0, SHA_A, UPDATE_SUCCESSFUL, "2 passed");
}

static void test_failures(void **state)
{
	static const struct {
		int status;
		const char *code;
	} table[] = {
	    {500, "eyes_5xx"}, {401, "key_unknown"}, {404, "eyes_4xx"}, {429, "rate_limited"}};

	(void)state;
	put("b1", SHA_A, MINUTE, 1, 0, 1, "Passed");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		list_status = table[i].status;
		poll();
		assert_string_equal(got.code, table[i].code);
		assert_int_equal(got.count, 0);
	}
	list_status = 200;
	single_status = 503;
	poll();
	assert_string_equal(got.code, "eyes_5xx");
	poll();
	assert_string_equal(got.code, "eyes_5xx");
	/* One batch that never answers must not hold its status up: then it leads to the server's
	 * own page. */
	poll();
	assert_string_equal(got.code, "");
	expect(0, SHA_A, UPDATE_SUCCESSFUL, "1 passed");
	assert_true(strncmp(got.items[0].url, "http://127.0.0.1:", 17) == 0);
}

/* A red batch that was deleted in Eyes does not count any more. */
static void test_deleted(void **state)
{
	(void)state;
	struct batch *red = put("red", SHA_A, 5 * HOUR, 1, 1, 2, "Unresolved");
	poll();
	expect(0, SHA_A, UPDATE_FAILED, "1 passed, 1 unresolved");
	red->gone = true;
	put("green", SHA_A, MINUTE, 4, 0, 4, "Passed");
	poll();
	expect(0, SHA_A, UPDATE_SUCCESSFUL, "4 passed");
	assert_string_equal(got.items[0].url, "https://eyes.example/green");
}

/* An old one that is still open is looked at in every poll; when it ends, its part is listed at
 * once. */
static void test_open_ones(void **state)
{
	(void)state;
	put("slow", SHA_A, 3 * HOUR, 1, 0, 4, "Running");
	poll();
	expect(0, SHA_A, UPDATE_INPROGRESS, "1 passed, 3 running");
	poll();
	assert_int_equal(lists, 1);
	assert_int_equal(singles, 1);
	put("slow", SHA_A, 3 * HOUR, 4, 0, 4, "Passed");
	poll();
	assert_int_equal(lists, 2);
	expect(0, SHA_A, UPDATE_SUCCESSFUL, "4 passed");
	poll();
	assert_int_equal(lists, 1);
	assert_int_equal(singles, 0);
}

/* Our clock is two days off: the server's counts. */
static void test_clock(void **state)
{
	(void)state;
	clock_error_ms = -2 * DAY;
	put("b1", SHA_A, MINUTE, 4, 0, 4, "Passed");
	poll();
	expect(0, SHA_A, UPDATE_SUCCESSFUL, "4 passed");
	assert_true(got.items[0].created_ms < clock_wall_ms() - DAY);
	poll();
	assert_int_equal(lists, 1);
}

static void test_too_many_works(void **state)
{
	(void)state;
	/* More than fit are brought by and by. */
	handle = false;
	for (unsigned i = 0; i < 690; i++) {
		char id[24], sha[48];
		snprintf(id, sizeof(id), "p%u", i);
		snprintf(sha, sizeof(sha), "%040x", i);
		put(id, sha, MINUTE, 1, 0, 1, "Passed");
	}
	unsigned polls = 0;
	do {
		poll();
		assert_string_equal(got.code, "");
		assert_true(singles <= 64);
	} while (got.more && polls++ < 20);
	assert_int_equal(polls, 10);
	assert_int_equal(got.count, 690);
	handle = true;
	poll();
	assert_int_equal(got.count, 690);
	poll();
	assert_int_equal(got.count, 0);
	assert_int_equal(singles, 0);
}

static void test_destroying(void **state)
{
	(void)state;
	/* At every call of a poll. */
	put("b1", SHA_A, MINUTE, 4, 0, 4, "Passed");
	put("b2", SHA_B, 3 * HOUR, 1, 0, 4, "Running");
	for (unsigned calls = 0; calls < 6; calls++) {
		unsigned before = peer.count;
		driver->poll(source, NULL, 0, true, polled, NULL);
		stop_at = before + calls;
		if (calls > 0)
			peer_run(&peer);
		stop_at = 0;
		row_count = 0;
		restart();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_life_of_a_batch, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_green_does_not_hide_red, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_first_use, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_crash_before_handled, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_changed_back_before_handled, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_unknown_word, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_paging, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_paging_over_polls, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_foreign_link, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_failures, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_deleted, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_open_ones, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_clock, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_too_many_works, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_destroying, set_up, tear_down),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
