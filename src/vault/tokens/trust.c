/*
 * trust.c
 *		Registers issuers.  Who can add one can be anybody: it is for superusers and the
 *		extension's owner, whoever else was granted the function.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "server/errors.h"
#include "store/locks.h"
#include "store/statement.h"
#include "vault/roots/records.h"
#include "vault/tokens/issuer_list.h"
#include "vault/tokens/revocations.h"
#include "vault/tokens/trust.h"
#include "vault/tokens/trust_arguments.h"

static void
check_may_trust(void)
{
	if (superuser() || GetUserId() == kv_extension_owner())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be superuser or owner of the extension to say which issuers are trusted"),
			 errdetail("Who can add an issuer can be any user.")));
}

/* The new issuer, beside which the others must be told apart. */
typedef struct Newcomer
{
	const char *name;
	const char *user_prefix;
} Newcomer;

static bool
begins_with(const char *value, const char *beginning)
{
	return strncmp(value, beginning, strlen(beginning)) == 0;
}

/*
 * No user's id may begin with both prefixes: two issuers would vouch for one user.  The
 * empty prefix is the beginning of every other.
 */
static void
check_prefixes(const char *name, const KvIssuer *other, void *arg)
{
	const Newcomer *newcomer = arg;

	if (strcmp(name, newcomer->name) == 0 ||
		(!begins_with(other->rules.user_prefix, newcomer->user_prefix) &&
		 !begins_with(newcomer->user_prefix, other->rules.user_prefix)))
		return;
	ereport(ERROR,
			(errcode(KV_ERRCODE_BAD_ARGUMENT),
			 errmsg("the issuer's user_prefix does not tell its users from another issuer's"),
			 errdetail("Issuer \"%s\" has prefix \"%s\", and one of the two is the beginning of the other.",
					   name, other->rules.user_prefix),
			 errhint("Give each issuer a user_prefix of its own, such as 'name:'.")));
}

static void
check_is_distinct(Newcomer *newcomer)
{
	ListCell   *cell;

	foreach(cell, kv_record_rows_read(KV_RECORD_ISSUER))
	{
		const KvRecordRow *row = lfirst(cell);
		const char *why;

		/* what is replaced need not open any more */
		if (strcmp(row->name, newcomer->name) == 0 ||
			kv_issuer_read(row, &why, check_prefixes, newcomer))
			continue;
		ereport(ERROR,
				(errcode(KV_ERRCODE_SEALED),
				 errmsg("issuer \"%s\" does not open", row->name),
				 errdetail("Reason: %s. Its user_prefix is not known, and may be the new issuer's.", why),
				 errhint("Remove it with key_vault.distrust_issuer(), or restore the row from a backup.")));
	}
}

static void
write_issuer(const char *name, const KvIssuer *issuer)
{
	Size		len;
	uint8	   *document = kv_issuer_to_document(issuer, &len);

	PG_TRY();
	{
		kv_record_write(KV_RECORD_ISSUER, name, document, len);
	}
	PG_FINALLY();
	{
		explicit_bzero(document, len);
	}
	PG_END_TRY();
}

void
kv_issuer_trust(const KvTrustArgs *args)
{
	KvIssuer	issuer;
	char	   *name;

	kv_trust_note_secrets(args->jwks);
	check_may_trust();
	PreventCommandIfReadOnly("key_vault.trust_issuer()");
	name = kv_trust_issuer_name(args->issuer);
	kv_trust_read_arguments(args, &issuer);
	PG_TRY();
	{
		Newcomer	newcomer = {name, issuer.rules.user_prefix};

		kv_lock_for_transaction(KV_LOCK_ISSUERS);
		check_is_distinct(&newcomer);
		kv_revocations_prepare();
		write_issuer(name, &issuer);
	}
	PG_FINALLY();
	{
		explicit_bzero(unconstify(char *, issuer.jwks), issuer.jwks_len);
	}
	PG_END_TRY();
}

bool
kv_issuer_distrust(const text *issuer)
{
	char	   *name;

	check_may_trust();
	PreventCommandIfReadOnly("key_vault.distrust_issuer()");
	name = kv_trust_issuer_name(issuer);
	kv_lock_for_transaction(KV_LOCK_ISSUERS);
	return kv_record_row_delete(KV_RECORD_ISSUER, name);
}
