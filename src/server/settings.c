/*
 * settings.c
 *		Defines every setting of key_vault.  What a setting means is decided by
 *		those who read it; only what makes a value impossible is checked here.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/guc.h"

#include "server/database_path.h"
#include "server/identity_settings.h"
#include "server/redaction/names.h"
#include "server/settings.h"
#include "server/shared_slots.h"

char	   *kv_setting_user_id = "";
char	   *kv_setting_team_id = "";
char	   *kv_setting_identity_until = "";
char	   *kv_setting_keyring_file = "";
char	   *kv_setting_keyring_command = "";
int			kv_setting_keyring_command_timeout = 10000;
char	   *kv_setting_dotenv_file = "";
int			kv_setting_mode = KV_MODE_AUTO;
int			kv_setting_hint = KV_HINT_LAST4;
int			kv_setting_check_keys = KV_CHECK_KEYS_WARN;
int			kv_setting_keep_versions = 2;
bool		kv_setting_redact = true;
static char *setting_redact_names = "";
int			kv_setting_purge_after = 30 * 24 * 60;
int			kv_setting_audit = KV_AUDIT_OFF;
int			kv_setting_audit_timeout = 5000;
int			kv_setting_audit_keep = 365 * 24 * 60;
bool		kv_setting_track_last_use = false;

static uint64 keyring_generation = 1;

static const struct config_enum_entry hint_options[] = {
	{"none", KV_HINT_NONE, false},
	{"last4", KV_HINT_LAST4, false},
	{NULL, 0, false}
};

static const struct config_enum_entry check_keys_options[] = {
	{"warn", KV_CHECK_KEYS_WARN, false},
	{"refuse", KV_CHECK_KEYS_REFUSE, false},
	{NULL, 0, false}
};

static const struct config_enum_entry audit_options[] = {
	{"off", KV_AUDIT_OFF, false},
	{"async", KV_AUDIT_ASYNC, false},
	{"durable", KV_AUDIT_DURABLE, false},
	{NULL, 0, false}
};

static const struct config_enum_entry mode_options[] = {
	{"auto", KV_MODE_AUTO, false},
	{"development", KV_MODE_DEVELOPMENT, false},
	{"production", KV_MODE_PRODUCTION, false},
	{NULL, 0, false}
};

static bool
check_user_id(char **newval, void **extra, GucSource source)
{
	if (*newval && strlen(*newval) > KV_USER_ID_MAX)
	{
		GUC_check_errdetail("A user id has at most %d bytes.", KV_USER_ID_MAX);
		return false;
	}
	if (*newval && strcmp(*newval, KV_TEAM_PREFIX) == 0)
	{
		GUC_check_errdetail("A team's id must follow \"%s\".", KV_TEAM_PREFIX);
		return false;
	}
	return true;
}

static bool
check_team_id(char **newval, void **extra, GucSource source)
{
	if (*newval && strlen(*newval) > KV_TEAM_ID_MAX)
	{
		GUC_check_errdetail("A team id has at most %d bytes.", KV_TEAM_ID_MAX);
		return false;
	}
	if (*newval && strncmp(*newval, KV_TEAM_PREFIX, KV_TEAM_PREFIX_LEN) == 0)
	{
		GUC_check_errdetail("Give the team's own id, without \"%s\".", KV_TEAM_PREFIX);
		return false;
	}
	return true;
}

static bool
check_absolute_path(char **newval, void **extra, GucSource source)
{
	if (*newval == NULL || **newval == '\0')
		return true;
	if (!is_absolute_path(*newval))
	{
		GUC_check_errdetail("The path must be absolute.");
		return false;
	}
	if (strlen(*newval) >= MAXPGPATH)
	{
		GUC_check_errdetail("The path has at most %d bytes.", MAXPGPATH - 1);
		return false;
	}
	return true;
}

static bool
check_keyring_file(char **newval, void **extra, GucSource source)
{
	if (!check_absolute_path(newval, extra, source))
		return false;
	if (*newval != NULL && !kv_database_path_is_valid(*newval))
	{
		GUC_check_errdetail("%%d stands for the database's name, %%%% for a per cent; nothing else may follow a per cent.");
		return false;
	}
	return true;
}

static void
assign_keyring_source(const char *newval, void *extra)
{
	keyring_generation++;
	kv_slots_outdate();
}

uint64
kv_settings_keyring_generation(void)
{
	return keyring_generation;
}

void
kv_settings_define(void)
{
	DefineCustomStringVariable("key_vault.user_id",
							   "The user that the current transaction acts for.",
							   "Empty means none. Changing it needs SET on the parameter.",
							   &kv_setting_user_id,
							   "",
							   PGC_SUSET,
							   GUC_NOT_IN_SAMPLE,
							   check_user_id, NULL, kv_identity_settings_show_user_id);

	DefineCustomStringVariable("key_vault.team_id",
							   "The team whose keys serve the user where there is none of the user's own.",
							   "Empty means none. Changing it needs SET on the parameter.",
							   &kv_setting_team_id,
							   "",
							   PGC_SUSET,
							   GUC_NOT_IN_SAMPLE,
							   check_team_id, NULL, kv_identity_settings_show_team_id);

	DefineCustomStringVariable("key_vault.identity_until",
							   "Until when parallel workers go by the identity that a token made.",
							   "Microseconds since 1970. Set by key_vault.authenticate() for its transaction.",
							   &kv_setting_identity_until,
							   "",
							   PGC_SUSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   NULL, NULL, kv_identity_settings_show_until);

	DefineCustomStringVariable("key_vault.keyring_file",
							   "The file that holds the root keys.",
							   "An absolute path outside the data directory; %d in it is the database's name.",
							   &kv_setting_keyring_file,
							   "",
							   PGC_SIGHUP,
							   GUC_SUPERUSER_ONLY | GUC_NOT_IN_SAMPLE,
							   check_keyring_file, assign_keyring_source, NULL);

	DefineCustomStringVariable("key_vault.keyring_command",
							   "A shell command that prints the root keys.",
							   "It is used instead of key_vault.keyring_file. KEY_VAULT_DATABASE in its environment is the database's name.",
							   &kv_setting_keyring_command,
							   "",
							   PGC_SIGHUP,
							   GUC_SUPERUSER_ONLY | GUC_NOT_IN_SAMPLE,
							   NULL, assign_keyring_source, NULL);

	DefineCustomIntVariable("key_vault.keyring_command_timeout",
							"How long key_vault.keyring_command may take.",
							NULL,
							&kv_setting_keyring_command_timeout,
							10000, 1, INT_MAX,
							PGC_SIGHUP,
							GUC_SUPERUSER_ONLY | GUC_UNIT_MS | GUC_NOT_IN_SAMPLE,
							NULL, NULL, NULL);

	DefineCustomEnumVariable("key_vault.hint",
							 "What is kept in the clear so that a user recognizes a key.",
							 "last4 keeps the last four characters of keys of 16 or more.",
							 &kv_setting_hint,
							 KV_HINT_LAST4, hint_options,
							 PGC_SUSET,
							 GUC_NOT_IN_SAMPLE,
							 NULL, NULL, NULL);

	DefineCustomEnumVariable("key_vault.check_keys",
							 "What set() does with a key that is odd.",
							 "warn stores it with a WARNING, refuse does not store it.",
							 &kv_setting_check_keys,
							 KV_CHECK_KEYS_WARN, check_keys_options,
							 PGC_SUSET,
							 GUC_NOT_IN_SAMPLE,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("key_vault.keep_versions",
							"How many previous versions of a secret set() keeps.",
							NULL,
							&kv_setting_keep_versions,
							2, 0, 1000,
							PGC_SUSET,
							GUC_NOT_IN_SAMPLE,
							NULL, NULL, NULL);

	DefineCustomEnumVariable("key_vault.mode",
							 "Whether keys come from the .env file or from the database.",
							 "auto decides by DEBUG and DEPLOY_ENV.",
							 &kv_setting_mode,
							 KV_MODE_AUTO, mode_options,
							 PGC_SIGHUP,
							 GUC_NOT_IN_SAMPLE,
							 NULL, NULL, NULL);

	DefineCustomStringVariable("key_vault.dotenv_file",
							   "The .env file of the backend under development.",
							   "Empty means that there is no development mode.",
							   &kv_setting_dotenv_file,
							   "",
							   PGC_SIGHUP,
							   GUC_SUPERUSER_ONLY | GUC_NOT_IN_SAMPLE,
							   check_absolute_path, NULL, NULL);

	DefineCustomIntVariable("key_vault.purge_after",
							"How long ago a secret must have expired for purge() to remove it.",
							"-1 means that none is removed.",
							&kv_setting_purge_after,
							30 * 24 * 60, -1, INT_MAX,
							PGC_SUSET,
							GUC_UNIT_MIN | GUC_NOT_IN_SAMPLE,
							NULL, NULL, NULL);

	DefineCustomEnumVariable("key_vault.audit",
							 "Whether each call that asks for a key leaves a record.",
							 "async writes it within a second, durable before the key leaves the server.",
							 &kv_setting_audit,
							 KV_AUDIT_OFF, audit_options,
							 PGC_SIGHUP,
							 GUC_NOT_IN_SAMPLE,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("key_vault.audit_timeout",
							"How long a call waits for its audit record at most.",
							"It fails then, without a key.",
							&kv_setting_audit_timeout,
							5000, 1, INT_MAX,
							PGC_SUSET,
							GUC_UNIT_MS | GUC_NOT_IN_SAMPLE,
							NULL, NULL, NULL);

	DefineCustomIntVariable("key_vault.audit_keep",
							"How long purge() keeps audit records.",
							"-1 means that none is removed.",
							&kv_setting_audit_keep,
							365 * 24 * 60, -1, INT_MAX,
							PGC_SUSET,
							GUC_UNIT_MIN | GUC_NOT_IN_SAMPLE,
							NULL, NULL, NULL);

	DefineCustomBoolVariable("key_vault.track_last_use",
							 "Whether it is counted when keys are used.",
							 "Needs shared_preload_libraries.",
							 &kv_setting_track_last_use,
							 false,
							 PGC_SUSET,
							 GUC_NOT_IN_SAMPLE,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("key_vault.redact",
							 "Whether secrets are taken out of what the server logs and shows.",
							 NULL,
							 &kv_setting_redact,
							 true,
							 PGC_SUSET,
							 GUC_NOT_IN_SAMPLE,
							 NULL, NULL, NULL);

	DefineCustomStringVariable("key_vault.redact_names",
							   "Functions and relations of the application that pass secrets on to key_vault.",
							   "A statement that names one is logged without its literals and parameters.",
							   &setting_redact_names,
							   "",
							   PGC_SUSET,
							   GUC_LIST_INPUT | GUC_NOT_IN_SAMPLE,
							   kv_redact_names_check, kv_redact_names_assign, NULL);

	MarkGUCPrefixReserved("key_vault");
}
