/*
 * rotation_walk.c
 *		Finds a rotation's way through the shards of Citus.
 *
 * A statement is sent to the shard of a user whom it names.  So a pass begins with one user
 * of each shard.  Who comes later is sealed as it shall be.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "store/rotation_walk.h"
#include "store/shards.h"
#include "store/statement.h"

/* Of each shard that has rows left one user.  $3 is the first hash of each. */
static KvStatement select_users = {
	"SELECT pg_catalog.min(s.user_id) FROM key_vault_data.secrets s"
	" WHERE" KV_ROTATION_IS_LEFT("s", "$1", "$2")
	" GROUP BY pg_catalog.width_bucket(pg_catalog.hashtext(s.user_id), $3)",
	3, {TEXTOID, BOOLOID, INT4ARRAYOID}
};

typedef struct Walk
{
	MemoryContext context;		/* of all that is here; NULL: no pass is on */
	KvShardWalk *shards;
	int			count;
} Walk;

/* What an error leaves, the next pass throws away. */
static Walk walk;

static void
end_walk(void)
{
	if (walk.context != NULL)
		MemoryContextDelete(walk.context);
	memset(&walk, 0, sizeof(walk));
}

static Datum
first_hashes(const KvShard *shards, int count)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(count, 1));

	for (int i = 0; i < count; i++)
		elements[i] = Int32GetDatum(shards[i].first);
	return PointerGetDatum(construct_array(elements, count, INT4OID,
										   sizeof(int32), true, TYPALIGN_INT));
}

void
kv_rotation_walk_start(const KvRotationGoal *goal)
{
	KvShard    *shards;
	int			shard_count = kv_shards(&shards);
	Datum		values[3];
	bool		isnull;

	end_walk();
	values[0] = CStringGetTextDatum(goal->root_key_id);
	values[1] = BoolGetDatum(goal->without_hint);
	values[2] = first_hashes(shards, shard_count);
	kv_spi_connect();
	walk.count = (int) kv_statement_run_as_owner(&select_users, values, NULL, 0);
	walk.context = AllocSetContextCreate(TopMemoryContext, "key_vault rotation walk",
										 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(walk.context);
	walk.shards = palloc0(sizeof(KvShardWalk) * Max(walk.count, 1));
	for (int i = 0; i < walk.count; i++)
	{
		KvShardWalk *shard = &walk.shards[i];

		shard->user_id = DatumGetTextPCopy(SPI_getbinval(SPI_tuptable->vals[i],
														 SPI_tuptable->tupdesc, 1, &isnull));
		shard->node = kv_shard_of(shard->user_id, shards, shard_count)->node;
		shard->context = AllocSetContextCreate(walk.context, "key_vault rotation position",
											   ALLOCSET_SMALL_SIZES);
	}
	SPI_finish();
}

bool
kv_rotation_walk_is_on(void)
{
	return walk.context != NULL;
}

static bool
is_on_node_of(const KvShardWalk *shard, KvShardWalk *const *others, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (others[i]->node == shard->node)
			return true;
	}
	return false;
}

int
kv_rotation_walk_next(KvShardWalk ***shards)
{
	int			count = 0;

	*shards = palloc(sizeof(KvShardWalk *) * Max(walk.count, 1));
	for (int i = 0; i < walk.count; i++)
	{
		KvShardWalk *shard = &walk.shards[i];

		if (!shard->ended && !is_on_node_of(shard, *shards, count))
			(*shards)[count++] = shard;
	}
	if (count == 0)
		end_walk();
	return count;
}

KvShardWalk *
kv_rotation_walk_beside(const KvShardWalk *shard)
{
	for (int i = (int) (shard - walk.shards) + 1; i < walk.count; i++)
	{
		if (!walk.shards[i].ended && walk.shards[i].node == shard->node)
			return &walk.shards[i];
	}
	return NULL;
}

void
kv_rotation_walk_advance(KvShardWalk *shard, const KvRotationRow *row)
{
	shard->after = kv_rotation_row_position(row, shard->context);
}
