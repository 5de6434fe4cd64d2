/* Bounds, large bodies, lost groups and crashes of events. */
#include "unit/store/events_test.h"

#include "base/mem.h"

enum { MIB = 1 << 20 };

/* Bytes that differ from place to place, so that a piece in the wrong place shows. */
static char *make_body(size_t length, unsigned seed)
{
	char *body = mem_zero(length + 1);

	for (size_t i = 0; i < length; i++) {
		seed = seed * 1103515245u + 12345u;
		body[i] = (char)(seed >> 16);
	}
	return body;
}

/* ---- what may wait ---- */

static void put_until_full(struct tray *tray, uint64_t entries, uint64_t bytes)
{
	uint64_t before;

	do
		before = tray_bytes(tray);
	while (tray_try(tray, (struct told){.lane = 1}, NULL, NULL) == EVENTS_PUT_NEW);
	assert_true(tray_bytes(tray) == before);
	assert_true(before <= bytes);
	assert_true(events_count_lane(tray->events, 1, UINT64_MAX) <= entries);
}

static void test_entries_and_bytes_are_bounded(void **state)
{
	struct tray tray;
	struct events_counts counts;

	(void)state;
	tray_begin(&tray);
	tray.options.limit = 10;
	tray_again(&tray);
	put_until_full(&tray, 10, UINT64_MAX);
	events_count(tray.events, &counts);
	assert_int_equal(counts.waiting, 10);
	/* Full changes nothing: it is not known afterwards. */
	struct told told = {.lane = 2, .id = "r"};
	assert_int_equal(tray_try(&tray, told, NULL, NULL), EVENTS_PUT_FULL);
	assert_int_equal(tray_try(&tray, told, NULL, NULL), EVENTS_PUT_FULL);
	assert_int_equal(tray_remembers(&tray), 0);
	assert_true(tray_done(&tray, 1, tray_first(&tray, 1)));
	tray_put(&tray, told);
	assert_int_equal(tray_try(&tray, told, NULL, NULL), EVENTS_PUT_KNOWN); /* though full */
	/* By bytes. */
	uint64_t one = counts.bytes / 10;
	tray.options.limit = 1000;
	tray.options.limit_bytes = 20 * one + one / 2;
	tray_again(&tray);
	put_until_full(&tray, 1000, tray.options.limit_bytes);
	assert_int_equal(tray_bytes(&tray) / one, 20);
	/* A dead one stays where it is while there is no room for it. */
	uint32_t lane;
	uint64_t dead = tray_first(&tray, 1);
	assert_true(tray_die(&tray, 1, dead));
	tray_put(&tray, (struct told){.lane = 1});
	assert_false(events_retry(tray.events, dead, &lane, &tray.store.err));
	assert_true(err_is(&tray.store.err, "store_full"));
	assert_true(tray_find(&tray, dead, true).found);
	tray_end(&tray);
}

static void test_a_full_store_takes_nothing_and_gives_everything(void **state)
{
	struct tray tray;
	char *body = make_body(2500, 1);
	unsigned put = 0, done = 0;
	uint64_t number;

	(void)state;
	tray_begin_sized(&tray, 2 * MIB);
	struct told told = {.lane = 1, .body = body, .length = 2500};
	while (tray_try(&tray, told, NULL, &tray.store.err) == EVENTS_PUT_NEW)
		if (++put % 4 == 0)
			store_commit(&tray.store);
	assert_int_equal(db_lost(tray.store.db), 0);
	assert_true(db_used_percent(tray.store.db) <= DB_FULL_PERCENT + 5);
	assert_true(put > 100);
	store_commit(&tray.store);
	/* With room for a small one there may be none for a larger one. */
	for (int i = 0; i < 20; i++)
		assert_true(tray_done(&tray, 1, tray_first(&tray, 1)));
	store_commit(&tray.store);
	char *large = make_body(MIB, 1);
	assert_int_equal(
	    tray_try(&tray, (struct told){.lane = 1, .body = large, .length = MIB}, NULL, NULL),
	    EVENTS_PUT_FULL);
	tray_put(&tray, told);
	while ((number = tray_first(&tray, 1)) != 0) {
		assert_true(
		    done % 2 == 0 ? tray_die(&tray, 1, number) : tray_done(&tray, 1, number));
		if (++done % 4 == 0)
			store_commit(&tray.store);
		events_trim(tray.events, clock_wall_ms(), 100); /* DEAD: a quarter */
	}
	assert_int_equal(db_lost(tray.store.db), 0);
	assert_int_equal(done, put - 20 + 1);
	assert_int_equal(tray_bytes(&tray), 0);
	free(body);
	free(large);
	tray_end(&tray);
}

/* ---- large bodies ---- */

static void test_large_bodies_go_through(void **state)
{
	static const size_t lengths[] = {2000, 2500, 65000, 65536, 100000, MIB, 10 * MIB};
	struct event_entry entry;
	struct tray tray;
	uint32_t lane;

	(void)state;
	tray_begin_sized(&tray, 64 * MIB);
	for (unsigned i = 0; i < 7; i++) {
		char *body = make_body(lengths[i], i);
		struct told told = {.lane = 1, .id = "r", .body = body, .length = lengths[i]};
		uint64_t number = tray_put(&tray, told);
		if (i % 2 == 0)
			tray_again(&tray);
		assert_true(events_first(tray.events, 1, &entry));
		assert_int_equal(entry.body_length, lengths[i]);
		assert_memory_equal(entry.body, body, lengths[i]);
		/* The same on the way to DEAD and back. */
		assert_true(tray_die(&tray, 1, number));
		if (i % 2 == 1)
			store_commit(&tray.store);
		assert_int_equal(tray_find(&tray, number, true).length, lengths[i]);
		assert_true(events_retry(tray.events, number, &lane, &tray.store.err));
		store_commit(&tray.store);
		assert_true(events_first(tray.events, 1, &entry));
		assert_int_equal(entry.body_length, lengths[i]);
		assert_memory_equal(entry.body, body, lengths[i]);
		assert_true(tray_done(&tray, 1, entry.number));
		tray_holds(&tray, 0, 0);
		free(body);
	}
	assert_int_equal(db_lost(tray.store.db), 0);
	tray_end(&tray);
}

/* Free pages that lie scattered hold no large body: it is refused, and nobody else suffers. */
static void test_no_room_in_one_piece(void **state)
{
	struct tray tray;
	char *small = make_body(3000, 1), *large = make_body(300000, 2);
	uint64_t numbers[800];
	unsigned put = 0;

	(void)state;
	tray_begin_sized(&tray, 2 * MIB);
	tray.options.limit_bytes = 100 * MIB;
	tray_again(&tray);
	struct told told = {.lane = 1, .body = small, .length = 3000};
	while (put < 800 && tray_try(&tray, told, &numbers[put], NULL) == EVENTS_PUT_NEW)
		if (++put % 4 == 0)
			store_commit(&tray.store);
	store_commit(&tray.store);
	assert_in_range(put, 200, 799);
	/* What lies behind the last page used so far is used up too. */
	for (unsigned i = 0; i < 2; i++)
		for (unsigned at = i; at < put; at += 2) {
			if (i == 0)
				assert_true(events_drop(tray.events, numbers[at], 0, NULL));
			else if (at % 4 == 1)
				assert_true(
				    events_failed(tray.events, 1, numbers[at], "busy", "", NULL));
			if (at % 8 < 2)
				store_commit(&tray.store);
		}
	for (unsigned i = 0; i < 20; i++)
		tray_put(&tray, (struct told){.lane = 2, .body = small, .length = 3000});
	store_commit(&tray.store);
	assert_in_range(db_used_percent(tray.store.db), 30, 60);
	uint64_t other = tray_put(&tray, (struct told){.lane = 3, .id = "other"});
	struct told too_large = {.lane = 4, .id = "large", .body = large, .length = 300000};
	unsigned taken = 0; /* the end of the map may hold one or two */
	enum events_put answer;
	while ((answer = tray_try(&tray, too_large, NULL, &tray.store.err)) == EVENTS_PUT_NEW) {
		assert_true(++taken < 4);
		too_large.id = taken == 1 ? "large 1" : taken == 2 ? "large 2" : "large 3";
	}
	assert_int_equal(answer, EVENTS_PUT_FULL);
	assert_true(db_has_room(tray.store.db, 300000)); /* it is not for want of pages */
	assert_int_equal(db_lost(tray.store.db), 0);
	assert_int_equal(tray_try(&tray, too_large, NULL, NULL), EVENTS_PUT_FULL); /* not known */
	tray_again(&tray);
	assert_int_equal(tray_first(&tray, 3), other);
	tray_put(&tray, (struct told){.lane = 3});
	store_commit(&tray.store);
	free(small);
	free(large);
	tray_end(&tray);
}

/* ---- time ---- */

static void test_what_is_too_old_dies(void **state)
{
	int64_t now_ms = clock_wall_ms();
	struct tray tray;

	(void)state;
	tray_begin(&tray);
	uint64_t old[5];
	for (uint32_t lane = 1; lane < 6; lane++) {
		old[lane - 1] = tray_put(
		    &tray, (struct told){.lane = lane, .received_ms = now_ms - HOUR_MS - 1});
		tray_put(&tray, (struct told){.lane = lane, .received_ms = now_ms - HOUR_MS - 1});
		tray_put(&tray, (struct told){.lane = lane, .received_ms = now_ms - HOUR_MS});
		/* Not a first: it waits its turn, old as it is. */
		tray_put(&tray, (struct told){.lane = lane, .received_ms = 1});
	}
	assert_true(events_failed(tray.events, 2, old[1], "busy", "Eyes said 503", NULL));
	assert_int_equal(events_expire(tray.events, now_ms - 1, 100, tray_told, &tray), 0);
	assert_int_equal(tray.count, 0);
	/* Three at a time it goes on where it stopped, and tells each lane. */
	unsigned ended = 0;
	for (int i = 0; i < 20 && ended < 10; i++) {
		unsigned now = events_expire(tray.events, now_ms, 3, tray_told, &tray);
		assert_true(now <= 3);
		ended += now;
	}
	assert_int_equal(ended, 10);
	for (uint32_t lane = 1; lane < 6; lane++) {
		bool told = false;
		for (unsigned i = 0; i < tray.count; i++)
			told |= tray.lanes[i] == lane;
		assert_true(told);
		assert_int_equal(events_count_lane(tray.events, lane, 10), 2);
	}
	tray_holds(&tray, 10, 10);
	struct tray_search seen = tray_find(&tray, old[1], true);
	assert_string_equal(seen.code, "expired");
	assert_int_equal(seen.attempts, 1);
	assert_int_equal(seen.ended_ms, now_ms);
	assert_int_equal(events_expire(tray.events, now_ms, 100, tray_told, &tray), 0);
	tray_again(&tray);
	tray_holds(&tray, 10, 10);
	tray_end(&tray);
}

static void test_large_ones_expire_a_few_at_a_time(void **state)
{
	struct tray tray;
	char *body = make_body(3 * MIB, 1);

	(void)state;
	tray_begin_sized(&tray, 64 * MIB);
	for (uint32_t i = 0; i < 6; i++)
		tray_put(
		    &tray, (struct told){
		               .lane = i / 3, .body = body, .length = 3 * MIB, .received_ms = 1});
	store_commit(&tray.store);
	for (unsigned left = 6; left > 0; left -= 2) {
		assert_int_equal(
		    events_expire(tray.events, clock_wall_ms(), 256, tray_told, &tray), 2);
		store_commit(&tray.store);
		events_trim(tray.events, clock_wall_ms(), 256);
		store_commit(&tray.store);
	}
	tray_holds(&tray, 0, 5); /* a quarter of 64 MiB */
	free(body);
	tray_end(&tray);
}

static void test_the_dead_are_bounded(void **state)
{
	int64_t now_ms = clock_wall_ms();
	struct tray tray;
	char *body = make_body(3000, 1);

	(void)state;
	tray_begin(&tray);
	for (unsigned i = 0; i < 1010; i++)
		assert_true(tray_die(&tray, 1, tray_put(&tray, (struct told){.lane = 1})));
	tray_holds(&tray, 0, 1010);
	assert_int_equal(events_trim(tray.events, now_ms, 4), 4); /* in small pieces */
	assert_int_equal(events_trim(tray.events, now_ms, 100), 6);
	assert_int_equal(events_trim(tray.events, now_ms, 100), 0);
	tray_holds(&tray, 0, 1000);
	assert_false(tray_find(&tray, 10, true).found); /* the oldest went */
	assert_true(tray_find(&tray, 11, true).found);
	/* By bytes: a quarter of what may wait. */
	tray.options.limit_bytes = 400000;
	tray_again(&tray);
	while (events_trim(tray.events, now_ms, 100) > 0)
		;
	for (unsigned i = 0; i < 50; i++)
		assert_true(tray_die(&tray, 1,
		    tray_put(&tray, (struct told){.lane = 1, .body = body, .length = 3000})));
	while (events_trim(tray.events, now_ms, 100) > 0)
		;
	uint64_t left = db_count(tray.store.db, DB_EVENT_DEAD);
	assert_in_range(left, 100000 / 3400, 100000 / 3000);
	/* By time. */
	now_ms = clock_wall_ms();
	assert_int_equal(events_trim(tray.events, now_ms + HOUR_MS - 60000, 100), 0);
	assert_int_equal(events_trim(tray.events, now_ms + HOUR_MS + 1, 100), left);
	tray_holds(&tray, 0, 0);
	free(body);
	tray_end(&tray);
}

static const char *name_of(unsigned i)
{
	static char name[32];

	snprintf(name, sizeof(name), "request-%u", i);
	return name;
}

static void test_what_is_remembered_is_bounded(void **state)
{
	struct tray tray;

	(void)state;
	tray_begin(&tray);
	tray.options.remember = 200;
	tray_again(&tray);
	for (unsigned i = 0; i < 2000; i++) {
		struct told told = {.lane = 1, .id = name_of(i)};
		assert_true(tray_done(&tray, 1, tray_put(&tray, told)));
		if (i % 10 == 0)
			assert_true(tray_remembers(&tray) <= 330);
	}
	tray_again(&tray);
	for (unsigned i = 1900; i < 2000; i++) { /* half of them certainly */
		struct told told = {.lane = 1, .id = name_of(i)};
		assert_int_equal(tray_try(&tray, told, NULL, NULL), EVENTS_PUT_KNOWN);
	}
	tray_put(&tray, (struct told){.lane = 1, .id = name_of(0)});
	tray_end(&tray);
}

/* Rows fill up over commits, lost groups and restarts; each is known once it is put. */
static void test_rows_of_hashes_are_read_again(void **state)
{
	struct tray tray;
	unsigned put = 0;

	(void)state;
	tray_begin(&tray);
	for (unsigned round = 1; round <= 40; round++) {
		for (unsigned i = 0; i < round; i++) {
			struct told told = {.lane = 1, .id = name_of(put++)};
			assert_true(tray_done(&tray, 1, tray_put(&tray, told)));
		}
		if (round % 7 == 0) { /* the group is lost, and what it knew */
			store_commit(&tray.store);
			tray_put(&tray, (struct told){.lane = 2, .id = name_of(put)});
			store_lose_group(&tray.store);
		}
		if (round % 5 == 0)
			tray_again(&tray);
		else
			store_commit(&tray.store);
	}
	assert_int_equal(tray_remembers(&tray), put);
	assert_true(db_count(tray.store.db, DB_EVENT_SEEN) <= put / 100);
	tray_again(&tray);
	for (unsigned i = 0; i < put; i++) {
		struct told told = {.lane = 1, .id = name_of(i)};
		assert_int_equal(tray_try(&tray, told, NULL, NULL), EVENTS_PUT_KNOWN);
	}
	tray_put(&tray, (struct told){.lane = 1, .id = name_of(put)});
	tray_end(&tray);
}

/* Of a generation u8 | hash (16) under which nothing stood: an earlier program's. */
static void test_rows_of_an_earlier_format_go(void **state)
{
	struct tray tray;

	(void)state;
	tray_begin(&tray);
	tray.options.remember = 100;
	for (unsigned i = 0; i < 64; i++) {
		unsigned char key[17] = {(unsigned char)(i % 4), (unsigned char)(i * 37), 9};
		assert_true(db_put(tray.store.db, DB_EVENT_SEEN, key, sizeof(key), "", 0, 0, NULL));
	}
	tray_again(&tray);
	for (unsigned i = 0; i < 400; i++) {
		struct told told = {.lane = 1, .id = name_of(i)};
		assert_true(tray_done(&tray, 1, tray_put(&tray, told)));
		assert_int_equal(tray_try(&tray, told, NULL, NULL), EVENTS_PUT_KNOWN);
		if (i % 10 == 0)
			store_commit(&tray.store);
	}
	assert_true(db_count(tray.store.db, DB_EVENT_SEEN) < 12);
	tray_end(&tray);
}

static void test_it_is_remembered_for_the_ttl(void **state)
{
	int64_t now_ms = clock_wall_ms();
	struct told told = {.lane = 1, .id = "r"};
	struct tray tray;

	(void)state;
	tray_begin(&tray);
	tray_put(&tray, told);
	for (int halves = 1; halves <= 3; halves++) {
		events_trim(tray.events, now_ms + HOUR_MS / 2 * halves, 100);
		store_commit(&tray.store);
		assert_int_equal(tray_try(&tray, told, NULL, NULL), EVENTS_PUT_KNOWN);
		/* Something new in each generation, or it would not turn. */
		tray_put(&tray, (struct told){.lane = 1, .id = name_of((unsigned)halves)});
	}
	for (int hours = 3; hours <= 6; hours++) {
		events_trim(tray.events, now_ms + HOUR_MS * hours, 100);
		store_commit(&tray.store);
		tray_put(&tray, (struct told){.lane = 1, .id = name_of(10u + (unsigned)hours)});
	}
	tray_put(&tray, told); /* forgotten */
	tray_end(&tray);
}

/* ---- lost groups ---- */

static void test_a_lost_group_leaves_all_as_it_was(void **state)
{
	struct event_entry entry;
	struct tray tray;
	uint32_t lane;

	(void)state;
	tray_begin_sized(&tray, 2 * MIB);
	uint64_t one = tray_put(&tray, (struct told){.lane = 1, .id = "1", .body = "one"});
	uint64_t two = tray_put(&tray, (struct told){.lane = 1, .id = "2"});
	uint64_t dead = tray_put(&tray, (struct told){.lane = 2, .id = "3"});
	assert_true(tray_die(&tray, 2, dead));
	assert_true(events_failed(tray.events, 1, one, "busy", "", NULL));
	store_commit(&tray.store);
	uint64_t bytes = tray_bytes(&tray);

	assert_true(tray_done(&tray, 1, one));
	assert_true(tray_die(&tray, 1, two));
	assert_true(events_retry(tray.events, dead, &lane, NULL));
	uint64_t last = tray_put(&tray, (struct told){.lane = 1, .id = "4"});
	assert_true(events_failed(tray.events, 1, last, "slow", "", NULL));
	store_lose_group(&tray.store);
	assert_int_equal(db_lost(tray.store.db), 1);

	tray_holds(&tray, 2, 1);
	assert_int_equal(tray_bytes(&tray), bytes);
	assert_true(events_first(tray.events, 1, &entry));
	assert_int_equal(entry.number, one);
	assert_int_equal(entry.attempts, 1);
	assert_string_equal(entry.code, "busy");
	assert_true(events_is_committed(tray.events, one));
	assert_int_equal(tray_first(&tray, 2), 0);
	/* What was lost is not known, and its number is not given again. */
	assert_true(tray_put(&tray, (struct told){.lane = 1, .id = "4"}) > last);
	assert_int_equal(
	    tray_try(&tray, (struct told){.lane = 1, .id = "1", .body = "one"}, NULL, NULL),
	    EVENTS_PUT_KNOWN);
	tray_again(&tray);
	tray_holds(&tray, 3, 1);
	assert_true(tray_done(&tray, 1, one));
	assert_true(tray_done(&tray, 1, two));
	assert_true(tray_done(&tray, 1, tray_first(&tray, 1)));
	tray_holds(&tray, 0, 1);
	assert_int_equal(tray_bytes(&tray), 0);
	assert_int_equal(db_count(tray.store.db, DB_EVENT), 0);
	tray_end(&tray);
}

/* ---- kill -9 ---- */

enum { CRASH_LANES = 5, CRASH_GROUP = 7 };

struct crash {
	struct tray *tray;
	uint64_t told[2]; /* how many were put, and ended, as the parent is told */
	int pipe;
};

static void on_told(const struct err *err, void *arg);

/* One turn's work: some come in, some go out, some die or fail. */
static void work(struct crash *crash)
{
	struct tray *tray = crash->tray;

	for (unsigned i = 0; i < CRASH_GROUP; i++, crash->told[0]++) {
		struct told told = {.lane = (uint32_t)(crash->told[0] % CRASH_LANES),
		    .id = name_of((unsigned)crash->told[0]),
		    .body = crash->told[0] % 11 == 0 ? make_body(100000, 1) : NULL,
		    .length = crash->told[0] % 11 == 0 ? 100000 : 0};
		if (tray_try(tray, told, NULL, NULL) != EVENTS_PUT_NEW)
			_exit(1);
		if (told.length > 0)
			free((char *)(uintptr_t)told.body);
	}
	/* The ends come in order over all lanes, so that a number tells what ended. */
	for (unsigned i = 0; i < CRASH_GROUP - 1; i++) {
		uint32_t lane = (uint32_t)(crash->told[1] % CRASH_LANES);
		uint64_t first = tray_first(tray, lane);
		if (first == 0 || !events_is_committed(tray->events, first))
			break;
		if (i == 3 && !events_failed(tray->events, lane, first, "busy", "", NULL))
			_exit(1);
		if (!events_done(tray->events, lane, first, i == 2, "", "", NULL))
			_exit(1);
		crash->told[1]++;
	}
	events_trim(tray->events, clock_wall_ms(), 50);
	db_after_commit(tray->store.db, on_told, crash);
}

static void on_told(const struct err *err, void *arg)
{
	struct crash *crash = arg;

	if (err != NULL || write(crash->pipe, crash->told, sizeof(crash->told)) < 0)
		_exit(1);
	work(crash);
}

static void work_until_killed(struct tray *tray, const uint64_t told[2], int pipe)
{
	struct crash crash = {.tray = tray, .told = {told[0], told[1]}, .pipe = pipe};

	store_open(&tray->store, 64 * MIB);
	tray_open_events(tray);
	work(&crash);
	loop_run(tray->store.loop);
}

struct order {
	uint64_t last[CRASH_LANES], bytes, waiting;
	uint64_t lowest; /* of the requests that wait */
};

static bool check_entry(const struct event_entry *entry, bool dead, void *arg)
{
	struct order *order = arg;
	unsigned request = 0;

	assert_false(dead);
	assert_int_equal(sscanf(entry->request_id, "request-%u", &request), 1);
	assert_true(entry->lane < CRASH_LANES);
	assert_int_equal(request % CRASH_LANES, entry->lane);
	/* Nothing is missing in between. */
	if (order->last[entry->lane] != 0)
		assert_int_equal(request + 1, order->last[entry->lane] + CRASH_LANES);
	order->last[entry->lane] = request + 1;
	if (request < order->lowest)
		order->lowest = request;
	order->waiting++;
	return true;
}

static void test_what_was_accepted_survives_kill(void **state)
{
	struct tray tray;
	uint64_t told[2] = {0, 0};

	(void)state;
	tray_begin_sized(&tray, 64 * MIB);
	events_close(tray.events);
	store_close(&tray.store);
	for (int round = 0; round < 8; round++) {
		int pipes[2];
		uint64_t seen[2];
		assert_int_equal(pipe(pipes), 0);
		fflush(stdout);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			close(pipes[0]);
			work_until_killed(&tray, told, pipes[1]);
			_exit(0);
		}
		close(pipes[1]);
		assert_int_equal(read(pipes[0], seen, sizeof(seen)), sizeof(seen));
		store_kill_soon(child, 60000);
		memcpy(told, seen, sizeof(seen));
		while (read(pipes[0], seen, sizeof(seen)) == sizeof(seen))
			memcpy(told, seen, sizeof(seen));
		close(pipes[0]);

		store_open(&tray.store, 64 * MIB);
		tray_open_events(&tray);
		struct order order = {.lowest = UINT64_MAX};
		events_walk(tray.events, false, check_entry, &order);
		/* At most one group beyond what was told; nothing that was told is missing. */
		uint64_t last = 0;
		for (int lane = 0; lane < CRASH_LANES; lane++)
			if (order.last[lane] > last)
				last = order.last[lane];
		assert_in_range(last, told[0], told[0] + CRASH_GROUP);
		assert_in_range(order.lowest, told[1], told[1] + CRASH_GROUP);
		assert_int_equal(order.waiting, last - order.lowest);
		struct events_counts counts;
		events_count(tray.events, &counts);
		assert_int_equal(counts.waiting, order.waiting);
		assert_int_equal(counts.dead, db_count(tray.store.db, DB_EVENT_DEAD));
		/* All that was taken is known. */
		struct told again = {.lane = (uint32_t)((last - 1) % CRASH_LANES),
		    .id = name_of((unsigned)last - 1),
		    .length = 0};
		if ((last - 1) % 11 != 0)
			assert_int_equal(tray_try(&tray, again, NULL, NULL), EVENTS_PUT_KNOWN);
		told[0] = last;
		told[1] = order.lowest;
		events_close(tray.events);
		store_close(&tray.store);
	}
	assert_true(told[1] > 100);
	store_open(&tray.store, 64 * MIB);
	tray_open_events(&tray);
	for (uint32_t lane = 0; lane < CRASH_LANES; lane++)
		for (uint64_t number; (number = tray_first(&tray, lane)) != 0;)
			assert_true(tray_done(&tray, lane, number));
	assert_int_equal(tray_bytes(&tray), 0);
	assert_int_equal(db_count(tray.store.db, DB_EVENT), 0);
	tray_end(&tray);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_entries_and_bytes_are_bounded),
	    cmocka_unit_test(test_a_full_store_takes_nothing_and_gives_everything),
	    cmocka_unit_test(test_large_bodies_go_through),
	    cmocka_unit_test(test_no_room_in_one_piece),
	    cmocka_unit_test(test_what_is_too_old_dies),
	    cmocka_unit_test(test_large_ones_expire_a_few_at_a_time),
	    cmocka_unit_test(test_the_dead_are_bounded),
	    cmocka_unit_test(test_what_is_remembered_is_bounded),
	    cmocka_unit_test(test_rows_of_hashes_are_read_again),
	    cmocka_unit_test(test_rows_of_an_earlier_format_go),
	    cmocka_unit_test(test_it_is_remembered_for_the_ttl),
	    cmocka_unit_test(test_a_lost_group_leaves_all_as_it_was),
	    cmocka_unit_test(test_what_was_accepted_survives_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
