/*
 * keyring_source.c
 *		Where the keyring of this database is, and what is read there.
 *
 * Nothing decides that but the settings about the keyring and the database's name: no
 * .env file, and no mode but the setting itself.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "server/command.h"
#include "server/database_path.h"
#include "server/errors.h"
#include "server/private_file.h"
#include "server/settings.h"
#include "store/root_key_rows.h"
#include "vault/roots/keyring_source.h"

#define DATABASE_VARIABLE "KEY_VAULT_DATABASE"

bool
kv_keyring_is_configured(void)
{
	return kv_setting_keyring_command[0] != '\0' || kv_setting_keyring_file[0] != '\0';
}

void
kv_keyring_report_not_configured(void)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_KEYRING),
			 errmsg("no keyring is configured"),
			 errdetail("Neither key_vault.keyring_file nor key_vault.keyring_command is set."),
			 errhint("Run:\nLOAD 'key_vault';\nALTER SYSTEM SET key_vault.keyring_file = '/etc/postgresql/key_vault/%%d.keyring';\nSELECT pg_reload_conf();")));
}

char *
kv_keyring_file(void)
{
	return kv_database_path(kv_setting_keyring_file);
}

int
kv_keyring_file_flags(void)
{
	return kv_setting_mode == KV_MODE_DEVELOPMENT ?
		KV_PRIVATE_FILE_MAY_BE_IN_DATA_DIRECTORY : KV_PRIVATE_FILE_STRICT;
}

char *
kv_keyring_describe_source(void)
{
	if (kv_setting_keyring_command[0] != '\0')
		return pstrdup("keyring_command");
	return psprintf("file \"%s\"", kv_keyring_file());
}

/* True when the path says which database it is for. */
static bool
is_file_of_database(void)
{
	return kv_setting_keyring_command[0] == '\0' &&
		kv_database_path_has_name(kv_setting_keyring_file);
}

/* What the path is made of, for who expected another one. */
static char *
explain_path(void)
{
	return psprintf("The setting key_vault.keyring_file is \"%s\", and this database is named \"%s\".",
					kv_setting_keyring_file, kv_database_name());
}

char *
kv_keyring_source_detail(const char *source)
{
	if (!is_file_of_database())
		return psprintf("The keyring was read from %s.", source);
	return psprintf("The keyring was read from %s. %s", source, explain_path());
}

const char *
kv_keyring_missing_key_hint(void)
{
	return is_file_of_database() ?
		"Restore the keyring that this database was sealed with. If the database was renamed, restored under another name, or copied, that is the file of its other name: rename or copy that file." :
		"Restore the keyring that this database was sealed with.";
}

/* Whether anything may be sealed with a root key that the keyring must hold. */
static bool
needs_root_keys(void)
{
	int			count;
	KvRootKeyRow *rows = kv_root_key_rows_read(&count);
	bool		found = false;

	for (int i = 0; i < count; i++)
		found = found || !rows[i].is_retired;
	pfree(rows);
	return found;
}

/* There is no file: after a rename, before the first root key, or by mistake. */
pg_noreturn static void
report_no_file(const char *path)
{
	bool		needed = needs_root_keys();

	/* Says which folder lacks, if one does */
	(void) kv_private_file_resolve(path, kv_keyring_file_flags());

	errno = ENOENT;
	ereport(ERROR,
			(errcode(KV_ERRCODE_KEYRING),
			 errmsg("could not open file \"%s\": %m", path),
			 is_file_of_database() ? errdetail("%s", explain_path()) : 0,
			 !needed ?
			 errhint("This database has no root key yet. Make one, and the file with it: SELECT key_vault.create_root_key();") :
			 is_file_of_database() ?
			 errhint("If the database was renamed, restored under another name, or copied, rename or copy the file of its other name to this path. Otherwise put back the keyring that it was sealed with.") :
			 errhint("Put back the keyring that this database was sealed with. Check the path, and each symbolic link on the way.")));
}

/* A command that reads what the file's rule does not allow, to be typed as it stands. */
static char *
advise_command(void)
{
	char	   *word = kv_database_path_for_shell(kv_setting_keyring_file, DATABASE_VARIABLE);
	char	   *literal = quote_literal_cstr(psprintf("cat %s", word));

	return psprintf("If it cannot be changed, as a secret that a container mounts, run:\nLOAD 'key_vault';\nALTER SYSTEM SET key_vault.keyring_command = %s;\nSELECT pg_reload_conf();",
					literal);
}

static KvKeyringText
read_file(const char *path, int flags)
{
	KvKeyringText text = {0};

	text.bytes = kv_private_file_read(path, KV_KEYRING_MAX_SIZE,
									  kv_keyring_file_flags() | flags, advise_command(),
									  &text.len, &text.allocated);
	return text;
}

KvKeyringText
kv_keyring_read_file(const char *path)
{
	return read_file(path, KV_PRIVATE_FILE_MAY_BE_MISSING | KV_PRIVATE_FILE_MAY_BE_EMPTY);
}

static KvKeyringText
read_command(void)
{
	KvKeyringText text = {0};

	text.bytes = kv_command_output("key_vault.keyring_command",
								   kv_setting_keyring_command,
								   psprintf(DATABASE_VARIABLE "=%s", kv_database_name()),
								   kv_setting_keyring_command_timeout,
								   KV_KEYRING_MAX_SIZE,
								   &text.len, &text.allocated);
	return text;
}

KvKeyringText
kv_keyring_read_source(void)
{
	KvKeyringText text;
	char	   *path;

	if (kv_setting_keyring_command[0] != '\0')
		return read_command();
	path = kv_keyring_file();
	text = read_file(path, KV_PRIVATE_FILE_MAY_BE_MISSING);
	if (text.bytes == NULL)
		report_no_file(path);
	return text;
}
