/*
 * status.c
 *		One function an item of status(); nothing here changes anything.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "crypto/root_key.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/settings.h"
#include "store/root_key_rows.h"
#include "store/status_rows.h"
#include "vault/laptop/mode.h"
#include "vault/providers/providers.h"
#include "vault/roots/keyring.h"
#include "vault/status.h"

typedef struct Finding
{
	const char *state;			/* ok, warning, error */
	const char *detail;
	const char *remedy;			/* or NULL */
} Finding;

static Finding
found(const char *state, const char *detail, const char *remedy)
{
	Finding		finding = {state, detail, remedy};

	return finding;
}

static Finding
check_root_key(void)
{
	uint8		id[KV_ROOT_KEY_ID_LEN];
	char		hex[KV_ROOT_KEY_ID_HEX_LEN + 1];

	if (!kv_root_key_row_active(id))
		return found("error", "No root key is active: nothing can be stored.",
					 "SELECT key_vault.create_root_key();");
	kv_root_key_id_to_hex(id, hex);
	if (!kv_keyring_contains(id))
		return found("error",
					 psprintf("The active root key %s is not in the keyring.", hex),
					 "Restore the keyring that this database was sealed with.");
	return found("ok", psprintf("Root key %s is active.", hex), NULL);
}

static Finding
check_keyring(void)
{
	char	   *detail;
	char	   *remedy;

	switch (kv_keyring_check(&detail, &remedy))
	{
		case KV_KEYRING_OK:
			return found("ok", detail, remedy);
		case KV_KEYRING_NOT_LOCKED:
			return found("warning", detail, remedy);
		case KV_KEYRING_NOT_CONFIGURED:
		case KV_KEYRING_UNREADABLE:
			break;
	}
	return found("error", detail, remedy);
}

static Finding
check_preload(void)
{
	char	   *answer = kv_status_rows_ask(KV_ASK_PRELOAD);

	if (answer == NULL)
		return found("ok", "Sessions load the library when they start.", NULL);
	return found("warning",
				 "Sessions load the library at their first call: until then a wrong SET of a key_vault setting is not refused.",
				 psprintf("ALTER DATABASE %s SET session_preload_libraries = 'key_vault';",
						  quote_identifier(get_database_name(MyDatabaseId))));
}

/* The mode, or why it cannot be told: a .env file that cannot be read. */
static KvMode
try_mode(ErrorData **problem)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile KvMode mode = {0};

	*problem = NULL;
	PG_TRY();
	{
		mode = kv_mode();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		*problem = CopyErrorData();
		/* reading a file leaves nothing behind; all else is not for here */
		if ((*problem)->sqlerrcode != KV_ERRCODE_KEYRING)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	return mode;
}

static Finding
check_mode(void)
{
	ErrorData  *problem;
	KvMode		mode = try_mode(&problem);
	char	   *detail;

	if (problem != NULL)
		return found("error", problem->message, problem->hint);
	detail = psprintf("%s: %s.", mode.development ? "development" : "production",
								  mode.reason);

	if (mode.by_absence)
		return found("warning", detail,
					 "On a server for users, set DEPLOY_ENV in the server's environment, or key_vault.mode = production.");
	if (!mode.development && kv_setting_mode == KV_MODE_DEVELOPMENT)
		return found("warning", detail, "Set key_vault.dotenv_file to the backend's .env file.");
	return found("ok", detail, NULL);
}

static Finding
check_log_settings(void)
{
	char	   *answer = kv_status_rows_ask(KV_ASK_LOG_SETTINGS);

	if (answer == NULL)
		return found("ok", "The server does not log statements or parameters.", NULL);
	return found("warning",
				 psprintf("These put statements or parameters into the log, and with them keys: %s.", answer),
				 "Turn them off for the roles that call key_vault, with ALTER ROLE ... SET by a superuser.");
}

static Finding
check_sealed_rows(void)
{
	char	   *answer = kv_status_rows_ask(KV_ASK_SEALED_ROWS);

	if (answer == NULL)
		return found("ok", "Every secret is sealed with a root key of this database.", NULL);
	return found("error", answer,
				 "Add the root keys to the keyring and call key_vault.activate_root_key() for each, the wanted one last.");
}

static Finding
check_service_roles(void)
{
	char	   *answer = kv_status_rows_ask(KV_ASK_SERVICE_ROLES);

	if (answer == NULL)
		return found("ok", "No role may act for any user.", NULL);
	return found(strstr(answer, "incomplete") ? "warning" : "ok", answer,
				 strstr(answer, "incomplete") ?
				 "Call key_vault.grant_access() or key_vault.revoke_access() for the role." : NULL);
}

static Finding
check_role_settings(void)
{
	char	   *answer = kv_status_rows_ask(KV_ASK_ROLE_SETTINGS);

	if (answer == NULL)
		return found("ok", "key_vault.user_id is set for no role.", NULL);
	return found(strstr(answer, "every role") ? "warning" : "ok", answer,
				 strstr(answer, "every role") ?
				 "Set the identity for single roles, or for each transaction." : NULL);
}

static Finding
check_policies(void)
{
	char	   *answer = kv_status_rows_ask(KV_ASK_POLICIES);

	if (answer == NULL)
		return found("ok", "Row-level security is as installed.", NULL);
	return found(strstr(answer, "is off") || strstr(answer, "is missing") ? "error" : "warning",
				 answer,
				 "Compare with \\d key_vault_data.secrets of a fresh install; keep own policies in a migration.");
}

/* A key in the server's environment would be paid for by the operator. */
static Finding
check_environment(void)
{
	StringInfoData names;
	const KvProvider *provider;
	ErrorData  *problem;
	bool		development;

	initStringInfo(&names);
	for (int i = 0; (provider = kv_provider_at(i)) != NULL; i++)
	{
		if (getenv(provider->env_var) != NULL)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", provider->env_var);
	}
	if (names.len == 0)
		return found("ok", "The server's environment holds no provider keys.", NULL);
	development = try_mode(&problem).development;
	return found(development ? "ok" : "warning",
				 psprintf("The server's environment holds provider keys: %s.", names.data),
				 development ? NULL :
				 "Remove them from the host's environment and restart the server: users bring their own.");
}

static const struct
{
	const char *item;
	Finding		(*check) (void);
}			items[] =
{
	{"root_key", check_root_key},
	{"keyring", check_keyring},
	{"preload", check_preload},
	{"mode", check_mode},
	{"log_settings", check_log_settings},
	{"sealed_rows", check_sealed_rows},
	{"service_roles", check_service_roles},
	{"role_settings", check_role_settings},
	{"policies", check_policies},
	{"environment", check_environment}
};

void
kv_status_report(Tuplestorestate *result, TupleDesc columns)
{
	for (int i = 0; i < (int) lengthof(items); i++)
	{
		Finding		finding = items[i].check();
		Datum		values[4];
		bool		nulls[4] = {false, false, finding.detail == NULL, finding.remedy == NULL};

		values[0] = CStringGetTextDatum(items[i].item);
		values[1] = CStringGetTextDatum(finding.state);
		values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(finding.detail);
		values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(finding.remedy);
		tuplestore_putvalues(result, columns, values, nulls);
	}
}
