/*
 * shared_ring.c
 *		Reads the ring of this database; what keyring_command prints, once for all its
 *		sessions.
 *
 * Who waits, and what is out of date, is decided in server/shared_slots.c.  What a slot
 * holds is a ring's root keys as they are in memory.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "storage/ipc.h"

#include "server/database_path.h"
#include "server/errors.h"
#include "server/locked_memory.h"
#include "server/settings.h"
#include "server/shared_slots.h"
#include "vault/roots/keyring_source.h"
#include "vault/roots/shared_ring.h"

/* How long a root key that the keyring lacks is not looked for again, by any session. */
#define LACKING_MS 1000

StaticAssertDecl(KV_ROOT_KEY_ID_LEN == 8, "a slot knows root keys by 8 bytes");

bool
kv_shared_ring_is_shared(void)
{
	return kv_setting_keyring_command[0] != '\0' && kv_slots_exist();
}

static KvSlotWish
wish_for(uint64 newer_than)
{
	KvSlotWish	wish;

	wish.database_name = kv_database_name();
	wish.source = hash_bytes_extended((const unsigned char *) kv_setting_keyring_command,
									  (int) strlen(kv_setting_keyring_command), 0);
	wish.newer_than = newer_than;
	return wish;
}

/* Reads and parses what the settings name. */
static KvRing
read_ring(const char *source)
{
	KvKeyringText text = kv_keyring_read_source();
	KvRing		result = {0};

	PG_TRY();
	{
		result = kv_ring_parse(text.bytes, text.len, source);
	}
	PG_FINALLY();
	{
		kv_locked_free(text.bytes, text.allocated);
	}
	PG_END_TRY();

	if (result.count == 0)
	{
		kv_ring_free(&result);
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("the keyring holds no root key"),
				 errdetail("%s", kv_keyring_source_detail(source)),
				 errhint("Put back the lines that were in it, or use key_vault.create_root_key() when there never were any.")));
	}
	return result;
}

static void
copy_text(char *target, Size size, const char *text)
{
	int			len = text == NULL ? 0 : (int) strlen(text);

	len = pg_mbcliplen(text != NULL ? text : "", len, (int) size - 1);
	memcpy(target, text != NULL ? text : "", len);
	target[len] = '\0';
}

/* Tells who waits what went wrong, if it is about the keyring and not about this session. */
static void
tell_failure(uint64 serial, MemoryContext context)
{
	MemoryContext errors = MemoryContextSwitchTo(context);
	ErrorData  *problem = CopyErrorData();
	KvSlotFailure failure = {0};

	if (problem->sqlerrcode == KV_ERRCODE_KEYRING)
	{
		copy_text(failure.message, sizeof(failure.message), problem->message);
		copy_text(failure.detail, sizeof(failure.detail), problem->detail);
		copy_text(failure.hint, sizeof(failure.hint), problem->hint);
		kv_slot_fail(serial, &failure);
	}
	FreeErrorData(problem);
	MemoryContextSwitchTo(errors);
}

pg_noreturn static void
report_failure(const KvSlotFailure *failure)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_KEYRING),
			 errmsg_internal("%s", failure->message),
			 failure->detail[0] != '\0' ? errdetail_internal("%s", failure->detail) : 0,
			 failure->hint[0] != '\0' ? errhint("%s", failure->hint) : 0));
}

static KvRing
read_or_tell_failure(const char *source, uint64 serial)
{
	MemoryContext context = CurrentMemoryContext;
	KvRing		ring = {0};

	PG_TRY();
	{
		ring = read_ring(source);
	}
	PG_CATCH();
	{
		tell_failure(serial, context);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return ring;
}

static void
abandon(int code, Datum arg)
{
	kv_slot_abandon(*(uint64 *) DatumGetPointer(arg));
}

/* Whatever becomes of this session, those who wait are told. */
static KvRing
read_for_all(const char *source, uint64 serial)
{
	KvRing		ring = {0};

	PG_ENSURE_ERROR_CLEANUP(abandon, PointerGetDatum(&serial));
	{
		ring = read_or_tell_failure(source, serial);
		kv_slot_publish(serial, ring.keys, ring.count * sizeof(KvRootKey));
	}
	PG_END_ENSURE_ERROR_CLEANUP(abandon, PointerGetDatum(&serial));
	return ring;
}

/* The answer's bytes become the ring's. */
static KvRing
ring_from(KvSlotAnswer *answer)
{
	KvRing		ring;

	ring.keys = answer->bytes;
	ring.allocated = KV_SLOT_BYTES;
	ring.count = (int) (answer->len / sizeof(KvRootKey));
	answer->bytes = NULL;
	return ring;
}

/* The bytes that a ring did not take are freed on every way out. */
static KvSlotVerdict
get(KvSlotWish *wish, KvSlotVerdict (*how) (const KvSlotWish *wish, KvSlotAnswer *answer),
	KvSlotAnswer *answer, KvRing *ring)
{
	KvSlotVerdict verdict = KV_SLOT_NONE;

	answer->bytes = kv_locked_alloc(KV_SLOT_BYTES);
	PG_TRY();
	{
		verdict = how(wish, answer);
		if (verdict == KV_SLOT_FOUND)
			*ring = ring_from(answer);
	}
	PG_FINALLY();
	{
		kv_locked_free(answer->bytes, KV_SLOT_BYTES);
	}
	PG_END_TRY();
	return verdict;
}

KvRing
kv_shared_ring_read(const char *source, uint64 newer_than, uint64 *serial)
{
	KvSlotAnswer answer = {0};
	KvRing		ring = {0};
	KvSlotWish	wish;

	*serial = 0;
	if (!kv_shared_ring_is_shared())
	{
		kv_slots_wipe_outdated();
		return read_ring(source);
	}

	wish = wish_for(newer_than);
	switch (get(&wish, kv_slot_get, &answer, &ring))
	{
		case KV_SLOT_FOUND:
			break;
		case KV_SLOT_FAILED:
			report_failure(&answer.failure);
		case KV_SLOT_ASK_FOR_ALL:
			ring = read_for_all(source, answer.serial);
			break;
		case KV_SLOT_ASK_FOR_ONESELF:
		case KV_SLOT_NONE:
			ring = read_ring(source);
			break;
	}
	*serial = answer.serial;
	return ring;
}

bool
kv_shared_ring_look(uint64 newer_than, KvRing *ring, uint64 *serial)
{
	KvSlotAnswer answer = {0};
	KvSlotWish	wish;

	if (!kv_shared_ring_is_shared())
		return false;
	wish = wish_for(newer_than);
	if (get(&wish, kv_slot_look, &answer, ring) != KV_SLOT_FOUND)
		return false;
	*serial = answer.serial;
	return true;
}

uint64
kv_shared_ring_last_serial(void)
{
	return kv_shared_ring_is_shared() ? kv_slots_last_serial() : 0;
}

void
kv_shared_ring_note_lack(uint64 serial, const uint8 id[KV_ROOT_KEY_ID_LEN])
{
	if (serial != 0)
		kv_slot_note_lack(serial, id);
}

bool
kv_shared_ring_lacks(const uint8 id[KV_ROOT_KEY_ID_LEN])
{
	KvSlotWish	wish;

	if (!kv_shared_ring_is_shared())
		return false;
	wish = wish_for(0);
	return kv_slot_lacks(&wish, id, LACKING_MS);
}
