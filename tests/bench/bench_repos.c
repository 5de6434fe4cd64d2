/*
 * Puts repositories that are set up into the store of a daemon that has stopped, as enabling them
 * one by one leaves them: GEN<i/100>/repo-<i>, in no order. The last word is their token.
 *
 *   bench_repos STATE-FOLDER SERVER COUNT TOKEN
 */
#include "base/clock.h"
#include "store/records.h"
#include "store/vault.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP = 1000, STEP = 7919 }; /* a prime, so that each number comes once */

static void check(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "bench_repos: %s\n", what);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct loop *loop = loop_new(&err);
	struct db_options options = {
	    .directory = argc > 1 ? argv[1] : "", .size = UINT64_C(256) << 20};
	struct secret token = {0};

	check(argc == 5, "expected STATE-FOLDER SERVER COUNT TOKEN");
	struct db *db = loop != NULL ? db_open(loop, &options, &err) : NULL;
	struct vault *vault = db != NULL ? vault_open(db, NULL, NULL, &err) : NULL;
	struct records *records = vault != NULL ? records_open(db, vault, &err) : NULL;
	check(records != NULL, err.message);
	secret_set(&token, argv[4], strlen(argv[4]));
	unsigned long count = strtoul(argv[3], NULL, 10);
	for (unsigned long i = 0; i < count; i++) {
		unsigned long number = i * STEP % count;
		char project[32], slug[32], name[64];
		struct record_repo repo = {
		    .server = (uint32_t)strtoul(argv[2], NULL, 10),
		    .project = project,
		    .slug = slug,
		    .name = name,
		    .state = REPO_ENABLED,
		    .owner = "build-bot",
		    .admin = true,
		    .error = "",
		    .error_code = "",
		    .enabled_ms = clock_wall_ms(),
		    .webhook = "",
		};

		snprintf(project, sizeof(project), "GEN%lu", number / 100);
		snprintf(slug, sizeof(slug), "repo-%lu", number);
		snprintf(name, sizeof(name), "Repository %lu", number);
		check(records_put_repo(records, &repo, &token, &err), err.message);
		if (i % GROUP == 0)
			check(db_commit_now(db, &err), err.message);
	}
	check(db_commit_now(db, &err), err.message);
	secret_free(&token);
	records_close(records);
	vault_close(vault);
	db_close(db);
	loop_free(loop);
	return 0;
}
