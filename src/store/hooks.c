#include "store/hooks.h"

#include "base/codec.h"
#include "base/mem.h"
#include "base/pack.h"
#include "store/gap.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSTANCE_KEY "instance"
#define GIVEN_KEY "hooks/given"
#define ROW_LIMIT (64 << 10)

enum { STATES = HOOK_REMOVING + 1, SECRET_BYTES = 32 };
enum { FLAG_BY_HAND = 1, FLAG_RELAY = 2, FLAG_SECRET_THERE = 4 };

struct hooks {
	struct db *db;
	struct vault *vault;
	char instance[HOOKS_INSTANCE + 1];
	uint64_t states[STATES];
	struct gap gap;
	struct buf row, sealed, sealed_old;
};

const char *hook_state_name(enum hook_state state)
{
	static const char *const names[STATES] = {
	    [HOOK_NEW] = "new",
	    [HOOK_OK] = "ok",
	    [HOOK_FAILING] = "failing",
	    [HOOK_MANUAL] = "manual",
	    [HOOK_BROKEN] = "broken",
	    [HOOK_CONFLICT] = "conflict",
	    [HOOK_REMOVING] = "removing",
	};

	return (unsigned)state < STATES ? names[state] : "unknown";
}

/* ---- rows ---- */

/* The secrets of a row as the vault sealed them (length 0: there is none), and what is known of
 * them. */
struct sealed {
	struct db_bytes current, old;
	bool there; /* the server is known to have the current one */
	int64_t old_until_ms;
};

static enum hook_state unpack_state(const struct db_bytes *row)
{
	const unsigned char *bytes = row->data;

	return row->length > 0 && bytes[0] < STATES ? (enum hook_state)bytes[0] : HOOK_NEW;
}

static void pack(struct buf *out, const struct record_hook *hook, const struct sealed *sealed)
{
	buf_reset(out);
	pack_u8(out, (uint8_t)hook->state); /* first: counting looks at it alone */
	pack_u8(out, (uint8_t)((hook->by_hand ? FLAG_BY_HAND : 0) | (hook->relay ? FLAG_RELAY : 0) |
	                       (sealed->there ? FLAG_SECRET_THERE : 0)));
	pack_u64(out, (uint64_t)hook->checked_ms);
	pack_u64(out, (uint64_t)hook->changed_ms);
	pack_u64(out, (uint64_t)hook->delivered_ms);
	pack_u64(out, (uint64_t)hook->failed_ms);
	for (int i = 0; i < HOOKS_REPAIRS; i++)
		pack_u64(out, (uint64_t)hook->repairs[i]);
	pack_u64(out, (uint64_t)sealed->old_until_ms);
	pack_bytes(out, sealed->current.data, sealed->current.length);
	pack_bytes(out, sealed->old.data, sealed->old.length);
	pack_string(out, hook->id);
	pack_string(out, hook->url);
	pack_string(out, hook->events);
	pack_string(out, hook->code);
	pack_string(out, hook->error);
	pack_string(out, hook->hint);
}

/* Strings and secrets point into the row. */
static bool unpack(
    uint32_t repo, const struct db_bytes *row, struct record_hook *hook, struct sealed *sealed)
{
	struct unpack u;

	unpack_init(&u, row->data, row->length);
	uint8_t state = unpack_u8(&u), flags = unpack_u8(&u);
	*hook = (struct record_hook){
	    .repo = repo,
	    .state = state,
	    .by_hand = (flags & FLAG_BY_HAND) != 0,
	    .relay = (flags & FLAG_RELAY) != 0,
	};
	hook->checked_ms = (int64_t)unpack_u64(&u);
	hook->changed_ms = (int64_t)unpack_u64(&u);
	hook->delivered_ms = (int64_t)unpack_u64(&u);
	hook->failed_ms = (int64_t)unpack_u64(&u);
	for (int i = 0; i < HOOKS_REPAIRS; i++)
		hook->repairs[i] = (int64_t)unpack_u64(&u);
	sealed->there = (flags & FLAG_SECRET_THERE) != 0;
	sealed->old_until_ms = (int64_t)unpack_u64(&u);
	sealed->current.data = unpack_bytes(&u, &sealed->current.length);
	sealed->old.data = unpack_bytes(&u, &sealed->old.length);
	hook->has_secret = sealed->current.length > 0;
	hook->secret_there = sealed->there;
	hook->old_until_ms = sealed->old_until_ms;
	hook->id = unpack_string(&u);
	hook->url = unpack_string(&u);
	hook->events = unpack_string(&u);
	hook->code = unpack_string(&u);
	hook->error = unpack_string(&u);
	hook->hint = unpack_string(&u);
	return !u.bad && state < STATES;
}

/* 1, 0 when it is not there, -1. */
static int get(struct hooks *hooks, uint32_t repo, struct record_hook *hook, struct sealed *sealed)
{
	struct db_bytes key, row;
	int is = gap_find(&hooks->gap, repo, &key, &row);

	if (is != 1)
		return is;
	return unpack(repo, &row, hook, sealed) ? 1 : -1;
}

static bool not_had(int is, uint32_t repo, struct err *err)
{
	if (is < 0)
		return err_set(err, "store_failed",
		    "what is known of the webhook of repository %lu cannot be read",
		    (unsigned long)repo);
	return err_set(
	    err, "not_found", "repository %lu has no webhook of ours", (unsigned long)repo);
}

/* Puts the row in place of the one in state `before`; -1: there was none. */
static bool put(struct hooks *hooks, const struct record_hook *hook, const struct sealed *sealed,
    int before, struct err *err)
{
	unsigned char key[4];

	pack(&hooks->row, hook, sealed);
	if (hooks->row.overflow)
		return err_set(err, "too_long", "what is to be stored of a webhook is too long");
	pack_key_u32(key, hook->repo);
	if (!db_put(
	        hooks->db, DB_HOOK, key, sizeof(key), hooks->row.data, hooks->row.length, 0, err))
		return false;
	if (before >= 0)
		hooks->states[before]--;
	hooks->states[hook->state]++;
	return true;
}

/* ---- opening, and after a lost group ---- */

static void count_states(void *arg)
{
	struct hooks *hooks = arg;
	struct db_cursor *cursor = db_cursor_open(hooks->db, DB_HOOK);
	struct db_bytes key, row;

	memset(hooks->states, 0, sizeof(hooks->states));
	while (db_next(cursor, &key, &row))
		hooks->states[unpack_state(&row)]++;
	db_cursor_close(cursor);
}

/* Made at the first open. */
static bool load_instance(struct hooks *hooks, struct err *err)
{
	unsigned char random[HOOKS_INSTANCE / 2];
	struct db_bytes row;
	int is = db_get(hooks->db, DB_META, INSTANCE_KEY, strlen(INSTANCE_KEY), &row);

	if (is == 1 && row.length == HOOKS_INSTANCE) {
		memcpy(hooks->instance, row.data, HOOKS_INSTANCE);
		if (codec_is_hex(hooks->instance, HOOKS_INSTANCE))
			return true;
	}
	if (is != 0)
		return err_set(
		    err, "store_corrupt", "this instance's id in the store cannot be read");
	crypto_random(random, sizeof(random));
	codec_hex_encode(hooks->instance, random, sizeof(random));
	return db_put(hooks->db, DB_META, INSTANCE_KEY, strlen(INSTANCE_KEY), hooks->instance,
	           HOOKS_INSTANCE, 0, err) &&
	       db_commit_now(hooks->db, err);
}

struct hooks *hooks_open(struct db *db, struct vault *vault, struct err *err)
{
	struct hooks *hooks = mem_zero(sizeof(*hooks));

	hooks->db = db;
	hooks->vault = vault;
	gap_init(&hooks->gap, db, DB_HOOK);
	buf_init(&hooks->row, ROW_LIMIT);
	buf_init(&hooks->sealed, ROW_LIMIT);
	buf_init(&hooks->sealed_old, ROW_LIMIT);
	if (!load_instance(hooks, err)) {
		hooks_close(hooks);
		return NULL;
	}
	count_states(hooks);
	db_on_lost(db, count_states, hooks);
	return hooks;
}

void hooks_close(struct hooks *hooks)
{
	if (hooks == NULL)
		return;
	db_forget(hooks->db, hooks);
	buf_free(&hooks->row);
	buf_free(&hooks->sealed);
	buf_free(&hooks->sealed_old);
	free(hooks);
}

const char *hooks_instance(const struct hooks *hooks)
{
	return hooks->instance;
}

/* ---- rows for others ---- */

bool hooks_get(struct hooks *hooks, uint32_t repo, struct record_hook *out)
{
	struct sealed sealed;

	return get(hooks, repo, out, &sealed) == 1;
}

bool hooks_put(struct hooks *hooks, const struct record_hook *row, struct err *err)
{
	struct sealed sealed = {.current = {"", 0}, .old = {"", 0}};
	struct record_hook old = {0};
	int is = get(hooks, row->repo, &old, &sealed);

	if (is < 0)
		return not_had(is, row->repo, err);
	return put(hooks, row, &sealed, is == 1 ? (int)old.state : -1, err);
}

bool hooks_remove(struct hooks *hooks, uint32_t repo, struct err *err)
{
	unsigned char key[4];
	struct db_bytes row;

	pack_key_u32(key, repo);
	int is = db_get(hooks->db, DB_HOOK, key, sizeof(key), &row);
	if (is < 0)
		return not_had(is, repo, err);
	if (is == 0)
		return true;
	enum hook_state state = unpack_state(&row);
	if (!db_del(hooks->db, DB_HOOK, key, sizeof(key), 0, err))
		return false;
	hooks->states[state]--;
	return true;
}

bool hooks_next(struct hooks *hooks, uint32_t after, struct record_hook *out)
{
	struct db_bytes found, row;
	struct sealed sealed;
	unsigned char key[4];

	while (after < UINT32_MAX) {
		pack_key_u32(key, after + 1);
		if (db_find_at(hooks->db, DB_HOOK, key, sizeof(key), &found, &row) != 1 ||
		    found.length != sizeof(key))
			return false;
		after = unpack_key_u32(found.data);
		if (unpack(after, &row, out, &sealed))
			return true; /* a damaged row is passed over */
	}
	return false;
}

uint64_t hooks_count(struct hooks *hooks, enum hook_state state)
{
	return (unsigned)state < STATES ? hooks->states[state] : 0;
}

/* ---- secrets ---- */

static void words(char row[32], uint32_t repo)
{
	snprintf(row, 32, "hook/%lu", (unsigned long)repo);
}

static bool open_sealed(struct hooks *hooks, uint32_t repo, const char *field,
    const struct db_bytes *sealed, struct secret *secret, struct err *err)
{
	char row[32];

	words(row, repo);
	return vault_open_sealed(
	    hooks->vault, "hook", row, field, sealed->data, sealed->length, secret, err);
}

static struct db_bytes seal(struct hooks *hooks, uint32_t repo, const char *field,
    const struct secret *secret, struct buf *out)
{
	char row[32];

	words(row, repo);
	buf_reset(out);
	vault_seal(hooks->vault, "hook", row, field, secret, out);
	return (struct db_bytes){.data = out->data, .length = out->length};
}

static struct db_bytes seal_new(struct hooks *hooks, uint32_t repo)
{
	unsigned char random[SECRET_BYTES];
	char text[2 * SECRET_BYTES + 1];
	struct secret secret = {0};

	crypto_random(random, sizeof(random));
	codec_hex_encode(text, random, sizeof(random));
	secret_set(&secret, text, 2 * SECRET_BYTES);
	struct db_bytes sealed = seal(hooks, repo, "secret", &secret, &hooks->sealed);
	secret_free(&secret);
	crypto_cleanse(random, sizeof(random));
	crypto_cleanse(text, sizeof(text));
	return sealed;
}

bool hooks_make_secret(struct hooks *hooks, uint32_t repo, struct err *err)
{
	struct record_hook hook;
	struct sealed sealed;
	int is = get(hooks, repo, &hook, &sealed);

	if (is != 1)
		return not_had(is, repo, err);
	if (hook.has_secret)
		return true;
	sealed.current = seal_new(hooks, repo);
	sealed.there = false;
	return put(hooks, &hook, &sealed, (int)hook.state, err);
}

/* Whether the old one, not the current one, is what the server has as far as known. */
static bool is_old_there(const struct sealed *sealed, int64_t now_ms)
{
	return sealed->old.length > 0 && now_ms < sealed->old_until_ms && !sealed->there;
}

bool hooks_rotate_secret(struct hooks *hooks, uint32_t repo, int64_t now_ms, struct err *err)
{
	struct secret present = {0};
	struct record_hook hook;
	struct sealed sealed;
	int is = get(hooks, repo, &hook, &sealed);

	if (is != 1)
		return not_had(is, repo, err);
	if (hook.has_secret && !is_old_there(&sealed, now_ms)) {
		if (!open_sealed(hooks, repo, "secret", &sealed.current, &present, err))
			return false;
		sealed.old = seal(hooks, repo, "old_secret", &present, &hooks->sealed_old);
		secret_free(&present);
	}
	if (hook.has_secret)
		sealed.old_until_ms = now_ms + HOOKS_OLD_SECRET_MS;
	sealed.current = seal_new(hooks, repo);
	sealed.there = false;
	return put(hooks, &hook, &sealed, (int)hook.state, err);
}

bool hooks_secret_seen(struct hooks *hooks, uint32_t repo, struct err *err)
{
	struct record_hook hook;
	struct sealed sealed;
	int is = get(hooks, repo, &hook, &sealed);

	if (is != 1)
		return not_had(is, repo, err);
	if (sealed.there || !hook.has_secret)
		return true;
	sealed.there = true;
	return put(hooks, &hook, &sealed, (int)hook.state, err);
}

bool hooks_keep_old(struct hooks *hooks, uint32_t repo, int64_t now_ms, struct err *err)
{
	struct record_hook hook;
	struct sealed sealed;
	int is = get(hooks, repo, &hook, &sealed);

	if (is != 1)
		return not_had(is, repo, err);
	if (sealed.old.length == 0)
		return true;
	if (now_ms < sealed.old_until_ms) {
		sealed.old_until_ms = now_ms + HOOKS_OLD_SECRET_MS;
	} else {
		sealed.old.length = 0;
		sealed.old_until_ms = 0;
	}
	return put(hooks, &hook, &sealed, (int)hook.state, err);
}

bool hooks_secret(struct hooks *hooks, uint32_t repo, int64_t now_ms, struct secret *current,
    struct secret *old, struct err *err)
{
	struct record_hook hook;
	struct sealed sealed;
	int is = get(hooks, repo, &hook, &sealed);

	if (old != NULL)
		secret_free(old);
	if (is < 0)
		return not_had(is, repo, err);
	if (is == 0 || !hook.has_secret)
		return err_set(err, "no_secret", "the webhook of repository %lu has no secret",
		    (unsigned long)repo);
	if (!open_sealed(hooks, repo, "secret", &sealed.current, current, err))
		return false;
	if (old == NULL || sealed.old.length == 0 || now_ms >= hook.old_until_ms)
		return true;
	if (open_sealed(hooks, repo, "old_secret", &sealed.old, old, err))
		return true;
	secret_free(current);
	return false;
}

/* ---- the secret that direct webhooks share ---- */

static bool put_given(struct hooks *hooks, const struct secret *now, struct err *err)
{
	buf_reset(&hooks->sealed);
	if (now->length > 0)
		vault_seal(hooks->vault, "meta", GIVEN_KEY, "secret", now, &hooks->sealed);
	if (hooks->sealed.overflow)
		return err_set(err, "too_long", "the secret of webhooks is too long");
	return db_put(hooks->db, DB_META, GIVEN_KEY, strlen(GIVEN_KEY),
	    hooks->sealed.length > 0 ? hooks->sealed.data : "", hooks->sealed.length, 0, err);
}

/* A damaged row is as good as another secret: it is replaced. */
static bool is_given(struct hooks *hooks, const struct db_bytes *row, const struct secret *now)
{
	struct secret given = {0};
	bool same;

	if (row->length == 0)
		return now->length == 0;
	if (!vault_open_sealed(
	        hooks->vault, "meta", GIVEN_KEY, "secret", row->data, row->length, &given, NULL))
		return false;
	same = secret_equal(&given, now);
	secret_free(&given);
	return same;
}

bool hooks_given_changed(
    struct hooks *hooks, const struct secret *now, bool *changed, struct err *err)
{
	static const struct secret none = {0};
	struct db_bytes row;
	int is = db_get(hooks->db, DB_META, GIVEN_KEY, strlen(GIVEN_KEY), &row);
	uint64_t rows = 0;

	*changed = false;
	if (is < 0)
		return err_set(
		    err, "store_failed", "the secret that webhooks were given last cannot be read");
	if (now == NULL)
		now = &none;
	if (is == 1 && is_given(hooks, &row, now))
		return true;
	for (unsigned i = 0; i < STATES; i++)
		rows += hooks->states[i];
	*changed = is == 1 || (rows > 0 && now->length > 0);
	return put_given(hooks, now, err);
}
