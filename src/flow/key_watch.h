/*
 * key_watch: is the Eyes key still good? Asked at start, once a day, and when the poller was
 * refused and a new key came. Keeps the account record true (team, permissions, expiry), and warns
 * in the log once a day from 14 days before the key expires.
 */
#ifndef FLOW_KEY_WATCH_H
#define FLOW_KEY_WATCH_H

#include "base/bus.h"
#include "eyes/eyes.h"
#include "store/records.h"

#define KEY_WATCH_WARN_DAYS 14

struct key_watch;
struct key_watch *key_watch_new(
    struct loop *loop, struct eyes *eyes, struct records *records, struct bus *bus);
void key_watch_free(struct key_watch *watch);
void key_watch_check(struct key_watch *watch); /* soon; without a key nothing happens */
/* Whole days until the account's key expires, INT32_MAX when it does not; negative once it has. */
int32_t key_watch_days_left(const struct record_account *account, int64_t now_ms);

#endif
