/*
 * values.c
 *		Keeps the secrets that the running statement has passed to key_vault, so that
 *		entries of the log can be searched for them.  They are wiped when the
 *		transaction ends, or at the latest when the next statement is looked at.
 */
#include "postgres.h"

#include "access/xact.h"
#include "tcop/pquery.h"
#include "utils/memutils.h"

#include "server/redaction/values.h"

#define BYTES_MAX (64 * 1024)	/* of one */

static KvKnownValue kept[KV_SECRETS_MAX];
static Size kept_count = 0;
static Size oldest = 0;			/* which of them makes room, when there is none */
static TimestampTz kept_of = 0; /* the statement's begin */

static void
drop(KvKnownValue *value)
{
	explicit_bzero(unconstify(char *, value->data), value->len);
	pfree(unconstify(char *, value->data));
}

static void
forget(void)
{
	while (kept_count > 0)
		drop(&kept[--kept_count]);
	oldest = 0;
}

/* A procedure may commit, or roll back, and go on. */
static void
forget_at_end(XactEvent event, void *arg)
{
	if (ActivePortal == NULL &&
		(event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE))
		forget();
}

void
kv_secrets_init(void)
{
	RegisterXactCallback(forget_at_end, NULL);
}

static bool
is_kept(const char *secret, int len)
{
	for (Size i = 0; i < kept_count; i++)
		if (kept[i].len == (Size) len && memcmp(kept[i].data, secret, len) == 0)
			return true;
	return false;
}

/* Where the next one goes. */
static KvKnownValue *
make_room(void)
{
	KvKnownValue *place = &kept[oldest];

	if (kept_count < KV_SECRETS_MAX)
		return &kept[kept_count++];
	drop(place);
	oldest = (oldest + 1) % KV_SECRETS_MAX;
	return place;
}

bool
kv_secrets_keep(const char *secret, int len)
{
	char	   *copy;
	bool		has_room;

	len = Min(len, BYTES_MAX);
	(void) kv_secrets_kept(&(Size){0});
	if (len < KV_KNOWN_VALUE_MIN || is_kept(secret, len))
		return true;
	copy = MemoryContextAlloc(TopMemoryContext, len);
	memcpy(copy, secret, len);
	has_room = kept_count < KV_SECRETS_MAX;
	*make_room() = (KvKnownValue){.data = copy, .len = len};
	kept_of = GetCurrentStatementStartTimestamp();
	return has_room;
}

const KvKnownValue *
kv_secrets_kept(Size *count)
{
	if (kept_count > 0 && kept_of != GetCurrentStatementStartTimestamp())
		forget();
	*count = kept_count;
	return kept;
}
