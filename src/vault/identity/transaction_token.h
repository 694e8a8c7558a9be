/*
 * transaction_token.h
 *		The verified token that the current transaction has, if it has one, and whom it
 *		makes the identity.
 *
 * It is kept here, where no statement reaches it, and ends with the transaction, or with
 * the subtransaction that brought it.  Parallel workers know of none: they go by the
 * settings.
 */
#ifndef KV_TRANSACTION_TOKEN_H
#define KV_TRANSACTION_TOKEN_H

#include "jose/token.h"
#include "server/compat.h"

#define KV_TOKEN_TEXT_MAX (16 * 1024)	/* bytes: jose takes no more either */

/*
 * Says whom a token stands for that was good a moment ago, after an issuer or a
 * revocation has changed.  Errors: 28000 when it is good no more.
 */
typedef void (*KvTokenJudge) (const char *token, Size len, KvTokenSubject *subject);

/* Registers the callbacks that end it; once a process. */
extern void kv_transaction_token_init(KvTokenJudge judge);

/*
 * Whom the token stands for, or NULL when there is no token.  All texts are in the
 * database's encoding.
 *
 * Errors: 28000 when the token has expired, or is not accepted any more.
 */
extern const KvTokenSubject *kv_transaction_token(void);

/* The same without a look at the clock: whom the transaction is bound to. */
extern const KvTokenSubject *kv_transaction_token_bound(void);

/*
 * From now on the transaction has this token, which was found good when issuers and
 * revocations had changed so often, and whose user is no other than the transaction may
 * act for.
 */
extern void kv_transaction_token_bind(const char *token, Size len,
									  const KvTokenSubject *subject, uint64 changes);

/* How often they have changed, once invalidation messages were accepted. */
extern uint64 kv_transaction_token_changes(void);

/* Errors: 28000 unless a token that was good is valid by the clock. */
extern void kv_token_check_clock(const KvTokenSubject *subject);

/* From then on the clock refuses it: microseconds since 1970. */
extern int64 kv_token_good_until(const KvTokenSubject *subject);

/* The one error for a token: 28000, and why. */
pg_noreturn extern void kv_token_refuse(KvTokenFault fault);

#endif							/* KV_TRANSACTION_TOKEN_H */
