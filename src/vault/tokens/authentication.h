/*
 * authentication.h
 *		Makes the user of a token the identity of the transaction.
 */
#ifndef KV_AUTHENTICATION_H
#define KV_AUTHENTICATION_H

/* Once a process. */
extern void kv_authentication_init(void);

/* Loads the library that verifies, so that forks need not. */
extern void kv_authentication_prepare(void);

/*
 * The user of the token, who is the identity from now on: until the transaction ends, or
 * the subtransaction is rolled back.
 *
 * Errors: 22004; as kv_token_judge(); 42501 when the transaction acts for another user.
 */
extern text *kv_authenticate(const text *token);

/* The same for the only call of a statement: the settings follow late, as in identity_settings.h. */
extern text *kv_authenticate_for_statement(const text *token);

#endif							/* KV_AUTHENTICATION_H */
