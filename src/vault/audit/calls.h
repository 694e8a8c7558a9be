/*
 * calls.h
 *		What a call leaves behind in the audit.
 *
 * The api puts each call that reaches or asks for a key between KV_AUDITED() and
 * KV_AUDITED_END(); what happens in between may add to what is known of it.  With
 * key_vault.audit = off, all that costs is a look at the setting.
 *
 * The record is left when the call has its outcome, and before that leaves the server.
 * Errors, beside the call's own: 58030 when it could not be left.
 */
#ifndef KV_AUDIT_CALLS_H
#define KV_AUDIT_CALLS_H

#include "server/settings.h"

typedef enum KvAuditOutcome
{
	KV_AUDIT_OK,
	KV_AUDIT_NONE				/* there is no such key */
} KvAuditOutcome;

/* What is known of a call. */
typedef struct KvAuditCall
{
	const char *action;
	bool		audited;
	bool		waits_for_no_disk;	/* not even when durable: see calls.c */
	bool		forgets;		/* its record does not name the user */
	bool		is_left;		/* by kv_audit_leave_part(), all that there is to say */
	bool		opens;			/* it came to a key that is there */
	KvAuditOutcome outcome;
	const text *user_id;		/* NULL: the identity */
	char	   *identity;
	const text *provider;		/* as it was named, then as it is registered */
	const text *label;
	const text *owner;			/* whose key is reached, when it may be a team's */
	int32		version;
	const char *subject;		/* a root key's id, or a role */
	void	   *secret;			/* what is handed out, a varlena: wiped when it is not, after all */
	const char *role;
	struct KvAuditCall *outer;
} KvAuditCall;

/* The running call, or NULL when it is not audited. */
extern KvAuditCall *kv_audit_call;

/*
 * KV_AUDITED(call, .action = "get", .user_id = ..., ...)
 * {
 *		result = ...;
 * }
 * KV_AUDITED_END(call);
 *
 * The block is left by its end or by an error, no other way.
 */
#ifdef KV_WITHOUT_AUDIT			/* what bench/audit.sh compares with */
#define KV_AUDITED(call, ...) \
	do { \
		KvAuditCall call = {__VA_ARGS__}; \
		(void) call;
#define KV_AUDITED_END(call) \
	} while (0)
#else
#define KV_AUDITED(call, ...) \
	do { \
		KvAuditCall call = {__VA_ARGS__}; \
		if (kv_setting_audit != KV_AUDIT_OFF) \
			kv_audit_begin(&call); \
		PG_TRY()
#define KV_AUDITED_END(call) \
		PG_CATCH(); \
		{ \
			if (call.audited) \
				kv_audit_refused(&call); \
			PG_RE_THROW(); \
		} \
		PG_END_TRY(); \
		if (call.audited) \
			kv_audit_done(&call); \
	} while (0)
#endif

/* For the macros only. */
extern void kv_audit_begin(KvAuditCall *call);
extern void kv_audit_refused(KvAuditCall *call);
extern void kv_audit_done(KvAuditCall *call);

/* Says that the running call hands out the varlena, which is wiped when it does not. */
extern void kv_audit_guard(void *secret);

/*
 * Says what the running call is about to open; owner lives as long as the call.  NULL and 0 when
 * the records of its parts say that.
 */
extern void kv_audit_note_row(const text *owner, int32 version);

/*
 * Leaves a record of one of several keys that the running call reaches.  opened says whether
 * it was; a version of 0 is the .env file's.
 */
extern void kv_audit_leave_part(const text *user_id, const text *provider, const text *label,
								const text *owner, int32 version, bool opened);

/* The same of one that was refused, which ends the running call not. */
extern void kv_audit_leave_refused_part(const text *user_id, const text *provider,
										const text *label, int sqlerrcode);

#endif							/* KV_AUDIT_CALLS_H */
