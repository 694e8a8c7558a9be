/*
 * upkeep.h
 *		What is taken out of the audit: users who are to be forgotten, and old records.
 */
#ifndef KV_AUDIT_UPKEEP_H
#define KV_AUDIT_UPKEEP_H

/*
 * Takes the user's id out of all records of calls before this one, those still to be
 * written too.  The call acts for the user.
 *
 * Errors: 58030 when the latter cannot be written; 40001 as kv_audit_rows_forget().
 */
extern void kv_audit_forget(text *user_id);

/* What no part of CALL purge() has done yet: a transaction for each batch. */
extern void kv_audit_purge(int batch_size);

#endif							/* KV_AUDIT_UPKEEP_H */
