/*
 * keyring.h
 *		The root keys, as this backend has them in memory.
 *
 * The keyring is read at first use, and again when a setting says that it is
 * elsewhere, or when a root key is asked for that is not in it.  When that fails, a
 * WARNING says so, and the last good keyring serves on.  With shared_preload_libraries,
 * what keyring_command printed for another session of this database since the
 * configuration was loaded is as good, where not said otherwise.
 *
 * A pointer to a root key is good until the next call of a function of this file.
 */
#ifndef KV_KEYRING_H
#define KV_KEYRING_H

#include "server/compat.h"
#include "vault/roots/ring.h"

typedef enum KvKeyringAnswer
{
	KV_KEYRING_HOLDS,
	KV_KEYRING_LACKS,
	KV_KEYRING_UNKNOWN			/* it cannot be read */
} KvKeyringAnswer;

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
 * Where sessions share what they read, they all together do so once a second.
 */
extern const KvRootKey *kv_keyring_find(const uint8 id[KV_ROOT_KEY_ID_LEN]);

/* As kv_keyring_find(), but F0000 instead of NULL. */
extern const KvRootKey *kv_keyring_require(const uint8 id[KV_ROOT_KEY_ID_LEN]);

/*
 * True when the keyring could not be read when that was last tried: it may hold what
 * the one in memory lacks.
 */
extern bool kv_keyring_is_outdated(void);

/*
 * Whether the keyring itself, not a copy in memory, holds a root key: it is read
 * at least once in each statement.  A WARNING when it cannot be.
 */
extern KvKeyringAnswer kv_keyring_ask(const uint8 id[KV_ROOT_KEY_ID_LEN]);

/*
 * For calls that no copy of the keyring will do for: where sessions share one, it is read
 * now, unless this statement did.  Errors and warnings: as kv_keyring_find().
 */
extern void kv_keyring_freshen(void);

/* Reads the keyring now.  Errors: F0000, and the old one stays. */
extern void kv_keyring_reload(void);

/* The same, but NULL, or the error instead of throwing it. */
extern ErrorData *kv_keyring_try_reload(void);

/* What is in memory, until the next call of a function of this file; or NULL. */
extern const KvRing *kv_keyring_in_memory(void);

/*
 * The keyring's text as it is now, which is not parsed.  The caller frees it with
 * kv_locked_free(result, *allocated).  Errors: F0000.
 */
extern char *kv_keyring_read_text(Size *len, Size *allocated);

/* Where the keyring in memory was read from: file "/x", or keyring_command. */
extern char *kv_keyring_source(void);

#endif							/* KV_KEYRING_H */
