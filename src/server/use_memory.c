/*
 * use_memory.c
 *		Counted uses in the server's shared memory, and the place that a secret has
 *		there.  When they are written is not known here.
 *
 * A part that is full forgets the secret that is of least use: one of which all is written,
 * else the one that was used longest ago.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "server/compat.h"
#include "server/use_memory.h"

KvUseMemory *kv_use_memory;
static shmem_request_hook_type previous_shmem_request;
static shmem_startup_hook_type previous_shmem_startup;

static void
shmem_request(void)
{
	if (previous_shmem_request)
		previous_shmem_request();
	RequestAddinShmemSpace(sizeof(KvUseMemory));
}

/* At the start, and after a crash: nothing is counted then. */
static void
shmem_startup(void)
{
	bool		found;
	int			tranche;

	if (previous_shmem_startup)
		previous_shmem_startup();
	kv_use_memory = ShmemInitStruct("key_vault uses", sizeof(KvUseMemory), &found);
	if (found)
		return;
	memset(kv_use_memory, 0, sizeof(KvUseMemory));
	tranche = kv_new_tranche("key_vault_uses");
	kv_use_workers_init(&kv_use_memory->workers, tranche);
	for (int i = 0; i < KV_USE_PARTS; i++)
		LWLockInitialize(&kv_use_memory->parts[i].lock, tranche);
}

void
kv_use_table_init(void)
{
#ifdef EXEC_BACKEND
	return;						/* locks of ours are not known in a process that is not forked */
#endif
	previous_shmem_request = shmem_request_hook;
	shmem_request_hook = shmem_request;
	previous_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}

bool
kv_use_pack(const KvUsedKey *key, KvCountedUse *use)
{
	Size		user_id_len = VARSIZE_ANY_EXHDR(key->user_id);
	Size		provider_len = VARSIZE_ANY_EXHDR(key->provider);
	Size		label_len = VARSIZE_ANY_EXHDR(key->label);

	if (user_id_len > 255 || provider_len > 63 || label_len > 63)
		return false;
	use->uses = 0;
	use->used_at = 0;
	use->version = key->version;
	use->set_at = key->set_at;
	use->user_id_len = user_id_len;
	use->provider_len = provider_len;
	use->label_len = label_len;
	memcpy(use->names, VARDATA_ANY(key->user_id), user_id_len);
	memcpy(use->names + user_id_len, VARDATA_ANY(key->provider), provider_len);
	memcpy(use->names + user_id_len + provider_len, VARDATA_ANY(key->label), label_len);
	return true;
}

static Size
names_len(const KvCountedUse *use)
{
	return (Size) use->user_id_len + use->provider_len + use->label_len;
}

Size
kv_use_bytes(const KvCountedUse *use)
{
	return offsetof(KvCountedUse, names) + names_len(use);
}

uint32
kv_use_hash(const KvCountedUse *use)
{
	return hash_combine(hash_bytes((const unsigned char *) use->names, names_len(use)),
						hash_bytes_uint32(MyDatabaseId));
}

static bool
is_of(const KvUsePlace *place, const KvCountedUse *use)
{
	return place->database == MyDatabaseId &&
		place->use.user_id_len == use->user_id_len &&
		place->use.provider_len == use->provider_len &&
		place->use.label_len == use->label_len &&
		memcmp(place->use.names, use->names, names_len(use)) == 0;
}

KvUsePlace *
kv_use_find(KvUsePart *part, uint32 hash, const KvCountedUse *use)
{
	KvUsePlace *first = kv_use_first_place(part, hash);

	if (is_of(first, use))
		return first;
	for (int i = 0; i < KV_USE_PLACES; i++)
	{
		if (part->hashes[i] == hash && is_of(&part->places[i], use))
			return &part->places[i];
	}
	return NULL;
}

static bool
is_of_less_use(const KvUsePlace *place, const KvUsePlace *than)
{
	if (than->database == InvalidOid)
		return false;
	if (place->database == InvalidOid)
		return true;
	if ((place->use.uses == 0) != (than->use.uses == 0))
		return place->use.uses == 0;
	return place->use.used_at < than->use.used_at;
}

KvUsePlace *
kv_use_make_place(KvUsePart *part, uint32 hash, const KvCountedUse *use)
{
	KvUsePlace *least = kv_use_first_place(part, hash);

	for (int i = 0; i < KV_USE_PLACES; i++)
	{
		if (is_of_less_use(&part->places[i], least))
			least = &part->places[i];
	}
	part->hashes[least - part->places] = hash;
	least->database = MyDatabaseId;
	least->written_at = 0;
	least->taken = 0;
	memcpy(&least->use, use, kv_use_bytes(use));
	kv_use_set(part, least, 0);
	return least;
}
