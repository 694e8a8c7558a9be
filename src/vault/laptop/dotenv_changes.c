/*
 * dotenv_changes.c
 *		What this transaction has changed in the .env file and not yet committed.
 *
 * The file is not met here, and a value is what it is, spelled or not.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "vault/laptop/dotenv_changes.h"

/* All in TopMemoryContext: an end of the transaction takes it apart. */
static dlist_head variables = DLIST_STATIC_INIT(variables);

static KvDotenvVariable *
find(const char *name)
{
	dlist_iter	iter;

	dlist_foreach(iter, &variables)
	{
		KvDotenvVariable *variable = dlist_container(KvDotenvVariable, node, iter.cur);

		if (strcmp(variable->name, name) == 0)
			return variable;
	}
	return NULL;
}

static void
free_change(KvDotenvChange *change)
{
	if (change->value != NULL)
	{
		explicit_bzero(change->value, change->len);
		pfree(change->value);
	}
	pfree(change);
}

static KvDotenvChange *
make_change(const char *value, int len)
{
	KvDotenvChange *change = MemoryContextAllocZero(TopMemoryContext, sizeof(KvDotenvChange));

	if (value != NULL)
	{
		change->value = MemoryContextAlloc(TopMemoryContext, len + 1);
		memcpy(change->value, value, len);
		change->value[len] = '\0';
		change->len = len;
	}
	change->subtransaction = GetCurrentSubTransactionId();
	return change;
}

static KvDotenvVariable *
add_variable(const char *name)
{
	KvDotenvVariable *variable = MemoryContextAllocZero(TopMemoryContext,
														sizeof(KvDotenvVariable));

	variable->name = MemoryContextStrdup(TopMemoryContext, name);
	dlist_push_tail(&variables, &variable->node);
	return variable;
}

static void
remove_variable(KvDotenvVariable *variable)
{
	dlist_delete(&variable->node);
	pfree(variable->name);
	pfree(variable);
}

/* What was said before the newest change is so again. */
static void
pop(KvDotenvVariable *variable)
{
	KvDotenvChange *newest = variable->newest;

	variable->newest = newest->older;
	free_change(newest);
	if (variable->newest == NULL)
		remove_variable(variable);
}

dlist_head *
kv_dotenv_changes(void)
{
	return &variables;
}

const KvDotenvChange *
kv_dotenv_changes_find(const char *name)
{
	KvDotenvVariable *variable = find(name);

	return variable != NULL ? variable->newest : NULL;
}

KvDotenvVariable *
kv_dotenv_changes_add(const char *name, const char *value, int len)
{
	/* what may throw comes before the variable is in the list without a change */
	KvDotenvChange *change = make_change(value, len);
	KvDotenvVariable *variable = find(name);

	if (variable == NULL)
		variable = add_variable(name);
	change->older = variable->newest;
	variable->newest = change;
	return variable;
}

void
kv_dotenv_changes_keep(KvDotenvVariable *variable)
{
	KvDotenvChange *newest = variable->newest;
	KvDotenvChange *before = newest->older;

	if (before != NULL && before->subtransaction == newest->subtransaction)
	{
		newest->older = before->older;
		free_change(before);
	}
}

void
kv_dotenv_changes_take_back(KvDotenvVariable *variable)
{
	pop(variable);
}

void
kv_dotenv_changes_hand_up(SubTransactionId subtransaction, SubTransactionId parent)
{
	dlist_iter	iter;

	dlist_foreach(iter, &variables)
	{
		KvDotenvVariable *variable = dlist_container(KvDotenvVariable, node, iter.cur);

		if (variable->newest->subtransaction == subtransaction)
		{
			variable->newest->subtransaction = parent;
			kv_dotenv_changes_keep(variable);
		}
	}
}

void
kv_dotenv_changes_drop(SubTransactionId subtransaction)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &variables)
	{
		KvDotenvVariable *variable = dlist_container(KvDotenvVariable, node, iter.cur);

		if (variable->newest->subtransaction == subtransaction)
			pop(variable);
	}
}

void
kv_dotenv_changes_forget(void)
{
	while (!dlist_is_empty(&variables))
	{
		KvDotenvVariable *variable = dlist_head_element(KvDotenvVariable, node, &variables);

		/* the last pop removes the variable itself */
		for (KvDotenvChange *left = variable->newest; left != NULL;)
		{
			left = left->older;
			pop(variable);
		}
	}
}
