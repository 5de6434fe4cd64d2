#include "store/audit.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/pack.h"
#include "store/ring.h"
#include <stdlib.h>

enum { ROW_MAX = 16 << 10 };

struct audit {
	struct ring ring;
};

struct audit *audit_open(struct db *db, uint64_t limit, struct err *err)
{
	struct audit *audit = mem_zero(sizeof(*audit));

	if (ring_open(&audit->ring, db, DB_AUDIT, limit, err))
		return audit;
	free(audit);
	return NULL;
}

void audit_close(struct audit *audit)
{
	free(audit);
}

bool audit_add(struct audit *audit, const char *who, const char *action, const char *subject,
    const char *detail, struct err *err)
{
	struct buf row;

	buf_init(&row, ROW_MAX);
	pack_u64(&row, (uint64_t)clock_wall_ms());
	pack_string(&row, who);
	pack_string(&row, action);
	pack_string(&row, subject);
	pack_string(&row, detail);
	bool done = row.overflow
	                ? err_set(err, "store_failed", "the words for the audit are too long")
	                : ring_add(&audit->ring, row.data, row.length, 0, err) > 0;
	buf_free(&row);
	return done;
}

struct visit {
	audit_fn *fn;
	void *arg;
};

static bool visit_row(uint64_t number, const struct db_bytes *bytes, void *arg)
{
	const struct visit *visit = arg;
	struct audit_row row = {.number = number};
	struct unpack u;

	unpack_init(&u, bytes->data, bytes->length);
	row.time_ms = (int64_t)unpack_u64(&u);
	row.who = unpack_string(&u);
	row.action = unpack_string(&u);
	row.subject = unpack_string(&u);
	row.detail = unpack_string(&u);
	return u.bad || visit->fn(&row, visit->arg);
}

void audit_latest(struct audit *audit, unsigned most, audit_fn *fn, void *arg)
{
	struct visit visit = {.fn = fn, .arg = arg};

	ring_latest(&audit->ring, most, visit_row, &visit);
}

unsigned audit_trim(struct audit *audit, unsigned most)
{
	return ring_trim(&audit->ring, most);
}
