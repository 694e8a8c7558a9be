/*
 * metadata.c
 *		The trigger on the tables of which backends keep a copy.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/inval.h"
#include "utils/rel.h"

#include "server/errors.h"

PG_FUNCTION_INFO_V1(kv_sql_metadata_changed);

/*
 * key_vault.metadata_changed() returns trigger
 *
 * Tells all backends, when the transaction commits, to read the table anew.
 */
Datum
kv_sql_metadata_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called as a trigger")));
	CacheInvalidateRelcacheByRelid(RelationGetRelid(trigger->tg_relation));
	return PointerGetDatum(NULL);
}
