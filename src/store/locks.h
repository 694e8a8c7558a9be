/*
 * locks.h
 *		Locks of ours that no statement of anybody's can name.
 *
 * To lock a table, or a procedure, is open to more than its owner: DROP PROCEDURE
 * takes its lock before it asks whose the procedure is, VACUUM takes one, so does
 * brin_summarize_new_values() by OID, and PREPARE of an UPDATE of a view locks the
 * table below.  So what shall happen once is kept by locks on parts of the table
 * key_vault_data.secrets that are none: no statement comes there.
 */
#ifndef KV_LOCKS_H
#define KV_LOCKS_H

/* Each is a number of such a part; pg_locks shows it as objsubid, and the install script names it. */
typedef enum KvLock
{
	KV_LOCK_ROTATION = 1,		/* re-sealing goes on */
	KV_LOCK_PURGE,				/* purging goes on */
	KV_LOCK_ROOT_KEYS,			/* which root keys there are is being changed */
	KV_LOCK_DISCARD,			/* what a lost root key sealed is being removed */
	KV_LOCK_ISSUERS				/* which issuers are trusted is being changed */
} KvLock;

/*
 * Takes the lock until the session ends, or an error ends its transaction; or not,
 * when another session has it.
 *
 * Errors: 55006 naming the other session's process; what is what it does, for
 * the message.
 */
extern void kv_lock_for_session(KvLock lock, const char *what);
extern void kv_unlock_for_session(KvLock lock);

/*
 * Takes the lock of one part of many until the transaction ends; false, at once, when
 * another session has it, or when this transaction has as many as it may.
 */
extern bool kv_lock_part_if_free(uint32 part);

/* Takes the lock until the transaction ends; waits for who has it. */
extern void kv_lock_for_transaction(KvLock lock);

#endif							/* KV_LOCKS_H */
