/*
 * keyring_check.h
 *		How the keyring is, for who looks after it.
 */
#ifndef KV_KEYRING_CHECK_H
#define KV_KEYRING_CHECK_H

typedef enum KvKeyringState
{
	KV_KEYRING_OK,
	KV_KEYRING_NOT_LOCKED,		/* ok, but it could not be locked in memory */
	KV_KEYRING_SHARED,			/* ok, but it is another database's as well */
	KV_KEYRING_NOT_CONFIGURED,
	KV_KEYRING_UNREADABLE
} KvKeyringState;

/*
 * Reads the keyring now, and says how that went instead of throwing.  *detail is
 * a sentence, *remedy one or NULL; both are palloc'd.
 */
extern KvKeyringState kv_keyring_check(char **detail, char **remedy);

#endif							/* KV_KEYRING_CHECK_H */
