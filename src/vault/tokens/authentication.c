/*
 * authentication.c
 *		Binds the transaction to the user of a token.
 *
 * The token counts.  The settings are made to say the same, because they are all that
 * parallel workers get, at once or late; whoever clears them (RESET ALL) has workers that
 * see no rows.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/inval.h"

#include "jose/memory.h"
#include "server/compat.h"
#include "server/errors.h"
#include "server/identity_settings.h"
#include "server/redaction/redaction.h"
#include "store/role_identity.h"
#include "vault/identity/identity.h"
#include "vault/identity/transaction_token.h"
#include "vault/tokens/authentication.h"
#include "vault/tokens/verification.h"

void
kv_authentication_init(void)
{
	kv_transaction_token_init(kv_token_judge);
	kv_identity_settings_init();
}

void
kv_authentication_prepare(void)
{
	if (!kv_jose_ready())
		ereport(LOG,
				(errmsg("%s", kv_token_fault_text(KV_TOKEN_LIBRARY))));
}

static void
warn_of_literal(const char *token, int len)
{
	static bool told = false;

	if (!kv_redaction_note_secret(token, len) || told)
		return;
	told = true;
	ereport(WARNING,
			(errmsg("a token stands literally in a statement's text"),
			 errdetail("Others may have seen it in pg_stat_activity. This is said once a session."),
			 errhint("Bind the token as a parameter."),
			 errhidestmt(true), errhidecontext(true)));
}

/*
 * A transaction that acts for a user goes on acting for that one.  So does a role that has
 * an identity, also in a session that was started without it.
 */
static void
check_is_same_user(const KvTokenSubject *subject)
{
	const KvTokenSubject *before = kv_transaction_token_bound();
	int			len;
	const char *identity;

	if (before != NULL)
	{
		identity = before->user_id;
		len = strlen(identity);
	}
	else
	{
		identity = kv_identity(&len);
		if (identity == NULL && kv_role_identity()[0] != '\0')
		{
			identity = kv_role_identity();
			len = strlen(identity);
		}
	}
	if (identity == NULL ||
		(len == (int) strlen(subject->user_id) && memcmp(identity, subject->user_id, len) == 0))
		return;
	ereport(ERROR,
			(errcode(KV_ERRCODE_OTHER_USER),
			 errmsg("the transaction acts for another user than the token's"),
			 before != NULL ?
			 errdetail("It has authenticated with a token of that user.") :
			 errdetail("Its identity was set in \"key_vault.user_id\", of the role, the session or the transaction."),
			 errhint("Authenticate once in each transaction, in a role and a session without an identity.")));
}

/* Binds the transaction to the token's user. */
static void
bind_token(const text *token, KvTokenSubject *subject)
{
	const char *data;
	int			len;
	uint64		changes;

	if (token == NULL)
		ereport(ERROR,
				(errcode(KV_ERRCODE_NO_ARGUMENT),
				 errmsg("token is NULL")));
	data = VARDATA_ANY(token);
	len = VARSIZE_ANY_EXHDR(token);
	warn_of_literal(data, len);

	AcceptInvalidationMessages();
	changes = kv_transaction_token_changes();
	kv_token_judge(data, len, subject);
	check_is_same_user(subject);
	kv_transaction_token_bind(data, len, subject, changes);
}

text *
kv_authenticate(const text *token)
{
	KvTokenSubject subject;

	bind_token(token, &subject);
	kv_identity_settings_set(subject.user_id, subject.team_id, kv_token_good_until(&subject));
	return cstring_to_text(subject.user_id);
}

text *
kv_authenticate_for_statement(const text *token)
{
	KvTokenSubject subject;

	bind_token(token, &subject);
	kv_identity_settings_set_late(subject.user_id, subject.team_id, kv_token_good_until(&subject));
	return cstring_to_text(subject.user_id);
}
