/*
 * secret_table.c
 *		The table key_vault_data.secrets as a relation: which one it is, whether it
 *		is as the install script made it, and what is in its columns.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/nbtree.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "store/policy.h"
#include "store/secret_table.h"
#include "store/watched_table.h"

static KvWatchedTable secrets = {.name = "secrets"};

void
kv_secret_table_init(void)
{
	kv_watch_table(&secrets);
}

Oid
kv_secret_table_oid(void)
{
	/* for each call of a function, so without another */
	return likely(OidIsValid(secrets.relid)) ? secrets.relid : kv_watched_table_require(&secrets);
}

/* Whether the primary key leads with the columns that a probe names. */
static bool
primary_key_is_usable(Relation rel)
{
	Oid			index_oid = kv_primary_key_index(rel);
	Relation	index;
	bool		usable;

	if (!OidIsValid(index_oid))
		return false;

	index = index_open(index_oid, AccessShareLock);
	usable = index->rd_rel->relam == BTREE_AM_OID &&
		index->rd_index->indisvalid &&
		index->rd_index->indnkeyatts == 4 &&
		index->rd_index->indkey.values[0] == KV_SECRETS_USER_ID &&
		index->rd_index->indkey.values[1] == KV_SECRETS_PROVIDER &&
		index->rd_index->indkey.values[2] == KV_SECRETS_LABEL &&
		index->rd_index->indkey.values[3] == KV_SECRETS_VERSION &&
		index->rd_indcollation[0] == C_COLLATION_OID &&
		index->rd_indcollation[1] == C_COLLATION_OID &&
		index->rd_indcollation[2] == C_COLLATION_OID;
	index_close(index, AccessShareLock);
	return usable;
}

/* relhasrules and relhastriggers outlive the last rule and trigger. */
bool
kv_secret_table_is_as_shipped(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_RELATION &&
		!rel->rd_rel->relispartition &&
		!rel->rd_rel->relhassubclass &&
		rel->rd_rules == NULL &&
		rel->trigdesc == NULL &&
		!rel->rd_rel->relforcerowsecurity &&
		RelationGetDescr(rel)->natts >= KV_SECRETS_COLUMNS &&
		kv_policy_is_single(rel) &&
		primary_key_is_usable(rel);
}

/* A copy that is as short as what is in the row: its header may be of one byte. */
static struct varlena *
packed_copy(Datum value)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(value);
	struct varlena *plain = PG_DETOAST_DATUM_PACKED(value);
	struct varlena *copy;

	if (plain != stored)
		return plain;
	copy = palloc(VARSIZE_ANY(plain));
	memcpy(copy, plain, VARSIZE_ANY(plain));
	return copy;
}

void
kv_secret_table_unpack(TupleTableSlot *slot, KvSecretRow *row)
{
	text	   *id;
	bool		id_null;

	slot_getsomeattrs(slot, KV_SECRETS_ATTRIBUTES);
	memset(row, 0, sizeof(*row));
	row->version = DatumGetInt32(slot->tts_values[KV_SECRETS_VERSION - 1]);
	id = DatumGetTextPP(slot_getattr(slot, KV_SECRETS_ROOT_KEY_ID, &id_null));
	if (!id_null && VARSIZE_ANY_EXHDR(id) == KV_ROOT_KEY_ID_HEX)
		memcpy(row->root_key_id, VARDATA_ANY(id), KV_ROOT_KEY_ID_HEX);
	row->sealed = packed_copy(slot->tts_values[KV_SECRETS_SEALED - 1]);
	if (!slot->tts_isnull[KV_SECRETS_HINT - 1])
		row->hint = packed_copy(slot->tts_values[KV_SECRETS_HINT - 1]);
	row->has_expiry = !slot->tts_isnull[KV_SECRETS_EXPIRES_AT - 1];
	if (row->has_expiry)
		row->expires_at = DatumGetTimestampTz(slot->tts_values[KV_SECRETS_EXPIRES_AT - 1]);
	row->created_at = DatumGetTimestampTz(slot->tts_values[KV_SECRETS_CREATED_AT - 1]);
	if (!slot->tts_isnull[KV_SECRETS_ATTRIBUTES - 1])
		row->attributes = DatumGetJsonbPCopy(slot->tts_values[KV_SECRETS_ATTRIBUTES - 1]);
}

void
kv_secret_table_refuse(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("row-level security policy of table \"%s\" refuses the row",
					RelationGetRelationName(rel)),
			 errdetail("The row belongs to another user than the call acts for, or a policy of this database is stricter.")));
}
