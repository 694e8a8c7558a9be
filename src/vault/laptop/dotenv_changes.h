/*
 * dotenv_changes.h
 *		What this transaction has changed in the .env file and not yet committed.
 *
 * One list of variables, each with what its subtransactions said of it.  Every
 * function goes through the variables at most once, however many subtransactions
 * there were, and none is recursive: who may call set() decides how many those are.
 */
#ifndef KV_DOTENV_CHANGES_H
#define KV_DOTENV_CHANGES_H

#include "lib/ilist.h"

/* What one subtransaction said last. */
typedef struct KvDotenvChange
{
	struct KvDotenvChange *older;	/* of an outer subtransaction, or NULL */
	SubTransactionId subtransaction;
	char	   *value;			/* UTF-8; NULL removes the variable */
	int			len;
} KvDotenvChange;

typedef struct KvDotenvVariable
{
	dlist_node	node;
	char	   *name;
	KvDotenvChange *newest;		/* the innermost subtransaction's; never NULL */
} KvDotenvVariable;

/* All of them, in the order in which they were changed first. */
extern dlist_head *kv_dotenv_changes(void);

/* A variable's newest change, or NULL when the transaction did not change it. */
extern const KvDotenvChange *kv_dotenv_changes_find(const char *name);

/*
 * Adds what the current subtransaction says of a variable: a copy of len bytes, or
 * NULL.  It counts from now on, and goes to one of the two below before anything
 * else happens.
 */
extern KvDotenvVariable *kv_dotenv_changes_add(const char *name, const char *value, int len);

/* What the same subtransaction said before is void. */
extern void kv_dotenv_changes_keep(KvDotenvVariable *variable);

/* The variable is as it was before, and gone when there was no change of it. */
extern void kv_dotenv_changes_take_back(KvDotenvVariable *variable);

/* A subtransaction ends: what it said, its parent says; or nobody. */
extern void kv_dotenv_changes_hand_up(SubTransactionId subtransaction,
									  SubTransactionId parent);
extern void kv_dotenv_changes_drop(SubTransactionId subtransaction);

/* Wipes and drops all. */
extern void kv_dotenv_changes_forget(void);

#endif							/* KV_DOTENV_CHANGES_H */
