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
#include "server/locked_memory.h"
#include "server/settings.h"
#include "vault/roots/keyring.h"
#include "vault/roots/keyring_source.h"

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

/* When the ring was last read, or tried to, and what it lacked since. */
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

	return result;
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

void
kv_keyring_reload(void)
{
	KvRing		fresh;
	char	   *source;

	note_attempt();
	if (!kv_keyring_is_configured())
	{
		/* Taking the setting away takes the keys away. */
		forget_ring();
		kv_keyring_report_not_configured();
	}

	source = kv_keyring_describe_source();
	fresh = read_ring(source);
	if (fresh.count == 0)
	{
		kv_ring_free(&fresh);
		ereport(ERROR,
				(errcode(KV_ERRCODE_KEYRING),
				 errmsg("the keyring holds no root key"),
				 errdetail("%s", kv_keyring_source_detail(source)),
				 errhint("Put back the lines that were in it, or use key_vault.create_root_key() when there never were any.")));
	}

	forget_ring();
	ring = fresh;
	ring_pid = MyProcPid;
	tried_in_vain = false;
	if (ring_source != NULL)
		pfree(ring_source);
	ring_source = MemoryContextStrdup(TopMemoryContext, source);
	pfree(source);
}

/*
 * Only errors about keyrings are caught: they come from files and commands, which have
 * cleaned up by then, so no subtransaction is needed.  A cancelled query stays
 * cancelled.
 */
ErrorData *
kv_keyring_try_reload(void)
{
	MemoryContext context = CurrentMemoryContext;
	ErrorData  *volatile problem = NULL;

	PG_TRY();
	{
		kv_keyring_reload();
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

/* Reads the ring, or warns that it cannot be read. */
static void
reload_or_warn(void)
{
	ErrorData  *problem = kv_keyring_try_reload();

	if (problem == NULL)
		return;
	warn(problem, have_ring() ?
		 psprintf("This session goes on with the keyring that it read from %s.", ring_source) :
		 "No root key can be used.");
	FreeErrorData(problem);
}

/* As above, but throws when there is no old one that could serve on. */
static void
reload_or_keep(void)
{
	if (have_ring() && kv_keyring_is_configured())
		reload_or_warn();
	else
		kv_keyring_reload();
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
}

static const KvRootKey *
find_after_reload(const uint8 *id)
{
	const KvRootKey *key;

	reload_or_keep();
	key = kv_ring_find(&ring, id);
	if (key == NULL)
		note_missed(id);
	return key;
}

const KvRootKey *
kv_keyring_peek(const uint8 id[KV_ROOT_KEY_ID_LEN])
{
	if (unlikely(!have_ring() ||
				 ring_generation != kv_settings_keyring_generation()))
		return find_after_reload(id);
	return kv_ring_find(&ring, id);
}

const KvRootKey *
kv_keyring_find(const uint8 id[KV_ROOT_KEY_ID_LEN])
{
	const KvRootKey *key = kv_keyring_peek(id);

	if (key == NULL && !missed_just_now(id))
		key = find_after_reload(id);
	return key;
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
		reload_or_warn();
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
