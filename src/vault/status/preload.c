/*
 * preload.c
 *		Whether the library is there when it is needed, and how to have it so
 *		without taking another library away.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "server/settings.h"
#include "server/use_table.h"
#include "store/setting_rows.h"
#include "vault/status/checks.h"

#define SHARED "shared_preload_libraries"
#define IN_SESSIONS "session_preload_libraries"

/* The libraries of such a list, as the server takes it apart. */
static List *
libraries_of(const char *value)
{
	List	   *libraries = NIL;

	if (value == NULL || !SplitDirectoriesString(pstrdup(value), ',', &libraries))
		return NIL;
	return libraries;
}

static bool
is_ours(const char *library)
{
	const char *slash = last_dir_separator(library);
	const char *name = slash != NULL ? slash + 1 : library;

	return strcmp(name, "key_vault") == 0 || strcmp(name, "key_vault" DLSUFFIX) == 0;
}

bool
kv_preloads_ours(const char *libraries)
{
	ListCell   *cell;

	foreach(cell, libraries_of(libraries))
	{
		if (is_ours(lfirst(cell)))
			return true;
	}
	return false;
}

/* The list with ours at its end: each library in quotes of its own, or all in one. */
static char *
with_ours(const char *value, char *(*quote) (const char *library))
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, libraries_of(value))
		appendStringInfo(&list, "%s, ", quote(lfirst(cell)));
	appendStringInfoString(&list, quote("key_vault"));
	return list.data;
}

static char *
in_double_quotes(const char *library)
{
	return (char *) quote_identifier(library);
}

/* What the server starts with next counts, not what it has now. */
static char *
remedy(const KvServerSetting *shared)
{
	if (strcmp(shared->source, "command line") == 0)
		return psprintf("Start the server with -c " SHARED "=%s: its command line wins over the configuration files.",
						quote_literal_cstr(with_ours(shared->value, in_double_quotes)));
	return psprintf("-- and then restart the server\nALTER SYSTEM SET " SHARED " = %s;",
					with_ours(shared->pending != NULL ? shared->pending : shared->value,
							  quote_literal_cstr));
}

/* The roles whose sessions come without the library: NULL when there are none. */
static char *
roles_without(void)
{
	static const char *const names[] = {IN_SESSIONS};
	StringInfoData roles;
	ListCell   *cell;

	initStringInfo(&roles);
	foreach(cell, kv_session_settings(names, lengthof(names)))
	{
		const KvSessionSetting *setting = lfirst(cell);

		if (!kv_preloads_ours(setting->value))
			appendStringInfo(&roles, "%s%s", roles.len > 0 ? ", " : "",
							 setting->role != NULL ? setting->role : "all roles");
	}
	return roles.len > 0 ? roles.data : NULL;
}

KvFinding
kv_check_preload(void)
{
	KvServerSetting shared = kv_server_setting(SHARED);
	char	   *roles;

	if (kv_preloads_ours(shared.value))
		return kv_found_ok("The server loads the library when it starts.");
	if (kv_setting_track_last_use && !kv_use_table_exists())
		return kv_found_warning("key_vault.track_last_use is on, but the library is not in " SHARED ": no use is counted.",
								remedy(&shared));
	roles = roles_without();
	if (roles == NULL)
		return kv_found_ok("Sessions load the library when they start.");
	if (kv_preloads_ours(shared.pending))
		return kv_found_warning("The library is in " SHARED ", but the server has not been restarted since.",
								"Restart the server.");
	return kv_found_warning(psprintf("Sessions of these load the library at their first call, and until then a wrong SET of a key_vault setting is not refused: %s.",
									 roles), remedy(&shared));
}
