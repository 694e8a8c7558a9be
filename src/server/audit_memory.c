/*
 * audit_memory.c
 *		The rings of records in the server's shared memory, and which database has
 *		which.  Who waits for what is not known here.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "server/audit_memory.h"
#include "server/compat.h"

KvAuditRings *kv_audit_rings;
static shmem_request_hook_type previous_shmem_request;
static shmem_startup_hook_type previous_shmem_startup;

static void
shmem_request(void)
{
	if (previous_shmem_request)
		previous_shmem_request();
	RequestAddinShmemSpace(sizeof(KvAuditRings));
}

/* At the start, and after a crash: nothing is in the rings then. */
static void
shmem_startup(void)
{
	bool		found;
	int			tranche;

	if (previous_shmem_startup)
		previous_shmem_startup();
	kv_audit_rings = ShmemInitStruct("key_vault audit", sizeof(KvAuditRings), &found);
	if (found)
		return;
	tranche = kv_new_tranche("key_vault_audit");
	LWLockInitialize(&kv_audit_rings->lock, tranche);
	for (int i = 0; i < KV_AUDIT_RINGS; i++)
	{
		KvAuditRing *ring = &kv_audit_rings->ring[i];

		/* the bytes are written before they are read */
		memset(ring, 0, offsetof(KvAuditRing, bytes));
		LWLockInitialize(&ring->lock, tranche);
		ConditionVariableInit(&ring->moved);
	}
}

void
kv_audit_ring_init(void)
{
#ifdef EXEC_BACKEND
	return;						/* locks of ours are not known in a process that is not forked */
#endif
	previous_shmem_request = shmem_request_hook;
	shmem_request_hook = shmem_request;
	previous_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}

static KvAuditRing *
find(Oid database)
{
	for (int i = 0; i < KV_AUDIT_RINGS; i++)
	{
		if (kv_audit_rings->ring[i].database == database)
			return &kv_audit_rings->ring[i];
	}
	return NULL;
}

/* A free one, or one of a database of which nobody is there and nothing is to be written. */
static KvAuditRing *
find_unused(void)
{
	KvAuditRing *unused = find(InvalidOid);

	for (int i = 0; unused == NULL && i < KV_AUDIT_RINGS; i++)
	{
		KvAuditRing *ring = &kv_audit_rings->ring[i];

		LWLockAcquire(&ring->lock, LW_SHARED);
		if (ring->attached == 0 && ring->worker_pid == 0 && ring->written == ring->appended)
			unused = ring;
		LWLockRelease(&ring->lock);
	}
	return unused;
}

KvAuditRing *
kv_audit_ring_take(void)
{
	KvAuditRing *ring;

	LWLockAcquire(&kv_audit_rings->lock, LW_EXCLUSIVE);
	ring = find(MyDatabaseId);
	if (ring == NULL)
	{
		ring = find_unused();
		if (ring != NULL)
		{
			ring->database = MyDatabaseId;
			ring->head_told_at = 0;
		}
	}
	if (ring != NULL)
	{
		LWLockAcquire(&ring->lock, LW_EXCLUSIVE);
		ring->attached++;
		LWLockRelease(&ring->lock);
	}
	LWLockRelease(&kv_audit_rings->lock);
	return ring;
}

bool
kv_audit_ring_is_used(void)
{
	bool		used;

	LWLockAcquire(&kv_audit_rings->lock, LW_SHARED);
	used = find(MyDatabaseId) != NULL;
	LWLockRelease(&kv_audit_rings->lock);
	return used;
}

bool
kv_audit_ring_look(char problem[KV_AUDIT_PROBLEM_BYTES])
{
	KvAuditRing *ring;
	bool		served = false;

	problem[0] = '\0';
	LWLockAcquire(&kv_audit_rings->lock, LW_SHARED);
	ring = find(MyDatabaseId);
	if (ring != NULL)
	{
		LWLockAcquire(&ring->lock, LW_SHARED);
		served = ring->worker_pid != 0;
		strlcpy(problem, ring->problem, KV_AUDIT_PROBLEM_BYTES);
		LWLockRelease(&ring->lock);
	}
	LWLockRelease(&kv_audit_rings->lock);
	return served;
}

bool
kv_audit_ring_has_room(const KvAuditRing *ring, Size len)
{
	return ring->appended - ring->written + sizeof(uint32) + len <= KV_AUDIT_RING_BYTES;
}

static void
copy_in(KvAuditRing *ring, const void *bytes, Size len)
{
	Size		at = ring->appended % KV_AUDIT_RING_BYTES;
	Size		first = Min(len, KV_AUDIT_RING_BYTES - at);

	memcpy(ring->bytes + at, bytes, first);
	memcpy(ring->bytes, (const char *) bytes + first, len - first);
	ring->appended += len;
}

void
kv_audit_ring_put(KvAuditRing *ring, const void *entry, Size len)
{
	uint32		header = (uint32) len;

	Assert(len <= KV_AUDIT_ENTRY_MAX);
	copy_in(ring, &header, sizeof(header));
	copy_in(ring, entry, len);
}

void
kv_audit_ring_get(const KvAuditRing *ring, uint64 place, void *bytes, Size len)
{
	Size		at = place % KV_AUDIT_RING_BYTES;
	Size		first = Min(len, KV_AUDIT_RING_BYTES - at);

	memcpy(bytes, ring->bytes + at, first);
	memcpy((char *) bytes + first, ring->bytes, len - first);
}

void
kv_audit_ring_end_service(KvAuditRing *ring)
{
	ring->worker_pid = 0;
	ring->worker_latch = NULL;
	ring->problem[0] = '\0';
}
