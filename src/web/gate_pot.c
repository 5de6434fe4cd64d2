/* gate_pot: room for bodies on their way in, and who gives way when there is none. */
#include "base/log.h"
#include "base/mem.h"
#include "web/gate_internal.h"
#include <stdlib.h>

struct gate_pot *gate_pot_new(size_t max, size_t share)
{
	struct gate_pot *pot = mem_zero(sizeof(*pot));

	pot->max = max;
	pot->share = share;
	TAILQ_INIT(&pot->bodies);
	return pot;
}

static void pot_end(struct gate_pot *pot)
{
	if (pot->freed && TAILQ_EMPTY(&pot->bodies))
		free(pot);
}

void gate_pot_free(struct gate_pot *pot)
{
	if (pot == NULL)
		return;
	pot->freed = true;
	pot_end(pot);
}

void gate_pot_leave(struct gate_conn *conn)
{
	struct gate_pot *pot = conn->terms.pot;

	if (conn->held_bytes == 0)
		return;
	TAILQ_REMOVE(&pot->bodies, conn, pot_entry);
	pot->used -= conn->held_bytes;
	conn->held_bytes = 0;
	pot_end(pot);
}

/* Closed ones have nothing to lose. NULL: nobody but `asks`, who wants `length` more. */
static struct gate_conn *find_oldest(
    struct gate_pot *pot, const struct gate_conn *asks, size_t length)
{
	struct gate_conn *conn;

	TAILQ_FOREACH(conn, &pot->bodies, pot_entry)
	{
		size_t wanted = conn == asks ? length : 0;

		if (conn->held_bytes + wanted > pot->share || !gate_conn_is_alive(conn))
			return conn;
	}
	return NULL;
}

static void give_way(struct gate_conn *conn)
{
	static struct log_limit limit;

	if (!gate_conn_is_alive(conn)) {
		gate_conn_drop_body(conn);
		return;
	}
	log_limited_warn(&limit, "gate", "a body gave way: too many are on their way",
	    log_uint("bytes", conn->held_bytes));
	gate_conn_refuse(conn, 503, "too many bodies are on their way");
	gate_conn_go_on(conn);
}

bool gate_pot_take(struct gate_conn *conn, size_t length)
{
	struct gate_pot *pot = conn->terms.pot;

	while (pot->used + length > pot->max) {
		struct gate_conn *oldest = find_oldest(pot, conn, length);

		if (oldest == NULL || oldest == conn)
			return false;
		give_way(oldest);
	}
	if (conn->held_bytes == 0)
		TAILQ_INSERT_TAIL(&pot->bodies, conn, pot_entry);
	conn->held_bytes += length;
	pot->used += length;
	return true;
}
