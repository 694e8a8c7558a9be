/*
 * transaction_token.c
 *		Which token the transaction has, by subtransaction.
 *
 * What a token says is not read here.  The token itself is kept, in locked memory, to be
 * judged again when an issuer or a revocation changes under the transaction.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "server/errors.h"
#include "server/locked_memory.h"
#include "server/settings.h"
#include "server/unix_time.h"
#include "store/record_rows.h"
#include "store/revocation_rows.h"
#include "vault/identity/transaction_token.h"

typedef struct Bound
{
	int			level;			/* of the (sub)transaction that it ends with */
	KvTokenSubject subject;
	uint64		changes;		/* after which it was judged */
	char	   *token;
	Size		token_len;
	struct Bound *outer;		/* whose time comes again when this one ends */
} Bound;

static KvTokenJudge judge_token;

/* Most transactions have one token, and it goes here. */
static Bound first;
static char *first_token;

static Bound *bound = NULL;

uint64
kv_transaction_token_changes(void)
{
	return kv_record_rows_changes() + kv_revocation_rows_changes();
}

static void
release(Bound *old)
{
	if (old == &first)
	{
		explicit_bzero(old->token, old->token_len);
		memset(&first, 0, sizeof(first));
		return;
	}
	kv_locked_free(old->token, old->token_len);
	pfree(old);
}

static void
unbind_from(int level)
{
	while (bound != NULL && bound->level >= level)
	{
		Bound	   *old = bound;

		bound = old->outer;
		release(old);
	}
}

static void
at_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		unbind_from(0);
}

/* What a subtransaction brought is its parent's from now on. */
static void
hand_on(int level)
{
	Bound	   *outer = bound->outer;

	bound->level = level;
	if (outer != NULL && outer->level == level)
	{
		bound->outer = outer->outer;
		release(outer);
	}
}

static void
at_end_of_part(SubXactEvent event, SubTransactionId mySubid, SubTransactionId parentSubid, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	if (bound == NULL || bound->level < level)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		unbind_from(level);
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		hand_on(level - 1);
}

void
kv_transaction_token_init(KvTokenJudge judge)
{
	judge_token = judge;
	RegisterXactCallback(at_end, NULL);
	RegisterSubXactCallback(at_end_of_part, NULL);
}

static int
errcode_of(KvTokenFault fault)
{
	switch (fault)
	{
		case KV_TOKEN_NO_MEMORY:
			return ERRCODE_OUT_OF_MEMORY;
		case KV_TOKEN_LIBRARY:
			return KV_ERRCODE_STATE;
		default:
			return KV_ERRCODE_TOKEN;
	}
}

void
kv_token_refuse(KvTokenFault fault)
{
	ereport(ERROR,
			(errcode(errcode_of(fault)),
			 errmsg("%s", kv_token_fault_text(fault))));
}

int64
kv_token_good_until(const KvTokenSubject *subject)
{
	return subject->not_after;
}

void
kv_token_check_clock(const KvTokenSubject *subject)
{
	KvTokenFault fault;

	fault = kv_token_subject_valid(subject, kv_unix_microseconds(GetCurrentTimestamp()));
	if (unlikely(fault != KV_TOKEN_OK))
		kv_token_refuse(fault);
}

/* An issuer or a revocation has changed, or something else has that may have been one. */
static void
judge_again(uint64 changes)
{
	KvTokenSubject subject;

	judge_token(bound->token, bound->token_len, &subject);
	if (strcmp(subject.user_id, bound->subject.user_id) != 0)
		ereport(ERROR,
				(errcode(KV_ERRCODE_TOKEN),
				 errmsg("the token stands for another user since its issuer was changed")));
	bound->subject = subject;
	bound->changes = changes;
}

const KvTokenSubject *
kv_transaction_token_bound(void)
{
	return bound != NULL ? &bound->subject : NULL;
}

/*
 * Parallel workers know of no token.  What the settings say of one has a time that they
 * ask the clock about, as the leader would.
 */
static void
check_clock_in_worker(void)
{
	if (kv_setting_identity_until[0] != '\0' &&
		kv_unix_microseconds(GetCurrentTimestamp()) >= strtoi64(kv_setting_identity_until, NULL, 10))
		kv_token_refuse(KV_TOKEN_EXPIRED);
}

const KvTokenSubject *
kv_transaction_token(void)
{
	uint64		changes;

	if (likely(bound == NULL))
	{
		if (IsParallelWorker())
			check_clock_in_worker();
		return NULL;
	}
	AcceptInvalidationMessages();
	changes = kv_transaction_token_changes();
	if (unlikely(changes != bound->changes))
		judge_again(changes);
	kv_token_check_clock(&bound->subject);
	return &bound->subject;
}

/* The place of a token that ends with this (sub)transaction. */
static Bound *
place_of(int level, Size token_len)
{
	Bound	   *place;

	unbind_from(level);
	if (bound == NULL)
	{
		if (first_token == NULL)
			first_token = kv_locked_alloc(KV_TOKEN_TEXT_MAX);
		place = &first;
		place->token = first_token;
	}
	else
	{
		char	   *token = kv_locked_alloc(token_len);

		place = MemoryContextAllocExtended(TopMemoryContext, sizeof(Bound),
										   MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO);
		if (place == NULL)
		{
			kv_locked_free(token, token_len);
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
		}
		place->token = token;
	}
	place->outer = bound;
	place->level = level;
	place->token_len = token_len;
	return place;
}

void
kv_transaction_token_bind(const char *token, Size len, const KvTokenSubject *subject,
						  uint64 changes)
{
	Bound	   *place;

	Assert(len > 0 && len <= KV_TOKEN_TEXT_MAX);
	place = place_of(GetCurrentTransactionNestLevel(), len);
	memcpy(place->token, token, len);
	place->subject = *subject;
	place->changes = changes;
	bound = place;
}
