/*
 * shards.c
 *		Finds out in which shards names are.
 *
 * Citus gives a row to a shard by the hash that PostgreSQL has for text, whose values it
 * deals out in ranges.  To ask it for each name would cost as much as to seal a key.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "executor/spi.h"
#include "utils/guc.h"

#include "store/distribution.h"
#include "store/shards.h"
#include "store/statement.h"

/* In the order of their ranges. */
static KvStatement select_shards = {
	"SELECT s.shardid, s.shardminvalue::pg_catalog.int4, s.shardmaxvalue::pg_catalog.int4, p.groupid"
	" FROM pg_catalog.pg_dist_shard s"
	" JOIN pg_catalog.pg_dist_placement p ON p.shardid OPERATOR(pg_catalog.=) s.shardid"
	" WHERE s.logicalrelid OPERATOR(pg_catalog.=) 'key_vault_data.secrets'::pg_catalog.regclass"
	" ORDER BY 2",
	0
};

/* Citus passes them on, with the BEGIN that it sends to a worker. */
static KvStatement keep_to_primary_key[] = {
	{"SET LOCAL enable_seqscan TO off", 0},
	{"SET LOCAL enable_bitmapscan TO off", 0},
	{"SET LOCAL enable_sort TO off", 0},
	{"SET LOCAL jit TO off", 0}
};

void
kv_shards_keep_to_primary_key(void)
{
	(void) set_config_option("citus.propagate_set_commands", "local", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
	kv_spi_connect();
	for (int i = 0; i < (int) lengthof(keep_to_primary_key); i++)
		(void) kv_statement_run(&keep_to_primary_key[i], NULL, NULL, 0);
	SPI_finish();
}

typedef struct Member
{
	int64		shard;
	int			number;
} Member;

static int
compare_members(const void *a, const void *b)
{
	const Member *left = a;
	const Member *right = b;

	if (left->shard != right->shard)
		return left->shard < right->shard ? -1 : 1;
	return left->number - right->number;
}

int
kv_shards(KvShard **shards)
{
	MemoryContext caller = CurrentMemoryContext;
	int			count;

	kv_spi_connect();
	count = (int) kv_statement_run_as_owner(&select_shards, NULL, NULL, 0);
	*shards = MemoryContextAlloc(caller, sizeof(KvShard) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		Datum		columns[4];
		bool		nulls[4];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, columns, nulls);
		(*shards)[i].id = DatumGetInt64(columns[0]);
		(*shards)[i].first = DatumGetInt32(columns[1]);
		(*shards)[i].last = DatumGetInt32(columns[2]);
		(*shards)[i].node = DatumGetInt32(columns[3]);
	}
	SPI_finish();
	return count;
}

const KvShard *
kv_shard_of(const text *user_id, const KvShard *shards, int count)
{
	int32		hash = (int32) hash_bytes((const unsigned char *) VARDATA_ANY(user_id),
										  VARSIZE_ANY_EXHDR(user_id));
	int			low = 0;
	int			high = count;

	while (high - low > 1)
	{
		int			middle = (low + high) / 2;

		if (shards[middle].first <= hash)
			low = middle;
		else
			high = middle;
	}
	if (count == 0 || hash < shards[low].first || hash > shards[low].last)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("Citus did not tell in which shards API keys are")));
	return &shards[low];
}

static void
find_shards(const KvSecretName *names, int count, Member *members)
{
	KvShard    *shards;
	int			shard_count = kv_shards(&shards);

	for (int i = 0; i < count; i++)
	{
		members[i].shard = kv_shard_of(names[i].user_id, shards, shard_count)->id;
		members[i].number = i;
	}
	pfree(shards);
}

int
kv_shard_groups(const KvSecretName *names, int count, KvShardGroup **groups)
{
	Member	   *members = palloc0(sizeof(Member) * Max(count, 1));
	int		   *numbers = palloc(sizeof(int) * Max(count, 1));
	int			group_count = 0;

	*groups = palloc(sizeof(KvShardGroup) * Max(count, 1));
	if (kv_is_distributed() && count > 0)
	{
		find_shards(names, count, members);
		qsort(members, count, sizeof(Member), compare_members);
	}
	else
		for (int i = 0; i < count; i++)
			members[i].number = i;

	for (int i = 0; i < count; i++)
	{
		numbers[i] = members[i].number;
		if (i == 0 || members[i].shard != members[i - 1].shard)
			(*groups)[group_count++] = (KvShardGroup){&numbers[i], 0};
		(*groups)[group_count - 1].count++;
	}
	pfree(members);
	return group_count;
}

KvSecretName *
kv_shard_group_names(const KvSecretName *names, const KvShardGroup *group)
{
	KvSecretName *result = palloc(sizeof(KvSecretName) * Max(group->count, 1));

	for (int i = 0; i < group->count; i++)
		result[i] = names[group->members[i]];
	return result;
}
