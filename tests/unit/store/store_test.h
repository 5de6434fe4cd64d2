/* What the tests of the store share: a folder of their own, a loop and a database. */
#ifndef UNIT_STORE_TEST_H
#define UNIT_STORE_TEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem, nftw */
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "store/db.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define STORE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define STORE_SANITIZED 1
#endif
#endif
#ifndef STORE_SANITIZED
#define STORE_SANITIZED 0
#endif

#define STORE_SIZE (UINT64_C(16) << 20)

struct store {
	char folder[64];
	struct loop *loop;
	struct db *db;
	struct err err;
};

static inline bool store_try_open(struct store *store, uint64_t size)
{
	struct db_options options = {.directory = store->folder, .size = size};

	err_clear(&store->err);
	store->loop = loop_new(&store->err);
	assert_non_null(store->loop);
	store->db = db_open(store->loop, &options, &store->err);
	if (store->db != NULL)
		return true;
	loop_free(store->loop);
	store->loop = NULL;
	return false;
}

static inline void store_open(struct store *store, uint64_t size)
{
	if (!store_try_open(store, size))
		fail_msg("the store does not open: %s", store->err.message);
}

static inline void store_close(struct store *store)
{
	db_close(store->db);
	loop_free(store->loop);
	store->db = NULL;
	store->loop = NULL;
}

/* In memory where there is room: how long the disk takes is nothing that these tests are about. */
static inline const char *store_above(void)
{
	struct statvfs room;
	bool roomy = access("/dev/shm", W_OK) == 0 && statvfs("/dev/shm", &room) == 0 &&
	             (uint64_t)room.f_bavail * room.f_frsize >= UINT64_C(1) << 30;

	return roomy ? "/dev/shm" : "/tmp";
}

static inline void store_folder(struct store *store)
{
	memset(store, 0, sizeof(*store));
	snprintf(store->folder, sizeof(store->folder), "%s/eyes-scm-store-XXXXXX", store_above());
	assert_non_null(mkdtemp(store->folder));
}

static inline int store_remove_one(
    const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

static inline void store_remove(struct store *store)
{
	nftw(store->folder, store_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void store_begin(struct store *store)
{
	store_folder(store);
	store_open(store, STORE_SIZE);
}

static inline void store_end(struct store *store)
{
	store_close(store);
	store_remove(store);
}

static inline void store_stop_loop(void *arg)
{
	loop_stop(arg);
}

/* Runs one turn that begins after so many ms. */
static inline void store_turn(struct store *store, uint64_t after_ms)
{
	struct loop_timer timer;
	uint64_t until_ms = clock_monotonic_ms() + after_ms;

	loop_timer_init(&timer, store->loop, store_stop_loop, store->loop);
	loop_timer_set(&timer, after_ms);
	do
		loop_run(store->loop);
	while (timer.pending && clock_monotonic_ms() < until_ms + 1000);
	loop_timer_cancel(&timer);
}

static inline void store_commit(struct store *store)
{
	if (!db_commit_now(store->db, &store->err))
		fail_msg("the commit fails: %s", store->err.message);
}

static inline void store_path(const struct store *store, const char *name, char out[128])
{
	snprintf(out, 128, "%s/%s", store->folder, name);
}

/* Whether these bytes stand anywhere in the database file. */
static inline bool store_file_holds(const struct store *store, const char *bytes)
{
	char path[128];
	struct stat status;
	bool found = false;

	store_path(store, "data.mdb", path);
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0 && fstat(fd, &status) == 0);
	char *data = malloc((size_t)status.st_size);
	size_t length = 0;
	assert_non_null(data);
	while (length < (size_t)status.st_size) {
		ssize_t part = read(fd, data + length, (size_t)status.st_size - length);
		if (part <= 0)
			break;
		length += (size_t)part;
	}
	close(fd);
	found = memmem(data, length, bytes, strlen(bytes)) != NULL;
	free(data);
	return found;
}

/* Fills the map until the open group is lost. */
static inline void store_lose_group(struct store *store)
{
	static char big[2000];

	for (unsigned i = 0; i < 100000; i++) {
		char key[16];
		snprintf(key, sizeof(key), "big%08u", i);
		if (!db_put(store->db, DB_AUDIT, key, strlen(key), big, sizeof(big), 0, NULL))
			return;
	}
	fail_msg("the map is never full");
}

/* Kills a child after a short while of at most `most_us` and waits for it. */
static inline void store_kill_soon(pid_t child, unsigned most_us)
{
	int status;

	usleep((useconds_t)((unsigned)rand() % most_us));
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
}

#endif
