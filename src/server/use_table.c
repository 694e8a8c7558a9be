/*
 * use_table.c
 *		Counts the uses of keys in shared memory.
 *
 * The table is in parts, each under a lock that is held for as long as a few names are
 * compared.  A part that is nearly full of what is not written is written early.  One that is
 * full all the same forgets the secret that is of least use: one of which all is written, else
 * the one that was used longest ago.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "server/compat.h"
#include "server/use_table.h"
#include "server/use_workers.h"

#define PARTS 512				/* a power of 2 */
#define PLACES 32				/* in each: one bit of a uint32 for each */
#define CROWDED 24				/* places that are not written */
#define WRITE_EVERY_MS 60000
#define CROWDED_EVERY_MS 1000	/* a part is written early as often */

typedef struct Place
{
	Oid			database;		/* InvalidOid: nothing is here */
	TimestampTz written_at;		/* when the worker last took it; 0: never */
	int64		taken;			/* how many uses it took then, which it has not written yet */
	TimestampTz taken_at;		/* the last of them */
	KvCountedUse use;			/* uses is 0 when all is written */
} Place;

typedef struct Part
{
	LWLock		lock;			/* for all below */
	bool		is_crowded;		/* all of it is to be written now */
	TimestampTz crowded_at;		/* when it was that last */
	uint32		unwritten;		/* the places with uses, a bit for each */
	uint32		hashes[PLACES];
	Place		places[PLACES];
} Part;

typedef struct Table
{
	KvUseWorkers workers;
	Part		parts[PARTS];
} Table;

static Table *table;
static shmem_request_hook_type previous_shmem_request;
static shmem_startup_hook_type previous_shmem_startup;

static void
shmem_request(void)
{
	if (previous_shmem_request)
		previous_shmem_request();
	RequestAddinShmemSpace(sizeof(Table));
}

/* At the start, and after a crash: nothing is counted then. */
static void
shmem_startup(void)
{
	bool		found;
	int			tranche;

	if (previous_shmem_startup)
		previous_shmem_startup();
	table = ShmemInitStruct("key_vault uses", sizeof(Table), &found);
	if (found)
		return;
	memset(table, 0, sizeof(Table));
	tranche = kv_new_tranche("key_vault_uses");
	kv_use_workers_init(&table->workers, tranche);
	for (int i = 0; i < PARTS; i++)
		LWLockInitialize(&table->parts[i].lock, tranche);
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
kv_use_table_exists(void)
{
	return table != NULL;
}

static bool
is_due(const Part *part, const Place *place, TimestampTz now)
{
	return place->use.uses > 0 &&
		(part->is_crowded || place->written_at == 0 || place->written_at > now ||
		 TimestampDifferenceExceeds(place->written_at, now, WRITE_EVERY_MS));
}

static void
set_uses(Part *part, Place *place, int64 uses)
{
	uint32		bit = (uint32) 1 << (place - part->places);

	place->use.uses = uses;
	if (uses > 0)
		part->unwritten |= bit;
	else
		part->unwritten &= ~bit;
}

/* Whether a part has become crowded, not long after it was so last. */
static bool
becomes_crowded(Part *part, TimestampTz now)
{
	if (part->is_crowded ||
		(part->crowded_at <= now && !TimestampDifferenceExceeds(part->crowded_at, now, CROWDED_EVERY_MS)))
		return false;
	part->is_crowded = pg_popcount32(part->unwritten) >= CROWDED;
	if (part->is_crowded)
		part->crowded_at = now;
	return part->is_crowded;
}

/* The names of a key as they stand in a place; false when they cannot be a secret's. */
static bool
pack(const KvUsedKey *key, KvCountedUse *use)
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

/* Of the name alone: a new version takes the place of the old one. */
static uint32
hash_of(const KvCountedUse *use)
{
	return hash_combine(hash_bytes((const unsigned char *) use->names, names_len(use)),
						hash_bytes_uint32(MyDatabaseId));
}

static Part *
part_of(uint32 hash)
{
	return &table->parts[hash % PARTS];
}

/* The place that a secret has unless another one was there first. */
static int
first_place_of(uint32 hash)
{
	return hash / PARTS % PLACES;
}

static bool
is_of(const Place *place, const KvCountedUse *use)
{
	return place->database == MyDatabaseId &&
		place->use.user_id_len == use->user_id_len &&
		place->use.provider_len == use->provider_len &&
		place->use.label_len == use->label_len &&
		memcmp(place->use.names, use->names, names_len(use)) == 0;
}

/* The place of a secret of this database, or NULL.  The part's lock is held. */
static Place *
find(Part *part, uint32 hash, const KvCountedUse *use)
{
	int			first = first_place_of(hash);

	if (is_of(&part->places[first], use))
		return &part->places[first];
	for (int i = 0; i < PLACES; i++)
	{
		if (part->hashes[i] == hash && is_of(&part->places[i], use))
			return &part->places[i];
	}
	return NULL;
}

static bool
is_of_less_use(const Place *place, const Place *than)
{
	if (than->database == InvalidOid)
		return false;
	if (place->database == InvalidOid)
		return true;
	if ((place->use.uses == 0) != (than->use.uses == 0))
		return place->use.uses == 0;
	return place->use.used_at < than->use.used_at;
}

static Place *
make_place(Part *part, uint32 hash, const KvCountedUse *use)
{
	int			least = first_place_of(hash);

	for (int i = 0; i < PLACES; i++)
	{
		if (is_of_less_use(&part->places[i], &part->places[least]))
			least = i;
	}
	part->hashes[least] = hash;
	part->places[least].database = MyDatabaseId;
	part->places[least].written_at = 0;
	part->places[least].taken = 0;
	memcpy(&part->places[least].use, use, offsetof(KvCountedUse, names) + names_len(use));
	set_uses(part, &part->places[least], 0);
	return &part->places[least];
}

void
kv_use_expect(const KvUsedKey *key)
{
	KvCountedUse use;

	if (table != NULL && pack(key, &use))
	{
		uint32		hash = hash_of(&use);
		const Part *part = part_of(hash);
		const Place *place = &part->places[first_place_of(hash)];

		__builtin_prefetch(&part->lock);
		__builtin_prefetch(place);
		__builtin_prefetch(place->use.names);
	}
}

void
kv_use_count(const KvUsedKey *key)
{
	KvCountedUse use;
	TimestampTz now;
	uint32		hash;
	Part	   *part;
	Place	   *place;
	bool		due;
	bool		crowded = false;

	if (table == NULL || RecoveryInProgress() || !pack(key, &use))
		return;
	now = GetCurrentTimestamp();
	hash = hash_of(&use);
	part = part_of(hash);
	LWLockAcquire(&part->lock, LW_EXCLUSIVE);
	place = find(part, hash, &use);
	if (place == NULL)
		place = make_place(part, hash, &use);
	if (place->use.set_at != use.set_at)
	{
		place->use.version = use.version;
		place->use.set_at = use.set_at;
		place->written_at = 0;
		place->taken = 0;
		set_uses(part, place, 0);
	}
	set_uses(part, place, place->use.uses + 1);
	place->use.used_at = now;
	if (place->use.uses == 1)
		crowded = becomes_crowded(part, now);
	due = is_due(part, place, now);
	LWLockRelease(&part->lock);
	if (due)
		kv_use_workers_see_to(&table->workers, now);
	if (crowded)
		kv_use_workers_wake(&table->workers);
}

bool
kv_use_counted(const KvUsedKey *key, TimestampTz written, int64 *uses, TimestampTz *used_at)
{
	KvCountedUse use;
	uint32		hash;
	Part	   *part;
	const Place *place;
	bool		found;

	*uses = 0;
	if (table == NULL || !pack(key, &use))
		return false;
	hash = hash_of(&use);
	part = part_of(hash);
	LWLockAcquire(&part->lock, LW_SHARED);
	place = find(part, hash, &use);
	found = place != NULL && place->use.set_at == use.set_at && place->use.version == use.version;
	if (found)
	{
		*uses = place->use.uses + (written < place->taken_at ? place->taken : 0);
		*used_at = place->use.used_at;
	}
	LWLockRelease(&part->lock);
	return *uses > 0;
}

bool
kv_use_serve(void)
{
	return table != NULL && kv_use_workers_serve(&table->workers);
}

int
kv_use_take(bool everything, KvCountedUse *taken, int max)
{
	TimestampTz now = GetCurrentTimestamp();
	int			count = 0;

	for (int i = 0; i < PARTS && count < max; i++)
	{
		Part	   *part = &table->parts[i];

		LWLockAcquire(&part->lock, LW_EXCLUSIVE);
		for (int j = 0; j < PLACES && count < max; j++)
		{
			Place	   *place = &part->places[j];

			if (place->database != MyDatabaseId || place->use.uses == 0 ||
				!(everything || is_due(part, place, now)))
				continue;
			memcpy(&taken[count++], &place->use, offsetof(KvCountedUse, names) + names_len(&place->use));
			place->taken = place->use.uses;
			place->taken_at = place->use.used_at;
			place->written_at = now;
			set_uses(part, place, 0);
		}
		if (count < max)
			part->is_crowded = false;
		LWLockRelease(&part->lock);
	}
	return count;
}

void
kv_use_give_back(const KvCountedUse *taken)
{
	uint32		hash = hash_of(taken);
	Part	   *part = part_of(hash);
	Place	   *place;

	LWLockAcquire(&part->lock, LW_EXCLUSIVE);
	place = find(part, hash, taken);
	if (place != NULL && place->use.set_at == taken->set_at)
	{
		set_uses(part, place, place->use.uses + taken->uses);
		place->taken = 0;
	}
	LWLockRelease(&part->lock);
}

void
kv_use_written(const KvCountedUse *taken)
{
	uint32		hash = hash_of(taken);
	Part	   *part = part_of(hash);
	Place	   *place;

	LWLockAcquire(&part->lock, LW_EXCLUSIVE);
	place = find(part, hash, taken);
	if (place != NULL)
		place->taken = 0;
	LWLockRelease(&part->lock);
}

/* Whether there is something to write. */
static bool
any_is_due(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		due = false;

	for (int i = 0; i < PARTS && !due; i++)
	{
		Part	   *part = &table->parts[i];

		LWLockAcquire(&part->lock, LW_SHARED);
		for (int j = 0; j < PLACES && !due; j++)
			due = part->places[j].database == MyDatabaseId && is_due(part, &part->places[j], now);
		LWLockRelease(&part->lock);
	}
	return due;
}

/* Who counts something after the look sees that there is no worker, and starts another one. */
bool
kv_use_may_leave(void)
{
	kv_use_workers_leave(&table->workers);
	return !any_is_due() || !kv_use_workers_become(&table->workers);
}
