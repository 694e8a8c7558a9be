/*
 * message_keys.c
 *		Derives the keys of the messages of several rows.
 *
 * Rows that are not sealed with the same root key as the first, or say what is not so,
 * are left to be opened as any other.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "crypto/envelope.h"
#include "server/compat.h"
#include "server/locked_memory.h"
#include "vault/roots/keyring.h"
#include "vault/roots/message_keys.h"
#include "vault/roots/sealing.h"

static void
free_keys(void *keys)
{
	kv_locked_free(keys, sizeof(KvMessageKeys));
}

KvMessageKeys *
kv_message_keys(MemoryContext context)
{
	MemoryContextCallback *at_end = MemoryContextAllocZero(context, sizeof(*at_end));

	at_end->arg = kv_locked_alloc(sizeof(KvMessageKeys));
	at_end->func = free_keys;
	MemoryContextRegisterResetCallback(context, at_end);
	return at_end->arg;
}

/* False when the row's bytes are none of ours. */
static bool
root_key_id_of(const KvRotationRow *row, uint8_t id[KV_ROOT_KEY_ID_LEN])
{
	return kv_envelope_root_key_id((const uint8_t *) VARDATA_ANY(row->row.sealed),
								   VARSIZE_ANY_EXHDR(row->row.sealed), id) == KV_OK;
}

/* The keys of those rows that were sealed with the root key of the first. */
static void
derive_old(KvMessageKeys *keys, const KvRotationRow *rows, int count)
{
	KvXaesMessageKey *derived = keys->new_keys; /* as work space: they come next */
	int			derived_count = 0;
	uint8_t		first[KV_ROOT_KEY_ID_LEN];
	uint8_t		id[KV_ROOT_KEY_ID_LEN];
	const KvRootKey *root_key = root_key_id_of(&rows[0], first) ? kv_keyring_peek(first) : NULL;

	for (int i = 0; i < count; i++)
	{
		keys->is_old_key[i] = root_key != NULL && root_key_id_of(&rows[i], id) &&
			memcmp(id, first, sizeof(id)) == 0;
		if (keys->is_old_key[i])
			kv_envelope_nonce((const uint8_t *) VARDATA_ANY(rows[i].row.sealed),
							  derived[derived_count++].nonce);
	}
	if (derived_count == 0)
		return;
	kv_check_sealed(kv_xaes_derive(&root_key->key, derived, derived_count));
	for (int i = 0, next = 0; i < count; i++)
	{
		if (keys->is_old_key[i])
			keys->old_keys[i] = derived[next++];
	}
}

void
kv_message_keys_derive(KvMessageKeys *keys, const KvRotationRow *rows, int count,
					   const uint8 root_key_id[KV_ROOT_KEY_ID_LEN])
{
	Assert(count > 0 && count <= KV_MESSAGE_KEYS_MAX);
	derive_old(keys, rows, count);
	kv_check_sealed(kv_envelope_new_keys(&kv_keyring_require(root_key_id)->key,
										 keys->new_keys, count));
}
