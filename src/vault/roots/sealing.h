/*
 * sealing.h
 *		Between a row of key_vault_data.secrets and the key in it.
 */
#ifndef KV_SEALING_H
#define KV_SEALING_H

#include "store/secret_rows.h"
#include "vault/roots/keyring.h"

#define KV_API_KEY_MAX 65536	/* bytes, in the database's encoding */

/*
 * Seals an API key for the row: its version, hint, expiry and attributes are set, its
 * sealed and root_key_id are filled in.  Nothing of the key stays in memory.
 *
 * Errors: 22021 or 22P05 for a key, user id or label that has no UTF-8 form.
 */
extern void kv_seal(const KvSecretName *name, KvSecretRow *row,
					const KvRootKey *root_key, const char *api_key, int len);

/*
 * The API key in the row, palloc'd: the caller wipes it when it does not
 * hand it on.
 *
 * Errors: XX001 when it does not open; F0000 when its root key is not at hand;
 * 22021 or 22P05 when the database's encoding lacks one of its characters.
 */
extern text *kv_open(const KvSecretName *name, const KvSecretRow *row);

/* Why a secret does not open. */
typedef enum KvObstacleKind
{
	KV_OBSTACLE_ROW,			/* it was changed, or moved */
	KV_OBSTACLE_NOT_REGISTERED, /* its root key is another database's */
	KV_OBSTACLE_NOT_IN_RING,	/* its root key is not at hand */
	KV_OBSTACLE_RING_UNREADABLE,	/* nor can the keyring be read now */
	KV_OBSTACLE_ENCODING		/* the database's lacks one of its characters */
} KvObstacleKind;

typedef struct KvObstacle
{
	KvObstacleKind kind;
	const char *reason;			/* a clause without a full stop */
} KvObstacle;

/*
 * As kv_open(), for whoever opens several: NULL and why for what is the matter with
 * this secret alone, its root key among that.
 *
 * Errors: F0000 when there is no keyring at all.
 */
extern text *kv_try_open(const KvSecretName *name, const KvSecretRow *row,
						 KvObstacle *why);

/* Says which secret does not open, and why: XX001 as ERROR or WARNING. */
extern void kv_report_obstacle(int level, const KvSecretName *name,
							   const KvSecretRow *row, const KvObstacle *why);

/*
 * Seals the row's key with another root key, as it is in its UTF-8 form, and with this
 * hint, or none: nothing else but sealed and root_key_id changes.  old_key is the one of
 * the row's message, or NULL; new_key is derived from the root key with this id, and used
 * once.  NULL, or why the row does not open; then it is as it was.
 *
 * Errors: F0000 when the new root key is not at hand.
 */
extern const char *kv_reseal(const KvSecretName *name, KvSecretRow *row, text *hint,
							 const uint8 root_key_id[KV_ROOT_KEY_ID_LEN],
							 const KvXaesMessageKey *old_key,
							 const KvXaesMessageKey *new_key);

/* Errors: XX000 unless it is KV_OK. */
extern void kv_check_sealed(KvStatus status);

#endif							/* KV_SEALING_H */
