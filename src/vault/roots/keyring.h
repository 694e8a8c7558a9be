/*
 * keyring.h
 *		The root keys, as this backend has them in memory.
 *
 * The keyring is read at first use, and again when a setting says that it is
 * elsewhere, or when a root key is asked for that is not in it.  When that fails, a
 * WARNING says so, and the last good keyring serves on.
 *
 * A pointer to a root key is good until the next call of a function of this file.
 */
#ifndef KV_KEYRING_H
#define KV_KEYRING_H

#include "server/compat.h"
#include "vault/roots/ring.h"

/* A keyring has at most this many bytes. */
#define KV_KEYRING_MAX_SIZE (1024 * 1024)

typedef enum KvKeyringState
{
	KV_KEYRING_OK,
	KV_KEYRING_NOT_LOCKED,		/* ok, but it could not be locked in memory */
	KV_KEYRING_NOT_CONFIGURED,
	KV_KEYRING_UNREADABLE
} KvKeyringState;

/*
 * A root key, or NULL when the keyring does not hold it: the hot path, which reads
 * the keyring only when there is none yet or its settings changed.
 *
 * Errors: F0000 when there is no keyring, and none can be read.
 */
extern const KvRootKey *kv_keyring_peek(const uint8 id[KV_ROOT_KEY_ID_LEN]);

/*
 * As kv_keyring_peek(), but reads the keyring anew before it returns NULL; for the
 * same root key not more often than once a statement, or once a second within one.
 */
extern const KvRootKey *kv_keyring_find(const uint8 id[KV_ROOT_KEY_ID_LEN]);

/* As kv_keyring_find(), but F0000 instead of NULL. */
extern const KvRootKey *kv_keyring_require(const uint8 id[KV_ROOT_KEY_ID_LEN]);

/* As kv_keyring_find(), but a WARNING and false when no keyring can be read. */
extern bool kv_keyring_contains(const uint8 id[KV_ROOT_KEY_ID_LEN]);

/* Reads the keyring now.  Errors: F0000, and the old one stays. */
extern void kv_keyring_reload(void);

/*
 * The keyring's text as it is now, which is not parsed.  The caller frees it with
 * kv_locked_free(result, *allocated).  Errors: F0000.
 */
extern char *kv_keyring_read_text(Size *len, Size *allocated);

/* How many root keys the keyring in memory has; 0 when there is none. */
extern int	kv_keyring_count(void);

/* Where the keyring in memory was read from: file "/x", or keyring_command. */
extern char *kv_keyring_source(void);

/*
 * Reads the keyring now, and says how that went instead of throwing.  *detail is
 * a sentence, *remedy one or NULL; both are palloc'd, and remedy may be NULL.
 */
extern KvKeyringState kv_keyring_check(char **detail, char **remedy);

/* The flags with which the keyring's file is read and written. */
extern int	kv_keyring_file_flags(void);

/* Throws what everybody says who needs a keyring when none is configured. */
pg_noreturn extern void kv_keyring_report_not_configured(void);

#endif							/* KV_KEYRING_H */
