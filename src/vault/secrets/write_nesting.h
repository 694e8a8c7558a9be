/*
 * write_nesting.h
 *		Keeps a write of a secret out of the same write of the same secret, where
 *		a trigger or a policy can put it, and where it would never end.
 */
#ifndef KV_WRITE_NESTING_H
#define KV_WRITE_NESTING_H

#include "store/secret_rows.h"

typedef enum KvWriteKind
{
	KV_WRITE_SET,
	KV_WRITE_DELETE,
	KV_WRITE_FORGET				/* the name has a user_id and nothing else */
} KvWriteKind;

/* One write, in the stack frame of who does it. */
typedef struct KvWrite
{
	KvWriteKind kind;
	const KvSecretName *name;
	struct KvWrite *outer;
} KvWrite;

/*
 * The block between the two is a write.  It is left by its end or by an error, no
 * other way.
 *
 * Errors: 55000 when it is under way already, further up the stack; 54001 when the
 * stack is used up.
 */
#define KV_WRITE_BEGIN(kind_, name_) \
	do { \
		KvWrite		kv_write = {(kind_), (name_), NULL}; \
		kv_write_enter(&kv_write); \
		PG_TRY()
#define KV_WRITE_END() \
		PG_FINALLY(); \
		{ \
			kv_write_leave(&kv_write); \
		} \
		PG_END_TRY(); \
	} while (0)

/* For the two macros only. */
extern void kv_write_enter(KvWrite *write);
extern void kv_write_leave(const KvWrite *write);

#endif							/* KV_WRITE_NESTING_H */
