/*
 * db_version: META/version. A store of a newer program is refused, an empty one is marked as ours.
 */
#ifndef STORE_DB_VERSION_H
#define STORE_DB_VERSION_H

#include "store/db.h"

/* err codes store_newer, store_corrupt. */
bool db_check_version(struct db *db, struct err *err);

#endif
