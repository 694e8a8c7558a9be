/*
 * shards.c
 *		Asks Citus in which shards names are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"

#include "store/distribution.h"
#include "store/secret_names.h"
#include "store/shards.h"
#include "store/statement.h"

/* In the order of the array. */
static KvStatement select_shards = {
	"SELECT pg_catalog.get_shard_id_for_distribution_column("
	"'key_vault_data.secrets'::pg_catalog.regclass, n.user_id)"
	" FROM pg_catalog.unnest($1) WITH ORDINALITY AS n (user_id, place) ORDER BY n.place",
	1, {TEXTARRAYOID}
};

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

static void
find_shards(const KvSecretName *names, int count, Member *members)
{
	Datum		arrays[3];
	bool		isnull;

	kv_secret_names_pack(names, count, arrays);
	kv_spi_connect();
	if ((int) kv_statement_run_as_owner(&select_shards, arrays, NULL, 0) != count)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("Citus did not tell in which shards API keys are")));
	for (int i = 0; i < count; i++)
	{
		members[i].shard = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i],
													   SPI_tuptable->tupdesc, 1, &isnull));
		members[i].number = i;
	}
	SPI_finish();
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
