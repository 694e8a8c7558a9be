/*
 * keys.c
 *		Whether the root keys are there that seal, and that sealed.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "crypto/root_key.h"
#include "store/root_key_rows.h"
#include "vault/roots/keyring.h"
#include "vault/roots/keyring_check.h"
#include "vault/roots/keyring_source.h"
#include "vault/roots/verify.h"
#include "vault/status/checks.h"

KvFinding
kv_check_root_key(void)
{
	uint8		id[KV_ROOT_KEY_ID_LEN];
	char		hex[KV_ROOT_KEY_ID_HEX_LEN + 1];

	if (!kv_root_key_row_active(id))
		return kv_found_error("No root key is active: nothing can be stored.",
							  "SELECT key_vault.create_root_key();");
	kv_root_key_id_to_hex(id, hex);
	switch (kv_keyring_ask(id))
	{
		case KV_KEYRING_HOLDS:
			break;
		case KV_KEYRING_LACKS:
			return kv_found_error(psprintf("The active root key %s is not in the keyring.", hex),
								  kv_keyring_missing_key_hint());
		case KV_KEYRING_UNKNOWN:
			return kv_found_error(psprintf("Root key %s is active. Whether the keyring holds it is not known.", hex),
								  "See to it that the keyring can be read: the next row says what is wrong with it.");
	}
	return kv_found_ok(psprintf("Root key %s is active.", hex));
}

KvFinding
kv_check_keyring(void)
{
	char	   *detail;
	char	   *remedy;

	switch (kv_keyring_check(&detail, &remedy))
	{
		case KV_KEYRING_OK:
			return kv_found_ok(detail);
		case KV_KEYRING_NOT_LOCKED:
		case KV_KEYRING_SHARED:
			return kv_found_warning(detail, remedy);
		case KV_KEYRING_NOT_CONFIGURED:
		case KV_KEYRING_UNREADABLE:
			break;
	}
	return kv_found_error(detail, remedy);
}

/* How many were tried, of how many, and how many of them do not open. */
static char *
how_many(const KvSoundness *soundness)
{
	bool		is_sample = soundness->estimated > 0;
	char	   *tried = psprintf(INT64_FORMAT, soundness->tried);
	char	   *there = psprintf("%.0f", Max(soundness->estimated, soundness->tried));

	if (soundness->unopened == 0)
		return is_sample ?
			psprintf("Every secret of a sample opens (tried: %s of about %s)", tried, there) :
			psprintf("Every secret opens (tried: %s)", tried);
	return psprintf(INT64_FORMAT " of %s secrets %s not open", soundness->unopened,
					is_sample ? psprintf("a sample of %s of about %s", tried, there) : tried,
					soundness->unopened == 1 ? "does" : "do");
}

/* Why some do not open, as a clause. */
static char *
reason_of(const KvUnsound *unsound)
{
	const char *root_key = unsound->root_key_id[0] != '\0' ?
		psprintf("root key %s", unsound->root_key_id) : "further root keys";

	switch (unsound->kind)
	{
		case KV_OBSTACLE_NOT_REGISTERED:
			return psprintf(INT64_FORMAT " sealed with %s, which this database did not register",
							unsound->count, root_key);
		case KV_OBSTACLE_NOT_IN_RING:
			return psprintf(INT64_FORMAT " sealed with %s, which the keyring lacks",
							unsound->count, root_key);
		case KV_OBSTACLE_RING_UNREADABLE:
			return psprintf(INT64_FORMAT " sealed with %s, which the keyring may have: it cannot be read",
							unsound->count, root_key);
		case KV_OBSTACLE_ENCODING:
			return psprintf(INT64_FORMAT " with a character that the database's encoding lacks",
							unsound->count);
		case KV_OBSTACLE_ROW:
			break;
	}
	return psprintf(INT64_FORMAT " changed, or moved from elsewhere", unsound->count);
}

/* The root key that was activated last is active: so the one that is, again. */
static void
append_activation(StringInfo remedy, const List *unsound)
{
	uint8		active[KV_ROOT_KEY_ID_LEN];
	char		hex[KV_ROOT_KEY_ID_HEX_LEN + 1];
	bool		any = false;
	ListCell   *cell;

	foreach(cell, unsound)
	{
		const KvUnsound *one = lfirst(cell);

		if (one->kind != KV_OBSTACLE_NOT_REGISTERED || one->root_key_id[0] == '\0')
			continue;
		if (!any)
			appendStringInfoString(remedy, "-- when the keyring has them:\n");
		any = true;
		appendStringInfo(remedy, "SELECT key_vault.activate_root_key('%s');\n", one->root_key_id);
	}
	if (any && kv_root_key_row_active(active))
	{
		kv_root_key_id_to_hex(active, hex);
		appendStringInfo(remedy, "SELECT key_vault.activate_root_key('%s');\n", hex);
	}
}

#define RESTORE_KEYRING "-- restore the keyring that this database was sealed with"
#define LIST_ALL "-- all that do not open; their users enter them again:\nSELECT * FROM key_vault.verify_secrets();"

static bool
has_kind(const List *unsound, KvObstacleKind kind)
{
	ListCell   *cell;

	foreach(cell, unsound)
	{
		if (((const KvUnsound *) lfirst(cell))->kind == kind)
			return true;
	}
	return false;
}

static bool
has_root_key(const List *unsound, const char *id)
{
	ListCell   *cell;

	foreach(cell, unsound)
	{
		if (strcmp(((const KvUnsound *) lfirst(cell))->root_key_id, id) == 0)
			return true;
	}
	return false;
}

static char *
remedy_of(const List *unsound)
{
	StringInfoData remedy;

	initStringInfo(&remedy);
	append_activation(&remedy, unsound);
	if (has_kind(unsound, KV_OBSTACLE_NOT_IN_RING))
		appendStringInfoString(&remedy, RESTORE_KEYRING "\n");
	appendStringInfoString(&remedy, LIST_ALL);
	return remedy.data;
}

/* Root keys that the keyring lacks, but for those that are named already. */
static char *
further_missing_root_keys(const List *unsound)
{
	StringInfoData ids;
	int			count;
	const KvRootKeyRow *rows = kv_root_key_rows_read(&count);

	initStringInfo(&ids);
	for (int i = 0; i < count; i++)
	{
		char		hex[KV_ROOT_KEY_ID_HEX_LEN + 1];

		kv_root_key_id_to_hex(rows[i].id, hex);
		if (!rows[i].is_retired && !has_root_key(unsound, hex) &&
			kv_keyring_ask(rows[i].id) == KV_KEYRING_LACKS)
			appendStringInfo(&ids, "%s%s", ids.len > 0 ? ", " : "", hex);
	}
	return ids.data;
}

KvFinding
kv_check_sealed_rows(void)
{
	KvSoundness soundness = kv_verify_sample();
	char	   *missing = further_missing_root_keys(soundness.unsound);
	StringInfoData detail;
	ListCell   *cell;

	initStringInfo(&detail);
	appendStringInfoString(&detail, how_many(&soundness));
	foreach(cell, soundness.unsound)
		appendStringInfo(&detail, "%s%s", cell == list_head(soundness.unsound) ? ": " : "; ",
						 reason_of(lfirst(cell)));
	appendStringInfoChar(&detail, '.');
	if (missing[0] != '\0')
		appendStringInfo(&detail, " The keyring lacks root keys that this database registered: %s.",
						 missing);

	if (soundness.unopened > 0)
		return kv_found_error(detail.data, remedy_of(soundness.unsound));
	if (missing[0] != '\0')
		return kv_found_warning(detail.data, RESTORE_KEYRING);
	return kv_found_ok(detail.data);
}
