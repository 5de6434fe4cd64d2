/*
 * hooks: the webhook of each repository that was ever enabled: what this instance made or wants at
 * the server, its sealed secret, and how it is.
 *
 * What always holds:
 *  - A repository has at most one row; it goes when the webhook is known to be gone and the
 *    repository is not enabled.
 *  - A secret is made here, sealed by the vault, and known in clear only to whoever asks by name.
 *    After it was changed the old one counts for HOOKS_OLD_SECRET_MS more. The old one is the last
 *    that the server is known to have, where there is such a one: changed again before the server
 *    has the present one, that one goes, and the old one stays.
 *  - The instance's id is made once, with the store; it stands in the name and the URL of every
 *    webhook of this instance, so that another instance's are never taken for ours.
 *
 * Writes are urgent, in the open group of db. Strings of a row that was read are borrowed until the
 * next write or the end of the turn; they may be given back in the row that is put.
 *
 * Tables:  HOOK  repository u32 -> row
 *          META  "instance" -> 8 hex digits
 *                "hooks/given" -> the sealed secret of direct webhooks; "" for none
 */
#ifndef STORE_HOOKS_H
#define STORE_HOOKS_H

#include "store/vault.h"

#define HOOKS_OLD_SECRET_MS (3600 * 1000ll)
#define HOOKS_REPAIRS 3 /* of one webhook within HOOKS_REPAIRS_MS, then it is left alone */
#define HOOKS_REPAIRS_MS (24 * 3600 * 1000ll)
#define HOOKS_INSTANCE 8 /* hex digits */

/* How it is; kept in the store: never renumber. */
enum hook_state {
	HOOK_NEW,      /* wanted, not there yet, or not looked at */
	HOOK_OK,       /* as it should be; deliveries, as far as known, arrive */
	HOOK_FAILING,  /* as it should be, but deliveries fail: `error` says what the server said */
	HOOK_MANUAL,   /* the token may not administer: a person enters it; not seen yet */
	HOOK_BROKEN,   /* could not be made or put right: `error`; tried again */
	HOOK_CONFLICT, /* put right HOOKS_REPAIRS times in a day: left alone */
	HOOK_REMOVING  /* the repository is not enabled any more: it is being deleted at the server
	                */
};
const char *hook_state_name(enum hook_state state); /* "ok" ... */

struct record_hook {
	uint32_t repo;
	enum hook_state state;
	bool by_hand;       /* a person entered it: seen by a delivery or in the list */
	bool relay;         /* leads to this program, not to Eyes */
	const char *id;     /* at the server; "" when it has none that we know */
	const char *url;    /* that it was given last; "" before */
	const char *events; /* that it was given last, a space between */
	const char *code, *error, *hint; /* why it is not OK; "" */
	int64_t checked_ms;              /* wall; 0 = never */
	int64_t changed_ms;              /* made or put right last */
	int64_t delivered_ms;            /* the last delivery known to have arrived */
	int64_t failed_ms;               /* the last one known to have failed */
	int64_t repairs[HOOKS_REPAIRS];  /* when it was put right, newest first; 0 = none */
	bool has_secret;
	bool secret_there;    /* the server is known to have it (hooks_secret_seen) */
	int64_t old_until_ms; /* the old secret counts until then; 0 = there is none */
};

struct hooks;
struct hooks *hooks_open(struct db *db, struct vault *vault, struct err *err);
void hooks_close(struct hooks *hooks);
const char *hooks_instance(const struct hooks *hooks);

bool hooks_get(struct hooks *hooks, uint32_t repo, struct record_hook *out);
/* The secrets of the row stay as they are. */
bool hooks_put(struct hooks *hooks, const struct record_hook *row, struct err *err);
bool hooks_remove(struct hooks *hooks, uint32_t repo, struct err *err);
/* By repository: the first above `after`; within one turn. False at the end. */
bool hooks_next(struct hooks *hooks, uint32_t after, struct record_hook *out);

/* Makes one where there is none: 64 hex digits. The row must be there. */
bool hooks_make_secret(struct hooks *hooks, uint32_t repo, struct err *err);
/* Makes another one; the present one becomes the old one, unless the server is not known to have it
 * and the old one counts still: that one then goes on counting. */
bool hooks_rotate_secret(struct hooks *hooks, uint32_t repo, int64_t now_ms, struct err *err);
/* The server has the present one: it took it, or a delivery was signed with it. */
bool hooks_secret_seen(struct hooks *hooks, uint32_t repo, struct err *err);
/* The server may still have the old one: it counts for HOOKS_OLD_SECRET_MS from now; one that does
 * not count any more is erased. */
bool hooks_keep_old(struct hooks *hooks, uint32_t repo, int64_t now_ms, struct err *err);
/* old may be NULL; its length is 0 when there is none that counts now. False, code "no_secret". */
bool hooks_secret(struct hooks *hooks, uint32_t repo, int64_t now_ms, struct secret *current,
    struct secret *old, struct err *err);

/* Webhooks that lead straight to Eyes share one secret (now; NULL: none). Tells whether it is
 * another one than they were given last, and stores it as given: what follows from it is to be put
 * in the same turn. Where nothing is known but there are rows, they were given none. */
bool hooks_given_changed(
    struct hooks *hooks, const struct secret *now, bool *changed, struct err *err);

uint64_t hooks_count(struct hooks *hooks, enum hook_state state); /* kept as counters */

#endif
