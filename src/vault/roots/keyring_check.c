/*
 * keyring_check.c
 *		How the keyring is, for who looks after it.
 *
 * Which other databases have key_vault cannot be seen from here, nor what they are
 * sealed with.  What can be seen is who made the root keys.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"

#include "server/compat.h"
#include "server/database_path.h"
#include "server/locked_memory.h"
#include "server/settings.h"
#include "store/root_key_rows.h"
#include "vault/roots/keyring.h"
#include "vault/roots/keyring_check.h"
#include "vault/roots/keyring_source.h"

/* The name of another database of this cluster that made a root key of the ring, or NULL. */
static char *
find_other_maker(const KvRing *ring)
{
	for (int i = 0; i < ring->count; i++)
	{
		const KvKeyringMaker *maker = &ring->keys[i].maker;
		char	   *name;

		if (maker->cluster != GetSystemIdentifier() || maker->database == MyDatabaseId)
			continue;
		name = get_database_name(maker->database);
		if (name != NULL)
			return name;
	}
	return NULL;
}

static bool
is_made_here(const KvKeyringMaker *maker)
{
	return maker->cluster == GetSystemIdentifier() && maker->database == MyDatabaseId;
}

/*
 * How many root keys of the ring are not of this database: neither registered, nor left
 * by a call of its own that was rolled back.
 */
static int
count_unregistered(const KvRing *ring)
{
	int			count = 0;

	for (int i = 0; i < ring->count; i++)
	{
		if (!is_made_here(&ring->keys[i].maker) &&
			!kv_root_key_row_registered(ring->keys[i].id))
			count++;
	}
	return count;
}

/* What lets one suspect that other databases use the ring, as a sentence; or NULL. */
static char *
find_sharing(const KvRing *ring)
{
	char	   *other = find_other_maker(ring);
	int			unregistered;

	if (other != NULL)
		return psprintf("It holds root keys that database \"%s\" made.", other);

	/* A command tells nothing of which databases it serves */
	if (kv_setting_keyring_command[0] != '\0' ||
		kv_database_path_has_name(kv_setting_keyring_file))
		return NULL;
	unregistered = count_unregistered(ring);
	if (unregistered == 0)
		return NULL;
	return psprintf(ngettext("It is one file for all databases, and holds %d root key that this one has not registered.",
							 "It is one file for all databases, and holds %d root keys that this one has not registered.",
							 unregistered), unregistered);
}

KvKeyringState
kv_keyring_check(char **detail, char **remedy)
{
	ErrorData  *problem = kv_keyring_try_reload();
	const KvRing *ring = kv_keyring_in_memory();
	char	   *sharing;

	*remedy = NULL;
	if (problem != NULL)
	{
		*remedy = problem->hint;
		*detail = problem->detail == NULL ? problem->message :
			psprintf("%s: %s", problem->message, problem->detail);
		return kv_keyring_is_configured() ? KV_KEYRING_UNREADABLE : KV_KEYRING_NOT_CONFIGURED;
	}

	*detail = psprintf(ngettext("%d root key, read from %s", "%d root keys, read from %s",
								ring->count), ring->count, kv_keyring_source());
	sharing = find_sharing(ring);
	if (sharing != NULL)
	{
		*detail = psprintf("%s. %s Who can write tables in one database opens there what was dumped from another.",
						   *detail, sharing);
		*remedy = pstrdup("Give each database a keyring of its own, with its own lines only: see \"One keyring becomes several\" in docs/operating.md.");
		return KV_KEYRING_SHARED;
	}
	if (kv_locked_memory_is_locked())
		return KV_KEYRING_OK;
	*remedy = pstrdup("Raise the limit on locked memory (LimitMEMLOCK= in the service's unit file).");
	return KV_KEYRING_NOT_LOCKED;
}
