/*
 * revocations.c
 *		Remembers users whose tokens are refused by a keyed hash, because some of them are
 *		to be forgotten.
 *
 * The key is random, made when the first issuer is trusted, and sealed like an issuer: it
 * outlives every root key, and whoever has the keyring has it, a standby too.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "crypto/digest.h"
#include "server/compat.h"
#include "server/encoding.h"
#include "server/errors.h"
#include "server/locked_memory.h"
#include "server/settings.h"
#include "server/subtransaction.h"
#include "server/unix_time.h"
#include "store/locks.h"
#include "store/revocation_rows.h"
#include "vault/identity/access.h"
#include "vault/identity/identity.h"
#include "vault/identity/transaction_token.h"
#include "vault/roots/records.h"
#include "vault/tokens/issuer_list.h"
#include "vault/tokens/issuers.h"
#include "vault/tokens/revocations.h"

#define HASH_KEY_NAME "revocations"
#define AHEAD_MAX (1 * USECS_PER_MINUTE)
#define KEPT_AT_LEAST (1 * USECS_PER_DAY)

static const char hash_tag[] = "key_vault revoked user v1";

/* The key by which users are known, in locked memory. */
static uint8 *hash_key;
static uint64 hash_key_changes; /* kv_issuers_changes() before it was read */

/* False when there is none. */
static bool
have_hash_key(void)
{
	uint64		changes = kv_issuers_changes();
	KvRecordRow row;
	uint8	   *opened;
	Size		len;

	if (hash_key != NULL && hash_key_changes == changes)
		return true;
	if (!kv_record_row_find(KV_RECORD_HASH_KEY, HASH_KEY_NAME, &row))
		return false;
	if (hash_key == NULL)
		hash_key = kv_locked_alloc(KV_HASH_KEY_LEN);
	hash_key_changes = 0;
	opened = kv_record_open(&row, &len);
	memcpy(hash_key, opened, Min(len, KV_HASH_KEY_LEN));
	kv_record_close(opened, len);
	hash_key_changes = changes;
	return true;
}

pg_noreturn static void
report_key_missing(void)
{
	ereport(ERROR,
			(errcode(KV_ERRCODE_SEALED),
			 errmsg("the key is missing by which revoked users are known"),
			 errdetail("Table \"key_vault_data.revocations\" has rows, and no row of \"key_vault_data.sealed_records\" is its key: whose tokens were revoked cannot be told."),
			 errhint("Restore the row from a backup. To give up the revocations, empty the table and call key_vault.trust_issuer() again.")));
}

void
kv_revocations_prepare(void)
{
	uint8		key[KV_HASH_KEY_LEN];
	KvStatus	status;

	if (have_hash_key())
		return;
	if (kv_revocation_rows_exist())
		report_key_missing();
	status = kv_random_hash_key(key);
	kv_check_digest(status);
	PG_TRY();
	{
		kv_record_write(KV_RECORD_HASH_KEY, HASH_KEY_NAME, key, sizeof(key));
	}
	PG_FINALLY();
	{
		explicit_bzero(key, sizeof(key));
	}
	PG_END_TRY();
}

/* The key is there.  user_id is in the database's encoding. */
static void
hash_of(const char *user_id, int len, uint8 hash[KV_USER_HASH_LEN])
{
	int			utf8_len;
	const char *utf8 = kv_to_utf8(user_id, len, &utf8_len);
	uint8		data[sizeof(hash_tag) + KV_USER_ID_MAX * MAX_CONVERSION_GROWTH];

	memcpy(data, hash_tag, sizeof(hash_tag));
	memcpy(data + sizeof(hash_tag), utf8, utf8_len);
	kv_check_digest(kv_hmac_sha256(hash_key, data, sizeof(hash_tag) + utf8_len, hash));
}

bool
kv_token_is_revoked(const KvTokenSubject *subject)
{
	uint8		hash[KV_USER_HASH_LEN];
	TimestampTz issued_before;

	if (!have_hash_key())
	{
		if (kv_revocation_rows_exist())
			report_key_missing();
		return false;
	}
	hash_of(subject->user_id, strlen(subject->user_id), hash);
	issued_before = kv_revocation_rows_latest(hash);
	return issued_before != DT_NOBEGIN &&
		subject->issued_at < kv_unix_microseconds(issued_before) + subject->clock_skew;
}

static void
add(const text *user_id, TimestampTz issued_before)
{
	uint8		hash[KV_USER_HASH_LEN];

	hash_of(VARDATA_ANY(user_id), VARSIZE_ANY_EXHDR(user_id), hash);
	kv_revocation_row_add(hash, issued_before);
}

/* An admin names any user; others as for every call. */
static text *
check_user(text *user_id)
{
	int			len;

	if (user_id == NULL || kv_identity(&len) != NULL || !kv_access_sees_all_users())
		return kv_identity_require(user_id);
	kv_user_id_check_length(user_id);
	return user_id;
}

static void
check_time(TimestampTz issued_before)
{
	if (TIMESTAMP_NOT_FINITE(issued_before) || issued_before > GetCurrentTimestamp() + AHEAD_MAX)
		ereport(ERROR,
				(errcode(KV_ERRCODE_BAD_ARGUMENT),
				 errmsg("issued_before is not a time that has passed"),
				 errdetail("Tokens that are not issued yet cannot be revoked."),
				 errhint("Leave it out for all that were issued until now.")));
}

/* False when no issuer is trusted.  Whose key was discarded with a lost root key gets another. */
static bool
have_or_make_hash_key(void)
{
	if (have_hash_key())
		return true;
	if (kv_record_rows_read(KV_RECORD_ISSUER) == NIL)
		return false;
	kv_lock_for_transaction(KV_LOCK_ISSUERS);
	kv_revocations_prepare();
	return have_hash_key();
}

void
kv_tokens_revoke(text *user_id, TimestampTz issued_before)
{
	text	   *user = check_user(user_id);

	PreventCommandIfReadOnly("key_vault.revoke_tokens()");
	check_time(issued_before);
	if (!have_or_make_hash_key())
		ereport(ERROR,
				(errcode(KV_ERRCODE_STATE),
				 errmsg("no issuer is trusted, and there are no tokens to revoke"),
				 errhint("A superuser adds an issuer with key_vault.trust_issuer().")));
	add(user, issued_before);
}

static void
revoke_now(void *state)
{
	const text *user_id = state;

	if (have_or_make_hash_key())
		add(user_id, GetCurrentTimestamp());
}

/*
 * A user is forgotten although revocations have lost their key, or there is no root key to
 * seal one with.  Meanwhile no session accepts a token that it does not remember.
 */
static void
warn_of_tokens(const ErrorData *problem)
{
	ereport(WARNING,
			(errcode(problem->sqlerrcode),
			 errmsg("the forgotten user's tokens are not revoked: %s", problem->message),
			 errdetail("What was stored about the user is removed."),
			 errhint("Mend that, and call key_vault.revoke_tokens() for the user.%s%s",
					 problem->hint != NULL ? " " : "", problem->hint != NULL ? problem->hint : "")));
}

void
kv_tokens_revoke_forgotten(text *user_id)
{
	ErrorData  *problem = kv_try_in_subtransaction(revoke_now, user_id);

	if (problem == NULL)
		return;
	if (problem->sqlerrcode != KV_ERRCODE_KEYRING && problem->sqlerrcode != KV_ERRCODE_SEALED)
		ReThrowError(problem);
	warn_of_tokens(problem);
}

uint64
kv_revocations_purge(void)
{
	int64		keep = Max(kv_issuers_longest_age(), KEPT_AT_LEAST);

	if (keep == PG_INT64_MAX)
		return 0;
	return kv_revocation_rows_purge(GetCurrentTimestamp() - keep);
}
