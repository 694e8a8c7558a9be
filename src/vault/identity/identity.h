/*
 * identity.h
 *		For whom the current transaction acts, and who may act for whom.
 */
#ifndef KV_IDENTITY_H
#define KV_IDENTITY_H

/* Whom a call acted for before KV_ACT_FOR(); KV_ACT_END() puts it back. */
typedef struct KvActing
{
	const char *user_id;
	int			len;
} KvActing;

/* Drops what is cached about roles when roles change; once a process. */
extern void kv_identity_init(void);

/* The identity or NULL: not a copy, and not terminated at *len by a NUL. */
extern const char *kv_identity(int *len);

/*
 * The user that a call names, checked: user_id itself; the identity for NULL;
 * NULL when neither is there.
 *
 * Errors: 22023 for a user id that none can be; 42501 when the transaction has
 * another identity, or has none and the role may not act for any user, or it has a
 * team and the call names another one.
 */
extern text *kv_identity_check(text *user_id);

/* Errors: 22023 for a user id that none can be. */
extern void kv_user_id_check_length(const text *user_id);

/* As kv_identity_check(), but 22004 instead of NULL. */
extern text *kv_identity_require(text *user_id);

/*
 * Between the two, current_user_id() is the user, a text * that lives until
 * then.  The block between them is left by its end or by an error, no other
 * way: both put back who was acted for before.
 */
#define KV_ACT_FOR(user) \
	do { \
		KvActing	kv_displaced = kv_act_for(user); \
		PG_TRY()
#define KV_ACT_END() \
		PG_FINALLY(); \
		{ \
			kv_act_end(kv_displaced); \
		} \
		PG_END_TRY(); \
	} while (0)

/* For the two macros only. */
extern KvActing kv_act_for(const text *user_id);
extern void kv_act_end(KvActing displaced);

#endif							/* KV_IDENTITY_H */
