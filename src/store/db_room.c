#include "store/db_internal.h"

#include "base/clock.h"
#include "base/metrics.h"

enum { FRESH_MS = 100, FRESH_WRITES = 256 }; /* how long a look at the pages holds */

static struct metric used_gauge =
    METRIC(METRIC_GAUGE, "eyes_scm_store_used_percent", "", "Pages of the store in use");

static size_t pages_of(MDB_txn *txn, MDB_dbi table, uint64_t *entries)
{
	MDB_stat stat;

	if (mdb_stat(txn, table, &stat) != 0)
		return 0;
	if (entries != NULL)
		*entries = stat.ms_entries;
	return stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
}

uint64_t db_count(struct db *db, enum db_table table)
{
	uint64_t entries = 0;

	if (db_read_begin(db) == 0)
		pages_of(db_reader(db), db->tables[table], &entries);
	return entries;
}

/* Counts the pages that are in use instead of walking the list of free ones. */
static void count_used(struct db *db)
{
	MDB_stat stat;

	if (db_read_begin(db) != 0 || mdb_env_stat(db->env, &stat) != 0) {
		db->page_size = 1;
		db->used_pages = db->size;
		return;
	}
	db->page_size = stat.ms_psize;
	db->used_pages = 2;                   /* LMDB's own two */
	for (MDB_dbi own = 0; own < 2; own++) /* the list of free pages, the list of tables */
		db->used_pages += pages_of(db_reader(db), own, NULL);
	for (int table = 0; table < DB_TABLES; table++)
		db->used_pages += pages_of(db_reader(db), db->tables[table], NULL);
}

static unsigned percent(const struct db *db, uint64_t pages)
{
	uint64_t of_all = pages * 100 / (db->size / db->page_size);

	return of_all < 100 ? (unsigned)of_all : 100;
}

unsigned db_used_percent(struct db *db)
{
	uint64_t now_ms = clock_monotonic_ms(), most = db_group_most(db);
	bool fresh = db->used_ms != 0 && db->used_commits == db->commits + db->lost &&
	             now_ms - db->used_ms < FRESH_MS &&
	             db->writes - db->used_writes < (most < FRESH_WRITES ? most : FRESH_WRITES);

	if (!fresh) {
		count_used(db);
		db->used_ms = now_ms;
		db->used_commits = db->commits + db->lost;
		db->used_writes = db->writes;
		metric_set(&used_gauge, percent(db, db->used_pages));
	}
	return percent(db, db->used_pages);
}

bool db_full(struct db *db)
{
	return db_used_percent(db) >= DB_FULL_PERCENT;
}

bool db_has_room(struct db *db, uint64_t bytes)
{
	return !db_full(db) &&
	       percent(db, db->used_pages + bytes / db->page_size) < DB_FULL_PERCENT;
}
