#include "store/db_version.h"
#include "base/pack.h"
#include <string.h>

#define VERSION_KEY "version"

bool db_check_version(struct db *db, struct err *err)
{
	struct db_bytes value;
	unsigned char version[4];
	int is = db_get(db, DB_META, VERSION_KEY, strlen(VERSION_KEY), &value);

	if (is < 0 || (is == 1 && value.length != sizeof(version)))
		return err_set(err, "store_corrupt",
		    "the store in %s has no version that can be read", db_directory(db));
	if (is == 1 && unpack_key_u32(value.data) > DB_VERSION) {
		err_set(err, "store_newer",
		    "the store in %s has version %lu; this program knows versions up to %d",
		    db_directory(db), (unsigned long)unpack_key_u32(value.data), DB_VERSION);
		err_hint(err, "install the newer program again, or restore an older backup");
		return false;
	}
	if (is == 1)
		return true;
	pack_key_u32(version, DB_VERSION);
	return db_put(db, DB_META, VERSION_KEY, strlen(VERSION_KEY), version, sizeof(version), 0,
	           err) &&
	       db_commit_now(db, err);
}
