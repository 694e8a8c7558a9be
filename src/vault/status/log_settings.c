/*
 * log_settings.c
 *		Which settings would put a session's statements or parameters, and with them
 *		keys, into the server's log.
 *
 * None does where the library is preloaded, which keeps secrets out, and
 * key_vault.redact does not tell it not to.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "server/compat.h"
#include "store/setting_rows.h"
#include "vault/status/checks.h"

/* A value that cannot be read does not count as a safe one. */
static bool
is_off(const char *value)
{
	bool		on;

	return parse_bool(value, &on) && !on;
}

static bool
is_never(const char *value)
{
	int			milliseconds;

	return parse_int(value, &milliseconds, GUC_UNIT_MS, NULL) && milliseconds == -1;
}

static bool
is_no_length(const char *value)
{
	int			bytes;

	return parse_int(value, &bytes, GUC_UNIT_BYTE, NULL) && bytes == 0;
}

static bool
is_no_share(const char *value)
{
	double		share;

	return parse_real(value, &share, 0, NULL) && share == 0;
}

static bool
is_no_statement(const char *value)
{
	return pg_strcasecmp(value, "none") == 0 || pg_strcasecmp(value, "ddl") == 0;
}

static bool
is_no_class(const char *value)
{
	return *value == '\0' || pg_strcasecmp(value, "none") == 0;
}

/* From errors on, the statement is said for what stopped it. */
static bool
is_error_or_worse(const char *value)
{
	static const char *const levels[] = {"error", "log", "fatal", "panic"};

	for (int i = 0; i < (int) lengthof(levels); i++)
	{
		if (pg_strcasecmp(value, levels[i]) == 0)
			return true;
	}
	return false;
}

static bool
is_on(const char *value)
{
	bool		on;

	return parse_bool(value, &on) && on;
}

#define IN_SESSIONS "session_preload_libraries"
#define REDACT "key_vault.redact"

static const struct
{
	const char *name;
	bool		(*is_safe) (const char *value);
	const char *safe;			/* a value that is */
}			judged[] =
{
	{REDACT, is_on, "on"},
	{"log_statement", is_no_statement, "none"},
	{"log_min_duration_statement", is_never, "-1"},
	{"log_min_duration_sample", is_never, "-1"},
	{"log_transaction_sample_rate", is_no_share, "0"},
	{"log_parameter_max_length_on_error", is_no_length, "0"},
	{"log_min_error_statement", is_error_or_worse, "error"},
	{"debug_print_parse", is_off, "off"},
	{"debug_print_raw_parse", is_off, "off"},
	{"debug_print_rewritten", is_off, "off"},
	{"debug_print_plan", is_off, "off"},
	{"auto_explain.log_min_duration", is_never, "-1"},
	{"pgaudit.log", is_no_class, "none"},
	{"pgaudit.log_parameter", is_off, "off"}
};

static bool
is_for(const KvSessionSetting *setting, const char *role)
{
	return role == NULL ? setting->role == NULL :
		setting->role != NULL && strcmp(setting->role, role) == 0;
}

/* Whether sessions of the role keep secrets out of the log by themselves. */
static bool
is_redacted(const List *settings, const char *role, bool is_loaded)
{
	ListCell   *cell;

	foreach(cell, settings)
	{
		const KvSessionSetting *setting = lfirst(cell);

		if (!is_for(setting, role))
			continue;
		if (strcmp(setting->name, IN_SESSIONS) == 0)
			is_loaded = is_loaded || kv_preloads_ours(setting->value);
		else if (strcmp(setting->name, REDACT) == 0 &&
				 setting->value != NULL && !is_on(setting->value))
			return false;
	}
	return is_loaded;
}

/* What to set instead, or NULL when the value is safe or none. */
static const char *
safe_value(const KvSessionSetting *setting)
{
	if (setting->value == NULL)
		return NULL;
	for (int i = 0; i < (int) lengthof(judged); i++)
	{
		if (strcmp(judged[i].name, setting->name) == 0)
			return judged[i].is_safe(setting->value) ? NULL : judged[i].safe;
	}
	return NULL;
}

/* For this database, because that counts most, wherever the other value comes from. */
static void
append_remedy(StringInfo remedies, const KvSessionSetting *setting, const char *value)
{
	const char *database = quote_identifier(get_database_name(MyDatabaseId));

	if (remedies->len > 0)
		appendStringInfoChar(remedies, '\n');
	if (setting->role != NULL)
		appendStringInfo(remedies, "ALTER ROLE %s IN DATABASE %s SET %s = '%s';",
						 quote_identifier(setting->role), database, setting->name, value);
	else
		appendStringInfo(remedies, "ALTER DATABASE %s SET %s = '%s';",
						 database, setting->name, value);
}

/* All that is judged, and the list that tells whether the library is there. */
static List *
load_settings(void)
{
	const char *names[lengthof(judged) + 1] = {IN_SESSIONS};

	for (int i = 0; i < (int) lengthof(judged); i++)
		names[i + 1] = judged[i].name;
	return kv_session_settings(names, lengthof(names));
}

KvFinding
kv_check_log_settings(void)
{
	bool		is_loaded = kv_preloads_ours(kv_server_setting("shared_preload_libraries").value);
	List	   *settings = load_settings();
	StringInfoData details;
	StringInfoData remedies;
	ListCell   *cell;

	initStringInfo(&details);
	initStringInfo(&remedies);
	foreach(cell, settings)
	{
		const KvSessionSetting *setting = lfirst(cell);
		const char *instead = safe_value(setting);

		if (instead == NULL || is_redacted(settings, setting->role, is_loaded))
			continue;
		appendStringInfo(&details, "%s%s%s%s = %s", details.len > 0 ? ", " : "",
						 setting->role != NULL ? setting->role : "",
						 setting->role != NULL ? ": " : "", setting->name, setting->value);
		append_remedy(&remedies, setting, instead);
	}
	if (details.len == 0)
		return kv_found_ok("No session that handles keys puts them into the log.");
	return kv_found_warning(psprintf("These can put keys into the log: %s.", details.data),
							remedies.data);
}
