#include "store/audit.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/pack.h"
#include "store/ring.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_MAX = 16 << 10 };

struct audit {
	struct ring ring;
};

static void copy_cut(char out[AUDIT_WHO], const char *text, size_t length)
{
	if (length > AUDIT_WHO - 1)
		length = AUDIT_WHO - 1;
	memcpy(out, text, length);
	out[length] = '\0';
}

void audit_split(const char *text, char who[AUDIT_WHO], char from[AUDIT_WHO])
{
	static const char *const joints[] = {" on the ", " at "};
	const char *at = NULL, *behind = "", *next;

	who[0] = from[0] = '\0';
	if (text[0] == '\0')
		return; /* as in many rows of a long list */
	for (size_t i = 0; i < sizeof(joints) / sizeof(*joints); i++)
		for (next = text; (next = strstr(next, joints[i])) != NULL; next++)
			if (at == NULL || next > at) { /* the last one: names come first */
				at = next;
				behind = next + strlen(joints[i]);
			}
	copy_cut(who, text, at != NULL ? (size_t)(at - text) : strlen(text));
	copy_cut(from, behind, strlen(behind));
}

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
	return ring_trim(&audit->ring, most, NULL, NULL);
}
