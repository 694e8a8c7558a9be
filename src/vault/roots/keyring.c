/*
 * keyring.c
 *		The root keys, as this backend has them in memory.
 *
 * The only place that holds root keys for longer than a call, and the one that decides
 * when they are read again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/memutils.h"

#include "server/errors.h"
#include "server/settings.h"
#include "vault/roots/keyring.h"
#include "vault/roots/keyring_source.h"
#include "vault/roots/shared_ring.h"

/*
 * Within one statement, the keyring is not read anew for the same root key more often
 * than this.  For another one it is: that may have been made since.
 */
#define RELOAD_INTERVAL_MS 1000
#define MAX_MISSED_IDS 16

static KvRing ring;
static int	ring_pid;			/* 0: there is no ring */
static char *ring_source;		/* where it was read from, or is read from now */
static uint64 ring_generation;	/* of the settings, when last tried */
static uint64 ring_serial;		/* of the reading, as in shared_ring.h */

/*
 * When the ring was last read, or tried to, and what it lacked since.  What another
 * session had read before does not count.
 */
static TimestampTz tried_in_statement;
static instr_time tried_at;
static bool tried_in_vain;		/* it could not be read */
static uint8 missed_ids[MAX_MISSED_IDS][KV_ROOT_KEY_ID_LEN];
static int	missed_count;

static void
forget_ring(void)
{
	kv_ring_free(&ring);
	ring_pid = 0;
}

/* A fork of this process finds its memory wiped, not freed. */
static bool
have_ring(void)
{
	return ring_pid != 0 && ring_pid == MyProcPid;
}

char *
kv_keyring_read_text(Size *len, Size *allocated)
{
	KvKeyringText text;

	if (!kv_keyring_is_configured())
		kv_keyring_report_not_configured();
	text = kv_keyring_read_source();
	*len = text.len;
	*allocated = text.allocated;
	return text.bytes;
}

/* True when the ring was read, or tried to be, a moment ago in this statement. */
static bool
tried_just_now(void)
{
	instr_time	now;

	if (tried_in_statement != GetCurrentStatementStartTimestamp())
		return false;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, tried_at);
	return INSTR_TIME_GET_MILLISEC(now) < RELOAD_INTERVAL_MS;
}

/* Remembers that the ring is read, or tried to be, as the settings are now. */
static void
note_attempt(void)
{
	if (!tried_just_now())
		missed_count = 0;
	ring_generation = kv_settings_keyring_generation();
	tried_in_statement = GetCurrentStatementStartTimestamp();
	INSTR_TIME_SET_CURRENT(tried_at);
	tried_in_vain = true;
}

/* What was read before this session asked for it tells nothing of how the keyring is now. */
static void
note_success(uint64 serial, uint64 last_serial_before)
{
	tried_in_vain = false;
	if (serial != 0 && serial <= last_serial_before)
		tried_in_statement = 0;
	ring_serial = serial;
}

static void
set_ring(KvRing fresh)
{
	forget_ring();
	ring = fresh;
	ring_pid = MyProcPid;
}

/* Reads the ring, or takes what another session read after the reading newer_than. */
static void
load(uint64 newer_than)
{
	const uint64 last_serial = kv_shared_ring_last_serial();
	KvRing		fresh;
	uint64		serial;
	char	   *source;

	note_attempt();
	if (!kv_keyring_is_configured())
	{
		/* Taking the setting away takes the keys away. */
		forget_ring();
		kv_keyring_report_not_configured();
	}

	source = kv_keyring_describe_source();
	fresh = kv_shared_ring_read(source, newer_than, &serial);
	set_ring(fresh);
	note_success(serial, last_serial);
	if (ring_source != NULL)
		pfree(ring_source);
	ring_source = MemoryContextStrdup(TopMemoryContext, source);
	pfree(source);
}

void
kv_keyring_reload(void)
{
	load(kv_shared_ring_last_serial());
}

/*
 * Only errors about keyrings are caught: they come from files and commands, which have
 * cleaned up by then, so no subtransaction is needed.  A cancelled query stays
 * cancelled.
 */
static ErrorData *
try_load(uint64 newer_than)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData  *volatile problem = NULL;

	PG_TRY();
	{
		load(newer_than);
	}
	PG_CATCH();
	{
		if (geterrcode() != KV_ERRCODE_KEYRING)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		problem = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	return problem;
}

ErrorData *
kv_keyring_try_reload(void)
{
	return try_load(kv_shared_ring_last_serial());
}

/* Says that a reload failed. */
static void
warn(const ErrorData *problem, const char *consequence)
{
	ereport(WARNING,
			(errcode(KV_ERRCODE_KEYRING),
			 errmsg("could not read the keyring: %s", problem->message),
			 errdetail("%s%s%s", problem->detail ? problem->detail : "",
					   problem->detail ? " " : "", consequence),
			 problem->hint ? errhint("%s", problem->hint) : 0));
}

/* Loads the ring, or warns that it cannot be read. */
static void
load_or_warn(uint64 newer_than)
{
	ErrorData  *problem = try_load(newer_than);

	if (problem == NULL)
		return;
	warn(problem, have_ring() ?
		 psprintf("This session goes on with the keyring that it read from %s.", ring_source) :
		 "No root key can be used.");
	FreeErrorData(problem);
}

/* As above, but throws when there is no old one that could serve on. */
static void
load_or_keep(uint64 newer_than)
{
	if (have_ring() && kv_keyring_is_configured())
		load_or_warn(newer_than);
	else
		load(newer_than);
}

/* True when it is too early to read the ring again because this id is missing. */
static bool
missed_just_now(const uint8 *id)
{
	if (!tried_just_now())
		return false;
	if (tried_in_vain || missed_count == MAX_MISSED_IDS)
		return true;
	for (int i = 0; i < missed_count; i++)
	{
		if (memcmp(missed_ids[i], id, KV_ROOT_KEY_ID_LEN) == 0)
			return true;
	}
	return false;
}

/* Remembers that the ring lacks the id, although it was read for it. */
static void
note_missed(const uint8 *id)
{
	if (missed_count < MAX_MISSED_IDS)
		memcpy(missed_ids[missed_count++], id, KV_ROOT_KEY_ID_LEN);
	if (!tried_in_vain)
		kv_shared_ring_note_lack(ring_serial, id);
}

/* The serial of the ring in memory, if there is one. */
static uint64
serial_in_memory(void)
{
	return have_ring() ? ring_serial : 0;
}

static const KvRootKey *
find_after_load(const uint8 *id, uint64 newer_than)
{
	const KvRootKey *key;

	load_or_keep(newer_than);
	key = kv_ring_find(&ring, id);
	if (key == NULL && tried_just_now())
		note_missed(id);
	return key;
}

/* Takes what another session has read since, if any has. */
static void
catch_up(void)
{
	KvRing		fresh;
	uint64		serial;

	if (!kv_shared_ring_look(serial_in_memory(), &fresh, &serial))
		return;
	set_ring(fresh);
	note_success(serial, serial);
}

/*
 * The ring lacks the root key.  First comes what others have read meanwhile, or are
 * reading; then a reading of one's own, unless one for this root key was just made.
 */
static const KvRootKey *
find_anew(const uint8 *id)
{
	const KvRootKey *key;

	catch_up();
	key = kv_ring_find(&ring, id);
	if (key != NULL || kv_shared_ring_lacks(id))
		return key;
	key = find_after_load(id, serial_in_memory());
	if (key == NULL && !missed_just_now(id))
		key = find_after_load(id, kv_shared_ring_last_serial());
	return key;
}

const KvRootKey *
kv_keyring_peek(const uint8 id[KV_ROOT_KEY_ID_LEN])
{
	if (unlikely(!have_ring() ||
				 ring_generation != kv_settings_keyring_generation()))
		return find_after_load(id, serial_in_memory());
	return kv_ring_find(&ring, id);
}

const KvRootKey *
kv_keyring_find(const uint8 id[KV_ROOT_KEY_ID_LEN])
{
	const KvRootKey *key = kv_keyring_peek(id);

	if (key == NULL && !missed_just_now(id))
		key = find_anew(id);
	return key;
}

void
kv_keyring_freshen(void)
{
	if (kv_shared_ring_is_shared() && !tried_just_now())
		load_or_keep(kv_shared_ring_last_serial());
}

bool
kv_keyring_is_outdated(void)
{
	return tried_in_vain;
}

/* Says that a root key is not at hand, and whether it is known to be lacking. */
pg_noreturn static void
report_not_at_hand(const uint8 *id)
{
	char		hex[KV_ROOT_KEY_ID_HEX_LEN + 1];

	kv_root_key_id_to_hex(id, hex);
	if (tried_in_vain)
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("root key %s is not in memory, and the keyring cannot be read", hex),
				 errdetail("This session goes on with the keyring that it read from %s.", ring_source),
				 errhint("The WARNING before says what is wrong with it.")));
	ereport(ERROR,
			(errcode(KV_ERRCODE_KEYRING),
			 errmsg("root key %s is not in the keyring", hex),
			 errdetail("%s", kv_keyring_source_detail(ring_source)),
			 errhint("%s The view key_vault.root_keys lists its root keys.",
					 kv_keyring_missing_key_hint())));
}

const KvRootKey *
kv_keyring_require(const uint8 id[KV_ROOT_KEY_ID_LEN])
{
	const KvRootKey *key = kv_keyring_find(id);

	if (key == NULL)
		report_not_at_hand(id);
	return key;
}

/* The root key in memory, or NULL. */
static const KvRootKey *
find_in_memory(const uint8 *id)
{
	return have_ring() ? kv_ring_find(&ring, id) : NULL;
}

KvKeyringAnswer
kv_keyring_ask(const uint8 id[KV_ROOT_KEY_ID_LEN])
{
	/* What is in memory may have gone from the file: others would not find it */
	if (!tried_just_now() || (find_in_memory(id) == NULL && !missed_just_now(id)))
	{
		load_or_warn(kv_shared_ring_last_serial());
		if (find_in_memory(id) == NULL)
			note_missed(id);
	}
	if (tried_in_vain)
		return KV_KEYRING_UNKNOWN;
	return find_in_memory(id) != NULL ? KV_KEYRING_HOLDS : KV_KEYRING_LACKS;
}

char *
kv_keyring_source(void)
{
	return have_ring() ? pstrdup(ring_source) : kv_keyring_describe_source();
}

const KvRing *
kv_keyring_in_memory(void)
{
	return have_ring() ? &ring : NULL;
}
