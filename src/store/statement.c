/*
 * statement.c
 *		Plans and runs SQL, as the caller or as the extension's owner.
 *
 * SetUserIdAndSecContext is called here and nowhere else.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "server/errors.h"
#include "server/invalidation.h"
#include "store/distribution.h"
#include "store/statement.h"

/* Both are known, or neither. */
static Oid	known_schema = InvalidOid;
static Oid	known_data_schema = InvalidOid;
static Oid	known_owner = InvalidOid;

static bool has_plans = false;

static void
forget_schemas(void)
{
	known_schema = InvalidOid;
	known_data_schema = InvalidOid;
}

static bool
belongs_to_superuser(Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
		ReleaseSysCache(tuple);
	}
	return OidIsValid(owner) && superuser_arg(owner);
}

static bool
belongs_to_extension(Oid schema)
{
	Oid			extension = get_extension_oid("key_vault", true);

	return OidIsValid(extension) &&
		getExtensionOfObject(NamespaceRelationId, schema) == extension;
}

/*
 * A superuser's schema is no stranger's, which two syscaches tell.  The extension's
 * need not be one's; but to know it by that, four relations are opened of which no
 * cache has a copy: a third of what a session's first get would cost.
 */
static Oid
read_schema(const char *name)
{
	Oid			schema = get_namespace_oid(name, true);

	if (!OidIsValid(schema) ||
		!(belongs_to_superuser(schema) || belongs_to_extension(schema)))
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("schema \"%s\" is not the one of the extension", name),
				 errdetail("The extension's own was given another name."),
				 errhint("Give it back with ALTER SCHEMA ... RENAME TO %s.", name)));
	return schema;
}

static void
read_schemas(void)
{
	Oid			schema = read_schema("key_vault");

	known_data_schema = read_schema("key_vault_data");
	known_schema = schema;
}

Oid
kv_schema(void)
{
	if (!OidIsValid(known_schema))
		read_schemas();
	return known_schema;
}

Oid
kv_data_schema(void)
{
	(void) kv_schema();
	return known_data_schema;
}

/* Whatever gives the extension another owner changes its tables or a role, too. */
static void
forget_owner_of_table(Oid relid)
{
	known_owner = InvalidOid;
}

static void
forget_owner_of_role(void)
{
	known_owner = InvalidOid;
}

void
kv_spi_connect(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not connect to SPI")));
}

/*
 * Whether row-level security applies to a role is part of a plan, and PostgreSQL
 * does not plan again when BYPASSRLS is given or taken.  A session that has none of
 * our plans keeps its own.
 */
static void
forget_plans(void)
{
	if (has_plans)
		ResetPlanCache();
}

void
kv_statement_init(void)
{
	kv_watch_catalog(NAMESPACEOID, forget_schemas);
	kv_watch_catalog(AUTHOID, forget_schemas);
	kv_watch_relations(forget_owner_of_table);
	kv_watch_catalog(AUTHOID, forget_owner_of_role);
	kv_watch_catalog(AUTHOID, forget_plans);
}

static void
prepare(KvStatement *statement)
{
	SPIPlanPtr	plan;

	has_plans = true;
	/* No parallel plans: a worker would not know for whom the call acts. */
	plan = SPI_prepare(statement->sql, statement->nargs, statement->argtypes);
	if (plan == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not prepare a statement: %s",
						SPI_result_code_string(SPI_result))));
	SPI_keepplan(plan);
	statement->plan = plan;
}

/* The text of a statement tells, so that none can be forgotten. */
static bool
touches_rows_of_users(const KvStatement *statement)
{
	return strstr(statement->sql, "key_vault_data.secrets") != NULL ||
		strstr(statement->sql, "key_vault_data.usage") != NULL;
}

/* What a statement sees. */
typedef enum View
{
	VIEW_TRANSACTION,			/* a fresh snapshot, as the isolation level has it */
	VIEW_LATEST,				/* all that is committed; only for reading */
	VIEW_WHOLE					/* as the first, but an error where a policy leaves rows out */
} View;

/*
 * Makes of row_security what the view needs, whatever the session or its database
 * has set; the level for end_row_security().  An error puts it back by itself.
 */
static int
begin_row_security(View view)
{
	const char *wanted = view == VIEW_WHOLE ? "off" : "on";
	int			level;

	if (row_security == (view != VIEW_WHOLE))
		return 0;
	level = NewGUCNestLevel();
	(void) set_config_option("row_security", wanted, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

static void
end_row_security(int level)
{
	if (level > 0)
		AtEOXact_GUC(true, level);
}

static uint64
run(KvStatement *statement, Datum *values, const char *nulls, long limit, View view)
{
	int			result;

	/* Whoever makes another schema of that name would see us run what is theirs. */
	(void) kv_schema();
	if (statement->plan == NULL)
	{
		statement->touches_users = touches_rows_of_users(statement);
		prepare(statement);
	}
	if (statement->touches_users)
		kv_distribution_refuse_worker();

	if (view == VIEW_LATEST)
		result = SPI_execute_snapshot(statement->plan, values, nulls,
									  GetLatestSnapshot(), InvalidSnapshot,
									  true, false, limit);
	else
		result = SPI_execute_plan(statement->plan, values, nulls, false, limit);
	if (result < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not run a statement: %s",
						SPI_result_code_string(result))));
	return SPI_processed;
}

uint64
kv_statement_run(KvStatement *statement, Datum *values, const char *nulls,
				 long limit)
{
	return run(statement, values, nulls, limit, VIEW_TRANSACTION);
}

/* From pg_extension: there is no syscache for it. */
static Oid
read_extension_owner(void)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	Oid			owner;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum("key_vault"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"key_vault\" is not installed in this database")));
	owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return owner;
}

Oid
kv_extension_owner(void)
{
	if (!OidIsValid(known_owner))
		known_owner = read_extension_owner();
	return known_owner;
}

static uint64
run_as_owner(KvStatement *statement, Datum *values, const char *nulls,
			 long limit, View view)
{
	Oid			save_user;
	int			save_context;
	volatile uint64 processed = 0;
	Oid			owner = kv_extension_owner();

	GetUserIdAndSecContext(&save_user, &save_context);
	PG_TRY();
	{
		int			level = begin_row_security(view);

		SetUserIdAndSecContext(owner,
							   save_context | SECURITY_LOCAL_USERID_CHANGE |
							   SECURITY_RESTRICTED_OPERATION);
		processed = run(statement, values, nulls, limit, view);
		end_row_security(level);
	}
	PG_FINALLY();
	{
		SetUserIdAndSecContext(save_user, save_context);
	}
	PG_END_TRY();

	return processed;
}

uint64
kv_statement_run_as_owner(KvStatement *statement, Datum *values,
						  const char *nulls, long limit)
{
	return run_as_owner(statement, values, nulls, limit, VIEW_TRANSACTION);
}

uint64
kv_statement_run_alone_as_owner(KvStatement *statement, Datum *values)
{
	uint64		processed;

	kv_spi_connect();
	processed = kv_statement_run_as_owner(statement, values, NULL, 0);
	SPI_finish();
	return processed;
}

/* Until the level of settings ends. */
static void
switch_off(const char *setting)
{
	(void) set_config_option(setting, "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

uint64
kv_statement_find_as_owner(KvStatement *statement, Datum *values, const char *nulls,
						   long limit)
{
	int			level = NewGUCNestLevel();
	uint64		processed;

	switch_off("enable_sort");
	switch_off("jit");
	processed = kv_statement_run_as_owner(statement, values, nulls, limit);
	AtEOXact_GUC(true, level);
	return processed;
}

uint64
kv_statement_read_latest_as_owner(KvStatement *statement, Datum *values,
								  const char *nulls, long limit)
{
	return run_as_owner(statement, values, nulls, limit, VIEW_LATEST);
}

uint64
kv_statement_read_whole_as_owner(KvStatement *statement, Datum *values,
								 const char *nulls, long limit)
{
	return run_as_owner(statement, values, nulls, limit, VIEW_WHOLE);
}

int
kv_statement_keep_to_primary_key(void)
{
	static const char *const off[] = {
		"enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_hashagg",
		"enable_hashjoin", "enable_mergejoin", "jit"
	};
	int			nest_level = NewGUCNestLevel();

	for (int i = 0; i < (int) lengthof(off); i++)
		switch_off(off[i]);
	return nest_level;
}
