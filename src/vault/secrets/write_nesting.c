/*
 * write_nesting.c
 *		Which writes of secrets are under way, one within another.
 *
 * A trigger that sets the key which is being set takes the version that this one
 * was to become, time and again.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "server/compat.h"
#include "server/errors.h"
#include "vault/secrets/write_nesting.h"

/* The innermost. */
static KvWrite *current = NULL;

static bool
is_same_text(const text *a, const text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

static bool
is_same_name(const KvSecretName *a, const KvSecretName *b, KvWriteKind kind)
{
	return is_same_text(a->user_id, b->user_id) &&
		(kind == KV_WRITE_FORGET ||
		 (is_same_text(a->provider, b->provider) && is_same_text(a->label, b->label)));
}

pg_noreturn static void
refuse(const KvWrite *write)
{
	const char *done = write->kind == KV_WRITE_SET ? "set" : "deleted";

	ereport(ERROR,
			(errcode(KV_ERRCODE_STATE),
			 write->kind == KV_WRITE_FORGET ?
			 errmsg("the user is being forgotten already") :
			 errmsg("the key for provider \"%s\", label \"%s\" is being %s already",
					text_to_cstring(write->name->provider),
					kv_quotable_label(write->name->label), done),
			 errdetail("A trigger or a policy, or a function that it calls, does the same once more, and would never end."),
			 errhint("Look at the triggers and policies on the table \"key_vault_data.secrets\".")));
}

void
kv_write_enter(KvWrite *write)
{
	check_stack_depth();
	for (const KvWrite *outer = current; outer != NULL; outer = outer->outer)
	{
		if (outer->kind == write->kind &&
			is_same_name(outer->name, write->name, write->kind))
			refuse(write);
	}
	write->outer = current;
	current = write;
}

void
kv_write_leave(const KvWrite *write)
{
	current = write->outer;
}
