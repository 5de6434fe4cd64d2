#include "store/gap.h"

#include "base/pack.h"

#define END (UINT64_C(1) << 32) /* behind the last number */

void gap_init(struct gap *gap, struct db *db, enum db_table table)
{
	*gap = (struct gap){.db = db, .table = table};
}

static uint64_t number_of(const struct db_bytes *key)
{
	return key->length >= sizeof(uint32_t) ? unpack_key_u32(key->data) : 0;
}

int gap_find(struct gap *gap, uint32_t number, struct db_bytes *found, struct db_bytes *value)
{
	uint64_t changes = db_changes(gap->db), next;
	unsigned char key[4];
	int is;

	if (changes == gap->changes && number >= gap->from && number < gap->to)
		return 0;
	pack_key_u32(key, number);
	is = db_find_at(gap->db, gap->table, key, sizeof(key), found, value);
	if (is < 0)
		return is;
	next = is == 1 ? number_of(found) : END;
	if (next == number)
		return 1;
	gap->changes = changes;
	gap->from = number;
	gap->to = next;
	return 0;
}
