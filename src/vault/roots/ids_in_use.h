/*
 * ids_in_use.h
 *		The file in the data directory that says which root keys its databases use.
 *
 * It holds ids, no keys: a line is the OID of a database and the id of a root key
 * that the database has registered and not retired.  Whoever starts a server on a
 * data directory can ask it, before the server runs, whether the keyrings at hand
 * are those of that data.  The server itself takes nothing from it.
 *
 * An id too many is there after a root key's making was rolled back, and after
 * DROP EXTENSION, until the next change; ids too few after pg_upgrade or
 * a restore, until the first set().  A standby's is as old as its base backup.
 */
#ifndef KV_IDS_IN_USE_H
#define KV_IDS_IN_USE_H

#include "crypto/root_key.h"

/* Writes what the registry says, and flushes it.  The registry is locked. */
extern void kv_ids_in_use_write(void);

/* Mends the file when this session seals with a root key for the first time. */
extern void kv_ids_in_use_mend(const uint8 active[KV_ROOT_KEY_ID_LEN]);

#endif							/* KV_IDS_IN_USE_H */
