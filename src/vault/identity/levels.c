/*
 * levels.c
 *		The list of what each level of access holds.
 *
 * It stands in the library, and not in a table: whoever can write to tables would
 * write rights into it, and the next grant_access() would hand them out.  What is
 * in no level is not listed.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "server/errors.h"
#include "vault/identity/levels.h"

#define USER KV_LEVEL_USER
#define SERVICE KV_LEVEL_SERVICE
#define ADMIN KV_LEVEL_ADMIN
#define MONITOR KV_LEVEL_MONITOR
#define AUDITOR KV_LEVEL_AUDITOR

/* A service may what a user may, and an admin what a monitor may. */
#define USERS (USER | SERVICE)
#define WATCHERS (ADMIN | MONITOR)
#define WORKERS (USERS | ADMIN)
#define ALL (USERS | WATCHERS | AUDITOR)

#define SCHEMA(name) {KV_RIGHT_SCHEMA, name, NULL}
#define RELATION(schema, name) {KV_RIGHT_RELATION, schema, name}
#define VIEW(name) RELATION("key_vault", name)
#define ROUTINE(name) {KV_RIGHT_ROUTINE, "key_vault", name}
#define PARAMETER(name) {KV_RIGHT_PARAMETER, NULL, name}

static const struct
{
	int			levels;
	KvRight		right;
}			rights[] =
{
	{ALL, SCHEMA("key_vault")},

	/* the identity */
	{SERVICE, PARAMETER("key_vault.user_id")},
	{SERVICE, PARAMETER("key_vault.team_id")},
	{WORKERS, ROUTINE("current_user_id")},
	{WORKERS, ROUTINE("current_team_id")},
	{WORKERS, ROUTINE("sees_all_users")},

	/*
	 * secrets; with INSERT, UPDATE or DELETE a tenant could lock the table for all, as it
	 * could with USAGE on the table's schema
	 */
	{USERS, RELATION("key_vault_data", "secrets")},
	{USERS, VIEW("secrets")},
	{USERS, ROUTINE("set")},
	{USERS, ROUTINE("inspect_key")},
	{USERS, ROUTINE("get")},
	{USERS, ROUTINE("require")},
	{USERS, ROUTINE("lookup")},
	{USERS, ROUTINE("get_all")},
	{USERS, ROUTINE("source")},
	{USERS, ROUTINE("list")},
	{USERS, ROUTINE("delete")},
	{USERS, ROUTINE("forget")},
	{USERS, ROUTINE("versions")},
	{USERS, ROUTINE("rollback")},
	{USERS, ROUTINE("record_outcome")},
	{ADMIN, VIEW("inventory")},
	{ADMIN, ROUTINE("purge")},
	{ADMIN, ROUTINE("verify_secrets")},
	{WATCHERS, ROUTINE("expiring")},

	/* tokens */
	{USERS, ROUTINE("authenticate")},
	{WORKERS, ROUTINE("revoke_tokens")},
	{ADMIN, VIEW("issuers")},
	{ADMIN, ROUTINE("trusted_issuers")},

	/* root keys */
	{WATCHERS, VIEW("root_keys")},
	{WATCHERS, ROUTINE("root_key_in_ring")},
	{ADMIN, ROUTINE("create_root_key")},
	{ADMIN, ROUTINE("activate_root_key")},
	{ADMIN, ROUTINE("retire_root_key")},
	{ADMIN, ROUTINE("rotate_root_key")},
	{WATCHERS, VIEW("rotation_progress")},

	/* providers, onboarding, usage */
	{WORKERS, VIEW("providers")},
	{ADMIN, ROUTINE("add_provider")},
	{ADMIN, ROUTINE("remove_provider")},
	{USERS, ROUTINE("onboarding")},
	{WORKERS, VIEW("api_keys")},
	{WORKERS, VIEW("onboarding_sessions")},
	{USERS, ROUTINE("record_usage")},
	{WORKERS, VIEW("monthly_costs")},

	/* moving in */
	{SERVICE, ROUTINE("import_keys")},
	{USERS, ROUTINE("import_dotenv")},

	/* the audit, which an auditor reads and nothing else */
	{AUDITOR, VIEW("audit_log")},
	{AUDITOR, ROUTINE("verify_audit")},
	{AUDITOR, ROUTINE("audit_head")},
	{USERS, ROUTINE("read_history")},

	/* how things are */
	{WORKERS, ROUTINE("mode")},
	{WATCHERS, ROUTINE("status")},
	{WATCHERS, VIEW("access")},
	{WATCHERS, ROUTINE("granted_levels")},
	{WATCHERS, ROUTINE("level_rights")},

	/* what the views ask once Citus has the rows */
	{USERS | WATCHERS, ROUTINE("rows_in_shards")}
};

static const struct
{
	KvLevel		level;
	const char *name;
}			names[] =
{
	{KV_LEVEL_USER, "user"},
	{KV_LEVEL_SERVICE, "service"},
	{KV_LEVEL_ADMIN, "admin"},
	{KV_LEVEL_MONITOR, "monitor"},
	{KV_LEVEL_AUDITOR, "auditor"}
};

KvLevel
kv_level_by_name(const char *name)
{
	for (int i = 0; i < (int) lengthof(names); i++)
	{
		if (strcmp(name, names[i].name) == 0)
			return names[i].level;
	}
	ereport(ERROR,
			(errcode(KV_ERRCODE_BAD_ARGUMENT),
			 errmsg("there is no such level"),
			 errhint(KV_LEVELS_HINT)));
}

const KvRight *
kv_level_right(int number)
{
	return number < (int) lengthof(rights) ? &rights[number].right : NULL;
}

bool
kv_level_holds(KvLevel level, int number)
{
	return (rights[number].levels & level) != 0;
}

static Datum
names_of(int levels)
{
	Datum		elements[lengthof(names)];
	int			count = 0;

	for (int i = 0; i < (int) lengthof(names); i++)
	{
		if (levels & names[i].level)
			elements[count++] = CStringGetTextDatum(names[i].name);
	}
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

void
kv_levels_report(Tuplestorestate *result, TupleDesc columns)
{
	for (int i = 0; i < (int) lengthof(rights); i++)
	{
		Datum		values[2];
		bool		nulls[2] = {false, false};

		values[0] = CStringGetTextDatum(kv_right_text(&rights[i].right));
		values[1] = names_of(rights[i].levels);
		tuplestore_putvalues(result, columns, values, nulls);
	}
}
