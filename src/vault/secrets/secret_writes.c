/*
 * secret_writes.c
 *		Storing secrets: what is valid, and which version is next.  In development
 *		the .env file follows.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "server/errors.h"
#include "server/settings.h"
#include "store/root_key_rows.h"
#include "store/secret_reads.h"
#include "vault/audit/calls.h"
#include "vault/identity/identity.h"
#include "vault/laptop/dotenv_file.h"
#include "vault/roots/ids_in_use.h"
#include "vault/roots/keyring.h"
#include "vault/roots/sealing.h"
#include "vault/secrets/attribute_checks.h"
#include "vault/secrets/dotenv_attributes.h"
#include "vault/secrets/hint.h"
#include "vault/secrets/key_checks.h"
#include "vault/secrets/secret_name.h"
#include "vault/secrets/secrets.h"
#include "vault/secrets/write_nesting.h"

#define VAIN_ATTEMPTS_MAX 100
#define ATTEMPTS_MAX 10000

static void
check_options(const KvSetOptions *options)
{
	if (options->has_expiry && options->expires_at <= GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("expires_at is in the past"),
				 errdetail("It is %s.", timestamptz_to_str(options->expires_at)),
				 errhint("Pass NULL for a key that never expires.")));
	if (options->has_if_version && options->if_version < 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("if_version must be 0 or more"),
				 errhint("0 means that there must be no key yet.")));
}

static void
check_if_version(const KvSecretName *name, int32 current, const KvSetOptions *options)
{
	if (!options->has_if_version || options->if_version == current)
		return;
	ereport(ERROR,
			(errcode(KV_ERRCODE_STATE),
			 errmsg("if_version does not hold for provider \"%s\", label \"%s\"",
					text_to_cstring(name->provider), kv_quotable_label(name->label)),
			 current == 0 ?
			 errdetail("Expected version %d, but there is no key.", options->if_version) :
			 errdetail("Expected version %d, but the current version is %d.",
					   options->if_version, current),
			 errhint("Read the current version with key_vault.list() and decide again.")));
}

/*
 * A version that is taken although it is not there was removed meanwhile, which
 * does not go on for ever; or a trigger keeps the row out, which does.  Other
 * sessions that take each next version end some time; a trigger does not.
 */
static void
check_row_can_be_stored(int32 version, int attempts, int vain_attempts)
{
	if (vain_attempts < VAIN_ATTEMPTS_MAX && attempts < ATTEMPTS_MAX)
		return;
	ereport(ERROR,
			(errcode(KV_ERRCODE_STATE),
			 errmsg("version %d was not stored", version),
			 vain_attempts == VAIN_ATTEMPTS_MAX ?
			 errdetail("Table \"key_vault_data.secrets\" took no row, %d times.", vain_attempts) :
			 errdetail("Each of %d versions was there before it could be stored.", attempts),
			 errhint("Look for a trigger on the table that leaves rows out, or adds versions.")));
}

/*
 * Takes back a version that was free only because others had given it before,
 * and trimmed it: nobody would ever read what is stored there.
 */
static void
take_back(const KvSecretName *name, int32 version)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access to API keys due to concurrent change"),
				 errhint("Run the transaction again.")));
	kv_secret_rows_delete_through(name, version);
}

/* With if_version old versions go last, after another look at the highest. */
static KvSecretLook
look_before(const KvSecretName *name, const KvSetOptions *options)
{
	if (options->has_if_version)
		return (KvSecretLook){.highest = kv_secret_rows_highest(name)};
	return kv_secret_rows_look(name, kv_setting_keep_versions);
}

/* As store(), which nothing keeps from being called within itself. */
static int32
store_once(const KvSecretName *name, KvSecretRow *row, const text *api_key,
		   const KvSetOptions *options)
{
	uint8		active[KV_ROOT_KEY_ID_LEN];
	KvSecretLook look;
	int32		highest;
	int32		superfluous;
	int			attempts = 0;
	int			vain_attempts = 0;

	/* The lock first: a root key that is active after it cannot be retired. */
	kv_secret_rows_lock_for_write();
	if (!kv_root_key_row_active(active))
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("no root key is active in this database"),
				 errhint("An admin creates one with key_vault.create_root_key(), or activates one of the keyring with key_vault.activate_root_key().")));
	(void) kv_keyring_require(active);
	kv_ids_in_use_mend(active);

	for (;;)
	{
		look = look_before(name, options);
		highest = look.highest;
		check_if_version(name, highest, options);
		if (highest == PG_INT32_MAX)
			ereport(ERROR,
					(errcode(KV_ERRCODE_STATE),
					 errmsg("version numbers are used up"),
					 errhint("Delete the key and set it again.")));
		vain_attempts = row->version == highest + 1 ? vain_attempts + 1 : 0;
		check_row_can_be_stored(row->version, attempts++, vain_attempts);
		row->version = highest + 1;
		/* asked for each time: a trigger may have had the keyring read again */
		kv_seal(name, row, kv_keyring_require(active),
				VARDATA_ANY(api_key), VARSIZE_ANY_EXHDR(api_key));
		if (kv_secret_rows_insert(name, row) == KV_INSERTED)
		{
			superfluous = Max(row->version - kv_setting_keep_versions - 1, 0);
			if (kv_secret_rows_settle(name, row->version,
									  options->has_if_version ? 0 : superfluous, &look))
				break;
			take_back(name, row->version);
		}
		pfree(row->sealed);
		CHECK_FOR_INTERRUPTS();
	}

	if (options->has_if_version)
	{
		/*
		 * A delete() that has not committed yet hid behind the snapshot.  After
		 * the insert, so that whoever sets the same secret waits for nobody else.
		 */
		if (highest > 0 && !kv_secret_rows_lock_version(name, highest))
			check_if_version(name, 0, options);
		kv_secret_rows_delete_through(name, superfluous);
	}
	return row->version;
}

/*
 * Seals the key as the version after the highest, and trims old versions.
 * row holds hint, expiry and attributes.
 */
static int32
store(const KvSecretName *name, KvSecretRow *row, const text *api_key,
	  const KvSetOptions *options)
{
	volatile int32 version;

	KV_WRITE_BEGIN(KV_WRITE_SET, name);
	{
		version = store_once(name, row, api_key, options);
	}
	KV_WRITE_END();
	return version;
}

static void
write_variables(const KvSecretTarget *target, const text *api_key, Jsonb *attributes)
{
	kv_dotenv_file_change(target->variable, VARDATA_ANY(api_key), VARSIZE_ANY_EXHDR(api_key));
	kv_dotenv_attributes_change(target, attributes);
}

/* The variables make room for the row. */
static void
remove_variables(const KvSecretTarget *target)
{
	kv_dotenv_file_change(target->variable, NULL, 0);
	kv_dotenv_attributes_change(target, NULL);
}

/*
 * Says the key to the .env file as well, but for what the file would serve otherwise than
 * it was set: for ever, or without an address that it has no variable for.
 */
static void
change_variables(const KvSecretTarget *target, const text *api_key, bool expires,
				 Jsonb *attributes)
{
	const char *without = kv_dotenv_attribute_without_variable(target, attributes);

	if (!expires && without == NULL)
	{
		write_variables(target, api_key, attributes);
		return;
	}
	remove_variables(target);
	ereport(NOTICE,
			(expires ? errmsg("a key that expires is stored in the database only") :
			 errmsg("a key with attribute \"%s\" is stored in the database only", without),
			 errdetail("Variable %s is removed from file \"%s\".",
					   target->variable, kv_setting_dotenv_file),
			 expires ? 0 : errhint("The file holds attributes that are strings and have a variable: attribute_vars of key_vault.providers.")));
}

/* Without a user there is only the .env file. */
static void
set_variable_alone(const KvSecretTarget *target, const text *api_key,
				   const KvSetOptions *options)
{
	const char *without;

	PreventCommandIfReadOnly("key_vault.set()");
	if (target->variable == NULL || options->has_expiry || options->has_if_version)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("label, expires_at and if_version need a user"),
				 errdetail("Without a user the key goes to the .env file, which has none of them."),
				 errhint("Pass the user's id.")));
	kv_attributes_check(options->attributes, api_key);
	without = kv_dotenv_attribute_without_variable(target, options->attributes);
	if (without != NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("attribute \"%s\" needs a user", without),
				 errdetail("Without a user the key goes to the .env file, which holds attributes that are strings and have a variable."),
				 errhint("Pass the user's id, or have an admin name a variable with attribute_vars of key_vault.add_provider().")));
	write_variables(target, api_key, options->attributes);
}

int32
kv_secret_store(const KvSecretTarget *target, const text *api_key,
				const KvSetOptions *options)
{
	KvSecretRow row = {0};

	check_options(options);
	kv_attributes_check(options->attributes, api_key);
	row.hint = kv_hint(api_key);
	row.has_expiry = options->has_expiry;
	row.expires_at = options->expires_at;
	row.attributes = options->attributes;
	KV_ACT_FOR(target->name.user_id);
	{
		store(&target->name, &row, api_key, options);
	}
	KV_ACT_END();
	return row.version;
}

int32
kv_secret_set(const KvSecretArgs *args, text *api_key, const KvSetOptions *options)
{
	KvSecretTarget target;
	int32		version;

	kv_key_hide_literal(api_key);
	target = kv_secret_target(args);
	kv_key_check(&target, api_key, options->what ? options->what : "API key");
	Assert(api_key != NULL);
	if (target.name.user_id == NULL)
	{
		set_variable_alone(&target, api_key, options);
		return 0;
	}

	version = kv_secret_store(&target, api_key, options);
	if (target.variable != NULL)
		change_variables(&target, api_key, options->has_expiry, options->attributes);
	return version;
}

/* Opens an older version and stores it again; returns the new version. */
static int32
restore_version(const KvSecretTarget *target, int32 version)
{
	KvSetOptions options = {0};
	KvSecretRow row;
	text	   *api_key;

	if (!kv_secret_row_version(&target->name, version, &row))
		ereport(ERROR,
				(errcode(KV_ERRCODE_UNKNOWN),
				 errmsg("version %d does not exist", version),
				 errhint("key_vault.versions() lists the versions that are kept.")));
	if (kv_secret_row_is_expired(&row))
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("version %d has expired", version),
				 errdetail("It has expired since %s.", timestamptz_to_str(row.expires_at))));

	kv_audit_note_row(NULL, version);
	api_key = kv_open(&target->name, &row);
	PG_TRY();
	{
		version = store(&target->name, &row, api_key, &options);
		if (target->variable != NULL)
			change_variables(target, api_key, row.has_expiry, row.attributes);
	}
	PG_FINALLY();
	{
		explicit_bzero(VARDATA(api_key), VARSIZE(api_key) - VARHDRSZ);
	}
	PG_END_TRY();
	return version;
}

int32
kv_secret_rollback(const KvSecretArgs *args, int32 version)
{
	KvSecretTarget target = kv_secret_target(args);
	volatile int32 current;

	if (target.name.user_id == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("user id is NULL and the transaction has no identity"),
				 errhint("The .env file has no older versions.")));
	KV_ACT_FOR(target.name.user_id);
	{
		current = restore_version(&target, version);
	}
	KV_ACT_END();
	return current;
}
