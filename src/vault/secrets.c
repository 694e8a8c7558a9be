/*
 * secrets.c
 *		The rules for one user's secrets: who may, what is valid, which version
 *		is current.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "server/errors.h"
#include "server/settings.h"
#include "server/statement_text.h"
#include "store/root_key_rows.h"
#include "vault/identity.h"
#include "vault/keyring.h"
#include "vault/providers.h"
#include "vault/sealing.h"
#include "vault/secrets.h"

#define HINT_CHARACTERS 4
#define HINT_MIN_CHARACTERS 16	/* a shorter key has no hint */

static void
check_label(const text *label)
{
	int			len;

	if (label == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("label is NULL")));
	len = VARSIZE_ANY_EXHDR(label);
	if (len == 0 || len > KV_LABEL_MAX)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("label must have 1 to %d bytes", KV_LABEL_MAX),
				 errdetail("It has %d bytes.", len)));
	for (int i = 0; i < len; i++)
	{
		unsigned char byte = VARDATA_ANY(label)[i];

		if (byte < 0x20 || byte == 0x7f)
			ereport(ERROR,
					(errcode(KV_ERRCODE_BAD_ARGUMENT),
					 errmsg("label has a control character"),
					 errdetail("It is at byte %d.", i + 1)));
	}
}

/*
 * Checks a call's arguments and who may.  The provider's name is a copy: the
 * list of providers may be read anew while the call goes on.
 */
static KvSecretName
resolve(const KvSecretArgs *args, const KvProvider **provider)
{
	KvSecretName name;

	name.user_id = kv_identity_require(args->user_id);
	*provider = kv_provider_resolve(args->provider);
	name.provider = DatumGetTextPCopy(PointerGetDatum((*provider)->name));
	check_label(args->label);
	name.label = args->label;
	return name;
}

static bool
is_expired(const KvSecretRow *row)
{
	return row->has_expiry && row->expires_at <= GetCurrentTimestamp();
}

/* The current key in the database, or NULL; name's user is acted for. */
static text *
read_current(const KvSecretName *name)
{
	KvSecretRow row;

	if (!kv_secret_row_current(name, &row) || is_expired(&row))
		return NULL;
	return kv_open(name, &row);
}

text *
kv_secret_get(const KvSecretArgs *args)
{
	const KvProvider *provider;
	KvSecretName name = resolve(args, &provider);
	text	   *volatile api_key;

	KV_ACT_FOR(name.user_id);
	{
		api_key = read_current(&name);
	}
	KV_ACT_END();
	return api_key;
}

static void pg_attribute_noreturn()
not_found(const KvSecretName *name, const char *display_name,
		  const KvSecretRow *expired)
{
	bool		is_default = VARSIZE_ANY_EXHDR(name->label) == strlen("default") &&
		memcmp(VARDATA_ANY(name->label), "default", strlen("default")) == 0;

	ereport(ERROR,
			(errcode(KV_ERRCODE_NOT_FOUND),
			 is_default ?
			 errmsg("no API key found for provider \"%s\"", text_to_cstring(name->provider)) :
			 errmsg("no API key found for provider \"%s\", label \"%s\"",
					text_to_cstring(name->provider), text_to_cstring(name->label)),
			 expired ?
			 errdetail("The key of user \"%s\" has expired since %s.",
					   text_to_cstring(name->user_id), timestamptz_to_str(expired->expires_at)) :
			 errdetail("User \"%s\" has not set a key.", text_to_cstring(name->user_id)),
			 errhint("Have the user enter an API key for %s; the application stores it with key_vault.set().",
					 display_name)));
}

text *
kv_secret_require(const KvSecretArgs *args)
{
	const KvProvider *provider;
	KvSecretName name = resolve(args, &provider);
	char	   *display_name = pstrdup(provider->display_name);
	text	   *volatile api_key;

	KV_ACT_FOR(name.user_id);
	{
		KvSecretRow row;

		if (!kv_secret_row_current(&name, &row))
			not_found(&name, display_name, NULL);
		if (is_expired(&row))
			not_found(&name, display_name, &row);
		api_key = kv_open(&name, &row);
	}
	KV_ACT_END();
	return api_key;
}

/* Appends "provider": "key"; the key's bytes are referred to, not copied. */
static void
push_key(JsonbParseState **state, const text *provider, const text *api_key)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = VARDATA_ANY(provider);
	value.val.string.len = VARSIZE_ANY_EXHDR(provider);
	pushJsonbValue(state, WJB_KEY, &value);
	value.val.string.val = VARDATA_ANY(api_key);
	value.val.string.len = VARSIZE_ANY_EXHDR(api_key);
	pushJsonbValue(state, WJB_VALUE, &value);
}

static Jsonb *
read_all(text *user_id)
{
	text	   *label = cstring_to_text("default");
	JsonbParseState *state = NULL;
	KvSecretRow *rows;
	text	  **keys;
	uint64		count;
	Jsonb	   *result;

	count = kv_secret_rows_of_user(user_id, label, &rows);
	keys = palloc0(sizeof(text *) * Max(count, 1));
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (uint64 i = 0; i < count; i++)
	{
		KvSecretName name = {user_id, rows[i].provider, label};

		if (is_expired(&rows[i]))
			continue;
		keys[i] = kv_open(&name, &rows[i]);
		push_key(&state, name.provider, keys[i]);
	}
	result = JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
	for (uint64 i = 0; i < count; i++)
	{
		if (keys[i] != NULL)
			explicit_bzero(VARDATA(keys[i]), VARSIZE(keys[i]) - VARHDRSZ);
	}
	return result;
}

Jsonb *
kv_secret_get_all(text *user_id)
{
	text	   *user = kv_identity_require(user_id);
	Jsonb	   *volatile result;

	KV_ACT_FOR(user);
	{
		result = read_all(user);
	}
	KV_ACT_END();
	return result;
}

const char *
kv_secret_source(const KvSecretArgs *args)
{
	const KvProvider *provider;
	KvSecretName name = resolve(args, &provider);
	const char *source = NULL;

	KV_ACT_FOR(name.user_id);
	{
		KvSecretRow row;

		if (kv_secret_row_current(&name, &row) && !is_expired(&row))
			source = "database";
	}
	KV_ACT_END();
	return source;
}

static void
check_api_key(const text *api_key)
{
	const char *data;
	int			len;

	if (api_key == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("API key is NULL"),
				 errhint("Remove a key with key_vault.delete().")));
	data = VARDATA_ANY(api_key);
	len = VARSIZE_ANY_EXHDR(api_key);
	if (len == 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("API key is empty"),
				 errhint("Remove a key with key_vault.delete().")));
	if (len > KV_API_KEY_MAX)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("API key is longer than %d bytes", KV_API_KEY_MAX),
				 errdetail("It has %d bytes.", len)));
	if (strchr(" \t\r\n\f\v", data[0]) != NULL || strchr(" \t\r\n\f\v", data[len - 1]) != NULL)
		ereport(WARNING,
				(errmsg("API key begins or ends with white space"),
				 errdetail("It is stored as it is."),
				 errhidestmt(true), errhidecontext(true)));
}

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

/* Before anything else can fail: an error must not log the statement. */
static void
hide_literal_key(const text *api_key)
{
	if (kv_statement_text_hides(VARDATA_ANY(api_key), VARSIZE_ANY_EXHDR(api_key)))
		ereport(WARNING,
				(errmsg("API key stands literally in the statement's text"),
				 errdetail("The server may log that text, and others may have seen it in pg_stat_activity."),
				 errhint("Pass the key as a bound parameter."),
				 errhidestmt(true), errhidecontext(true)));
}

/* The last characters of a key that is long enough, or NULL. */
static text *
make_hint(const text *api_key)
{
	const char *data = VARDATA_ANY(api_key);
	int			len = VARSIZE_ANY_EXHDR(api_key);
	int			characters = pg_mbstrlen_with_len(data, len);
	int			skip;

	if (kv_setting_hint == KV_HINT_NONE || characters < HINT_MIN_CHARACTERS)
		return NULL;
	skip = pg_mbcharcliplen(data, len, characters - HINT_CHARACTERS);
	return cstring_to_text_with_len(data + skip, len - skip);
}

static void
check_if_version(const KvSecretName *name, int32 current, const KvSetOptions *options)
{
	if (!options->has_if_version || options->if_version == current)
		return;
	ereport(ERROR,
			(errcode(KV_ERRCODE_STATE),
			 errmsg("if_version does not hold for provider \"%s\", label \"%s\"",
					text_to_cstring(name->provider), text_to_cstring(name->label)),
			 current == 0 ?
			 errdetail("Expected version %d, but there is no key.", options->if_version) :
			 errdetail("Expected version %d, but the current version is %d.",
					   options->if_version, current),
			 errhint("Read the current version with key_vault.list() and decide again.")));
}

/*
 * Seals the key as the version after the highest, and trims old versions.
 * row holds hint and expiry.
 */
static int32
store(const KvSecretName *name, KvSecretRow *row, const text *api_key,
	  const KvSetOptions *options)
{
	const KvRootKey *root_key;
	uint8		active[KV_ROOT_KEY_ID_LEN];
	int32		highest;

	/* The lock first: a root key that is active after it cannot be retired. */
	kv_secret_rows_lock_for_write();
	if (!kv_root_key_row_active(active))
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("no root key is active in this database"),
				 errhint("An admin creates one with key_vault.create_root_key(), or activates one of the keyring with key_vault.activate_root_key().")));
	root_key = kv_keyring_require(active);

	for (;;)
	{
		highest = kv_secret_rows_highest(name);
		check_if_version(name, highest, options);
		if (highest == PG_INT32_MAX)
			ereport(ERROR,
					(errcode(KV_ERRCODE_STATE),
					 errmsg("version numbers are used up"),
					 errhint("Delete the key and set it again.")));
		row->version = highest + 1;
		kv_seal(name, row, root_key, VARDATA_ANY(api_key), VARSIZE_ANY_EXHDR(api_key));
		if (kv_secret_rows_insert(name, row) == KV_INSERTED)
			break;
		CHECK_FOR_INTERRUPTS();
	}

	if (row->version > kv_setting_keep_versions + 1)
		kv_secret_rows_delete_through(name, row->version - kv_setting_keep_versions - 1);
	return row->version;
}

int32
kv_secret_set(const KvSecretArgs *args, text *api_key, const KvSetOptions *options)
{
	const KvProvider *provider;
	KvSecretName name;
	KvSecretRow row = {0};

	if (api_key != NULL)
		hide_literal_key(api_key);
	name = resolve(args, &provider);
	check_api_key(api_key);
	check_options(options);
	if (!kv_provider_key_matches(provider, VARDATA_ANY(api_key), VARSIZE_ANY_EXHDR(api_key)))
		ereport(WARNING,
				(errmsg("API key does not look like a key of provider \"%s\"",
						text_to_cstring(name.provider)),
				 errdetail("It is stored as it is; formats change."),
				 errhidestmt(true), errhidecontext(true)));
	row.hint = make_hint(api_key);
	row.has_expiry = options->has_expiry;
	row.expires_at = options->expires_at;

	KV_ACT_FOR(name.user_id);
	{
		store(&name, &row, api_key, options);
	}
	KV_ACT_END();
	return row.version;
}

bool
kv_secret_delete(const KvSecretArgs *args)
{
	const KvProvider *provider;
	KvSecretName name = resolve(args, &provider);
	volatile uint64 removed;

	KV_ACT_FOR(name.user_id);
	{
		removed = kv_secret_rows_delete(&name);
	}
	KV_ACT_END();
	return removed > 0;
}

uint64
kv_secret_forget(text *user_id)
{
	text	   *user = kv_identity_require(user_id);
	volatile uint64 removed;

	KV_ACT_FOR(user);
	{
		removed = kv_secret_rows_delete_user(user);
	}
	KV_ACT_END();
	return removed;
}

/* Opens an older version and stores it again; returns the new version. */
static int32
restore_version(const KvSecretName *name, int32 version)
{
	KvSetOptions options = {0};
	KvSecretRow row;
	text	   *api_key;

	if (!kv_secret_row_version(name, version, &row))
		ereport(ERROR,
				(errcode(KV_ERRCODE_UNKNOWN),
				 errmsg("version %d does not exist", version),
				 errhint("key_vault.versions() lists the versions that are kept.")));
	if (is_expired(&row))
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("version %d has expired", version),
				 errdetail("It has expired since %s.", timestamptz_to_str(row.expires_at))));

	api_key = kv_open(name, &row);
	PG_TRY();
	{
		version = store(name, &row, api_key, &options);
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
	const KvProvider *provider;
	KvSecretName name = resolve(args, &provider);
	volatile int32 current;

	KV_ACT_FOR(name.user_id);
	{
		current = restore_version(&name, version);
	}
	KV_ACT_END();
	return current;
}

void
kv_secret_list(text *user_id, Tuplestorestate *result, TupleDesc columns)
{
	text	   *user = kv_identity_require(user_id);

	KV_ACT_FOR(user);
	{
		kv_secret_rows_list(user, result, columns);
	}
	KV_ACT_END();
}

void
kv_secret_versions(const KvSecretArgs *args, Tuplestorestate *result,
				   TupleDesc columns)
{
	const KvProvider *provider;
	KvSecretName name = resolve(args, &provider);

	KV_ACT_FOR(name.user_id);
	{
		kv_secret_rows_versions(&name, result, columns);
	}
	KV_ACT_END();
}
