/*
 * audit_indexes.c
 *		Puts records into the indexes of key_vault_data.audit: the two that the install
 *		script makes, and plain ones of an operator's.
 */
#include "postgres.h"

#include "access/brin.h"
#include "access/brin_revmap.h"
#include "access/genam.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "server/compat.h"
#include "store/audit_indexes.h"
#include "store/index_shape.h"

/* An index of some columns, in which a row is when the first of them is not NULL, or always. */
typedef struct Target
{
	Relation	rel;
	IndexInfo  *info;
	bool		is_partial;
	BrinRevmap *summaries;		/* where to look before rows are put in; or NULL */
	BlockNumber blocks;			/* of the table, to which one summary belongs */
} Target;

struct KvAuditIndexes
{
	int			count;
	Target		index[FLEXIBLE_ARRAY_MEMBER];
};

static bool
index_is_plain(const Target *index)
{
	return index->info->ii_Expressions == NIL &&
		index->info->ii_ExclusionOps == NULL &&
		index->rel->rd_index->indimmediate &&
		(!index->is_partial ||
		 kv_index_is_where_not_null(index->rel, index->rel->rd_index->indkey.values[0]));
}

/* One that puts rows into summaries, and asks nobody to make some. */
static bool
only_adds_to_summaries(Relation index)
{
	return index->rd_rel->relam == BRIN_AM_OID && !BrinGetAutoSummarize(index);
}

static void
open_index(Target *index, Oid oid)
{
	index->rel = index_open(oid, RowExclusiveLock);
	index->info = BuildIndexInfo(index->rel);
	index->is_partial = index->info->ii_Predicate != NIL;
	index->summaries = NULL;
	if (index->info->ii_ReadyForInserts && only_adds_to_summaries(index->rel))
		index->summaries = kv_brin_revmap(index->rel, &index->blocks);
}

KvAuditIndexes *
kv_audit_indexes_open(Relation rel)
{
	List	   *oids = RelationGetIndexList(rel);
	KvAuditIndexes *indexes = palloc(offsetof(KvAuditIndexes, index) + sizeof(Target) * list_length(oids));
	bool		plain = true;
	ListCell   *cell;

	indexes->count = 0;
	foreach(cell, oids)
	{
		Target	   *index = &indexes->index[indexes->count++];

		open_index(index, lfirst_oid(cell));
		plain = plain && index_is_plain(index);
	}
	if (plain)
		return indexes;
	kv_audit_indexes_close(indexes);
	return NULL;
}

void
kv_audit_indexes_close(KvAuditIndexes *indexes)
{
	for (int i = 0; i < indexes->count; i++)
	{
		Target	   *index = &indexes->index[i];

		if (index->summaries != NULL)
			brinRevmapTerminate(index->summaries);
		kv_index_insert_cleanup(index->rel, index->info);
		index_close(index->rel, RowExclusiveLock);
	}
}

/* Whether there is a summary of the part of the table in which a block is. */
static bool
is_summarized(BrinRevmap *summaries, BlockNumber block)
{
	Buffer		buffer = InvalidBuffer;
	OffsetNumber offset;
	bool		found = kv_brin_tuple(summaries, block, &buffer, &offset) != NULL;

	if (found)
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	if (BufferIsValid(buffer))
		ReleaseBuffer(buffer);
	return found;
}

static void
put_row(const Target *index, Relation rel, TupleTableSlot *slot)
{
	const AttrNumber *columns = index->info->ii_IndexAttrNumbers;
	Datum		values[INDEX_MAX_KEYS];
	bool		nulls[INDEX_MAX_KEYS];

	if (index->is_partial && slot->tts_isnull[columns[0] - 1])
		return;
	for (int at = 0; at < index->info->ii_NumIndexAttrs; at++)
	{
		values[at] = slot->tts_values[columns[at] - 1];
		nulls[at] = slot->tts_isnull[columns[at] - 1];
	}
	(void) index_insert(index->rel, values, nulls, &slot->tts_tid, rel,
						index->rel->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
						false, index->info);
}

/*
 * A row belongs into the summary of its part of the table, if there is one.  At the end of the
 * table there is none, as a rule, and one look for all rows of a part is enough: they are in the
 * table, so who makes a summary from now on reads them there.
 */
static void
put_into_summaries(const Target *index, Relation rel, TupleTableSlot **slots, int count)
{
	BlockNumber last = InvalidBlockNumber;
	bool		summarized = false;

	for (int i = 0; i < count; i++)
	{
		BlockNumber block = ItemPointerGetBlockNumber(&slots[i]->tts_tid);

		if (block / index->blocks != last)
		{
			last = block / index->blocks;
			summarized = is_summarized(index->summaries, block);
		}
		if (summarized)
			put_row(index, rel, slots[i]);
	}
}

void
kv_audit_indexes_put(KvAuditIndexes *indexes, Relation rel, TupleTableSlot **slots, int count)
{
	for (int i = 0; i < indexes->count; i++)
	{
		const Target *index = &indexes->index[i];

		if (index->summaries != NULL)
			put_into_summaries(index, rel, slots, count);
		else if (index->info->ii_ReadyForInserts)
		{
			for (int j = 0; j < count; j++)
				put_row(index, rel, slots[j]);
		}
	}
}
