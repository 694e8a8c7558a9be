/*
 * secret_range.h
 *		Which rows of key_vault_data.secrets: by how much of the primary key is given.
 */
#ifndef KV_SECRET_RANGE_H
#define KV_SECRET_RANGE_H

#include "executor/tuptable.h"

#include "store/secret_rows.h"

typedef enum KvRangeKind
{
	KV_RANGE_NAME,				/* all versions of a secret */
	KV_RANGE_VERSION,			/* one of them */
	KV_RANGE_USER,				/* all of a user */
	KV_RANGE_USER_LABEL,		/* all of a user under one label */
	KV_RANGE_THROUGH_VERSION	/* a secret's up to and including one; not to be planned */
} KvRangeKind;

/* What the kind does not name is not looked at. */
typedef struct KvRange
{
	KvRangeKind kind;
	KvSecretName name;
	int32		version;
} KvRange;

/*
 * Is shown rows, from the end of the primary key to its beginning, so that of each
 * secret the newest comes first; until it returns false.
 */
typedef bool (*KvVisit) (TupleTableSlot *slot, void *arg);

#endif							/* KV_SECRET_RANGE_H */
