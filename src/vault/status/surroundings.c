/*
 * surroundings.c
 *		What the server's environment and the .env file make of key_vault.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "server/errors.h"
#include "server/settings.h"
#include "vault/laptop/mode.h"
#include "vault/providers/providers.h"
#include "vault/status/checks.h"

/* A session without the library does not know its settings. */
#define LOADED "LOAD 'key_vault'; "

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

KvFinding
kv_check_mode(void)
{
	ErrorData  *problem;
	KvMode		mode = try_mode(&problem);
	char	   *detail;

	if (problem != NULL)
		return kv_found_error(problem->message, problem->hint);
	detail = psprintf("%s: %s.", mode.development ? "development" : "production",
					  mode.reason);

	if (mode.by_absence)
		return kv_found_warning(detail,
								"-- or 'development', on a laptop\n" LOADED
								"ALTER SYSTEM SET key_vault.mode = 'production'; SELECT pg_reload_conf();");
	if (!mode.development && kv_setting_mode == KV_MODE_DEVELOPMENT)
		return kv_found_warning(detail,
								LOADED "ALTER SYSTEM SET key_vault.dotenv_file = '/path/to/backend/.env'; SELECT pg_reload_conf();");
	return kv_found_ok(detail);
}

/* A key in the server's environment would be paid for by the operator. */
KvFinding
kv_check_environment(void)
{
	StringInfoData names;
	const KvProvider *provider;
	ErrorData  *problem;

	initStringInfo(&names);
	for (int i = 0; (provider = kv_provider_at(i)) != NULL; i++)
	{
		if (getenv(provider->env_var) != NULL)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", provider->env_var);
	}
	if (names.len == 0)
		return kv_found_ok("The server's environment holds no provider keys.");
	names.data = psprintf("The server's environment holds provider keys: %s.", names.data);
	if (try_mode(&problem).development)
		return kv_found_ok(names.data);
	return kv_found_warning(names.data,
							"Remove them from the host's environment and restart the server: users bring their own.");
}
