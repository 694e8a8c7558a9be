/*
 * rotation_windows.c
 *		The SQL that tells which rows a rotation takes next where Citus has them.
 *
 * Windows follow each other in the order of the primary key, each read from all shards at
 * once.  What is in one is taken in the order of shards.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "store/rotation_windows.h"
#include "store/secret_names.h"
#include "store/shards.h"
#include "store/statement.h"

/* Names that are left, in their order; those of users up to one, unless it is NULL. */
static KvStatement select_names = {
	"SELECT s.user_id, s.provider, s.label, s.version FROM key_vault_data.secrets s"
	" WHERE" KV_ROTATION_IS_LEFT("s", "$1", "$7")
	" AND ROW(s.user_id, s.provider, s.label, s.version) OPERATOR(pg_catalog.>) ROW($2, $3, $4, $5)"
	" AND ($8 IS NULL OR s.user_id OPERATOR(pg_catalog.<=) $8)"
	" ORDER BY s.user_id, s.provider, s.label, s.version LIMIT $6",
	8, {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, INT8OID, BOOLOID, TEXTOID}
};

/* Users who have about so many rows between them as one of this share. */
static KvStatement select_bounds = {
	"SELECT DISTINCT s.user_id FROM key_vault_data.secrets s"
	" TABLESAMPLE pg_catalog.bernoulli ($1) ORDER BY s.user_id",
	1, {FLOAT4OID}
};

/*
 * Rows in a window, on average and at most.  For a LIMIT each shard sends as many rows as all
 * of them together shall be.  So a window ends at a user, and its LIMIT is for the rare one
 * with many more.
 */
#define WINDOW 32768
#define WINDOW_MAX (2 * WINDOW)

typedef struct Window
{
	MemoryContext context;		/* of all that is here, from the first batch of a pass to the last */
	text	  **bounds;			/* the last user of each window but the last one */
	int			bound_count;
	int			next_bound;
	bool		was_last;		/* there is none behind this one */
	MemoryContext names_context;	/* of what follows */
	KvRotationRow *names;		/* nothing but name and version is known */
	KvRotationRow last;			/* where the next window starts */
	int			count;
	KvShardGroup *groups;
	int			group_count;
	int			group;			/* where the next batch starts */
	int			member;
} Window;

/* One rotation runs in a session.  What an error leaves, the next pass throws away. */
static Window window;

KvSecretName *
kv_rotation_row_names(const KvRotationRow *const *rows, int count)
{
	KvSecretName *names = palloc(sizeof(KvSecretName) * Max(count, 1));

	for (int i = 0; i < count; i++)
		names[i] = rows[i]->name;
	return names;
}

const KvRotationRow **
kv_rotation_row_pointers(const KvRotationRow *rows, int count)
{
	const KvRotationRow **pointers = palloc(sizeof(KvRotationRow *) * Max(count, 1));

	for (int i = 0; i < count; i++)
		pointers[i] = &rows[i];
	return pointers;
}

/* Rows of which nothing but the name and the version is known. */
static int
read_names(const KvRotationGoal *goal, const KvRotationRow *after, int limit, text *up_to,
		   KvRotationRow **rows)
{
	MemoryContext caller = CurrentMemoryContext;
	const char *nulls = up_to != NULL ? NULL : "       n";
	Datum		values[8];
	int			count;

	values[0] = CStringGetTextDatum(goal->root_key_id);
	kv_secret_names_after(after != NULL ? &after->name : NULL, &values[1]);
	values[4] = Int32GetDatum(after != NULL ? after->row.version : 0);
	values[5] = Int64GetDatum(limit);
	values[6] = BoolGetDatum(goal->without_hint);
	values[7] = PointerGetDatum(up_to);
	kv_spi_connect();
	count = (int) kv_statement_run_as_owner(&select_names, values, nulls, 0);
	MemoryContextSwitchTo(caller);
	*rows = palloc0(sizeof(KvRotationRow) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		Datum		columns[4];
		bool		isnull[4];

		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, columns, isnull);
		(*rows)[i].name.user_id = DatumGetTextPCopy(columns[0]);
		(*rows)[i].name.provider = DatumGetTextPCopy(columns[1]);
		(*rows)[i].name.label = DatumGetTextPCopy(columns[2]);
		(*rows)[i].row.version = DatumGetInt32(columns[3]);
	}
	SPI_finish();
	return count;
}

static void
read_bounds(void)
{
	Datum		share = Float4GetDatum(100.0 / WINDOW);
	bool		isnull;

	kv_spi_connect();
	window.bound_count = (int) kv_statement_run_as_owner(&select_bounds, &share, NULL, 0);
	MemoryContextSwitchTo(window.context);
	window.bounds = palloc(sizeof(text *) * Max(window.bound_count, 1));
	for (int i = 0; i < window.bound_count; i++)
		window.bounds[i] = DatumGetTextPCopy(SPI_getbinval(SPI_tuptable->vals[i],
														   SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
}

void
kv_rotation_windows_close(void)
{
	if (window.context != NULL)
		MemoryContextDelete(window.context);
	memset(&window, 0, sizeof(window));
}

/* The rows behind one.  What follows starts behind window.last. */
static void
read_window(const KvRotationGoal *goal, const KvRotationRow *after)
{
	MemoryContext old_names = window.names_context;
	text	   *bound = window.next_bound < window.bound_count ? window.bounds[window.next_bound] : NULL;
	KvSecretName *names;
	MemoryContext caller;

	window.names_context = AllocSetContextCreate(window.context, "key_vault rotation names",
												 ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(window.names_context);
	window.count = read_names(goal, after, WINDOW_MAX, bound, &window.names);
	names = kv_rotation_row_names(kv_rotation_row_pointers(window.names, window.count), window.count);
	window.group_count = kv_shard_groups(names, window.count, &window.groups);
	window.group = window.member = 0;
	/* as many as asked for: there may be more of these users */
	if (window.count == WINDOW_MAX)
		window.last = window.names[window.count - 1];
	else if (bound != NULL)
	{
		memset(&window.last, 0, sizeof(window.last));
		window.last.name.user_id = bound;
		window.last.name.provider = window.last.name.label = cstring_to_text("");
		window.next_bound++;
	}
	else
		window.was_last = true;
	MemoryContextSwitchTo(caller);
	if (old_names != NULL)
		MemoryContextDelete(old_names);
}

void
kv_rotation_windows_open(const KvRotationGoal *goal, const KvRotationRow *after)
{
	MemoryContext caller = CurrentMemoryContext;

	kv_rotation_windows_close();
	window.context = AllocSetContextCreate(TopMemoryContext, "key_vault rotation window",
										   ALLOCSET_DEFAULT_SIZES);
	read_bounds();
	MemoryContextSwitchTo(caller);
	read_window(goal, after);
}

bool
kv_rotation_windows_are_open(void)
{
	return window.context != NULL;
}

int
kv_rotation_windows_next(const KvRotationGoal *goal, int limit, KvRotationRow **names)
{
	const KvShardGroup *group;
	int			count;

	while (window.group == window.group_count)
	{
		CHECK_FOR_INTERRUPTS();
		if (window.was_last)
			return 0;
		read_window(goal, &window.last);
	}
	group = &window.groups[window.group];
	count = Min(limit, group->count - window.member);
	*names = palloc(sizeof(KvRotationRow) * count);
	for (int i = 0; i < count; i++)
		(*names)[i] = window.names[group->members[window.member + i]];
	window.member += count;
	if (window.member == group->count)
	{
		window.group++;
		window.member = 0;
	}
	return count;
}
